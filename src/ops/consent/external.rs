//! What settings ask of a registry that somebody else runs: trust, an address, further names and the user's credentials.

use super::{Change, Question};
use crate::spec::{
    Address, Authorities, Backend, External, ExternalLogin, Host, HostTrust, Registry,
};

/// Returns the question about one registry; `None` if kindreg runs it, or if nothing in it needs consent.
pub(super) fn question(change: Change<'_>, registry: &Registry) -> Option<Question> {
    let choice = Choice::of(registry)?;
    let is_same = change.old(registry).and_then(Choice::of) == Some(choice);
    let is_harmless = if change.found() {
        choice.is_nothing()
    } else {
        choice.is_as_docker_does()
    };
    let is_new = change.is_newly_trusted(registry) || !(is_same || is_harmless);
    is_new.then(|| {
        Question::new(format!(
            "for the external registry {}, {}",
            registry.domain(),
            choice.handed(registry, change.spec.host_trust)
        ))
    })
}

/// The settings of an external registry that need consent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice<'a> {
    address: Option<Address>,
    ca: Option<&'a Authorities>,
    login: &'a ExternalLogin,
    names: &'a [Host],
}

impl<'a> Choice<'a> {
    pub(super) fn of(registry: &'a Registry) -> Option<Self> {
        match &registry.backend {
            Backend::Distribution(_) => None,
            Backend::External(External {
                address, ca, login, ..
            }) => Some(Self {
                address: *address,
                ca: ca.as_ref(),
                login,
                names: &registry.names,
            }),
        }
    }

    /// Returns whether docker would do the same: a public CA, an address by DNS, and docker's own login.
    const fn is_as_docker_does(self) -> bool {
        let login = match self.login {
            ExternalLogin::Anonymous | ExternalLogin::Docker => true,
            ExternalLogin::Variables(_) => false,
        };
        login && self.address.is_none() && self.ca.is_none()
    }

    /// Returns whether nodes would do the same without any setting.
    fn is_nothing(self) -> bool {
        self.is_as_docker_does() && *self.login == ExternalLogin::Anonymous && self.names.is_empty()
    }

    /// Returns what nodes and the host will do, in words.
    fn handed(self, registry: &Registry, host_trust: HostTrust) -> String {
        let mut parts = Vec::new();
        if self.ca.is_some() {
            let host = match host_trust {
                HostTrust::Install => " and the engine's host",
                HostTrust::Leave => "",
            };
            parts.push(format!("nodes{host} will trust the CA in kindreg.toml"));
        }
        if let Some(address) = self.address {
            parts.push(format!("nodes will connect to {address}"));
        }
        if !self.names.is_empty() {
            let names = self.names.iter().map(|name| registry.domain_of(name));
            let names: Vec<String> = names.collect();
            parts.push(format!(
                "nodes will pull images of {} from it",
                names.join(" and ")
            ));
        }
        match self.login {
            ExternalLogin::Anonymous => {}
            ExternalLogin::Docker => parts.push("nodes will send it your docker login".to_owned()),
            ExternalLogin::Variables(names) => parts.push(format!(
                "nodes will send it ${} and ${}",
                names.username, names.password
            )),
        }
        match parts.as_slice() {
            [all @ .., last] if !all.is_empty() => format!("{}, and {last}", all.join(", ")),
            all => all.concat(),
        }
    }
}
