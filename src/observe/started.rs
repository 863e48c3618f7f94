//! Reads whether a node's containerd runs with the configuration that its files show. Changes nothing.
//!
//! containerd reads its configuration when it starts, and only certs.d at each pull:
//! <https://github.com/containerd/containerd/blob/main/docs/hosts.md>

use anyhow::Result;

use super::Flaw;
use crate::docker::Docker;

/// The name of the script that prints the files of containerd's configuration that are newer than its process.
pub const CHANGED_SINCE_START: &str = "kindreg-changed-since-start";

/// Imported files may have any name, so all of the folder count. The time of the last change of the file itself (ctime) counts, because a file that is moved or restored keeps its
/// time of modification. systemd prints whole seconds, and kind writes the configuration and restarts containerd in
/// the same one, so only files of later seconds are newer.
const CHANGED_SINCE_START_SCRIPT: &str = r#"set -eu
started=$(systemctl show --timestamp=unix --property=ExecMainStartTimestamp --value containerd)
case $started in @?*) ;; *) echo 'systemd does not know when containerd started' >&2; exit 1;; esac
find /etc/containerd -path /etc/containerd/certs.d -prune -o -type f -newerct "@$((${started#@} + 1))" -print"#;

/// Returns the configuration files of a node that changed after its containerd had started, as flaws.
///
/// # Errors
/// The engine does not answer.
pub async fn unread_changes(docker: &dyn Docker, node: &str) -> Result<Vec<Flaw>> {
    let command = ["sh", "-c", CHANGED_SINCE_START_SCRIPT, CHANGED_SINCE_START];
    let said = docker.exec(node, &command, b"").await?;
    if said.code != 0 {
        let why = String::from_utf8_lossy(&said.stderr);
        return Ok(vec![Flaw::UnknownStart(why.trim().to_owned())]);
    }
    let paths = String::from_utf8_lossy(&said.stdout);
    let paths = paths.lines().filter(|path| !path.is_empty());
    Ok(paths.map(|path| Flaw::NotRead(path.to_owned())).collect())
}
