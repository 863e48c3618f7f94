//! [`FakeKube`]: the Kubernetes API of a cluster that [`FakeKind`](crate::kind::fake::FakeKind) created.
//!
//! Its calls are counted with those of the engine, and fail with them; its effects are in the engine's journal. No
//! controller runs: objects stay as they were put, except pods, which finish at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Kube, KubeError, Result};
use crate::docker::fake::{FakeDocker, Lost};
use crate::docker::{Container, ContainerState, DockerError, Label};

/// An in-memory Kubernetes API.
#[derive(Debug)]
pub struct FakeKube {
    docker: Arc<FakeDocker>,
    control_plane: String,
    cluster: Mutex<Cluster>,
}

/// The objects in etcd, by path. They are lost with the control plane's container.
#[derive(Debug, Default)]
struct Cluster {
    container: String,
    objects: BTreeMap<String, Value>,
    revision: u64,
    /// Why pods fail, by node.
    failing: BTreeMap<String, (String, String)>,
    /// The nodes that evict the next pod.
    evicting: BTreeSet<String>,
    cni: Cni,
}

/// Whether the nodes have a CNI plug-in, without which none is Ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cni {
    /// They have one.
    #[default]
    Installed,
    /// They have none.
    Missing,
}

impl FakeKube {
    /// Returns the API of the cluster with that control-plane container.
    #[must_use]
    pub fn new(docker: Arc<FakeDocker>, control_plane: impl Into<String>) -> Self {
        Self {
            docker,
            control_plane: control_plane.into(),
            cluster: Mutex::default(),
        }
    }

    /// Makes new pods fail on that node, for a reason such as `ErrImagePull`.
    pub fn pod_fails(&self, node: &str, reason: &str, message: &str) {
        let why = (reason.to_owned(), message.to_owned());
        self.cluster().failing.insert(node.to_owned(), why);
    }

    /// Makes new pods succeed on that node again.
    pub fn pod_succeeds(&self, node: &str) {
        self.cluster().failing.remove(node);
    }

    /// Makes that node evict its next pod.
    pub fn pod_is_evicted(&self, node: &str) {
        self.cluster().evicting.insert(node.to_owned());
    }

    /// Sets whether the nodes have a CNI plug-in.
    pub fn set_cni(&self, cni: Cni) {
        self.cluster().cni = cni;
    }

    /// Puts or removes an object as another client would. It is not a call, and not in the journal.
    pub fn set(&self, path: &str, object: Option<Value>) {
        if let Ok(container) = self.container() {
            let mut cluster = self.of(&container);
            match object {
                Some(object) => drop(cluster.objects.insert(path.to_owned(), object)),
                None => drop(cluster.objects.remove(path)),
            }
        }
    }

    fn cluster(&self) -> std::sync::MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn container(&self) -> Result<Container> {
        let container = self.docker.peek(&self.control_plane);
        let running = container.filter(|container| container.state == ContainerState::Running);
        running
            .ok_or_else(|| KubeError::Unreachable(format!("{} is not running", self.control_plane)))
    }

    /// Returns the cluster's objects, which are at first those of a new cluster.
    fn of(&self, control_plane: &Container) -> std::sync::MutexGuard<'_, Cluster> {
        let mut cluster = self.cluster();
        if cluster.container != control_plane.id {
            cluster.container.clone_from(&control_plane.id);
            cluster.objects.clear();
            for name in ["default", "kube-public", "kube-system"] {
                let namespace = format!("/api/v1/namespaces/{name}");
                let account = json!({ "metadata": { "name": "default", "namespace": name } });
                cluster
                    .objects
                    .insert(format!("{namespace}/serviceaccounts/default"), account);
                cluster
                    .objects
                    .insert(namespace, json!({ "metadata": { "name": name } }));
            }
        }
        cluster
    }

    fn nodes(&self, control_plane: &Container) -> Vec<Value> {
        let cni = self.cluster().cni;
        let label = "io.x-k8s.kind.cluster";
        let balancer = Label::Pair("io.x-k8s.kind.role", "external-load-balancer");
        let cluster = control_plane.labels.get(label).map_or("", String::as_str);
        self.docker
            .peek_labelled(Label::Pair(label, cluster))
            .iter()
            .filter(|node| !balancer.is_in(&node.labels))
            .map(|container| node(container, cni))
            .collect()
    }

    fn read(&self, path: &str) -> Result<Option<Value>> {
        let control_plane = self.container()?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let nodes = self.nodes(&control_plane);
        if let Some(name) = path.strip_prefix("/api/v1/nodes/") {
            return Ok(nodes
                .into_iter()
                .find(|node| node["metadata"]["name"] == name));
        }
        if path == "/api/v1/nodes" {
            return Ok(Some(list(&nodes)));
        }
        let cluster = self.of(&control_plane);
        if !is_collection(path) {
            return Ok(cluster.objects.get(path).cloned());
        }
        // `/api/v1/secrets` has the Secrets of all namespaces.
        let inside = |at: &str| {
            let collection = at.rsplit_once('/').map(|(collection, _)| collection);
            let everywhere = || {
                let (namespace, kind) = collection?
                    .strip_prefix("/api/v1/namespaces/")?
                    .split_once('/')?;
                Some(!namespace.is_empty() && path == format!("/api/v1/{kind}"))
            };
            collection == Some(path) || everywhere().unwrap_or_default()
        };
        let items = cluster
            .objects
            .iter()
            .filter(|(at, object)| inside(at) && selected(object, query));
        let items: Vec<Value> = items.map(|(_, object)| object.clone()).collect();
        Ok(Some(list(&items)))
    }

    fn write(&self, collection: &str, object: &Value) -> Result<()> {
        let control_plane = self.container()?;
        let Some(name) = object["metadata"]["name"].as_str() else {
            let message = "name or generateName is required".into();
            return Err(KubeError::Refused {
                method: "POST",
                path: collection.into(),
                message,
            });
        };
        if !object["metadata"]["resourceVersion"].is_null() {
            let message = "resourceVersion should not be set on objects to be created".into();
            return Err(KubeError::Refused {
                method: "POST",
                path: collection.into(),
                message,
            });
        }
        let path = format!("{collection}/{name}");
        let mut cluster = self.of(&control_plane);
        let mut made = object.clone();
        if collection.ends_with("/pods") {
            let node = object["spec"]["nodeName"].as_str().unwrap_or_default();
            made["status"] = if cluster.evicting.remove(node) {
                json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory." })
            } else {
                pod_status(object, &cluster.failing)
            };
        }
        if let Some(present) = cluster.objects.get(&path) {
            if collection.ends_with("/pods") && present["spec"] != object["spec"] {
                let message = "Invalid: pod updates may not change fields".into();
                return Err(KubeError::Refused {
                    method: "PUT",
                    path,
                    message,
                });
            }
            // The API server does not write an unchanged object.
            made["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"].clone();
            made["status"] = present["status"].clone();
            if made["status"].is_null() {
                made.as_object_mut().map(|made| made.remove("status"));
            }
            if *present == made {
                return Ok(());
            }
        }
        cluster.revision += 1;
        made["metadata"]["resourceVersion"] = json!(cluster.revision.to_string());
        cluster.objects.insert(path.clone(), made);
        drop(cluster);
        self.docker.record(format!("kube put {path}"));
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<()> {
        let control_plane = self.container()?;
        if self.of(&control_plane).objects.remove(path).is_some() {
            self.docker.record(format!("kube delete {path}"));
        }
        Ok(())
    }
}

