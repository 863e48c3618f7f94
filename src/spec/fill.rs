//! A request with what it leaves open taken from what is there: what a `status` compares with.

use super::mistake::{Given, Source};
use super::request::{
    BackendRequest, DistributionRequest, MirrorRequest, PortRequest, RegistryRequest, Request,
};
use super::{Auth, Backend, Distribution, MirrorOf, Registry, Serves, Spec, Target};

impl Request {
    /// What is given stays; the rest is as `current` has it.
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
            // Named in the file, where also their other keys stand.
            for asked in &mut self.registries {
                let same = |old: &&Registry| old.name == asked.name.value;
                if let Some(old) = current.registries.iter().find(same) {
                    asked.fill(old);
                }
            }
        } else if let [asked] = self.registries.as_slice() {
            let olds = current.registries.iter();
            self.registries = olds.map(|old| asked.clone().become_like(old)).collect();
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

    /// The registry that flags are about, where no file names any.
    fn become_like(mut self, old: &Registry) -> Self {
        self.fill(old);
        Self {
            name: kept(&old.name),
            host: self.host,
            port: self.port,
            names: old.names.iter().map(kept).collect(),
            backend: match (self.backend, &old.backend) {
                (BackendRequest::Distribution(asked), Backend::Distribution(old)) => {
                    BackendRequest::Distribution(asked.become_like(old))
                }
                (_, Backend::Distribution(old)) => {
                    BackendRequest::Distribution(DistributionRequest::default().become_like(old))
                }
                (_, Backend::External(old)) => BackendRequest::External(old.clone()),
            },
        }
    }
}

impl DistributionRequest {
    fn become_like(self, old: &Distribution) -> Self {
        // Field by field, so that a new one can't be forgotten here.
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
