//! Renders containerd's registry folders: hosts.toml and CA.
//! <https://github.com/containerd/containerd/blob/main/docs/hosts.md>

use std::collections::BTreeMap;

use askama::Template;
use bytes::Bytes;
use toml::{Table, Value};

use super::{Broken, broken};
use crate::layout;
use crate::spec::{Cache, ClusterName, Mirrored, Registry, Trust};

const WHAT: &str = "hosts.toml";
/// The beginning of every file that kindreg writes for containerd.
pub const WRITTEN_BY_KINDREG: &str = "# Written by kindreg";
/// The file of the upstream's CA, beside the cache's own CA.
const UPSTREAM_CA: &str = "upstream.crt";

#[derive(Template)]
#[template(path = "hosts.toml", escape = "none")]
struct HostsToml<'a> {
    url: &'a str,
    ca: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mirror.toml", escape = "none")]
struct MirrorToml<'a> {
    of: &'a str,
    upstream: &'a str,
    upstream_ca: Option<&'a str>,
    url: &'a str,
    ca: &'a str,
}

#[derive(Template)]
#[template(path = "default.toml", escape = "none")]
struct DefaultToml<'a> {
    url: &'a str,
    ca: &'a str,
}

#[derive(Template)]
#[template(path = "engine-hosts.toml", escape = "none")]
struct EngineHostsToml<'a> {
    owner: &'a str,
    url: &'a str,
    ca: Option<&'a str>,
}

/// What nodes do with a host.
const NODE_CAPABILITIES: &[&str] = &["pull", "resolve"];
/// What docker on the engine's host does with a host.
const ENGINE_CAPABILITIES: &[&str] = &["pull", "resolve", "push"];

/// The content of a hosts.toml, as containerd reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// The URL that containerd tries last; `None` for the registry that the image names.
    pub server: Option<String>,
    /// The path of that server's CA; `None` for a public CA.
    pub server_ca: Option<String>,
    /// The URL that containerd tries first.
    pub host: String,
    /// The path of that host's CA; `None` for a public CA.
    pub ca: Option<String>,
}

/// Returns the hosts.toml for one folder of certs.d. It sends all pulls to the registry's canonical URL and names its
/// CA, unless that is a public one.
///
/// `folder` is the folder's name (`registry.test:5001`). The format works on containerd 1.5 to 2.3.
pub fn hosts_toml(registry: &Registry, folder: &str) -> Result<String, Broken> {
    let ca = (registry.trust() != Trust::Public).then(|| ca_path(folder));
    with_ca(registry, ca)
}

/// Returns the same hosts.toml without the registry's CA: nodes must refuse the registry with it.
pub fn hosts_toml_without_ca(registry: &Registry) -> Result<String, Broken> {
    with_ca(registry, None)
}

fn with_ca(registry: &Registry, ca: Option<String>) -> Result<String, Broken> {
    let url = registry.url();
    let text = HostsToml {
        url: &url,
        ca: ca.as_deref(),
    }
    .render()
    .map_err(|error| broken(WHAT, &error))?;
    let wanted = Hosts {
        server: Some(url.clone()),
        server_ca: ca.clone(),
        host: url,
        ca,
    };
    read_back(text, &wanted)
}

/// Returns the hosts.toml for an upstream with a cache. containerd tries the cache first and the upstream last.
fn cache_hosts_toml(registry: &Registry, cache: &Cache) -> Result<String, Broken> {
    let folder = cache.upstream.to_string();
    let (url, server, ca) = (registry.url(), cache.upstream.url(), ca_path(&folder));
    let server_ca = cache.ca.is_some().then(|| upstream_ca_path(&folder));
    let text = MirrorToml {
        of: &folder,
        upstream: &server,
        upstream_ca: server_ca.as_deref(),
        url: &url,
        ca: &ca,
    }
    .render()
    .map_err(|error| broken(WHAT, &error))?;
    let wanted = Hosts {
        server: Some(server),
        server_ca,
        host: url,
        ca: Some(ca),
    };
    read_back(text, &wanted)
}

/// Returns the hosts.toml of `_default`. It has no root keys: they would apply to the registry that each image names.
fn default_hosts_toml(registry: &Registry) -> Result<String, Broken> {
    let (url, ca) = (registry.url(), ca_path("_default"));
    let text = DefaultToml { url: &url, ca: &ca }
        .render()
        .map_err(|error| broken(WHAT, &error))?;
    let wanted = Hosts {
        server: None,
        server_ca: None,
        host: url,
        ca: Some(ca),
    };
    read_back(text, &wanted)
}

/// Returns the first line of a cluster's hosts.toml on the engine's host. It says whose file it is.
#[must_use]
pub fn engine_hosts_owner(cluster: &ClusterName) -> String {
    format!("{WRITTEN_BY_KINDREG} for cluster {cluster}.")
}

/// Returns whether a hosts.toml on the engine's host is a cluster's. Anything else is somebody else's.
#[must_use]
pub fn is_engine_hosts_of(cluster: &ClusterName, text: &[u8]) -> bool {
    let first = text.split(|byte| *byte == b'\n').next();
    first == Some(engine_hosts_owner(cluster).as_bytes())
}

