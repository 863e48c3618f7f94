//! [`FakeKind`]: creates node containers in the fake engine as kind does.
//!
//! Its calls are counted with those of the engine, and fail with them; its effects are in the engine's journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::Deserialize;

use super::{Creation, Kind, KindError, Orphan, Result};
use crate::docker::fake::{FakeDocker, Lost};
use crate::docker::{
    Afterwards, Capabilities, ContainerSpec, DockerError, Input, Label, NetworkMode, PublishedPort,
    Restart,
};
use crate::spec::{KindVersion, NEWEST_KIND};

const CLUSTER: &str = "io.x-k8s.kind.cluster";
const ROLE: &str = "io.x-k8s.kind.role";

/// What the next creation does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Succeeds,
    Fails(String),
    Hangs,
}

/// An in-memory kind.
#[derive(Debug)]
pub struct FakeKind {
    docker: Arc<FakeDocker>,
    next: Mutex<Next>,
    orphans: Mutex<BTreeSet<String>>,
    version: Mutex<KindVersion>,
}

impl FakeKind {
    /// Returns a kind that creates its nodes in that engine.
    #[must_use]
    pub fn new(docker: Arc<FakeDocker>) -> Self {
        Self {
            docker,
            next: Mutex::default(),
            orphans: Mutex::default(),
            version: Mutex::new(NEWEST_KIND),
        }
    }

    /// Sets the version that it says it has; that of the newest release that kindreg knows, unless set.
    pub fn set_version(&self, version: KindVersion) {
        *lock(&self.version) = version;
    }

    /// Makes the next creation fail with this output after it created its nodes, and remove them, as kind does.
    pub fn fail_next(&self, text: &str) {
        *lock(&self.next) = Next::Fails(text.to_owned());
    }

    /// Makes the next creation create its nodes and then hang.
    pub fn hang_next(&self) {
        *lock(&self.next) = Next::Hangs;
    }

    /// Sets whether a creation by an earlier run is still running.
    pub fn set_orphan(&self, cluster: &str, orphan: Orphan) {
        match orphan {
            Orphan::Running => drop(lock(&self.orphans).insert(cluster.to_owned())),
            Orphan::None => drop(lock(&self.orphans).remove(cluster)),
        }
    }
}

/// The part of kind's configuration that determines the containers.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    nodes: Vec<Node>,
    #[serde(default, rename = "containerdConfigPatches")]
    patches: Vec<String>,
}

#[derive(Deserialize)]
struct Node {
    role: Option<String>,
    image: Option<String>,
}

#[async_trait]
impl Kind for FakeKind {
    async fn version(&self) -> Result<KindVersion> {
        let call = self.docker.enter("kind version").await?;
        call.settle(Ok(*lock(&self.version)))
    }

    async fn create(
        &self,
        cluster: &str,
        network: &str,
        config: &str,
        _: &[String],
    ) -> Result<Box<dyn Creation>> {
        let call = self.docker.enter(format!("kind create {cluster}")).await?;
        let next = std::mem::take(&mut *lock(&self.next));
        let made = self.make(cluster, network, config);
        let (docker, cluster) = (Arc::clone(&self.docker), cluster.to_owned());
        call.settle(made.map(|()| {
            Box::new(FakeCreation {
                docker,
                cluster,
                next,
            }) as Box<dyn Creation>
        }))
    }

    async fn orphan(&self, cluster: &str) -> Result<Orphan> {
        let call = self.docker.enter(format!("kind orphan {cluster}")).await?;
        let at_work = lock(&self.orphans).contains(cluster);
        call.settle(Ok(if at_work {
            Orphan::Running
        } else {
            Orphan::None
        }))
    }

    async fn delete(&self, cluster: &str) -> Result<()> {
        let call = self.docker.enter(format!("kind delete {cluster}")).await?;
        if remove_nodes(&self.docker, cluster) {
            self.docker.record(format!("kind delete {cluster}"));
        }
        call.settle(Ok(()))
    }
}

