//! What commands need to talk to the world: engine, kind, Kubernetes API, kubeconfig, progress, Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

use super::{Shared, home};
use crate::docker::bollard::Bollard;
use crate::docker::{self, Docker, EngineInfo, Product, address};
use crate::engine::Event;
use crate::kind::{self, cli::KindCli};
use crate::kube::{self, node::NodeKube};
use crate::kubeconfig::Kubeconfig;
use crate::layout::Layout;
use crate::problem::{Exit, Problem};
use crate::step::Ctx;
use crate::ui::{self, Printer, Progress};

/// An open session with an engine.
pub(super) struct Session {
    pub(super) docker: Arc<dyn Docker>,
    pub(super) ctx: Ctx,
    pub(super) progress: Arc<Progress>,
    pub(super) printer: Printer,
    interrupted: Arc<AtomicBool>,
}

impl Session {
    /// Connects, and finds the programs that kind takes. Changes nothing.
    pub(super) async fn open(shared: &Shared, printer: Printer) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let docker_config = address::docker_config(&variable);
        let address = address::resolve(shared.docker_host.as_deref(), &variable, &docker_config)?;
        let progress = Arc::new(Progress::new(printer));
        let trace = shared.trace(&progress);
        trace.tell(|| format!("engine: {}, by {}", address.host, address.origin));
        let docker: Arc<dyn Docker> = Arc::new(Bollard::connect(&address).await?);
        let docker = docker::traced::Traced::over(docker, &trace);
        let kind = KindCli::find(
            address.environment(),
            std::env::var_os("PATH").as_deref(),
            state_folder(),
        )?;
        let kubeconfig = Kubeconfig::locate(variable("KUBECONFIG").as_deref(), &home());
        let kube = NodeKube::new(
            Arc::clone(&docker),
            Layout::of(&shared.name).control_plane(),
        );

        let (notes, mut inbox) = tokio::sync::mpsc::unbounded_channel();
        let drawing = Arc::clone(&progress);
        tokio::spawn(async move {
            while let Some(note) = inbox.recv().await {
                drawing.draw(&Event::Note(note));
            }
        });
        let mut ctx = Ctx::new(
            Arc::clone(&docker),
            kind::traced::Traced::over(Arc::new(kind), &trace),
            kube::traced::Traced::over(Arc::new(kube), &trace),
            kubeconfig,
            notes,
        );
        ctx.trace = trace;
        ctx.patience = Duration::from_secs(shared.timeout);
        let interrupted = Arc::new(AtomicBool::new(false));
        listen_for_interrupts(&ctx, &interrupted, &progress, printer)?;
        Ok(Self {
            docker,
            ctx,
            progress,
            printer,
            interrupted,
        })
    }

    /// What a failure means: Ctrl-C is shown as such.
    pub(super) fn failed(&self, error: Error, left: &str) -> Result<Exit> {
        self.progress.end();
        if self.interrupted.load(Ordering::SeqCst) {
            ui::interrupted(self.printer, left);
            return Ok(Exit::Interrupted);
        }
        Err(error)
    }
}

/// Refuses engines whose ways kindreg does not know.
pub(super) fn support(engine: &EngineInfo) -> Result<()> {
    let name = match engine.product {
        Product::Docker => return Ok(()),
        Product::RootlessDocker => "Docker without root's rights",
        Product::Podman => "Podman",
    };
    Err(Problem::new(
        format!("{name} answers, and kindreg does not support it yet"),
        "use a Docker engine that runs as root: --docker-host, DOCKER_HOST, docker context use",
    )
    .into())
}

/// The first signal asks the run to stop and to clean up; the second ends it at once.
fn listen_for_interrupts(
    ctx: &Ctx,
    interrupted: &Arc<AtomicBool>,
    progress: &Arc<Progress>,
    printer: Printer,
) -> Result<()> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let (stop, interrupted, progress) = (
        ctx.stop.clone(),
        Arc::clone(interrupted),
        Arc::clone(progress),
    );
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if interrupted.swap(true, Ordering::SeqCst) {
                progress.end();
                ui::interrupted(
                    printer,
                    "ended at once; `kindreg down` removes what is left",
                );
                std::process::exit(Exit::Interrupted as i32);
            }
            stop.cancel();
            progress.draw(&Event::Note(
                "stopping; once more ends it at once".to_owned(),
            ));
        }
    });
    Ok(())
}

/// Where the lock file of a kind at work lies: the user's own folder that ends with the session, else under home.
fn state_folder() -> std::path::PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if !folder.is_empty() => std::path::PathBuf::from(folder).join("kindreg"),
        _ => home().join(".cache/kindreg"),
    }
}
