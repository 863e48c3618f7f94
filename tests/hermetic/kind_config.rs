//! A kind configuration of the user's own is kept, and what would break the nodes' trust is refused with the reason.

use std::collections::BTreeMap;

use kindreg::fakes::Machine;
use kindreg::internal::docker::Docker;
use kindreg::internal::kube::fake::Cni;
use kindreg::internal::render;
use kindreg::spec::{ImageRef, KindConfig, Spec, Target};
use serde_yaml::Value;

use crate::config::with_files;
use crate::stage::run;

const THEIRS: &str = r#"
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  ipFamily: dual
  disableDefaultCNI: false
featureGates:
  InPlacePodVerticalScaling: true
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  maxPods: 200
containerdConfigPatches:
- |-
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
nodes:
- role: control-plane
  image: kindest/node:v1.33.0
  labels: {tier: "yes"}
- role: worker
  extraMounts:
  - hostPath: ./data
    containerPath: /data
- role: worker
"#;

fn spec(toml: &str, theirs: &str) -> Spec {
    let request = with_files(toml, &BTreeMap::from([("kind.yaml", theirs)])).unwrap();
    request.resolve(&mut |_| panic!("no port is auto")).unwrap()
}

fn text(spec: &Spec) -> String {
    let Target::Owned(owned) = &spec.target;
    render::kind_config(&spec.cluster, owned).unwrap()
}

const USES: &str = "[cluster]\nkind_config = \"kind.yaml\"\n";

fn rendered(theirs: &str) -> Value {
    serde_yaml::from_str(&text(&spec(USES, theirs))).unwrap()
}

fn complaint(theirs: &str) -> String {
    KindConfig::read(theirs).unwrap_err().join("; ")
}

#[test]
fn it_is_merged_and_nothing_of_it_is_lost() {
    let spec = spec(USES, THEIRS);
    let Target::Owned(owned) = &spec.target;
    assert_eq!(
        (owned.control_planes.number(), owned.workers.number()),
        (1, 2)
    );
    crate::snapshot::same("merged.yaml", &text(&spec));

    let (merged, theirs) = (
        rendered(THEIRS),
        serde_yaml::from_str::<Value>(THEIRS).unwrap(),
    );
    for key in ["networking", "featureGates"] {
        assert_eq!(merged[key], theirs[key], "{key}");
    }
    // kind applies them in order, so the user's own, the last one, wins.
    let patches = merged["kubeadmConfigPatches"].as_sequence().unwrap();
    assert_eq!(
        (patches.len(), &patches[1]),
        (2, &theirs["kubeadmConfigPatches"][0])
    );
    assert!(patches[0].as_str().unwrap().contains("kube-api-qps"));
    assert_eq!(merged["name"], "kindreg");
    assert_eq!(merged["nodes"][0], theirs["nodes"][0]);
    assert_eq!(merged["nodes"][1]["image"], ImageRef::node().as_str());
    assert_eq!(
        merged["nodes"][1]["extraMounts"],
        theirs["nodes"][1]["extraMounts"]
    );
    let patches = merged["containerdConfigPatches"].as_sequence().unwrap();
    assert_eq!(
        (patches.len(), &patches[0]),
        (2, &theirs["containerdConfigPatches"][0])
    );
    assert!(patches[1].as_str().unwrap().contains("config_path"));
}

#[test]
fn without_nodes_of_its_own_the_file_says_how_many() {
    let spec = spec(
        "[cluster]\nkind_config = \"kind.yaml\"\nworkers = 2\ncontrol_planes = 3\n",
        "kind: Cluster\n",
    );
    let merged: Value = serde_yaml::from_str(&text(&spec)).unwrap();
    assert_eq!(merged["nodes"].as_sequence().unwrap().len(), 5);
    assert_eq!(merged["apiVersion"], "kind.x-k8s.io/v1alpha4");
    for empty in [
        "{}",
        "nodes: []\ncontainerdConfigPatches: []",
        "nodes:\ncontainerdConfigPatches:\nname:",
    ] {
        if empty.ends_with("name:") {
            assert!(complaint(empty).contains("`name` must be a string"));
            continue;
        }
        assert_eq!(
            rendered(empty)["nodes"].as_sequence().unwrap().len(),
            1,
            "{empty}"
        );
    }
}