impl FakeKind {
    fn make(&self, cluster: &str, network: &str, config: &str) -> Result<()> {
        let failed = |output: String| KindError::Failed {
            command: "create cluster".into(),
            output,
        };
        let mut config: Config =
            serde_yaml::from_str(config).map_err(|error| failed(error.to_string()))?;
        if !self
            .docker
            .peek_labelled(Label::Pair(CLUSTER, cluster))
            .is_empty()
        {
            return Err(failed(format!(
                "node(s) already exist for a cluster with the name \"{cluster}\""
            )));
        }
        if config.nodes.is_empty() {
            config.nodes.push(Node {
                role: None,
                image: None,
            });
        }
        self.docker.record(format!("kind create {cluster}"));
        let is_control_plane = |node: &&Node| {
            let role = node.role.as_deref();
            role.is_none_or(|role| role == "control-plane")
        };
        if config.nodes.iter().filter(is_control_plane).count() > 1 {
            let balancer = load_balancer(cluster, network);
            let started = self.docker.run_foreign(&balancer);
            started.map_err(|error| failed(error.to_string()))?;
        }
        let mut counts = BTreeMap::new();
        for Node { role, image } in std::mem::take(&mut config.nodes) {
            let role = role.unwrap_or_else(|| "control-plane".into());
            let count = counts
                .entry(role.clone())
                .and_modify(|count| *count += 1)
                .or_insert(1);
            let suffix = if *count == 1 {
                String::new()
            } else {
                count.to_string()
            };
            let name = format!("{cluster}-{role}{suffix}");
            let spec = node(
                name,
                cluster,
                role,
                image.unwrap_or_else(|| "kindest/node:v1.34.4".into()),
                network,
            );
            self.run(&spec, &config.patches)?;
        }
        Ok(())
    }

    /// Creates a node's container, with the image's containerd configuration and these patches.
    fn run(&self, spec: &ContainerSpec, patches: &[String]) -> Result<()> {
        let failed = |output: String| KindError::Failed {
            command: "create cluster".into(),
            output,
        };
        let started = self.docker.run_foreign(spec);
        started.map_err(|error| failed(error.to_string()))?;
        let text = format!("version = 2\n{}\n", patches.join("\n"));
        let files = self.docker.files(&spec.name);
        let written = files.write("/etc/containerd/config.toml", 0o644, text);
        written.map_err(|error| failed(error.to_string()))
    }

    /// Adds a worker that somebody joined to a cluster by hand, from the bare image. It is not in the journal.
    pub fn join(&self, cluster: &str, name: &str, image: &str, network: &str) -> Result<()> {
        let (name, role, image) = (name.to_owned(), "worker".to_owned(), image.to_owned());
        self.run(&node(name, cluster, role, image, network), &[])
    }
}

/// Returns the container that kind puts before several control planes:
/// <https://github.com/kubernetes-sigs/kind/blob/v0.33.0/pkg/cluster/internal/loadbalancer/const.go>.
fn load_balancer(cluster: &str, network: &str) -> ContainerSpec {
    let role = "external-load-balancer";
    let name = format!("{cluster}-{role}");
    let image = "docker.io/envoyproxy/envoy:v1.36.2".to_owned();
    node(name, cluster, role.to_owned(), image, network)
}

fn node(name: String, cluster: &str, role: String, image: String, network: &str) -> ContainerSpec {
    let api = PublishedPort {
        container: 6443,
        address: "127.0.0.1".into(),
        host: 0,
    };
    let ports = if role == "worker" {
        Vec::new()
    } else {
        vec![api]
    };
    ContainerSpec {
        name,
        image,
        entrypoint: Vec::new(),
        command: Vec::new(),
        environment: BTreeMap::new(),
        labels: BTreeMap::from([(CLUSTER.into(), cluster.into()), (ROLE.into(), role)]),
        mounts: Vec::new(),
        network: NetworkMode::Named {
            name: network.into(),
            aliases: Vec::new(),
        },
        ports,
        restart: Restart::No,
        capabilities: Capabilities::Default,
        input: Input::Closed,
        afterwards: Afterwards::Keep,
    }
}

/// Removes a cluster's nodes, and returns whether there were any.
fn remove_nodes(docker: &FakeDocker, cluster: &str) -> bool {
    let nodes = docker.peek_labelled(Label::Pair(CLUSTER, cluster));
    for node in &nodes {
        docker.remove_foreign(&node.name);
    }
    !nodes.is_empty()
}

#[derive(Debug)]
struct FakeCreation {
    docker: Arc<FakeDocker>,
    cluster: String,
    next: Next,
}

#[async_trait]
impl Creation for FakeCreation {
    async fn finished(&mut self) -> Result<()> {
        match &self.next {
            Next::Succeeds => Ok(()),
            Next::Fails(text) => {
                remove_nodes(&self.docker, &self.cluster);
                Err(KindError::Failed {
                    command: "create cluster".into(),
                    output: text.clone(),
                })
            }
            Next::Hangs => std::future::pending().await,
        }
    }

