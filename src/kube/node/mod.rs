//! [`NodeKube`]: the Kubernetes API of a kind cluster, reached through its control-plane container.
//!
//! It uses HTTPS to the published port with the administrator's certificate (21 ms a call). If that port can't be
//! reached (the engine is on another machine, or kindreg is in a container), it runs the node's kubectl (120–210 ms).
//! Nothing here reads the user's kubeconfig or needs the user's kubectl.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Kube, KubeError, Result};
use crate::docker::{ContainerState, Docker};
use crate::symptoms::{Meaning, shows};
use https::Https;

mod exec;
mod https;
#[cfg(test)]
mod tests;

/// The administrator's kubeconfig, as kubeadm writes it.
const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";

/// The limit for reading what a connection needs from the control plane.
const CONNECT: Duration = Duration::from_secs(15);

/// How long kubectl is not run again after it got no answer: it takes processor time from an API server that is starting.
const PAUSE: Duration = Duration::from_secs(2);

/// The Kubernetes API of the cluster of a control-plane container.
#[derive(Debug)]
pub struct NodeKube {
    docker: Arc<dyn Docker>,
    control_plane: String,
    way: Mutex<Way>,
    /// When kubectl got no answer.
    silent: Mutex<Option<Instant>>,
}

/// How the API server is reached.
#[derive(Debug, Clone)]
enum Way {
    /// Not tried yet, or to be tried again.
    Unknown,
    Https(Https),
    /// kubectl in the node, until kindreg exits.
    Exec,
}

/// A request, for both ways.
#[derive(Debug, Clone, Copy)]
struct Request<'a> {
    method: Method,
    path: &'a str,
    body: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What the API server answered.
#[derive(Debug, PartialEq)]
enum Answer {
    /// Success, with this body.
    Done(Vec<u8>),
    /// A failure Status: its reason and message.
    Refused { reason: String, message: String },
}

impl NodeKube {
    /// Returns the API behind the control-plane container of that name, without connecting yet.
    #[must_use]
    pub fn new(docker: Arc<dyn Docker>, control_plane: String) -> Self {
        Self {
            docker,
            control_plane,
            way: Mutex::new(Way::Unknown),
            silent: Mutex::default(),
        }
    }

    /// Sets up HTTPS from the control plane's current port and certificates. Returns `None` if it publishes no port.
    async fn connect(&self) -> Result<Option<Https>> {
        let name = &self.control_plane;
        let (container, admin) = tokio::join!(
            self.docker.container(name),
            self.docker.download(name, ADMIN_CONF)
        );
        let unreachable = |why: String| KubeError::Unreachable(why);
        let container = container.map_err(|error| unreachable(error.to_string()))?;
        let container =
            container.ok_or_else(|| unreachable(format!("container {name} does not exist")))?;
        if container.state != ContainerState::Running {
            return Err(unreachable(format!("container {name} is not running")));
        }
        let admin = admin.map_err(|error| unreachable(error.to_string()))?;
        let admin = admin.ok_or_else(|| {
            unreachable(format!("{name} is not set up yet: it has no {ADMIN_CONF}"))
        })?;
        let Some(port) = container.ports.iter().find(|port| port.container == 6443) else {
            return Ok(None);
        };
        Https::new(&admin, port)
            .map(Some)
            .map_err(|error| unreachable(format!("{ADMIN_CONF} of {name}: {error:#}")))
    }

    /// Returns the way to the API, which the first call sets up.
    async fn way(&self) -> Result<Way> {
        let mut way = self.way.lock().await;
        if matches!(*way, Way::Unknown) {
            let connected = tokio::time::timeout(CONNECT, self.connect()).await;
            let late = |_| KubeError::Unreachable("the engine does not answer".to_owned());
            *way = connected.map_err(late)??.map_or(Way::Exec, Way::Https);
        }
        Ok(way.clone())
    }

    async fn ask(&self, method: Method, path: &str, body: &[u8]) -> Result<Answer> {
        let request = Request { method, path, body };
        let answer = match self.way().await? {
            Way::Https(https) => match https.ask(request).await {
                Ok(answer) => answer,
                Err(failure) => self.ask_otherwise(request, failure).await?,
            },
            Way::Exec | Way::Unknown => self.exec(request).await?,
        };
        match answer {
            // The API server is not set up yet or overloaded: a retry helps, as if it did not answer.
            Answer::Refused { reason, message } if goes_away(method, &reason, &message) => {
                Err(KubeError::Unreachable(format!("{reason}: {message}")))
            }
            answer => Ok(answer),
        }
    }

