//! An in-memory Docker engine with a journal of effects, and with faults on request, for tests and harnesses.
//!
//! It runs no process and opens no socket. The journal has no reads, and only those writes that changed something. It
//! has no `exec` either, but the changes of files by the emulated command, and what its hook adds with
//! [`FakeFiles::effect`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Deserialize;

use super::{
    Container, ContainerSpec, DockerError, EngineInfo, ExecOutput, Input, Label, NetworkMode,
    NetworkSpec, Result,
};
use commands::Commands;
use engine::{Engine, HostIpv6, View, familiar};
use view::Doer;

mod commands;
mod engine;
mod faults;
mod files;
mod plain;
mod port;
#[cfg(test)]
mod tests;
mod view;

pub use faults::Fault;
pub(crate) use faults::{Call, Lost};
pub use files::Node;
pub use plain::plain;
pub use view::{FakeFiles, Listener};

/// The in-memory engine. Clones are the same engine.
#[derive(Clone)]
pub struct FakeDocker {
    engine: Arc<Mutex<Engine>>,
    faults: Arc<Mutex<faults::Faults>>,
    commands: Arc<Mutex<Commands>>,
}

impl std::fmt::Debug for FakeDocker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("FakeDocker")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl Default for FakeDocker {
    fn default() -> Self {
        Self::new()
    }
}

