//! Trust in 3 nodes and in 9.
//!
//! The nodes are containers of the node image without Kubernetes, which trust does not need. What is measured is the
//! real step, on the engine that docker would use, from nothing each time; 3 and 9 by turns, so that what else the
//! machine does concerns both.
//!
//! usage: `cargo bench --bench nodes` (`benches/run` does it at its end)
#![expect(clippy::print_stdout, reason = "a benchmark is what it prints")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kindreg::internal::docker::bollard::Bollard;
use kindreg::internal::docker::fake::FakeDocker;
use kindreg::internal::docker::{
    Afterwards, Capabilities, ContainerSpec, Input, NetworkMode, Restart, address,
};
use kindreg::internal::kind::fake::FakeKind;
use kindreg::internal::kube::fake::FakeKube;
use kindreg::internal::kubeconfig::Kubeconfig;
use kindreg::internal::layout::{self, Layout};
use kindreg::internal::observe::left;
use kindreg::internal::registry::managed;
use kindreg::internal::step::{Ctx, Notes, State, Step};
use kindreg::internal::steps::cluster::{Leftovers, Network};
use kindreg::internal::steps::nodes::NodeTrust;
use kindreg::internal::steps::registry::{Certificate, RegistryContainers, Volumes};
use kindreg::spec::request::Request;
use kindreg::spec::{Backend, IpFamily, Spec, Target, Workers};

/// Measured rounds; one more comes first, which is not.
const ROUNDS: usize = 10;
/// The most that 9 nodes may take, in seconds.
const GOAL: f64 = 0.1;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A cluster that is only measured.
fn spec(name: &str, nodes: u16) -> Result<Spec> {
    let request = Request::default();
    let mut spec = request.resolve(&mut |_| bail!("no port is auto"))?;
    spec.cluster = name.parse()?;
    let Target::Owned(owned) = &mut spec.target;
    owned.workers = Workers::new(nodes - 1)?;
    if let Some(image) = variable("KINDREG_IMAGE") {
        owned.node_image = image.parse()?;
    }
    if let Some(image) = variable("KINDREG_REGISTRY_IMAGE") {
        for registry in &mut spec.registries {
            if let Backend::Distribution(distribution) = &mut registry.backend {
                distribution.image = image.parse()?;
            }
        }
    }
    Ok(spec)
}

/// The real engine; there is no kind and no Kubernetes.
async fn ctx() -> Result<Ctx> {
    let home = std::env::home_dir().unwrap_or_default();
    let address = address::resolve(None, &variable, &address::docker_config(&variable, &home))?;
    let docker = Arc::new(Bollard::connect(&address).await?);
    let nobody = Arc::new(FakeDocker::new());
    let kind = Arc::new(FakeKind::new(Arc::clone(&nobody)));
    let kube = Arc::new(FakeKube::new(nobody, "nobody"));
    let kubeconfig = Kubeconfig::locate(None, Path::new("/nonexistent"), Path::new("/nonexistent"));
    let notes = Notes::to(|_| {});
    Ok(Ctx::new(docker, kind, kube, kubeconfig, notes))
}

/// A node as kind labels it. Its one process sleeps.
fn node(spec: &Spec, name: String) -> ContainerSpec {
    let layout = Layout::of(&spec.cluster);
    let mut labels = layout.labels();
    let cluster = spec.cluster.to_string();
    labels.insert(layout::KIND_LABEL_CLUSTER.to_owned(), cluster);
    labels.insert(layout::KIND_LABEL_ROLE.to_owned(), "worker".to_owned());
    ContainerSpec {
        name,
        image: spec.target.node_image().to_string(),
        entrypoint: vec!["sleep".to_owned(), "infinity".to_owned()],
        command: Vec::new(),
        environment: BTreeMap::new(),
        labels,
        mounts: Vec::new(),
        network: NetworkMode::Named {
            name: layout.network(),
            aliases: Vec::new(),
        },
        ports: Vec::new(),
        restart: Restart::No,
        capabilities: Capabilities::Default,
        input: Input::Closed,
        afterwards: Afterwards::Keep,
    }
}

