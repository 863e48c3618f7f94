//! `kindreg up`.

use anyhow::Result;
use clap::Args;

use super::Shared;
use super::consent;
use super::credentials::{OwnPassword, complete, take_along};
use super::login;
use super::request::Flags;
use super::session::{Session, support};
use crate::engine::{self, OnFailure, Outcome};
use crate::layout::Layout;
use crate::lock::ContainerLock;
use crate::plan::{Verify, announced, plan};
use crate::ports::with_free_ports;
use crate::problem::{Exit, Problem};
use crate::report::{Condition, Endpoint, Made, Planned, Preview, Proof, Pull};
use crate::spec::request::Request;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State};
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
    /// kindreg.toml says of external registries, of upstream CAs and of credentials for upstreams
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

    const fn on_failure(&self) -> OnFailure {
        if self.keep_on_failure {
            OnFailure::Keep
        } else {
            OnFailure::RollBack
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
    let ended = with_free_ports(&session.ctx, request, async |ctx, spec, asked| {
        attempt(shared, arguments, &session, ctx, spec, asked).await
    });
    let ended = ended.await;
    session.progress.end();
    match ended {
        Ok(()) => Ok(Exit::Done),
        Err(error) => session.failed(
            error,
            match arguments.on_failure() {
                OnFailure::RollBack => "what this run had made is removed again",
                OnFailure::Keep => "what this run made was kept; `kindreg down` removes it",
            },
        ),
    }
}

/// One run, with ports that are free as far as is known.
async fn attempt(
    shared: &Shared,
    arguments: &Arguments,
    session: &Session,
    mut ctx: Ctx,
    spec: Spec,
    asked: Option<Asked>,
) -> Result<()> {
    let (printer, progress) = (session.printer, &session.progress);
    for warning in spec.warnings() {
        printer.warn(warning);
    }
    if asked.is_none() {
        support(&session.docker.info().await?)?;
    }
    if let Some(asked) = &asked {
        refuse_another_cluster(&ctx, &spec, asked).await?;
    }
    let earlier = asked
        .as_ref()
        .map_or_else(Vec::new, |asked| asked.replaced_by(&spec));
    let plan = plan(&spec, &earlier, arguments.verify());
    if arguments.dry_run {
        take_along(&mut ctx, &spec)?;
        return show_preview(shared, printer, engine::preview(&plan, &ctx).await?);
    }
    if !arguments.yes {
        consent::ask(&spec, asked.as_ref(), printer)?;
    }
    complete(&mut ctx, &spec, printer).await?;
    let lock = ContainerLock::of(&spec);
    let outcome = engine::up(&plan, &ctx, &lock, arguments.on_failure(), &|event| {
        progress.draw(&event);
    })
    .await?;
    progress.end();
    let forgotten = login::forget_earlier(&ctx, &spec, &earlier).await;
    let nodes = steps::nodes(&*session.docker, &spec).await?.len();
    show(shared, printer, &spec, nodes, arguments.verify(), outcome)?;
    forgotten
}

/// What `up` can't change.
async fn refuse_another_cluster(ctx: &Ctx, spec: &Spec, asked: &Asked) -> Result<()> {
    let Some(change) = asked.unchangeable(&*ctx.docker, spec).await? else {
        return Ok(());
    };
    let name = &spec.cluster;
    let anew = format!("give the same again, or make it anew: kindreg down --name {name}");
    Err(Problem::new(format!("cluster {name} {change}"), anew).into())
}

fn show_preview(
    shared: &Shared,
    printer: Printer,
    states: Vec<(&dyn crate::step::Step, State)>,
) -> Result<()> {
    let planned = |(step, state): (&dyn crate::step::Step, State)| Planned {
        step: step.title(),
        state: Condition::from(&state),
        why: state.why(),
    };
    let steps: Vec<Planned> = states.into_iter().map(planned).collect();
    if shared.json {
        printer.out(&serde_json::to_string(&Preview { steps })?);
        return Ok(());
    }
    for Planned { step, state, why } in steps {
        printer.out(&state.line(&step, why.as_deref()));
    }
    Ok(())
}

fn show(
    shared: &Shared,
    printer: Printer,
    spec: &Spec,
    nodes: usize,
    verify: Verify,
    outcome: Outcome,
) -> Result<()> {
    let context = Layout::of(&spec.cluster).context();
    if shared.json {
        let made = Made {
            cluster: spec.cluster.to_string(),
            context,
            nodes,
            changed: outcome == Outcome::Changed,
            registries: spec.registries.iter().map(Endpoint::from).collect(),
            proof: Proof {
                nodes: match verify {
                    Verify::EveryNode => Pull::Proven,
                    Verify::Nothing => Pull::NotProven,
                },
                host: Pull::NotProven,
            },
        };
        printer.out(&serde_json::to_string(&made)?);
        return Ok(());
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
    Ok(())
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

/// What nodes do with which registries: of an external one without an image for the proof they have an answer.
fn story(registries: &[&Registry], pull: &str, answer: &str) -> String {
    let is_pulled = |registry: &Registry| registry.external().is_none_or(|it| it.proof.is_some());
    let named = |pulled: bool| {
        let all = registries.iter().filter(|one| is_pulled(one) == pulled);
        all.map(|one| one.domain()).collect::<Vec<_>>().join(", ")
    };
    match (named(true), named(false)) {
        (pulled, none) if none.is_empty() => format!("{pull} {pulled}"),
        (none, answered) if none.is_empty() => format!("{answer} {answered}"),
        (pulled, answered) => format!("{pull} {pulled}, {answer} {answered}"),
    }
}