/// Methods for tests: setup, faults and inspection. None of them counts as a call.
impl FakeDocker {
    /// Returns an empty engine. Its host has an `/etc/hosts`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            engine: Arc::new(Mutex::new(Engine::new())),
            faults: Arc::new(Mutex::new(faults::Faults::new())),
            commands: Arc::new(Mutex::new(Commands::new())),
        }
    }

    /// Returns the changes so far, in order.
    #[must_use]
    pub fn journal(&self) -> Vec<String> {
        self.engine().journal.clone()
    }

    /// Returns the number of calls so far, reads included.
    #[must_use]
    pub fn calls(&self) -> usize {
        lock(&self.faults).calls.len()
    }

    /// Returns the calls so far, in order, for messages about the `n`th call.
    #[must_use]
    pub fn call_log(&self) -> Vec<String> {
        lock(&self.faults).calls.clone()
    }

    /// Makes the `n`th call since the engine was created fail; the first call is 1.
    pub fn fail_call(&self, n: usize, fault: Fault) {
        lock(&self.faults).planned.insert(n, fault);
    }

    /// Stops the engine from answering. Containers keep running.
    pub fn kill_engine(&self) {
        lock(&self.faults).killed = true;
    }

    /// Makes the engine answer again.
    pub fn revive_engine(&self) {
        lock(&self.faults).killed = false;
    }

    /// Sets what the engine returns from `info`.
    pub fn set_info(&self, info: EngineInfo) {
        self.engine().info = info;
    }

    /// Makes the engine's host one without IPv6.
    pub fn remove_ipv6(&self) {
        self.engine().ipv6 = HostIpv6::Missing;
    }

    /// Adds an image.
    pub fn add_image(&self, reference: &str) {
        self.engine().tag(reference, None);
    }

    /// Makes pulls of an image fail. All other images can be pulled.
    pub fn refuse_image(&self, reference: &str) {
        self.engine().refused.insert(familiar(reference));
    }

    /// Adds a file to all new containers of an image.
    pub fn file_of_image(
        &self,
        reference: &str,
        path: &str,
        mode: u32,
        content: impl Into<Vec<u8>>,
    ) {
        let node = Node::File {
            mode,
            content: Bytes::from(content.into()),
        };
        self.engine().add_image_file(reference, path, node);
    }

    /// Sets what containers of an image log while they run.
    pub fn logs_of_image(&self, reference: &str, text: &str) {
        self.engine()
            .logs
            .insert(familiar(reference), text.to_owned());
    }

    /// Returns the references that were pushed, in order.
    #[must_use]
    pub fn pushed(&self) -> Vec<String> {
        self.engine().pushed.clone()
    }

    /// Makes a process outside Docker use a port of the engine's host.
    pub fn occupy_port(&self, port: u16) {
        self.engine().busy_ports.insert(port);
    }

    /// Returns the files of the engine's host.
    #[must_use]
    pub fn host(&self) -> FakeFiles {
        FakeFiles::new(Arc::clone(&self.engine), View::Host, Doer::Test)
    }

    /// Returns the files of a container, mounts included. There are none while the container is absent.
    #[must_use]
    pub fn files(&self, container: &str) -> FakeFiles {
        FakeFiles::new(
            Arc::clone(&self.engine),
            View::Container(container.to_owned()),
            Doer::Test,
        )
    }

    /// Removes what does not run, as `docker container prune -f` does. It is not a call, and not in the journal.
    pub fn prune_containers(&self) {
        self.engine().prune_containers();
    }

    /// Removes what is not in use, as `docker system prune -af --volumes` does.
    pub fn prune_system(&self) {
        self.prune_containers();
        self.engine().prune_the_rest();
    }

    /// Adds an image of a container, as `docker commit` does.
    pub fn commit(&self, container: &str, reference: &str) {
        self.engine().commit(container, reference);
    }

    /// Makes the engine keep a container, although it says that it removed it.
    pub fn keep(&self, container: &str) {
        self.engine().stuck.insert(container.to_owned());
    }

    /// Makes the engine return this archive for a path of a container, whatever the files there are.
    pub fn serve_archive(&self, container: &str, path: &str, archive: impl Into<Bytes>) {
        let at = (container.to_owned(), files::clean(path));
        self.engine().archives.insert(at, archive.into());
    }

    /// Makes a container's process exit.
    pub fn end_process(&self, container: &str, code: i64) {
        self.engine().end(container, code);
    }

    /// Disconnects a container from a network, as `docker network disconnect` does.
    pub fn disconnect(&self, network: &str, container: &str) {
        if let Ok(container) = self.engine().found(container) {
            container.networks.remove(network);
        }
    }

    /// Disconnects a container and connects it again with its own name alone, as somebody does by hand.
    pub fn reconnect_without_names(&self, network: &str, container: &str) {
        if let Ok(container) = self.engine().found(container) {
            container.networks.insert(network.to_owned(), Vec::new());
        }
    }

    /// Connects a container to a network under these names, as somebody does by hand.
    pub fn join_as(&self, container: &str, network: &str, names: &[&str]) {
        if let Ok(container) = self.engine().found(container) {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            container.networks.insert(network.to_owned(), names);
        }
    }

    /// Stops publishing the ports of a running container.
    pub fn unpublish(&self, container: &str) {
        if let Ok(container) = self.engine().found(container) {
            container.ports.clear();
        }
    }

    /// Sets the hook that emulates `["sh", "-c", SCRIPT, NAME, args…]`, in `exec` and as a container's own command. The
    /// text of the script does not matter.
    pub fn on_script<F>(&self, name: &str, hook: F)
    where
        F: Fn(&mut FakeFiles, &[String], &[u8]) -> ExecOutput + Send + Sync + 'static,
    {
        lock(&self.commands)
            .scripts
            .insert(name.to_owned(), Arc::new(hook));
    }

    /// Sets the hook that emulates any other `exec` of a program. The hook gets the arguments.
    pub fn on_exec<F>(&self, program: &str, hook: F)
    where
        F: Fn(&mut FakeFiles, &[String], &[u8]) -> ExecOutput + Send + Sync + 'static,
    {
        lock(&self.commands)
            .programs
            .insert(program.to_owned(), Arc::new(hook));
    }
}

impl FakeDocker {
    /// Counts a call of another port's fake, and makes it fail if that is planned.
    pub(crate) async fn enter(&self, doing: impl Into<String> + Send) -> Result<Call> {
        let entered = lock(&self.faults).enter(doing.into())?;
        match entered {
            Some(call) => Ok(call),
            None => std::future::pending().await,
        }
    }

    /// Adds an effect of another port's fake to the journal.
    pub(crate) fn record(&self, effect: String) {
        self.engine().record(effect);
    }

    /// Returns a container, without counting a call.
    pub(crate) fn peek(&self, name: &str) -> Option<Container> {
        self.engine().report(name)
    }

    /// Returns all containers with a label, without counting a call.
    pub(crate) fn peek_labelled(&self, label: Label<'_>) -> Vec<Container> {
        let engine = self.engine();
        let all = engine
            .containers
            .keys()
            .filter_map(|name| engine.report(name));
        all.filter(|container| label.is_in(&container.labels))
            .collect()
    }

