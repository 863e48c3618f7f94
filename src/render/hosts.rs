//! containerd's folders of registries: hosts.toml and CA.
//! <https://github.com/containerd/containerd/blob/main/docs/hosts.md>

use std::collections::BTreeMap;

use askama::Template;
use bytes::Bytes;
use toml::{Table, Value};

use super::{Broken, broken};
use crate::layout;
use crate::spec::{Cache, Mirrored, Registry, Trust};

const WHAT: &str = "hosts.toml";
/// File of the upstream's CA beside a cache's own.
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

/// What containerd reads from a hosts.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// The registry that is asked last; `None` for the one that the image names.
    pub server: Option<String>,
    /// CA of it, where it is not a public one.
    pub server_ca: Option<String>,
    /// The one that is asked first.
    pub host: String,
    /// CA of that, where it is not a public one.
    pub ca: Option<String>,
}

/// containerd's hosts.toml for one folder of certs.d: everything goes to the registry's canonical URL, with its CA,
/// unless a public one vouches for it.
///
/// `folder` is the folder's name (`registry.test:5001`). The form works on containerd 1.5 to 2.3.
pub fn hosts_toml(registry: &Registry, folder: &str) -> Result<String, Broken> {
    let url = registry.url();
    let ca = (registry.trust() != Trust::Public).then(|| ca_path(folder));
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

/// Returns containerd's hosts.toml where a cache stands before its upstream: that is asked last.
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

/// Root keys would be about the registry that the image names, which is another one each time.
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

/// Returns every file that containerd is to find for a registry, by its path below certs.d. `ca_pem` is the CA that
/// nodes have to trust for it; `None` where that is a public one.
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
    if check_hosts_toml(&text)? == *wanted {
        Ok(text)
    } else {
        Err(broken(WHAT, &"it says something else"))
    }
}

/// Reads a hosts.toml of ours as containerd does; anything that we never write is refused.
///
/// # Errors
/// Not TOML, an unknown key, a value of another type, none or several hosts, or a host that is not written as a table
/// header of its own: containerd looks for those by their text.
pub fn check_hosts_toml(text: &str) -> Result<Hosts, Broken> {
    let mut root: Table = text
        .parse()
        .map_err(|error: toml::de::Error| broken(WHAT, &error.message()))?;
    let server = string(&mut root, "server")?;
    let server_ca = string(&mut root, "ca")?;
    if server.is_none() && server_ca.is_some() {
        return Err(broken(WHAT, &"it has a CA of no server"));
    }
    let Some(Value::Table(hosts)) = root.remove("host") else {
        return Err(broken(WHAT, &"it has no host"));
    };
    refuse_more(&root)?;
    let mut hosts = hosts.into_iter();
    let (Some((host, Value::Table(mut table))), None) = (hosts.next(), hosts.next()) else {
        return Err(broken(WHAT, &"it has not one host"));
    };
    if !text
        .lines()
        .any(|line| line == format!("[host.\"{host}\"]"))
    {
        return Err(broken(WHAT, &"its host is no table header of its own"));
    }
    let ca = string(&mut table, "ca")?;
    let capabilities = ["pull", "resolve"].map(Value::from).to_vec();
    if table.remove("capabilities") != Some(Value::Array(capabilities)) {
        return Err(broken(WHAT, &"its host is not for pulling"));
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
        Some(_) => Err(broken(WHAT, &format!("its {key} is no string"))),
    }
}

fn refuse_more(table: &Table) -> Result<(), Broken> {
    match table.keys().next() {
        None => Ok(()),
        Some(key) => Err(broken(WHAT, &format!("it has a key {key:?}"))),
    }
}
