//! Files as an archive: what the engine's archive API takes and gives, and what `docker load` reads.
//!
//! Pure, but for the clock that [`Archive::new`] asks: bytes in, bytes out; nothing is unpacked to a disk. What is read
//! may come from anybody's container, so reading is bounded and refuses names that lead out of the archive.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use bytes::Bytes;
use time::OffsetDateTime;

/// How many bytes of content, over all files, are read back from an archive: everything that kindreg reads is small.
pub const MAX_CONTENT: u64 = 16 * 1024 * 1024;

/// The mode of folders that an archive needs and nobody named.
const IMPLIED_FOLDER_MODE: u32 = 0o755;

/// Why an archive could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A name that is absolute, leads upwards, is empty, or is not text.
    #[error("{0:?} is not a path for an archive")]
    BadPath(String),
    /// More content than [`MAX_CONTENT`].
    #[error("the archive holds more than {MAX_CONTENT} bytes")]
    TooLarge,
    /// Not a tar archive, or cut short.
    #[error("the archive can't be read: {0}")]
    Damaged(String),
    /// It could not be written.
    #[error("the archive can't be written: {0}")]
    Write(#[from] std::io::Error),
}

/// Result of an archive's making or reading.
pub type Result<T> = std::result::Result<T, ArchiveError>;

/// A regular file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Permission bits.
    pub mode: u32,
    /// What is in it.
    pub content: Bytes,
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

/// An archive in the making. Everything in it belongs to root and has one modification time, which Docker keeps.
///
/// Docker unpacks into an existing folder only (`/`, to be safe), so all parents of an entry are in the archive, with
/// mode 0755 where they are not named before it. Docker gives *existing* folders that mode too: name those that
/// have another (`var/lib/kubelet`).
#[derive(Debug, Clone)]
pub struct Archive {
    modified: OffsetDateTime,
    entries: Vec<Entry>,
}

impl Archive {
    /// An empty archive of now.
    #[must_use]
    pub fn new() -> Self {
        Self::dated(OffsetDateTime::now_utc())
    }

    /// An empty archive of another time, in whole seconds, not before 1970.
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

    /// The archive, its entries in the order they were added, parents first.
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

/// The regular files of an archive by their path, without a leading `./`. Where a path occurs twice the later one
/// counts, as in unpacking. Folders, links, devices and sparse files are left out.
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
            return Err(ArchiveError::Damaged(format!("{path} is cut short")));
        }
        let content = content.into();
        files.insert(path, ArchiveFile { mode, content });
    }
    Ok(files)
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands it over")]
fn damaged(cause: std::io::Error) -> ArchiveError {
    ArchiveError::Damaged(cause.to_string())
}

/// The path without `.` components and doubled or final slashes.
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
