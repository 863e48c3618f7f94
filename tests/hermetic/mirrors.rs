//! Mirrors against the fakes: whom nodes and caches believe, what is planted and removed, and how hosts.toml reads.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use kindreg::events::{Event, StepEvent};
use kindreg::internal::archive;
use kindreg::internal::credentials::RegistryCredentials;
use kindreg::internal::docker::{ContainerSpec, ContainerState, Docker};
use kindreg::internal::engine::Outcome;
use kindreg::internal::login::{CredentialSources, DockerConfig};
use kindreg::internal::observe::recorded;
use kindreg::internal::oci::proof::{Architecture, proof_image};
use kindreg::internal::problem::{Exit, Problem};
use kindreg::internal::registry::{Delivery, Managed, REMOVE_PROOF, driver};
use kindreg::internal::render::hosts::{Hosts, check_hosts_toml};
use kindreg::internal::render::node_files;
use kindreg::spec::{Auth, Cache, Serves, Spec};
use secrecy::ExposeSecret;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::COMPANY;
use crate::world::{World, distribution, spec_with_mirrors};

const NODE: &str = "c-control-plane";
const CACHE: &str = "kindreg-c-cache";

/// The driver of one of a Spec's registries.
fn managed(spec: &Spec, nth: usize) -> Managed {
    driver(spec, &spec.registries[nth]).expect("kindreg runs it")
}

/// The container of one of a Spec's registries.
fn made(spec: &Spec, nth: usize) -> ContainerSpec {
    managed(spec, nth).containers().unwrap().remove(0)
}

/// What one of a Spec's registries is a cache of.
fn cache(spec: &mut Spec, nth: usize) -> &mut Cache {
    match &mut distribution(&mut spec.registries[nth]).serves {
        Serves::Cache(cache) => cache,
        other => panic!("not a cache: {other:?}"),
    }
}

fn text(world: &World, container: &str, path: &str) -> String {
    let found = world.docker.files(container).read(path);
    let found = found.unwrap_or_else(|| panic!("{container} has no {path}"));
    String::from_utf8(found).unwrap()
}

#[tokio::test]
async fn a_cache_and_the_nodes_believe_the_upstream_by_its_own_ca() {
    let mut world = World::with_mirrors();
    world.up().await.unwrap();
    let ca = cache(&mut world.spec, 1).ca.clone().unwrap();
    let folder = "/etc/containerd/certs.d/upstream.test:5000";
    assert_eq!(
        text(&world, NODE, &format!("{folder}/upstream.crt")),
        ca.pem()
    );
    assert_ne!(text(&world, NODE, &format!("{folder}/ca.crt")), ca.pem());
    let in_cache = "/kindreg/secret/upstream/ca.crt";
    assert_eq!(text(&world, CACHE, in_cache), ca.pem());
    // Go reads whole folders, and the registry's own certificate is no authority for others.
    let folders = &made(&world.spec, 1).environment["SSL_CERT_DIR"];
    assert!(
        folders.starts_with("/kindreg/secret/upstream:/etc/ssl/certs"),
        "{folders}"
    );

    // Another one is taken on by a cache that starts again, and by the nodes.
    cache(&mut world.spec, 1).ca = Some(COMPANY.to_owned().try_into().unwrap());
    let before = world.docker.journal().len();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert_eq!(text(&world, CACHE, in_cache), COMPANY);
    assert_eq!(
        text(&world, NODE, &format!("{folder}/upstream.crt")),
        COMPANY
    );
    let journal = &world.docker.journal()[before..];
    let at = |effect: &str| journal.iter().position(|line| line == effect);
    let (stop, start) = (at(&format!("stop {CACHE}")), at(&format!("start {CACHE}")));
    assert!(stop.is_some() && stop < start, "{journal:#?}");
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
}

#[tokio::test]
async fn the_proof_of_a_cache_is_put_into_its_store_and_goes_again() {
    let world = World::with_mirrors();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let store = Arc::clone(&seen);
    world
        .docker
        .on_script(REMOVE_PROOF, move |files, arguments, _| {
            let found = files.all(&arguments[0]).into_keys();
            store.lock().unwrap().extend(found);
            kindreg::internal::docker::ExecOutput {
                code: 0,
                stdout: Vec::new(),
                stderr: Vec::new(),
            }
        });
    world.up().await.unwrap();
    let seen = seen.lock().unwrap();
    let is = |path: &str, end: &str| {
        path.contains("/repositories/kindreg/proof/") && path.ends_with(end)
    };
    assert_eq!(
        seen.iter().filter(|path| is(path, "/link")).count(),
        3,
        "{seen:#?}"
    );
    assert_eq!(
        seen.iter().filter(|path| path.ends_with("/data")).count(),
        3,
        "{seen:#?}"
    );
    // What takes pushes got one.
    assert_eq!(
        world.docker.pushed(),
        [
            "localhost:5001/kindreg/proof:c",
            "localhost:5003/kindreg/proof:c"
        ]
    );
}

