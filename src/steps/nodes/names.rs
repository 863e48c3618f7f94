//! Step: nobody else answers for the name of a registry in nodes.
//!
//! A line in a node's `/etc/hosts`, or another container with the name on the cluster's network, leads pulls elsewhere.
//! Both are somebody else's, so this step only finds them. It changes nothing.

use anyhow::Result;
use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::per_node::{PerNode, together};
use crate::docker::Container;
use crate::layout::{self, Layout};
use crate::observe::{file, is_kind_container, nodes};
use crate::problem::Problem;
use crate::spec::{Host, Registry, Spec};
use crate::step::{Ctx, Leaves, State, Step, StepId};

/// The step that looks for what others have given the name of a registry to.
#[derive(Debug)]
pub struct RegistryNames {
    /// The Spec that is wanted.
    pub spec: Spec,
}

/// A line in a node's `/etc/hosts` that kindreg did not write.
#[derive(Debug, PartialEq, Eq)]
struct ForeignLine {
    /// Its number, from 1.
    number: usize,
    /// The address in it.
    address: String,
    /// The registry's name in it.
    name: String,
}

impl ForeignLine {
    fn text(&self) -> String {
        let Self { address, name, .. } = self;
        format!("/etc/hosts has a line of somebody else's: {address} for {name}")
    }
}

/// Returns the first line for each of these names that is not marked as ours.
fn foreign_lines(hosts: &str, names: &[&str]) -> Vec<ForeignLine> {
    let mut found: Vec<ForeignLine> = Vec::new();
    for (number, line) in (1..).zip(hosts.lines()) {
        if line.contains(layout::NODE_HOSTS_MARK) {
            continue;
        }
        let words = line.split('#').next().unwrap_or_default();
        let mut words = words.split_whitespace();
        let Some(address) = words.next() else {
            continue;
        };
        for word in words {
            let same = |name: &&&str| name.eq_ignore_ascii_case(word);
            let Some(name) = names.iter().find(same) else {
                continue;
            };
            if !found.iter().any(|line| line.name == **name) {
                found.push(ForeignLine {
                    number,
                    address: address.to_owned(),
                    name: (*name).to_owned(),
                });
            }
        }
    }
    found
}

impl RegistryNames {
    fn names(&self) -> Vec<&str> {
        let hosts = self.spec.registries.iter().flat_map(Registry::hosts);
        hosts.map(Host::as_str).collect()
    }

    async fn lines(&self, ctx: &Ctx) -> Result<Vec<(String, Vec<ForeignLine>)>> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?.into_iter();
        let names = &self.names();
        let lines = found.map(|node| async move {
            let hosts = file(&*ctx.docker, &node.name, "/etc/hosts").await?;
            let hosts = hosts.unwrap_or_default();
            let lines = foreign_lines(&String::from_utf8_lossy(&hosts), names);
            anyhow::Ok((node.name, lines))
        });
        try_join_all(lines).await
    }

    /// Returns the state of each node's `/etc/hosts`.
    pub(crate) async fn per_node(&self, ctx: &Ctx) -> Result<PerNode> {
        let lines = self.lines(ctx).await?.into_iter();
        let states = lines.map(|(node, lines)| {
            let lines: Vec<String> = lines.iter().map(ForeignLine::text).collect();
            let state = if lines.is_empty() {
                State::Ready
            } else {
                State::Drifted(lines.join(", "))
            };
            (node, state)
        });
        Ok(states.collect())
    }

    /// Returns the containers on the cluster's network that are not ours and have the name of a registry there, each with
    /// that name.
    async fn strangers(&self, ctx: &Ctx) -> Result<Vec<(String, String)>> {
        let layout = Layout::of(&self.spec.cluster);
        let network = layout.network();
        let is_ours = |member: &Container| {
            is_kind_container(member, &self.spec.cluster)
                || layout.owns(&member.name, &member.labels)
        };
        let mut strangers = Vec::new();
        for member in ctx.docker.members(&network).await? {
            if is_ours(&member) {
                continue;
            }
            // A list has not all of its names.
            let Some(member) = ctx.docker.container(&member.id).await? else {
                continue;
            };
            let aliases = member.networks.get(&network).into_iter().flatten();
            let mut all = aliases.chain([&member.name, &member.hostname]);
            let names = self.names();
            if let Some(name) =
                all.find(|name| names.iter().any(|one| one.eq_ignore_ascii_case(name)))
            {
                strangers.push((member.name.clone(), name.clone()));
            }
        }
        Ok(strangers)
    }
}

#[async_trait]
impl Step for RegistryNames {
    fn id(&self) -> StepId {
        StepId::new("node.names")
    }

    fn title(&self) -> String {
        "registry names in nodes".to_owned()
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let (nodes, strangers) = tokio::try_join!(self.per_node(ctx), self.strangers(ctx))?;
        let mut why: Vec<String> = strangers
            .iter()
            .map(|(container, name)| format!("container {container} answers for {name} too"))
            .collect();
        if !nodes.is_empty()
            && let State::Drifted(lines) = together(nodes)
        {
            why.push(lines);
        }
        Ok(if why.is_empty() {
            State::Ready
        } else {
            State::Drifted(why.join("; "))
        })
    }

    /// Refuses what the check has found: only the user can remove it.
    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        if let Some((container, name)) = self.strangers(ctx).await?.first() {
            let network = Layout::of(&self.spec.cluster).network();
            return Err(Problem::foreign(
                format!("container {container} on network {network} answers for {name} too, and is not kindreg's"),
                format!("if nobody needs it there, run: docker network disconnect {network} {container}"),
            )
            .into());
        }
        for (node, lines) in self.lines(ctx).await? {
            let Some(line) = lines.first() else {
                continue;
            };
            return Err(Problem::foreign(
                format!("node {node}: {}", line.text()),
                format!(
                    "if nobody needs the line, run: docker exec {node} sh -c 'sed {}d /etc/hosts >/tmp/hosts && cat \
                     /tmp/hosts >/etc/hosts'",
                    line.number
                ),
            )
            .into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_by_its_names_and_not_by_comments_or_parts_of_names() {
        let hosts = "127.0.0.1\tlocalhost\n# 10.0.0.1 registry.test\n10.0.0.2 my-registry.test registry.test.\n\n\
                     10.0.0.9  other Registry.TEST # mine\n10.0.0.8 registry.test\n\
                     10.0.0.5 nexus.test # kindreg:company\n::1 # registry.test\n10.0.0.7\n";
        assert_eq!(
            foreign_lines(hosts, &["registry.test", "nexus.test"]),
            [ForeignLine {
                number: 5,
                address: "10.0.0.9".to_owned(),
                name: "registry.test".to_owned(),
            }]
        );
    }
}
