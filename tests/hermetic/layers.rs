//! Which layer decides each setting: flag, variable, `kindreg.toml`, record, default. What nobody sets keeps its value.

use std::collections::BTreeSet;

use kindreg::fakes::{Answer, Machine};
use kindreg::internal::docker::fake::FakeDocker;
use kindreg::internal::observe::recorded;
use kindreg::spec::mistake::{Given, Source};
use kindreg::spec::request::Request;
use kindreg::spec::{Data, HostTrust, KindConfig, Spec};

use crate::cli::kindreg;
use crate::stage::run;
use crate::world::{distribution, open, owned, spec_with_mirrors};

const NODE: &str = "kindest/node:v9";

fn machine() -> Machine {
    let machine = Machine::new().unwrap();
    for image in [NODE, "registry:2"] {
        machine.docker().add_image(image);
    }
    machine
}

#[track_caller]
fn done(answer: &Answer) {
    assert_eq!(answer.code, 0, "{answer:?}");
}

fn file(machine: &Machine, text: &str) {
    std::fs::write(machine.home().join("kindreg.toml"), text).unwrap();
}

async fn record(docker: &FakeDocker) -> Spec {
    let cluster = "kindreg".parse().unwrap();
    recorded(docker, &cluster).await.unwrap().unwrap().current
}

async fn spec_of(machine: &Machine) -> Spec {
    record(machine.docker()).await
}

#[tokio::test]
async fn what_no_flag_says_again_keeps_its_value() {
    for flags in [
        "--workers 2 --port auto",
        "--image kindest/node:v9 --registry-image registry:2 --port 5901",
        "--workers 1 --port 6001 --host a.test --no-auth --no-host-trust",
    ] {
        let machine = machine();
        machine.docker().occupy_port(5001);
        done(&run(&machine, &format!("up {flags}")).await);
        let before = spec_of(&machine).await;
        for line in ["up --dry-run", "up", "up --name kindreg"] {
            let journal = machine.docker().journal();
            let again = run(&machine, line).await;
            done(&again);
            assert_eq!(machine.docker().journal(), journal, "{flags}: {line}");
            assert!(
                line != "up" || again.stdout.starts_with("Nothing to do"),
                "{again:?}"
            );
            assert_eq!(again.stderr, "", "{flags}: {line}");
        }
        assert_eq!(spec_of(&machine).await, before, "{flags}");
        done(&run(&machine, "status").await);
    }
}

#[tokio::test]
async fn a_flag_wins_over_the_file_and_the_file_over_the_record() {
    let machine = machine();
    done(&run(&machine, "up --port 5901 --no-auth").await);
    file(&machine, "[registry.registry]\nport = 5902\n");
    let status = run(&machine, "status").await;
    assert_eq!(status.code, 3);
    assert!(status.stdout.contains("port 5901 → 5902"), "{status:?}");
    let up = run(&machine, "up").await;
    done(&up);
    let note = "kept from the last up, as kindreg.toml does not set it: auth false";
    assert!(up.stderr.contains(note), "{up:?}");
    done(&run(&machine, "up --port 5903 --no-auth=false").await);
    assert_eq!(spec_of(&machine).await.registries[0].port.number(), 5903);
    // Where the file sets it, that is said; what it does not set is kept.
    done(&run(&machine, "up").await);
    let spec = spec_of(&machine).await;
    assert_eq!(spec.registries[0].port.number(), 5902);
    assert_eq!(spec.authenticated().count(), 1);
}

