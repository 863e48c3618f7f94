//! The user's kubeconfig: `down` restores the current context, which kind does not do.
//!
//! kind itself adds and removes its entries. Only one line is edited here, so that the rest of the file stays as it is.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::user_file;

/// The files of a kubeconfig, as kubectl and kind find them.
#[derive(Debug, Clone)]
pub struct Kubeconfig {
    files: Vec<PathBuf>,
}

/// The state of a kubeconfig before the cluster was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// The current context, if there was one.
    pub context: Option<String>,
    /// The file that contained it.
    pub file: Option<PathBuf>,
    /// Files that did not exist.
    pub absent: Vec<PathBuf>,
    /// Folders that did not exist.
    pub absent_folders: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
struct Content {
    #[serde(rename = "current-context", default)]
    current: Option<String>,
    #[serde(default)]
    contexts: Option<Vec<Named>>,
    #[serde(default)]
    clusters: Option<Vec<Named>>,
    #[serde(default)]
    users: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Content {
    fn current(&self) -> Option<&str> {
        self.current
            .as_deref()
            .filter(|context| !context.is_empty())
    }

    fn is_empty(&self) -> bool {
        [&self.contexts, &self.clusters, &self.users]
            .iter()
            .all(|list| list.as_ref().is_none_or(Vec::is_empty))
    }

    fn names(&self, context: &str) -> bool {
        self.contexts
            .iter()
            .flatten()
            .any(|entry| entry.name == context)
    }
}

impl Kubeconfig {
    /// Returns the files in `variable` (the value of `KUBECONFIG`), or else `.kube/config` in `home`.
    #[must_use]
    pub fn locate(variable: Option<&str>, home: &Path) -> Self {
        let listed: Vec<PathBuf> = variable
            .map(|list| {
                std::env::split_paths(list)
                    .filter(|path| *path != PathBuf::new())
                    .collect()
            })
            .unwrap_or_default();
        Self {
            files: if listed.is_empty() {
                vec![home.join(".kube/config")]
            } else {
                listed
            },
        }
    }

    /// Checks that kind can add its entries. kind truncates the file before it writes, so a failure would lose its
    /// content.
    ///
    /// # Errors
    /// The file, or a temporary file beside it, can't be written, or the disk is full.
    pub fn check_writable(&self) -> Result<()> {
        let Some(file) = self.written_by_kind() else {
            return Ok(());
        };
        trial(file).with_context(|| {
            Problem::new(
                format!("can't write the kubeconfig {}", file.display()),
                "fix its owner and mode, or set KUBECONFIG to another file",
            )
        })
    }

    /// Returns the file that kind writes to: the first that exists, or else the last of the list:
    /// <https://github.com/kubernetes-sigs/kind/blob/v0.33.0/pkg/cluster/internal/kubeconfig/internal/kubeconfig/paths.go#L60>.
    fn written_by_kind(&self) -> Option<&Path> {
        let present = self.files.iter().find(|file| file.is_file());
        present.or(self.files.last()).map(PathBuf::as_path)
    }

    /// Returns the current state, for [`Self::restore`].
    ///
    /// # Errors
    /// A file can't be read, or is not a kubeconfig.
    pub fn original(&self) -> Result<Original> {
        let mut original = Original {
            context: None,
            file: None,
            absent: Vec::new(),
            absent_folders: Vec::new(),
        };
        for file in &self.files {
            match read(file)? {
                None => {
                    original.absent.push(file.clone());
                    let folder = file
                        .parent()
                        .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
                    original.absent_folders.extend(folder.map(Path::to_owned));
                }
                Some(content) if original.context.is_none() => {
                    original.context = content.current().map(str::to_owned);
                    original.file = original.context.is_some().then(|| file.clone());
                }
                Some(_) => {}
            }
        }
        Ok(original)
    }