/// All that trust needs: a certificate in a registry's volume, and nodes that run.
async fn make(ctx: &Ctx, spec: &Spec) -> Result<()> {
    let registry = managed(spec).next().context("there is a registry")?;
    let cluster = spec.cluster.clone();
    let ip_family = IpFamily::Ipv4;
    Network { cluster, ip_family }.apply(ctx).await?;
    let this = || registry.clone();
    Volumes { registry: this() }.apply(ctx).await?;
    RegistryContainers { registry: this() }.apply(ctx).await?;
    Certificate { registry: this() }.apply(ctx).await?;
    for name in layout::nodes(spec) {
        ctx.docker.create(&node(spec, name.clone())).await?;
        ctx.docker.start(&name).await?;
    }
    Ok(())
}

/// Time of the step from nothing to everything; then there is nothing again.
async fn once(ctx: &Ctx, spec: &Spec) -> Result<Duration> {
    let step = NodeTrust { spec: spec.clone() };
    ensure!(
        step.check(ctx).await? == State::Missing,
        "it begins at nothing"
    );
    let start = Instant::now();
    step.apply(ctx).await?;
    let took = start.elapsed();
    ensure!(step.check(ctx).await? == State::Ready, "every node has it");
    step.undo(ctx).await?;
    Ok(took)
}

async fn measure(ctx: &Ctx, specs: &[Spec; 2]) -> Result<[Vec<Duration>; 2]> {
    for spec in specs {
        make(ctx, spec).await?;
    }
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (spec, times) in specs.iter().zip(&mut times) {
            let took = once(ctx, spec).await?;
            if round > 0 {
                times.push(took);
            }
        }
    }
    Ok(times)
}

/// Removes what this made, and what one that was killed left.
async fn clear(ctx: &Ctx, specs: &[Spec; 2]) -> Result<()> {
    for spec in specs {
        let leftovers = Leftovers { spec: spec.clone() };
        leftovers.undo(ctx).await?;
        let left = left(&*ctx.docker, &spec.cluster).await?;
        ensure!(left.is_empty(), "something is left: {left:?}");
    }
    Ok(())
}

/// A row as `benches/run` prints them.
fn row(title: &str, figure: f64, unit: &str, range: &str, goal: &str, verdict: &str) {
    println!("{title:<52} {figure:>9.3} {unit}  {range:<19} {goal:<12} {verdict}");
}

/// The median of times, after a row for them.
fn measured(title: &str, mut times: Vec<Duration>) -> Result<f64> {
    times.sort();
    let seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    let (Some(first), Some(last)) = (seconds.first(), seconds.last()) else {
        bail!("nothing was measured");
    };
    let middle = seconds.len() / 2;
    let median = f64::midpoint(seconds[(seconds.len() - 1) / 2], seconds[middle]);
    row(
        title,
        median,
        "s",
        &format!("{first:.3} to {last:.3}"),
        "",
        "",
    );
    Ok(median)
}

#[tokio::main]
async fn main() -> Result<()> {
    let specs = [spec("bench-three", 3)?, spec("bench-nine", 9)?];
    let ctx = ctx().await?;
    clear(&ctx, &specs).await?;
    let times = tokio::select! {
        times = measure(&ctx, &specs) => times,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    // Whatever became of it.
    clear(&ctx, &specs).await?;
    let [three, nine] = times?;
    let three = measured("trust in 3 nodes, from nothing (10 runs)", three)?;
    let nine = measured("trust in 9 nodes, from nothing (10 runs)", nine)?;
    println!("  9 nodes in times of 3: {:.1}", nine / three);
    let verdict = if nine <= GOAL { "met" } else { "NOT MET" };
    row(
        "  trust in 9 nodes",
        nine,
        "s",
        "",
        &format!("<= {GOAL} s"),
        verdict,
    );
    Ok(())
}