/// Returns the hosts.toml that makes docker on the engine's host verify a registry at `domain` (`localhost:5001`). `ca` is
/// the name of the CA file beside it; without one, docker must refuse the registry.
///
/// Server and host are the same. With a single one, docker drops verification for `localhost` if the engine has an
/// `insecure-registries` list:
/// <https://github.com/moby/moby/blob/master/daemon/hosts.go> (`mergeLegacyConfig`).
pub fn engine_hosts_toml(
    cluster: &ClusterName,
    domain: &str,
    ca: Option<&str>,
) -> Result<String, Broken> {
    let url = format!("https://{domain}");
    let text = EngineHostsToml {
        owner: &engine_hosts_owner(cluster),
        url: &url,
        ca,
    }
    .render()
    .map_err(|error| broken(WHAT, &error))?;
    let ca = ca.map(str::to_owned);
    let wanted = Hosts {
        server: Some(url.clone()),
        server_ca: ca.clone(),
        host: url,
        ca,
    };
    same(&parse(&text, ENGINE_CAPABILITIES)?, &wanted).map(|()| text)
}

/// Returns all files of a registry for containerd, by path relative to certs.d. `ca_pem` is the CA that nodes have to
/// trust; `None` for a public one.
pub fn node_files(
    registry: &Registry,
    ca_pem: Option<&str>,
) -> Result<BTreeMap<String, Bytes>, Broken> {
    let mut files = BTreeMap::new();
    let mut folder = |name: &str, hosts: String| {
        files.insert(format!("{name}/hosts.toml"), hosts.into());
        if let Some(ca_pem) = ca_pem {
            files.insert(format!("{name}/ca.crt"), ca_pem.to_owned().into());
        }
    };
    for domain in registry.domains() {
        folder(&domain, hosts_toml(registry, &domain)?);
    }
    let Some(mirrored) = registry.mirrored() else {
        return Ok(files);
    };
    let name = mirrored.folder();
    match mirrored {
        Mirrored::Everything => folder(&name, default_hosts_toml(registry)?),
        Mirrored::Upstream(cache) => {
            folder(&name, cache_hosts_toml(registry, cache)?);
            let ca = cache.ca.as_ref().map(|ca| ca.pem().to_owned().into());
            files.extend(ca.map(|ca| (format!("{name}/{UPSTREAM_CA}"), ca)));
        }
    }
    Ok(files)
}

fn upstream_ca_path(folder: &str) -> String {
    format!("{}/{folder}/{UPSTREAM_CA}", layout::NODE_CERTS)
}

fn ca_path(folder: &str) -> String {
    format!("{}/{folder}/ca.crt", layout::NODE_CERTS)
}

fn read_back(text: String, wanted: &Hosts) -> Result<String, Broken> {
    same(&check_hosts_toml(&text)?, wanted).map(|()| text)
}

fn same(found: &Hosts, wanted: &Hosts) -> Result<(), Broken> {
    if found == wanted {
        Ok(())
    } else {
        Err(broken(WHAT, &"it differs from the input"))
    }
}

/// Parses a node's hosts.toml as containerd does. It refuses everything that kindreg never writes.
///
/// # Errors
/// Invalid TOML, an unknown key, a value of the wrong type, not exactly one host, or a host without its own table
/// header: containerd searches the text for the header.
pub fn check_hosts_toml(text: &str) -> Result<Hosts, Broken> {
    parse(text, NODE_CAPABILITIES)
}

fn parse(text: &str, capabilities: &[&str]) -> Result<Hosts, Broken> {
    let mut root: Table = text
        .parse()
        .map_err(|error: toml::de::Error| broken(WHAT, &error.message()))?;
    let server = string(&mut root, "server")?;
    let server_ca = string(&mut root, "ca")?;
    if server.is_none() && server_ca.is_some() {
        return Err(broken(WHAT, &"ca without server"));
    }
    let Some(Value::Table(hosts)) = root.remove("host") else {
        return Err(broken(WHAT, &"no host"));
    };
    refuse_more(&root)?;
    let mut hosts = hosts.into_iter();
    let (Some((host, Value::Table(mut table))), None) = (hosts.next(), hosts.next()) else {
        return Err(broken(WHAT, &"must have exactly one host"));
    };
    if !text
        .lines()
        .any(|line| line == format!("[host.\"{host}\"]"))
    {
        return Err(broken(WHAT, &"the host has no table header"));
    }
    let ca = string(&mut table, "ca")?;
    let wanted = capabilities.iter().copied().map(Value::from).collect();
    if table.remove("capabilities") != Some(Value::Array(wanted)) {
        let named = capabilities.join(", ");
        let why = format!("the host must have these capabilities: {named}");
        return Err(broken(WHAT, &why));
    }
    refuse_more(&table)?;
    Ok(Hosts {
        server,
        server_ca,
        host,
        ca,
    })
}

fn string(table: &mut Table, key: &str) -> Result<Option<String>, Broken> {
    match table.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(broken(WHAT, &format!("{key} is not a string"))),
    }
}

fn refuse_more(table: &Table) -> Result<(), Broken> {
    match table.keys().next() {
        None => Ok(()),
        Some(key) => Err(broken(WHAT, &format!("unknown key {key:?}"))),
    }
}