    /// Creates and starts a container as somebody else would, with its image and network if they are missing. It is not
    /// a call, and not in the journal.
    pub(crate) fn run_foreign(&self, spec: &ContainerSpec) -> Result<()> {
        let mut engine = self.engine();
        if engine.image(&spec.image).is_none() {
            engine.tag(&spec.image, None);
        }
        if let NetworkMode::Named { name, .. } = &spec.network
            && !engine.networks.contains_key(name)
        {
            let (labels, options) = (BTreeMap::new(), BTreeMap::new());
            engine.create_network(&NetworkSpec {
                name: name.clone(),
                labels,
                options,
                ipv6_subnet: None,
            })?;
        }
        engine.create(spec)?;
        engine.start(&spec.name).map(drop)
    }

    /// Removes a container as somebody else would.
    pub(crate) fn remove_foreign(&self, name: &str) {
        self.engine().containers.remove(name);
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        lock(&self.engine)
    }

    /// Starts a container. A script runs at once, to its end.
    fn run(&self, name: &str) -> Result<()> {
        let mut engine = self.engine();
        if !engine.start(name)? {
            return Ok(());
        }
        let spec = engine.found(name)?.spec.clone();
        engine.record(format!("start {}", spec.name));
        drop(engine);
        let argv = [spec.entrypoint, spec.command].concat();
        if commands::is_script(&argv) && spec.input == Input::Closed {
            let output = self.command(&spec.name, &argv, &[]);
            let mut engine = self.engine();
            let said = [output.stdout, output.stderr].concat();
            engine
                .found(&spec.name)?
                .output
                .push_str(&String::from_utf8_lossy(&said));
            engine.end(&spec.name, output.code);
        }
        Ok(())
    }

    /// Runs a command without holding a lock, as its hook uses the engine.
    fn command(&self, container: &str, argv: &[String], input: &[u8]) -> ExecOutput {
        let (hook, arguments) = lock(&self.commands).find(argv);
        let view = View::Container(container.to_owned());
        hook(
            &mut FakeFiles::new(Arc::clone(&self.engine), view, Doer::Command),
            &arguments,
            input,
        )
    }

    fn unpack(&self, name: &str, folder: &str, archive: &[u8]) -> Result<()> {
        let mut engine = self.engine();
        let name = engine.found(name)?.spec.name.clone();
        let (view, folder) = (View::Container(name.clone()), files::clean(folder));
        if !matches!(engine.node(&view, &folder), Some(Node::Folder { .. })) {
            return Err(DockerError::Missing {
                what: format!("{name}:{folder}"),
            });
        }
        let doing = format!("upload to {name}:{folder}");
        let refused = |error: std::io::Error| DockerError::Other {
            doing: doing.clone(),
            cause: error.to_string(),
        };
        let nodes = files::unpack(archive).map_err(refused)?;
        let mut uploaded = Vec::new();
        for (path, node) in nodes {
            if !matches!(node, Node::Folder { .. }) {
                uploaded.push(path.trim_start_matches('/').to_owned());
            }
            engine
                .put(&view, &files::moved(&path, "/", &folder), node)
                .map_err(refused)?;
        }
        engine.record(format!("upload {name}:{folder} {}", uploaded.join(" ")));
        Ok(())
    }

    fn load_archive(&self, archive: &[u8]) -> Result<()> {
        /// An image in `manifest.json` of a docker archive.
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Image {
            config: String,
            repo_tags: Option<Vec<String>>,
        }
        let refused = |cause: String| DockerError::Other {
            doing: "load".into(),
            cause,
        };
        let nodes = files::unpack(archive).map_err(|error| refused(error.to_string()))?;
        let manifest = nodes.iter().find_map(|(path, node)| match node {
            Node::File { content, .. } if path == "/manifest.json" => Some(content),
            _ => None,
        });
        let manifest = manifest.ok_or_else(|| refused("no manifest.json".into()))?;
        let images: Vec<Image> =
            serde_json::from_slice(manifest).map_err(|error| refused(error.to_string()))?;
        let mut engine = self.engine();
        for Image { config, repo_tags } in images {
            let digest = config
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .trim_end_matches(".json");
            for tag in repo_tags.unwrap_or_default() {
                engine.tag(&tag, Some(format!("sha256:{digest}")));
                engine.record(format!("load {tag}"));
            }
        }
        Ok(())
    }
}

/// Locks a mutex, even if it is poisoned: the test that panicked has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
