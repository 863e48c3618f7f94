//! What kind and the Kubernetes API say.

use crate::symptoms::words::Words;
use crate::symptoms::{Code, Meaning, Symptom, Waiting};

/// There is no such namespace.
pub static NO_NAMESPACE: Symptom = Symptom {
    code: Code(3001),
    words: Words::any(&["namespaces \""]).and(&["not found"]),
    meaning: Meaning::NoNamespace,
    waiting: Waiting::Useless,
    cause: "the namespace does not exist",
    fix: "make it first: kubectl create namespace NAMESPACE",
    source: "https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/",
};

/// The API server has not read its administrator's role yet. Quotas and policies forbid in other words.
pub static NOT_YET_ALLOWED: Symptom = Symptom {
    code: Code(3002),
    words: Words::any(&["is forbidden: User \""]),
    meaning: Meaning::NotYetAllowed,
    waiting: Waiting::Helps,
    cause: "the API server does not know yet that this user may do it, or the user may not",
    fix: "give the API server time with --timeout",
    source: "https://github.com/kubernetes/apiserver/blob/master/pkg/endpoints/handlers/responsewriters/errors.go",
};

/// kind looks for a free port by listening on the client's machine, at an address that another machine has.
pub static NO_PORT_HERE: Symptom = Symptom {
    code: Code(3003),
    words: Words::any(&["failed to get random host port"])
        .and(&["cannot assign requested address"]),
    meaning: Meaning::NoPortHere,
    waiting: Waiting::Useless,
    cause: "this machine does not have the address at which kind looks for a free port",
    fix: "set the port too in your kind configuration: apiServerPort beside apiServerAddress, hostPort beside \
          listenAddress",
    source: "https://github.com/kubernetes-sigs/kind/blob/v0.33.0/pkg/cluster/internal/providers/common/getport.go",
};
