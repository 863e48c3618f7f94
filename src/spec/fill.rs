//! Fills the values that a request leaves open from the recorded Spec, for `status` to compare with.

use super::mistake::{Given, Source};
use super::request::{
    BackendRequest, DistributionRequest, MirrorRequest, PortRequest, RegistryRequest, Request,
};
use super::{Auth, Backend, Distribution, ImageRef, MirrorOf, Registry, Serves, Spec, Target};

impl Request {
    /// Returns the request with this node image, unless the user set one.
    #[must_use]
    pub fn with_default_node_image(mut self, image: &ImageRef) -> Self {
        fill(&mut self.node_image, image);
        self
    }

    /// Returns the request with every value that the user did not set taken from `current`.
    #[must_use]
    pub fn filled_from(mut self, current: &Spec) -> Self {
        let Target::Owned(owned) = &current.target;
        fill(&mut self.workers, &owned.workers);
        fill(&mut self.control_planes, &owned.control_planes);
        fill(&mut self.node_image, &owned.node_image);
        fill(&mut self.host_trust, &current.host_trust);
        if self.kind_config.is_none() {
            self.kind_config = owned.kind_config.as_ref().map(kept);
        }
        if self.registries.iter().any(|asked| asked.name.is_given()) {
            // The file names its registries, so it also has their other settings.
            for asked in &mut self.registries {
                let same = |old: &&Registry| old.name == asked.name.value;
                if let Some(old) = current.registries.iter().find(same) {
                    asked.fill(old);
                }
            }
        } else if let [asked] = self.registries.as_slice() {
            let olds = current.registries.iter();
            self.registries = olds.map(|old| asked.clone().based_on(old)).collect();
        }
        self
    }
}

impl RegistryRequest {
    fn fill(&mut self, old: &Registry) {
        fill(&mut self.host, &old.host);
        if !self.port.is_given() || self.port.value == PortRequest::Auto {
            self.port.value = PortRequest::Fixed(old.port);
        }
        if let (BackendRequest::Distribution(asked), Backend::Distribution(old)) =
            (&mut self.backend, &old.backend)
        {
            fill(&mut asked.image, &old.image);
        }
    }

    /// Returns the registry with what flags set, and everything else as `old` has it: for requests without a file.
    fn based_on(mut self, old: &Registry) -> Self {
        self.fill(old);
        Self {
            name: kept(&old.name),
            host: self.host,
            port: self.port,
            names: old.names.iter().map(kept).collect(),
            backend: match (self.backend, &old.backend) {
                (BackendRequest::Distribution(asked), Backend::Distribution(old)) => {
                    BackendRequest::Distribution(asked.based_on(old))
                }
                (_, Backend::Distribution(old)) => {
                    BackendRequest::Distribution(DistributionRequest::default().based_on(old))
                }
                (_, Backend::External(old)) => BackendRequest::External(old.clone()),
            },
        }
    }
}

impl DistributionRequest {
    fn based_on(self, old: &Distribution) -> Self {
        // All fields are listed, so that a new one can't be forgotten here.
        let Distribution {
            image: _,
            data,
            certificate: _,
            serves,
        } = old;
        let (auth, mirror) = match serves {
            Serves::Pushed { auth } => (*auth, None),
            Serves::Everything => (Auth::default(), Some((MirrorOf::Every, None, None))),
            Serves::Cache(cache) => {
                let of = MirrorOf::Registry(cache.upstream.clone());
                (
                    Auth::default(),
                    Some((of, cache.ca.as_ref(), cache.login.as_ref())),
                )
            }
        };
        Self {
            image: self.image,
            data: *data,
            auth: if self.auth == Auth::default() {
                auth
            } else {
                self.auth
            },
            mirror: mirror.map(|(of, ca, login)| MirrorRequest {
                of: kept(&of),
                ca: ca.map(kept),
                login: login.cloned(),
            }),
        }
    }
}

fn kept<T: Clone>(value: &T) -> Given<T> {
    Given::new(value.clone(), Source::Default)
}

fn fill<T: Clone>(field: &mut Given<T>, kept: &T) {
    if !field.is_given() {
        field.value = kept.clone();
    }
}