#[async_trait]
impl Kube for FakeKube {
    async fn get(&self, path: &str) -> Result<Option<Value>> {
        self.docker
            .enter(format!("kube get {path}"))
            .await?
            .settle(self.read(path))
    }

    async fn put(&self, collection: &str, object: &Value) -> Result<()> {
        self.docker
            .enter(format!("kube put {collection}"))
            .await?
            .settle(self.write(collection, object))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.docker
            .enter(format!("kube delete {path}"))
            .await?
            .settle(self.remove(path))
    }
}

fn list(items: &[Value]) -> Value {
    json!({ "kind": "List", "apiVersion": "v1", "items": items })
}

/// Returns whether a path is that of a collection: after the group's version come pairs of resource and name.
fn is_collection(path: &str) -> bool {
    let prefix = if path.starts_with("/apis/") { 3 } else { 2 };
    path.trim_matches('/')
        .split('/')
        .count()
        .saturating_sub(prefix)
        % 2
        == 1
}

/// Returns whether an object has the labels of a `labelSelector=key=value,…`.
fn selected(object: &Value, query: &str) -> bool {
    let selector = query
        .split('&')
        .find_map(|part| part.strip_prefix("labelSelector="))
        .unwrap_or_default();
    let selector = selector
        .replace("%3D", "=")
        .replace("%2C", ",")
        .replace("%2F", "/");
    let mut wanted = selector.split(',').filter_map(|part| part.split_once('='));
    wanted.all(|(key, value)| object["metadata"]["labels"][key] == value)
}

fn node(container: &Container, cni: Cni) -> Value {
    let ready = match (&container.state, cni) {
        (ContainerState::Running, Cni::Installed) => "True",
        (ContainerState::Running, Cni::Missing) => "False",
        _ => "Unknown",
    };
    json!({
        "metadata": { "name": container.name, "labels": { "kubernetes.io/hostname": container.name } },
        "status": {
            "conditions": [{ "type": "Ready", "status": ready }],
            "nodeInfo": { "architecture": "amd64" },
        },
    })
}

/// Returns a pod's status: all its containers have run, or none could.
fn pod_status(pod: &Value, failing: &BTreeMap<String, (String, String)>) -> Value {
    let failure = pod["spec"]["nodeName"]
        .as_str()
        .and_then(|node| failing.get(node));
    let state = match failure {
        Some((reason, message)) => json!({ "waiting": { "reason": reason, "message": message } }),
        None => json!({ "terminated": { "exitCode": 0, "reason": "Completed" } }),
    };
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let statuses: Vec<Value> = containers
        .map(|container| json!({ "name": container["name"], "image": container["image"], "state": state }))
        .collect();
    let phase = if failure.is_some() {
        "Pending"
    } else {
        "Succeeded"
    };
    json!({ "phase": phase, "containerStatuses": statuses })
}

impl From<Lost> for KubeError {
    fn from(Lost(error): Lost) -> Self {
        error.into()
    }
}

impl From<DockerError> for KubeError {
    fn from(error: DockerError) -> Self {
        Self::Unreachable(error.to_string())
    }
}
