//! `up`: creates or repairs a cluster with its registries, and proves that every node can pull.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Result;

use super::clock::Clock;
use super::consent::{Asking, Consent};
use super::credentials::{OwnPassword, complete, take_along};
use super::host_proof::{HostProof, host_proof, noted_first_pushes, obstacles};
use super::login::forget_earlier;
use super::ports::{Wanted, with_free_ports};
use super::{Client, Finished, User, certificates};
use crate::docker::address::Side;
use crate::docker::{Container, PublishedPort};
use crate::engine::{self, Event, OnFailure, Outcome};
use crate::layout::Layout;
use crate::lock::ContainerLock;
use crate::observe::{Readiness, RecordedSpec, nodes, readiness, refuse_foreign_cluster};
use crate::plan::{self, Verify};
use crate::problem::Problem;
use crate::report::{Endpoint, Made, Preview, Proof, Pull, Time};
use crate::spec::request::{Request, SettingsFile};
use crate::spec::{CniPlugin, Spec, Target};
use crate::step::Ctx;

/// What happens to what a failed run created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AfterFailure {
    /// It is removed, and the previous settings are restored.
    #[default]
    RollBack,
    /// It is kept, for the user to look at.
    Keep,
}

/// The options of [`up`].
#[derive(Debug, Clone, Default)]
pub struct UpOptions {
    /// Whether it ends with the proof.
    pub verify: Verify,
    /// What happens to what a failed run created.
    pub after_failure: AfterFailure,
    /// Whether the user is asked about consequences.
    pub consent: Consent,
    /// The password to use instead of a random one.
    pub password: Option<OwnPassword>,
}

/// Creates what is asked for. A second call repairs what has drifted, and changes nothing else.
///
/// # Errors
/// Something could not be created or proven and was rolled back, or the user does not agree.
pub async fn up(
    client: &Client,
    request: &Request,
    options: &UpOptions,
    user: &dyn User,
) -> Result<Finished<Made>> {
    let mut ctx = client.ctx(&request.cluster.value);
    ctx.own_credentials = options.password.as_ref().map(|own| own.0.clone());
    let mut asking = Asking::new(options.consent, user);
    let clock = Clock::start();
    let mut finished = with_free_ports(client, &ctx, request, async |ctx, wanted| {
        attempt(client, options, &mut asking, &clock, ctx, &wanted).await
    })
    .await?;
    finished.report.time = clock.read();
    Ok(finished)
}

/// Runs once, with ports that seem to be free.
async fn attempt(
    client: &Client,
    options: &UpOptions,
    asking: &mut Asking<'_>,
    clock: &Clock,
    mut ctx: Ctx,
    wanted: &Wanted,
) -> Result<Finished<Made>> {
    let earlier = examine(client, wanted).await?;
    asking.ask(wanted)?;
    let spec = &wanted.spec;
    for warning in certificates::gather(&mut ctx, wanted).await? {
        client.tell(Event::Warning(warning));
    }
    complete(&mut ctx, client, spec, asking.user).await?;
    let plan = plan::up(spec, &earlier, options.verify);
    let before = before(spec, wanted.recorded.as_ref());
    let on_failure = match options.after_failure {
        AfterFailure::RollBack => OnFailure::RollBack(before.as_ref()),
        AfterFailure::Keep => OnFailure::Keep,
    };
    let lock = ContainerLock::of(spec);
    let on = |event| {
        clock.hear(&event);
        client.tell(event);
    };
    let reading = ctx.reading_on(Arc::clone(&wanted.reads));
    let outcome = engine::up(&plan, &ctx, &reading, &lock, on_failure, &on).await?;
    let failure = forget_earlier(client, &ctx, spec, &earlier).await.err();
    let docker = match outcome {
        Outcome::Unchanged => &wanted.reads,
        Outcome::Changed => {
            tell_what_is_missing(client, &ctx, spec).await?;
            // What is done is done, whether the engine answers this or not.
            let found = obstacles(client.docker(), spec).await.unwrap_or_default();
            for warning in found {
                client.tell(Event::Warning(warning));
            }
            &ctx.docker
        }
    };
    let nodes = nodes(&**docker, &spec.cluster).await?.len();
    let host = match options.verify {
        Verify::EveryNode => host_proof(spec, &noted_first_pushes(&ctx, spec).await),
        Verify::Nothing => HostProof::NotProven("nothing was proven (--no-verify)".to_owned()),
    };
    let container = client.own_container().await;
    let report = Made {
        engine_host: client.engine_host(),
        api_tunnel: api_tunnel(client, spec).await,
        container: container.as_ref().map(|container| container.name.clone()),
        api_join: match container {
            Some(container) => api_join(client, spec, &container).await,
            None => None,
        },
        ..report(spec, nodes, options.verify, outcome, host)
    };
    Ok(Finished { report, failure })
}

