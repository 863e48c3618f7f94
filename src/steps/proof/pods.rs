//! Creates, watches and removes the pods of the proof.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde_json::Value;

use super::verdict::{POD_IS_AWAY, STOPPED, judge, judge_external, taken_away};
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

/// How long an external registry may be out of a node's reach before the proof gives up. Its machine may still be
/// starting.
const UNREACHABLE_LIMIT: Duration = Duration::from_secs(25);

/// How long after its creation a pod that is gone is made again: a node whose disk is full would end it at once.
const REMAKE_INTERVAL: Duration = Duration::from_secs(1);

/// What the pods have shown so far, by node.
type Watch = BTreeMap<String, Watched>;

/// What one node's pod has shown so far.
#[derive(Debug)]
struct Watched {
    verdict: Verdict,
    /// When the pod was created last.
    made: Instant,
    /// When it first showed that the registry is out of reach.
    unreached: Option<Instant>,
}

impl Watched {
    fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            made: Instant::now(),
            unreached: None,
        }
    }

    /// Returns whether the node had no pod, because it was stopped.
    fn is_stopped(&self) -> bool {
        matches!(&self.verdict, Verdict::Refused(why) if why == STOPPED)
    }
}

/// The pods that prove one registry, one on each node.
#[derive(Debug)]
pub(super) struct Pods<'a> {
    pub(super) spec: &'a Spec,
    pub(super) registry: &'a Registry,
}

impl Pods<'_> {
    /// Creates the pod of one node. It retries until the API accepts it: kubeadm may still be starting the API server, and
    /// the default service account appears a moment after that.
    async fn make(&self, ctx: &Ctx, node: &str, images: &[String]) -> Result<()> {
        let name = render::proof_pod_name(self.registry, node);
        let left = &format!("{PODS}/{name}");
        let pod = &render::proof_pod(self.registry, node, images);
        let made = ctx.poll(POLL_INTERVAL, || async move {
            let made = match ctx.kube.delete(left).await {
                Ok(()) => ctx.kube.put(PODS, pod).await,
                Err(error) => Err(error),
            };
            match made {
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

    /// Judges the pods as they are now, and makes those again that are gone before they showed anything.
    async fn look(&self, ctx: &Ctx, watch: &mut Watch, images: &[String]) -> Result<()> {
        let query = format!(
            "labelSelector={}%3D{}",
            layout::PROOF_POD,
            self.registry.name
        );
        let list = match ctx.kube.get(&format!("{PODS}?{query}")).await {
            Ok(list) => list.unwrap_or_default(),
            Err(KubeError::Unreachable(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut away = Vec::new();
        for (node, watched) in watch {
            let name = render::proof_pod_name(self.registry, node);
            let mut pods = list["items"].as_array().into_iter().flatten();
            let pod = pods.find(|pod| pod["metadata"]["name"] == name.as_str());
            let is_open = matches!(watched.verdict, Verdict::Open(_));
            let gone = match pod {
                Some(pod) => taken_away(pod),
                None => Some(POD_IS_AWAY.to_owned()),
            };
            match (gone, pod) {
                (Some(why), _) if is_open => {
                    watched.verdict = Verdict::Open(why);
                    if watched.made.elapsed() >= REMAKE_INTERVAL {
                        watched.made = Instant::now();
                        away.push(node);
                    }
                }
                (None, Some(pod)) if !watched.is_stopped() => {
                    watched.verdict = self.judge(pod);
                    if matches!(&watched.verdict, Verdict::Open(why) if shows(why, Meaning::Unreached))
                    {
                        watched.unreached.get_or_insert_with(Instant::now);
                    }
                }
                (None | Some(_), _) => {}
            }
        }
        let makes = away.into_iter().map(|node| self.make(ctx, node, images));
        try_join_all(makes).await?;
        Ok(())
    }

    fn judge(&self, pod: &Value) -> Verdict {
        match &self.registry.backend {
            Backend::Distribution(_) => judge(pod),
            Backend::External(external) => judge_external(pod, external),
        }
    }

    /// Returns whether the registry was out of reach of a node for too long. One that kindreg runs is waited for.
    fn gives_up(&self, watched: &Watched) -> bool {
        match self.registry.backend {
            Backend::Distribution(_) => false,
            Backend::External(_) => watched
                .unreached
                .is_some_and(|since| since.elapsed() > UNREACHABLE_LIMIT),
        }
    }

    pub(super) async fn run(&self, ctx: &Ctx, images: &[String]) -> Result<Verdicts> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?.into_iter();
        let found: Vec<(String, Verdict)> =
            found.map(|node| (node.name, first(&node.state))).collect();
        let running = found
            .iter()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Open(_)));
        let mut makes = running.map(|(node, _)| self.make(ctx, node, images));
        // The first waits for the API server alone: each look for one that is starting costs it processor time.
        if let Some(make) = makes.next() {
            make.await?;
        }
        try_join_all(makes).await?;
        let watched = found
            .into_iter()
            .map(|(node, verdict)| (node, Watched::new(verdict)));
        let watch = &tokio::sync::Mutex::new(watched.collect::<Watch>());
        let over = ctx.poll(POLL_INTERVAL, || async move {
            let mut watch = watch.lock().await;
            self.look(ctx, &mut watch, images).await?;
            let is_over = |watched: &Watched| match &watched.verdict {
                Verdict::Open(why) => self.gives_up(watched) && shows(why, Meaning::Unreached),
                Verdict::Proven | Verdict::Refused(_) | Verdict::Unverified { .. } => true,
            };
            Ok(watch.values().all(is_over).then_some(()))
        });
        over.await?;
        let watch = std::mem::take(&mut *watch.lock().await);
        let verdicts = watch.into_iter();
        Ok(verdicts
            .map(|(node, watched)| (node, watched.verdict))
            .collect())
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
