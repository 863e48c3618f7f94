//! An in-memory machine with a fake engine, kind and Kubernetes. Operations run on it as on a real one, in
//! milliseconds.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! use kindreg::fakes::Machine;
//! use kindreg::ops;
//!
//! let machine = Machine::new()?;
//! assert!(ops::list(&machine.client()).await?.is_empty());
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "cli")]
pub use crate::cli::Answer;
#[cfg(feature = "cli")]
use crate::cli::run_captured;
use crate::docker::address::Side;
use crate::docker::fake::FakeDocker;
use crate::kind::fake::FakeKind;
use crate::kube::Kube;
use crate::kube::fake::FakeKube;
use crate::ops::Client;
use crate::spec::ImageRef;
#[cfg(feature = "cli")]
use crate::ui::{self, Captured, OutputMode, Printer, Run};

mod scripts;

pub use scripts::{CHANGED_FILES, emulate};

/// The Kubernetes APIs of a machine, by the container of their control plane.
type Kubes = Mutex<BTreeMap<String, Arc<FakeKube>>>;

/// A machine with a Docker engine and the default images, and without any kindreg object.
#[derive(Debug)]
pub struct Machine {
    pub(crate) docker: Arc<FakeDocker>,
    pub(crate) kind: Arc<FakeKind>,
    kubes: Arc<Kubes>,
    home: tempfile::TempDir,
    side: Side,
    container_id: Option<String>,
}

impl Machine {
    /// Creates a machine with a temporary home folder, which is removed when the machine is dropped.
    ///
    /// # Errors
    /// The temporary folder can't be created.
    pub fn new() -> std::io::Result<Self> {
        let docker = Arc::new(FakeDocker::new());
        docker.add_image(ImageRef::node().as_str());
        docker.add_image(ImageRef::registry().as_str());
        emulate(&docker);
        Ok(Self {
            kind: Arc::new(FakeKind::new(Arc::clone(&docker))),
            docker,
            kubes: Arc::default(),
            home: tempfile::tempdir()?,
            side: Side::Here,
            container_id: None,
        })
    }

    /// Returns the machine with its engine on another one, which ssh reaches with these arguments.
    #[doc(hidden)]
    #[must_use]
    pub fn with_engine_on(self, host: &str, ssh: &str) -> Self {
        let (host, ssh) = (host.to_owned(), ssh.to_owned());
        Self {
            side: Side::There { host, ssh },
            ..self
        }
    }

    /// Returns the machine with kindreg in a container of that id.
    #[doc(hidden)]
    #[must_use]
    pub fn with_kindreg_in(self, container_id: &str) -> Self {
        let container_id = Some(container_id.to_owned());
        Self {
            container_id,
            ..self
        }
    }

    /// Runs a command line on it as a new process would, in its home folder and without a terminal. The process's own
    /// environment, folder and engine do not count.
    #[cfg(feature = "cli")]
    pub async fn run(&self, arguments: &[&str]) -> Answer {
        self.captured(arguments, Captured::new(None)).await
    }

    /// Runs a command line as at a terminal where these answers are typed.
    #[cfg(feature = "cli")]
    pub async fn run_with_answers(&self, arguments: &[&str], answers: &[&str]) -> Answer {
        self.captured(arguments, Captured::new(Some(answers))).await
    }

    /// Runs a command line with a stdout on a full disk.
    #[cfg(feature = "cli")]
    pub async fn run_without_stdout(&self, arguments: &[&str]) -> Answer {
        self.captured(arguments, Captured::new(None).full()).await
    }

    #[cfg(feature = "cli")]
    async fn captured(&self, arguments: &[&str], captured: Captured) -> Answer {
        let folder = self.home.path().to_owned();
        run_captured(self.client(), folder, arguments, captured).await
    }

    /// Returns its home folder, which is also the current folder of [`Self::run`].
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns its engine, for a test to set the stage.
    #[doc(hidden)]
    #[must_use]
    pub fn docker(&self) -> &Arc<FakeDocker> {
        &self.docker
    }

    /// Returns its kind, for a test to set the stage.
    #[doc(hidden)]
    #[must_use]
    pub fn kind(&self) -> &FakeKind {
        &self.kind
    }

    /// Returns the Kubernetes API of the cluster with that control plane, for a test to set the stage.
    #[doc(hidden)]
    #[must_use]
    pub fn kube(&self, control_plane: &str) -> Arc<FakeKube> {
        kube_of(&self.docker, &self.kubes, control_plane)
    }

    /// Returns a new client of the machine, as a new process would have it.
    #[must_use]
    pub fn client(&self) -> Client {
        let (docker, kubes) = (Arc::clone(&self.docker), Arc::clone(&self.kubes));
        let kube = Arc::new(move |control_plane: String| -> Arc<dyn Kube> {
            kube_of(&docker, &kubes, &control_plane)
        });
        Client::over(
            self.docker.clone(),
            self.kind.clone(),
            kube,
            self.home.path(),
        )
        .at(self.side.clone())
        .within(self.container_id.clone())
    }
}

/// Returns the API of a cluster, which is the same one each time.
fn kube_of(docker: &Arc<FakeDocker>, kubes: &Kubes, control_plane: &str) -> Arc<FakeKube> {
    let mut kubes = kubes.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Arc::new(FakeKube::new(Arc::clone(docker), control_plane));
    let kube = kubes.entry(control_plane.to_owned()).or_insert_with(new);
    Arc::clone(kube)
}

/// Returns a client over these fakes.
#[doc(hidden)]
#[must_use]
pub fn client(
    docker: Arc<FakeDocker>,
    kind: Arc<FakeKind>,
    kube: Arc<FakeKube>,
    home: &Path,
) -> Client {
    let kube = Arc::new(move |_| -> Arc<dyn Kube> { kube.clone() });
    Client::over(docker, kind, kube, home)
}

/// Returns what `kindreg up` of cluster `c` prints on stderr for an error, in plain lines or as `--events json`.
#[cfg(feature = "cli")]
#[doc(hidden)]
#[must_use]
pub fn printed(error: &anyhow::Error, is_json: bool) -> String {
    let mode = if is_json {
        OutputMode::Json
    } else {
        OutputMode::Lines
    };
    let captured = Captured::new(None);
    let run = Run {
        cluster: "c".to_owned(),
        command: "kindreg up".to_owned(),
    };
    ui::failure(&Printer::captured(mode, captured.clone()).of(run), error);
    captured.content().1
}
