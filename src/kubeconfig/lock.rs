//! The lock that kubectl, kind and kindreg take before they write a kubeconfig.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The lock that kubectl and kind take on a kubeconfig: a file beside it, created exclusively
/// (<https://github.com/kubernetes/client-go/blob/master/tools/clientcmd/config.go>, `lockFile`).
pub(super) struct FileLock(PathBuf);

impl FileLock {
    pub(super) fn take(file: &Path) -> Result<Self> {
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
