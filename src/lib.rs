//! kindreg creates a kind cluster in which every node pulls from a private registry over verified TLS, and proves it
//! with a pod on each node. `kindreg down` leaves the machine as it was.
//!
//! The program is a list of idempotent steps over three ports:
//!
//! - a [`spec::Spec`] says what is wanted; pure functions derive names and texts from it before anything happens;
//! - a step checks, applies and undoes one thing; a plan is the literal list of steps of one use case;
//! - the engine alone knows order, concurrency, dry run, roll-back and cancellation; it emits [`events::Event`]s;
//! - an operation of [`ops`] is one use case: it takes options and returns a [`report`];
//! - the ports are Docker, kind and Kubernetes, each with a real and a fake implementation.
//!
//! One module, `symptoms`, decides what the error texts of engines, nodes and registries mean.
//!
//! There is no state file: labels and derived names in the Docker engine are the only state.
//!
//! `kindreg up` runs in this order: settings → [`ops::up`] → consent → plan → all checks at once (it stops here if
//! there is nothing to do) → images → lock → record and network → node containers beside certificate and registry →
//! trust of the nodes and of the engine's host while kubeadm runs → cluster → `ConfigMap` and proof.
//!
//! # Example
//!
//! A test harness that brings a cluster up, asks where to push, and takes it down again. It runs on a machine in memory
//! (feature `fakes`); on a real one the client is `Client::connect(&Connection::from_environment()).await?`.
//!
//! ```
//! use kindreg::ops::{self, Client, Nobody, UpOptions};
//! use kindreg::spec::request::Request;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let machine = kindreg::fakes::Machine::new()?;
//! let client: Client = machine.client().with_listener(|event| drop(event));
//!
//! let request = Request::default(); // what an empty kindreg.toml asks for
//! let up = ops::up(&client, &request, &UpOptions::default(), &Nobody).await?;
//! let registry = &up.report.registries[0];
//! assert_eq!(registry.local.as_deref(), Some("localhost:5001")); // where docker pushes
//! assert_eq!(registry.domain, "registry.test:5001"); // what pods pull
//!
//! let cluster = request.cluster.value;
//! assert!(ops::down(&client, &cluster).await?.report.changed);
//! assert!(ops::list(&client).await?.is_empty());
//! # Ok(())
//! # }
//! ```

pub mod ops;
pub mod report;
pub mod spec;

/// The events that an operation emits while it runs.
pub mod events {
    pub use crate::engine::{Event, StepEvent};
    pub use crate::step::StepId;
}

/// The errors of operations, with hints and exit codes.
pub mod errors {
    pub use crate::hints::{exit, hint, symptom};
    pub use crate::problem::{Exit, Problem, Several, find};
    pub use crate::symptoms::{Code, Meaning, Origin, Symptom, Waiting};
}

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "fakes")]
pub mod fakes;
#[cfg(feature = "fakes")]
#[doc(hidden)]
pub mod internal;

mod archive;
mod credentials;
mod docker;
mod engine;
mod hints;
mod home;
mod kind;
mod kube;
mod kubeconfig;
mod layout;
mod lock;
mod login;
mod nonce;
mod observe;
mod oci;
mod own_container;
mod pki;
mod plan;
mod problem;
mod programs;
mod registry;
mod render;
mod shell;
mod step;
mod steps;
mod symptoms;
mod trace;
#[cfg(feature = "cli")]
mod ui;
mod user_file;
mod variables;
mod verdict;
