//! Reads of the engine, the nodes and the registries' volumes. Nothing in this folder may write, wait or print.
//!
//! Every read fails if the engine does not answer. A read that only one step needs is in that step's file.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;

use crate::archive;

mod configuration;
mod copies;
mod files;
mod first_push;
mod flaws;
mod host;
mod left;
mod nodes;
mod ownership;
mod passwords;
mod proof;
mod readiness;
mod record;
mod secrets;
mod started;
mod trust;

pub use configuration::setting_flaws;
pub use copies::{COPY_FILE, Carrier, carriers, copy_text};
pub(crate) use files::{file, folder};
pub use first_push::{
    FIRST_PUSHES, FirstPushNote, FirstPushNow, first_push_now, first_pushes, obstacle,
};
pub use flaws::{Flaw, flaws, trust_flaws};
pub use host::on_host;
#[cfg(feature = "fakes")]
pub use left::left;
pub use left::{Object, Recovered, clusters, recovered, removal};
pub use nodes::{
    Tree, containerd_tree, is_kind_container, is_load_balancer, kind_containers, node_names, nodes,
    nodes_and_balancer, our_kind_containers, running_nodes,
};
pub use ownership::{ClusterOwner, foreign, mixed, our_container, owns, refuse_foreign_cluster};
pub use passwords::{AtHand, Held, Passwords, credentials_of, kubelet_configs, missing, passwords};
pub(crate) use passwords::{Wanted, wanted};
pub use proof::{REFUSED, note_path, proven_nodes, refused, subject};
pub use readiness::{Readiness, readiness};
pub use record::{Place, RECORD_FILE, RecordedSpec, StoredRecord, UnknownRecord, recorded, stored};
pub use secrets::{ca, identity, secret_files, stored_users};
#[cfg(any(test, feature = "fakes"))]
pub use started::CHANGED_SINCE_START;
pub(crate) use started::unread_changes;
pub use trust::{expected_files, expected_files_of};

/// Returns the regular files in a tar archive of `folder`, by their path relative to it.
///
/// # Errors
/// The archive can't be read, or is larger than kindreg's limit.
pub fn below(tar: &[u8], folder: &str) -> Result<BTreeMap<String, Bytes>> {
    let prefix = format!("{folder}/");
    let files = archive::files(tar)?.into_iter();
    let below = files.filter_map(|(path, file)| {
        let path = path.strip_prefix(&prefix)?;
        Some((path.to_owned(), file.content))
    });
    Ok(below.collect())
}