#[tokio::test]
async fn a_file_may_be_left_out_after_its_first_use() {
    let machine = machine();
    let text = "[cluster]\nworkers = 1\ncontrol_planes = 3\nhost_trust = false\n\
                [registry.main]\nhost = \"m.test\"\nport = 6001\nnames = [\"n.test\"]\nkeep_data = true\n\
                [registry.all]\nport = 6002\nmirror_of = \"*\"\n";
    file(&machine, text);
    done(&run(&machine, "up").await);
    let before = spec_of(&machine).await;
    std::fs::remove_file(machine.home().join("kindreg.toml")).unwrap();
    let again = run(&machine, "up").await;
    assert!(again.stdout.starts_with("Nothing to do"), "{again:?}");
    // A file without registries says nothing of them.
    file(&machine, "[cluster]\nname = \"kindreg\"\n");
    let again = run(&machine, "up").await;
    assert!(again.stdout.starts_with("Nothing to do"), "{again:?}");
    assert_eq!(spec_of(&machine).await, before);
    // A flag changes one setting of the only registry that it can mean, and no other.
    std::fs::remove_file(machine.home().join("kindreg.toml")).unwrap();
    let several = run(&machine, "up --port 6005").await;
    assert_eq!(several.code, 2);
    let why = "--port: ambiguous: there are several registries (main, all); set it in kindreg.toml";
    assert!(several.stderr.contains(why), "{several:?}");
    assert_eq!(run(&machine, "status --host x.test").await.code, 2);
    assert_eq!(spec_of(&machine).await, before);
}

#[tokio::test]
async fn what_only_a_file_can_say_goes_with_its_key() {
    let machine = machine();
    let text = "[registry.main]\nport = 6001\nnames = [\"n.test\"]\nkeep_data = true\n";
    file(&machine, text);
    done(&run(&machine, "up").await);
    file(&machine, "[registry.main]\n");
    done(&run(&machine, "up").await);
    let mut spec = spec_of(&machine).await;
    assert_eq!(
        spec.registries[0].port.number(),
        6001,
        "a flag may have set it"
    );
    assert_eq!(spec.registries[0].names.len(), 0);
    assert_eq!(distribution(&mut spec.registries[0]).data, Data::Discard);
    // A registry that is no longer listed was removed from the file.
    file(&machine, "[registry.other]\nport = 6002\n");
    let less = run(&machine, "up").await;
    assert_eq!(less.code, 1);
    assert!(
        less.stderr
            .contains("has a registry main that is no longer configured"),
        "{less:?}"
    );
}

#[tokio::test]
async fn a_kept_value_that_clashes_is_pointed_to_where_its_registry_is_listed() {
    let machine = machine();
    file(&machine, "[registry.a]\nport = 6001\n");
    done(&run(&machine, "up").await);
    file(&machine, "[registry.b]\nport = 6001\n[registry.a]\n");
    let clash = run(&machine, "up").await;
    assert_eq!(clash.code, 2);
    let why = "kindreg.toml:3:11: registry b already has port 6001; use another port";
    assert!(clash.stderr.contains(why), "{clash:?}");
}

#[tokio::test]
async fn a_found_file_of_another_cluster_is_for_new_clusters_only() {
    let machine = machine();
    file(
        &machine,
        "[cluster]\nname = \"first\"\nworkers = 1\n[registry.main]\nport = 6001\n",
    );
    let cluster = "kindreg";
    done(&run(&machine, &format!("up --name {cluster}")).await);
    assert_eq!(spec_of(&machine).await.registries[0].name.as_str(), "main");
    file(
        &machine,
        "[cluster]\nname = \"first\"\nworkers = 4\n[registry.other]\nport = 6009\n",
    );
    let before = spec_of(&machine).await;
    done(&run(&machine, &format!("status --name {cluster}")).await);
    let up = run(&machine, &format!("up --name {cluster}")).await;
    assert!(up.stdout.starts_with("Nothing to do"), "{up:?}");
    let note = "kindreg.toml names another cluster, so it is not used for kindreg; to use it, name it with --config";
    assert!(up.stderr.contains(note), "{up:?}");
    done(&run(&machine, &format!("up --name {cluster} --port 6003")).await);
    let spec = spec_of(&machine).await;
    assert_eq!(spec.registries[0].port.number(), 6003, "a flag counts");
    assert_eq!((spec.registries.len(), spec.target), (1, before.target));
    let named = run(
        &machine,
        &format!("status --name {cluster} --config kindreg.toml"),
    )
    .await;
    assert!(
        named.stdout.contains("0 worker(s)") || named.stdout.contains("not 1 and 4"),
        "{named:?}"
    );
}