    /// Restores the original state: the current context, if it is `ours` or none now; files and folders that did not
    /// exist are removed if they are empty.
    ///
    /// # Errors
    /// A file can't be locked, read, written or removed.
    pub fn restore(&self, original: &Original, ours: &str) -> Result<()> {
        if let (Some(context), Some(file)) = (&original.context, &original.file) {
            let _guard = FileLock::take(file)?;
            if let Some(content) = read(file)? {
                let free = content.current().is_none_or(|current| current == ours);
                if free
                    && content.names(context)
                    && self.current()?.is_none_or(|current| current == ours)
                {
                    let text = fs::read_to_string(file)?;
                    user_file::replace(file, with_current(&text, context).as_bytes())
                        .with_context(|| {
                            format!("can't write the kubeconfig {}", file.display())
                        })?;
                }
            }
        }
        for file in original
            .absent
            .iter()
            .filter(|file| self.files.contains(file))
        {
            let _guard = if file.exists() {
                Some(FileLock::take(file)?)
            } else {
                None
            };
            if read(file)?.is_some_and(|content| content.is_empty()) {
                fs::remove_file(file)
                    .with_context(|| format!("can't remove {}", file.display()))?;
            }
        }
        for folder in &original.absent_folders {
            // Fails if the folder is not empty: kindreg put nothing else there.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    fn current(&self) -> Result<Option<String>> {
        for file in &self.files {
            if let Some(current) = read(file)?.as_ref().and_then(Content::current) {
                return Ok(Some(current.to_owned()));
            }
        }
        Ok(None)
    }
}

/// The most bytes that kind's entries of one cluster take: three certificates and a key are 5.7 KB in kind 0.33.
const ENTRIES: u64 = 16 * 1024;

/// Writes as many bytes as the file will have to a nameless file beside it; for a link, beside its target.
fn trial(file: &Path) -> io::Result<()> {
    let file = &fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let size = match fs::OpenOptions::new().append(true).open(file) {
        Ok(present) => present.metadata()?.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let mut folders = file.ancestors().skip(1);
    let folder = folders.find(|folder| folder.is_dir());
    let mut nameless = tempfile::tempfile_in(folder.unwrap_or(Path::new(".")))?;
    io::copy(&mut io::repeat(0).take(size + ENTRIES), &mut nameless)?;
    Ok(())
}

fn read(file: &Path) -> Result<Option<Content>> {
    match fs::read_to_string(file) {
        Ok(text) if text.trim().is_empty() => Ok(Some(Content::default())),
        Ok(text) => serde_yaml::from_str(&text)
            .map(Some)
            .with_context(|| format!("can't read the kubeconfig {}", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(error).with_context(|| format!("can't read the kubeconfig {}", file.display()))
        }
    }
}

/// Returns the text with its top-level `current-context` set, and all other lines unchanged.
fn with_current(text: &str, context: &str) -> String {
    // Any name is safe as a quoted string; a plain one stays unquoted, as kubectl writes it.
    let plain = context
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./@:".contains(c))
        && context.starts_with(|c: char| c.is_ascii_alphabetic());
    let line = if plain {
        format!("current-context: {context}")
    } else {
        format!("current-context: {context:?}")
    };
    let mut found = false;
    let mut lines: Vec<&str> = text
        .lines()
        .map(|old| {
            if old.starts_with("current-context:") {
                found = true;
                &line
            } else {
                old
            }
        })
        .collect();
    if !found {
        lines.push(&line);
    }
    lines.join("\n") + "\n"
}

/// The lock that kubectl and kind take on a kubeconfig: a file beside it, created exclusively
/// (<https://github.com/kubernetes/client-go/blob/master/tools/clientcmd/config.go>, `lockFile`).
struct FileLock(PathBuf);

impl FileLock {
    fn take(file: &Path) -> Result<Self> {
        let mut name = file.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        for _ in 0..50 {
            match fs::File::create_new(&path) {
                Ok(_) => return Ok(Self(path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("can't create {}", path.display()));
                }
            }
        }
        bail!(
            "can't lock the kubeconfig: another program has held {} for 5 seconds, or left it behind",
            path.display()
        )
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "apiVersion: v1\nkind: Config\ncontexts:\n- context: {cluster: a, user: a}\n  name: mine\n\
                          current-context: mine # chosen\nclusters:\n- name: a\n  cluster: {server: x}\nusers: []\n";

    #[test]
    fn the_previous_context_is_restored_and_other_lines_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        fs::write(&file, BEFORE).unwrap();
        let kubeconfig = Kubeconfig::locate(file.to_str(), Path::new("/nowhere"));
        let original = kubeconfig.original().unwrap();
        assert_eq!(original.context.as_deref(), Some("mine"));
        fs::write(&file, BEFORE.replace("mine # chosen", "kind-c")).unwrap();
        kubeconfig.restore(&original, "kind-c").unwrap();
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            BEFORE.replace(" # chosen", "")
        );
        assert!(!folder.path().join("config.lock").exists());
    }

    #[test]
    fn a_kubeconfig_that_can_not_be_written_is_reported_before_kind_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (absent, present) = (
            folder.path().join("x/absent"),
            folder.path().join("present"),
        );
        let list = |files: &[&Path]| {
            let list = std::env::join_paths(files).unwrap();
            Kubeconfig::locate(list.to_str(), Path::new("/nowhere"))
        };
        list(&[&absent]).check_writable().unwrap();
        assert_eq!(list(&[&present, &absent]).written_by_kind(), Some(&*absent));
        fs::write(&present, BEFORE).unwrap();
        assert_eq!(
            list(&[&absent, &present]).written_by_kind(),
            Some(&*present)
        );
        list(&[&present]).check_writable().unwrap();
        assert_eq!(fs::read_to_string(&present).unwrap(), BEFORE);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // Nobody, root included, can write to a folder as to a file.
        let error = list(&[folder.path()]).check_writable().unwrap_err();
        assert!(error.downcast_ref::<Problem>().is_some(), "{error:#}");
    }

    #[test]
    fn a_context_that_the_user_chose_later_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        fs::write(&file, BEFORE).unwrap();
        let kubeconfig = Kubeconfig::locate(file.to_str(), Path::new("/nowhere"));
        let original = kubeconfig.original().unwrap();
        let other = BEFORE.replace("mine # chosen", "other");
        fs::write(&file, &other).unwrap();
        kubeconfig.restore(&original, "kind-c").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), other);
    }

    #[test]
    fn a_new_file_and_its_folder_are_removed_only_when_empty() {
        let home = tempfile::tempdir().unwrap();
        let kubeconfig = Kubeconfig::locate(None, home.path());
        let original = kubeconfig.original().unwrap();
        let file = home.path().join(".kube/config");
        fs::create_dir(home.path().join(".kube")).unwrap();
        fs::write(&file, BEFORE).unwrap();
        kubeconfig.restore(&original, "kind-c").unwrap();
        assert!(file.exists(), "it holds a cluster");
        fs::write(
            &file,
            "apiVersion: v1\nkind: Config\ncontexts: null\ncurrent-context: \"\"\n",
        )
        .unwrap();
        kubeconfig.restore(&original, "kind-c").unwrap();
        assert!(!home.path().join(".kube").exists());
    }
}
