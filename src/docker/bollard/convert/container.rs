//! Converts containers that the engine reports.

use std::collections::{BTreeMap, HashMap};

use ::bollard::models::{
    ContainerInspectResponse, ContainerSummary, EndpointSettings, PortSummaryTypeEnum,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::map;
use crate::docker::{Container, ContainerState, PublishedPort};

/// Converts an inspected container.
pub(in super::super) fn inspected(answer: ContainerInspectResponse) -> Container {
    let id = answer.id.unwrap_or_default();
    let config = answer.config.unwrap_or_default();
    let state = answer.state.unwrap_or_default();
    let settings = answer.network_settings.unwrap_or_default();
    let status = state
        .status
        .map(|status| status.to_string())
        .unwrap_or_default();
    Container {
        name: answer
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        hostname: config.hostname.unwrap_or_default(),
        started: state.started_at.as_deref().and_then(started),
        image: config.image.unwrap_or_default(),
        image_id: answer.image.unwrap_or_default(),
        labels: map(config.labels),
        state: container_state(&status, state.exit_code.unwrap_or_default()),
        network_mode: answer
            .host_config
            .and_then(|config| config.network_mode)
            .unwrap_or_default(),
        networks: networks(settings.networks, &id),
        ports: published(
            settings
                .ports
                .into_iter()
                .flatten()
                .flat_map(|(port, bindings)| {
                    let port = port.strip_suffix("/tcp").and_then(|port| port.parse().ok());
                    bindings.into_iter().flatten().filter_map(move |binding| {
                        Some(PublishedPort {
                            container: port?,
                            address: binding.host_ip.unwrap_or_default(),
                            host: binding.host_port?.parse().ok()?,
                        })
                    })
                }),
        ),
        id,
    }
}

/// Reads when a container was started. Of one that never was the engine says the year 1.
fn started(at: &str) -> Option<OffsetDateTime> {
    let at = OffsetDateTime::parse(at, &Rfc3339).ok()?;
    (at > OffsetDateTime::UNIX_EPOCH).then_some(at)
}

/// Converts a container from a list.
pub(in super::super) fn listed(answer: ContainerSummary) -> Container {
    let id = answer.id.unwrap_or_default();
    let status = answer
        .state
        .map(|state| state.to_string())
        .unwrap_or_default();
    // A list has the exit code in prose only: `Exited (137) 3 seconds ago`.
    let prose = answer.status.unwrap_or_default();
    let code = prose
        .split(['(', ')'])
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_default();
    Container {
        name: answer
            .names
            .iter()
            .flatten()
            .next()
            .map_or("", |name| name.trim_start_matches('/'))
            .to_owned(),
        hostname: String::new(),
        started: None,
        image: answer.image.unwrap_or_default(),
        image_id: answer.image_id.unwrap_or_default(),
        labels: map(answer.labels),
        state: container_state(&status, code),
        network_mode: answer
            .host_config
            .and_then(|config| config.network_mode)
            .unwrap_or_default(),
        networks: networks(answer.network_settings.unwrap_or_default().networks, &id),
        ports: published(answer.ports.into_iter().flatten().filter_map(|port| {
            (port.typ == Some(PortSummaryTypeEnum::TCP)).then_some(PublishedPort {
                container: port.private_port,
                address: port.ip.unwrap_or_default(),
                host: port.public_port?,
            })
        })),
        id,
    }
}

fn container_state(status: &str, code: i64) -> ContainerState {
    match status {
        "created" => ContainerState::Created,
        "running" => ContainerState::Running,
        "exited" => ContainerState::Exited { code },
        other => ContainerState::Other(other.to_owned()),
    }
}

/// Converts networks and aliases. Engines before 25 add the container's short id to the aliases:
/// <https://github.com/moby/moby/pull/45905>.
pub(super) fn networks(
    networks: Option<HashMap<String, EndpointSettings>>,
    id: &str,
) -> BTreeMap<String, Vec<String>> {
    let asked_for = |alias: &String| !(alias.len() == 12 && id.starts_with(alias));
    let aliases = |endpoint: EndpointSettings| {
        endpoint
            .aliases
            .into_iter()
            .flatten()
            .filter(asked_for)
            .collect()
    };
    networks
        .into_iter()
        .flatten()
        .map(|(name, endpoint)| (name, aliases(endpoint)))
        .collect()
}

fn published(ports: impl Iterator<Item = PublishedPort>) -> Vec<PublishedPort> {
    let mut ports: Vec<_> = ports.collect();
    ports.sort_by(|a, b| (a.container, &a.address, a.host).cmp(&(b.container, &b.address, b.host)));
    ports
}
