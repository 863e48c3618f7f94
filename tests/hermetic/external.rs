//! Registries that kindreg does not run: what nodes get, and what proves it.

use std::collections::BTreeMap;

use kindreg::internal::credentials::{RegistryCredentials, auths};
use kindreg::internal::docker::Docker;
use kindreg::internal::engine::Outcome;
use kindreg::internal::kube::Kube;
use kindreg::internal::observe::{Held, credentials_of, missing, passwords};
use kindreg::internal::step::Ctx;
use kindreg::internal::steps::proof::{ExternalProof, Proving};
use kindreg::spec::{Backend, External, ExternalLogin, Registry};
use secrecy::ExposeSecret;

use crate::config::{authority, parse, with_files};
use crate::world::{DROP_IN, World};

const CONFIG: &str = "/var/lib/kubelet/config.json";
const NODES: [&str; 3] = ["c-control-plane", "c-worker", "c-worker2"];
/// What a node's file has of itself.
const HOSTS: &str = "127.0.0.1\tlocalhost\n";
pub(crate) const DOMAIN: &str = "nexus.test:8443";
const FILE: &str = "[registry.company]\nbackend = \"external\"\nhost = \"nexus.test\"\nport = 8443\n\
                    address = \"10.0.0.5\"\nca = \"ca.pem\"\nnames = [\"n.test\"]\n";

/// A registry of a file with these settings, and a CA.
pub(crate) fn external(settings: &str) -> Registry {
    let ca = authority();
    let files = BTreeMap::from([("ca.pem", &*ca)]);
    let request = with_files(&format!("{FILE}{settings}"), &files).unwrap();
    let spec = request.resolve(&mut |_| panic!("no port is auto")).unwrap();
    spec.registries[0].clone()
}

/// The settings of a registry that somebody else runs.
fn settings(registry: &Registry) -> External {
    match &registry.backend {
        Backend::External(external) => external.clone(),
        Backend::Distribution(_) => panic!("{} is not external", registry.name),
    }
}

/// What has to be looked for of registries' credentials.
async fn lacking(ctx: &Ctx, world: &World) -> Vec<Held> {
    let found = missing(&*ctx.docker, &world.spec, &ctx.external_credentials).await;
    found
        .unwrap()
        .into_iter()
        .map(|(_, _, held)| held)
        .collect()
}

pub(crate) fn me(password: &str) -> RegistryCredentials {
    RegistryCredentials::given("robot$me", password.to_owned()).unwrap()
}

fn with(world: &World, password: &str) -> Ctx {
    let mut ctx = world.ctx();
    ctx.external_credentials
        .insert("company".parse().unwrap(), me(password));
    ctx
}

/// A world with one of ours and one of somebody else's.
pub(crate) fn world() -> World {
    let mut world = World::new();
    world.spec.registries.push(external(""));
    world.external = Some(me("pw"));
    world
}

