//! Looks for programs in `PATH`, and never in the current folder, where a cloned repository may have put one.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Returns a `PATH` without the elements that are relative to the current folder. An empty one is that folder itself
/// (POSIX.1, section 8.3).
#[must_use]
pub fn without_current_folder(path: &OsStr) -> OsString {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    // Joining what was split does not fail.
    std::env::join_paths(folders).unwrap_or_default()
}

/// Returns the executable of that name in an absolute folder of `path`, as Go programs look for others:
/// <https://pkg.go.dev/os/exec#hdr-Executables_in_the_current_directory>.
#[must_use]
pub fn find(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let executable = |file: &PathBuf| {
        file.metadata()
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    let folders = std::env::split_paths(path?).filter(|folder| folder.is_absolute());
    folders
        .map(|folder: PathBuf| Path::join(&folder, program))
        .find(executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_folder_is_no_part_of_the_path() {
        for (path, without) in [
            (":/usr/bin", "/usr/bin"),
            ("/usr/bin:", "/usr/bin"),
            ("/a::/b", "/a:/b"),
            (".:bin:./x:../y:/a", "/a"),
            ("", ""),
        ] {
            assert_eq!(without_current_folder(OsStr::new(path)), without, "{path}");
        }
    }
}
