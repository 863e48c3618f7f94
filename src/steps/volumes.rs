//! The two volumes of a registry: its secret (CA certificate, leaf, key) and its data.

use std::collections::BTreeSet;

use anyhow::Result;
use async_trait::async_trait;

use super::foreign;
use crate::docker::{Docker, Volume};
use crate::layout::{self, Layout};
use crate::spec::{ClusterName, Data, RegistryName};
use crate::step::{Ctx, State, Step};

/// The volumes of one registry.
#[derive(Debug)]
pub struct Volumes {
    /// Whose they are.
    pub cluster: ClusterName,
    /// The registry.
    pub registry: RegistryName,
    /// What becomes of its images on undo.
    pub data: Data,
}

impl Volumes {
    fn names(&self) -> [String; 2] {
        let layout = Layout::of(&self.cluster);
        [
            layout.secret_volume(&self.registry),
            layout.data_volume(&self.registry),
        ]
    }
}

/// The registries of a cluster that have a volume: those that came to be.
pub async fn registries(
    docker: &dyn Docker,
    cluster: &ClusterName,
) -> Result<BTreeSet<RegistryName>> {
    let volumes = docker.volumes(layout::LABEL_CLUSTER, cluster.as_str());
    let named = volumes.await?.into_iter().filter_map(|volume| {
        let name = volume.labels.get(layout::LABEL_REGISTRY)?;
        name.parse().ok()
    });
    Ok(named.collect())
}

#[async_trait]
impl Step for Volumes {
    fn title(&self) -> String {
        format!("volumes of registry {}", self.registry)
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let layout = Layout::of(&self.cluster);
        let names = self.names();
        let (secret, data) =
            tokio::join!(ctx.docker.volume(&names[0]), ctx.docker.volume(&names[1]));
        let mut present = 0;
        let (secret, data) = (secret?, data?);
        for volume in [&secret, &data].into_iter().flatten() {
            if !layout.owns(&volume.labels) {
                return Err(foreign(
                    "volume",
                    &volume.name,
                    &format!("docker volume rm {}", volume.name),
                ));
            }
            present += 1;
        }
        Ok(match present {
            0 => State::Missing,
            // Kept data of an earlier cluster are taken on.
            1 if self.data == Data::Keep && secret.is_none() => State::Missing,
            1 => State::Drifted("one of the two is gone".to_owned()),
            _ => State::Ready,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let labels = Layout::of(&self.cluster).registry_labels(&self.registry);
        for name in self.names() {
            if ctx.docker.volume(&name).await?.is_none() {
                ctx.docker
                    .create_volume(&Volume {
                        name,
                        labels: labels.clone(),
                    })
                    .await?;
            }
        }
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let [secret, data] = self.names();
        ctx.docker.remove_volume(&secret).await?;
        match self.data {
            Data::Discard => Ok(ctx.docker.remove_volume(&data).await?),
            Data::Keep => Ok(()),
        }
    }
}
