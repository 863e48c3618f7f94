//! Puts a request over the recorded Spec of its cluster: what nobody sets now keeps its value. Pure.
//!
//! The layers, from the highest to the lowest: flag, `KINDREG_*` variable, `kindreg.toml`, record, default. Two kinds of
//! settings follow from the file alone where it lists registries, as nothing but a file can have set them, and whoever
//! removes them from it means that: which registries there are, and of each its back end, names, `keep_data`, `tls`, what
//! it mirrors, and every setting of an external one.

use super::mistake::{Given, Mistake, Source};
use super::overrides::RegistryOverrides;
use super::request::{
    BackendRequest, CertificateRequest, DistributionRequest, MirrorRequest, PortRequest,
    RegistryRequest, Request, SettingsFile,
};
use super::{
    Auth, Backend, Distribution, HostTrust, ImageRef, MirrorOf, Registry, Serves, Spec, Target,
};

impl Request {
    /// Returns the request with this node image, unless the user set one.
    #[must_use]
    pub fn with_default_node_image(mut self, image: &ImageRef) -> Self {
        if !self.node_image.is_given() {
            self.node_image = Given::new(image.clone(), Source::Default);
        }
        self
    }

    /// Returns the request with every value that the user does not set now taken from the record.
    ///
    /// # Errors
    /// Every conflict between what the user sets now and what the record has.
    pub fn over(self, record: &Spec) -> Result<Self, Vec<Mistake>> {
        let mut request = self;
        if let SettingsFile::OfAnother { without } = &request.file {
            request = Self {
                file: request.file.clone(),
                ..*without.clone()
            };
        }
        let Target::Owned(owned) = &record.target;
        request.workers.keep(owned.workers);
        request.control_planes.keep(owned.control_planes);
        request.node_image.keep(owned.node_image.clone());
        request.host_trust.keep(record.host_trust);
        if request.kind_config.is_none() {
            request.kind_config = owned.kind_config.as_ref().map(kept);
        }
        let mut mistakes = Vec::new();
        request.registries = match request.registries.as_slice() {
            [one] if one.is_unlisted() => one.clone().over_all(&record.registries, &mut mistakes),
            listed => {
                let listed = listed.iter().cloned();
                listed.map(|asked| asked.over(&record.registries)).collect()
            }
        };
        mistakes.extend(request.mistakes());
        if mistakes.is_empty() {
            Ok(request)
        } else {
            Err(mistakes)
        }
    }

    /// Returns the values that the record has, nobody sets now, and are not the defaults, each with its setting's name:
    /// `port 5901`.
    #[must_use]
    pub fn kept(&self) -> Vec<String> {
        let mut all = Kept::default();
        all.add("workers", &self.workers, |it| it.number().to_string());
        all.add("control_planes", &self.control_planes, |it| {
            it.number().to_string()
        });
        if !self.node_image.value.is_default_of_kind() {
            all.add_always("image", &self.node_image);
        }
        all.add("host_trust", &self.host_trust, |it| {
            (*it == HostTrust::Install).to_string()
        });
        if self.kind_config.as_ref().is_some_and(Given::is_kept) {
            all.0.push("kind_config".to_owned());
        }
        for registry in &self.registries {
            let default = RegistryRequest::named(registry.name.clone());
            if registry.host.value != default.host.value {
                all.add_always("host", &registry.host);
            }
            all.add("port", &registry.port, ToString::to_string);
            let Some(settings) = registry.distribution() else {
                continue;
            };
            if settings.image.value != ImageRef::registry() {
                all.add_always("registry image", &settings.image);
            }
            all.add("auth", &settings.auth, |it| {
                (*it == Auth::Password).to_string()
            });
            if settings.certificate.is_kept()
                && settings.certificate.value != CertificateRequest::Generated
            {
                all.0.push("tls".to_owned());
            }
        }
        all.0
    }
}

/// Kept values, as text.
#[derive(Default)]
struct Kept(Vec<String>);

impl Kept {
    fn add<T: Default + PartialEq>(
        &mut self,
        name: &str,
        value: &Given<T>,
        text: impl Fn(&T) -> String,
    ) {
        if value.is_kept() && value.value != T::default() {
            self.0.push(format!("{name} {}", text(&value.value)));
        }
    }

    /// Adds a value whose default is not that of its type.
    fn add_always<T: std::fmt::Display>(&mut self, name: &str, value: &Given<T>) {
        if value.is_kept() {
            self.0.push(format!("{name} {}", value.value));
        }
    }
}

impl RegistryRequest {
    /// Returns whether it stands for the registry that there is: no file lists it, and only flags can have set
    /// something of it.
    const fn is_unlisted(&self) -> bool {
        match &self.backend {
            BackendRequest::Distribution(asked) => asked.mirror.is_none() && !self.name.is_given(),
            BackendRequest::External(_) => false,
        }
    }

    /// Returns this listed registry with what flags can set, and nobody sets now, as the record has it.
    fn over(mut self, record: &[Registry]) -> Self {
        let old = record.iter().find(|old| old.name == self.name.value);
        let Some((old, Backend::Distribution(settings))) = old.map(|old| (old, &old.backend))
        else {
            return self;
        };
        let BackendRequest::Distribution(asked) = &mut self.backend else {
            return self;
        };
        self.host.keep(old.host.clone());
        self.port.keep(PortRequest::Fixed(old.port));
        asked.image.keep(settings.image.clone());
        if let Serves::Pushed { auth } = settings.serves {
            asked.auth.keep(auth);
        }
        self
    }

    /// Returns the registries of the record, with what this unlisted one sets.
    fn over_all(self, record: &[Registry], mistakes: &mut Vec<Mistake>) -> Vec<Self> {
        let mut all: Vec<Self> = record.iter().map(Self::recorded).collect();
        RegistryOverrides::of(self).apply(&mut all, mistakes);
        all
    }

    /// Returns a recorded registry as a request.
    fn recorded(old: &Registry) -> Self {
        // All fields are listed, so that a new one can't be forgotten here.
        let Registry {
            name,
            host,
            port,
            names,
            backend,
        } = old;
        Self {
            name: kept(name),
            host: kept(host),
            port: kept(&PortRequest::Fixed(*port)),
            names: names.iter().map(kept).collect(),
            backend: match backend {
                Backend::Distribution(old) => {
                    BackendRequest::Distribution(DistributionRequest::recorded(old))
                }
                Backend::External(old) => BackendRequest::External(old.clone()),
            },
        }
    }
}

impl DistributionRequest {
    fn recorded(old: &Distribution) -> Self {
        let Distribution {
            image,
            data,
            certificate,
            serves,
        } = old;
        let (auth, mirror) = match serves {
            Serves::Pushed { auth } => (kept(auth), None),
            Serves::Everything => (Given::default(), Some((MirrorOf::Every, None, None))),
            Serves::Cache(cache) => {
                let of = MirrorOf::Registry(cache.upstream.clone());
                let mirror = (of, cache.ca.as_ref(), cache.login.as_ref());
                (Given::default(), Some(mirror))
            }
        };
        Self {
            image: kept(image),
            data: kept(data),
            certificate: kept(&CertificateRequest::from(*certificate)),
            auth,
            mirror: mirror.map(|(of, ca, login)| MirrorRequest {
                of: kept(&of),
                ca: ca.map(kept),
                login: login.cloned(),
            }),
        }
    }
}

fn kept<T: Clone>(value: &T) -> Given<T> {
    Given::new(value.clone(), Source::Record)
}
