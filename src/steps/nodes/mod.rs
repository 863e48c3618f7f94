//! Steps in nodes: containers, trust, credentials, `/etc/hosts`, and containerd's configuration.

use anyhow::Result;

use crate::docker::DockerError;
use crate::observe::Flaw;
use crate::problem::Problem;

mod config_path;
mod containers;
mod credentials;
mod folders;
mod hosts;
mod kubelet;
mod names;
mod per_node;
mod trust;

pub use config_path::ConfigPath;
#[cfg(any(test, feature = "fakes"))]
pub use config_path::RECONFIGURE;
pub use containers::Nodes;
pub(crate) use credentials::domains as password_domains;
pub use credentials::{NodeCredentials, RetiredCredentials};
#[cfg(any(test, feature = "fakes"))]
pub use folders::FORGET_FOLDERS;
pub use folders::RetiredFolders;
pub(crate) use folders::{make_folder, remove_folders};
pub use hosts::NodeHosts;
#[cfg(any(test, feature = "fakes"))]
pub use hosts::{FORGET_HOSTS, KEEP_HOSTS};
#[cfg(any(test, feature = "fakes"))]
pub use kubelet::{HAND_OVER, REVOKE};
pub use names::RegistryNames;
pub(crate) use per_node::{PerNode, difference};
pub use trust::NodeTrust;

/// Refuses settings of a node that kindreg did not write, and that only the user can remove.
fn foreign_settings(node: &str, flaws: &[Flaw]) -> Result<()> {
    let foreign = flaws
        .iter()
        .filter_map(|flaw| Some((flaw, flaw.by_hand(node)?)));
    let foreign: Vec<(&Flaw, String)> = foreign.collect();
    let Some((_, hint)) = foreign.first() else {
        return Ok(());
    };
    let named: Vec<String> = foreign.iter().map(|(flaw, _)| flaw.to_string()).collect();
    Err(Problem::foreign(
        format!(
            "node {node} has registry settings that are not kindreg's: {}",
            named.join(", ")
        ),
        hint,
    )
    .into())
}

/// Returns the result of an undo on one node. A node that was removed meanwhile has nothing left to undo.
fn unless_removed(undone: Result<()>) -> Result<()> {
    match undone {
        Err(error) if !matches!(error.downcast_ref(), Some(DockerError::Missing { .. })) => {
            Err(error)
        }
        _ => Ok(()),
    }
}
