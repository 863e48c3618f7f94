//! What `--json` shows: data, not text. Part of the program's interface: keys are added, never renamed or removed;
//! README.md has an example of each, and a test holds both to the same keys.
//!
//! Nothing here decides what is right: steps do.

use serde::Serialize;

use crate::spec::{Authentication, Backend, External, Registry};
use crate::step::State;

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// As it was asked for.
    Ready,
    /// There, and different.
    Drifted,
    /// Not there.
    Missing,
}

impl Condition {
    /// A line for people: what is so, and why.
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

/// How a cluster with its registries is: `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of the program that looked.
    pub version: &'static str,
    /// Name of the cluster.
    pub cluster: String,
    /// Its context in the kubeconfig.
    pub context: String,
    /// The worst of all parts.
    pub state: Condition,
    /// Every part, in the order of the plan.
    pub parts: Vec<Part>,
    /// The registries that are there.
    pub registries: Vec<RegistryReport>,
    /// The nodes that are asked for, and those that somebody joined.
    pub nodes: Vec<NodeReport>,
}

/// How one part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its identity, which stays when its name changes.
    pub id: String,
    /// What it is.
    pub part: String,
    /// How it is.
    pub state: Condition,
    /// What is different.
    pub why: Option<String>,
}

/// How one registry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryReport {
    /// Its name.
    pub name: String,
    /// What serves it: `distribution`, or `external` where somebody else runs it.
    pub backend: &'static str,
    /// The name that images give it.
    pub domain: String,
    /// The name by which the engine's host reaches it; none where somebody else runs it.
    pub local: Option<String>,
    /// All names that images may give it, both of these included.
    pub endpoints: Vec<String>,
    /// When its certificate ends, as RFC 3339; none while it has no whole one. Where somebody else runs it, when the CA
    /// ends that nodes trust for it; none where that is a public one.
    pub expires: Option<String>,
    /// Whole days until then; below zero once it has ended.
    pub days_left: Option<i64>,
}

/// How one node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeReport {
    /// Its container's name.
    pub name: String,
    /// Whether its container runs.
    pub running: bool,
    /// How its trust in the registries is; none where a registry shows nothing to trust.
    pub trust: Option<Condition>,
    /// Registries that it was proven with, as they are now.
    pub proven: Vec<String>,
    /// All that is not as it should be, in words.
    pub differs: Vec<String>,
}

/// One cluster: `list` shows an array of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Name of the cluster.
    pub cluster: String,
    /// The registries, as images name them.
    pub registries: Vec<String>,
    /// How many nodes were asked for or have joined.
    pub nodes: usize,
    /// How many of them run.
    pub running: usize,
    /// Why nothing more is known of it, where its record can't be read.
    pub problem: Option<String>,
}

/// What a proof came to: `verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Name of the cluster.
    pub cluster: String,
    /// The registries that were proven, as images name them.
    pub registries: Vec<String>,
    /// Each node with each of them.
    pub nodes: Vec<NodeVerification>,
    /// What is known of the engine's host.
    pub host: Pull,
}

/// What the proof of one node with one registry came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeVerification {
    /// The node's name.
    pub node: String,
    /// The registry, as images name it.
    pub registry: String,
    /// What its pull came to.
    pub pull: Pull,
    /// Why it could not, in the node's own words.
    pub why: Option<String>,
    /// What its pull came to without the CA.
    pub without_ca: WithoutCa,
}

/// What a pull came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Pull {
    /// It went over verified TLS.
    #[serde(rename = "proven")]
    Proven,
    /// The registry answered over verified TLS, and nothing was pulled: somebody else runs it, and no image is named.
    #[serde(rename = "answered")]
    Answered,
    /// It failed.
    #[serde(rename = "refused")]
    Refused,
    /// Nothing is known: of nodes, as there was no image to pull; of the engine's host, as Docker does not verify what
    /// it reaches over loopback.
    #[serde(rename = "not proven")]
    NotProven,
}

