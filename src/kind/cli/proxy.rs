//! The user's HTTP proxy, which kind hands to every node.
//! <https://kind.sigs.k8s.io/docs/user/quick-start/#configure-kind-to-use-a-proxy>

/// Whether the user's environment has an HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// It has none.
    None,
    /// It has one.
    Used {
        /// The hosts that are reached without it, as in `NO_PROXY`.
        exempt: String,
    },
}

impl Proxy {
    /// Reads the variables that kind reads, in its order.
    #[must_use]
    pub fn of(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str| variable(name).or_else(|| variable(&name.to_lowercase()));
        if read("HTTP_PROXY").is_none() && read("HTTPS_PROXY").is_none() {
            return Self::None;
        }
        let exempt = read("NO_PROXY").unwrap_or_default();
        Self::Used { exempt }
    }

    /// Returns the variables that exempt these hosts too. Without them a proxy would be asked for a registry whose name it
    /// does not know, or would answer with a certificate of its own.
    pub(super) fn exemptions(&self, hosts: &[String]) -> Vec<(&'static str, String)> {
        let Self::Used { exempt } = self else {
            return Vec::new();
        };
        let all = std::iter::once(exempt).filter(|exempt| !exempt.is_empty());
        let all: Vec<&str> = all.chain(hosts).map(String::as_str).collect();
        let all = all.join(",");
        vec![("NO_PROXY", all.clone()), ("no_proxy", all)]
    }
}