#[test]
fn what_is_put_into_a_store_is_what_a_push_would_have_made() {
    let image = proof_image(Architecture::Amd64, "a.test/b:c", b"1").unwrap();
    let (layer, config) = (image.diff_id.clone(), image.config_digest.clone());
    let registry = managed(&spec_with_mirrors(), 1);
    let Delivery::Store(store) = registry.delivery() else {
        panic!("a cache takes no pushes")
    };
    let (archive, digest) = store.archive("kindreg/proof", &image.stored());
    let files = archive::files(&archive.into_bytes().unwrap()).unwrap();
    // A cache of another registry has another store.
    let root = "var/lib/registry/upstream.test:5000/docker/registry/v2";
    let blob = |digest: &str| {
        let hash = digest.strip_prefix("sha256:").unwrap();
        let content = &files[&format!("{root}/blobs/sha256/{}/{hash}/data", &hash[..2])].content;
        assert_eq!(hex::encode(Sha256::digest(content)), hash);
        content.clone()
    };
    let manifest: Value = serde_json::from_slice(&blob(&digest)).unwrap();
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["config"]["digest"], config);
    assert_eq!(manifest["config"]["size"], blob(&config).len());
    assert_eq!(manifest["layers"][0]["digest"], layer);
    assert_eq!(manifest["layers"][0]["size"], blob(&layer).len());
    for (kind, digest) in [
        ("_manifests/revisions", &digest),
        ("_layers", &config),
        ("_layers", &layer),
    ] {
        let path = digest.replace(':', "/");
        let link = &files[&format!("{root}/repositories/kindreg/proof/{kind}/{path}/link")];
        assert_eq!(link.content, digest.as_bytes());
    }
    assert_eq!(files.len(), 6);
}

#[test]
fn a_mirror_is_asked_first_and_then_the_registry_itself() {
    let spec = spec_with_mirrors();
    let [_, cache, any] = spec.registries.as_slice() else {
        panic!("three registries")
    };
    let hosts = |registry, folder: &str| {
        let files = node_files(registry, Some("CA")).unwrap();
        let text = files[&format!("{folder}/hosts.toml")].to_vec();
        String::from_utf8(text).unwrap()
    };
    let read = |registry, folder| check_hosts_toml(&hosts(registry, folder)).unwrap();
    let certs = |path: &str| format!("/etc/containerd/certs.d/{path}");
    let of_upstream = Hosts {
        server: Some("https://upstream.test:5000".to_owned()),
        server_ca: Some(certs("upstream.test:5000/upstream.crt")),
        host: "https://cache.test:5002".to_owned(),
        ca: Some(certs("upstream.test:5000/ca.crt")),
    };
    assert_eq!(read(cache, "upstream.test:5000"), of_upstream);
    // Which it is containerd takes from the image.
    let of_every = Hosts {
        server: None,
        server_ca: None,
        host: "https://any.test:5003".to_owned(),
        ca: Some(certs("_default/ca.crt")),
    };
    assert_eq!(read(any, "_default"), of_every);
    let text = hosts(any, "_default");
    assert!(
        check_hosts_toml(&format!("ca = \"/x\"\n{text}")).is_err(),
        "a CA of nobody's"
    );
}

const CONFIG: &str = "/kindreg/secret/config.yml";
const CREDENTIALS: &str = "registry.upstream-credentials/cache";
const SERVES: &str = "registry.service/cache";

fn login(user: &str, password: &str) -> RegistryCredentials {
    RegistryCredentials::given(user, password.to_owned()).unwrap()
}

/// What a cache sends whom: URL, user, password.
fn sent(world: &World) -> [String; 3] {
    let settings: Value = serde_yaml::from_str(&text(world, CACHE, CONFIG)).unwrap();
    ["remoteurl", "username", "password"]
        .map(|key| settings["proxy"][key].as_str().unwrap().to_owned())
}

/// Steps that an `up` applied.
async fn done(world: &World) -> (anyhow::Result<Outcome>, Vec<String>) {
    let ids = Mutex::new(Vec::new());
    let hear = |event| {
        if let Event::Step { id, what, .. } = event
            && matches!(what, StepEvent::Done { .. })
        {
            ids.lock().unwrap().push(id.to_string());
        }
    };
    let outcome = world.up_with(&world.ctx(), &hear).await;
    (outcome, ids.into_inner().unwrap())
}

