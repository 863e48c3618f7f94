//! Atomic replacement of a user's file: readers see the old text or the new one, and on a full disk the old one stays.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Writes `content` to a temporary file beside `file` and renames that over it. A symbolic link stays a link, as
/// dotfiles are often linked; mode and owner stay as they are. A new file has mode 0600, and a new folder 0700.
///
/// # Errors
/// The system's error. The file is then unchanged, and no temporary file is left.
pub(crate) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    write(file, content, |_| true).map(drop)
}

/// What became of a replacement that is made only if the file is as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchanged {
    /// The file was replaced.
    Done,
    /// Another program had written to it, and it was left alone.
    ChangedMeanwhile,
}

/// The same as [`replace`], if the file still has the content `before`; one that is absent has none.
///
/// # Errors
/// As for [`replace`].
pub(crate) fn exchange(file: &Path, before: &[u8], content: &[u8]) -> io::Result<Exchanged> {
    write(file, content, |file| {
        fs::read(file).unwrap_or_default() == before
    })
}

/// Replaces the file if it `is_current` after the new content is complete.
fn write(
    file: &Path,
    content: &[u8],
    is_current: impl FnOnce(&Path) -> bool,
) -> io::Result<Exchanged> {
    let file = target(file);
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.exists() {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    let mut prefix = OsStr::new(".").to_owned();
    prefix.push(file.file_name().unwrap_or_default());
    prefix.push(".");
    let mut new = tempfile::Builder::new()
        .prefix(&prefix)
        .tempfile_in(folder)?;
    new.write_all(content)?;
    if let Ok(old) = fs::metadata(&file) {
        let mode = fs::Permissions::from_mode(old.mode() & 0o777);
        new.as_file().set_permissions(mode)?;
        // Only root, in another user's home, needs this and may do it.
        let _ = chown(new.path(), Some(old.uid()), Some(old.gid()));
    }
    new.as_file().sync_all()?;
    if !is_current(&file) {
        return Ok(Exchanged::ChangedMeanwhile);
    }
    let persisted = match new.persist(&file).map_err(|failed| failed.error) {
        // A file that is a mount, as in development containers, can't be replaced by a rename: rename(2), EBUSY.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => fs::write(&file, content),
        persisted => persisted.map(drop),
    };
    persisted.map(|()| Exchanged::Done)
}

/// Removes a file. A symbolic link stays, as dotfiles are often linked, and its target is removed.
///
/// # Errors
/// The system's error.
pub(crate) fn remove(file: &Path) -> io::Result<()> {
    fs::remove_file(target(file))
}

/// The most links that are followed: as many as Linux follows (`path_resolution(7)`).
const LINKS: usize = 40;

/// Returns what a path is a link to, also if that is not there.
fn target(file: &Path) -> PathBuf {
    let mut file = file.to_owned();
    for _ in 0..LINKS {
        let Ok(next) = fs::read_link(&file) else {
            break;
        };
        file = file.parent().unwrap_or(Path::new("")).join(next);
    }
    fs::canonicalize(&file).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_link_its_target_and_its_mode_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("real"));
        assert_eq!(names(folder.path()), ["link", "real"]);
    }

    #[test]
    fn what_another_program_wrote_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "theirs").unwrap();
        let exchanged = |before: &str| exchange(&file, before.as_bytes(), b"ours").unwrap();
        assert_eq!(exchanged("mine"), Exchanged::ChangedMeanwhile);
        assert_eq!(exchanged(""), Exchanged::ChangedMeanwhile);
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        assert_eq!(exchanged("theirs"), Exchanged::Done);
        assert_eq!(fs::read_to_string(&file).unwrap(), "ours");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_new_file_and_its_folder_are_private_to_the_user() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".docker/config.json");
        replace(&file, b"{}").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_failed_replacement_changes_nothing_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir_all(taken.join("inner")).unwrap();
        replace(&taken, b"new").unwrap_err();
        assert_eq!(names(folder.path()), ["taken"]);
        assert_eq!(names(&taken), ["inner"]);
    }
}
