//! `kindreg up`.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::Shared;
use super::credentials::{OwnPassword, at_hand, complete};
use super::ports::Ports;
use super::request::Flags;
use super::session::{Session, support};
use super::verify::story;
use crate::engine::{self, OnFailure, Outcome};
use crate::layout::{self, Layout};
use crate::lock::ContainerLock;
use crate::plan::{Verify, announced, plan};
use crate::problem::{Exit, Problem};
use crate::spec::request::Request;
use crate::spec::{
    Address, Auth, Authorities, External, Host, HostTrust, Registry, Spec, Upstream, Variables,
};
use crate::step::State;
use crate::steps::{self, Asked};
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg up\n  \
    kindreg up --workers 2 --host nexus.test --port 8443\n  \
    kindreg up --name second --port auto\n  \
    kindreg up --config deploy/kindreg.toml\n  \
    kindreg up --dry-run\n\n\
    A second `up` changes nothing, and repairs what is no longer as it should be.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a flag of the command line is there or it is not"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) flags: Flags,
    #[command(flatten)]
    own: OwnPassword,
    /// End before the proof
    #[arg(long, env = "KINDREG_NO_VERIFY")]
    no_verify: bool,
    /// Leave a failed run's work where it is, to be looked at
    #[arg(long, env = "KINDREG_KEEP_ON_FAILURE")]
    keep_on_failure: bool,
    /// Go on without asking: trust names outside .test, .localhost, .internal and .local on the engine's host, and what
    /// kindreg.toml says of external registries and of upstream CAs
    #[arg(long, short, env = "KINDREG_YES")]
    yes: bool,
    /// Say what would be done, and do nothing
    #[arg(long, env = "KINDREG_DRY_RUN")]
    dry_run: bool,
}

impl Arguments {
    const fn verify(&self) -> Verify {
        if self.no_verify {
            Verify::Nothing
        } else {
            Verify::EveryNode
        }
    }
}

pub(super) async fn run(
    shared: &Shared,
    arguments: &Arguments,
    request: &Request,
    printer: Printer,
) -> Result<Exit> {
    let own = arguments.own.read()?;
    let mut session = Session::open(shared, printer).await?;
    session.ctx.own_credentials = own;
    let asked = steps::asked(&*session.docker, &shared.name).await?;
    let current = asked.as_ref().map(|asked| &asked.current);
    let mut ports = if request.has_auto() {
        Ports::look(&*session.docker, request, current).await?
    } else {
        Ports::default()
    };
    let spec = request.resolve(&mut |name| ports.free(name))?;
    for warning in spec.warnings() {
        printer.say(&format!("{} {warning}", printer.styled("warning:", "1;33")));
    }
    if asked.is_none() {
        support(&session.docker.info().await?)?;
    }
    refuse_another_cluster(&spec, asked.as_ref())?;
    let earlier = asked
        .as_ref()
        .map_or_else(Vec::new, |asked| asked.replaced_by(&spec));
    let plan = plan(&spec, &earlier, arguments.verify());
    if arguments.dry_run {
        session.ctx.external_credentials = at_hand(&spec)?;
        let states = engine::preview(&plan, &session.ctx).await?;
        return Ok(show_preview(shared, printer, &states));
    }
    if !arguments.yes {
        consent(&spec, asked.as_ref(), printer)?;
    }
    if let Err(error) = complete(&mut session.ctx, &spec, printer).await {
        return session.failed(error, "nothing was changed");
    }
    let lock = ContainerLock::of(&spec);
    let on_failure = if arguments.keep_on_failure {
        OnFailure::Keep
    } else {
        OnFailure::RollBack
    };
    let progress = &session.progress;
    let ended = engine::up(&plan, &session.ctx, &lock, on_failure, &|event| {
        progress.draw(&event);
    })
    .await;
    progress.end();
    match ended {
        Ok(outcome) => show(shared, printer, &spec, arguments.verify(), outcome),
        Err(error) => {
            let left = match on_failure {
                OnFailure::RollBack => "what this run had made is removed again",
                OnFailure::Keep => "what this run made was kept; `kindreg down` removes it",
            };
            return session.failed(error, left);
        }
    }
    Ok(Exit::Done)
}

