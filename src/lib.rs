//! kindreg takes a machine with a Docker engine to a kind cluster in which every node pulls from a private registry
//! over verified TLS, proves it by a pod on each node, and leaves the machine as it found it.
//!
//! It is a list of idempotent steps over three ports:
//!
//! - a [`spec::Spec`] says what is wanted; everything derivable from it ([`layout`], [`render`]) is computed by pure
//!   functions before anything happens;
//! - a [`step::Step`] can check, apply and undo one thing; the [`plan`] is the literal list of them;
//! - the [`engine`] alone knows order, concurrency, dry run, roll-back and Ctrl-C; it emits events, [`ui`] draws them;
//! - the ports are [`docker`], [`kind`] and [`kube`], each with a fake beside the real thing, and a [`trace`] around it
//!   for `-v`.
//!
//! What the error texts of engines, nodes and registries mean is decided in one place, [`symptoms`].
//!
//! There is no state file: labels and derived names in the Docker engine are the only state.
//!
//! The walk of `kindreg up`: [`cli`] makes a Spec and connects → [`plan::plan`] → all checks at once; with nothing to
//! do that was all → images → lock → record and network → node containers beside certificate and registry → trust of
//! nodes and of the engine's host while kubeadm works → cluster → `ConfigMap` and proof.

pub mod archive;
pub mod cli;
pub mod credentials;
pub mod docker;
pub mod doctor;
pub mod engine;
pub mod kind;
pub mod kube;
pub mod kubeconfig;
pub mod layout;
pub mod lock;
pub mod login;
mod nonce;
pub mod oci;
pub mod pki;
pub mod plan;
pub mod ports;
pub mod problem;
pub mod pull_secret;
pub mod registry;
pub mod render;
pub mod report;
pub mod rotation;
pub mod spec;
pub mod step;
pub mod steps;
pub mod sweep;
pub mod symptoms;
pub mod trace;
pub mod ui;
mod user_file;
pub mod variables;
