//! Every derived name, path and label. Pure: it decides nothing and reads nothing.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::docker::{ContainerSpec, Label};
use crate::spec::{ClusterName, DEFAULT_FOLDER, Registry, RegistryName, Spec, Target};

/// The beginning of the keys of all our labels.
pub const LABEL_PREFIX: &str = "dev.kindreg.";
/// Label of every kindreg object: the cluster's name.
pub const LABEL_CLUSTER: &str = "dev.kindreg.cluster";
/// Label of every object of one registry: the registry's name.
pub const LABEL_REGISTRY: &str = "dev.kindreg.registry";
/// Label of a registry's container and of its data volume: whether `down` keeps its data (`keep` or `discard`), for a
/// `down` without a record.
pub const LABEL_DATA: &str = "dev.kindreg.data";
/// Label of a container: the hash of the settings that it was created with.
pub const LABEL_SPEC: &str = "dev.kindreg.spec";
/// Label of every kindreg object: the version of kindreg that created it.
pub const LABEL_VERSION: &str = "dev.kindreg.version";
/// Label of the record: the first Spec of the cluster, as JSON.
pub const LABEL_RECORD: &str = "dev.kindreg.record";
/// Label of the record: `owned`, because kindreg created the cluster.
pub const LABEL_MODE: &str = "dev.kindreg.mode";
/// kind's label of a node: the cluster's name.
pub const KIND_LABEL_CLUSTER: &str = "io.x-k8s.kind.cluster";
/// kind's label of a node: its role.
pub const KIND_LABEL_ROLE: &str = "io.x-k8s.kind.role";
/// The role of the container before several control planes. It is no node: it has no kubelet and no containerd.
pub const ROLE_LOAD_BALANCER: &str = "external-load-balancer";

/// The path of the engine host's `/etc` in the record and in one-shot containers.
pub const HOST_ETC: &str = "/host/etc";
/// Docker's folder of trusted CAs, relative to the engine host's `/etc`:
/// <https://docs.docker.com/engine/security/certificates/>.
pub const HOST_CERTS: &str = "docker/certs.d";
/// The name of the file in a folder of certs.d that the engine's containerd image store reads before all others:
/// <https://github.com/containerd/containerd/blob/main/docs/hosts.md>.
pub const HOSTS_TOML: &str = "hosts.toml";
/// The folder in the record with what `down` restores.
pub const ORIGINALS: &str = "/kindreg/originals";
/// The folder of a registry's certificate and key in its container.
pub const SECRET: &str = "/kindreg/secret";
/// The file of the CA certificate in the secret volume.
pub const SECRET_CA: &str = "ca.crt";
/// The file of the leaf certificate in the secret volume.
pub const SECRET_LEAF: &str = "tls.crt";
/// The file of the leaf's private key in the secret volume.
pub const SECRET_KEY: &str = "tls.key";
/// The file of users and passwords in the secret volume. No back end reads it.
pub const SECRET_CREDENTIALS: &str = "credentials.json";
/// The folder of a registry's data in its container.
pub const DATA: &str = "/var/lib/registry";
/// containerd's folder in a node, with its configuration and its registries. kindreg reads it once for both.
pub const NODE_CONTAINERD: &str = "/etc/containerd";
/// containerd's folder of registries in a node.
pub const NODE_CERTS: &str = "/etc/containerd/certs.d";
/// kubelet's folder in a node.
pub const NODE_KUBELET: &str = "/var/lib/kubelet";
/// kubelet's credentials file, relative to that folder.
pub const NODE_KUBELET_CONFIG: &str = "config.json";
/// kindreg's notes in a node: `proof` says what the node was last proven with; `created`, in the control plane, says
/// that cluster creation finished.
pub const NODE_STATE: &str = "/var/lib/kindreg";
/// The note in a node with our lines for its `/etc/hosts`.
pub const NODE_HOSTS: &str = "hosts";
/// The script in a node that adds those lines to `/etc/hosts`.
pub const NODE_HOSTS_SCRIPT: &str = "hosts.sh";
/// The systemd drop-in that runs that script before containerd starts, relative to the node's root.
pub const NODE_HOSTS_DROP_IN: &str = "etc/systemd/system/containerd.service.d/kindreg-hosts.conf";
/// The comment that marks our lines in `/etc/hosts`. The registry's name follows it.
pub const NODE_HOSTS_MARK: &str = " # kindreg:";
/// The API path of the KEP-1755 `ConfigMap`.
pub const HOSTING: &str = "/api/v1/namespaces/kube-public/configmaps/local-registry-hosting";

/// Label of the pods of the proof.
pub const PROOF_POD: &str = "dev.kindreg.pod";

/// The names of one cluster's objects in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    cluster: ClusterName,
}

impl Layout {
    /// Returns the names of a cluster.
    #[must_use]
    pub fn of(cluster: &ClusterName) -> Self {
        Self {
            cluster: cluster.clone(),
        }
    }

    /// Returns the name of the record container, which is created first, never started, and removed last.
    #[must_use]
    pub fn record(&self) -> String {
        format!("kindreg-{}", self.cluster)
    }

    /// Returns the name of the network. Its label names the cluster.
    #[must_use]
    pub fn network(&self) -> String {
        format!("kindreg-{}", self.cluster)
    }

    /// Returns the name of the lock container.
    #[must_use]
    pub fn lock(&self) -> String {
        format!("kindreg-{}-lock", self.cluster)
    }

    /// Returns the name of the one-shot container that writes to the engine's host.
    #[must_use]
    pub fn host_writer(&self) -> String {
        format!("kindreg-{}-host", self.cluster)
    }