/// What `up` can't change: kind can't remake its nodes, and a registry's images are not thrown away in passing.
fn refuse_another_cluster(spec: &Spec, asked: Option<&Asked>) -> Result<()> {
    let Some(Asked { current, .. }) = asked else {
        return Ok(());
    };
    let name = &spec.cluster;
    let anew = format!("give the same again, or make it anew: kindreg down --name {name}");
    let nodes = |spec: &Spec| (spec.control_planes.number(), spec.workers.number());
    let change = if nodes(current) != nodes(spec) {
        let ((planes, workers), (new_planes, new_workers)) = (nodes(current), nodes(spec));
        format!(
            "has {planes} control plane(s) and {workers} worker(s), not {new_planes} and {new_workers}"
        )
    } else if current.node_image != spec.node_image {
        format!(
            "was made from {}, not {}",
            current.node_image, spec.node_image
        )
    } else if current.kind_config != spec.kind_config {
        "was made with another kind configuration".to_owned()
    } else if let Some(gone) = current
        .ours()
        .find(|old| spec.ours().all(|new| new.name != old.name))
    {
        format!("has a registry {} that is no longer asked for", gone.name)
    } else {
        return Ok(());
    };
    Err(Problem::new(format!("cluster {name} {change}"), anew).into())
}

/// What a cloned repository's settings must not do unasked: plant a CA for a name that others own, or hand the user's
/// credentials to an address, a CA or out of variables of their choice. What was agreed to once is not asked again.
fn consent(spec: &Spec, asked: Option<&Asked>, printer: Printer) -> Result<()> {
    let before = asked.map(|asked| &asked.current);
    for registry in &spec.registries {
        let domain = registry.domain();
        let old = before.and_then(|old| old.registries.iter().find(|old| old.domain() == domain));
        let choice = Choice::of(registry);
        let same = old.is_some_and(|old| Choice::of(old) == choice);
        let harmless = choice.is_some_and(|choice| choice.is_harmless());
        let trusted = |spec: &Spec| spec.host_trusted().any(|one| one.domain() == domain);
        let planted = trusted(spec) && !(same && before.is_some_and(trusted));
        let out = "or take it out of kindreg.toml";
        let mut questions = Vec::new();
        if let Some(upstream) = foreign_upstream(registry, old) {
            let what = format!(
                "{upstream} may be somebody's real registry, and nodes would trust the CA in upstream_ca for it"
            );
            questions.push((what, out));
        }
        match registry.external() {
            None if planted && !is_private(&registry.host) => questions.push((
                format!("{domain} may be somebody's real registry, and the engine's host would trust a new CA for it"),
                "leave the host alone with --no-host-trust, or choose a name in .test",
            )),
            Some(external) if planted || !(same || harmless) => {
                let what = handed(spec, registry, external);
                let what = format!("for {domain}, which kindreg does not run, {what}");
                questions.push((what, out));
            }
            _ => {}
        }
        for (what, others) in questions {
            if !printer.ask(&format!("What is asked has consequences: {what}. Go on?")) {
                let hint = format!("say that you mean it with --yes, {others}");
                return Err(Problem::usage(what, hint).into());
            }
        }
    }
    Ok(())
}

/// A registry that others own, for which nodes are newly to trust another CA than a public one.
fn foreign_upstream<'a>(registry: &'a Registry, old: Option<&Registry>) -> Option<&'a Upstream> {
    let of = |registry: &Registry| (registry.mirror_of.clone(), registry.upstream_ca.clone());
    let same = old.is_some_and(|old| of(old) == of(registry));
    let upstream = registry
        .upstream()
        .filter(|upstream| !is_private(&upstream.host));
    upstream.filter(|_| registry.upstream_ca.is_some() && !same)
}

/// What an external registry's settings decide for the user: whom nodes trust, where they find it, and what they send.
#[derive(PartialEq, Eq)]
struct Choice<'a> {
    address: Option<Address>,
    ca: Option<&'a Authorities>,
    variables: Option<&'a Variables>,
    auth: Auth,
}

impl<'a> Choice<'a> {
    fn of(registry: &'a Registry) -> Option<Self> {
        let external = registry.external()?;
        Some(Self {
            address: external.address,
            ca: external.ca.as_ref(),
            variables: external.variables.as_ref(),
            auth: registry.auth,
        })
    }

    /// Whether it is docker's own: a public CA, a name server, and what docker would send there as well.
    const fn is_harmless(&self) -> bool {
        self.address.is_none() && self.ca.is_none() && self.variables.is_none()
    }
}

/// Names that nobody owns in public.
fn is_private(host: &Host) -> bool {
    let top = host.as_str().rsplit('.').next().unwrap_or_default();
    ["test", "localhost", "internal", "local"].contains(&top)
}

