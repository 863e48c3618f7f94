//! The [`Step`] trait (one idempotent change with check, apply and undo), plans of steps, and the context of steps.
//!
//! One generic test holds every step to these laws: `check` changes nothing; after `apply`, `check` returns Ready;
//! after `undo`, it returns Missing; a second `undo` succeeds. Steps never print, and know nothing of order or dry
//! runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::credentials::RegistryCredentials;
use crate::docker::limited::{GRACE, Limited, Limits};
use crate::docker::read_cache::ReadCache;
use crate::docker::{Docker, DockerError};
use crate::kind::{Creation, Kind};
use crate::kube::Kube;
use crate::kubeconfig::Kubeconfig;
use crate::pki::Identity;
use crate::spec::{OwnCertificate, RegistryName};
use crate::trace::Trace;
use crate::verdict::{FirstPush, Verdicts, Verified};

/// The stable identity of a step, such as `node.trust` or `registry.service/main`. It stays when the title changes.
///
/// Part of the program's interface: `--json` and `--events json` show it, and tests name steps by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId(String);

impl StepId {
    /// Returns the id of a step that a plan has once.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Self(kind.to_owned())
    }

    /// Returns the id of a step that a plan has once for each object (`registry.service/main`).
    #[must_use]
    pub fn of(kind: &'static str, object: impl fmt::Display) -> Self {
        Self(format!("{kind}/{object}"))
    }

    /// Returns the id of the step that removes what this one made for earlier settings.
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

/// The state that a step's check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The object is as it should be.
    Ready,
    /// The object does not exist.
    Missing,
    /// The object exists and differs, with the difference in words.
    Drifted(String),
}

impl State {
    /// Returns the difference of a drifted object; `None` in the other states.
    #[must_use]
    pub fn why(self) -> Option<String> {
        match self {
            Self::Ready | Self::Missing => None,
            Self::Drifted(why) => Some(why),
        }
    }
}

/// Whether a step makes something that has to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// The step makes something that `undo` removes.
    Something,
    /// The step only waits, or what it makes may stay.
    Nothing,
}

/// One idempotent change.
#[async_trait]
pub trait Step: fmt::Debug + Send + Sync {
    /// Returns the step's identity.
    fn id(&self) -> StepId;
    /// Returns what the step makes, as a short noun phrase that is the same in every state ("registry container").
    fn title(&self) -> String;
    /// Returns whether the step makes something that has to be undone.
    fn leaves(&self) -> Leaves {
        Leaves::Something
    }
    /// Returns the state of the object, and changes nothing. If an object that it depends on is missing, the state is
    /// `Missing`.
    ///
    /// # Errors
    /// An object has our name and is not ours, or the engine, a node or the API can't be read.
    async fn check(&self, ctx: &Ctx) -> Result<State>;
    /// Brings the object from `Missing` or `Drifted` to `Ready`.
    ///
    /// # Errors
    /// The reason why the object can't be made or repaired; [`Stopped`] if the run is being stopped.
    async fn apply(&self, ctx: &Ctx) -> Result<()>;
    /// Removes the object. If it is already missing, this succeeds. The default does nothing.
    ///
    /// # Errors
    /// The reason why the object can't be removed.
    async fn undo(&self, _: &Ctx) -> Result<()> {
        Ok(())
    }
}

/// Steps in order. Each may depend on those before it.
pub type Lane = Vec<Box<dyn Step>>;

/// Lanes that run at the same time.
#[derive(Debug)]
pub struct Stage {
    /// The lanes; none depends on another.
    pub lanes: Vec<Lane>,
}

/// The steps of one use case, as a list of stages.
#[derive(Debug)]
pub struct Plan {
    /// The stage that pulls images. It runs before the lock, which needs an image itself.
    pub images: Stage,
    /// All other stages, in order.
    pub stages: Vec<Stage>,
}

impl Plan {
    /// Returns a plan that pulls no images.
    #[must_use]
    pub const fn of(stages: Vec<Stage>) -> Self {
        let images = Stage { lanes: Vec::new() };
        Self { images, stages }
    }

    /// Returns all steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &dyn Step> {
        std::iter::once(&self.images)
            .chain(&self.stages)
            .flat_map(|stage| stage.lanes.iter().flatten())
            .map(AsRef::as_ref)
    }
}