#[test]
fn config_path_is_set_once_and_to_our_folder() {
    let patch = |plugin: &str, setting: &str| {
        format!("containerdConfigPatches:\n- |\n  [plugins.\"{plugin}\".registry]\n    {setting}\n")
    };
    for (plugin, patches) in [
        ("io.containerd.grpc.v1.cri", 1),
        // containerd 1 does not know this one.
        ("io.containerd.cri.v1.images", 2),
    ] {
        let merged = rendered(&patch(plugin, "config_path = \"/etc/containerd/certs.d\""));
        assert_eq!(
            merged["containerdConfigPatches"]
                .as_sequence()
                .unwrap()
                .len(),
            patches,
            "{plugin}"
        );
        for other in [
            "\"/etc/other\"",
            "\"/etc/containerd/certs.d:/etc/docker/certs.d\"",
            "3",
        ] {
            let said = complaint(&patch(plugin, &format!("config_path = {other}")));
            assert!(said.contains("which kindreg writes to"), "{said}");
        }
    }
}

#[test]
fn what_would_break_trust_is_refused_with_the_reason() {
    let patch = |text: &str| {
        format!(
            "containerdConfigPatches:\n- |\n  {}\n",
            text.replace('\n', "\n  ")
        )
    };
    let cri = "plugins.\"io.containerd.grpc.v1.cri\".registry";
    for (theirs, why) in [
        (patch("version = 3\n[debug]\nlevel = \"debug\""), "kind silently skips the patch"),
        (patch("version = 2"), "kind silently skips the patch"),
        (patch(&format!("[{cri}.mirrors.\"docker.io\"]\nendpoint = [\"http://x\"]")), "containerd does not load its CRI plug-in"),
        (patch(&format!("[{cri}.configs.\"a.test\".tls]\ninsecure_skip_verify = true")), "containerd does not load its CRI plug-in"),
        (patch("no toml"), "invalid TOML"),
        ("containerdConfigPatches: [3]".to_owned(), "must be a string"),
        ("containerdConfigPatches: 3".to_owned(), "must be a list"),
        ("kubeadmConfigPatches: 3".to_owned(), "must be a list"),
        (
            "containerdConfigPatchesJSON6902: ['[{\"op\":\"add\",\"path\":\"/plugins/io.containerd.grpc.v1.cri/registry/mirrors\"}]']".to_owned(),
            "kindreg sets them",
        ),
        (
            "containerdConfigPatchesJSON6902: ['[{\"op\":\"replace\",\"path\":\"/plugins\",\"value\":{}}]']".to_owned(),
            "kindreg sets them",
        ),
        (
            "containerdConfigPatchesJSON6902: ['[{\"op\":\"remove\",\"path\":\"/plugins/io.containerd.cri.v1.images\"}]']".to_owned(),
            "kindreg sets them",
        ),
        (
            "containerdConfigPatchesJSON6902: ['[{\"op\":\"add\",\"path\":\"\",\"value\":{}}]']".to_owned(),
            "kindreg sets them",
        ),
        (
            "containerdConfigPatchesJSON6902: ['[{\"op\":\"move\",\"from\":\"/plugins/io.containerd.grpc.v1.cri/registry\",\"path\":\"/x\"}]']".to_owned(),
            "kindreg sets them",
        ),
        ("containerdConfigPatchesJSON6902: ['3']".to_owned(), "must be a list of operations"),
        ("nodes: [{extraMounts: [{hostPath: /x, containerPath: /etc/containerd/certs.d}]}]".to_owned(), "kindreg writes there"),
        ("nodes: [{extraMounts: [{hostPath: /x, containerPath: /etc//containerd/../containerd/}]}]".to_owned(), "kindreg writes there"),
        ("nodes: [{extraMounts: [{hostPath: /x, containerPath: /etc/containerd/certs.d/a.test}]}]".to_owned(), "kindreg writes there"),
        ("nodes: [{role: worker}]".to_owned(), "1, 3 or 5"),
        ("nodes: [{role: control-plane}, {role: control-plane}]".to_owned(), "1, 3 or 5"),
        ("nodes: [{role: loadbalancer}]".to_owned(), "nodes[0].role must be control-plane or worker"),
        ("nodes: [{image: 'a b'}]".to_owned(), "nodes[0].image must be an image reference"),
        ("nodes: [3]".to_owned(), "must be a mapping"),
        ("kind: Pod".to_owned(), "`kind` must be \"Cluster\""),
        ("apiVersion: v1".to_owned(), "`apiVersion` must be \"kind.x-k8s.io/v1alpha4\""),
        ("name: 3".to_owned(), "`name` must be a string"),
        ("- a".to_owned(), "must be a YAML mapping"),
        ("a: [".to_owned(), "invalid YAML"),
        ("a: 1\n---\nb: 2".to_owned(), "invalid YAML"),
        (format!("nodes: [{}{{}}]", "{role: worker}, ".repeat(51)), "must be between 0 and 50"),
    ] {
        let said = complaint(&theirs);
        assert!(said.contains(why), "{theirs}\n{said}");
        // The same by the file, at the key that names it.
        let said = with_files(USES, &BTreeMap::from([("kind.yaml", theirs.as_str())])).unwrap_err();
        assert!(said[0].starts_with("kindreg.toml:2:15: kind.yaml: "), "{said:?}");
    }
    assert!(
        KindConfig::read("nodes: [{extraMounts: [{hostPath: /x, containerPath: /etc/ssl}]}]")
            .is_ok()
    );
}