    /// Returns the name of the container through which `down` reads a volume that no other container has. The underscore
    /// keeps it apart from registries, whose names have none.
    #[must_use]
    pub fn volume_reader(&self) -> String {
        format!("kindreg-{}-volume_reader", self.cluster)
    }

    /// Returns the name of the one-shot container that tries an image.
    #[must_use]
    pub fn helper(&self) -> String {
        format!("kindreg-{}-try_image", self.cluster)
    }

    /// Returns the name of the one-shot container that replaces a registry's users.
    #[must_use]
    pub fn users_writer(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-users-{name}", self.cluster)
    }

    /// Returns the name of the one-shot container that waits for a registry. The underscore keeps it apart from
    /// registries, whose names have none.
    #[must_use]
    pub fn readiness_check(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}_ask", self.cluster)
    }

    /// Returns the name of the one-shot container that connects to a registry's port on the engine's host. The
    /// underscore keeps it apart from registries, whose names have none.
    #[must_use]
    pub fn port_check(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}_port", self.cluster)
    }

    /// Returns the name of the one-shot container that removes the proof image from a cache. The underscore keeps it
    /// apart from registries, whose names have none.
    #[must_use]
    pub fn proof_remover(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}_proof", self.cluster)
    }

    /// Returns the name of a registry's container.
    #[must_use]
    pub fn registry(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}", self.cluster)
    }

    /// Returns the name of a registry's secret volume (CA certificate, leaf, key and users).
    #[must_use]
    pub fn secret_volume(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}-secret", self.cluster)
    }

    /// Returns the name of a registry's data volume (images).
    #[must_use]
    pub fn data_volume(&self, name: &RegistryName) -> String {
        format!("kindreg-{}-{name}-data", self.cluster)
    }

    /// Returns the name of the first control-plane node, as kind names it.
    #[must_use]
    pub fn control_plane(&self) -> String {
        format!("{}-control-plane", self.cluster)
    }

    /// Returns the name of the load balancer that kind puts before several control planes.
    #[must_use]
    pub fn load_balancer(&self) -> String {
        format!("{}-{ROLE_LOAD_BALANCER}", self.cluster)
    }

    /// Returns the names of all nodes, as kind names them, the control planes first.
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

    /// Returns the name of the cluster's context in a kubeconfig, as kind names it.
    #[must_use]
    pub fn context(&self) -> String {
        format!("kind-{}", self.cluster)
    }

    /// Returns the name of our CA file in a folder of the engine host's certs.d. It is unique, so that other files
    /// stay.
    #[must_use]
    pub fn host_ca(&self) -> String {
        format!("kindreg-{}.crt", self.cluster)
    }

    /// Returns the labels of every object of the cluster.
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

    /// Returns the labels of every object of one registry.
    #[must_use]
    pub fn registry_labels(&self, name: &RegistryName) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(LABEL_REGISTRY.to_owned(), name.to_string());
        labels
    }

    /// Returns whether an object with that name and these labels belongs to this cluster: the name is one that kindreg
    /// derives, and the label names the cluster. A container's label may still come from its image.
    #[must_use]
    pub fn owns(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let rest = name.strip_prefix(self.record().as_str());
        let derived = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        derived && Label::Pair(LABEL_CLUSTER, self.cluster.as_str()).is_in(labels)
    }
}

/// Returns the names of the folders where containerd looks for the settings of a domain, in its order. It uses the first
/// one that exists, even if that is empty:
/// <https://github.com/containerd/containerd/blob/main/core/remotes/docker/config/hosts.go> (`hostPaths`).
#[must_use]
pub fn registry_folders(domain: &str) -> Vec<String> {
    let flat = domain
        .rsplit_once(':')
        .map(|(host, port)| format!("{host}_{port}_"));
    let named = [domain.to_owned(), DEFAULT_FOLDER.to_owned()];
    flat.into_iter().chain(named).collect()
}

/// Returns the hash of a container's settings, for its label [`LABEL_SPEC`]. The label with kindreg's version is left
/// out.
///
/// The hash covers the settings' JSON: a change of that format recreates every user's registry.
///
/// # Errors
/// The settings can't be serialised.
pub fn fingerprint(container: &ContainerSpec) -> Result<String, serde_json::Error> {
    let mut settings = container.clone();
    settings.labels.remove(LABEL_VERSION);
    settings.labels.remove(LABEL_SPEC);
    Ok(hex::encode(Sha256::digest(serde_json::to_vec(&settings)?)))
}

/// Returns the names of all nodes of a Spec, the control planes first.
#[must_use]
pub fn nodes(spec: &Spec) -> Vec<String> {
    let Target::Owned(owned) = &spec.target;
    let (control_planes, workers) = (owned.control_planes.number(), owned.workers.number());
    Layout::of(&spec.cluster).nodes(control_planes, workers)
}

/// Returns the names of all containers that kind creates for a Spec: its nodes, and the load balancer of several control
/// planes.
#[must_use]
pub fn kind_containers(spec: &Spec) -> Vec<String> {
    let Target::Owned(owned) = &spec.target;
    let balancer =
        (owned.control_planes.number() > 1).then(|| Layout::of(&spec.cluster).load_balancer());
    nodes(spec).into_iter().chain(balancer).collect()
}

/// Returns all names and addresses of a registry: the SANs of its leaf and the name constraints of its CA.
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
    fn a_domain_s_folders_are_in_the_order_in_which_containerd_looks_for_them() {
        let folders = registry_folders("registry.test:5001");
        assert_eq!(
            folders,
            ["registry.test_5001_", "registry.test:5001", "_default"]
        );
        assert_eq!(registry_folders("[::1]:5000")[0], "[::1]_5000_");
        assert_eq!(registry_folders("docker.io"), ["docker.io", "_default"]);
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
