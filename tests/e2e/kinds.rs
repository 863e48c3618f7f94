//! Clusters other than the plain one: several control planes, the kind configurations that people have, other versions of
//! kind. They take minutes, so `make soak` has them: `tests/e2e/run soak kinds::`.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Call, Kubeconfig, Loaded, Scene, attempt, docker, docker_lines, kubectl, nodes, scratch,
    setting, sh,
};

/// A folder with settings of the user's.
fn settings(files: &[(&str, &str)]) -> (TempDir, String) {
    let folder = scratch();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let config = folder.path().join("kindreg.toml");
    (folder, config.display().to_string())
}

/// What `status` says: its exit code decides, and its parts that are not ready are named.
#[track_caller]
fn drift(scene: &Scene, code: i32) -> Vec<String> {
    let status = scene.call(&["status", "--json", "--name", scene.cluster]);
    // With the settings that the record has.
    let status = status.without("KINDREG_IMAGE");
    let status: Value = serde_json::from_str(&status.run().exits(code).stdout).unwrap();
    let parts = status["parts"].as_array().unwrap().iter();
    let parts = parts.filter(|part| part["state"] != "ready");
    parts
        .map(|part| format!("{}: {}", part["id"].as_str().unwrap(), part["why"]))
        .collect()
}

#[track_caller]
fn is_proven(scene: &Scene, number: usize) {
    let verify = scene.call(&["verify", "--json", "--name", scene.cluster]);
    let verify: Value = serde_json::from_str(&verify.run().exits(0).stdout).unwrap();
    let nodes = verify["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), number, "{nodes:?}");
    assert!(
        nodes.iter().all(|node| node["pull"] == "proven"),
        "{nodes:?}"
    );
}

#[test]
#[ignore = "takes minutes: make soak"]
fn three_control_planes_stand_behind_a_load_balancer() {
    control_planes("e2e-planes", 5953, 3);
}

/// The walk of several control planes.
#[track_caller]
fn control_planes(cluster: &'static str, port: u16, number: usize) {
    let _loaded = Loaded::load_balancers();
    let scene = Scene::new(cluster, port, Kubeconfig::Other);
    let toml = format!("[cluster]\ncontrol_planes = {number}\nworkers = 1\n");
    let (_folder, config) = settings(&[("kindreg.toml", &toml)]);
    let up = || scene.up(&["--config", &config]);
    let all = number + 1;
    up().run()
        .exits(0)
        .prints(&format!("Ready: {all} nodes of cluster {cluster} pulled"));
    scene.has_nodes(all);
    let balancer = format!("{cluster}-external-load-balancer");
    let ours = "find / -xdev -name '*kindreg*' -o -xdev -name certs.d";
    assert_eq!(sh(&balancer, ours), "", "it needs no registry");
    up().run().exits(0).prints("Nothing to do");
    assert_eq!(drift(&scene, 0), [""; 0]);
    is_proven(&scene, all);

    // Its trust is lost on the last control plane, and comes back.
    let last = format!("{cluster}-control-plane{number}");
    let folder = format!("/etc/containerd/certs.d/{}", scene.domain());
    sh(&last, &format!("rm {folder}/hosts.toml"));
    let said = drift(&scene, 3);
    assert!(said.iter().any(|line| line.contains(&last)), "{said:?}");
    up().run().exits(0);
    assert_eq!(drift(&scene, 0), [""; 0]);

    // One after the other restarts. The others have a quorum.
    let planes = nodes(cluster).into_iter();
    for plane in planes.filter(|node| node.contains("control-plane")) {
        println!("   restart {plane}");
        docker(&["restart", &plane]);
        up().run().exits(0);
        assert_eq!(drift(&scene, 0), [""; 0]);
        is_proven(&scene, all);
    }

    // Without the load balancer, workers reach no API server.
    docker(&["stop", "-t", "1", &balancer]);
    assert_eq!(
        drift(&scene, 3)[0],
        format!("node.containers: \"not running: {balancer}\"")
    );
    up().run().exits(0);
    assert_eq!(drift(&scene, 0), [""; 0]);
    is_proven(&scene, all);

    scene.down().run().exits(0).prints("Removed: cluster");
    scene.is_as_before();
}

/// A folder of the engine's host is mounted, and a kubeadm patch is there in the form of each API version: kind takes the
/// one that the node's Kubernetes speaks.
const MANY: &str = r#"
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  podSubnet: 10.8.0.0/16
  serviceSubnet: 10.9.0.0/16
featureGates: {AllAlpha: false}
kubeadmConfigPatches:
- |
  kind: ClusterConfiguration
  apiVersion: kubeadm.k8s.io/v1beta3
  apiServer: {extraArgs: {v: "3"}}
- |
  kind: ClusterConfiguration
  apiVersion: kubeadm.k8s.io/v1beta4
  apiServer: {extraArgs: [{name: v, value: "3"}]}
- |
  kind: KubeletConfiguration
  maxPods: 77
containerdConfigPatches:
- |-
  [debug]
    level = "info"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "/etc/containerd/certs.d"
containerdConfigPatchesJSON6902:
- '[{"op": "add", "path": "/oom_score", "value": -1}]'
nodes:
- role: control-plane
  labels: {tier: front}
  extraMounts: [{hostPath: FOLDER, containerPath: /data, readOnly: true}]
  extraPortMappings: [{containerPort: 30080, hostPort: 5957, listenAddress: 127.0.0.1}]
- role: worker
"#;

#[test]
#[ignore = "takes minutes: make soak"]
fn what_people_write_into_a_kind_configuration_goes_together() {
    let scene = Scene::new("e2e-config", 5954, Kubeconfig::Absent);
    let (folder, config) =
        settings(&[("kindreg.toml", "[cluster]\nkind_config = \"kind.yaml\"\n")]);
    let mounted = folder.path().display().to_string();
    fs::write(
        folder.path().join("kind.yaml"),
        MANY.replace("FOLDER", &mounted),
    )
    .unwrap();
    let up = || scene.up(&["--config", &config]);
    up().run()
        .exits(0)
        .prints("Ready: 2 nodes of cluster e2e-config pulled");
    scene.has_nodes(2);
    let [plane, worker] = nodes(scene.cluster).try_into().unwrap();

    assert!(sh(&plane, "ls /data").contains("kind.yaml"));
    assert_eq!(docker(&["port", &plane, "30080"]).trim(), "127.0.0.1:5957");
    let node = |path: &str| kubectl(scene.cluster, &["get", "node", &plane, "-o", path]);
    assert_eq!(node("jsonpath={.status.capacity.pods}"), "77");
    assert_eq!(node("jsonpath={.metadata.labels.tier}"), "front");
    let range = node("jsonpath={.spec.podCIDR}");
    assert!(range.starts_with("10.8."), "{range}");
    let arguments = sh(&plane, "cat /etc/kubernetes/manifests/kube-apiserver.yaml");
    for argument in ["--v=3", "AllAlpha=false", "10.9.0.0/16"] {
        assert!(arguments.contains(argument), "{argument}: {arguments}");
    }
    for node in [&plane, &worker] {
        let containerd = sh(node, "cat /etc/containerd/config.toml");
        for setting in [
            "level = \"info\"",
            "oom_score = -1",
            "config_path = \"/etc/containerd/certs.d\"",
        ] {
            assert!(containerd.contains(setting), "{setting}: {containerd}");
        }
    }
    up().run().exits(0).prints("Nothing to do");
    is_proven(&scene, 2);
    scene.down().run().exits(0);
    scene.is_as_before();
}

/// The registry answers at its IPv6 address too, with a certificate that is verified.
#[track_caller]
fn answers_over_ipv6(scene: &Scene, node: &str) {
    let domain = scene.domain();
    let ca = format!("/etc/containerd/certs.d/{domain}/ca.crt");
    let said = sh(
        node,
        &format!(
            "curl -6 -sS -o /dev/null -w '%{{http_code}} %{{remote_ip}}' --cacert {ca} https://{domain}/v2/"
        ),
    );
    assert!(said.starts_with("401 fd"), "{said}");
}

/// The bed's own CNI plug-in knows no IPv6, so the nodes have none.
#[test]
#[ignore = "takes minutes: make soak"]
fn nodes_with_ipv6_and_without_a_cni_plugin_are_proven() {
    for family in ["ipv6", "dual"] {
        println!("   ipFamily {family}");
        let scene = Scene::new("e2e-bare", 5955, Kubeconfig::Absent);
        let kind = format!(
            "networking: {{ipFamily: {family}, disableDefaultCNI: true}}\n\
             nodes: [{{role: control-plane}}, {{role: worker}}]\n"
        );
        let toml = "[cluster]\nkind_config = \"kind.yaml\"\n";
        let (_folder, config) = settings(&[("kindreg.toml", toml), ("kind.yaml", &kind)]);
        let up = || scene.up(&["--config", &config]);
        let made = up().run().exits(0);
        made.prints("Ready: 2 nodes of cluster e2e-bare pulled")
            .says("install a CNI plug-in, as networking.disableDefaultCNI is set");
        let get = |path: &str| kubectl(scene.cluster, &["get", "nodes", "-o", path]);
        let ready = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
        assert_eq!(get(ready), "False False");
        let addresses = get("jsonpath={.items[0].status.addresses[*].address}");
        assert!(addresses.contains("fd"), "{addresses}");
        for node in nodes(scene.cluster) {
            answers_over_ipv6(&scene, &node);
        }
        up().run().exits(0).prints("Nothing to do");
        assert_eq!(drift(&scene, 0), [""; 0]);
        is_proven(&scene, 2);
        scene.down().run().exits(0);
        scene.is_as_before();
    }
}

/// kind 0.30 speaks kubeadm's v1beta3 alone, so its nodes have the oldest Kubernetes. Its load balancer is haproxy.
#[test]
#[ignore = "takes minutes: make soak"]
fn kind_0_30_does_as_well() {
    let chosen = "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a";
    let _loaded = Loaded::load_balancers();
    other_kind("0.30.0", chosen, &setting("KINDREG_BED_IMAGE_OLDEST"), 3);
}

#[test]
#[ignore = "takes minutes: make soak"]
fn kind_0_32_does_as_well() {
    let chosen = "kindest/node:v1.36.1@sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5";
    other_kind("0.32.0", chosen, &setting("KINDREG_IMAGE"), 1);
}

/// The walk with another version of kind, which would choose the image `chosen`.
#[track_caller]
fn other_kind(version: &str, chosen: &str, image: &str, control_planes: usize) {
    let kinds = PathBuf::from(setting("KINDREG_BED_KINDS"));
    let path = format!("{}:{}", kinds.join(version).display(), setting("PATH"));
    let scene = Scene::new("e2e-kind", 5956, Kubeconfig::Other);
    let with = |call: Call| call.env("PATH", &path);
    let dry = with(scene.up(&["--dry-run"]))
        .without("KINDREG_IMAGE")
        .run();
    dry.exits(0).prints(&format!("missing  image {chosen}"));
    let toml = format!("[cluster]\ncontrol_planes = {control_planes}\nworkers = 1\n");
    let (_folder, config) = settings(&[("kindreg.toml", &toml)]);
    let up = || with(scene.up(&["--config", &config, "--image", image]));
    let all = control_planes + 1;
    let made = up().run().exits(0);
    made.prints(&format!("Ready: {all} nodes of cluster e2e-kind pulled"));
    up().run().exits(0).prints("Nothing to do");
    is_proven(&scene, all);
    with(scene.down()).run().exits(0);
    scene.is_as_before();
}

/// A registry on loopback with the bed's node image, for docker alone. It is removed with its images.
struct Source;

impl Source {
    const NAME: &str = "e2e-source";
    const IMAGE: &str = "localhost:5958/kindest/node:v1";

    /// Starts it, pushes the image, removes it from the engine, and returns its digest.
    #[track_caller]
    fn start() -> (Self, String) {
        Self::clear();
        let source = Self;
        let published = [
            "run",
            "-d",
            "--name",
            Self::NAME,
            "-p",
            "127.0.0.1:5958:5000",
        ];
        docker(&[&published[..], &[&setting("KINDREG_REGISTRY_IMAGE")]].concat());
        docker(&["tag", &setting("KINDREG_IMAGE"), Self::IMAGE]);
        let pushed = docker(&["push", Self::IMAGE]);
        let mut words = pushed.split_whitespace();
        let digest = words.find(|word| word.starts_with("sha256:"));
        let digest = digest.unwrap_or_else(|| panic!("{pushed}")).to_owned();
        docker(&["image", "rm", Self::IMAGE]);
        (source, digest)
    }

    fn clear() {
        attempt("docker", &["rm", "-f", "-v", Self::NAME]);
        let format = "{{.Repository}}@{{.Digest}}";
        let list = [
            "image",
            "ls",
            "--digests",
            "--format",
            format,
            "localhost:5958/kindest/node",
        ];
        for image in docker_lines(&list) {
            attempt("docker", &["image", "rm", "-f", &image]);
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        Self::clear();
    }
}

/// The default images are named by tag and digest, and none of them can be had here. This is the same with the bed's image
/// in a registry on loopback.
#[test]
#[ignore = "takes minutes: make soak"]
fn an_image_with_its_digest_is_pulled_and_used() {
    let scene = Scene::new("e2e-digest", 5959, Kubeconfig::Other);
    let (source, digest) = Source::start();
    let image = format!("{}@{digest}", Source::IMAGE);
    let up = || scene.up(&["--image", &image]);
    up().run()
        .exits(0)
        .says("image localhost:5958/kindest/node:v1@sha256:");
    scene.has_nodes(1);
    let [node] = nodes(scene.cluster).try_into().unwrap();
    let used = docker(&["inspect", "--format", "{{.Config.Image}}", &node]);
    assert_eq!(used.trim(), image);
    up().run().exits(0).prints("Nothing to do");
    // What the record has is what is asked for where nothing is said.
    let port = ["up", "--name", scene.cluster, "--port", "5959"];
    let without = scene.call(&port).without("KINDREG_IMAGE");
    without.run().exits(0).prints("Nothing to do");
    assert_eq!(drift(&scene, 0), [""; 0]);
    is_proven(&scene, 1);
    scene.down().run().exits(0);
    drop(source);
    scene.is_as_before();
}