/// What keeps an `up` from its work before it begins.
async fn lacks(world: &World) -> Option<Problem> {
    let registry = managed(&world.spec, 1);
    registry.missing_input(&world.ctx()).await.unwrap()
}

#[tokio::test]
async fn a_cache_has_its_upstream_s_password_and_nothing_shows_it() {
    let world = World::with_mirrors();
    world.up().await.unwrap();
    let [url, user, password] = sent(&world);
    assert_eq!(url, "https://upstream.test:5000");
    assert_eq!((&*user, &*password), ("robot$me", "up: 'stream'"));
    assert_eq!(world.docker.files(CACHE).mode(CONFIG), Some(0o600));
    let mut seen = format!(
        "{:?} {:?} {:?}",
        world.docker.journal(),
        world.docker.call_log(),
        recorded(&*world.docker, &world.spec.cluster).await.unwrap()
    );
    for name in ["kindreg-c", CACHE, "kindreg-c-any", NODE] {
        let found = world.docker.container(name).await.unwrap();
        write!(seen, "{found:?}").unwrap();
    }
    for nth in 0..world.spec.registries.len() {
        write!(seen, "{:?}", made(&world.spec, nth)).unwrap();
    }
    let basic = login(&user, &password).basic();
    for secret in [&*password, basic.expose_secret()] {
        assert!(!seen.contains(secret), "{seen}");
    }
    assert!(seen.contains("NEXUS_PSW"), "names may be seen");
    for name in [NODE, "kindreg-c-any", "kindreg-c-registry"] {
        let files = world.docker.files(name);
        for path in files.all("/").into_keys() {
            let content = files.read(&path).unwrap_or_default();
            let content = String::from_utf8_lossy(&content);
            assert!(!content.contains(&*password), "{name}: {path}");
        }
    }
    world.down().await.unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[test]
fn only_a_cache_with_a_password_starts_with_a_file() {
    let mut spec = spec_with_mirrors();
    let with = made(&spec, 1);
    assert_eq!(with.command, ["serve", CONFIG]);
    // The URL stands beside the password, which no other one may be sent.
    assert!(!with.environment.contains_key("REGISTRY_PROXY_REMOTEURL"));
    for nth in [0, 2] {
        assert!(made(&spec, nth).command.is_empty());
    }
    cache(&mut spec, 1).login = None;
    let plain = made(&spec, 1);
    assert!(plain.command.is_empty());
    let url = &plain.environment["REGISTRY_PROXY_REMOTEURL"];
    assert_eq!(url, "https://upstream.test:5000");
    assert_ne!(plain.labels, with.labels);
}

#[tokio::test]
async fn what_a_cache_holds_is_enough_and_what_is_set_counts_more() {
    let mut world = World::with_mirrors();
    world.up().await.unwrap();
    let before = sent(&world);
    world.upstream = None;
    assert_eq!(lacks(&world).await, None);
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    // Its container is lost, and with it what could be looked at; the volume is there.
    world.docker.remove(CACHE).await.unwrap();
    assert_eq!(lacks(&world).await, None);
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert_eq!(sent(&world), before);

    world.upstream = Some(login("robot$me", "new"));
    let (outcome, titles) = done(&world).await;
    assert_eq!(outcome.unwrap(), Outcome::Changed);
    assert_eq!(titles, [CREDENTIALS, SERVES], "that and no more");
    assert_eq!(sent(&world)[2], "new");
    world.upstream = None;
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);

    // Somebody's editor was there.
    let files = world.docker.files(CACHE);
    let edited = text(&world, CACHE, CONFIG).replace("inmemory", "redis");
    files.write(CONFIG, 0o600, edited).unwrap();
    assert_eq!(done(&world).await.1, [CREDENTIALS, SERVES]);
    assert!(text(&world, CACHE, CONFIG).contains("inmemory"));
    files.write(CONFIG, 0o600, "nonsense").unwrap();
    let problem = lacks(&world).await.unwrap();
    assert!(problem.hint().contains("set NEXUS_USR and NEXUS_PSW"));
}

