//! Every derived name, path and label. Pure: no decision is made here, and nothing is read.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::docker::ContainerSpec;
use crate::spec::{ClusterName, Registry, RegistryName, Spec, Target};

/// Label of everything that is ours: the cluster's name.
pub const LABEL_CLUSTER: &str = "dev.kindreg.cluster";
/// Label of what belongs to one registry: the registry's name.
pub const LABEL_REGISTRY: &str = "dev.kindreg.registry";
/// Label of a registry's container: whether its data are kept on `down` (`keep` or `discard`), for a `down` without a
/// record.
pub const LABEL_DATA: &str = "dev.kindreg.data";
/// Label of a container: hash of the settings it was made with.
pub const LABEL_SPEC: &str = "dev.kindreg.spec";
/// Label of everything that is ours: the version that made it.
pub const LABEL_VERSION: &str = "dev.kindreg.version";
/// Label of the record: what was asked for first, as JSON.
pub const LABEL_RECORD: &str = "dev.kindreg.record";
/// Label of the record: whether kindreg made the cluster (`owned`).
pub const LABEL_MODE: &str = "dev.kindreg.mode";
/// kind's own label of a node: the cluster's name.
pub const KIND_LABEL_CLUSTER: &str = "io.x-k8s.kind.cluster";
/// kind's own label of a node: its role.
pub const KIND_LABEL_ROLE: &str = "io.x-k8s.kind.role";

/// Where the engine host's `/etc` appears in the record and in one-shot containers.
pub const HOST_ETC: &str = "/host/etc";
/// Docker's folder of trusted CAs, below the engine host's `/etc`:
/// <https://docs.docker.com/engine/security/certificates/>.
pub const HOST_CERTS: &str = "docker/certs.d";
/// Where the record keeps what `down` must give back.
pub const ORIGINALS: &str = "/kindreg/originals";
/// Where the registry's certificate and key appear in its container.
pub const SECRET: &str = "/kindreg/secret";
/// File of the CA certificate in the secret volume.
pub const SECRET_CA: &str = "ca.crt";
/// File of the leaf certificate in the secret volume.
pub const SECRET_LEAF: &str = "tls.crt";
/// File of the leaf's key in the secret volume.
pub const SECRET_KEY: &str = "tls.key";
/// File of users and their passwords in the secret volume; no back end reads it.
pub const SECRET_CREDENTIALS: &str = "credentials.json";
/// Where the registry's data appear in its container.
pub const DATA: &str = "/var/lib/registry";
/// containerd's folder in a node, of its configuration and its registries. It is read whole: once for both.
pub const NODE_CONTAINERD: &str = "/etc/containerd";
/// containerd's folder of registries in a node.
pub const NODE_CERTS: &str = "/etc/containerd/certs.d";
/// kubelet's folder in a node.
pub const NODE_KUBELET: &str = "/var/lib/kubelet";
/// kubelet's file of credentials, below that folder.
pub const NODE_KUBELET_CONFIG: &str = "config.json";
/// Our own notes in a node: `proof`, what it was last proven with; in the control plane `created`, that the creation
/// of the cluster came to its end.
pub const NODE_STATE: &str = "/var/lib/kindreg";
/// Our note in a node of the lines that its `/etc/hosts` is to have.
pub const NODE_HOSTS: &str = "hosts";
/// The script beside it that puts them there.
pub const NODE_HOSTS_SCRIPT: &str = "hosts.sh";
/// The setting that makes containerd run that script before it starts, below the node's root.
pub const NODE_HOSTS_DROP_IN: &str = "etc/systemd/system/containerd.service.d/kindreg-hosts.conf";
/// What tells our lines in `/etc/hosts` from others'; the registry's name follows.
pub const NODE_HOSTS_MARK: &str = " # kindreg:";
/// API path of the KEP-1755 `ConfigMap`.
pub const HOSTING: &str = "/api/v1/namespaces/kube-public/configmaps/local-registry-hosting";

/// Label of the pods of the proof.
pub const PROOF_POD: &str = "dev.kindreg.pod";

/// Names of one cluster's things in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    cluster: ClusterName,
}

impl Layout {
    /// The names of a cluster.
    #[must_use]
    pub fn of(cluster: &ClusterName) -> Self {
        Self {
            cluster: cluster.clone(),
        }
    }

    /// The record container: made first, never started, removed last.
    #[must_use]
    pub fn record(&self) -> String {
        format!("kindreg-{}", self.cluster)
    }

    /// The network; whose cluster it is says its label.
    #[must_use]
    pub fn network(&self) -> String {
        format!("kindreg-{}", self.cluster)
    }

    /// The container whose name is the lock.
    #[must_use]
    pub fn lock(&self) -> String {
        format!("kindreg-{}-lock", self.cluster)
    }

    /// The one-shot container that writes to the engine's host.
    #[must_use]
    pub fn host_writer(&self) -> String {
        format!("kindreg-{}-host", self.cluster)
    }

    /// The one-shot container that replaces a registry's users.
    #[must_use]
    pub fn users_writer(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-users-{name}", self.cluster)
    }

