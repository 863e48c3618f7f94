//! Step: certs.d folders of earlier settings are gone from nodes. Files that kindreg did not write stay.

use anyhow::{Result, bail};
use async_trait::async_trait;
use futures_util::future::try_join_all;

use crate::archive::Archive;
use crate::docker::DockerError;
use crate::layout;
use crate::observe::{containerd_tree, nodes, running_nodes};
use crate::spec::Spec;
use crate::step::{Ctx, Leaves, State, Step, StepId};

/// The name of the script that removes our files from folders in certs.d, and the folders that are empty then. Its
/// arguments are certs.d and the folders. It prints the paths of what stays.
pub const FORGET_FOLDERS: &str = "kindreg-forget-folders";

/// The script looks at the files itself, so that a node whose files can't be read by kindreg gives them back too. It
/// reads no more than the first bytes of regular files: what a node has there may be anything. A CA beside somebody
/// else's hosts.toml is theirs.
const FORGET_SCRIPT: &str = r#"set -u; cd "$1" 2>/dev/null || exit 0; shift
for folder; do
  [ -d "$folder" ] && [ ! -L "$folder" ] || continue
  hosts="$folder/hosts.toml"
  if [ -f "$hosts" ]; then written="$(head -c 20 "$hosts" | tr -d '\000')"
  elif [ -e "$hosts" ] || [ -L "$hosts" ]; then written=
  else written='# Written by kindreg'; fi
  if [ "$written" = '# Written by kindreg' ]; then
    for name in hosts.toml ca.crt upstream.crt; do [ -d "$folder/$name" ] || rm -f "$folder/$name"; done
  fi
  rmdir "$folder" 2>/dev/null || ls -A "$folder" | sed "s|^|$folder/|"
done"#;

/// The most paths that a note names.
const NAMED: usize = 3;

/// The step that removes certs.d folders of earlier settings from nodes.
#[derive(Debug)]
pub struct RetiredFolders {
    /// The Spec that is wanted.
    pub spec: Spec,
    /// The names of the folders.
    pub folders: Vec<String>,
}

#[async_trait]
impl Step for RetiredFolders {
    fn id(&self) -> StepId {
        StepId::new("node.trust").retired()
    }

    fn title(&self) -> String {
        format!("old node trust ({})", self.folders.join(", "))
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let all = nodes(&*ctx.docker, &self.spec.cluster).await?;
        let trees = all
            .iter()
            .map(|node| containerd_tree(&*ctx.docker, &node.name));
        for (node, tree) in all.iter().zip(try_join_all(trees).await?) {
            let left = |folder: &&String| tree.has_ours(folder);
            if let Some(folder) = self.folders.iter().find(left) {
                return Ok(State::Drifted(format!("{folder} on {}", node.name)));
            }
        }
        Ok(State::Ready)
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        for (node, stays) in remove_folders(ctx, &self.spec, &self.folders).await? {
            let more = stays.len().saturating_sub(NAMED);
            let named = stays[..stays.len() - more].join(", ");
            let more = if more == 0 {
                String::new()
            } else {
                format!(" and {more} more")
            };
            ctx.note(format!(
                "kept on {node}, as kindreg did not write it: {}/{named}{more}",
                layout::NODE_CERTS
            ));
        }
        Ok(())
    }
}

/// Creates a folder with this hosts.toml in certs.d of all nodes.
pub(crate) async fn make_folder(ctx: &Ctx, spec: &Spec, folder: &str, hosts: &str) -> Result<()> {
    let path = format!("etc/containerd/certs.d/{folder}/hosts.toml");
    let archive = Archive::new().file(path, 0o644, hosts.to_owned());
    let archive = archive.into_bytes()?;
    let found = nodes(&*ctx.docker, &spec.cluster).await?;
    let uploads = found
        .iter()
        .map(|node| ctx.docker.upload(&node.name, "/", archive.clone()));
    try_join_all(uploads).await?;
    Ok(())
}