#[test]
fn all_that_is_wrong_with_it_is_said_beside_what_is_wrong_with_the_file() {
    let theirs = "kind: Pod\nnodes: [{role: x}]\ncontainerdConfigPatches: [3]\n";
    let toml = "[cluster]\nkind_config = \"kind.yaml\"\nworker = 1\n";
    let said = with_files(toml, &BTreeMap::from([("kind.yaml", theirs)])).unwrap_err();
    assert_eq!(said.len(), 4, "{said:#?}");
}

#[test]
fn what_it_says_and_what_the_file_says_may_not_differ() {
    let with = |toml: &str, theirs: &str| {
        let toml = format!("[cluster]\nkind_config = \"kind.yaml\"\n{toml}");
        with_files(&toml, &BTreeMap::from([("kind.yaml", theirs)])).map_err(|said| said.join("; "))
    };
    let said = with("workers = 1", THEIRS).unwrap_err();
    assert!(
        said.starts_with(
            "kindreg.toml:3:11: 1 worker(s) requested, but the kind configuration lists 2"
        ),
        "{said}"
    );
    let said = with("control_planes = 3", THEIRS).unwrap_err();
    assert!(said.contains("3 control plane(s) requested"), "{said}");
    assert!(with("workers = 2\ncontrol_planes = 1", THEIRS).is_ok());

    let said = with("name = \"a\"", "name: b").unwrap_err();
    assert!(
        said.contains("the kind configuration names the cluster \"b\", not a"),
        "{said}"
    );
    assert!(with("", "name: b").is_err());
    assert!(with("name = \"b\"", "name: b").is_ok());

    let ports = "nodes: [{extraPortMappings: [{containerPort: 80, hostPort: 5001}]}]";
    assert!(
        with("", ports)
            .unwrap_err()
            .contains("registry registry and extraPortMappings both use port 5001")
    );
    assert!(
        with_files(
            &format!("{USES}[registry.a]\nport = 5002"),
            &BTreeMap::from([("kind.yaml", ports)])
        )
        .is_ok()
    );
}