/// Tells the user how the nodes become Ready, if they have to see to that themselves.
async fn tell_what_is_missing(client: &Client, ctx: &Ctx, spec: &Spec) -> Result<()> {
    let Target::Owned(owned) = &spec.target;
    match owned.cni_plugin() {
        CniPlugin::Kinds => return Ok(()),
        CniPlugin::Users => {}
    }
    let nodes = readiness(&*ctx.docker, &*ctx.kube, &spec.cluster).await?;
    let nodes = nodes.unwrap_or_default();
    if nodes.values().any(|node| *node == Readiness::Registered) {
        client.tell(Event::Warning(format!(
            "the nodes are not Ready until you install a CNI plug-in, as networking.disableDefaultCNI is set; run: \
             kubectl --context {} apply -f FILE",
            Layout::of(&spec.cluster).context()
        )));
    }
    Ok(())
}

/// Returns the plan that restores the settings before a change; `None` if nothing changes.
fn before(spec: &Spec, recorded: Option<&RecordedSpec>) -> Option<crate::step::Plan> {
    let recorded = recorded.filter(|recorded| recorded.current != *spec)?;
    let mut earlier = recorded.earlier.clone();
    earlier.push(spec.clone());
    // Without a proof: it was made then, and what fails now must not be tried again.
    Some(plan::up(&recorded.current, &earlier, Verify::Nothing))
}

/// Warns the user, refuses what `up` can't do, and returns the earlier settings of which something may be left.
async fn examine(client: &Client, wanted: &Wanted) -> Result<Vec<Spec>> {
    let Wanted {
        request,
        spec,
        recorded,
        reads,
    } = wanted;
    let docker = &**reads;
    for warning in spec.warnings() {
        client.tell(Event::Warning(warning.to_string()));
    }
    refuse_foreign_cluster(docker, &spec.cluster).await?;
    let Some(recorded) = recorded else {
        return Ok(Vec::new());
    };
    if let Some(note) = kept(request) {
        client.tell(Event::Note(note));
    }
    let Some(change) = recorded.unchangeable(docker, spec).await? else {
        return Ok(recorded.replaced_by(spec));
    };
    let name = &spec.cluster;
    let anew =
        format!("use the previous settings, or recreate the cluster: kindreg down --name {name}");
    Err(Problem::new(format!("cluster {name} {change}"), anew).into())
}

/// Returns what the user may not expect of a settings file, as the record decides too.
fn kept(request: &Request) -> Option<String> {
    match &request.file {
        SettingsFile::Absent => None,
        SettingsFile::OfAnother { .. } => Some(format!(
            "kindreg.toml names another cluster, so it is not used for {}; to use it, name it with --config",
            request.cluster.value
        )),
        SettingsFile::Named | SettingsFile::Found => {
            let kept = request.kept();
            let is = !kept.is_empty();
            is.then(|| {
                format!(
                    "kept from the last up, as kindreg.toml does not set it: {}",
                    kept.join(", ")
                )
            })
        }
    }
}

