//! The client that every operation takes: engine, kind, Kubernetes API, and the user's files and variables.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use crate::docker::address::Side;
use crate::docker::bollard::Bollard;
use crate::docker::limited::{GRACE, Limited, Limits};
use crate::docker::read_cache::ReadCache;
use crate::docker::{self, Container, Docker, address};
use crate::engine::Event;
use crate::home;
use crate::kind::{self, Kind, cli::KindCli, cli::Proxy};
use crate::kube::{self, Kube, node::NodeKube};
use crate::kubeconfig::Kubeconfig;
use crate::layout::Layout;
use crate::login::{CredentialSources, DockerConfig};
use crate::own_container;
use crate::programs;
use crate::spec::ClusterName;
use crate::step::{Ctx, Notes};
use crate::trace::{Detail, Trace};

/// Takes events, from several tasks at once.
pub(crate) type Listener = Arc<dyn Fn(Event) + Send + Sync>;
/// Returns the value of an environment variable; an empty one counts as unset.
pub(crate) type Variable = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
/// Makes the Kubernetes API of a cluster, by the container of its control plane.
pub(crate) type KubeOf = Arc<dyn Fn(String) -> Arc<dyn Kube> + Send + Sync>;

/// Where a [`Client`] finds the Docker engine, programs, files and variables.
#[derive(Clone)]
pub struct Connection {
    /// Address of the Docker engine; `None` for the one that docker uses.
    pub docker_host: Option<String>,
    /// Time limit for each wait.
    pub timeout: Duration,
    /// The user's home folder.
    pub home: PathBuf,
    variable: Variable,
    trace: Trace,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("docker_host", &self.docker_host)
            .field("timeout", &self.timeout)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Returns the engine, programs, files and variables that docker, kind and kubectl would use in this process.
    #[must_use]
    pub fn from_environment() -> Self {
        Self {
            docker_host: None,
            timeout: Duration::from_secs(300),
            home: home(),
            variable: Arc::new(|name| std::env::var(name).ok().filter(|value| !value.is_empty())),
            trace: Trace::default(),
        }
    }

    /// The same, with a listener to every check and call (`-v`). It is never told a secret.
    #[must_use]
    pub fn with_trace(
        self,
        detail: Detail,
        listener: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let trace = Trace::new(detail, listener);
        Self { trace, ..self }
    }

    /// Returns the folder for the lock file of a running kind: the user's folder of the session, or one under home.
    fn state_folder(&self) -> PathBuf {
        let folder = (self.variable)("XDG_RUNTIME_DIR").map(PathBuf::from);
        // A relative one counts as unset: https://specifications.freedesktop.org/basedir/latest/#basics
        match folder.filter(|folder| folder.is_absolute()) {
            Some(folder) => folder.join("kindreg"),
            None => self.home.join(".cache/kindreg"),
        }
    }
}

/// Returns the user's home folder; `/` for a user without one.
fn home() -> PathBuf {
    let passwd = std::fs::read_to_string(home::PASSWORD_FILE).unwrap_or_default();
    let user = rustix::process::geteuid().as_raw();
    home::folder(std::env::home_dir(), &passwd, user).unwrap_or_else(|| PathBuf::from("/"))
}

/// Returns the id of the container that this process runs in.
fn container_id() -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    own_container::id(&mounts).map(str::to_owned)
}

