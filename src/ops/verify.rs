//! `verify`: proves again that each node can pull. It repairs nothing.

use anyhow::Result;

use super::credentials::at_hand;
use super::host_proof::{HostProof, host_proof, known_first_pushes};
use super::{Client, Finished, existing};
use crate::engine;
use crate::lock::ContainerLock;
use crate::observe::{node_names, nodes};
use crate::plan::{self, Negative};
use crate::report::{NodeVerification, Preview, Pull, Verification, WithoutCa};
use crate::spec::{ClusterName, Registry};
use crate::step::Ctx;
use crate::steps::proof::lacks_ca;
use crate::verdict::{Verdict, Verdicts, Verified};

/// Proves every registry of a cluster again. The report has every node, whether it can pull or not.
///
/// It waits while another kindreg works on the cluster: two proofs at once would remove each other's image and pods.
///
/// # Errors
/// There is no such cluster, or the engine does not answer.
pub async fn verify(
    client: &Client,
    cluster: &ClusterName,
    negative: Negative,
) -> Result<Finished<Verification>> {
    let spec = existing(client, cluster).await?.current;
    let mut ctx = client.ctx(cluster);
    ctx.external_credentials = at_hand(client, &spec)?;
    let names = node_names(&spec, &nodes(&*ctx.docker, cluster).await?);
    let plan = plan::verify(&spec, negative);
    let on = |event| client.tell(event);
    let lock = ContainerLock::of(&spec);
    let survey = async |run: &Ctx| Ok(engine::survey(&plan, run, &on).await.err());
    let failure = engine::locked(&lock, &ctx, survey).await?;
    let why = failure.as_ref().map(ToString::to_string);
    let mut rows = Vec::new();
    for registry in &spec.registries {
        let verified = ctx.verified(&registry.name).await;
        rows.extend(
            names
                .iter()
                .map(|node| row(node, registry, &verified, why.as_deref())),
        );
    }
    let known = known_first_pushes(&*ctx.docker, &spec).await?;
    let host = host_proof(&spec, &known);
    // Its push is the proof image's, which is what nodes pull.
    let pushed = rows.iter().all(|row| row.pull != Pull::NotProven);
    let (host, host_why) = match failure {
        Some(_) if !pushed => HostProof::NotProven("the engine could not push".to_owned()),
        _ => host,
    }
    .reported();
    let report = Verification {
        cluster: cluster.to_string(),
        registries: spec.registries.iter().map(Registry::domain).collect(),
        nodes: rows,
        host,
        host_why,
    };
    Ok(Finished { report, failure })
}

/// Returns the steps of [`verify`], without doing anything.
///
/// # Errors
/// There is no such cluster, or the engine does not answer.
pub async fn preview_verification(
    client: &Client,
    cluster: &ClusterName,
    negative: Negative,
) -> Result<Preview> {
    let spec = existing(client, cluster).await?.current;
    let plan = plan::verify(&spec, negative);
    let states = engine::preview(&plan, &client.ctx(cluster)).await?;
    Ok(Preview::of(states))
}

fn row(
    node: &str,
    registry: &Registry,
    verified: &Verified,
    why: Option<&str>,
) -> NodeVerification {
    let verdict = |of: &Option<Verdicts>| of.as_ref().map(|verdicts| verdicts.get(node).cloned());
    let (pull, why) = match verdict(&verified.pulls) {
        Some(Some(Verdict::Proven)) => (Pull::of(registry), None),
        Some(Some(Verdict::Open(why) | Verdict::Refused(why))) => (Pull::Refused, Some(why)),
        Some(Some(Verdict::Unverified { why, .. })) => (Pull::Unverified, Some(why)),
        Some(None) => (Pull::Refused, Some("the node is missing".to_owned())),
        None => (Pull::NotProven, why.map(str::to_owned)),
    };
    NodeVerification {
        node: node.to_owned(),
        registry: registry.domain(),
        pull,
        why,
        without_ca: match verdict(&verified.without_ca) {
            None => WithoutCa::NotTried,
            Some(Some(verdict)) if lacks_ca(&verdict) => WithoutCa::Refused,
            Some(_) => WithoutCa::NotRefused,
        },
    }
}