/// What an external registry gets, in words.
fn handed(spec: &Spec, registry: &Registry, external: &External) -> String {
    let mut parts = Vec::new();
    if external.ca.is_some() {
        let host = match spec.host_trust {
            HostTrust::Install => " and the engine's host",
            HostTrust::Leave => "",
        };
        parts.push(format!("nodes{host} will trust a CA of its own"));
    }
    if let Some(address) = external.address {
        parts.push(format!("nodes will find it at {address}"));
    }
    match &external.variables {
        _ if !registry.asks_password() => {}
        None => parts.push("it will be sent your credentials for it".to_owned()),
        Some(names) => parts.push(format!(
            "it will be sent ${} and ${}",
            names.username, names.password
        )),
    }
    parts.join(", and ")
}

fn show_preview(
    shared: &Shared,
    printer: Printer,
    states: &[(&dyn crate::step::Step, State)],
) -> Exit {
    let word = |state: &State| match state {
        State::Ready => "ready",
        State::Missing => "missing",
        State::Drifted(_) => "drifted",
    };
    if shared.json {
        let steps: Vec<_> = states
            .iter()
            .map(|(step, state)| {
                let why = if let State::Drifted(why) = state {
                    Some(why)
                } else {
                    None
                };
                json!({"step": step.title(), "state": word(state), "why": why})
            })
            .collect();
        printer.out(&json!({"steps": steps}).to_string());
    } else {
        for (step, state) in states {
            let why = if let State::Drifted(why) = state {
                format!(": {why}")
            } else {
                String::new()
            };
            printer.out(&format!("{:<8} {}{why}", word(state), step.title()));
        }
    }
    Exit::Done
}

fn show(shared: &Shared, printer: Printer, spec: &Spec, verify: Verify, outcome: Outcome) {
    let nodes = layout::nodes(spec).len();
    let context = Layout::of(&spec.cluster).context();
    if shared.json {
        let registries: Vec<_> = spec
            .registries
            .iter()
            .map(|registry| {
                let mut shown = json!({"name": registry.name, "domain": registry.domain()});
                if registry.is_ours() {
                    shown["local"] = json!(registry.local_domain());
                } else {
                    shown["external"] = json!(true);
                }
                shown
            })
            .collect();
        let proof = match verify {
            // Docker does not verify what it reaches over loopback, so its push proves nothing of the host.
            Verify::EveryNode => json!({"nodes": "proven", "host": "not proven"}),
            Verify::Nothing => json!({"nodes": "not proven", "host": "not proven"}),
        };
        let changed = outcome == Outcome::Changed;
        let product = json!({"cluster": spec.cluster, "context": context, "nodes": nodes, "changed": changed,
                             "registries": registries, "proof": proof});
        return printer.out(&product.to_string());
    }
    let plural = if nodes == 1 { "" } else { "s" };
    let domains: Vec<String> = spec.registries.iter().map(Registry::domain).collect();
    let domains = domains.join(", ");
    let all: Vec<&Registry> = spec.registries.iter().collect();
    let done = story(&all, "pulled from", "had an answer of");
    printer.out(&match (outcome, verify) {
        (Outcome::Unchanged, _) => format!(
            "Nothing to do: cluster {} and {domains} are as they should be.",
            spec.cluster
        ),
        (Outcome::Changed, Verify::EveryNode) => {
            format!(
                "Ready: {nodes} node{plural} of cluster {} {done} over verified TLS.",
                spec.cluster
            )
        }
        (Outcome::Changed, Verify::Nothing) => {
            format!(
                "Done: cluster {} with {nodes} node{plural} and {domains}; nothing was proven.",
                spec.cluster
            )
        }
    });
    if outcome == Outcome::Changed
        && let Some(registry) = announced(spec)
    {
        printer.out(&next(spec, registry, &context));
    }
}

/// What to type next.
fn next(spec: &Spec, registry: &Registry, context: &str) -> String {
    let domain = registry.domain();
    let down = format!("kindreg down --name {}", spec.cluster);
    if !registry.is_ours() {
        return format!(
            "\nWhat to type next:\n  kubectl --context {context} run demo --image={domain}/IMAGE\n  {down}"
        );
    }
    let local = registry.local_domain();
    let login = if registry.asks_password() {
        format!("kindreg login --name {}\n  ", spec.cluster)
    } else {
        String::new()
    };
    format!(
        "\nWhat to type next:\n  {login}\
         docker tag IMAGE {local}/IMAGE && docker push {local}/IMAGE\n  \
         kubectl --context {context} run demo --image={domain}/IMAGE    (or {local}/IMAGE)\n  {down}"
    )
}
