//! Implements [`Docker`] for the fake. Each call is counted first and settled last; `engine/` does the work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::super::{
    Attached, Container, ContainerSpec, ContainerState, Docker, DockerError, EngineInfo,
    ExecOutput, Label, MAX_DOWNLOAD, Network, NetworkSpec, PathKind, Result, Volume, host_ports,
};
use super::engine::{Engine, View};
use super::{FakeDocker, Node, files, lock};
use crate::credentials::RegistryCredentials;

/// A client that is attached to a container's standard input.
#[derive(Debug)]
struct Client {
    engine: Arc<Mutex<Engine>>,
    id: String,
}

#[async_trait]
impl Attached for Client {
    async fn keep(&self, interval: Duration) {
        while lock(&self.engine).found(&self.id).is_ok() {
            tokio::time::sleep(interval.min(Duration::from_millis(20))).await;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        lock(&self.engine).client_left(&self.id);
    }
}

#[async_trait]
impl Docker for FakeDocker {
    async fn info(&self) -> Result<EngineInfo> {
        self.enter("info")
            .await?
            .settle(Ok(self.engine().info.clone()))
    }

    async fn image(&self, reference: &str) -> Result<Option<String>> {
        let call = self.enter(format!("image {reference}")).await?;
        call.settle(Ok(self.engine().image(reference).cloned()))
    }

    async fn image_labels(&self, image: &str) -> Result<Option<BTreeMap<String, String>>> {
        let call = self.enter(format!("labels of image {image}")).await?;
        call.settle(Ok(self.engine().image_labels(image)))
    }

    async fn pull(&self, reference: &str) -> Result<()> {
        let call = self.enter(format!("pull {reference}")).await?;
        call.settle(self.engine().pull(reference))
    }

    async fn load(&self, archive: Bytes) -> Result<()> {
        self.enter("load")
            .await?
            .settle(self.load_archive(&archive))
    }