/// The error of a wait that ended because the run is being stopped. It is never the reason for the stop.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// The error of a step that was skipped because an earlier one failed. It is never the reason for a failure.
#[derive(Debug, thiserror::Error)]
#[error("skipped because an earlier step failed")]
pub struct Skipped;

/// The proof image of this run in one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofImageIn {
    /// It is being put there, or that failed: the registry may have it or not.
    Unsure,
    /// The registry has it, under this name without a domain.
    Named(String),
}

/// The context of steps: ports, limits, credentials, and what this run has made so far.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The Docker engine. Its calls end with [`Ctx::patience`], and soon after the run is stopped.
    pub docker: Arc<dyn Docker>,
    /// The same engine, whose calls may take for ever.
    engine: Arc<dyn Docker>,
    /// The kind program.
    pub kind: Arc<dyn Kind>,
    /// The cluster's Kubernetes API.
    pub kube: Arc<dyn Kube>,
    /// The user's kubeconfig.
    pub kubeconfig: Kubeconfig,
    /// The longest time that one wait may take.
    pub patience: Duration,
    /// How long a call to the engine may go on after the run was stopped.
    pub grace: Duration,
    /// The token that stops the run: once it is cancelled, waits end with [`Stopped`].
    pub stop: CancellationToken,
    /// Cancelled once the run has lost its lock. Another run may use the same names by then, so this one leaves behind
    /// what it made.
    pub lost: CancellationToken,
    /// The `kind create cluster` of this run, while it runs.
    pub creation: Arc<Mutex<Option<Box<dyn Creation>>>>,
    /// The proof images of this run, by registry.
    pub proof_images: Arc<Mutex<BTreeMap<RegistryName, ProofImageIn>>>,
    /// The results of this run's proofs.
    verdicts: Arc<Mutex<BTreeMap<RegistryName, Verified>>>,
    /// Credentials that the user chose for the registries that kindreg runs; `None` to generate them.
    pub own_credentials: Option<RegistryCredentials>,
    /// The user's credentials for external registries, as far as they were found.
    pub external_credentials: BTreeMap<RegistryName, RegistryCredentials>,
    /// The user's credentials for the upstreams of caches, by the cache's name, as far as the variables are set.
    pub upstream_credentials: BTreeMap<RegistryName, RegistryCredentials>,
    /// The user's certificates with their keys: those of the files that the settings name, and those that registries had
    /// before this run, for a roll-back.
    pub own_certificates: BTreeMap<OwnCertificate, Arc<Identity>>,
    /// The trace for `-v`; off by default.
    pub trace: Trace,
    notes: Notes,
}

/// A receiver of notes, which say what a step waits for.
#[derive(Clone)]
pub struct Notes(Arc<dyn Fn(String) + Send + Sync>);

impl Notes {
    /// Returns a receiver that calls `listener` with each note.
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
    /// Returns a context over these ports. `notes` receives what steps wait for; each wait may take 300 s.
    pub fn new(
        docker: Arc<dyn Docker>,
        kind: Arc<dyn Kind>,
        kube: Arc<dyn Kube>,
        kubeconfig: Kubeconfig,
        notes: Notes,
    ) -> Self {
        let engine = docker;
        Self {
            docker: Arc::clone(&engine),
            engine,
            kind,
            kube,
            kubeconfig,
            patience: Duration::from_secs(300),
            grace: GRACE,
            stop: CancellationToken::new(),
            lost: CancellationToken::new(),
            creation: Arc::default(),
            proof_images: Arc::default(),
            verdicts: Arc::default(),
            own_credentials: None,
            external_credentials: BTreeMap::new(),
            upstream_credentials: BTreeMap::new(),
            own_certificates: BTreeMap::new(),
            trace: Trace::default(),
            notes,
        }
        .limited(Duration::from_secs(300))
    }

    /// Returns the same context whose calls to the engine end after `limit`, or with the context's token.
    fn limited(self, limit: Duration) -> Self {
        let limits = Limits {
            limit,
            grace: self.grace,
            stop: self.stop.clone(),
        };
        let docker = Limited::over(Arc::clone(&self.engine), limits);
        Self { docker, ..self }
    }

