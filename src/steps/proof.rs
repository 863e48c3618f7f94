//! The proof: one pod on every node pulls a new image over verified TLS, and runs it.
//!
//! A proven node keeps a note of what it was proven with, so that a second `up` need not prove again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::proof_image::{ProofImage, REPOSITORY, remove_from_registry};
use super::{below, node_trust, nodes, stored};
use crate::archive::Archive;
use crate::docker::DockerError;
use crate::kube::KubeError;
use crate::layout::{self, Layout};
use crate::problem::Problem;
use crate::render;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step};

const PACE: Duration = Duration::from_millis(150);
const PODS: &str = "/api/v1/namespaces/default/pods";
const NOTE: &str = "proof";

/// What no waiting mends: containerd's and the registry's own words.
const FINAL: [&str; 6] = [
    "x509:",
    "CA cert",
    "401 Unauthorized",
    "403 Forbidden",
    "HTTP response to HTTPS client",
    "no basic auth credentials",
];

/// The proof on all nodes.
#[derive(Debug)]
pub struct Proof {
    /// What is asked.
    pub spec: Spec,
    /// The registry that is proven.
    pub registry: Registry,
}

/// What a node's pod came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// Not known yet, and what it waits for.
    Open(String),
    /// It pulled and ran.
    Proven,
    /// It can't.
    Refused(String),
}

/// Hash of everything that a proof is about; `None` while it can't be had.
async fn subject(ctx: &Ctx, spec: &Spec) -> Result<Option<String>> {
    let Some(files) = node_trust::wanted(ctx, spec).await? else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    for (path, content) in files {
        hash.update(format!("{path}\0{}\0", content.len()));
        hash.update(content);
    }
    for registry in &spec.registries {
        let name = Layout::of(&spec.cluster).registry(&registry.name);
        let Some(container) = ctx.docker.container(&name).await? else {
            return Ok(None);
        };
        hash.update(container.id);
        if registry.asks_password() {
            let Some(stored) = stored(ctx, &spec.cluster, registry).await? else {
                return Ok(None);
            };
            hash.update(stored.serial);
        }
    }
    Ok(Some(hex::encode(hash.finalize())))
}

/// Whether every node was proven with what is there now.
pub(super) async fn proven(ctx: &Ctx, spec: &Spec) -> Result<State> {
    let Some(subject) = subject(ctx, spec).await? else {
        return Ok(State::Missing);
    };
    let notes = layout::nodes(spec).into_iter().map(|node| async move {
        let Some(tar) = ctx.docker.download(&node, layout::NODE_STATE).await? else {
            return Ok(None);
        };
        anyhow::Ok(
            below(&tar, "kindreg")?
                .remove(NOTE)
                .filter(|note| !note.is_empty()),
        )
    });
    let notes = try_join_all(notes).await?;
    let good = notes
        .iter()
        .filter(|note| note.as_deref() == Some(subject.as_bytes()))
        .count();
    Ok(if good == notes.len() {
        State::Ready
    } else if notes.iter().all(Option::is_none) {
        State::Missing
    } else {
        State::Drifted(format!(
            "{} of {} nodes are to be proven again",
            notes.len() - good,
            notes.len()
        ))
    })
}

