//! What containerd and kubelet say in a node.

use crate::symptoms::words::Words;
use crate::symptoms::{Code, Meaning, Symptom, Waiting};

/// The certificate is not by a CA that the node trusts for it, or not for this name, or not for today.
pub static UNTRUSTED: Symptom = Symptom {
    code: Code(1001),
    words: Words::any(&["x509:"]),
    meaning: Meaning::Untrusted,
    waiting: Waiting::Useless,
    cause: "the registry's certificate is not by a CA that is trusted for it, or not valid for this name or time",
    fix: "give its CA to the nodes: kindreg up --name CLUSTER",
    source: "https://github.com/kubernetes-sigs/kind/issues/3884",
};

/// What a node without the registry's CA says; of all that [`UNTRUSTED`] covers, nothing else proves that it verified:
/// <https://go.dev/src/crypto/x509/verify.go> (`UnknownAuthorityError`).
pub const UNKNOWN_AUTHORITY: &str = "x509: certificate signed by unknown authority";

/// hosts.toml names a CA file that can't be read.
pub static CA_UNREADABLE: Symptom = Symptom {
    code: Code(1002),
    words: Words::any(&["CA cert"]),
    meaning: Meaning::Untrusted,
    waiting: Waiting::Useless,
    cause: "hosts.toml names a CA file that the node does not have or can't read",
    fix: "write the node's files again: kindreg up --name CLUSTER",
    source: "https://github.com/containerd/containerd/blob/main/core/remotes/docker/config/hosts.go",
};

/// The registry speaks plain HTTP.
pub static PLAIN_HTTP: Symptom = Symptom {
    code: Code(1003),
    words: Words::any(&["HTTP response to HTTPS client"]),
    meaning: Meaning::PlainHttp,
    waiting: Waiting::Useless,
    cause: "the registry speaks plain HTTP at this port",
    fix: "use the port where it speaks TLS, or switch TLS on",
    source: "https://github.com/containerd/containerd/issues/4938",
};

/// The name has no address there.
pub static NO_SUCH_HOST: Symptom = Symptom {
    code: Code(1004),
    words: Words::any(&["no such host"]),
    meaning: Meaning::Unreached,
    waiting: Waiting::Helps,
    cause: "the registry's name has no address there",
    fix: "connect the registry again: kindreg up --name CLUSTER",
    source: "https://github.com/golang/go/blob/master/src/net/net.go",
};

/// The address answers, and nothing listens at the port.
pub static CONNECTION_REFUSED: Symptom = Symptom {
    code: Code(1005),
    words: Words::any(&["connection refused"]),
    meaning: Meaning::Unreached,
    waiting: Waiting::Helps,
    cause: "nothing listens at the registry's address and port",
    fix: "start the registry again: kindreg up --name CLUSTER",
    source: "https://kind.sigs.k8s.io/docs/user/local-registry/",
};

/// There is no way to the address.
pub static NO_ROUTE: Symptom = Symptom {
    code: Code(1006),
    words: Words::any(&["no route to host"]),
    meaning: Meaning::Unreached,
    waiting: Waiting::Helps,
    cause: "the network has no way to the registry's address",
    fix: "see whether the address is still the registry's: docker network inspect NETWORK",
    source: "https://github.com/kubernetes-sigs/kind/issues/2045",
};

/// Nothing answers at the address.
pub static TIMED_OUT: Symptom = Symptom {
    code: Code(1007),
    words: Words::any(&["i/o timeout"]),
    meaning: Meaning::Unreached,
    waiting: Waiting::Helps,
    cause: "nothing answers at the registry's address, or a firewall drops the packets",
    fix: "ask it from a node: docker exec CLUSTER-control-plane curl -skI https://HOST/v2/",
    source: "https://github.com/kubernetes-sigs/kind/issues/3071",
};

/// The image is on the node, and its container does not start; kubelet's reasons.
pub static NOT_STARTED: Symptom = Symptom {
    code: Code(1008),
    words: Words::any(&[
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "StartError",
        "CrashLoopBackOff",
    ]),
    meaning: Meaning::NotStarted,
    waiting: Waiting::Helps,
    cause: "the image was pulled, and its container does not start",
    fix: "see why: kubectl describe pod POD",
    source: "https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/kuberuntime_container.go",
};

/// Something does not exist, in the most general words.
pub static NOT_FOUND: Symptom = Symptom {
    code: Code(1009),
    words: Words::any(&["not found"]),
    meaning: Meaning::NotFound,
    waiting: Waiting::Helps,
    cause: "what was asked for does not exist",
    fix: "check the name",
    source: "https://github.com/containerd/errdefs/blob/main/errors.go",
};
