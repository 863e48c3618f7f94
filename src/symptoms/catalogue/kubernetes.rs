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