#[tokio::test]
async fn without_a_password_nothing_is_made() {
    let mut world = World::with_mirrors();
    world.upstream = None;
    let problem = lacks(&world).await.unwrap();
    assert_eq!(
        problem.to_string(),
        "no credentials for upstream.test:5000, the upstream of registry cache"
    );
    assert_eq!(problem.exit(), Exit::Usage);
    let hint = problem.hint();
    assert!(
        hint.contains("set NEXUS_USR and NEXUS_PSW") && hint.contains("kindreg up --name c"),
        "{hint}"
    );
    // Who goes on all the same fails, and leaves nothing.
    let error = world.up().await.unwrap_err();
    assert_eq!(error.downcast_ref::<Problem>(), Some(&problem));
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn another_upstream_is_never_sent_what_the_first_one_was() {
    let mut world = World::with_mirrors();
    world.up().await.unwrap();
    let before = sent(&world);
    cache(&mut world.spec, 1).upstream = "other.test".parse().unwrap();
    world.upstream = None;
    assert!(lacks(&world).await.is_some());
    let error = world.up().await.unwrap_err();
    assert!(
        format!("{error:#}").contains("no credentials for other.test"),
        "{error:#}"
    );
    assert_eq!(sent(&world), before, "it is as it was");
    let state = world.docker.container(CACHE).await.unwrap().unwrap().state;
    assert_ne!(state, ContainerState::Running);

    world.upstream = Some(login("they", "theirs"));
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert_eq!(sent(&world), ["https://other.test", "they", "theirs"]);
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
}

#[tokio::test]
async fn a_password_that_is_needed_no_more_does_not_stay() {
    let pushed = || Serves::Pushed {
        auth: Auth::Password,
    };
    let mut spec = spec_with_mirrors();
    let without = Cache {
        login: None,
        ..cache(&mut spec, 1).clone()
    };
    for serves in [Serves::Cache(without), Serves::Everything, pushed()] {
        let mut world = World::with_mirrors();
        world.up().await.unwrap();
        // The CA of the two is another one each time.
        let ca = cache(&mut world.spec, 1).ca.clone();
        if serves == Serves::Everything {
            // There is one already.
            distribution(&mut world.spec.registries[2]).serves = pushed();
        }
        distribution(&mut world.spec.registries[1]).serves = serves;
        if let Serves::Cache(cache) = &mut distribution(&mut world.spec.registries[1]).serves {
            cache.ca = ca;
        }
        let (outcome, titles) = done(&world).await;
        assert_eq!(outcome.unwrap(), Outcome::Changed);
        // Whoever serves under the new settings does not find it.
        let at = |id: &str| titles.iter().position(|done| done == id);
        let gone = at(&format!("retired.{CREDENTIALS}"));
        let serves = at(SERVES);
        assert!(gone.is_some() && gone < serves, "{titles:#?}");
        assert_eq!(text(&world, CACHE, CONFIG), "");
        assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    }
}

#[test]
fn variables_for_an_upstream_are_both_set_or_none_is() {
    let mut spec = spec_with_mirrors();
    let cache = cache(&mut spec, 1);
    let home = tempfile::tempdir().unwrap();
    let found = |variable: &dyn Fn(&str) -> Option<String>| {
        let config = DockerConfig::of(home.path(), None);
        CredentialSources { variable, config }.upstream(cache)
    };
    assert_eq!(found(&|_| None).unwrap(), None);
    assert_eq!(found(&|_| Some(String::new())).unwrap(), None);
    let both = found(&|name| Some(format!("{name}'s")));
    assert_eq!(both.unwrap(), Some(login("NEXUS_USR's", "NEXUS_PSW's")));
    for (set, unset) in [("NEXUS_USR", "NEXUS_PSW"), ("NEXUS_PSW", "NEXUS_USR")] {
        let error = found(&|name| (name == set).then(|| "hunter2".to_owned())).unwrap_err();
        let said = format!(
            "{error:#} {}",
            error.downcast_ref::<Problem>().unwrap().hint()
        );
        assert!(
            said.starts_with(&format!(
                "no credentials for upstream.test:5000: {unset} is not set"
            )),
            "{said}"
        );
        assert!(said.contains("set both NEXUS_USR and NEXUS_PSW") && !said.contains("hunter2"));
    }
    let error = found(&|_| Some("hunter2\nx".to_owned())).unwrap_err();
    let said = format!("{error:#} {error:?}");
    assert!(
        said.contains("can't use the variables as credentials for upstream.test:5000")
            && !said.contains("hunter2"),
        "{said}"
    );
    // A cache of which no variables are named has none.
    cache.login = None;
    let sources = CredentialSources {
        variable: &|_| Some("x".to_owned()),
        config: DockerConfig::of(home.path(), None),
    };
    assert_eq!(sources.upstream(cache).unwrap(), None);
}
