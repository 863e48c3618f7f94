//! The data that `--json` shows. Part of the program's interface: keys are added, never renamed or removed. README.md
//! has an example of each, and a test compares the keys.
//!
//! Nothing here decides whether a state is right: steps do.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::spec::{Authentication, Backend, External, Registry};
use crate::step::{State, Step};

/// The state of a step, a node or a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It is as it should be.
    Ready,
    /// It exists and differs.
    Drifted,
    /// It does not exist.
    Missing,
}

impl Condition {
    /// Returns a line of text: the condition, `what` it is about, and why.
    #[must_use]
    pub fn line(self, what: &str, why: Option<&str>) -> String {
        match why {
            Some(why) => format!("{self:<8} {what}: {why}"),
            None => format!("{self:<8} {what}"),
        }
    }
}

impl From<&State> for Condition {
    fn from(state: &State) -> Self {
        match state {
            State::Ready => Self::Ready,
            State::Missing => Self::Missing,
            State::Drifted(_) => Self::Drifted,
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Drifted => "drifted",
            Self::Missing => "missing",
        })
    }
}

/// The report of `status`: a cluster with its registries and nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of kindreg that wrote the report.
    pub version: &'static str,
    /// The name of the cluster.
    pub cluster: String,
    /// The cluster's context in the kubeconfig.
    pub context: String,
    /// The worst state of all parts.
    pub state: Condition,
    /// The parts, in the order of the plan.
    pub parts: Vec<Part>,
    /// The registries.
    pub registries: Vec<RegistryReport>,
    /// The nodes of the Spec, and those that were joined to the cluster later.
    pub nodes: Vec<NodeReport>,
    /// What is not kindreg's to repair, and may surprise the user.
    pub warnings: Vec<String>,
    /// The name or address of the engine's host, which has the registries' `localhost:port`; none if that is this machine.
    #[serde(rename = "engineHost")]
    pub engine_host: Option<String>,
}

/// The state of one part of a cluster, which is what one step makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The id of the step, which stays when the title changes.
    pub id: String,
    /// The title of the step.
    pub part: String,
    /// The state of the part.
    pub state: Condition,
    /// The difference, if the state is `drifted`.
    pub why: Option<String>,
}

/// The state of one registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryReport {
    /// The name of the registry.
    pub name: String,
    /// The back end: `distribution`, or `external` for a registry that kindreg does not run.
    pub backend: &'static str,
    /// The registry's domain in image references (`host:port`).
    pub domain: String,
    /// The domain by which the engine's host reaches it (`localhost:port`); none for an external registry.
    pub local: Option<String>,
    /// All domains of the registry in image references, including these two.
    pub endpoints: Vec<String>,
    /// The expiry time of its certificate as RFC 3339; none if the certificate is missing. For an external registry,
    /// the expiry time of the CA that nodes trust for it; none for a public CA.
    pub expires: Option<String>,
    /// Whole days until then; negative after it.
    pub days_left: Option<i64>,
}

/// The state of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeReport {
    /// The name of the node's container.
    pub name: String,
    /// Whether the container is running.
    pub running: bool,
    /// The state of the node's trust in the registries; none while a registry has no certificate.
    pub trust: Option<Condition>,
    /// The registries whose last proof on this node is still valid.
    pub proven: Vec<String>,
    /// All differences, in words.
    pub differs: Vec<String>,
}

/// One cluster in the report of `list`, which is an array of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The name of the cluster.
    pub cluster: String,
    /// The domains of the registries (`host:port`).
    pub registries: Vec<String>,
    /// The number of nodes: those of the Spec and those that were joined later.
    pub nodes: usize,
    /// The number of nodes that are running.
    pub running: usize,
    /// The reason why nothing more is known, if the record can't be read.
    pub problem: Option<String>,
}

