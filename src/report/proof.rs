//! What the proof comes to on every node with every registry, for `verify`. It repairs nothing.

use anyhow::{Error, Result};

use super::{NodeVerification, Pull, Verification, WithoutCa};
use crate::plan::{external_proof, proof_only};
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, Step};
use crate::steps::{self, Verdict, Verdicts};

/// Whether the negative is proven too: without the CA every node refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negative {
    /// It is.
    Proven,
    /// It is left out.
    LeftOut,
}

/// What a proof came to: each node's verdict, and what it lacks to be whole.
#[derive(Default)]
struct Found {
    positive: Option<Verdicts>,
    negative: Option<Verdicts>,
    failure: Option<Error>,
}

impl Found {
    fn fails(&mut self, with: Option<Error>) {
        // The first says most: the others mostly follow from it.
        self.failure = self.failure.take().or(with);
    }
}

/// Proves every registry; every node is in the table, and the first failure beside it.
///
/// # Errors
/// The engine can't be asked for the nodes.
pub async fn verification(
    ctx: &Ctx,
    spec: &Spec,
    negative: Negative,
) -> Result<(Verification, Option<Error>)> {
    let names = steps::node_names(spec, &steps::nodes(&*ctx.docker, spec).await?);
    let (mut registries, mut nodes, mut failure) = (Vec::new(), Vec::new(), None);
    for registry in &spec.registries {
        let found = prove(ctx, spec, registry, negative).await;
        let domain = registry.domain();
        nodes.extend(names.iter().map(|node| row(node, registry, &found)));
        registries.push(domain);
        failure = failure.or(found.failure);
    }
    let verification = Verification {
        cluster: spec.cluster.to_string(),
        registries,
        nodes,
        host: Pull::NotProven,
    };
    Ok((verification, failure))
}

async fn prove(ctx: &Ctx, spec: &Spec, registry: &Registry, negative: Negative) -> Found {
    if registry.is_ours() {
        prove_ours(ctx, spec, registry, negative).await
    } else {
        prove_external(ctx, spec, registry).await
    }
}

async fn prove_ours(ctx: &Ctx, spec: &Spec, registry: &Registry, negative: Negative) -> Found {
    let (image, proof) = proof_only(spec, registry);
    let mut found = Found::default();
    let run = async {
        image.apply(ctx).await?;
        if negative == Negative::Proven {
            let (verdicts, failure) = proof.refuted(ctx).await?;
            found.fails(failure);
            found.negative = Some(verdicts);
        }
        let (verdicts, failure) = proof.examine(ctx).await?;
        found.fails(failure);
        found.positive = Some(verdicts);
        anyhow::Ok(())
    };
    let ended = run.await;
    found.fails(ended.err());
    // What the proof made goes in any case; its own failure must not hide the proof's.
    found.fails(image.undo(ctx).await.err());
    found
}

/// What is pushed nowhere can't be refused under another name.
async fn prove_external(ctx: &Ctx, spec: &Spec, registry: &Registry) -> Found {
    let mut found = Found::default();
    match external_proof(spec, registry).examine(ctx).await {
        Ok((verdicts, failure)) => {
            found.fails(failure);
            found.positive = Some(verdicts);
        }
        Err(error) => found.fails(Some(error)),
    }
    found
}

fn row(node: &str, registry: &Registry, found: &Found) -> NodeVerification {
    let verdict = |of: &Option<Verdicts>| of.as_ref().map(|verdicts| verdicts.get(node).cloned());
    let named = registry.external().is_none_or(|it| it.proof.is_some());
    let gone = "it is gone".to_owned();
    let (pull, why) = match verdict(&found.positive) {
        Some(Some(Verdict::Proven)) if named => (Pull::Proven, None),
        Some(Some(Verdict::Proven)) => (Pull::Answered, None),
        Some(Some(Verdict::Open(why) | Verdict::Refused(why))) => (Pull::Refused, Some(why)),
        Some(None) => (Pull::Refused, Some(gone)),
        None => (
            Pull::NotProven,
            found.failure.as_ref().map(ToString::to_string),
        ),
    };
    NodeVerification {
        node: node.to_owned(),
        registry: registry.domain(),
        pull,
        why,
        without_ca: match verdict(&found.negative) {
            None => WithoutCa::NotTried,
            Some(Some(verdict)) if verdict.lacks_ca() => WithoutCa::Refused,
            Some(_) => WithoutCa::NotRefused,
        },
    }
}
