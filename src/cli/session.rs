//! What commands add to an operation: progress on stderr, Ctrl-C, and questions on a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Error, Result};
use async_trait::async_trait;
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::engine::Event;
use crate::ops::{Client, Connection, Question, User};
use crate::problem::Exit;
use crate::ui::{self, Printer, Progress};

/// An open session with an engine.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) progress: Arc<Progress>,
    pub(super) printer: Printer,
    interrupted: Arc<AtomicBool>,
}

impl Session {
    /// Connects. Changes nothing.
    pub(super) async fn open(shared: &Shared, printer: Printer) -> Result<Self> {
        let progress = Arc::new(Progress::new(printer));
        let mut connection = Connection::from_environment();
        if let Some(detail) = shared.detail() {
            let drawing = Arc::clone(&progress);
            connection = connection.with_trace(detail, move |text| drawing.told(text));
        }
        connection.docker_host.clone_from(&shared.docker_host);
        connection.timeout = Duration::from_secs(shared.timeout);
        let (stop, interrupted) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let drawing = Arc::clone(&progress);
        let client = Client::connect(&connection)
            .await?
            .with_listener(move |event| drawing.draw(&event))
            .with_stop(stop.clone());
        listen_for_interrupts(stop, &interrupted, &progress, printer)?;
        Ok(Self {
            client,
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

/// The user at the terminal, if there is one.
#[async_trait]
impl User for Printer {
    fn agrees(&self, question: &Question) -> bool {
        self.ask(&format!("{question}. Continue?"))
    }

    async fn credentials(
        &self,
        domain: &str,
        stop: &CancellationToken,
    ) -> Option<(String, SecretString)> {
        self.ask_credentials(domain, stop).await
    }
}

/// The first signal asks the run to stop and to clean up; the second ends it at once.
fn listen_for_interrupts(
    stop: CancellationToken,
    interrupted: &Arc<AtomicBool>,
    progress: &Arc<Progress>,
    printer: Printer,
) -> Result<()> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let (interrupted, progress) = (Arc::clone(interrupted), Arc::clone(progress));
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
                "stopping; interrupt again to end at once".to_owned(),
            ));
        }
    });
    Ok(())
}
