//! A request with what it leaves open taken from what is there: what a `status` compares with.

use super::Spec;
use super::mistake::{Given, Source};
use super::request::{PortRequest, RegistryRequest, Request};
use crate::spec::{Auth, Registry};

impl Request {
    /// What is given stays; the rest is as `current` has it.
    #[must_use]
    pub fn filled_from(mut self, current: &Spec) -> Self {
        fill(&mut self.workers, &current.workers);
        fill(&mut self.control_planes, &current.control_planes);
        fill(&mut self.node_image, &current.node_image);
        fill(&mut self.host_trust, &current.host_trust);
        if self.kind_config.is_none() {
            self.kind_config = current.kind_config.as_ref().map(kept);
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
        fill(&mut self.image, &old.image);
        if !self.port.is_given() || self.port.value == PortRequest::Auto {
            self.port.value = PortRequest::Fixed(old.port);
        }
    }

    /// The registry that flags are about, where no file names any.
    fn become_like(mut self, old: &Registry) -> Self {
        self.fill(old);
        // Field by field, so that a new one can't be forgotten here.
        Self {
            name: kept(&old.name),
            host: self.host,
            port: self.port,
            backend: old.backend.clone(),
            image: self.image,
            names: old.names.iter().map(kept).collect(),
            data: old.data,
            mirror_of: old.mirror_of.as_ref().map(kept),
            upstream_ca: old.upstream_ca.as_ref().map(kept),
            upstream_variables: old.upstream_variables.clone(),
            auth: if self.auth == Auth::default() {
                old.auth
            } else {
                self.auth
            },
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
