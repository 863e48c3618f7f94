//! Converts between bollard's types and those of [`crate::docker`]. Pure.

use std::collections::{BTreeMap, HashMap};

use ::bollard::auth::DockerCredentials;
use ::bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, ImageInspect, Ipam, IpamConfig, MountType,
    Network as ApiNetwork, NetworkCreateRequest, NetworkingConfig, PortBinding,
    RegistryServiceConfig, RestartPolicy, RestartPolicyNameEnum, SystemInfo, SystemVersion,
};

use secrecy::ExposeSecret;

use crate::credentials::RegistryCredentials;
use crate::docker::{
    Afterwards, Capabilities, ContainerSpec, EngineInfo, ImageStore, Input, Label, Mount,
    MountSource, Network, NetworkMode, NetworkSpec, PathKind, Product, Restart, Volume,
};

mod container;
#[cfg(test)]
mod tests;

pub(super) use container::{inspected, listed};

/// Converts the engine's version and information.
pub(super) fn engine(version: SystemVersion, info: SystemInfo) -> EngineInfo {
    let podman = version
        .components
        .iter()
        .flatten()
        .any(|component| component.name == "Podman Engine");
    let rootless = info
        .security_options
        .iter()
        .flatten()
        .any(|option| option.contains("name=rootless"));
    EngineInfo {
        version: version.version.unwrap_or_default(),
        // bollard 0.21 puts no version into its requests, and the engine then answers in its newest:
        // https://github.com/fussybeaver/bollard/issues/736
        api: version.api_version.unwrap_or_default(),
        host: info.name.unwrap_or_default(),
        operating_system: info.operating_system.unwrap_or_default(),
        architecture: version.arch.unwrap_or_default(),
        product: match (podman, rootless) {
            (true, _) => Product::Podman,
            (false, true) => Product::RootlessDocker,
            (false, false) => Product::Docker,
        },
        root: info.docker_root_dir.unwrap_or_default(),
        image_store: if info
            .driver_status
            .iter()
            .flatten()
            .flatten()
            .any(|it| it == CONTAINERD)
        {
            ImageStore::Containerd
        } else {
            ImageStore::Classic
        },
        insecure_registries: insecure(info.registry_config.unwrap_or_default()),
    }
}

/// The driver type of the containerd image store, in the engine's driver status:
/// <https://github.com/moby/moby/blob/master/daemon/containerd/service.go>.
const CONTAINERD: &str = "io.containerd.snapshotter.v1";

/// Returns the networks, and then the names, that an engine does not verify.
fn insecure(config: RegistryServiceConfig) -> Vec<String> {
    let networks = config.insecure_registry_cidrs.unwrap_or_default();
    let indexes = config.index_configs.unwrap_or_default();
    let insecure = indexes
        .into_iter()
        .filter(|(_, index)| index.secure == Some(false));
    let mut names: Vec<String> = insecure.map(|(name, _)| name).collect();
    names.sort();
    networks.into_iter().chain(names).collect()
}

/// Converts credentials for the registry in an image reference.
pub(super) fn credentials(reference: &str, credentials: &RegistryCredentials) -> DockerCredentials {
    let (domain, _) = reference
        .split_once('/')
        .unwrap_or(("docker.io", reference));
    DockerCredentials {
        username: Some(credentials.user().to_owned()),
        password: Some(credentials.password().expose_secret().to_owned()),
        serveraddress: Some(domain.to_owned()),
        ..DockerCredentials::default()
    }
}

/// Converts bollard's map, which may be `null`.
fn map(labels: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    labels.into_iter().flatten().collect()
}

/// Returns the labels of an inspected image.
pub(super) fn image_labels(answer: ImageInspect) -> BTreeMap<String, String> {
    map(answer.config.and_then(|config| config.labels))
}

/// Converts a map to bollard's.
pub(super) fn unordered(labels: &BTreeMap<String, String>) -> HashMap<String, String> {
    labels.clone().into_iter().collect()
}