/// The report of `verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The name of the cluster.
    pub cluster: String,
    /// The domains of the registries that were tested (`host:port`).
    pub registries: Vec<String>,
    /// The results, one for each node and registry.
    pub nodes: Vec<NodeVerification>,
    /// The result for the engine's host.
    pub host: Pull,
    /// The reason why that is not proven.
    #[serde(rename = "hostWhy")]
    pub host_why: Option<String>,
}

/// The result of the proof of one registry on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeVerification {
    /// The name of the node.
    pub node: String,
    /// The domain of the registry (`host:port`).
    pub registry: String,
    /// The result of the pull.
    pub pull: Pull,
    /// The reason why the pull failed, in the node's own words.
    pub why: Option<String>,
    /// The result of the pull without the CA.
    pub without_ca: WithoutCa,
}

/// The result of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Pull {
    /// The pull succeeded over verified TLS.
    #[serde(rename = "proven")]
    Proven,
    /// The registry answered over verified TLS, and nothing was pulled: it is external, and `proof` names no image.
    #[serde(rename = "answered")]
    Answered,
    /// The pull failed.
    #[serde(rename = "refused")]
    Refused,
    /// The pull succeeded, and the node's settings do not show that it verified TLS.
    #[serde(rename = "unverified")]
    Unverified,
    /// There is no result: for nodes, because there was no image to pull; for the engine's host, because it was not seen
    /// to refuse a push before it had the CA.
    #[serde(rename = "not proven")]
    NotProven,
}

/// The result of a pull without the CA, which must fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum WithoutCa {
    /// The node refused the registry because the CA is missing, as it must.
    #[serde(rename = "refused")]
    Refused,
    /// The node pulled, or failed for another reason.
    #[serde(rename = "not refused")]
    NotRefused,
    /// The pull was not tried.
    #[serde(rename = "not tried")]
    NotTried,
}

/// The report of `up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// The name of the cluster.
    pub cluster: String,
    /// The cluster's context in the kubeconfig.
    pub context: String,
    /// The number of nodes.
    pub nodes: usize,
    /// Whether `up` changed something.
    pub changed: bool,
    /// The registries.
    pub registries: Vec<Endpoint>,
    /// The name of the registry that the cluster announces, which takes pushes; none if there is no such registry.
    pub announced: Option<String>,
    /// The results of the proof.
    pub proof: Proof,
    /// Where the time went.
    pub time: Time,
    /// The name or address of the engine's host, which has the registries' `localhost:port`; none if that is this machine.
    #[serde(rename = "engineHost")]
    pub engine_host: Option<String>,
    /// The command after which kubectl on this machine reaches the API server on the engine's host; none if it needs none.
    #[serde(rename = "apiTunnel")]
    pub api_tunnel: Option<String>,
    /// The name of the container that kindreg runs in; none on the engine's host or another machine.
    pub container: Option<String>,
    /// The commands after which kubectl in that container reaches the API server; none if it needs none.
    #[serde(rename = "apiJoin")]
    pub api_join: Option<String>,
}

/// Where the time of a run went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Time {
    /// The time of the whole run.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub whole: Duration,
    /// The time of each step that did something, sorted by identity. Steps run side by side, so the sum may be more
    /// than the whole.
    pub steps: Vec<StepTime>,
}

/// The time of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepTime {
    /// The step's identity.
    pub id: String,
    /// The step's title.
    pub step: String,
    /// The time that it took.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// The addresses of one registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// The name of the registry.
    pub name: String,
    /// The back end: `distribution` or `external`.
    pub backend: &'static str,
    /// The registry's domain in image references (`host:port`).
    pub domain: String,
    /// The domain by which the engine's host reaches it (`localhost:port`); none for an external registry.
    pub local: Option<String>,
    /// Whether the registry needs a password.
    pub authenticated: bool,
    /// The result of the proof of this registry by all nodes.
    pub proof: Pull,
}