    async fn push(&self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<()> {
        let call = self.enter(format!("push {reference}")).await?;
        call.settle(self.engine().push(reference, credentials))
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        let call = self.enter(format!("remove image {reference}")).await?;
        self.engine().remove_image(reference);
        call.settle(Ok(()))
    }

    async fn container(&self, name: &str) -> Result<Option<Container>> {
        self.enter(format!("container {name}"))
            .await?
            .settle(Ok(self.peek(name)))
    }

    async fn containers(&self, label: Label<'_>) -> Result<Vec<Container>> {
        self.enter(format!("containers {label}"))
            .await?
            .settle(Ok(self.peek_labelled(label)))
    }

    async fn members(&self, network: &str) -> Result<Vec<Container>> {
        let call = self.enter(format!("members {network}")).await?;
        let engine = self.engine();
        let names = engine.containers.keys();
        let mut members: Vec<Container> = names.filter_map(|name| engine.report(name)).collect();
        members.retain(|member| {
            member.state == ContainerState::Running && member.networks.contains_key(network)
        });
        call.settle(Ok(members))
    }

    async fn published_ports(&self) -> Result<Vec<u16>> {
        let call = self.enter("published ports").await?;
        let engine = self.engine();
        let names = engine.containers.keys();
        let containers = names.filter_map(|name| engine.report(name));
        call.settle(Ok(host_ports(containers)))
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<String> {
        let call = self.enter(format!("create {}", spec.name)).await?;
        let mut engine = self.engine();
        let made = engine.create(spec);
        if made.is_ok() {
            engine.record(format!("create {}", spec.name));
        }
        call.settle(made)
    }

    async fn start(&self, name: &str) -> Result<()> {
        self.enter(format!("start {name}"))
            .await?
            .settle(self.run(name))
    }

    async fn stop(&self, name: &str, _grace: u32) -> Result<()> {
        let call = self.enter(format!("stop {name}")).await?;
        let mut engine = self.engine();
        if engine
            .found(name)
            .is_ok_and(|container| container.state == ContainerState::Running)
        {
            engine.record(format!("stop {name}"));
            engine.end(name, 0);
        }
        call.settle(Ok(()))
    }

    async fn wait(&self, name: &str) -> Result<i64> {
        let call = self.enter(format!("wait {name}")).await?;
        loop {
            let state = self
                .engine()
                .found(name)
                .map(|container| container.state.clone());
            match state {
                Ok(ContainerState::Exited { code }) => return call.settle(Ok(code)),
                Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(gone) => return call.settle(Err(gone)),
            }
        }
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let call = self.enter(format!("remove {name}")).await?;
        let mut engine = self.engine();
        if let Some(name) = engine.name_of(name)
            && !engine.stuck.contains(&name)
        {
            engine.containers.remove(&name);
            engine.record(format!("remove {name}"));
        }
        call.settle(Ok(()))
    }

    async fn logs(&self, name: &str, lines: u32) -> Result<String> {
        let call = self.enter(format!("logs {name}")).await?;
        let output = self
            .engine()
            .found(name)
            .map(|container| container.output.clone());
        call.settle(output.map(|output| {
            let last = usize::try_from(lines).unwrap_or(usize::MAX);
            let skipped = output.lines().count().saturating_sub(last);
            output.split_inclusive('\n').skip(skipped).collect()
        }))
    }

    async fn attach(&self, name: &str) -> Result<Box<dyn Attached>> {
        let call = self.enter(format!("attach {name}")).await?;
        let id = self
            .engine()
            .found(name)
            .map(|container| container.id.clone());
        let engine = Arc::clone(&self.engine);
        call.settle(id.map(|id| Box::new(Client { engine, id }) as Box<dyn Attached>))
    }

    async fn exec(&self, name: &str, command: &[&str], input: &[u8]) -> Result<ExecOutput> {
        let call = self
            .enter(format!("exec {name} {}", command.join(" ")))
            .await?;
        let running = self
            .peek(name)
            .filter(|container| container.state == ContainerState::Running);
        let Some(container) = running else {
            return call.settle(Err(DockerError::Missing {
                what: format!("running container {name}"),
            }));
        };
        let argv: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        call.settle(Ok(self.command(&container.name, &argv, input)))
    }

    async fn upload(&self, name: &str, folder: &str, archive: Bytes) -> Result<()> {
        self.enter(format!("upload {name}:{folder}"))
            .await?
            .settle(self.unpack(name, folder, &archive))
    }

    async fn download(&self, name: &str, path: &str) -> Result<Option<Bytes>> {
        let call = self.enter(format!("download {name}:{path}")).await?;
        let engine = self.engine();
        let Some(name) = engine.name_of(name) else {
            return call.settle(Ok(None));
        };
        let path = files::clean(path);
        let archive = if let Some(served) = engine.archives.get(&(name.clone(), path.clone())) {
            served.clone()
        } else {
            let nodes = engine.nodes(&View::Container(name.clone()), &path);
            if nodes.is_empty() {
                return call.settle(Ok(None));
            }
            match files::pack(&nodes, &path) {
                Ok(archive) => archive,
                Err(error) => {
                    return call.settle(Err(DockerError::Other {
                        doing: format!("download {name}:{path}"),
                        cause: error.to_string(),
                    }));
                }
            }
        };
        if archive.len() > MAX_DOWNLOAD {
            let what = format!("{path} of container {name}");
            return call.settle(Err(DockerError::TooLarge { what }));
        }
        call.settle(Ok(Some(archive)))
    }

    async fn stat(&self, name: &str, path: &str) -> Result<Option<PathKind>> {
        let call = self.enter(format!("stat {name}:{path}")).await?;
        let engine = self.engine();
        let Some(name) = engine.name_of(name) else {
            return call.settle(Ok(None));
        };
        let found = engine.node(&View::Container(name), path);
        call.settle(Ok(found.map(|node| match node {
            Node::Folder { .. } => PathKind::Folder,
            Node::File { .. } => PathKind::File,
            Node::Link { .. } => PathKind::Link,
        })))
    }

    async fn network(&self, name: &str) -> Result<Option<Network>> {
        let call = self.enter(format!("network {name}")).await?;
        call.settle(Ok(self.engine().networks.get(name).cloned()))
    }

    async fn networks(&self, label: Label<'_>) -> Result<Vec<Network>> {
        let call = self.enter(format!("networks {label}")).await?;
        let networks: Vec<_> = self.engine().networks.values().cloned().collect();
        call.settle(Ok(networks
            .into_iter()
            .filter(|network| label.is_in(&network.labels))
            .collect()))
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        let call = self.enter(format!("create network {}", spec.name)).await?;
        let mut engine = self.engine();
        let made = engine.create_network(spec);
        if made.is_ok() {
            engine.record(format!("create network {}", spec.name));
        }
        call.settle(made)
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        let call = self.enter(format!("remove network {name}")).await?;
        call.settle(self.engine().remove_network(name))
    }

    async fn connect(&self, network: &str, container: &str, aliases: &[String]) -> Result<()> {
        let call = self
            .enter(format!("connect {container} to {network}"))
            .await?;
        call.settle(self.engine().connect(network, container, aliases))
    }

    async fn volume(&self, name: &str) -> Result<Option<Volume>> {
        let call = self.enter(format!("volume {name}")).await?;
        call.settle(Ok(self.engine().volume(name)))
    }

    async fn volumes(&self, label: Label<'_>) -> Result<Vec<Volume>> {
        let call = self.enter(format!("volumes {label}")).await?;
        let volumes = self.engine().volumes();
        call.settle(Ok(volumes
            .into_iter()
            .filter(|volume| label.is_in(&volume.labels))
            .collect()))
    }

    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let call = self.enter(format!("create volume {}", volume.name)).await?;
        call.settle(self.engine().create_volume(volume))
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        let call = self.enter(format!("remove volume {name}")).await?;
        call.settle(self.engine().remove_volume(name))
    }
}
