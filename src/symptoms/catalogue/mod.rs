//! The symptoms, in the order in which a text is compared with them.

pub mod engine;
pub mod kubernetes;
pub mod machine;
pub mod node;
pub mod registry;

#[cfg(test)]
mod tests;

use super::Symptom;

/// Every symptom, the most specific one first; the first whose words are in a text is what the text is about.
///
/// A full disk comes first, as it explains all else. Token servers come before certificates, as both appear in one text
/// and the token server is what to look at; certificates come before credentials, as no credentials are sent before TLS
/// is verified. Common words ("already exists", "not found") come last.
pub static ALL: [&Symptom; 41] = [
    &machine::FULL_DISK,
    &registry::TOKEN_SERVER_UNTRUSTED,
    &registry::TOKEN_SERVER_DOWN,
    &registry::NO_TOKEN_SERVER,
    &registry::NO_ANONYMOUS_TOKEN,
    &node::UNTRUSTED,
    &registry::HELPER_MISSING,
    &registry::INVALID_REALM,
    &registry::FORBIDDEN,
    &registry::NO_CREDENTIALS,
    &registry::NO_CREDENTIALS_IN_ORAS,
    &registry::WRONG_CREDENTIALS,
    &node::CA_UNREADABLE,
    &node::PLAIN_HTTP,
    &registry::ACCESS_DENIED,
    &node::NO_SUCH_HOST,
    &node::CONNECTION_REFUSED,
    &node::NO_ROUTE,
    &node::TIMED_OUT,
    &machine::NOTHING_STORED,
    &machine::MOUNTED_FILE,
    &kubernetes::NOT_YET_ALLOWED,
    &kubernetes::NO_NAMESPACE,
    &kubernetes::NO_PORT_HERE,
    &registry::ABSENT,
    &node::NOT_STARTED,
    &engine::PORT_TAKEN,
    &engine::ENGINE_UNTRUSTED,
    &engine::ENGINE_OTHER_NAME,
    &engine::CLIENT_EXPIRED,
    &engine::CLIENT_REFUSED,
    &engine::ENGINE_WANTS_TLS,
    &engine::NETWORK_IN_USE,
    &engine::CONNECTED,
    &engine::BEING_REMOVED,
    &engine::POOL_OVERLAPS,
    &engine::NO_ADDRESS_RANGE,
    &engine::NO_IPV6,
    &engine::NAME_TAKEN,
    &engine::NOT_RUNNING,
    &node::NOT_FOUND,
];