/// The engine, kind, the Kubernetes API and the user's files, for operations to work with. Cloning is cheap.
#[derive(Clone)]
pub struct Client {
    /// The engine, whose calls may take for ever.
    engine: Arc<dyn Docker>,
    /// The same engine, whose calls end.
    docker: Arc<dyn Docker>,
    kind: Arc<dyn Kind>,
    kube: KubeOf,
    kubeconfig: Kubeconfig,
    docker_config: DockerConfig,
    side: Side,
    /// The id of the container that this process runs in, which may be of another engine.
    container_id: Option<String>,
    variable: Variable,
    timeout: Duration,
    trace: Trace,
    listener: Listener,
    stop: CancellationToken,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("docker", &self.docker)
            .field("kind", &self.kind)
            .field("kubeconfig", &self.kubeconfig)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to the engine and finds the programs kind and docker. Changes nothing.
    ///
    /// # Errors
    /// No engine answers, or kind or docker is not installed.
    pub async fn connect(connection: &Connection) -> Result<Self> {
        let Connection {
            docker_host,
            timeout,
            home,
            variable,
            trace,
        } = connection;
        let docker_config = address::docker_config(&**variable, home);
        let address = address::resolve(docker_host.as_deref(), &**variable, &docker_config)?;
        trace.tell(|| format!("engine: {}, by {}", address.host, address.origin));
        let docker = Bollard::connect(&address).await?.silent_for(*timeout);
        let mut environment = address.environment(docker.tunnel().as_deref());
        let docker: Arc<dyn Docker> = Arc::new(docker);
        let path = std::env::var_os("PATH").map(|path| programs::without_current_folder(&path));
        let here = std::env::current_dir().context("can't find the current folder")?;
        let kubeconfig = Kubeconfig::locate(variable("KUBECONFIG").as_deref(), home, &here);
        // Without HOME, kind would look for a kubeconfig in the current folder.
        environment.push(("HOME".to_owned(), home.to_string_lossy().into_owned()));
        environment.extend(
            kubeconfig
                .variable()
                .map(|files| ("KUBECONFIG".to_owned(), files)),
        );
        let (state, proxy) = (connection.state_folder(), Proxy::of(&**variable));
        let kind = KindCli::find(environment, path.as_deref(), state, proxy)?;
        let docker = docker::traced::Traced::over(docker, trace);
        let (engine, tracing) = (Arc::clone(&docker), trace.clone());
        let kube: KubeOf = Arc::new(move |control_plane| {
            let kube = NodeKube::new(Arc::clone(&engine), control_plane);
            kube::traced::Traced::over(Arc::new(kube), &tracing)
        });
        let client = Self {
            docker: Arc::clone(&docker),
            engine: docker,
            kind: kind::traced::Traced::over(Arc::new(kind), trace),
            kube,
            kubeconfig,
            docker_config: DockerConfig::of(&docker_config, path).with_limit(*timeout),
            side: address.side(),
            container_id: container_id(),
            variable: Arc::clone(variable),
            timeout: *timeout,
            trace: trace.clone(),
            listener: Arc::new(|_| {}),
            stop: CancellationToken::new(),
        };
        Ok(client.limited())
    }

    /// Returns the client with the engine's calls limited by what the client says now.
    fn limited(self) -> Self {
        let limits = Limits {
            limit: self.timeout,
            grace: GRACE,
            stop: self.stop.clone(),
        };
        let docker = Limited::over(Arc::clone(&self.engine), limits);
        Self { docker, ..self }
    }

    /// Creates a client over fakes, with an empty environment.
    #[cfg(any(test, feature = "fakes"))]
    pub(crate) fn over(
        docker: Arc<dyn Docker>,
        kind: Arc<dyn Kind>,
        kube: KubeOf,
        home: &std::path::Path,
    ) -> Self {
        Self {
            docker: Arc::clone(&docker),
            engine: docker,
            kind,
            kube,
            kubeconfig: Kubeconfig::locate(None, home, home),
            docker_config: DockerConfig::of(&home.join(".docker"), None),
            side: Side::Here,
            container_id: None,
            variable: Arc::new(|_| None),
            timeout: Duration::from_secs(2),
            trace: Trace::default(),
            listener: Arc::new(|_| {}),
            stop: CancellationToken::new(),
        }
        .limited()
    }

