//! `kindreg verify`: the proof alone.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::session::Session;
use super::{Shared, status};
use crate::layout;
use crate::plan::{external_proof, proof_only};
use crate::problem::Exit;
use crate::spec::Registry;
use crate::step::Step;
use crate::steps;
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kindreg verify --name workshop\n  kindreg verify --strict\n\n\
    Exit code 3 where a node can't pull, with the node's own words. It repairs nothing; `kindreg up` does."
)]
pub(super) struct Arguments {
    /// Prove the negative too: every node refuses the registry under a name whose CA it lacks
    #[arg(long, env = "KINDREG_STRICT")]
    strict: bool,
}

pub(super) async fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let session = Session::open(shared, printer).await?;
    let asked = steps::asked(&*session.docker, &shared.name).await?;
    let spec = asked.ok_or_else(|| status::nothing(shared))?.current;
    let mut proven: Vec<&Registry> = spec.ours().collect();
    for registry in &proven {
        let (image, proof) = proof_only(&spec, registry);
        let result = async {
            image.apply(&session.ctx).await?;
            if arguments.strict {
                proof.refuted(&session.ctx).await?;
            }
            proof.apply(&session.ctx).await
        };
        let result = result.await;
        // What the proof made goes in any case; its own failure must not hide the proof's.
        let cleared = image.undo(&session.ctx).await;
        if let Err(error) = result.and(cleared) {
            return session.failed(error, "the proof was not finished");
        }
    }
    let (own, externals) = (proven.len(), spec.externals());
    for registry in externals {
        if let Err(error) = external_proof(&spec, registry).apply(&session.ctx).await {
            return session.failed(error, "the proof was not finished");
        }
        proven.push(registry);
    }
    let nodes = layout::nodes(&spec);
    let domains: Vec<String> = proven.iter().map(|registry| registry.domain()).collect();
    // What is pushed nowhere can't be refused under another name.
    let strict = arguments.strict && own > 0;
    let refused = if strict { "refused" } else { "not tried" };
    if shared.json {
        let table: Vec<_> = nodes
            .iter()
            .map(|node| json!({"node": node, "pull": "proven", "withoutCa": refused}))
            .collect();
        let product = json!({"cluster": spec.cluster, "registries": domains, "nodes": table, "host": "not proven"});
        printer.out(&product.to_string());
        return Ok(Exit::Done);
    }
    for node in nodes {
        let strict = match (strict, own == proven.len()) {
            (false, _) => "",
            (true, true) => "; without the CA it refuses",
            (true, false) => "; without the CA it refuses (not tried of external registries)",
        };
        printer.out(&format!(
            "proven  {node} {} over verified TLS{strict}",
            story(&proven, "pulls from", "has an answer of")
        ));
    }
    Ok(Exit::Done)
}

/// What nodes do with which registries: of an external one without an image for the proof they have an answer.
pub(super) fn story(registries: &[&Registry], pull: &str, answer: &str) -> String {
    let is_pulled = |registry: &Registry| registry.external().is_none_or(|it| it.proof.is_some());
    let named = |pulled: bool| {
        let all = registries.iter().filter(|one| is_pulled(one) == pulled);
        all.map(|one| one.domain()).collect::<Vec<_>>().join(", ")
    };
    match (named(true), named(false)) {
        (pulled, none) if none.is_empty() => format!("{pull} {pulled}"),
        (none, answered) if none.is_empty() => format!("{answer} {answered}"),
        (pulled, answered) => format!("{pull} {pulled}, {answer} {answered}"),
    }
}
