//! The trace for `-v`: each call with its outcome and duration, while the program runs.
//!
//! Nothing here prints. A line of the trace never contains a secret: no standard input, request body, response, or
//! content of a file or an archive. Without a listener, no line is built.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

/// How detailed the trace is. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// One line for each check of a step and each call to the engine, kind and the Kubernetes API: outcome and
    /// duration.
    Calls,
    /// Also the arguments of commands in containers, and the paths and sizes of files in archives.
    Commands,
    /// Also the output of commands that failed, and all lines of an error.
    Outputs,
}

/// Receives each line of the trace, from several lanes at once.
type Listener = Arc<dyn Fn(&str) + Send + Sync>;

/// Sends lines to a listener. The default has no listener.
#[derive(Clone, Default)]
pub struct Trace(Option<(Detail, Listener)>);

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Trace")
            .field(&self.0.as_ref().map(|(detail, _)| detail))
            .finish()
    }
}

impl Trace {
    /// Returns a trace that sends its lines to `listener`.
    pub fn new(detail: Detail, listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some((detail, Arc::new(listener))))
    }

    /// Returns whether the trace has no listener.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Returns whether the trace is at least this detailed.
    #[must_use]
    pub fn includes(&self, detail: Detail) -> bool {
        self.0.as_ref().is_some_and(|(wanted, _)| *wanted >= detail)
    }

    /// Sends a line. `text` is called only if there is a listener.
    pub fn tell(&self, text: impl FnOnce() -> String) {
        if let Some((_, listener)) = &self.0 {
            listener(&text());
        }
    }

    /// Awaits `work`, and sends a line with what it is, its duration in milliseconds and its outcome.
    pub async fn watch<T>(
        &self,
        what: impl FnOnce() -> String,
        work: impl Future<Output = T>,
        outcome: impl FnOnce(&T) -> String,
    ) -> T {
        if self.is_off() {
            return work.await;
        }
        let start = Instant::now();
        let result = work.await;
        let took = start.elapsed().as_millis();
        self.tell(|| format!("{} ({took} ms){}", what(), outcome(&result)));
        result
    }

    /// Awaits a call, and sends a line with its duration and its error, if any.
    pub async fn call<T, E: Display>(
        &self,
        what: impl FnOnce() -> String,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let outcome = |result: &Result<T, E>| match result {
            Ok(_) => String::new(),
            Err(error) => self.failure(error),
        };
        self.watch(what, work, outcome).await
    }

    /// Returns an error as the end of a line: its first line, or all lines at [`Detail::Outputs`].
    pub fn failure(&self, error: &dyn Display) -> String {
        let text = error.to_string();
        let shown = if self.includes(Detail::Outputs) {
            indented(&text)
        } else {
            text.lines().next().unwrap_or_default().to_owned()
        };
        format!(": {shown}")
    }
}

/// Returns a text with all lines after the first indented.
#[must_use]
pub fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n      ")
}