    /// Returns the client with its calls traced (`-v`), as [`Self::connect`] does it.
    #[cfg(all(feature = "cli", feature = "fakes"))]
    #[must_use]
    pub(crate) fn with_trace(
        self,
        detail: Detail,
        listener: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let trace = Trace::new(detail, listener);
        let (kube, tracing) = (Arc::clone(&self.kube), trace.clone());
        Self {
            engine: docker::traced::Traced::over(self.engine, &trace),
            kind: kind::traced::Traced::over(self.kind, &trace),
            kube: Arc::new(move |plane| kube::traced::Traced::over(kube(plane), &tracing)),
            trace,
            ..self
        }
        .limited()
    }

    /// Returns the client with a listener to everything that happens.
    #[must_use]
    pub fn with_listener(self, listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        let listener = Arc::new(listener);
        Self { listener, ..self }
    }

    /// Returns the client with a token that stops operations. They clean up after themselves, and never cancel it.
    #[must_use]
    pub fn with_stop(self, stop: CancellationToken) -> Self {
        let docker_config = self.docker_config.with_stop(stop.clone());
        Self {
            docker_config,
            stop,
            ..self
        }
        .limited()
    }

    /// Returns the client with another time limit for each wait.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        let docker_config = self.docker_config.with_limit(timeout);
        Self {
            docker_config,
            timeout,
            ..self
        }
        .limited()
    }

    /// Returns the same client for one round of reads: equal reads are sent once, and writes fail.
    pub(crate) fn reading(&self) -> Self {
        let docker: Arc<dyn Docker> = Arc::new(ReadCache::new(Arc::clone(&self.docker)));
        Self {
            engine: Arc::clone(&docker),
            docker,
            ..self.clone()
        }
    }

    pub(crate) fn docker(&self) -> &dyn Docker {
        &*self.docker
    }

    /// Returns the name or address of the engine's host; `None` if that is this machine, as far as its address tells.
    pub(crate) fn engine_host(&self) -> Option<String> {
        match &self.side {
            Side::Here => None,
            Side::There { host, .. } => Some(host.clone()),
        }
    }

    /// Returns the machine that `localhost` is on for the engine.
    pub(crate) const fn side(&self) -> &Side {
        &self.side
    }

    /// Returns the client as if its engine were on another machine.
    #[cfg(any(test, feature = "fakes"))]
    #[must_use]
    pub(crate) fn at(self, side: Side) -> Self {
        Self { side, ..self }
    }

    /// Returns the container that this process runs in; `None` if it is on the engine's host, also by the host's network,
    /// or in a container of another engine, or if the engine does not answer.
    pub(crate) async fn own_container(&self) -> Option<Container> {
        let id = self.container_id.as_ref()?;
        let found = self.docker.container(id).await.ok().flatten()?;
        (found.network_mode != "host").then_some(found)
    }

    /// Returns the client as if this process ran in that container.
    #[cfg(any(test, feature = "fakes"))]
    #[must_use]
    pub(crate) fn within(self, container_id: Option<String>) -> Self {
        Self {
            container_id,
            ..self
        }
    }

    pub(crate) fn docker_config(&self) -> &DockerConfig {
        &self.docker_config
    }

    /// Returns the places where the user keeps credentials.
    pub(crate) fn sources(&self) -> CredentialSources<'_> {
        CredentialSources {
            variable: &*self.variable,
            config: self.docker_config.clone(),
        }
    }

    /// Sends an event to the listener.
    pub(crate) fn tell(&self, event: Event) {
        (self.listener)(event);
    }

    /// Creates the context for the steps of one cluster.
    pub(crate) fn ctx(&self, cluster: &ClusterName) -> Ctx {
        let listener = Arc::clone(&self.listener);
        let mut ctx = Ctx::new(
            Arc::clone(&self.engine),
            Arc::clone(&self.kind),
            (self.kube)(Layout::of(cluster).control_plane()),
            self.kubeconfig.clone(),
            Notes::to(move |text| listener(Event::Note(text))),
        );
        ctx.trace = self.trace.clone();
        ctx.patient_for(self.timeout).stopped_by(self.stop.clone())
    }
}
