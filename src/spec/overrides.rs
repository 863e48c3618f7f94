//! The settings from flags and environment variables, which override `kindreg.toml`. Pure.

use std::str::FromStr;

use super::mistake::{Given, Mistake, Source};
use super::request::{BackendRequest, DistributionRequest, PortRequest, RegistryRequest, Request};
use super::{Auth, Data, Host, HostTrust, ImageRef, Invalid};

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
    pub auth: Option<Given<Auth>>,
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
        set(&mut request.host_trust, self.host_trust.clone());
        let registry = RegistryOverrides {
            host: parsed(self.host.as_ref(), mistakes),
            port: parsed(self.port.as_ref(), mistakes),
            names: Vec::new(),
            image: parsed(self.registry_image.as_ref(), mistakes),
            data: None,
            auth: self.auth.clone(),
        };
        registry.apply(&mut request.registries, mistakes);
    }
}

/// Values of the only registry that kindreg runs, which override those of a file or of the record.
pub(super) struct RegistryOverrides {
    host: Option<Given<Host>>,
    port: Option<Given<PortRequest>>,
    names: Vec<Given<Host>>,
    image: Option<Given<ImageRef>>,
    data: Option<Given<Data>>,
    /// It is for all registries that kindreg runs.
    auth: Option<Given<Auth>>,
}

impl RegistryOverrides {
    /// Returns the values that the user set in a registry that no file lists.
    pub(super) fn of(unlisted: RegistryRequest) -> Self {
        let RegistryRequest {
            name: _,
            host,
            port,
            names,
            backend,
        } = unlisted;
        let (image, data, auth) = match backend {
            BackendRequest::Distribution(settings) => {
                let DistributionRequest {
                    image,
                    data,
                    auth,
                    // Only a file can have set them, and it would list the registry.
                    certificate: _,
                    mirror: _,
                } = settings;
                (given(image), given(data), given(auth))
            }
            BackendRequest::External(_) => (None, None, None),
        };
        Self {
            host: given(host),
            port: given(port),
            names,
            image,
            data,
            auth,
        }
    }

    /// Applies them to the registries, and adds a mistake for each that could be meant for several of them, or for none.
    pub(super) fn apply(self, registries: &mut [RegistryRequest], mistakes: &mut Vec<Mistake>) {
        let Self {
            host,
            port,
            names,
            image,
            data,
            auth,
        } = self;
        let mut managed: Vec<Managed<'_>> = registries.iter_mut().filter_map(Managed::of).collect();
        for one in &mut managed {
            set(&mut one.settings.auth, auth.clone());
        }
        if let [one] = managed.as_mut_slice() {
            set(one.host, host);
            set(one.port, port);
            if !names.is_empty() {
                *one.names = names;
            }
            set(&mut one.settings.image, image);
            set(&mut one.settings.data, data);
            return;
        }
        let mut of_one: Vec<Source> = Vec::new();
        of_one.extend(host.map(|it| it.from));
        of_one.extend(port.map(|it| it.from));
        of_one.extend(names.into_iter().next().map(|it| it.from));
        of_one.extend(data.map(|it| it.from));
        if managed.is_empty() {
            // The registry image is no mistake: its variable may be set for all clusters of a machine.
            for from in of_one {
                let what = "there is no registry that kindreg runs";
                let advice = "set it for an external registry in kindreg.toml";
                mistakes.push(Mistake::new(&from, what).advise(advice));
            }
            return;
        }
        of_one.extend(image.map(|it| it.from));
        let several: Vec<&str> = managed.iter().map(|one| one.name.as_str()).collect();
        let several = several.join(", ");
        for from in of_one {
            let what = format!("ambiguous: there are several registries ({several})");
            mistakes.push(Mistake::new(&from, what).advise("set it in kindreg.toml"));
        }
    }
}

/// The settings of a registry that kindreg runs.
struct Managed<'a> {
    name: String,
    host: &'a mut Given<Host>,
    port: &'a mut Given<PortRequest>,
    names: &'a mut Vec<Given<Host>>,
    settings: &'a mut DistributionRequest,
}

impl<'a> Managed<'a> {
    fn of(request: &'a mut RegistryRequest) -> Option<Self> {
        match &mut request.backend {
            BackendRequest::Distribution(settings) => Some(Self {
                name: request.name.value.to_string(),
                host: &mut request.host,
                port: &mut request.port,
                names: &mut request.names,
                settings,
            }),
            BackendRequest::External(_) => None,
        }
    }
}

/// Returns the value if the user set it.
fn given<T>(value: Given<T>) -> Option<Given<T>> {
    value.is_given().then_some(value)
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