/// Returns what `up` would do, without doing anything.
///
/// # Errors
/// Something else has one of our names, or `up` can't change what is asked for.
pub async fn preview(client: &Client, request: &Request, verify: Verify) -> Result<Preview> {
    let ctx = client.ctx(&request.cluster.value);
    with_free_ports(client, &ctx, request, async |mut ctx, wanted| {
        let earlier = examine(client, &wanted).await?;
        certificates::gather(&mut ctx, &wanted).await?;
        take_along(&mut ctx, client, &wanted.spec)?;
        let plan = plan::up(&wanted.spec, &earlier, verify);
        let states = engine::preview(&plan, &ctx).await?;
        Ok(Preview::of(states))
    })
    .await
}

fn report(spec: &Spec, nodes: usize, verify: Verify, outcome: Outcome, host: HostProof) -> Made {
    let (host, host_why) = host.reported();
    let proof = |registry| match verify {
        Verify::EveryNode => Pull::of(registry),
        Verify::Nothing => Pull::NotProven,
    };
    let registries = spec.registries.iter();
    let registries: Vec<Endpoint> = registries
        .map(|registry| Endpoint::of(registry, proof(registry)))
        .collect();
    Made {
        cluster: spec.cluster.to_string(),
        context: Layout::of(&spec.cluster).context(),
        nodes,
        changed: outcome == Outcome::Changed,
        announced: plan::announced(spec).map(|registry| registry.registry().name.to_string()),
        proof: Proof {
            // Of several results the weakest.
            nodes: match verify {
                Verify::Nothing => Pull::NotProven,
                Verify::EveryNode if registries.iter().any(|one| one.proof == Pull::Answered) => {
                    Pull::Answered
                }
                Verify::EveryNode => Pull::Proven,
            },
            host,
            host_why,
        },
        registries,
        time: Time::default(),
        engine_host: None,
        api_tunnel: None,
        container: None,
        api_join: None,
    }
}

/// Returns the command that forwards the API server's port from another machine. `None` if it is not needed: the engine is
/// on this machine, or kind's `apiServerAddress` is not on loopback; or if the engine does not say.
async fn api_tunnel(client: &Client, spec: &Spec) -> Option<String> {
    let Side::There { ssh, .. } = client.side() else {
        return None;
    };
    let PublishedPort { address, host, .. } = api_server_on_loopback(client, spec).await?;
    Some(format!("ssh -fNT -L {host}:{address}:{host} {ssh}"))
}

/// Returns the commands that let kubectl in this process's container reach the API server. `None` if it needs none, or if
/// the engine does not say: kind's `apiServerAddress` is not on loopback.
async fn api_join(client: &Client, spec: &Spec, container: &Container) -> Option<String> {
    api_server_on_loopback(client, spec).await?;
    let (network, cluster) = (Layout::of(&spec.cluster).network(), &spec.cluster);
    let export = format!("kind export kubeconfig --name {cluster} --internal");
    Some(if container.networks.contains_key(&network) {
        export
    } else {
        let name = &container.name;
        format!("docker network connect {network} {name} && {export}")
    })
}

/// Returns where the API server is published, if that is loopback of the engine's host.
async fn api_server_on_loopback(client: &Client, spec: &Spec) -> Option<PublishedPort> {
    let layout = Layout::of(&spec.cluster);
    for name in [layout.load_balancer(), layout.control_plane()] {
        let found = client.docker().container(&name).await.ok().flatten();
        let mut ports = found.into_iter().flat_map(|container| container.ports);
        if let Some(published) = ports.find(|port| port.container == API_SERVER) {
            let address = published.address.parse();
            let is_loopback = address.is_ok_and(|ip: IpAddr| ip.is_loopback());
            return is_loopback.then_some(published);
        }
    }
    None
}

/// The port of the API server in its container:
/// <https://github.com/kubernetes-sigs/kind/blob/v0.33.0/pkg/cluster/internal/providers/common/constants.go>.
const API_SERVER: u16 = 6443;
