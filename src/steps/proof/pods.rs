//! Creates, watches and removes the pods of the proof.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;

use super::verdict::{STOPPED, judge, judge_external};
use crate::docker::ContainerState;
use crate::kube::KubeError;
use crate::layout;
use crate::observe::nodes;
use crate::render;
use crate::spec::{Backend, Registry, Spec};
use crate::step::{Ctx, Polled};
use crate::symptoms::{Meaning, shows};
use crate::verdict::{Verdict, Verdicts};

const POLL_INTERVAL: Duration = Duration::from_millis(150);
const PODS: &str = "/api/v1/namespaces/default/pods";

/// How long an external registry may be unreachable before the proof gives up. Its machine may still be starting.
const UNREACHABLE_LIMIT: Duration = Duration::from_secs(25);

/// The pods that prove one registry, one on each node.
#[derive(Debug)]
pub(super) struct Pods<'a> {
    pub(super) spec: &'a Spec,
    pub(super) registry: &'a Registry,
}

impl Pods<'_> {
    /// Creates the pod of one node. It retries until the API accepts it: the default service account appears a moment
    /// after the API server.
    async fn make(&self, ctx: &Ctx, node: &str, images: &[String]) -> Result<()> {
        let name = render::proof_pod_name(self.registry, node);
        ctx.kube.delete(&format!("{PODS}/{name}")).await?;
        let pod = &render::proof_pod(self.registry, node, images);
        let made = ctx.poll(POLL_INTERVAL, || async move {
            match ctx.kube.put(PODS, pod).await {
                Ok(()) => Ok(Some(())),
                Err(KubeError::Unreachable(_) | KubeError::Refused { .. }) => Ok(None),
            }
        });
        match made.await? {
            Polled::Answer(()) => Ok(()),
            // Once more, for the API server's own error.
            Polled::TimedOut => {
                let put = ctx.kube.put(PODS, pod).await;
                put.with_context(|| format!("can't create pod {name}"))
            }
        }
    }

    async fn verdicts(&self, ctx: &Ctx, open: &Verdicts) -> Result<Verdicts> {
        let list = match ctx
            .kube
            .get(&format!(
                "{PODS}?labelSelector={}%3D{}",
                layout::PROOF_POD,
                self.registry.name
            ))
            .await
        {
            Ok(list) => list.unwrap_or_default(),
            Err(KubeError::Unreachable(_)) => return Ok(open.clone()),
            Err(error) => return Err(error.into()),
        };
        let mut verdicts = open.clone();
        for pod in list["items"].as_array().into_iter().flatten() {
            if let Some(verdict) = pod["spec"]["nodeName"]
                .as_str()
                .and_then(|node| verdicts.get_mut(node))
            {
                *verdict = match &self.registry.backend {
                    Backend::Distribution(_) => judge(pod),
                    Backend::External(external) => judge_external(pod, external),
                };
            }
        }
        Ok(verdicts)
    }

    pub(super) async fn run(&self, ctx: &Ctx, images: &[String]) -> Result<Verdicts> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        let verdicts: Verdicts = found
            .into_iter()
            .map(|node| (node.name, first(&node.state)))
            .collect();
        let runs = |(_, verdict): &(&String, &Verdict)| matches!(verdict, Verdict::Open(_));
        let makes = verdicts.iter().filter(runs);
        try_join_all(makes.map(|(node, _)| self.make(ctx, node, images))).await?;
        let start = Instant::now();
        let gives_up = || match self.registry.backend {
            Backend::Distribution(_) => false,
            Backend::External(_) => start.elapsed() > UNREACHABLE_LIMIT,
        };
        let open = &tokio::sync::Mutex::new(verdicts);
        let late = &gives_up;
        let over = ctx.poll(POLL_INTERVAL, || async move {
            let mut open = open.lock().await;
            *open = self.verdicts(ctx, &open).await?;
            let late = late();
            let is_over = |verdict: &Verdict| match verdict {
                Verdict::Open(why) => late && shows(why, Meaning::Unreached),
                Verdict::Proven | Verdict::Refused(_) | Verdict::Unverified { .. } => true,
            };
            Ok(open.values().all(is_over).then_some(()))
        });
        over.await?;
        Ok(open.lock().await.clone())
    }

    pub(super) async fn remove(&self, ctx: &Ctx) -> Result<()> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?.into_iter();
        let removals = found.map(|node| async move {
            match ctx
                .kube
                .delete(&format!(
                    "{PODS}/{}",
                    render::proof_pod_name(self.registry, &node.name)
                ))
                .await
            {
                Ok(()) | Err(KubeError::Unreachable(_)) => Ok(()),
                Err(error) => Err(error),
            }
        });
        try_join_all(removals).await?;
        Ok(())
    }
}

/// Returns the verdict on a node before its pod is created. A stopped node starts no pods, so it is refused at once.
fn first(node: &ContainerState) -> Verdict {
    match node {
        ContainerState::Running => Verdict::Open("its pod has not started".to_owned()),
        _ => Verdict::Refused(STOPPED.to_owned()),
    }
}
