//! Registries that kindreg does not run: what may be said of them, what nodes get, and where credentials come from.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use kindreg::credentials::{RegistryCredentials, auths};
use kindreg::docker::Docker;
use kindreg::engine::Outcome;
use kindreg::kube::Kube;
use kindreg::login::{DockerConfig, Wallet};
use kindreg::pki::{Names, issue};
use kindreg::spec::{Auth, Authorities, Registry, Spec};
use kindreg::step::Ctx;
use kindreg::steps::{self, Held};
use secrecy::ExposeSecret;
use time::{Duration, OffsetDateTime};

use crate::config::{authority, parse, with_files};
use crate::world::{DROP_IN, World};

const CONFIG: &str = "/var/lib/kubelet/config.json";
const NODES: [&str; 3] = ["c-control-plane", "c-worker", "c-worker2"];
/// What a node's file has of itself.
const HOSTS: &str = "127.0.0.1\tlocalhost\n";
const DOMAIN: &str = "nexus.test:8443";
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

fn me(password: &str) -> RegistryCredentials {
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

fn mistakes(text: &str) -> String {
    parse(text).unwrap_err().join("\n")
}

#[test]
fn what_goes_with_one_back_end_is_refused_beside_the_other() {
    let external = "[registry.a]\nbackend = \"external\"\nhost = \"a.test\"\n";
    for (text, said) in [
        (
            "[registry.a]\naddress = \"10.0.0.5\"".to_owned(),
            "kindreg.toml:2:1: `address` is out of place in [registry.a]",
        ),
        (
            "[registry.a]\nbackend = \"distribution\"\nproof = \"a:1\"".to_owned(),
            "kindreg.toml:3:1: `proof` is out of place",
        ),
        (
            format!("{external}image = \"registry:3\""),
            "kindreg.toml:4:1: `image` is out of place",
        ),
        (
            format!("{external}keep_data = false"),
            "kindreg.toml:4:1: `keep_data` is out of place",
        ),
        (
            format!("{external}mirror_of = \"docker.io\""),
            "kindreg.toml:4:1: `mirror_of` is out of place",
        ),
        (
            format!("{external}username_env = \"A\""),
            "kindreg.toml:4:1: `username_env` is out of place",
        ),
        (
            format!("{external}port = \"auto\""),
            "kindreg.toml:4:8: the port of an external registry can't be found",
        ),
        (
            "[registry.a]\nbackend = \"external\"".to_owned(),
            "kindreg.toml:2:11: an external registry needs its host",
        ),
        (
            format!("{external}address = \"127.0.0.1\""),
            "that is the node itself",
        ),
        (
            format!("{external}address = \"::1\""),
            "that is the node itself",
        ),
        (
            format!("{external}address = \"0.0.0.0\""),
            "no single machine has it",
        ),
        (
            format!("{external}address = \"ff02::1\""),
            "no single machine has it",
        ),
        (
            format!("{external}address = \"a.test\""),
            "an IP address such as 10.0.0.5",
        ),
        (
            format!("{external}proof = \"a.test:443/b:1\""),
            "an image without its host",
        ),
        (
            format!("{external}username_env = \"A\"\npassword_env = \"hunter-2\""),
            "it is the name, never the secret",
        ),
        (
            format!("{external}ca = \"gone.pem\""),
            "gone.pem: it is not there",
        ),
    ] {
        let mistakes = mistakes(&text);
        assert!(mistakes.contains(said), "{text}: {mistakes}");
        assert_eq!(mistakes.lines().count(), 1, "{mistakes}");
    }
}

#[test]
fn only_certificates_of_authorities_are_a_ca() {
    let now = OffsetDateTime::now_utc();
    let names = Names::new(["nexus.test"], []);
    let identity = issue("company", &names, now).unwrap();
    let (ca, leaf) = (&identity.ca_pem, &identity.leaf_pem);
    let around = format!("Subject: us\n{ca}\n# and\n{}", authority());
    let read = Authorities::read(&around, now).unwrap();
    assert!(read.pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(read.pem().matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!read.pem().contains("Subject") && !read.pem().contains('#'));
    let key = identity.key_pem.expose_secret();
    let old = issue("old", &names, now - Duration::days(3000))
        .unwrap()
        .ca_pem;
    for (text, why) in [
        (leaf.clone(), "not one of an authority"),
        (format!("{ca}{leaf}"), "not one of an authority"),
        (format!("{ca}{key}"), "private key"),
        (old.clone(), "expired at"),
        (String::new(), "no certificate in it"),
        ("nonsense".to_owned(), "no certificate in it"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            "can't be read",
        ),
        (ca.repeat(200), "more than 64 KiB"),
    ] {
        let said = Authorities::read(&text, now).unwrap_err();
        assert!(said.contains(why), "{why}: {said}");
    }
    // `down` takes what has expired since it was written down.
    assert!(serde_json::from_value::<Authorities>(old.into()).is_ok());
    assert!(serde_json::from_value::<Authorities>("x".into()).is_err());
}

#[test]
fn several_may_be_on_one_machine_and_none_takes_a_name_of_ours() {
    let two = |a: &str, b: &str| {
        format!(
            "[registry.a]\nbackend = \"external\"\nhost = \"x.test\"\n{a}\n\
             [registry.b]\nbackend = \"external\"\nhost = \"x.test\"\n{b}\n"
        )
    };
    assert!(parse(&two("port = 8082", "port = 8083")).is_ok());
    assert!(mistakes(&two("", "")).contains("x.test is a name of registry a already"));
    assert!(mistakes(&two("port = 1", "port = 2\naddress = \"10.0.0.5\"")).contains("already"));
    let ours =
        "[registry.a]\nhost = \"x.test\"\n[registry.b]\nbackend = \"external\"\nhost = \"x.test\"";
    assert!(mistakes(ours).contains("x.test is a name of registry a already"));
    // Ports of theirs are none of this machine.
    let ports =
        "[registry.a]\n[registry.b]\nbackend = \"external\"\nhost = \"x.test\"\nport = 5001";
    assert!(parse(ports).is_ok());
}

#[test]
fn records_of_kindregs_that_knew_no_external_are_read() {
    let ours = serde_json::to_value(crate::world::spec()).unwrap();
    assert!(!ours.to_string().contains("backend"));
    assert_eq!(
        serde_json::from_value::<Spec>(ours).unwrap(),
        crate::world::spec()
    );
    let theirs = serde_json::to_value(external("")).unwrap();
    assert_eq!(
        serde_json::from_value::<Registry>(theirs).unwrap(),
        external("")
    );
}

#[tokio::test]
async fn nodes_trust_it_find_it_and_have_its_credentials() {
    let world = world();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    let external = world.spec.registries[1].external().unwrap().clone();
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
    let nothing = steps::lacking(&world.ctx(), &world.spec).await.unwrap();
    assert!(nothing.is_empty(), "it is at hand");
    world.up().await.unwrap();
    // Nobody has it at hand any more.
    world.external = None;
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    let ctx = world.ctx();
    assert!(steps::lacking(&ctx, &world.spec).await.unwrap().is_empty());
    let external = &world.spec.registries[1];
    let known = steps::credentials_of(&ctx, &world.spec, external)
        .await
        .unwrap();
    assert_eq!(known, Some(me("pw")));
    let passwords = steps::passwords(&ctx, &world.spec).await.unwrap().unwrap();
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
    let lacking = steps::lacking(&ctx, &world.spec).await.unwrap();
    assert_eq!(
        lacking.iter().map(|(_, held)| *held).collect::<Vec<_>>(),
        [Held::Nothing]
    );
    let error = world.up().await.unwrap_err();
    assert!(
        format!("{error:#}").contains("there are no credentials for nexus.test:8443"),
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
    let proof = kindreg::plan::external_proof(&world.spec, &world.spec.registries[1]);
    let proven = kindreg::step::Step::apply(&proof, &world.ctx()).await;
    match proven {
        Ok(()) => Ok(world),
        Err(error) => {
            let hint = kindreg::doctor::hint(&error).unwrap_or_default();
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
            "give its CA",
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
            "nothing answers there",
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
    assert!(absent.unwrap_err().contains("name one that is"));
    let world = world();
    let pod = kindreg::render::proof_pod(&external(image), "c-worker", &["x".to_owned()]);
    assert_eq!(pod["spec"]["containers"][0]["command"][0], "/kindreg/proof");
    let images = kindreg::render::external_proof_images(&world.spec, &external(image));
    assert_eq!(
        images,
        ["nexus.test:8443/team/base:1", "n.test:8443/team/base:1"]
    );
}

#[tokio::test]
async fn refused_credentials_are_looked_for_anew() {
    let mut world = world();
    world.up().await.unwrap();
    world.external = None;
    world
        .kube
        .pod_fails("c-worker", "ErrImagePull", &said("401 Unauthorized"));
    let proof = kindreg::plan::external_proof(&world.spec, &world.spec.registries[1]);
    kindreg::step::Step::apply(&proof, &world.ctx())
        .await
        .unwrap_err();
    let ctx = world.ctx();
    let lacking = steps::lacking(&ctx, &world.spec).await.unwrap();
    assert_eq!(
        lacking.iter().map(|(_, held)| *held).collect::<Vec<_>>(),
        [Held::Refused]
    );
    world.kube.pod_succeeds("c-worker");
    assert_eq!(
        world.up_with(&with(&world, "new"), &|_| {}).await.unwrap(),
        Outcome::Changed
    );
    assert!(steps::lacking(&ctx, &world.spec).await.unwrap().is_empty());
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
    world.spec.registries[1].auth = Auth::Anonymous;
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert!(!auths::names(
        &world.docker.files("c-worker").read(CONFIG).unwrap(),
        DOMAIN
    ));
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    world.kube.get("/api/v1/nodes").await.unwrap();
}

/// A home with a docker config and a helper that knows one server.
fn home(config: &str) -> (tempfile::TempDir, DockerConfig) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("config.json"), config).unwrap();
    let helper = home.path().join("docker-credential-e2e");
    let script = format!(
        "#!/bin/sh\nread server; echo \"$server\" >>'{}/asked'\n\
         [ \"$server\" = {DOMAIN} ] || {{ echo credentials not found in native keychain; exit 1; }}\n\
         echo '{{\"Username\":\"robot$me\",\"Secret\":\"pw\"}}'\n",
        home.path().display()
    );
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", home.path().display());
    let config = DockerConfig::of(home.path(), Some(path.into()));
    (home, config)
}

const NAMES: &str = "username_env = \"U\"\npassword_env = \"P\"\n";

#[tokio::test]
async fn variables_come_before_docker_s_config_and_helpers_last() {
    let auth = me("pw").basic().expose_secret().to_owned();
    let plain = format!("{{\"auths\": {{\"{DOMAIN}\": {{\"auth\": \"{auth}\"}}}}}}");
    let (_home, config) = home(&plain);
    let registry = external(NAMES);
    let set = |name: &str| match name {
        "U" => Some("robot$me".to_owned()),
        "P" => Some("from a variable".to_owned()),
        _ => None,
    };
    let wallet = |variable| Wallet {
        variable,
        config: config.clone(),
    };
    assert_eq!(
        wallet(&set).at_hand(&registry).unwrap(),
        Some(me("from a variable"))
    );
    assert_eq!(
        wallet(&|_| None).at_hand(&registry).unwrap(),
        Some(me("pw"))
    );
    let half = |name: &str| (name == "U").then(|| "me".to_owned());
    let error = wallet(&half).at_hand(&registry).unwrap_err();
    assert!(error.to_string().starts_with("P is not set"), "{error:#}");
    // A further name, which anybody may choose, is no key to another registry's credentials.
    let mut named = external("");
    named.host = "evil.test".parse().unwrap();
    named.names = vec!["nexus.test".parse().unwrap()];
    assert_eq!(wallet(&set).fetch(&named).await.unwrap(), None);
}

#[tokio::test]
async fn a_helper_is_asked_only_where_it_has_to_be() {
    let (home, config) = home("{\"auths\": {\"nexus.test:8443\": {}}, \"credsStore\": \"e2e\"}");
    let wallet = Wallet {
        variable: &|_| None,
        config,
    };
    assert_eq!(wallet.at_hand(&external("")).unwrap(), None);
    assert!(!home.path().join("asked").exists());
    assert_eq!(wallet.fetch(&external("")).await.unwrap(), Some(me("pw")));
    let mut other = external("");
    other.host = "other.test".parse().unwrap();
    assert_eq!(wallet.fetch(&other).await.unwrap(), None);
    other.host = "docker.io".parse().unwrap();
    other.port = "443".parse().unwrap();
    assert_eq!(wallet.fetch(&other).await.unwrap(), None);
    let asked = fs::read_to_string(home.path().join("asked")).unwrap();
    assert_eq!(
        asked,
        "nexus.test:8443\nother.test:8443\nhttps://index.docker.io/v1/\ndocker.io\n"
    );
}

#[tokio::test]
async fn what_kubelet_can_t_use_is_refused_with_a_way_out() {
    let token = "{\"auths\": {\"nexus.test:8443\": {\"identitytoken\": \"x\"}}}";
    let (_home, config) = home(token);
    let wallet = Wallet {
        variable: &|_| None,
        config,
    };
    assert_eq!(
        wallet.at_hand(&external("")).unwrap(),
        None,
        "nodes may have others"
    );
    let error = wallet.fetch(&external("")).await.unwrap_err();
    assert!(error.to_string().contains("identity token"), "{error:#}");
    assert!(
        kindreg::doctor::hint(&error)
            .unwrap()
            .contains("docker login -u USER nexus.test:8443")
    );
    let lines = |name: &str| Some(if name == "U" { "me" } else { "two\nlines" }.to_owned());
    let wallet = Wallet {
        variable: &lines,
        config: wallet.config,
    };
    let error = wallet.at_hand(&external(NAMES)).unwrap_err();
    assert!(!format!("{error:#}").contains("lines"), "{error:#}");
}
