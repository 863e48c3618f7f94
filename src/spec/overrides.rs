//! The settings from flags and environment variables, which override `kindreg.toml`. Pure.

use std::str::FromStr;

use super::mistake::{Given, Mistake, Source};
use super::request::{BackendRequest, DistributionRequest, RegistryRequest, Request};
use super::{Auth, HostTrust, Invalid};

/// Values that override those of the file. They are text with its source, so that mistakes in them are reported
/// together with those in the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Number of worker nodes.
    pub workers: Option<Given<String>>,
    /// Canonical host name of the only registry that kindreg runs.
    pub host: Option<Given<String>>,
    /// Its port, or `auto`.
    pub port: Option<Given<String>>,
    /// Image of the nodes.
    pub node_image: Option<Given<String>>,
    /// Image of the registry.
    pub registry_image: Option<Given<String>>,
    /// Whether the engine's host trusts the registries.
    pub host_trust: Option<Given<HostTrust>>,
    /// Who may use the registries that kindreg runs.
    pub auth: Option<Auth>,
}

impl Given<String> {
    /// Returns the parsed value; if it is invalid, adds a mistake and returns `None`.
    pub fn parsed<T: FromStr<Err = Invalid>>(
        &self,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Given<T>> {
        match self.value.parse() {
            Ok(value) => Some(Given::new(value, self.from.clone())),
            Err(invalid) => {
                mistakes.push(Mistake::new(&self.from, invalid.to_string()));
                None
            }
        }
    }
}

impl Overrides {
    /// Applies them to a request, and adds every mistake in them.
    pub fn apply(&self, request: &mut Request, mistakes: &mut Vec<Mistake>) {
        set(
            &mut request.workers,
            parsed(self.workers.as_ref(), mistakes),
        );
        set(
            &mut request.node_image,
            parsed(self.node_image.as_ref(), mistakes),
        );
        if let Some(trust) = &self.host_trust {
            request.host_trust = trust.clone();
        }
        let host = parsed(self.host.as_ref(), mistakes);
        let port = parsed(self.port.as_ref(), mistakes);
        let image = parsed(self.registry_image.as_ref(), mistakes);
        let registries = request.registries.iter_mut();
        let mut managed: Vec<Managed<'_>> = registries.filter_map(Managed::of).collect();
        if let Some(auth) = self.auth {
            for one in &mut managed {
                one.settings.auth = auth;
            }
        }
        if let [one] = managed.as_mut_slice() {
            set(one.host, host);
            set(one.port, port);
            set(&mut one.settings.image, image);
            return;
        }
        let (host, port) = (host.map(|it| it.from), port.map(|it| it.from));
        if managed.is_empty() {
            // The registry image is no mistake: its variable may be set for all clusters of a machine.
            for from in [host, port].into_iter().flatten() {
                let what = "there is no registry that kindreg runs";
                let advice = "set it for an external registry in kindreg.toml";
                mistakes.push(Mistake::new(&from, what).advise(advice));
            }
            return;
        }
        let names: Vec<&str> = managed.iter().map(|one| one.name.as_str()).collect();
        let names = names.join(", ");
        for from in [host, port, image.map(|it| it.from)].into_iter().flatten() {
            let what = format!("ambiguous: there are several registries ({names})");
            mistakes.push(Mistake::new(&from, what).advise("set it in kindreg.toml"));
        }
    }
}

/// The settings of a registry that kindreg runs.
struct Managed<'a> {
    name: String,
    host: &'a mut Given<super::Host>,
    port: &'a mut Given<super::request::PortRequest>,
    settings: &'a mut DistributionRequest,
}

impl<'a> Managed<'a> {
    fn of(request: &'a mut RegistryRequest) -> Option<Self> {
        match &mut request.backend {
            BackendRequest::Distribution(settings) => Some(Self {
                name: request.name.value.to_string(),
                host: &mut request.host,
                port: &mut request.port,
                settings,
            }),
            BackendRequest::External(_) => None,
        }
    }
}

fn parsed<T: FromStr<Err = Invalid>>(
    text: Option<&Given<String>>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Given<T>> {
    text?.parsed(mistakes)
}

fn set<T>(field: &mut Given<T>, given: Option<Given<T>>) {
    if let Some(given) = given {
        *field = given;
    }
}

/// Returns the source of a value that clap took from `flag` or from its environment variable. clap does not tell which,
/// so it is the variable if that has the value `text`.
#[must_use]
pub fn flag_or_variable(
    flag: &str,
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Source {
    let name = flag.trim_start_matches('-').replace('-', "_");
    let name = format!("KINDREG_{}", name.to_uppercase());
    let by_variable = variable(&name).is_some_and(|value| value == text);
    Source::Flag(if by_variable { name } else { flag.to_owned() })
}
