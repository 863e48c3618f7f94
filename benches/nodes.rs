//! Trust in 3 nodes against trust in 9: the time must not grow with the number of nodes.
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
use kindreg::docker::bollard::Bollard;
use kindreg::docker::fake::FakeDocker;
use kindreg::docker::{
    Afterwards, Capabilities, ContainerSpec, Docker, Input, NetworkMode, Restart, address,
};
use kindreg::kind::fake::FakeKind;
use kindreg::kube::fake::FakeKube;
use kindreg::kubeconfig::Kubeconfig;
use kindreg::layout::{self, Layout};
use kindreg::spec::request::Request;
use kindreg::spec::{Spec, Workers};
use kindreg::step::{Ctx, State, Step};
use kindreg::steps::{Certificate, Network, NodeTrust, RegistryContainer, Volumes};
use kindreg::sweep;

/// Measured rounds; one more comes first, which is not.
const ROUNDS: usize = 10;
/// The most that 9 nodes may take, in times of 3 nodes.
const GOAL: f64 = 1.5;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A cluster that is only measured.
fn spec(name: &str, nodes: u16) -> Result<Spec> {
    let request = Request::default();
    let mut spec = request.resolve(&mut |_| bail!("no port is auto"))?;
    spec.cluster = name.parse()?;
    spec.workers = Workers::new(nodes - 1)?;
    if let Some(image) = variable("KINDREG_IMAGE") {
        spec.node_image = image.parse()?;
    }
    if let (Some(image), Some(registry)) = (
        variable("KINDREG_REGISTRY_IMAGE"),
        spec.registries.first_mut(),
    ) {
        registry.image = image.parse()?;
    }
    Ok(spec)
}

/// The real engine; there is no kind and no Kubernetes.
async fn ctx() -> Result<Ctx> {
    let address = address::resolve(None, &variable, &address::docker_config(&variable))?;
    let docker = Arc::new(Bollard::connect(&address).await?);
    let nobody = Arc::new(FakeDocker::new());
    let kind = Arc::new(FakeKind::new(Arc::clone(&nobody)));
    let kube = Arc::new(FakeKube::new(nobody, "nobody"));
    let kubeconfig = Kubeconfig::locate(None, Path::new("/nonexistent"));
    let (notes, _) = tokio::sync::mpsc::unbounded_channel();
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
        image: spec.node_image.to_string(),
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
    let registry = spec.registries.first().context("there is a registry")?;
    let (cluster, registry) = (spec.cluster.clone(), registry.clone());
    let network = Network {
        cluster: cluster.clone(),
    };
    network.apply(ctx).await?;
    let volumes = Volumes {
        cluster,
        registry: registry.name.clone(),
        data: registry.data,
    };
    volumes.apply(ctx).await?;
    let container = RegistryContainer {
        spec: spec.clone(),
        registry: registry.clone(),
    };
    container.apply(ctx).await?;
    let certificate = Certificate {
        spec: spec.clone(),
        registry,
    };
    certificate.apply(ctx).await?;
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
async fn clear(docker: &dyn Docker, specs: &[Spec; 2]) -> Result<()> {
    for spec in specs {
        sweep::rest(docker, spec).await?;
        let left = sweep::list(docker, &spec.cluster).await?;
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
    clear(&*ctx.docker, &specs).await?;
    let times = tokio::select! {
        times = measure(&ctx, &specs) => times,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    // Whatever became of it.
    clear(&*ctx.docker, &specs).await?;
    let [three, nine] = times?;
    let three = measured("trust in 3 nodes, from nothing (10 runs)", three)?;
    let nine = measured("trust in 9 nodes, from nothing (10 runs)", nine)?;
    let ratio = nine / three;
    let verdict = if ratio <= GOAL { "met" } else { "NOT MET" };
    let goal = format!("<= {GOAL:.3} x");
    row(
        "  the second in times of the first",
        ratio,
        "x",
        "",
        &goal,
        verdict,
    );
    Ok(())
}
