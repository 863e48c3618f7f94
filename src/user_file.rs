//! Atomic replacement of a user's file: readers see the old text or the new one, and on a full disk the old one stays.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// Writes `content` to a temporary file beside `file` and renames that over it. A symbolic link stays a link, as
/// dotfiles are often linked; mode and owner stay as they are. A new file has mode 0600, and a new folder 0700.
///
/// # Errors
/// The system's error. The file is then unchanged, and no temporary file is left.
pub(crate) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
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
    match new.persist(&file).map_err(|failed| failed.error) {
        // A file that is a mount, as in development containers, can't be replaced by a rename: rename(2), EBUSY.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => fs::write(&file, content),
        persisted => persisted.map(drop),
    }
}

/// Removes a file. A symbolic link stays, as dotfiles are often linked, and its target is removed.
///
/// # Errors
/// The system's error.
pub(crate) fn remove(file: &Path) -> io::Result<()> {
    fs::remove_file(fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()))
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
