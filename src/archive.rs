//! Tar archives, for the engine's archive API and for `docker load`.
//!
//! Everything stays in memory, and only [`Archive::new`] reads the clock. An archive may come from any container, so
//! reading is bounded and refuses paths that lead out of the archive.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use bytes::Bytes;
use time::OffsetDateTime;

/// The most bytes of content, over all files, that are read from an archive. Everything that kindreg reads is small.
pub const MAX_CONTENT: u64 = 16 * 1024 * 1024;

/// The mode of parent folders that the caller did not add.
const IMPLIED_FOLDER_MODE: u32 = 0o755;

/// Why an archive can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A path that is empty, absolute, not UTF-8, or contains `..` or NUL.
    #[error("invalid path {0:?} in an archive: must be relative, without \"..\"")]
    BadPath(String),
    /// More content than [`MAX_CONTENT`].
    #[error("archive too large: more than {MAX_CONTENT} bytes")]
    TooLarge,
    /// Not a tar archive, or a truncated one.
    #[error("can't read the archive: {0}")]
    Damaged(String),
    /// It could not be written.
    #[error("can't write the archive: {0}")]
    Write(#[from] std::io::Error),
}

/// Result of writing or reading an archive.
pub type Result<T> = std::result::Result<T, ArchiveError>;

/// A regular file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Permission bits.
    pub mode: u32,
    /// Its content.
    pub content: Bytes,
}

/// What an entry of an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A link, a device, or anything else.
    Other,
}

#[derive(Debug, Clone)]
enum Content {
    Folder,
    File(Bytes),
}

#[derive(Debug, Clone)]
struct Entry {
    path: String,
    mode: u32,
    content: Content,
}

/// Builds an archive. All entries belong to root and have the same modification time, which Docker keeps.
///
/// Docker unpacks into an existing folder only (`/`, to be safe), so all parents of an entry are in the archive, with
/// mode 0755 unless they are added before it. Docker sets that mode on *existing* folders too: add those that have
/// another mode (`var/lib/kubelet`).
#[derive(Debug, Clone)]
pub struct Archive {
    modified: OffsetDateTime,
    entries: Vec<Entry>,
}

impl Archive {
    /// Returns an empty archive with the current time.
    #[must_use]
    pub fn new() -> Self {
        Self::dated(OffsetDateTime::now_utc())
    }

    /// Returns an empty archive with this time, in whole seconds; a time before 1970 becomes 1970.
    #[must_use]
    pub fn dated(modified: OffsetDateTime) -> Self {
        let entries = Vec::new();
        Self { modified, entries }
    }

    /// Adds a folder.
    #[must_use]
    pub fn folder(self, path: impl Into<String>, mode: u32) -> Self {
        self.with(path.into(), mode, Content::Folder)
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, path: impl Into<String>, mode: u32, content: impl Into<Bytes>) -> Self {
        self.with(path.into(), mode, Content::File(content.into()))
    }

    fn with(mut self, path: String, mode: u32, content: Content) -> Self {
        self.entries.push(Entry {
            path,
            mode,
            content,
        });
        self
    }

    /// Returns the archive's bytes: its entries in the order they were added, parents first.
    pub fn into_bytes(self) -> Result<Bytes> {
        let modified = u64::try_from(self.modified.unix_timestamp()).unwrap_or(0);
        let mut tar = tar::Builder::new(Vec::new());
        let mut listed = BTreeSet::new();
        for Entry {
            path,
            mode,
            content,
        } in self.entries
        {
            let path = relative(&path)?;
            for (end, _) in path.match_indices('/') {
                let parent = &path[..end];
                if listed.insert(parent.to_owned()) {
                    append(&mut tar, modified, parent, IMPLIED_FOLDER_MODE, None)?;
                }
            }
            let content = match &content {
                Content::Folder => {
                    listed.insert(path.clone());
                    None
                }
                Content::File(bytes) => Some(bytes),
            };
            append(&mut tar, modified, &path, mode, content)?;
        }
        Ok(tar.into_inner()?.into())
    }
}

impl Default for Archive {
    fn default() -> Self {
        Self::new()
    }
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    modified: u64,
    path: &str,
    mode: u32,
    content: Option<&Bytes>,
) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(modified);
    header.set_mode(mode);
    let Some(content) = content else {
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        tar.append_data(&mut header, format!("{path}/"), std::io::empty())?;
        return Ok(());
    };
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content.as_ref())?;
    Ok(())
}

/// Returns the regular files of an archive by path, without a leading `./`. If a path occurs twice, the later file is
/// returned, as in unpacking. Folders, links, devices and sparse files are left out.
pub fn files(tar: &[u8]) -> Result<BTreeMap<String, ArchiveFile>> {
    let mut files = BTreeMap::new();
    let mut room = MAX_CONTENT;
    for entry in tar::Archive::new(tar).entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path_bytes();
        let path = std::str::from_utf8(&path)
            .map_err(|_| ArchiveError::BadPath(String::from_utf8_lossy(&path).into_owned()))?;
        let path = relative(path)?;
        let mode = entry.header().mode().map_err(damaged)? & 0o7777;
        let size = entry.size();
        if size > room {
            return Err(ArchiveError::TooLarge);
        }
        room -= size;
        let mut content = Vec::new();
        let read = entry.read_to_end(&mut content).map_err(damaged)?;
        if read as u64 != size {
            return Err(ArchiveError::Damaged(format!("{path} is truncated")));
        }
        let content = content.into();
        files.insert(path, ArchiveFile { mode, content });
    }
    Ok(files)
}

/// Returns what an archive has, by path without a leading `./`. Bytes that are not UTF-8 are replaced, and a path that
/// leads out of the archive is left out.
pub fn entries(tar: &[u8]) -> Result<BTreeMap<String, Kind>> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let kind = match entry.header().entry_type() {
            tar::EntryType::Directory => Kind::Folder,
            kind if kind.is_file() => Kind::File,
            _ => Kind::Other,
        };
        if let Ok(path) = relative(&String::from_utf8_lossy(&entry.path_bytes())) {
            found.insert(path, kind);
        }
    }
    Ok(found)
}

/// Returns the target of the symbolic link that an archive consists of; `None` if it begins with something else, or if
/// the target is not UTF-8.
pub fn link(tar: &[u8]) -> Result<Option<String>> {
    let mut archive = tar::Archive::new(tar);
    let Some(entry) = archive.entries().map_err(damaged)?.next() else {
        return Ok(None);
    };
    let entry = entry.map_err(damaged)?;
    if entry.header().entry_type() != tar::EntryType::Symlink {
        return Ok(None);
    }
    let target = entry
        .link_name_bytes()
        .map(|target| String::from_utf8(target.into_owned()));
    Ok(target.and_then(std::result::Result::ok))
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands it over")]
fn damaged(cause: std::io::Error) -> ArchiveError {
    ArchiveError::Damaged(cause.to_string())
}

/// Returns the path without `.` components and without doubled or final slashes.
fn relative(path: &str) -> Result<String> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.is_empty() || parts.contains(&"..") || path.starts_with('/') || path.contains('\0') {
        return Err(ArchiveError::BadPath(path.to_owned()));
    }
    Ok(parts.join("/"))
}
