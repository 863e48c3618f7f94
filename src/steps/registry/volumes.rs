//! Step: the two volumes of a registry, one for secrets (CA certificate, leaf, key, users) and one for data.

use anyhow::Result;
use async_trait::async_trait;

use crate::docker::Volume;
use crate::layout::{LABEL_DATA, Layout};
use crate::observe::foreign;
use crate::registry::Managed;
use crate::spec::Data;
use crate::step::{Ctx, State, Step, StepId};

/// The step that creates the volumes of one registry.
#[derive(Debug)]
pub struct Volumes {
    /// The registry.
    pub registry: Managed,
}

impl Volumes {
    fn names(&self) -> [String; 2] {
        let layout = Layout::of(self.registry.cluster());
        let name = &self.registry.registry().name;
        [layout.secret_volume(name), layout.data_volume(name)]
    }
}

#[async_trait]
impl Step for Volumes {
    fn id(&self) -> StepId {
        StepId::of("registry.volumes", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        format!("volumes of registry {}", self.registry.registry().name)
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let layout = Layout::of(self.registry.cluster());
        let names = self.names();
        let (secret, data) =
            tokio::join!(ctx.docker.volume(&names[0]), ctx.docker.volume(&names[1]));
        let (secret, data) = (secret?, data?);
        for volume in [&secret, &data].into_iter().flatten() {
            if !layout.owns(&volume.name, &volume.labels) {
                let remove = format!("docker volume rm {}", volume.name);
                return Err(foreign("volume", &volume.name, &remove));
            }
        }
        Ok(match (secret, data, self.registry.data()) {
            (Some(_), Some(_), _) => State::Ready,
            // A data volume that an earlier cluster kept is used again.
            (None, None, _) | (None, Some(_), Data::Keep) => State::Missing,
            (None, Some(_), Data::Discard) | (Some(_), None, _) => {
                State::Drifted("one of the two is missing".to_owned())
            }
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let layout = Layout::of(self.registry.cluster());
        let [secret, data] = self.names();
        for name in [secret, data.clone()] {
            if ctx.docker.volume(&name).await?.is_none() {
                let mut labels = layout.registry_labels(&self.registry.registry().name);
                if name == data {
                    let kept = self.registry.data().label();
                    labels.insert(LABEL_DATA.to_owned(), kept.to_owned());
                }
                ctx.docker.create_volume(&Volume { name, labels }).await?;
            }
        }
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let [secret, data] = self.names();
        ctx.docker.remove_volume(&secret).await?;
        match self.registry.data() {
            Data::Discard => Ok(ctx.docker.remove_volume(&data).await?),
            Data::Keep => Ok(()),
        }
    }
}