/// Returns the request that creates a container.
pub(super) fn container_request(spec: &ContainerSpec) -> ContainerCreateBody {
    let list = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
    let until_client_leaves = spec.input == Input::UntilClientLeaves;
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: list(&spec.entrypoint),
        cmd: list(&spec.command),
        env: Some(
            spec.environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        labels: Some(unordered(&spec.labels)),
        exposed_ports: Some(
            spec.ports
                .iter()
                .map(|port| format!("{}/tcp", port.container))
                .collect(),
        ),
        attach_stdin: Some(until_client_leaves),
        open_stdin: Some(until_client_leaves),
        stdin_once: Some(until_client_leaves),
        networking_config: networking(&spec.network),
        host_config: Some(host_config(spec)),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let (cap_drop, cap_add) = match &spec.capabilities {
        Capabilities::Default => (None, None),
        Capabilities::Only(names) => (Some(vec!["ALL".to_owned()]), Some(names.clone())),
    };
    let mut bindings = HashMap::<_, Option<Vec<_>>>::new();
    for port in &spec.ports {
        bindings
            .entry(format!("{}/tcp", port.container))
            .or_default()
            .get_or_insert_default()
            .push(PortBinding {
                host_ip: Some(port.address.clone()),
                host_port: Some(port.host.to_string()),
            });
    }
    let mut mounts = spec.mounts.iter();
    let on_host = mounts.any(|mount| matches!(mount.source, MountSource::Host(_)));
    HostConfig {
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        network_mode: Some(match &spec.network {
            NetworkMode::None => "none".to_owned(),
            NetworkMode::Host => "host".to_owned(),
            NetworkMode::Named { name, .. } => name.clone(),
        }),
        port_bindings: Some(bindings),
        restart_policy: Some(RestartPolicy {
            name: Some(match spec.restart {
                Restart::No => RestartPolicyNameEnum::NO,
                Restart::UnlessStopped => RestartPolicyNameEnum::UNLESS_STOPPED,
            }),
            ..Default::default()
        }),
        // On a host with SELinux, a confined container can't write the host's files. The other way, a mount with `:z`,
        // would relabel the host's `/etc`: https://docs.docker.com/engine/storage/bind-mounts/#configure-the-selinux-label
        security_opt: on_host.then(|| vec!["label=disable".to_owned()]),
        auto_remove: Some(spec.afterwards == Afterwards::Remove),
        cap_drop,
        cap_add,
        ..Default::default()
    }
}

/// Converts a mount. `Binds` would split it at colons, and create a missing host folder.
fn mount(mount: &Mount) -> ::bollard::models::Mount {
    let (typ, source) = match &mount.source {
        MountSource::Volume(name) => (MountType::VOLUME, name),
        MountSource::Host(folder) => (MountType::BIND, folder),
    };
    ::bollard::models::Mount {
        typ: Some(typ),
        source: Some(source.clone()),
        target: Some(mount.target.clone()),
        ..Default::default()
    }
}

fn networking(network: &NetworkMode) -> Option<NetworkingConfig> {
    let NetworkMode::Named { name, aliases } = network else {
        return None;
    };
    Some(NetworkingConfig {
        endpoints_config: Some(HashMap::from([(name.clone(), endpoint(aliases))])),
    })
}

/// Returns an endpoint with these aliases.
pub(super) fn endpoint(aliases: &[String]) -> EndpointSettings {
    EndpointSettings {
        aliases: Some(aliases.to_vec()),
        ..Default::default()
    }
}

/// Returns the request that creates a network.
pub(super) fn network_request(spec: &NetworkSpec) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: spec.name.clone(),
        driver: Some("bridge".to_owned()),
        labels: Some(unordered(&spec.labels)),
        options: Some(unordered(&spec.options)),
        enable_ipv6: Some(spec.ipv6_subnet.is_some()),
        ipam: spec.ipv6_subnet.clone().map(|subnet| Ipam {
            config: Some(vec![IpamConfig {
                subnet: Some(subnet),
                ..Default::default()
            }]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The filters of a list.
pub(super) type Filters = HashMap<&'static str, Vec<String>>;

/// Returns the filter for objects with a label.
pub(super) fn labelled(label: Label<'_>) -> Filters {
    HashMap::from([("label", vec![label.to_string()])])
}

/// Converts a network from a list.
pub(super) fn network(answer: ApiNetwork) -> Network {
    let pools = answer.ipam.unwrap_or_default().config.into_iter().flatten();
    // Some engines add the prefix length to the gateway.
    let gateway = |gateway: String| gateway.split('/').next().unwrap_or_default().to_owned();
    Network {
        id: answer.id.unwrap_or_default(),
        name: answer.name.unwrap_or_default(),
        labels: map(answer.labels),
        gateways: pools
            .filter_map(|pool| pool.gateway)
            .map(gateway)
            .filter(|address| !address.is_empty())
            .collect(),
    }
}

/// Converts a volume.
pub(super) fn volume(answer: ::bollard::models::Volume) -> Volume {
    Volume {
        name: answer.name,
        labels: map(Some(answer.labels)),
    }
}

/// Converts a mode of Go's `os.FileMode`, whose high bits say what a path is: <https://pkg.go.dev/io/fs#FileMode>.
pub(super) const fn path_kind(mode: u32) -> PathKind {
    const FOLDER: u32 = 1 << 31;
    const LINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;
    const PIPE: u32 = 1 << 25;
    const SOCKET: u32 = 1 << 24;
    const CHARACTER_DEVICE: u32 = 1 << 21;
    const IRREGULAR: u32 = 1 << 19;
    if mode & FOLDER != 0 {
        PathKind::Folder
    } else if mode & LINK != 0 {
        PathKind::Link
    } else if mode & (DEVICE | PIPE | SOCKET | CHARACTER_DEVICE | IRREGULAR) != 0 {
        PathKind::Other
    } else {
        PathKind::File
    }
}

/// Splits a reference into repository and tag. Without a tag, engines pull or push all tags, so it is `latest` then.
/// A digest needs no tag.
pub(super) fn tagged(reference: &str) -> (&str, Option<&str>) {
    if reference.contains('@') {
        return (reference, None);
    }
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (reference, Some("latest")),
    }
}