#[tokio::test]
async fn nodes_trust_it_find_it_and_have_its_credentials() {
    let world = world();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    let external = settings(&world.spec.registries[1]);
    for node in NODES {
        let files = world.docker.files(node);
        let text = |path: &str| String::from_utf8(files.read(path).unwrap()).unwrap();
        for name in [DOMAIN, "n.test:8443"] {
            let hosts = text(&format!("/etc/containerd/certs.d/{name}/hosts.toml"));
            assert!(
                hosts.contains("server = \"https://nexus.test:8443\"\nca = "),
                "{hosts}"
            );
            let ca = text(&format!("/etc/containerd/certs.d/{name}/ca.crt"));
            assert_eq!(ca, external.ca.as_ref().unwrap().pem());
        }
        assert_eq!(
            files.read("/etc/containerd/certs.d/localhost:8443/hosts.toml"),
            None
        );
        assert_eq!(
            text("/etc/hosts"),
            format!("{HOSTS}10.0.0.5 nexus.test n.test # kindreg:company\n")
        );
        assert!(text(DROP_IN).contains("ExecStartPre=-/bin/sh /var/lib/kindreg/hosts.sh\n"));
        assert!(auths::holds(
            &files.read(CONFIG).unwrap(),
            DOMAIN,
            &me("pw")
        ));
    }
    let host = world.docker.host();
    let planted = format!("/etc/docker/certs.d/{DOMAIN}/kindreg-c.crt");
    assert!(host.read(&planted).is_some());
    assert!(
        world
            .docker
            .container("kindreg-c-company")
            .await
            .unwrap()
            .is_none()
    );

    // What was agreed to is in the nodes, and nowhere else.
    let seen = format!(
        "{:?} {:?} {:?}",
        world.docker.container("kindreg-c").await,
        world.docker.journal(),
        world.docker.call_log()
    );
    assert!(!seen.contains(me("pw").basic().expose_secret()), "{seen}");
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    world.down().await.unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn one_of_a_public_ca_and_nothing_else_is_enough_for_a_cluster() {
    let mut world = World::new();
    world.docker.remove_image("registry:3").await.unwrap();
    let text = "[registry.hub]\nbackend = \"external\"\nhost = \"docker.io\"\nauth = false\n";
    let request = parse(text).unwrap();
    world.spec.registries = request
        .resolve(&mut |_| panic!("no port is auto"))
        .unwrap()
        .registries;
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    let files = world.docker.files("c-worker");
    let hosts = files
        .read("/etc/containerd/certs.d/docker.io/hosts.toml")
        .unwrap();
    let hosts = String::from_utf8(hosts).unwrap();
    assert!(
        hosts.contains("server = \"https://registry-1.docker.io:443\"\n"),
        "{hosts}"
    );
    assert!(!hosts.contains("\nca = ") && files.read(CONFIG).is_none());
    assert_eq!(files.read("/etc/hosts").unwrap(), HOSTS.as_bytes());
    assert!(world.docker.host().all("/etc/docker").is_empty());
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    world.down().await.unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_line_that_went_or_was_changed_comes_back() {
    let world = world();
    world.up().await.unwrap();
    let node = world.docker.files("c-worker");
    for hosts in [
        "127.0.0.1 localhost\n",
        "10.9.9.9 nexus.test # kindreg:company\n",
    ] {
        node.write("/etc/hosts", 0o644, hosts).unwrap();
        assert_eq!(world.up().await.unwrap(), Outcome::Changed);
        let now = String::from_utf8(node.read("/etc/hosts").unwrap()).unwrap();
        assert!(
            now.ends_with("10.0.0.5 nexus.test n.test # kindreg:company\n"),
            "{now}"
        );
        assert_eq!(now.matches("kindreg:").count(), 1, "{now}");
    }
    assert!(node.remove(DROP_IN));
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert!(node.read(DROP_IN).is_some());
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
}

#[tokio::test]
async fn what_nodes_agree_on_counts_and_what_is_at_hand_counts_more() {
    let mut world = world();
    assert_eq!(lacking(&world.ctx(), &world).await, [], "it is at hand");
    world.up().await.unwrap();
    // Nobody has it at hand any more.
    world.external = None;
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    let ctx = world.ctx();
    assert_eq!(lacking(&ctx, &world).await, []);
    let external = &world.spec.registries[1];
    let at_hand = &ctx.external_credentials;
    let known = credentials_of(&*ctx.docker, &world.spec, external, at_hand)
        .await
        .unwrap();
    assert_eq!(known, Some(me("pw")));
    let passwords = passwords(&*ctx.docker, &world.spec, at_hand).await;
    let passwords = passwords.unwrap().unwrap();
    let domains: Vec<&str> = passwords
        .iter()
        .map(|(domain, _)| domain.as_str())
        .collect();
    assert_eq!(
        domains,
        [
            "registry.test:5001",
            "localhost:5001",
            DOMAIN,
            "n.test:8443"
        ]
    );

    // One node lost it, and the others give it back.
    assert!(world.docker.files("c-worker").remove(CONFIG));
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert!(auths::holds(
        &world.docker.files("c-worker").read(CONFIG).unwrap(),
        DOMAIN,
        &me("pw")
    ));

    // Another one is at hand.
    let outcome = world.up_with(&with(&world, "new"), &|_| {}).await.unwrap();
    assert_eq!(outcome, Outcome::Changed);
    for node in NODES {
        let config = world.docker.files(node).read(CONFIG).unwrap();
        assert!(auths::holds(&config, DOMAIN, &me("new")), "{node}");
    }
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);

    // They do not agree.
    let node = world.docker.files("c-worker");
    let other = auths::merged(
        &node.read(CONFIG).unwrap(),
        &vec![(DOMAIN.to_owned(), &me("odd"))],
    );
    node.write(CONFIG, 0o600, other.unwrap().expose_secret())
        .unwrap();
    assert_eq!(lacking(&ctx, &world).await, [Held::Nothing]);
    let error = world.up().await.unwrap_err();
    assert!(
        format!("{error:#}").contains("no credentials for external registry nexus.test:8443"),
        "{error:#}"
    );
    let config = node.read(CONFIG).unwrap();
    assert!(
        auths::names(&config, "registry.test:5001"),
        "that of ours stays"
    );
}

/// What kubelet says of a pull that fails.
fn said(what: &str) -> String {
    format!(
        "rpc error: code = Unknown desc = failed to pull and unpack image \"{DOMAIN}/kindreg/proof:c\": failed to \
         resolve reference \"{DOMAIN}/kindreg/proof:c\": {what}"
    )
}

async fn proof(settings: &str, reason: &str, message: &str) -> Result<World, String> {
    let mut world = world();
    world.spec.registries[1] = external(settings);
    world.up_with(&world.ctx(), &|_| {}).await.ok();
    world.kube.pod_fails("c-worker", reason, message);
    let registry = world.spec.registries[1].clone();
    let proof = ExternalProof {
        spec: world.spec.clone(),
        external: self::settings(&registry),
        registry,
        when: Proving::IfStale,
    };
    let proven = kindreg::internal::step::Step::apply(&proof, &world.ctx()).await;
    match proven {
        Ok(()) => Ok(world),
        Err(error) => {
            let hint = kindreg::internal::hints::hint(&error).unwrap_or_default();
            Err(format!("{error:#}\n{hint}"))
        }
    }
}

#[tokio::test]
async fn its_own_word_that_an_image_is_not_there_is_a_proof() {
    for words in [
        "nexus.test:8443/kindreg/proof:c: not found",
        "manifest unknown",
        "NAME_UNKNOWN",
    ] {
        proof("", "ErrImagePull", &said(words))
            .await
            .map(drop)
            .unwrap();
    }
    for (words, hint) in [
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "set the registry's CA",
        ),
        (
            "unexpected status from HEAD request to https://nexus.test:8443/v2/: 401 Unauthorized",
            "docker login nexus.test:8443",
        ),
        (
            "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
            "none was given",
        ),
        (
            "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            "proof = ",
        ),
        (
            "unexpected status from HEAD request to https://nexus.test:8443/v2/: 403 Forbidden",
            "proof = ",
        ),
        ("dial tcp: lookup nexus.test: no such host", "address = "),
        (
            "dial tcp 10.0.0.5:8443: connect: connection refused",
            "check the address and port 8443",
        ),
    ] {
        let refused = proof("", "ImagePullBackOff", &said(words))
            .await
            .map(drop)
            .unwrap_err();
        assert!(
            refused.contains("1 of 3 nodes can't pull from nexus.test:8443"),
            "{refused}"
        );
        assert!(
            refused.contains(words) && refused.contains(hint),
            "{hint}: {refused}"
        );
    }
}

