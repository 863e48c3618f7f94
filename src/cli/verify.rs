//! `kindreg verify`: the proof alone.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::Shared;
use super::session::Session;
use crate::layout;
use crate::plan::proof_only;
use crate::problem::{Exit, Problem};
use crate::step::Step;
use crate::steps;
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kindreg verify --name workshop\n\n\
    Exit code 3 where a node can't pull, with the node's own words. It repairs nothing; `kindreg up` does.")]
pub(super) struct Arguments {}

pub(super) async fn run(shared: &Shared, _: &Arguments, printer: Printer) -> Result<Exit> {
    let session = Session::open(shared, printer).await?;
    let asked = steps::asked(&*session.docker, &shared.name)
        .await?
        .ok_or_else(|| {
            Problem::not_ready(
                format!("there is no cluster {} of kindreg's", shared.name),
                format!("make it: kindreg up --name {}", shared.name),
            )
        })?;
    let spec = asked.current;
    for registry in &spec.registries {
        let (image, proof) = proof_only(&spec, registry);
        let proven = async {
            image.apply(&session.ctx).await?;
            proof.apply(&session.ctx).await
        };
        let proven = proven.await;
        // What the proof made goes in any case; its own failure must not hide the proof's.
        let cleared = image.undo(&session.ctx).await;
        if let Err(error) = proven.and(cleared) {
            return session.failed(error, "the proof was not finished");
        }
    }
    let nodes = layout::nodes(&spec);
    let domains: Vec<String> = spec
        .registries
        .iter()
        .map(crate::spec::Registry::domain)
        .collect();
    if shared.json {
        let table: Vec<_> = nodes
            .iter()
            .map(|node| json!({"node": node, "state": "proven"}))
            .collect();
        printer.out(
            &json!({"cluster": spec.cluster, "nodes": table, "host": "not proven"}).to_string(),
        );
    } else {
        for node in nodes {
            printer.out(&format!(
                "proven  {node} pulls from {} over verified TLS",
                domains.join(", ")
            ));
        }
    }
    Ok(Exit::Done)
}