impl Proof {
    async fn write_notes(&self, ctx: &Ctx, text: &str) -> Result<()> {
        let archive = Archive::new()
            .file(format!("var/lib/kindreg/{NOTE}"), 0o644, text.to_owned())
            .into_bytes()?;
        let found = nodes(&*ctx.docker, &self.spec).await?;
        try_join_all(found.iter().map(|node| async {
            match ctx.docker.upload(&node.name, "/", archive.clone()).await {
                Ok(()) | Err(DockerError::Gone { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        }))
        .await?;
        Ok(())
    }

    /// Makes the pod of one node, as soon as the API takes it: the default service account comes a moment late.
    async fn make_pod(&self, ctx: &Ctx, node: &str, images: &[String]) -> Result<()> {
        let start = Instant::now();
        ctx.kube
            .delete(&format!("{PODS}/{}", render::proof_pod_name(node)))
            .await?;
        loop {
            match ctx.kube.put(PODS, &render::proof_pod(node, images)).await {
                Ok(()) => return Ok(()),
                Err(error) if start.elapsed() > ctx.patience => {
                    return Err(error).context("can't make the proof's pod");
                }
                Err(KubeError::Unreachable(_) | KubeError::Refused { .. }) => {
                    ctx.pause(PACE).await?;
                }
            }
        }
    }

    async fn verdicts(
        &self,
        ctx: &Ctx,
        open: &BTreeMap<String, Verdict>,
    ) -> Result<BTreeMap<String, Verdict>> {
        let list = match ctx
            .kube
            .get(&format!(
                "{PODS}?labelSelector={}%3Dproof",
                layout::PROOF_POD
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
                *verdict = judge(pod);
            }
        }
        Ok(verdicts)
    }

    async fn run_pods(&self, ctx: &Ctx, tag: &str) -> Result<BTreeMap<String, Verdict>> {
        let images = [self.registry.domain(), self.registry.local_domain()]
            .map(|domain| format!("{domain}/{REPOSITORY}:{tag}"));
        let names = layout::nodes(&self.spec);
        try_join_all(names.iter().map(|node| self.make_pod(ctx, node, &images))).await?;
        let mut verdicts: BTreeMap<String, Verdict> = names
            .into_iter()
            .map(|node| (node, Verdict::Open("its pod was not started".to_owned())))
            .collect();
        let start = Instant::now();
        while start.elapsed() < ctx.patience {
            verdicts = self.verdicts(ctx, &verdicts).await?;
            if verdicts
                .values()
                .all(|verdict| !matches!(verdict, Verdict::Open(_)))
            {
                break;
            }
            ctx.pause(PACE).await?;
        }
        Ok(verdicts)
    }

    async fn remove_pods(&self, ctx: &Ctx) -> Result<()> {
        let removals = layout::nodes(&self.spec)
            .into_iter()
            .map(|node| async move {
                match ctx
                    .kube
                    .delete(&format!("{PODS}/{}", render::proof_pod_name(&node)))
                    .await
                {
                    Ok(()) | Err(KubeError::Unreachable(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            });
        try_join_all(removals).await?;
        Ok(())
    }

    /// Removes what the proof needed and nobody else does.
    async fn clear(&self, ctx: &Ctx) -> Result<()> {
        let tag = ctx.proof_image.lock().await.take();
        let images = async {
            if let Some(tag) = tag {
                let reference = format!("{}/{REPOSITORY}:{tag}", self.registry.local_domain());
                ctx.docker.remove_image(&reference).await?;
                remove_from_registry(ctx, &self.spec, &self.registry, &tag).await?;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(self.remove_pods(ctx), images)?;
        Ok(())
    }

    fn refusal(&self, verdicts: &BTreeMap<String, Verdict>) -> Option<anyhow::Error> {
        let failed: Vec<(&String, &String)> = verdicts
            .iter()
            .filter_map(|(node, verdict)| match verdict {
                Verdict::Proven => None,
                Verdict::Open(why) | Verdict::Refused(why) => Some((node, why)),
            })
            .collect();
        let (_, first) = failed.first()?;
        let lines: Vec<String> = failed
            .iter()
            .map(|(node, why)| format!("{node}: {why}"))
            .collect();
        let problem = Problem::not_ready(
            format!(
                "{} of {} nodes can't pull from {}",
                failed.len(),
                verdicts.len(),
                self.registry.domain()
            ),
            remedy(first, &self.spec),
        );
        Some(anyhow::anyhow!(lines.join("\n")).context(problem))
    }
}

fn remedy(cause: &str, spec: &Spec) -> String {
    let up = format!("kindreg up --name {}", spec.cluster);
    if cause.contains("x509:") || cause.contains("CA cert") {
        format!("the node's trust is not what kindreg wrote; this repairs it: {up}")
    } else if cause.contains("no such host") || cause.contains("connection refused") {
        format!("the registry is not reached; this starts and connects it again: {up}")
    } else {
        format!(
            "see the node's own words: docker exec {}-control-plane journalctl -u containerd | tail",
            spec.cluster
        )
    }
}

/// Reads a pod's status. A container that ran to its end pulled its image, as `imagePullPolicy: Always` leaves no
/// other way.
fn judge(pod: &Value) -> Verdict {
    let status = &pod["status"];
    if status["phase"] == "Succeeded" {
        return Verdict::Proven;
    }
    let containers = status["containerStatuses"].as_array();
    let mut open = format!(
        "its pod is {}",
        status["phase"].as_str().unwrap_or("unknown")
    );
    for container in containers.into_iter().flatten() {
        let waiting = &container["state"]["waiting"];
        if let Some(reason) = waiting["reason"]
            .as_str()
            .filter(|reason| *reason != "ContainerCreating")
        {
            let message = waiting["message"].as_str().unwrap_or_default();
            open = format!("{reason}: {message}");
            if FINAL.iter().any(|words| message.contains(words)) {
                return Verdict::Refused(open);
            }
        }
        let ended = &container["state"]["terminated"];
        if ended["exitCode"].as_i64().is_some_and(|code| code != 0) {
            return Verdict::Refused(format!("the pulled program ended with {ended}"));
        }
    }
    if status["phase"] == "Failed" {
        Verdict::Refused(format!("its pod failed: {status}"))
    } else {
        Verdict::Open(open)
    }
}

#[async_trait]
impl Step for Proof {
    fn title(&self) -> String {
        format!(
            "proof: a pod on every node pulls from {}",
            self.registry.domain()
        )
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        proven(ctx, &self.spec).await
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        if ctx.proof_image.lock().await.is_none() {
            // The image's own check came first, and then a lane beside it repaired a node, which withdraws its proof.
            let image = ProofImage {
                spec: self.spec.clone(),
                registry: self.registry.clone(),
            };
            image.apply(ctx).await?;
        }
        let tag = ctx
            .proof_image
            .lock()
            .await
            .clone()
            .context("no proof image was pushed")?;
        let verdicts = self.run_pods(ctx, &tag).await;
        self.clear(ctx).await?;
        if let Some(refusal) = self.refusal(&verdicts?) {
            return Err(refusal);
        }
        let subject = subject(ctx, &self.spec)
            .await?
            .context("the registry is gone")?;
        self.write_notes(ctx, &subject).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        self.clear(ctx).await?;
        self.write_notes(ctx, "").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_judged_by_what_kubelet_says() {
        let waiting = |reason: &str, message: &str| {
            json!({"status": {"phase": "Pending", "containerStatuses": [
                {"state": {"waiting": {"reason": reason, "message": message}}}]}})
        };
        assert_eq!(
            judge(&json!({"status": {"phase": "Succeeded"}})),
            Verdict::Proven
        );
        assert!(matches!(judge(&json!({"status": {}})), Verdict::Open(_)));
        assert!(matches!(
            judge(&waiting("ErrImagePull", "tls: x509: certificate signed")),
            Verdict::Refused(_)
        ));
        assert!(matches!(
            judge(&waiting("ErrImagePull", "unable to read CA cert")),
            Verdict::Refused(_)
        ));
        assert!(matches!(
            judge(&waiting("ErrImagePull", "connection refused")),
            Verdict::Open(_)
        ));
        let ended = json!({"status": {"phase": "Running", "containerStatuses": [
            {"state": {"terminated": {"exitCode": 3}}}]}});
        assert!(matches!(judge(&ended), Verdict::Refused(_)));
    }
}
