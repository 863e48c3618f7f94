//! Judges whether a pull shows anything: only a node with exactly kindreg's settings verified the certificate.

use anyhow::Result;
use futures_util::future::try_join_all;

use crate::observe::flaws;
use crate::spec::{Registry, Spec};
use crate::step::Ctx;
use crate::verdict::{Verdict, Verdicts};

/// Returns the verdicts, where nodes that pulled without exactly kindreg's settings are unverified.
pub(super) async fn doubted(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
    verdicts: Verdicts,
) -> Result<Verdicts> {
    let judged = verdicts.into_iter().map(|(node, verdict)| async move {
        let verdict = match verdict {
            Verdict::Proven => judge(ctx, spec, registry, &node).await?,
            Verdict::Open(_) | Verdict::Refused(_) | Verdict::Unverified { .. } => verdict,
        };
        anyhow::Ok((node, verdict))
    });
    Ok(try_join_all(judged).await?.into_iter().collect())
}

async fn judge(ctx: &Ctx, spec: &Spec, registry: &Registry, node: &str) -> Result<Verdict> {
    let flaws = flaws(&*ctx.docker, spec, registry, node).await?;
    if flaws.is_empty() {
        return Ok(Verdict::Proven);
    }
    let why: Vec<String> = flaws.iter().map(ToString::to_string).collect();
    Ok(Verdict::Unverified {
        why: why.join(", "),
        by_hand: flaws.iter().find_map(|flaw| flaw.by_hand(node)),
    })
}