    fn ended(&mut self) -> bool {
        self.next != Next::Hangs
    }

    async fn abort(&mut self) {
        if self.next == Next::Hangs {
            self.docker.record(format!("kind abort {}", self.cluster));
            self.next = Next::Fails("signal: terminated".into());
        }
    }
}

impl From<Lost> for KindError {
    fn from(Lost(error): Lost) -> Self {
        error.into()
    }
}

/// kind's errors contain those of the docker program.
impl From<DockerError> for KindError {
    fn from(error: DockerError) -> Self {
        Self::Failed {
            command: "(fake)".into(),
            output: error.to_string(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{ContainerState, Docker};
    use crate::kube::fake::FakeKube;
    use crate::kube::{Kube, KubeError};
    use serde_json::json;

    const CONFIG: &str =
        "nodes:\n- role: control-plane\n  image: node:1\n- role: worker\n- role: worker\n";

    #[tokio::test]
    async fn nodes_come_and_go_as_with_kind() {
        let docker = Arc::new(FakeDocker::new());
        let kind = FakeKind::new(Arc::clone(&docker));
        kind.create("c", "net", CONFIG, &[])
            .await
            .unwrap()
            .finished()
            .await
            .unwrap();
        let nodes = docker.containers(Label::Pair(CLUSTER, "c")).await.unwrap();
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["c-control-plane", "c-worker", "c-worker2"]);
        assert!(
            nodes
                .iter()
                .all(|node| node.state == ContainerState::Running
                    && node.networks.contains_key("net"))
        );
        assert_eq!(
            (nodes[0].image.as_str(), nodes[0].ports[0].container),
            ("node:1", 6443)
        );
        assert!(kind.create("c", "net", CONFIG, &[]).await.is_err());
        kind.delete("c").await.unwrap();
        kind.delete("c").await.unwrap();
        assert!(
            docker
                .containers(Label::Pair(CLUSTER, "c"))
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(docker.journal(), ["kind create c", "kind delete c"]);

        kind.fail_next("no space");
        let failed = kind
            .create("c", "net", CONFIG, &[])
            .await
            .unwrap()
            .finished()
            .await
            .unwrap_err();
        assert!(failed.to_string().contains("no space"));
        assert!(
            docker
                .containers(Label::Pair(CLUSTER, "c"))
                .await
                .unwrap()
                .is_empty()
        );
    }

    #[tokio::test]
    async fn pods_of_its_clusters_end_at_once() {
        let docker = Arc::new(FakeDocker::new());
        let kube = FakeKube::new(Arc::clone(&docker), "c-control-plane");
        assert!(matches!(
            kube.get("/api/v1/nodes").await,
            Err(KubeError::Unreachable(_))
        ));
        FakeKind::new(Arc::clone(&docker))
            .create("c", "net", CONFIG, &[])
            .await
            .unwrap();
        let nodes = kube.get("/api/v1/nodes").await.unwrap().unwrap();
        assert_eq!(nodes["items"].as_array().unwrap().len(), 3);

        kube.pod_fails("c-worker", "ErrImagePull", "x509");
        let pods = "/api/v1/namespaces/default/pods";
        for (name, node) in [("a", "c-control-plane"), ("b", "c-worker")] {
            let labels = json!({ "of": name });
            let spec = json!({ "nodeName": node, "containers": [{ "name": "one", "image": "i" }] });
            let pod = json!({ "metadata": { "name": name, "labels": labels }, "spec": spec });
            kube.put(pods, &pod).await.unwrap();
            kube.put(pods, &pod).await.unwrap();
        }
        let a = kube.get(&format!("{pods}/a")).await.unwrap().unwrap();
        assert_eq!(a["status"]["phase"], "Succeeded");
        let listed = kube
            .get(&format!("{pods}?labelSelector=of%3Db"))
            .await
            .unwrap()
            .unwrap();
        let waiting = &listed["items"][0]["status"]["containerStatuses"][0]["state"]["waiting"];
        assert_eq!(waiting["reason"], "ErrImagePull");
        kube.delete(&format!("{pods}/a")).await.unwrap();
        assert_eq!(kube.get(&format!("{pods}/a")).await.unwrap(), None);
        let put = format!("kube put {pods}");
        let effects = [
            "kind create c".to_owned(),
            format!("{put}/a"),
            format!("{put}/b"),
            format!("kube delete {pods}/a"),
        ];
        assert_eq!(docker.journal(), effects);
    }
}