#[tokio::test]
async fn a_chosen_password_is_kept() {
    let machine = machine();
    std::fs::write(machine.home().join("pw"), "correct-horse-battery").unwrap();
    done(&run(&machine, "up --user me --password-file pw").await);
    let journal = machine.docker().journal();
    done(&run(&machine, "up").await);
    assert_eq!(machine.docker().journal(), journal);
    let env = run(&machine, "env --show-secrets").await;
    assert!(env.stdout.contains("correct-horse-battery"), "{env:?}");
}

/// A Spec that differs from the defaults in everything that a Spec can say.
fn rich() -> Spec {
    let mut spec = spec_with_mirrors();
    spec.host_trust = HostTrust::Leave;
    let first = &mut spec.registries[0];
    first.host = "h.test".parse().unwrap();
    first.names = vec!["n.test".parse().unwrap()];
    open(first);
    distribution(first).data = Data::Keep;
    distribution(first).image = "registry:2".parse().unwrap();
    let file = "[registry.company]\nbackend = \"external\"\nhost = \"nexus.test\"\nport = 8443\naddress = \"10.0.0.5\"\n\
                username_env = \"U\"\npassword_env = \"P\"\nproof = \"team/base:1\"\n";
    let external = kindreg::spec::file::parse(file, "f", &mut |_| unreachable!()).unwrap();
    let external = external.resolve(&mut |_| unreachable!()).unwrap();
    spec.registries.extend(external.registries);
    let config = "kind: Cluster\nnodes:\n- role: control-plane\n- role: worker\n";
    let owned = owned(&mut spec);
    owned.kind_config = Some(KindConfig::read(config).unwrap());
    owned.workers = "1".parse().unwrap();
    spec
}

/// The text of every value of a Spec, by the path to it.
fn leaves(value: &serde_json::Value, path: &str, all: &mut BTreeSet<(String, String)>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                leaves(value, &format!("{path}.{key}"), all);
            }
        }
        other => drop(all.insert((path.to_owned(), other.to_string()))),
    }
}

#[test]
fn an_empty_request_is_the_record_whatever_that_has() {
    let spec = rich();
    let request = Request {
        cluster: Given::new(spec.cluster.clone(), Source::Flag("--name".to_owned())),
        ..Request::default()
    };
    let over = request.clone().over(&spec).unwrap();
    assert_eq!(over.resolve(&mut |_| unreachable!()).unwrap(), spec);

    // A setting that is new in a Spec differs from its default here, or this test says nothing of it.
    let defaults = request.resolve(&mut |_| unreachable!()).unwrap();
    let leaves = |spec: &Spec| {
        let mut all = BTreeSet::new();
        let mut value = serde_json::to_value(spec).unwrap();
        let first = value["registries"][0].take();
        leaves(&value["target"], "target", &mut all);
        leaves(&first, "registry", &mut all);
        all.insert(("host_trust".to_owned(), value["host_trust"].to_string()));
        all
    };
    let same: Vec<_> = leaves(&spec)
        .intersection(&leaves(&defaults))
        .cloned()
        .collect();
    let same: Vec<&str> = same.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        same,
        [
            "registry.backend.distribution.certificate",
            "registry.name",
            "registry.port",
            "target.owned.control_planes"
        ]
    );
}

#[test]
fn a_mistake_in_a_flag_is_one_mistake_where_a_file_of_another_cluster_is_found() {
    let answer = kindreg(&["render", "--name", "second", "--workers", "x"])
        .file("kindreg.toml", "[cluster]\nname = \"first\"\n")
        .run();
    assert_eq!(answer.code, 2);
    assert_eq!(
        answer.stderr.matches("invalid number of workers").count(),
        1,
        "{answer:?}"
    );
}
