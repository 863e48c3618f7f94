//! Renders lines in a node's `/etc/hosts` for registries that DNS does not know, and the script that keeps them there.

use askama::Template;

use super::{Broken, broken};
use crate::layout;
use crate::spec::Spec;

#[derive(Template)]
#[template(path = "node-hosts.sh", escape = "none")]
struct Script<'a> {
    lines: &'a str,
}

#[derive(Template)]
#[template(path = "node-hosts.conf", escape = "none")]
struct DropIn<'a> {
    script: &'a str,
}

/// Returns the lines (`10.0.0.5 nexus.company.internal # kindreg:company`); empty if no registry has an address.
#[must_use]
pub fn node_hosts(spec: &Spec) -> String {
    let mut lines = String::new();
    for (registry, external) in spec.externals() {
        let Some(address) = external.address else {
            continue;
        };
        lines.push_str(&address.to_string());
        for host in registry.hosts() {
            lines.push(' ');
            lines.push_str(host.as_str());
        }
        lines.push_str(layout::NODE_HOSTS_MARK);
        lines.push_str(registry.name.as_str());
        lines.push('\n');
    }
    lines
}

/// Returns our lines in the text of a node's `/etc/hosts`.
#[must_use]
pub fn our_hosts(hosts: &str) -> String {
    let lines = hosts.split_inclusive('\n');
    lines
        .filter(|line| line.contains(layout::NODE_HOSTS_MARK))
        .collect()
}

/// Returns the script that adds the lines again, and the systemd drop-in that runs it before containerd starts.
pub fn node_hosts_keeper() -> Result<(String, String), Broken> {
    let what = "keeper of /etc/hosts";
    let lines = format!("{}/{}", layout::NODE_STATE, layout::NODE_HOSTS);
    let script = Script { lines: &lines }.render();
    let path = format!("{}/{}", layout::NODE_STATE, layout::NODE_HOSTS_SCRIPT);
    let drop_in = DropIn { script: &path }.render();
    Ok((
        script.map_err(|error| broken(what, &error))? + "\n",
        drop_in.map_err(|error| broken(what, &error))? + "\n",
    ))
}
