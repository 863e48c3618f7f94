//! A kind program that traces every call, for `-v`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Creation, Kind, Orphan, Result};
use crate::spec::KindVersion;
use crate::trace::Trace;

/// A kind program that traces every call.
#[derive(Debug)]
pub struct Traced {
    kind: Arc<dyn Kind>,
    trace: Trace,
}

impl Traced {
    /// Returns the program with tracing, or the program itself if the trace is off.
    pub fn over(kind: Arc<dyn Kind>, trace: &Trace) -> Arc<dyn Kind> {
        if trace.is_off() {
            return kind;
        }
        let trace = trace.clone();
        Arc::new(Self { kind, trace })
    }
}

#[async_trait]
impl Kind for Traced {
    async fn version(&self) -> Result<KindVersion> {
        let what = || "kind: version".to_owned();
        let version = self.kind.version();
        let outcome = |version: &Result<KindVersion>| match version {
            Ok(version) => format!(": {version}"),
            Err(error) => self.trace.failure(error),
        };
        self.trace.watch(what, version, outcome).await
    }
    async fn create(
        &self,
        cluster: &str,
        network: &str,
        config: &str,
        direct: &[String],
    ) -> Result<Box<dyn Creation>> {
        let what = || format!("kind: start creating cluster {cluster} on network {network}");
        let call = self.kind.create(cluster, network, config, direct);
        let creation = self.trace.call(what, call).await?;
        let (cluster, trace) = (cluster.to_owned(), self.trace.clone());
        Ok(Box::new(TracedCreation {
            cluster,
            creation,
            trace,
        }))
    }
    async fn orphan(&self, cluster: &str) -> Result<Orphan> {
        let what = || format!("kind: look for a running creation of cluster {cluster}");
        self.trace.call(what, self.kind.orphan(cluster)).await
    }
    async fn delete(&self, cluster: &str) -> Result<()> {
        let what = || format!("kind: delete cluster {cluster}");
        self.trace.call(what, self.kind.delete(cluster)).await
    }
}

/// A creation that traces its end.
#[derive(Debug)]
struct TracedCreation {
    cluster: String,
    creation: Box<dyn Creation>,
    trace: Trace,
}

#[async_trait]
impl Creation for TracedCreation {
    async fn finished(&mut self) -> Result<()> {
        let what = || format!("kind: wait for cluster {}", self.cluster);
        self.trace.call(what, self.creation.finished()).await
    }
    fn ended(&mut self) -> bool {
        self.creation.ended()
    }
    async fn abort(&mut self) {
        let what = || format!("kind: abort the creation of cluster {}", self.cluster);
        let work = self.creation.abort();
        self.trace.watch(what, work, |()| String::new()).await;
    }
}
