//! A step: one idempotent change with check, apply and undo; and what steps work with.
//!
//! The laws, which one generic test holds every step to: `check` changes nothing; after `apply`, `check` returns Ready;
//! after `undo`, it returns Missing; `undo` twice is Ok. Steps never print, and know nothing of order or dry runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::credentials::RegistryCredentials;
use crate::docker::Docker;
use crate::docker::read_cache::ReadCache;
use crate::kind::{Creation, Kind};
use crate::kube::Kube;
use crate::kubeconfig::Kubeconfig;
use crate::spec::RegistryName;
use crate::trace::Trace;
use crate::verdict::{Verdicts, Verified};

/// The identity of a step, which stays the same when its title changes: `node.trust`, `registry.service/main`.
///
/// Part of the program's interface: `--json` and `--events json` have it, and tests name steps by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId(String);

impl StepId {
    /// A step of which a plan has one.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Self(kind.to_owned())
    }

    /// A step of which a plan has one for each object (`registry.service` of `main`).
    #[must_use]
    pub fn of(kind: &'static str, object: impl fmt::Display) -> Self {
        Self(format!("{kind}/{object}"))
    }

    /// The step that removes what this one left behind from earlier settings.
    #[must_use]
    pub fn retired(&self) -> Self {
        Self(format!("retired.{}", self.0))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is as it should be.
    Ready,
    /// It is missing.
    Missing,
    /// It is there, and differs; why.
    Drifted(String),
}

impl State {
    /// Returns what differs, where something does.
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
    /// It does, and removing it is worth an event.
    Something,
    /// It only waits, or what it makes may stay.
    Nothing,
}

/// One idempotent change.
#[async_trait]
pub trait Step: fmt::Debug + Send + Sync {
    /// Returns its identity.
    fn id(&self) -> StepId;
    /// Returns what it makes, as a short noun phrase that is the same in every state ("registry container").
    fn title(&self) -> String;
    /// Returns whether it makes something that has to be undone.
    fn leaves(&self) -> Leaves {
        Leaves::Something
    }
    /// Looks, and changes nothing. An object that has our name and isn't ours is an error; an absent predecessor is
    /// `Missing`.
    async fn check(&self, ctx: &Ctx) -> Result<State>;
    /// Goes from `Missing` or `Drifted` to `Ready`.
    async fn apply(&self, ctx: &Ctx) -> Result<()>;
    /// Goes back to `Missing`; gone already is `Ok`. Nothing to do for a step that leaves nothing.
    async fn undo(&self, _: &Ctx) -> Result<()> {
        Ok(())
    }
}

/// Steps in order, each needing those before it.
pub type Lane = Vec<Box<dyn Step>>;

/// Lanes that may run side by side.
#[derive(Debug)]
pub struct Stage {
    /// The lanes.
    pub lanes: Vec<Lane>,
}

/// A use case as a list of steps, in order.
#[derive(Debug)]
pub struct Plan {
    /// Harmless steps that come before the lock, which itself needs an image.
    pub images: Stage,
    /// All others.
    pub stages: Vec<Stage>,
}

impl Plan {
    /// A plan without images to get first.
    #[must_use]
    pub const fn of(stages: Vec<Stage>) -> Self {
        let images = Stage { lanes: Vec::new() };
        Self { images, stages }
    }

    /// Returns all steps in order.
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

/// A step was not tried, as one that it needs has failed; never the reason for a failure.
#[derive(Debug, thiserror::Error)]
#[error("not tried, as an earlier step failed")]
pub struct Skipped;

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
    /// What proofs came to in this run.
    verdicts: Arc<Mutex<BTreeMap<RegistryName, Verified>>>,
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

/// Takes what steps wait for.
#[derive(Clone)]
pub struct Notes(Arc<dyn Fn(String) + Send + Sync>);

impl Notes {
    /// Notes that go to `listener`.
    pub fn to(listener: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notes")
    }
}

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
            verdicts: Arc::default(),
            own_credentials: None,
            external_credentials: BTreeMap::new(),
            upstream_credentials: BTreeMap::new(),
            trace: Trace::default(),
            notes,
        }
    }

    /// The same for another plan: what this run made and proved is forgotten.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self {
            proof_images: Arc::default(),
            verdicts: Arc::default(),
            ..self.clone()
        }
    }

    /// The same, with another time limit for each wait.
    #[must_use]
    pub fn patient_for(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// The same, stopped by another token.
    #[must_use]
    pub fn stopped_by(&self, stop: CancellationToken) -> Self {
        Self {
            stop,
            ..self.clone()
        }
    }

    /// Returns what the proofs of a registry came to in this run.
    pub async fn verified(&self, registry: &RegistryName) -> Verified {
        let verdicts = self.verdicts.lock().await;
        verdicts.get(registry).cloned().unwrap_or_default()
    }

    /// Notes what pulls that must work came to.
    pub async fn note_pulls(&self, registry: &RegistryName, verdicts: Verdicts) {
        let mut all = self.verdicts.lock().await;
        all.entry(registry.clone()).or_default().pulls = Some(verdicts);
    }

    /// Notes what pulls without the registry's CA came to.
    pub async fn note_refusals(&self, registry: &RegistryName, verdicts: Verdicts) {
        let mut all = self.verdicts.lock().await;
        all.entry(registry.clone()).or_default().without_ca = Some(verdicts);
    }

    /// Says what is being waited for.
    pub fn note(&self, text: impl Into<String>) {
        (self.notes.0)(text.into());
    }

    /// Awaits `work`, or ends with [`Stopped`] when the run is to stop.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.stop
            .run_until_cancelled(work)
            .await
            .ok_or_else(|| Stopped.into())
    }

    /// Asks again and again, with a pause in between, until there is an answer or [`Ctx::patience`] is over.
    ///
    /// # Errors
    /// What `ask` fails with, or [`Stopped`].
    pub async fn poll<T, F>(
        &self,
        pause: Duration,
        mut ask: impl FnMut() -> F + Send,
    ) -> Result<Polled<T>>
    where
        F: Future<Output = Result<Option<T>>> + Send,
    {
        let start = Instant::now();
        loop {
            if let Some(answer) = self.unless_stopped(ask()).await?? {
                return Ok(Polled::Answer(answer));
            }
            if start.elapsed() >= self.patience {
                return Ok(Polled::TimedOut);
            }
            self.unless_stopped(tokio::time::sleep(pause)).await?;
        }
    }

    /// Ends a `kind create` that is still running, in good order: what it asked of the engine is done by then.
    pub async fn end_creation(&self) {
        let creation = self.creation.lock().await.take();
        if let Some(mut creation) = creation {
            creation.abort().await;
        }
    }

    /// The same, for one round of checks: equal questions are asked once, and nothing can be written.
    #[must_use]
    pub fn reading(&self) -> Self {
        let docker = Arc::new(ReadCache::new(Arc::clone(&self.docker)));
        Self {
            docker,
            ..self.clone()
        }
    }
}

/// What repeated questions came to.
#[derive(Debug)]
pub enum Polled<T> {
    /// There was an answer in time.
    Answer(T),
    /// There was none in [`Ctx::patience`].
    TimedOut,
}