    /// The one-shot container that asks a registry whether it serves. No registry's name has an underscore.
    #[must_use]
    pub fn asker(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}_ask", self.cluster)
    }

    /// The one-shot container that removes the proof's image from a cache. No registry's name has an underscore.
    #[must_use]
    pub fn proof_remover(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}_proof", self.cluster)
    }

    /// A registry's container.
    #[must_use]
    pub fn registry(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}", self.cluster)
    }

    /// A registry's volume of CA certificate, leaf and key.
    #[must_use]
    pub fn secret_volume(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}-secret", self.cluster)
    }

    /// A registry's volume of images.
    #[must_use]
    pub fn data_volume(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}-data", self.cluster)
    }

    /// The control plane's container, as kind names it.
    #[must_use]
    pub fn control_plane(&self) -> String {
        format!("{}-control-plane", self.cluster)
    }

    /// All nodes' containers, as kind names them, the control planes first.
    #[must_use]
    pub fn nodes(&self, control_planes: u16, workers: u16) -> Vec<String> {
        let named = |role: &str, number: u16| match number {
            1 => format!("{}-{role}", self.cluster),
            _ => format!("{}-{role}{number}", self.cluster),
        };
        let control_planes = (1..=control_planes).map(|number| named("control-plane", number));
        let workers = (1..=workers).map(|number| named("worker", number));
        control_planes.chain(workers).collect()
    }

    /// The cluster's entry in a kubeconfig, as kind names it.
    #[must_use]
    pub fn context(&self) -> String {
        format!("kind-{}", self.cluster)
    }

    /// Our file in a folder of the engine host's certs.d: its own name, so that other people's stay.
    #[must_use]
    pub fn host_ca(&self) -> String {
        format!("kindreg-{}.crt", self.cluster)
    }

    /// Labels that everything of the cluster carries.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (LABEL_CLUSTER.to_owned(), self.cluster.to_string()),
            (
                LABEL_VERSION.to_owned(),
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
        ])
    }

    /// Labels that everything of one registry carries.
    #[must_use]
    pub fn registry_labels(&self, name: &RegistryName) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(LABEL_REGISTRY.to_owned(), name.to_string());
        labels
    }

    /// Whether labels say that a thing is this cluster's.
    #[must_use]
    pub fn owns(&self, labels: &BTreeMap<String, String>) -> bool {
        labels
            .get(LABEL_CLUSTER)
            .is_some_and(|name| name == self.cluster.as_str())
    }
}

/// Returns the hash of a container's settings, for its label [`LABEL_SPEC`]. The version that makes it does not count.
///
/// It is taken over the settings' JSON: a change of that form makes every user's registry anew.
///
/// # Errors
/// The settings can't be serialised.
pub fn fingerprint(container: &ContainerSpec) -> Result<String, serde_json::Error> {
    let mut settings = container.clone();
    settings.labels.remove(LABEL_VERSION);
    settings.labels.remove(LABEL_SPEC);
    Ok(hex::encode(Sha256::digest(serde_json::to_vec(&settings)?)))
}

/// All nodes of a Spec, the control plane first.
#[must_use]
pub fn nodes(spec: &Spec) -> Vec<String> {
    let Target::Owned(owned) = &spec.target;
    let (control_planes, workers) = (owned.control_planes.number(), owned.workers.number());
    Layout::of(&spec.cluster).nodes(control_planes, workers)
}

/// Everything that a registry answers to, and so the SANs of its leaf and the constraints of its CA.
#[must_use]
pub fn names(cluster: &ClusterName, registry: &Registry) -> crate::pki::Names {
    let container = Layout::of(cluster).registry(&registry.name);
    let ours = [container.as_str(), "localhost"];
    crate::pki::Names::new(
        registry.hosts().map(crate::spec::Host::as_str).chain(ours),
        [
            std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::Ipv6Addr::LOCALHOST.into(),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another value makes every user's registry anew. A field that is renamed keeps its name in JSON.
    const HASH: &str = "3bf705cdddf1b8a2d280a051e9adf6f211f9cb95ef95e127fed6ce8042bb8296";

    #[test]
    fn the_fingerprint_of_settings_stays_when_the_code_around_them_changes() {
        use crate::docker::{
            Afterwards, Capabilities, Input, Mount, MountSource, NetworkMode, PublishedPort,
            Restart,
        };
        let container = ContainerSpec {
            name: "kindreg-c-registry".to_owned(),
            image: "registry:3".to_owned(),
            entrypoint: Vec::new(),
            command: vec!["serve".to_owned()],
            environment: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
            labels: Layout::of(&"c".parse().unwrap()).labels(),
            mounts: vec![Mount {
                source: MountSource::Volume("data".to_owned()),
                target: DATA.to_owned(),
            }],
            network: NetworkMode::Named {
                name: "net".to_owned(),
                aliases: vec!["registry.test".to_owned()],
            },
            ports: vec![PublishedPort {
                container: 5001,
                address: "127.0.0.1".to_owned(),
                host: 5001,
            }],
            restart: Restart::UnlessStopped,
            capabilities: Capabilities::Default,
            input: Input::Closed,
            afterwards: Afterwards::Keep,
        };
        assert_eq!(fingerprint(&container).unwrap(), HASH);
        let mut other = container;
        other
            .labels
            .insert(LABEL_VERSION.to_owned(), "9".to_owned());
        assert_eq!(fingerprint(&other).unwrap(), HASH);
        other.ports.clear();
        assert_ne!(fingerprint(&other).unwrap(), HASH);
    }

    #[test]
    fn nodes_are_named_as_kind_names_them() {
        let layout = Layout::of(&"c".parse().unwrap());
        assert_eq!(layout.nodes(1, 0), ["c-control-plane"]);
        assert_eq!(
            layout.nodes(3, 0)[1..],
            ["c-control-plane2", "c-control-plane3"]
        );
        assert_eq!(
            layout.nodes(1, 3),
            ["c-control-plane", "c-worker", "c-worker2", "c-worker3"]
        );
    }
}
