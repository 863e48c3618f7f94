//! What is done, and how long it takes, told while it happens: for `-v`.
//!
//! Nothing here prints. Nothing that is told may be a secret: no standard input, no body, no content of a file or an
//! archive, no answer. Where nobody listens, nothing is even put into words.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

/// How much is told; each has all of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Every check of a step and every call on engine, kind and Kubernetes API, in a line: outcome and time.
    Calls,
    /// The arguments of commands in containers; the paths and sizes in archives.
    Commands,
    /// What commands said that failed, and failures in all their lines.
    Outputs,
}

/// Takes what is told, from several lanes at once.
type Ear = Arc<dyn Fn(&str) + Send + Sync>;

/// Tells what is done to whoever listens; by default nobody.
#[derive(Clone, Default)]
pub struct Trace(Option<(Detail, Ear)>);

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Trace")
            .field(&self.0.as_ref().map(|(detail, _)| detail))
            .finish()
    }
}

impl Trace {
    /// A trace that somebody listens to.
    pub fn new(detail: Detail, ear: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some((detail, Arc::new(ear))))
    }

    /// Whether nobody listens.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Whether so much is to be told.
    #[must_use]
    pub fn tells(&self, detail: Detail) -> bool {
        self.0.as_ref().is_some_and(|(wanted, _)| *wanted >= detail)
    }

    /// Tells a line.
    pub fn tell(&self, text: impl FnOnce() -> String) {
        if let Some((_, ear)) = &self.0 {
            ear(&text());
        }
    }

    /// Awaits work, and tells what it is, what came of it, and its time.
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

    /// Awaits a call, and tells it.
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

    /// A failure as the end of a line.
    pub fn failure(&self, error: &dyn Display) -> String {
        let text = error.to_string();
        let shown = if self.tells(Detail::Outputs) {
            indented(&text)
        } else {
            text.lines().next().unwrap_or_default().to_owned()
        };
        format!(": {shown}")
    }
}

/// A text of several lines, as those after the first stand under it.
#[must_use]
pub fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n      ")
}