impl Endpoint {
    /// Returns the addresses of a registry with the result of its proof.
    pub(crate) fn of(registry: &Registry, proof: Pull) -> Self {
        Self {
            name: registry.name.to_string(),
            backend: registry.backend.name(),
            domain: registry.domain(),
            local: registry.local_domain(),
            authenticated: registry.authentication() != Authentication::Anonymous,
            proof,
        }
    }
}

impl Pull {
    /// Returns the result of a successful proof of a registry.
    pub(crate) const fn of(registry: &Registry) -> Self {
        match &registry.backend {
            Backend::External(External { proof: None, .. }) => Self::Answered,
            Backend::External(External { proof: Some(_), .. }) | Backend::Distribution(_) => {
                Self::Proven
            }
        }
    }
}

/// The results of the proof that `up` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The result of the pulls by all nodes.
    pub nodes: Pull,
    /// The result of the push by the engine's host.
    pub host: Pull,
    /// The reason why that is not proven.
    pub host_why: Option<String>,
}

/// The report of a dry run of `up`, `verify` or `login --rotate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// All steps, in the order of the plan.
    pub steps: Vec<Planned>,
}

impl Preview {
    /// Returns the preview of steps with their states.
    pub(crate) fn of<'a>(states: impl IntoIterator<Item = (&'a dyn Step, State)>) -> Self {
        let planned = |(step, state): (&dyn Step, State)| Planned {
            id: step.id().to_string(),
            step: step.title(),
            state: Condition::from(&state),
            why: state.why(),
        };
        Self {
            steps: states.into_iter().map(planned).collect(),
        }
    }
}

/// One step of a preview. The run applies all steps that are not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The id of the step, which stays when the title changes.
    pub id: String,
    /// The title of the step.
    pub step: String,
    /// The current state.
    pub state: Condition,
    /// The difference, if the state is `drifted`.
    pub why: Option<String>,
}

/// The report of `down`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The name of the cluster.
    pub cluster: String,
    /// Whether `down` removed something.
    pub changed: bool,
    /// The engine's objects that stay, such as the volume of a registry with `keep_data`.
    pub kept: Vec<String>,
}

/// The report of `down --dry-run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removals {
    /// The name of the cluster.
    pub cluster: String,
    /// The objects in the engine that `down` removes, such as `container kindreg-c`.
    pub removes: Vec<String>,
}

/// The report of `login`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoggedIn {
    /// The name of the cluster.
    pub cluster: String,
    /// Whether the passwords were rotated.
    pub rotated: bool,
    /// The logins, one for each registry domain.
    pub logins: Vec<Login>,
    /// The external registries that need a password; their logins are left unchanged.
    pub externals: Vec<String>,
    /// The name or address of the engine's host, which has the registries' `localhost:port`; none if that is this machine.
    #[serde(rename = "engineHost")]
    pub engine_host: Option<String>,
}

/// One docker login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Login {
    /// The domain of the registry (`host:port`).
    pub domain: String,
    /// The user name.
    pub user: String,
    /// The place where docker keeps the password: a file or a credential helper.
    pub place: String,
}

/// The report of `logout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoggedOut {
    /// The name of the cluster.
    pub cluster: String,
    /// The domains that docker was logged out of (`host:port`).
    pub logouts: Vec<String>,
}

/// The report of `secret`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MadeSecrets {
    /// The name of the cluster.
    pub cluster: String,
    /// The name of the Secret.
    pub secret: String,
    /// The namespaces that have the Secret.
    pub namespaces: Vec<String>,
    /// The service accounts whose pods pull with the Secret.
    pub service_accounts: Vec<String>,
}

/// The report of `render`: every text that `up` would send anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rendered {
    /// The name of the cluster.
    pub cluster: String,
    /// The texts, in the order in which `up` sends them.
    pub texts: Vec<Text>,
}

/// One text with its destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// The name of the text.
    pub name: String,
    /// The destination of the text.
    pub to: String,
    /// The text.
    pub text: String,
}