/// Removes our files from folders in certs.d of all running nodes. Returns the nodes where something of these folders
/// stays, each with its paths.
pub(crate) async fn remove_folders(
    ctx: &Ctx,
    spec: &Spec,
    folders: &[String],
) -> Result<Vec<(String, Vec<String>)>> {
    let mut command = vec![
        "sh",
        "-c",
        FORGET_SCRIPT,
        FORGET_FOLDERS,
        layout::NODE_CERTS,
    ];
    command.extend(folders.iter().map(String::as_str));
    let found = running_nodes(&*ctx.docker, &spec.cluster).await?;
    let removals = found.iter().map(|node| async {
        let output = match ctx.docker.exec(&node.name, &command, &[]).await {
            Ok(output) => output,
            // A node that was removed meanwhile has nothing left.
            Err(DockerError::Missing { .. }) => return Ok((node.name.clone(), Vec::new())),
            Err(error) => return Err(error.into()),
        };
        if output.code != 0 {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "can't remove old certs.d folders on node {}: {}",
                node.name,
                said.trim()
            );
        }
        let stays = String::from_utf8_lossy(&output.stdout);
        let stays = stays.lines().map(str::to_owned).collect();
        Ok((node.name.clone(), stays))
    });
    let mut stay = try_join_all(removals).await?;
    stay.retain(|(_, paths)| !paths.is_empty());
    Ok(stay)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Runs the script in a real shell. Returns what it says stays.
    fn forget(certs: &Path, folders: &[&str]) -> String {
        let certs = certs.to_str().unwrap();
        let command = Command::new("sh")
            .args(["-c", FORGET_SCRIPT, FORGET_FOLDERS, certs])
            .args(folders)
            .output();
        let output = command.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    }

    fn files(certs: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = certs.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn ours_go_with_the_empty_folder_and_those_of_others_stay() {
        let certs = tempfile::tempdir().unwrap();
        let certs = certs.path();
        let ours = "# Written by kindreg. Root keys are for the server\n";
        files(
            certs,
            &[
                ("ours:1/hosts.toml", ours),
                ("ours:1/ca.crt", "CA"),
                ("ours:1/upstream.crt", "CA"),
                ("mixed:1/hosts.toml", ours),
                ("mixed:1/ca.crt", "CA"),
                ("mixed:1/client cert", "theirs"),
                ("theirs:1/hosts.toml", "server = \"https://theirs\""),
                ("theirs:1/ca.crt", "their CA"),
                ("half:1/ca.crt", "CA"),
                ("folder:1/ca.crt/inside", "theirs"),
                ("other:1/hosts.toml", ours),
            ],
        );
        std::fs::create_dir(certs.join("empty:1")).unwrap();
        std::os::unix::fs::symlink(certs.join("other:1"), certs.join("link:1")).unwrap();
        let all = [
            "ours:1", "mixed:1", "theirs:1", "half:1", "folder:1", "empty:1", "link:1", "absent",
        ];
        let stays = forget(certs, &all);
        let expected =
            "mixed:1/client cert\ntheirs:1/ca.crt\ntheirs:1/hosts.toml\nfolder:1/ca.crt\n";
        assert_eq!(stays, expected);
        let mut left: Vec<_> = std::fs::read_dir(certs)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            ["folder:1", "link:1", "mixed:1", "other:1", "theirs:1"]
        );
        assert!(
            certs.join("other:1/hosts.toml").exists(),
            "a link is not followed"
        );
        assert_eq!(forget(certs, &all), expected, "again");
        assert_eq!(forget(&certs.join("absent"), &all), "");
    }

    #[test]
    fn a_hosts_toml_that_is_no_regular_file_is_not_read() {
        let certs = tempfile::tempdir().unwrap();
        let certs = certs.path();
        std::fs::create_dir_all(certs.join("fifo:1")).unwrap();
        let made = Command::new("mkfifo")
            .arg(certs.join("fifo:1/hosts.toml"))
            .status();
        assert!(made.unwrap().success());
        files(
            certs,
            &[("loop:1/ca.crt", "theirs"), ("zero:1/ca.crt", "theirs")],
        );
        std::os::unix::fs::symlink("hosts.toml", certs.join("loop:1/hosts.toml")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", certs.join("zero:1/hosts.toml")).unwrap();
        let stays = forget(certs, &["fifo:1", "loop:1", "zero:1"]);
        let expected = "fifo:1/hosts.toml\nloop:1/ca.crt\nloop:1/hosts.toml\nzero:1/ca.crt\nzero:1/hosts.toml\n";
        assert_eq!(stays, expected);
    }
}
