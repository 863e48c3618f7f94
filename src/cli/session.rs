//! What commands add to an operation: progress on stderr, Ctrl-C, and questions on a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Error, Result};
use async_trait::async_trait;
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::invocation::{Connector, Invocation};
use crate::engine::Event;
use crate::ops::{Client, Connection, Question, User};
use crate::problem::Exit;
use crate::ui::{self, Printer, Progress};

/// A client, and what shows its progress.
pub(super) struct Session<'a> {
    pub(super) client: Client,
    pub(super) progress: Arc<Progress>,
    printer: &'a Printer,
    interrupted: Arc<AtomicBool>,
}

impl<'a> Session<'a> {
    /// Connects. Changes nothing.
    pub(super) async fn open(invocation: &'a Invocation) -> Result<Self> {
        let (shared, printer) = (&invocation.shared, &invocation.printer);
        let progress = Arc::new(Progress::new(printer.clone()));
        let interrupted = Arc::new(AtomicBool::new(false));
        let client = match &invocation.connector {
            Connector::Engine => {
                let mut connection = Connection::from_environment();
                if let Some(detail) = shared.detail() {
                    let drawing = Arc::clone(&progress);
                    connection = connection.with_trace(detail, move |text| drawing.trace(text));
                }
                connection.docker_host.clone_from(&shared.docker_host);
                connection.timeout = Duration::from_secs(shared.timeout);
                let stop = CancellationToken::new();
                let client = Client::connect(&connection).await?.with_stop(stop.clone());
                listen_for_interrupts(stop, &interrupted, &progress, printer)?;
                client
            }
            #[cfg(feature = "fakes")]
            Connector::Given(client) => {
                let client = Client::clone(client);
                match shared.detail() {
                    Some(detail) => {
                        let drawing = Arc::clone(&progress);
                        client.with_trace(detail, move |text| drawing.trace(text))
                    }
                    None => client,
                }
            }
        };
        let drawing = Arc::clone(&progress);
        Ok(Self {
            client: client.with_listener(move |event| drawing.draw(&event)),
            progress,
            printer,
            interrupted,
        })
    }

    /// Returns the exit code of a run that Ctrl-C ended, and prints what is left; any other failure stays one.
    pub(super) fn failed(&self, error: Error, left: &str) -> Result<Exit> {
        self.progress.end();
        if self.interrupted.load(Ordering::SeqCst) {
            ui::interrupted(self.printer, left);
            return Ok(Exit::Interrupted);
        }
        Err(error)
    }
}

#[async_trait]
impl User for Printer {
    fn agrees(&self, question: &Question) -> bool {
        let text = capitalised(&question.to_string());
        // A value of several lines ends with its last line.
        let end = if text.contains('\n') { "\n" } else { ". " };
        self.ask(&format!("{text}{end}Continue?"))
    }

    async fn credentials(
        &self,
        domain: &str,
        stop: &CancellationToken,
    ) -> Option<(String, SecretString)> {
        self.ask_credentials(domain, stop).await
    }
}

/// Returns a text as the beginning of a sentence.
fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(characters).collect()
}

/// The first signal asks the run to stop and to clean up; the second ends it at once.
fn listen_for_interrupts(
    stop: CancellationToken,
    interrupted: &Arc<AtomicBool>,
    progress: &Arc<Progress>,
    printer: &Printer,
) -> Result<()> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let (interrupted, progress) = (Arc::clone(interrupted), Arc::clone(progress));
    let printer = printer.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if interrupted.swap(true, Ordering::SeqCst) {
                progress.end();
                ui::interrupted(
                    &printer,
                    "stopped without cleaning up; remove what is left: kindreg down --name CLUSTER",
                );
                std::process::exit(Exit::Interrupted as i32);
            }
            stop.cancel();
            progress.draw(&Event::Note(
                "stopping and cleaning up; press Ctrl-C again to stop at once".to_owned(),
            ));
        }
    });
    Ok(())
}
