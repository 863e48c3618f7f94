//! README.md shows what `--json` prints: the same keys, and values of the same kind.

use std::collections::BTreeMap;

use kindreg::ops::{self, Negative, UpOptions, Verify};
use kindreg::report;
use kindreg::spec::mistake::{Given, Source};
use kindreg::spec::request::Request;
use serde_json::{Value, json};

use crate::world::{NODE_IMAGE, World};

/// The examples of README.md, by the command that is typed above each.
fn examples() -> BTreeMap<String, Value> {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```console\n$ kindreg ").skip(1);
    let shown = blocks.filter_map(|block| {
        let (command, rest) = block.split_once('\n')?;
        let product = rest.split_once("\n```")?.0;
        let command = command.strip_suffix(" --json | jq .")?;
        let value = serde_json::from_str(product);
        Some((
            command.to_owned(),
            value.unwrap_or_else(|error| panic!("{command}: {error}")),
        ))
    });
    shown.collect()
}

/// Every key on every level, with the kind of its value; of arrays, what their first element has.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            let shaped = sorted
                .into_iter()
                .map(|(key, value)| (key.clone(), shape(value)));
            Value::Object(shaped.collect())
        }
        Value::Array(values) => json!(values.iter().map(shape).next()),
        // What may be absent is shown as it may be, too.
        Value::Null | Value::String(_) => json!("text or null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
    }
}

pub(crate) fn request(world: &World) -> Request {
    let flag = || Source::Flag("test".to_owned());
    Request {
        cluster: Given::new(world.spec.cluster.clone(), flag()),
        workers: Given::new("2".parse().unwrap(), flag()),
        node_image: Given::new(NODE_IMAGE.parse().unwrap(), flag()),
        ..Request::default()
    }
}

/// What the program prints for each of them, in a small world.
async fn products() -> BTreeMap<String, Value> {
    let world = World::new();
    let (client, cluster) = (world.client(), &world.spec.cluster);
    let request = request(&world);
    let preview = ops::preview(&client, &request, Verify::EveryNode).await;
    let options = UpOptions::default();
    let made = ops::up(&client, &request, &options, &ops::Nobody).await;
    let made = made.unwrap().report;
    // Something has to differ, so that `differs` has an element.
    world.docker.end_process("c-control-plane", 1);
    let status = ops::status(&client, &request).await.unwrap();
    let list = ops::list(&client).await.unwrap();
    world.up().await.unwrap();
    let verified = ops::verify(&client, cluster, Negative::LeftOut).await;
    let verified = verified.unwrap();
    assert!(verified.failure.is_none(), "{:?}", verified.failure);
    let removed = ops::down(&client, cluster).await.unwrap().report;
    BTreeMap::from([
        ("down".to_owned(), json!(removed)),
        ("status".to_owned(), json!(status)),
        ("list".to_owned(), json!(list)),
        ("verify --strict".to_owned(), json!(verified.report)),
        ("up".to_owned(), json!(made)),
        ("up --dry-run".to_owned(), json!(preview.unwrap())),
    ])
}

#[tokio::test]
async fn the_readme_s_examples_have_the_keys_that_the_program_prints() {
    let (examples, products) = (examples(), products().await);
    assert_eq!(
        examples.keys().collect::<Vec<_>>(),
        products.keys().collect::<Vec<_>>()
    );
    for (command, product) in products {
        assert_eq!(shape(&examples[&command]), shape(&product), "{command}");
    }
}

#[tokio::test]
async fn a_node_that_can_t_pull_is_in_the_table_beside_those_that_can() {
    let world = World::new();
    world.up().await.unwrap();
    let x509 = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    world.kube.pod_fails("c-worker2", "ErrImagePull", x509);
    let client = world.client();
    let proof = ops::verify(&client, &world.spec.cluster, Negative::Proven).await;
    let proof = proof.unwrap();
    let (verification, failure) = (proof.report, proof.failure.unwrap());
    assert_eq!(
        kindreg::internal::hints::exit(&failure),
        kindreg::internal::problem::Exit::NotReady
    );
    let table = json!(verification)["nodes"].clone();
    // The fake's other nodes pull whatever they are told to.
    let row = |node: &str, pull: &str, why: Value, without: &str| json!({"node": node, "registry": "registry.test:5001", "pull": pull, "why": why, "withoutCa": without});
    let why = json!(format!("ErrImagePull: {x509}"));
    assert_eq!(
        table,
        json!([
            row("c-control-plane", "proven", Value::Null, "not refused"),
            row("c-worker", "proven", Value::Null, "not refused"),
            row("c-worker2", "refused", why, "refused"),
        ])
    );

    // Nothing is waited for where there is nobody to pull, and nothing is known where there is nothing to pull.
    world.docker.end_process("c-worker", 1);
    let proof = ops::verify(&client, &world.spec.cluster, Negative::LeftOut).await;
    let row = &proof.unwrap().report.nodes[1];
    assert_eq!(row.pull, report::Pull::Refused);
    assert_eq!(row.why.as_deref(), Some("the node is stopped"));
}
