//! A second `up` makes one round of reads, and writes nothing anywhere.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::{Scene, concerns_us, docker, docker_lines, kubectl, nodes, sh};

/// What the engine calls reads: archives taken out of containers, volumes mounted for that, commands in nodes.
/// (`extract-to-dir` would be an archive put into one.)
const READS: [&str; 7] = [
    "container archive-path",
    "container exec_create",
    "container exec_start",
    "container exec_die",
    "volume mount",
    "volume unmount",
    "image tag-none",
];

/// All that a write would change.
#[derive(Debug, PartialEq, Eq)]
struct World {
    node_diffs: Vec<String>,
    node_files: Vec<String>,
    config_map: String,
}

#[track_caller]
fn world(scene: &Scene) -> World {
    let nodes = nodes(scene.cluster);
    let diff = |node: &String| {
        let mut lines = docker_lines(&["diff", node]);
        lines.sort();
        lines.join("\n")
    };
    // Content changes too, which a list of changed paths does not show.
    let files = "find /etc/containerd /var/lib/kindreg -printf '%p %i %T@ %C@\n' | sort";
    World {
        node_diffs: nodes.iter().map(diff).collect(),
        node_files: nodes.iter().map(|node| sh(node, files)).collect(),
        config_map: kubectl(
            scene.cluster,
            &[
                "get",
                "configmap",
                "-n",
                "kube-public",
                "local-registry-hosting",
                "-o=jsonpath={.metadata.resourceVersion}",
            ],
        ),
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// `up` of a cluster that is as it should be.
#[track_caller]
pub(crate) fn a_second_up_only_reads(scene: &Scene) {
    let before = world(scene);
    // docker's clock is the same one; the events of what came before are past.
    std::thread::sleep(Duration::from_millis(300));
    let since = now();
    let up = scene
        .up(&["--workers", "2"])
        .run()
        .exits(0)
        .prints("Nothing to do: cluster");
    println!("   up again {:.3} s", up.took.as_secs_f64());
    assert_eq!(up.stderr, "", "there was nothing to say");
    std::thread::sleep(Duration::from_millis(300));
    let until = now();
    assert_eq!(world(scene), before);
    let events = events(since, until);
    println!(
        "   its events: {}",
        events
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    );
    for event in events {
        assert!(READS.contains(&event.as_str()), "the engine saw {event}");
    }
}

/// The kinds of events of that time.
#[track_caller]
fn events(since: Duration, until: Duration) -> BTreeSet<String> {
    let time = |time: Duration| format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    let said = docker(&[
        "events",
        "--since",
        &time(since),
        "--until",
        &time(until),
        "--format",
        "{{json .}}",
    ]);
    let lines = said.lines().filter(|line| concerns_us(line));
    let events = lines.map(|line| serde_json::from_str(line).unwrap());
    events
        .map(|event: Value| {
            let action = event["Action"].as_str().unwrap();
            // `exec_create: sh -c …`
            let action = action.split(':').next().unwrap();
            format!("{} {action}", event["Type"].as_str().unwrap())
        })
        .collect()
}