#[test]
fn a_changed_comment_is_no_other_request() {
    let other = THEIRS.replace("featureGates:", "# why\nfeatureGates:   # so");
    assert_eq!(spec(USES, THEIRS), spec(USES, &other));
    let spec = spec(USES, THEIRS);
    let again: Spec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(again, spec);
}

/// What a setting of the user's must still be in the merged configuration. Only kindreg's own image and patch may come
/// after it.
fn kept(theirs: &Value, merged: &Value, path: &str) {
    match (theirs, merged) {
        (Value::Mapping(theirs), Value::Mapping(merged)) => {
            for (key, value) in theirs {
                let path = format!("{path}.{}", key.as_str().unwrap());
                kept(value, &merged[key], &path);
            }
        }
        (Value::Sequence(theirs), Value::Sequence(merged)) => {
            for (number, value) in theirs.iter().enumerate() {
                kept(value, &merged[number], &format!("{path}[{number}]"));
            }
        }
        _ => assert_eq!(theirs, merged, "{path}"),
    }
}

#[test]
fn each_setting_that_people_use_is_kept() {
    for theirs in [
        "networking: {ipFamily: ipv6, apiServerAddress: '::1'}",
        "networking: {ipFamily: dual, podSubnet: '10.8.0.0/16,fd00:8::/56', serviceSubnet: '10.9.0.0/16,fd00:9::/112'}",
        "networking: {podSubnet: 10.8.0.0/16, serviceSubnet: 10.9.0.0/16, dnsSearch: [a.test, b.test]}",
        "networking: {disableDefaultCNI: true, kubeProxyMode: none}",
        "networking: {apiServerAddress: 0.0.0.0, apiServerPort: 6443}",
        "featureGates: {InPlacePodVerticalScaling: true, Other: false}\nruntimeConfig: {api/alpha: 'true'}",
        "kubeadmConfigPatches:\n- |\n  kind: ClusterConfiguration\n  apiVersion: kubeadm.k8s.io/v1beta3\n  \
         apiServer: {extraArgs: {v: '4'}}\n- |\n  kind: ClusterConfiguration\n  apiVersion: kubeadm.k8s.io/v1beta4\n  \
         apiServer: {extraArgs: [{name: v, value: '4'}]}",
        "kubeadmConfigPatchesJSON6902:\n- {group: kubeadm.k8s.io, version: v1beta4, kind: ClusterConfiguration, patch: '[]'}",
        "nodes:\n- role: control-plane\n  kubeadmConfigPatches: ['kind: InitConfiguration']\n  labels: {a: b}\n  \
         extraMounts: [{hostPath: ./data, containerPath: /data, readOnly: true, propagation: HostToContainer}]\n  \
         extraPortMappings: [{containerPort: 80, hostPort: 8080, listenAddress: 127.0.0.1, protocol: UDP}]\n\
         - {role: worker, image: 'mine/node:1'}",
        "containerdConfigPatches:\n- |-\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    sandbox_image = \"mine/pause:1\"",
        "containerdConfigPatchesJSON6902: ['[{\"op\":\"add\",\"path\":\"/debug\",\"value\":{\"level\":\"debug\"}}]']",
    ] {
        let (mut merged, theirs) = (
            rendered(theirs),
            serde_yaml::from_str::<Value>(theirs).unwrap(),
        );
        // Ours is the first, so that theirs win.
        let patches = merged["kubeadmConfigPatches"].as_sequence_mut().unwrap();
        assert!(patches.remove(0).as_str().unwrap().contains("kube-api-qps"));
        kept(&theirs, &merged, "");
        let patches = merged["containerdConfigPatches"].as_sequence().unwrap();
        let last = patches.last().unwrap().as_str().unwrap();
        assert!(
            last.contains("config_path = \"/etc/containerd/certs.d\""),
            "{last}"
        );
    }
}

