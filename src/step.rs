//! A step: one idempotent change with check, apply and undo; and what steps work with.
//!
//! The laws, which one generic test holds every step to: `check` changes nothing; after `apply`, `check` says Ready;
//! after `undo`, it says Missing; `undo` twice is Ok. Steps never print, and know nothing of order or dry runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::credentials::RegistryCredentials;
use crate::docker::Docker;
use crate::docker::round::OneRound;
use crate::kind::{Creation, Kind};
use crate::kube::Kube;
use crate::kubeconfig::Kubeconfig;
use crate::spec::RegistryName;
use crate::trace::Trace;

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Ready,
    /// Not there.
    Missing,
    /// There, and different; why.
    Drifted(String),
}

impl State {
    /// What is different, where something is.
    #[must_use]
    pub fn why(self) -> Option<String> {
        match self {
            Self::Ready | Self::Missing => None,
            Self::Drifted(why) => Some(why),
        }
    }
}

/// Whether a step makes something that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// It does, and undoing it is something to tell.
    Something,
    /// It only waits, or what it makes may stay.
    Nothing,
}

/// One idempotent change.
#[async_trait]
pub trait Step: Send + Sync {
    /// What it makes, as a noun ("registry container kindreg-registry").
    fn title(&self) -> String;
    /// Whether it makes something that is to be undone.
    fn leaves(&self) -> Leaves {
        Leaves::Something
    }
    /// Looks, and changes nothing. A thing that has our name and isn't ours is an error; an absent predecessor is
    /// `Missing`.
    async fn check(&self, ctx: &Ctx) -> Result<State>;
    /// Goes from `Missing` or `Drifted` to `Ready`.
    async fn apply(&self, ctx: &Ctx) -> Result<()>;
    /// Goes back to `Missing`; gone already is `Ok`.
    async fn undo(&self, ctx: &Ctx) -> Result<()>;
}

/// Steps in order, each needing those before it.
pub type Lane = Vec<Box<dyn Step>>;

/// Lanes that may run side by side.
#[expect(
    missing_debug_implementations,
    reason = "a step shows itself by its title"
)]
pub struct Stage {
    /// The lanes.
    pub lanes: Vec<Lane>,
}

/// Everything that `up` makes, in order.
#[expect(
    missing_debug_implementations,
    reason = "a step shows itself by its title"
)]
pub struct Plan {
    /// Harmless steps that come before the lock, which itself needs an image.
    pub images: Stage,
    /// All others.
    pub stages: Vec<Stage>,
}

impl Plan {
    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &dyn Step> {
        std::iter::once(&self.images)
            .chain(&self.stages)
            .flat_map(|stage| stage.lanes.iter().flatten())
            .map(AsRef::as_ref)
    }
}

/// A wait was cut short because the run is being stopped; never the reason why it is.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// What steps work with.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The Docker engine.
    pub docker: Arc<dyn Docker>,
    /// The kind program.
    pub kind: Arc<dyn Kind>,
    /// The cluster's Kubernetes API.
    pub kube: Arc<dyn Kube>,
    /// The user's kubeconfig.
    pub kubeconfig: Kubeconfig,
    /// Longest time that one wait may take.
    pub patience: Duration,
    /// Cancelled when the run is to stop; waits end with [`Stopped`].
    pub stop: CancellationToken,
    /// The `kind create` of this run, while it is at work.
    pub creation: Arc<Mutex<Option<Box<dyn Creation>>>>,
    /// Registries that have a proof image of this run's, and its name after the domain.
    pub proof_images: Arc<Mutex<BTreeMap<RegistryName, String>>>,
    /// Credentials of the user's own choice, for registries that ask for a password.
    pub own_credentials: Option<RegistryCredentials>,
    /// The user's credentials for registries that kindreg does not run, so far as they are at hand.
    pub external_credentials: BTreeMap<RegistryName, RegistryCredentials>,
    /// The user's credentials for the registries that caches are caches of, by the cache, so far as variables hold them.
    pub upstream_credentials: BTreeMap<RegistryName, RegistryCredentials>,
    /// Tells what is done; nobody listens unless asked to.
    pub trace: Trace,
    notes: Notes,
}

/// Where a step says that it waits for something; the engine draws it.
pub type Notes = tokio::sync::mpsc::UnboundedSender<String>;

impl Ctx {
    /// A context over these ports. `notes` gets what steps wait for.
    pub fn new(
        docker: Arc<dyn Docker>,
        kind: Arc<dyn Kind>,
        kube: Arc<dyn Kube>,
        kubeconfig: Kubeconfig,
        notes: Notes,
    ) -> Self {
        Self {
            docker,
            kind,
            kube,
            kubeconfig,
            patience: Duration::from_secs(300),
            stop: CancellationToken::new(),
            creation: Arc::default(),
            proof_images: Arc::default(),
            own_credentials: None,
            external_credentials: BTreeMap::new(),
            upstream_credentials: BTreeMap::new(),
            trace: Trace::default(),
            notes,
        }
    }

    /// Says what is being waited for.
    pub fn note(&self, text: impl Into<String>) {
        // Nobody listening is fine: a harness may not care.
        let _ = self.notes.send(text.into());
    }

    /// Awaits `work`, or ends with [`Stopped`] when the run is to stop.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.stop
            .run_until_cancelled(work)
            .await
            .ok_or_else(|| Stopped.into())
    }

    /// Sleeps, or ends with [`Stopped`] when the run is to stop.
    pub async fn pause(&self, time: Duration) -> Result<()> {
        self.unless_stopped(tokio::time::sleep(time)).await
    }

    /// Ends a `kind create` that is still at work, in good order: what it asked of the engine is done by then.
    pub async fn end_creation(&self) {
        let creation = self.creation.lock().await.take();
        if let Some(mut creation) = creation {
            creation.abort().await;
        }
    }

    /// The same, for one round of checks: equal questions are asked once, and nothing can be written.
    #[must_use]
    pub fn reading(&self) -> Self {
        let docker = Arc::new(OneRound::of(Arc::clone(&self.docker)));
        Self {
            docker,
            ..self.clone()
        }
    }
}