    /// Sends a request through kubectl after HTTPS failed: the node has restarted or is starting, or the published port
    /// is not on this machine.
    async fn ask_otherwise(&self, request: Request<'_>, failure: String) -> Result<Answer> {
        *self.way.lock().await = Way::Unknown;
        // Locked meanwhile, so that of several calls at once only one runs kubectl in vain.
        let mut silent = self.silent.lock().await;
        if silent.is_some_and(|since| since.elapsed() < PAUSE) {
            return Err(KubeError::Unreachable(failure));
        }
        let Ok(answer) = self.exec(request).await else {
            *silent = Some(Instant::now());
            return Err(KubeError::Unreachable(failure));
        };
        drop(silent);
        // The API server is running. If HTTPS still fails, it can't be reached from here.
        let version = Request {
            method: Method::Get,
            path: "/version",
            body: &[],
        };
        if let Way::Https(https) = self.way().await?
            && https.ask(version).await.is_err()
        {
            *self.way.lock().await = Way::Exec;
        }
        Ok(answer)
    }

    async fn exec(&self, request: Request<'_>) -> Result<Answer> {
        exec::ask(self.docker.as_ref(), &self.control_plane, request).await
    }
}

/// Returns whether a refusal is temporary. The administrator may do everything, but only after kubeadm has bound the
/// role and a new API server has read that.
fn goes_away(method: Method, reason: &str, message: &str) -> bool {
    match reason {
        "ServiceUnavailable" | "TooManyRequests" | "ServerTimeout" | "Timeout" => true,
        "Forbidden" => method == Method::Get || shows(message, Meaning::NotYetAllowed),
        _ => false,
    }
}

#[async_trait]
impl Kube for NodeKube {
    async fn get(&self, path: &str) -> Result<Option<Value>> {
        match self.ask(Method::Get, path, &[]).await? {
            Answer::Done(body) => {
                let value = serde_json::from_slice(&body).map_err(|error| error.to_string());
                value
                    .map(Some)
                    .map_err(|message| refused(Method::Get, path, message))
            }
            Answer::Refused { reason, .. } if reason == "NotFound" => Ok(None),
            answer @ Answer::Refused { .. } => answer.done(Method::Get, path).map(|()| None),
        }
    }

    async fn put(&self, collection: &str, object: &Value) -> Result<()> {
        let mut object = object.clone();
        let path = format!(
            "{collection}/{}",
            object["metadata"]["name"].as_str().unwrap_or_default()
        );
        // Another client may create, change or delete the object between these calls.
        for _ in 0..3 {
            match self
                .ask(Method::Post, collection, object.to_string().as_bytes())
                .await?
            {
                Answer::Refused { reason, .. } if reason == "AlreadyExists" => {}
                answer => return answer.done(Method::Post, collection),
            }
            let Some(present) = self.get(&path).await? else {
                continue;
            };
            object["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"].clone();
            match self
                .ask(Method::Put, &path, object.to_string().as_bytes())
                .await?
            {
                Answer::Refused { reason, .. } if reason == "Conflict" || reason == "NotFound" => {}
                answer => return answer.done(Method::Put, &path),
            }
            // A new object must not have a resource version.
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("resourceVersion");
            }
        }
        Err(refused(
            Method::Put,
            &path,
            "Conflict: another client keeps changing it".into(),
        ))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let at_once = format!("{path}?gracePeriodSeconds=0");
        match self.ask(Method::Delete, &at_once, &[]).await? {
            Answer::Refused { reason, .. } if reason == "NotFound" => Ok(()),
            answer => answer.done(Method::Delete, path),
        }
    }
}

impl Answer {
    /// Returns `Ok`, or the refusal as an error.
    fn done(self, method: Method, path: &str) -> Result<()> {
        match self {
            Self::Done(_) => Ok(()),
            Self::Refused { reason, message } => {
                Err(refused(method, path, format!("{reason}: {message}")))
            }
        }
    }
}

fn refused(method: Method, path: &str, message: String) -> KubeError {
    KubeError::Refused {
        method: method.name(),
        path: path.to_owned(),
        message,
    }
}
