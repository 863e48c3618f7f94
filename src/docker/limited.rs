//! An engine whose calls end: with the time limit of the run, and soon after the run is stopped.
//!
//! A call that the engine has begun may still take effect, so a stopped run waits a moment for its answer: what it made
//! is then known, and undone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{
    Attached, Container, ContainerSpec, Docker, DockerError, EngineInfo, ExecOutput, Label,
    Network, NetworkSpec, PathKind, Result, Volume,
};
use crate::credentials::RegistryCredentials;

/// How long a call may go on after the run was stopped. A busy engine takes seconds to create a container.
pub const GRACE: Duration = Duration::from_secs(5);

/// When calls end.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest time that a call may take, except for those that move images: they end if nothing moves for as long,
    /// or in a pull less than 1 MiB.
    pub limit: Duration,
    /// How long a call may go on after the run was stopped.
    pub grace: Duration,
    /// The token that stops the run.
    pub stop: CancellationToken,
}

/// An engine whose calls end.
#[derive(Debug)]
pub struct Limited {
    engine: Arc<dyn Docker>,
    limits: Limits,
}

impl Limited {
    /// Returns the engine with these limits.
    pub fn over(engine: Arc<dyn Docker>, limits: Limits) -> Arc<dyn Docker> {
        Arc::new(Self { engine, limits })
    }

    /// Waits for a call until its time limit, or until a moment after the run was stopped.
    async fn call<T>(&self, doing: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.limits.limit;
        match tokio::time::timeout(limit, self.unless_stopped(call)).await {
            Ok(answer) => answer,
            Err(_) => Err(DockerError::Other {
                doing: doing.to_owned(),
                cause: format!("the engine did not answer within {} s", limit.as_secs()),
            }),
        }
    }

    /// Waits for a call that has a limit of its own, or until a moment after the run was stopped.
    async fn unless_stopped<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let late = async {
            self.limits.stop.cancelled().await;
            tokio::time::sleep(self.limits.grace).await;
        };
        tokio::select! {
            biased;
            answer = call => answer,
            () = late => Err(DockerError::Stopped),
        }
    }
}

#[async_trait]
impl Docker for Limited {
    async fn info(&self) -> Result<EngineInfo> {
        self.call("ask the engine", self.engine.info()).await
    }
    async fn image(&self, reference: &str) -> Result<Option<String>> {
        self.call(
            &format!("look for image {reference}"),
            self.engine.image(reference),
        )
        .await
    }
    async fn image_labels(&self, image: &str) -> Result<Option<BTreeMap<String, String>>> {
        let call = self.engine.image_labels(image);
        self.call(&format!("look for image {image}"), call).await
    }
    async fn pull(&self, reference: &str) -> Result<()> {
        self.unless_stopped(self.engine.pull(reference)).await
    }
    async fn load(&self, archive: Bytes) -> Result<()> {
        self.unless_stopped(self.engine.load(archive)).await
    }
    async fn push(&self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<()> {
        self.call(
            &format!("push image {reference}"),
            self.engine.push(reference, credentials),
        )
        .await
    }
    async fn remove_image(&self, reference: &str) -> Result<()> {
        self.call(
            &format!("remove image {reference}"),
            self.engine.remove_image(reference),
        )
        .await
    }
    async fn container(&self, name: &str) -> Result<Option<Container>> {
        self.call(
            &format!("look for container {name}"),
            self.engine.container(name),
        )
        .await
    }
    async fn containers(&self, label: Label<'_>) -> Result<Vec<Container>> {
        self.call("list containers", self.engine.containers(label))
            .await
    }
    async fn members(&self, network: &str) -> Result<Vec<Container>> {
        self.call(
            &format!("list containers on network {network}"),
            self.engine.members(network),
        )
        .await
    }
    async fn published_ports(&self) -> Result<Vec<u16>> {
        self.call("list running containers", self.engine.published_ports())
            .await
    }
    async fn create(&self, spec: &ContainerSpec) -> Result<String> {
        let name = &spec.name;
        self.call(
            &format!("create container {name}"),
            self.engine.create(spec),
        )
        .await
    }
    async fn start(&self, name: &str) -> Result<()> {
        self.call(&format!("start container {name}"), self.engine.start(name))
            .await
    }
    async fn stop(&self, name: &str, grace: u32) -> Result<()> {
        self.call(
            &format!("stop container {name}"),
            self.engine.stop(name, grace),
        )
        .await
    }
    async fn wait(&self, name: &str) -> Result<i64> {
        let call = self.engine.wait(name);
        self.call(&format!("wait for container {name}"), call).await
    }
    async fn remove(&self, name: &str) -> Result<()> {
        self.call(
            &format!("remove container {name}"),
            self.engine.remove(name),
        )
        .await
    }
    async fn logs(&self, name: &str, lines: u32) -> Result<String> {
        self.call(
            &format!("read the logs of container {name}"),
            self.engine.logs(name, lines),
        )
        .await
    }
    async fn attach(&self, name: &str) -> Result<Box<dyn Attached>> {
        self.call(
            &format!("attach to container {name}"),
            self.engine.attach(name),
        )
        .await
    }
    async fn exec(&self, name: &str, command: &[&str], input: &[u8]) -> Result<ExecOutput> {
        self.call(
            &format!("run a command in container {name}"),
            self.engine.exec(name, command, input),
        )
        .await
    }
    async fn upload(&self, name: &str, folder: &str, archive: Bytes) -> Result<()> {
        self.call(
            &format!("upload to container {name}"),
            self.engine.upload(name, folder, archive),
        )
        .await
    }
    async fn download(&self, name: &str, path: &str) -> Result<Option<Bytes>> {
        self.call(
            &format!("download from container {name}"),
            self.engine.download(name, path),
        )
        .await
    }
    async fn stat(&self, name: &str, path: &str) -> Result<Option<PathKind>> {
        self.call(
            &format!("look for a path in container {name}"),
            self.engine.stat(name, path),
        )
        .await
    }
    async fn network(&self, name: &str) -> Result<Option<Network>> {
        self.call(
            &format!("look for network {name}"),
            self.engine.network(name),
        )
        .await
    }
    async fn networks(&self, label: Label<'_>) -> Result<Vec<Network>> {
        self.call("list networks", self.engine.networks(label))
            .await
    }
    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        let name = &spec.name;
        self.call(
            &format!("create network {name}"),
            self.engine.create_network(spec),
        )
        .await
    }
    async fn remove_network(&self, name: &str) -> Result<()> {
        self.call(
            &format!("remove network {name}"),
            self.engine.remove_network(name),
        )
        .await
    }
    async fn connect(&self, network: &str, container: &str, aliases: &[String]) -> Result<()> {
        self.call(
            &format!("connect {container} to network {network}"),
            self.engine.connect(network, container, aliases),
        )
        .await
    }
    async fn volume(&self, name: &str) -> Result<Option<Volume>> {
        self.call(&format!("look for volume {name}"), self.engine.volume(name))
            .await
    }
    async fn volumes(&self, label: Label<'_>) -> Result<Vec<Volume>> {
        self.call("list volumes", self.engine.volumes(label)).await
    }
    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let name = &volume.name;
        self.call(
            &format!("create volume {name}"),
            self.engine.create_volume(volume),
        )
        .await
    }
    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.call(
            &format!("remove volume {name}"),
            self.engine.remove_volume(name),
        )
        .await
    }
}