/// What a pull came to that must not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum WithoutCa {
    /// The node refused the registry, as it has to.
    #[serde(rename = "refused")]
    Refused,
    /// It did not refuse it for want of a CA.
    #[serde(rename = "not refused")]
    NotRefused,
    /// It was not asked for.
    #[serde(rename = "not tried")]
    NotTried,
}

/// What a run came to: `up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Name of the cluster.
    pub cluster: String,
    /// Its context in the kubeconfig.
    pub context: String,
    /// How many nodes it has.
    pub nodes: usize,
    /// Whether there was something to do.
    pub changed: bool,
    /// The registries.
    pub registries: Vec<Endpoint>,
    /// Name of the registry that the cluster announces, to which images are pushed; none where there is no such.
    pub announced: Option<String>,
    /// What is proven.
    pub proof: Proof,
}

/// Where a registry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// What serves it.
    pub backend: &'static str,
    /// The name that images give it.
    pub domain: String,
    /// The name by which the engine's host reaches it; none where somebody else runs it.
    pub local: Option<String>,
    /// Whether it asks for a password.
    pub authenticated: bool,
    /// What a proof of it comes to.
    #[serde(skip)]
    pub proof: Pull,
}

impl From<&Registry> for Endpoint {
    fn from(registry: &Registry) -> Self {
        Self {
            name: registry.name.to_string(),
            backend: registry.backend.name(),
            domain: registry.domain(),
            local: registry.local_domain(),
            authenticated: registry.authentication() != Authentication::Anonymous,
            proof: Pull::of(registry),
        }
    }
}

impl Pull {
    /// Returns what a successful proof of a registry shows.
    pub(crate) const fn of(registry: &Registry) -> Self {
        match &registry.backend {
            Backend::External(External { proof: None, .. }) => Self::Answered,
            Backend::External(External { proof: Some(_), .. }) | Backend::Distribution(_) => {
                Self::Proven
            }
        }
    }
}

/// What a run proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Pulls by every node.
    pub nodes: Pull,
    /// Pushes by the engine's host.
    pub host: Pull,
}

/// What a run would do: `up --dry-run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Every step, in the order of the plan.
    pub steps: Vec<Planned>,
}

/// One step of a preview; all but those that are ready would be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Its identity, which stays when its title changes.
    pub id: String,
    /// What it makes.
    pub step: String,
    /// How that is now.
    pub state: Condition,
    /// What is different.
    pub why: Option<String>,
}

/// What a run removed: `down`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Name of the cluster.
    pub cluster: String,
    /// Whether there was something to do.
    pub changed: bool,
    /// The engine's objects that stay, such as the volume of a registry with `keep_data`.
    pub kept: Vec<String>,
}

/// What a run would remove: `down --dry-run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removals {
    /// Name of the cluster.
    pub cluster: String,
    /// The engine's objects, such as `container kindreg-c`.
    pub removes: Vec<String>,
}

/// What a run logged docker in to: `login`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoggedIn {
    /// Name of the cluster.
    pub cluster: String,
    /// Whether the passwords are new.
    pub rotated: bool,
    /// Each name that docker is logged in to.
    pub logins: Vec<Login>,
    /// External registries that ask for a password, which keep their own logins.
    pub externals: Vec<String>,
}

/// One login of docker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Login {
    /// The registry, as images name it.
    pub domain: String,
    /// The user.
    pub user: String,
    /// Where docker keeps the password: a file, or a credential helper.
    pub place: String,
}

/// What a run logged docker out of: `logout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoggedOut {
    /// Name of the cluster.
    pub cluster: String,
    /// The registries, as images name them.
    pub logouts: Vec<String>,
}

/// The imagePullSecrets of a run: `secret`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MadeSecrets {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the secret.
    pub secret: String,
    /// The namespaces that have it.
    pub namespaces: Vec<String>,
    /// The service accounts whose pods pull with it.
    pub service_accounts: Vec<String>,
}

/// Every text that `up` would send anywhere: `render`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rendered {
    /// Name of the cluster.
    pub cluster: String,
    /// The texts, in the order in which `up` sends them.
    pub texts: Vec<Text>,
}

/// One text, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// What it is called.
    pub name: String,
    /// Where it goes.
    pub to: String,
    /// The text.
    pub text: String,
}
