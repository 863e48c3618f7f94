//! What error texts mean: one catalogue, and the one matcher that everybody asks. Pure.
//!
//! Engines, nodes, registries and Kubernetes tell most failures in prose only. Whoever has to decide on such a text asks
//! here, so that a word that changes upstream is mended in one place.
//!
//! Every [`Symptom`] has a [`Code`]; its first digit says who tells it ([`Origin`]):
//!
//! | codes    | told by                              |
//! |----------|--------------------------------------|
//! | `KR0xxx` | the Docker engine                    |
//! | `KR1xxx` | a node: containerd, kubelet          |
//! | `KR2xxx` | a registry, or about credentials     |
//! | `KR3xxx` | kind and Kubernetes                  |
//! | `KR4xxx` | this machine: its disk and its files |
//!
//! A code never changes its meaning once it is given: users search for it and scripts compare it. A symptom that is
//! removed takes its number along; a new one gets a new number.

use std::fmt;

pub mod catalogue;
mod clock;
pub mod credentials;
mod matcher;
mod words;

pub use clock::wrong_clock;
pub use matcher::{find, find_in_pull, shows};

use credentials::Trouble;
use words::Words;

/// The stable name of a symptom, shown as `KR2008`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl Code {
    /// Returns who tells symptoms with such a code.
    #[must_use]
    pub const fn origin(self) -> Origin {
        match self.0 / 1000 {
            0 => Origin::Engine,
            1 => Origin::Node,
            2 => Origin::Registry,
            3 => Origin::Kubernetes,
            _ => Origin::Machine,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KR{:04}", self.0)
    }
}

/// Who tells a symptom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The Docker engine.
    Engine,
    /// containerd or kubelet in a node.
    Node,
    /// A registry, its token server, or a client about its credentials.
    Registry,
    /// kind, or the Kubernetes API.
    Kubernetes,
    /// The machine that kindreg, the engine or a node runs on.
    Machine,
}

/// What a text means to whoever has to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The disk is full.
    FullDisk,
    /// The certificate of the other side is not trusted.
    Untrusted,
    /// The registry speaks HTTP where HTTPS was expected.
    PlainHttp,
    /// Something is wrong with credentials.
    Credentials(Trouble),
    /// The registry refuses without saying whether the image exists.
    Denied,
    /// The registry says that it has no such image.
    Absent,
    /// Nothing answers at the address, or the name has none.
    Unreached,
    /// The image is on the node, and its container does not start.
    NotStarted,
    /// Something, not necessarily an image, does not exist.
    NotFound,
    /// The host port is in use.
    PortTaken,
    /// The name is in use.
    NameTaken,
    /// The container is on that network already.
    Connected,
    /// The container is being removed by someone else.
    BeingRemoved,
    /// The container is not running.
    NotRunning,
    /// The engine's certificate or the client's is not what the other side wants.
    EngineTls,
    /// A container is still connected to the network.
    NetworkInUse,
    /// The engine has no address range for another network.
    NoAddressRange,
    /// The engine's host has no IPv6.
    NoIpv6,
    /// There is no such namespace.
    NoNamespace,
    /// The API server does not know its administrator's role yet.
    NotYetAllowed,
    /// kind looks for a free port at an address that this machine does not have.
    NoPortHere,
    /// The file is a mount, or on a read-only one, and can't be replaced.
    MountedFile,
    /// The credential helper has nothing for that server.
    NothingStored,
}

/// Whether waiting can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// What is under way already may mend it: a server that starts, a push, a clean-up.
    Helps,
    /// Somebody has to change something first.
    Useless,
}

/// One thing that goes wrong, with the words by which it is known.
#[derive(Debug, Clone, Copy)]
pub struct Symptom {
    /// Its stable name.
    pub code: Code,
    words: Words,
    /// What it means to whoever has to decide.
    pub meaning: Meaning,
    /// Whether waiting can mend it.
    pub waiting: Waiting,
    /// Why it happens, in one sentence fragment.
    pub cause: &'static str,
    /// What to do, with `CLUSTER` for the cluster's name.
    pub fix: &'static str,
    /// Where the words or the cause are documented.
    pub source: &'static str,
}