#[tokio::test]
async fn an_image_that_is_named_is_pulled_and_not_run() {
    let image = "proof = \"team/base:1\"\n";
    for reason in ["StartError", "RunContainerError", "CreateContainerError"] {
        let message = "exec: \"/kindreg/proof\": stat /kindreg/proof: no such file or directory";
        proof(image, reason, message).await.map(drop).unwrap();
    }
    let absent = proof(image, "ErrImagePull", &said("team/base:1: not found"))
        .await
        .map(drop);
    assert!(absent.unwrap_err().contains("name an image that exists"));
    let world = world();
    let pod = kindreg::internal::render::proof_pod(&external(image), "c-worker", &["x".to_owned()]);
    assert_eq!(pod["spec"]["containers"][0]["command"][0], "/kindreg/proof");
    let registry = external(image);
    let images = kindreg::internal::render::external_proof_images(
        &world.spec,
        &registry,
        &settings(&registry),
    );
    assert_eq!(
        images,
        ["nexus.test:8443/team/base:1", "n.test:8443/team/base:1"]
    );
}

#[tokio::test]
async fn refused_credentials_are_looked_for_anew() {
    let mut world = world();
    // Nothing else may fail on that node.
    world.spec.registries.remove(0);
    world.up().await.unwrap();
    world.external = None;
    world
        .kube
        .pod_fails("c-worker", "ErrImagePull", &said("401 Unauthorized"));
    let refused = world.up_with(&with(&world, "old"), &|_| {}).await;
    refused.unwrap_err();
    // The roll-back did not make anybody forget it.
    let ctx = world.ctx();
    assert_eq!(lacking(&ctx, &world).await, [Held::Refused]);
    world.kube.pod_succeeds("c-worker");
    assert_eq!(
        world.up_with(&with(&world, "new"), &|_| {}).await.unwrap(),
        Outcome::Changed
    );
    assert_eq!(lacking(&ctx, &world).await, []);
}

#[tokio::test]
async fn one_that_is_no_longer_asked_for_leaves_nothing() {
    let mut world = world();
    world.up().await.unwrap();
    let gone = world.spec.registries.pop().unwrap();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    for node in NODES {
        let files = world.docker.files(node);
        assert!(
            files
                .all("/etc/containerd/certs.d")
                .keys()
                .all(|path| !path.contains("nexus"))
        );
        assert!(!auths::names(&files.read(CONFIG).unwrap(), DOMAIN));
        assert_eq!(files.read("/etc/hosts").unwrap(), HOSTS.as_bytes());
        assert_eq!(files.read(DROP_IN), None);
    }
    assert!(
        world
            .docker
            .host()
            .all("/etc/docker")
            .keys()
            .all(|path| !path.contains("nexus"))
    );
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    // And one that comes later finds its place.
    world.spec.registries.push(gone);
    let Backend::External(external) = &mut world.spec.registries[1].backend else {
        panic!("it is external")
    };
    external.login = ExternalLogin::Anonymous;
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert!(!auths::names(
        &world.docker.files("c-worker").read(CONFIG).unwrap(),
        DOMAIN
    ));
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    world.kube.get("/api/v1/nodes").await.unwrap();
}