#[test]
fn a_port_that_is_chosen_is_none_that_a_node_publishes() {
    let ports = "nodes: [{extraPortMappings: [{containerPort: 80, hostPort: 5001}, {containerPort: 81, hostPort: 5002}]}]";
    let toml = format!("{USES}[registry.a]\nport = \"auto\"\n");
    let request = with_files(&toml, &BTreeMap::from([("kind.yaml", ports)])).unwrap();
    let rendered = kindreg::ops::render(&request).unwrap();
    let spec = rendered
        .texts
        .iter()
        .find(|text| text.name == "request.json");
    let spec: Spec = serde_json::from_str(&spec.unwrap().text).unwrap();
    assert_eq!(spec.registries[0].port.number(), 5003);
}

/// A machine whose user has this kind configuration.
fn machine(theirs: &str) -> Machine {
    let machine = Machine::new().unwrap();
    std::fs::write(machine.home().join("kindreg.toml"), USES).unwrap();
    std::fs::write(machine.home().join("kind.yaml"), theirs).unwrap();
    machine
}

const NO_CNI: &str = "networking: {disableDefaultCNI: true}";

#[tokio::test]
async fn without_a_cni_plugin_nodes_are_proven_and_what_is_missing_is_said() {
    let machine = machine(NO_CNI);
    machine.kube("kindreg-control-plane").set_cni(Cni::Missing);
    let up = run(&machine, "up --yes").await;
    assert_eq!(up.code, 0, "{}", up.stderr);
    for words in [
        "install a CNI plug-in",
        "kubectl --context kind-kindreg apply -f FILE",
        "✓ proof of registry.test:5001",
    ] {
        assert!(up.stderr.contains(words), "{words}: {}", up.stderr);
    }
    let again = run(&machine, "up").await;
    assert!(again.stdout.starts_with("Nothing to do"), "{again:?}");
    let status = run(&machine, "status").await;
    assert_eq!(status.code, 0, "{}", status.stdout);

    // A node whose kubelet does not report is not registered.
    let docker = machine.docker();
    docker.end_process("kindreg-control-plane", 1);
    let status = run(&machine, "status").await;
    assert_eq!(status.code, 3, "{}", status.stdout);
    assert!(
        status.stdout.contains("missing  node registration"),
        "{}",
        status.stdout
    );
}

#[tokio::test]
async fn once_a_cni_plugin_is_there_nothing_is_said() {
    let machine = machine(NO_CNI);
    let up = run(&machine, "up --yes").await;
    assert_eq!(up.code, 0, "{}", up.stderr);
    assert!(!up.stderr.contains("CNI"), "{}", up.stderr);
}

#[tokio::test]
async fn with_kinds_own_cni_plugin_a_node_that_is_not_ready_is_seen() {
    let machine = machine("networking: {disableDefaultCNI: false}");
    let up = run(&machine, "up --yes").await;
    assert_eq!(up.code, 0, "{}", up.stderr);
    machine.kube("kindreg-control-plane").set_cni(Cni::Missing);
    let status = run(&machine, "status").await;
    assert_eq!(status.code, 3, "{}", status.stdout);
    assert!(
        status.stdout.contains("missing  node readiness"),
        "{}",
        status.stdout
    );
}

#[tokio::test]
async fn ipv6_that_is_asked_for_is_not_left_out() {
    for (family, code) in [("ipv6", 1), ("dual", 1), ("ipv4", 0)] {
        let machine = machine(&format!("networking: {{ipFamily: {family}}}"));
        machine.docker().remove_ipv6();
        let up = run(&machine, "up --yes").await;
        assert_eq!(up.code, code, "{family}: {}", up.stderr);
        let said = up
            .stderr
            .contains("can't create network kindreg-kindreg with IPv6");
        assert_eq!(said, code == 1, "{}", up.stderr);
        let made = machine.docker().network("kindreg-kindreg").await.unwrap();
        assert_eq!(made.is_some(), code == 0);
    }
}
