//! A Kubernetes API that traces every call, for `-v`, without bodies.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::{Kube, Result};
use crate::trace::Trace;

/// A Kubernetes API that traces every call.
#[derive(Debug)]
pub struct Traced {
    kube: Arc<dyn Kube>,
    trace: Trace,
}

impl Traced {
    /// Returns the API with tracing, or the API itself if the trace is off.
    pub fn over(kube: Arc<dyn Kube>, trace: &Trace) -> Arc<dyn Kube> {
        if trace.is_off() {
            return kube;
        }
        let trace = trace.clone();
        Arc::new(Self { kube, trace })
    }
}

#[async_trait]
impl Kube for Traced {
    async fn get(&self, path: &str) -> Result<Option<Value>> {
        let what = || format!("kube: get {path}");
        self.trace.call(what, self.kube.get(path)).await
    }
    async fn put(&self, collection: &str, object: &Value) -> Result<()> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let what = || format!("kube: put {collection}/{name}");
        self.trace
            .call(what, self.kube.put(collection, object))
            .await
    }
    async fn delete(&self, path: &str) -> Result<()> {
        let what = || format!("kube: delete {path}");
        self.trace.call(what, self.kube.delete(path)).await
    }
}
