//! Use cases, callable from a library: options in, report out, events on the way.
//!
//! Nothing here parses a command line, prints, installs a signal handler or ends the process. Questions go to the
//! [`User`] that an operation is handed.

use anyhow::{Error, Result};

use crate::observe::{RecordedSpec, recorded, refuse_foreign_cluster};
use crate::problem::Problem;
use crate::spec::ClusterName;

mod certificates;
mod client;
mod clock;
mod consent;
mod credentials;
mod down;
mod env;
mod helper;
mod host_proof;
mod list;
mod login;
mod new_cluster;
pub(crate) mod ports;
mod render;
mod rotate;
mod secret;
mod settings;
mod status;
mod up;
mod user;
mod verify;

pub use client::{Client, Connection};
pub use consent::{Consent, Question};
pub use credentials::OwnPassword;
pub use down::{clusters, down, removals};
pub use env::{EnvOptions, Written, env};
#[cfg(any(test, feature = "fakes"))]
pub(crate) use helper::TRY;
pub use list::list;
pub use login::{login, logout};
pub use render::render;
pub use rotate::{preview_rotation, rotate};
pub use secret::{Namespaces, SecretOptions, manifests, secret};
pub use settings::{FILE, Need, Sources, settings};
#[cfg(feature = "cli")]
pub(crate) use status::UNCHANGEABLE;
pub use status::status;
pub use up::{AfterFailure, UpOptions, preview, up};
pub use user::{Nobody, User};
pub use verify::{preview_verification, verify};

pub use crate::kube::name::{Namespace, ObjectName};
pub use crate::plan::{Negative, Verify};
pub use crate::trace::Detail;
pub use crate::variables::{Format, Prefix, Secrets};

/// The outcome of an operation: its report, and what failed beside it.
#[derive(Debug)]
pub struct Finished<T> {
    /// The report; it is right even if there is a failure.
    pub report: T,
    /// What failed.
    pub failure: Option<Error>,
}

impl<T> Finished<T> {
    const fn without_failure(report: T) -> Self {
        Self {
            report,
            failure: None,
        }
    }
}

/// Returns the record of a cluster.
///
/// # Errors
/// There is no such cluster, its record can't be read, or the kind cluster of that name is not ours.
async fn existing(client: &Client, cluster: &ClusterName) -> Result<RecordedSpec> {
    let found = existing_record(client, cluster).await?;
    refuse_foreign_cluster(client.docker(), cluster).await?;
    Ok(found)
}

/// Returns the record of a cluster, for what touches neither nodes nor the Kubernetes API.
///
/// # Errors
/// There is no such cluster, or its record can't be read.
async fn existing_record(client: &Client, cluster: &ClusterName) -> Result<RecordedSpec> {
    if let Some(found) = recorded(client.docker(), cluster).await? {
        return Ok(found);
    }
    let problem = if removals(client, cluster).await?.removes.is_empty() {
        Problem::not_ready(
            format!("no kindreg cluster named {cluster}"),
            format!("run: kindreg up --name {cluster}, or list the clusters: kindreg list"),
        )
    } else {
        Problem::not_ready(
            format!("the record of cluster {cluster} is missing"),
            format!("run: kindreg down --name {cluster}"),
        )
    };
    Err(problem.into())
}
