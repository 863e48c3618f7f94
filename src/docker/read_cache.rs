//! A read-only engine that caches answers for one round of checks.
//!
//! Many steps read the same containers and files. The cache lives for one round only, so it never gets stale.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::{
    Attached, Container, ContainerSpec, Docker, DockerError, EngineInfo, ExecOutput, Label,
    Network, NetworkSpec, PathKind, Result, Volume,
};
use crate::credentials::RegistryCredentials;

/// An engine that sends each read to the real engine once, and refuses writes.
#[derive(Debug)]
pub struct ReadCache {
    engine: Arc<dyn Docker>,
    info: Answers<(), EngineInfo>,
    image: Answers<String, Option<String>>,
    image_labels: Answers<String, Option<BTreeMap<String, String>>>,
    container: Answers<String, Option<Container>>,
    containers: Answers<String, Vec<Container>>,
    logs: Answers<(String, u32), String>,
    download: Answers<(String, String), Option<Bytes>>,
    stat: Answers<(String, String), Option<PathKind>>,
    network: Answers<String, Option<Network>>,
    networks: Answers<String, Vec<Network>>,
    volume: Answers<String, Option<Volume>>,
    volumes: Answers<String, Vec<Volume>>,
}

impl ReadCache {
    /// Returns an engine with an empty cache, for a round that begins now.
    pub fn new(engine: Arc<dyn Docker>) -> Self {
        Self {
            engine,
            info: Answers::default(),
            image: Answers::default(),
            image_labels: Answers::default(),
            container: Answers::default(),
            containers: Answers::default(),
            logs: Answers::default(),
            download: Answers::default(),
            stat: Answers::default(),
            network: Answers::default(),
            networks: Answers::default(),
            volume: Answers::default(),
            volumes: Answers::default(),
        }
    }
}

/// The cached answers to one kind of read, failures included.
#[derive(Debug)]
struct Answers<Q, A>(Mutex<HashMap<Q, Arc<OnceCell<Result<A>>>>>);

impl<Q, A> Default for Answers<Q, A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Q: Eq + Hash, A: Clone> Answers<Q, A> {
    /// Returns the cached answer, or the result of `ask`. Concurrent calls for the same read wait for one `ask`.
    async fn get(&self, question: Q, ask: impl Future<Output = Result<A>>) -> Result<A> {
        let cell = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(question).or_default())
        };
        cell.get_or_init(|| ask).await.clone()
    }
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

fn refused<T>(what: &str, name: &str) -> Result<T> {
    Err(DockerError::Other {
        doing: format!("{what} {name}"),
        cause: "a check can't write (this is a bug in kindreg)".to_owned(),
    })
}

#[async_trait]
impl Docker for ReadCache {
    async fn info(&self) -> Result<EngineInfo> {
        self.info.get((), self.engine.info()).await
    }
    async fn image(&self, reference: &str) -> Result<Option<String>> {
        let ask = self.engine.image(reference);
        self.image.get(reference.to_owned(), ask).await
    }
    async fn image_labels(&self, image: &str) -> Result<Option<BTreeMap<String, String>>> {
        let ask = self.engine.image_labels(image);
        self.image_labels.get(image.to_owned(), ask).await
    }
    async fn container(&self, name: &str) -> Result<Option<Container>> {
        let ask = self.engine.container(name);
        self.container.get(name.to_owned(), ask).await
    }
    async fn containers(&self, label: Label<'_>) -> Result<Vec<Container>> {
        let ask = self.engine.containers(label);
        self.containers.get(label.to_string(), ask).await
    }
    async fn members(&self, network: &str) -> Result<Vec<Container>> {
        self.engine.members(network).await
    }
    async fn published_ports(&self) -> Result<Vec<u16>> {
        self.engine.published_ports().await
    }
    async fn logs(&self, name: &str, lines: u32) -> Result<String> {
        let ask = self.engine.logs(name, lines);
        self.logs.get((name.to_owned(), lines), ask).await
    }
    async fn download(&self, name: &str, path: &str) -> Result<Option<Bytes>> {
        let ask = self.engine.download(name, path);
        self.download.get(pair(name, path), ask).await
    }
    async fn stat(&self, name: &str, path: &str) -> Result<Option<PathKind>> {
        let ask = self.engine.stat(name, path);
        self.stat.get(pair(name, path), ask).await
    }
    async fn network(&self, name: &str) -> Result<Option<Network>> {
        let ask = self.engine.network(name);
        self.network.get(name.to_owned(), ask).await
    }
    async fn networks(&self, label: Label<'_>) -> Result<Vec<Network>> {
        let ask = self.engine.networks(label);
        self.networks.get(label.to_string(), ask).await
    }
    async fn volume(&self, name: &str) -> Result<Option<Volume>> {
        let ask = self.engine.volume(name);
        self.volume.get(name.to_owned(), ask).await
    }
    async fn volumes(&self, label: Label<'_>) -> Result<Vec<Volume>> {
        let ask = self.engine.volumes(label);
        self.volumes.get(label.to_string(), ask).await
    }

    async fn pull(&self, reference: &str) -> Result<()> {
        refused("pull", reference)
    }
    async fn load(&self, _: Bytes) -> Result<()> {
        refused("load", "an image")
    }
    async fn push(&self, reference: &str, _: Option<&RegistryCredentials>) -> Result<()> {
        refused("push", reference)
    }
    async fn remove_image(&self, reference: &str) -> Result<()> {
        refused("remove image", reference)
    }
    async fn create(&self, spec: &ContainerSpec) -> Result<String> {
        refused("create container", &spec.name)
    }
    async fn start(&self, name: &str) -> Result<()> {
        refused("start container", name)
    }
    async fn stop(&self, name: &str, _: u32) -> Result<()> {
        refused("stop container", name)
    }
    async fn wait(&self, name: &str) -> Result<i64> {
        refused("wait for container", name)
    }
    async fn remove(&self, name: &str) -> Result<()> {
        refused("remove container", name)
    }
    async fn attach(&self, name: &str) -> Result<Box<dyn Attached>> {
        refused("attach to container", name)
    }
    async fn exec(&self, name: &str, _: &[&str], _: &[u8]) -> Result<ExecOutput> {
        refused("run a command in container", name)
    }
    async fn upload(&self, name: &str, _: &str, _: Bytes) -> Result<()> {
        refused("upload to container", name)
    }
    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        refused("create network", &spec.name)
    }
    async fn remove_network(&self, name: &str) -> Result<()> {
        refused("remove network", name)
    }
    async fn connect(&self, network: &str, _: &str, _: &[String]) -> Result<()> {
        refused("connect to network", network)
    }
    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        refused("create volume", &volume.name)
    }
    async fn remove_volume(&self, name: &str) -> Result<()> {
        refused("remove volume", name)
    }
}