    /// Returns the same context for another plan, without this run's proof images and results.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self {
            proof_images: Arc::default(),
            verdicts: Arc::default(),
            ..self.clone()
        }
    }

    /// Returns the same context with another time limit for each wait.
    #[must_use]
    pub fn patient_for(&self, patience: Duration) -> Self {
        let clone = self.clone();
        Self { patience, ..clone }.limited(patience)
    }

    /// Returns the same context under a lock, by the token that says that the lock is lost.
    #[must_use]
    pub fn under_lock(&self, lost: CancellationToken) -> Self {
        let clone = self.clone();
        Self { lost, ..clone }
    }

    /// Returns the same context with another stop token.
    #[must_use]
    pub fn stopped_by(&self, stop: CancellationToken) -> Self {
        let clone = self.clone();
        Self { stop, ..clone }.limited(self.patience)
    }

    /// Returns the same context for the clean-up of a run: what stopped the run must not stop it. Its waits end with
    /// their time limit, and calls to the engine have between half a minute and two.
    #[must_use]
    pub fn cleaning(&self) -> Self {
        let (clone, stop) = (self.clone(), CancellationToken::new());
        Self { stop, ..clone }.limited(self.patience.clamp(CLEANING.0, CLEANING.1))
    }

    /// Returns the results of a registry's proofs in this run.
    pub async fn verified(&self, registry: &RegistryName) -> Verified {
        let verdicts = self.verdicts.lock().await;
        verdicts.get(registry).cloned().unwrap_or_default()
    }

    /// Records the results of the pulls that must succeed.
    pub async fn note_pulls(&self, registry: &RegistryName, verdicts: Verdicts) {
        let mut all = self.verdicts.lock().await;
        all.entry(registry.clone()).or_default().pulls = Some(verdicts);
    }

    /// Records the results of the pulls without the registry's CA, which must fail.
    pub async fn note_refusals(&self, registry: &RegistryName, verdicts: Verdicts) {
        let mut all = self.verdicts.lock().await;
        all.entry(registry.clone()).or_default().without_ca = Some(verdicts);
    }

    /// Records the result of the engine's first push.
    pub async fn note_first_push(&self, registry: &RegistryName, push: FirstPush) {
        let mut all = self.verdicts.lock().await;
        all.entry(registry.clone()).or_default().first_push = Some(push);
    }

    /// Sends a note that says what the step waits for.
    pub fn note(&self, text: impl Into<String>) {
        (self.notes.0)(text.into());
    }

    /// Awaits `work` until the run is stopped.
    ///
    /// # Errors
    /// [`Stopped`] if the run is being stopped.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.stop
            .run_until_cancelled(work)
            .await
            .ok_or_else(|| Stopped.into())
    }

    /// Calls `ask` until it returns `Some` or [`Ctx::patience`] has passed, with a pause between two calls.
    ///
    /// # Errors
    /// The error of `ask`, or [`Stopped`].
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

    /// Aborts a running `kind create cluster`, and waits until the engine has finished its requests.
    pub async fn end_creation(&self) {
        let creation = self.creation.lock().await.take();
        if let Some(mut creation) = creation {
            creation.abort().await;
        }
    }

    /// Returns the engine for one round of checks: equal reads are sent once, and writes fail.
    #[must_use]
    pub fn reads(&self) -> Arc<dyn Docker> {
        Arc::new(ReadCache::new(Arc::clone(&self.docker)))
    }

    /// Returns the same context for a round of checks that begins now.
    #[must_use]
    pub fn reading(&self) -> Self {
        self.reading_on(self.reads())
    }

    /// Returns the same context for a round of checks that has begun. `reads` is from [`Ctx::reads`].
    #[must_use]
    pub fn reading_on(&self, reads: Arc<dyn Docker>) -> Self {
        Self {
            docker: reads,
            ..self.clone()
        }
    }
}

/// The least and the most time that a call to the engine has during a clean-up: what was made in haste is removed at
/// leisure, and an engine that is dead is not waited for at every step.
const CLEANING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(120));

/// Returns whether an error only says that the run was stopped.
#[must_use]
pub fn is_stop(error: &anyhow::Error) -> bool {
    let call = error.downcast_ref();
    error.is::<Stopped>() || matches!(call, Some(DockerError::Stopped))
}

/// The result of [`Ctx::poll`].
#[derive(Debug)]
pub enum Polled<T> {
    /// There was an answer in time.
    Answer(T),
    /// There was no answer within [`Ctx::patience`].
    TimedOut,
}
