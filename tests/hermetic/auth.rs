//! Passwords: made once, handed to every node, merged with what others wrote, and never to be seen.

use kindreg::internal::credentials::{RegistryCredentials, Stored, auths};
use kindreg::internal::docker::Docker;
use kindreg::internal::docker::fake::FakeFiles;
use kindreg::internal::engine::Outcome;
use kindreg::internal::kube::Kube;
use kindreg::internal::kube::name::{Namespace, ObjectName};
use kindreg::internal::login::DockerConfig;
use kindreg::internal::observe::passwords;
use kindreg::internal::steps::cluster as pull_secret;
use kindreg::ops;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::world::{World, open};

fn namespace() -> Namespace {
    "default".parse().unwrap()
}

fn secret_name() -> ObjectName {
    "kindreg".parse().unwrap()
}

const CONFIG: &str = "/var/lib/kubelet/config.json";
const NODES: [&str; 3] = ["c-control-plane", "c-worker", "c-worker2"];

fn stored(world: &World) -> Stored {
    let files = world.docker.files("kindreg-c-registry");
    let path = "/kindreg/secret/credentials.json";
    assert_eq!(files.mode(path), Some(0o600));
    assert_eq!(files.mode("/kindreg/secret/htpasswd"), Some(0o600));
    Stored::from_json(&files.read(path).unwrap()).unwrap()
}

fn holds(files: &FakeFiles, user: &RegistryCredentials) -> bool {
    assert_eq!(files.mode(CONFIG), Some(0o600));
    let config = files.read(CONFIG).unwrap();
    ["registry.test:5001", "localhost:5001"]
        .iter()
        .all(|domain| auths::holds(&config, domain, user))
}

#[tokio::test]
async fn every_node_has_the_password_and_nothing_shows_it() {
    let world = World::new();
    world.up().await.unwrap();
    let stored = stored(&world);
    for node in NODES {
        assert!(holds(&world.docker.files(node), &stored.current), "{node}");
        assert_eq!(
            world.docker.files(node).mode("/var/lib/kubelet"),
            Some(0o700),
            "as kubeadm makes it"
        );
    }
    let registry = world.docker.container("kindreg-c-registry").await;
    let seen = format!(
        "{registry:?} {:?} {:?}",
        world.docker.journal(),
        world.docker.call_log()
    );
    for secret in [
        stored.current.password().expose_secret(),
        stored.current.basic().expose_secret(),
    ] {
        assert!(!seen.contains(secret));
    }
    let journal = world.docker.journal().join("\n");
    assert!(
        !journal.contains("restart kubelet"),
        "kubelet has not looked yet"
    );
}

#[tokio::test]
async fn the_password_outlives_the_container_and_a_lost_one_is_made_anew() {
    let world = World::new();
    world.up().await.unwrap();
    let first = stored(&world);
    world.docker.remove("kindreg-c-registry").await.unwrap();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert_eq!(stored(&world), first);

    let files = world.docker.files("kindreg-c-registry");
    files
        .write("/kindreg/secret/htpasswd", 0o600, "eve:$2y$04$x\n")
        .unwrap();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert_eq!(
        stored(&world),
        first,
        "others are shut out, and nobody else notices"
    );

    assert!(files.remove("/kindreg/secret/credentials.json"));
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    let second = stored(&world);
    assert_ne!(second, first);
    assert!(holds(&world.docker.files("c-worker"), &second.current));
    let journal = world.docker.journal().join("\n");
    assert!(
        journal.contains("restart kubelet in c-worker"),
        "it remembers the old one"
    );
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
}

#[tokio::test]
async fn a_node_that_lost_it_gets_it_again_and_is_proven_again() {
    let world = World::new();
    world.up().await.unwrap();
    let before = world.docker.journal().len();
    assert!(world.docker.files("c-worker").remove(CONFIG));
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    let journal = world.docker.journal().split_off(before).join("\n");
    assert!(
        journal.contains("restart kubelet in c-worker\n"),
        "{journal}"
    );
    assert!(!journal.contains("kubelet in c-worker2"), "{journal}");
    assert!(journal.contains("kube put"), "{journal}");
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
}

#[tokio::test]
async fn what_others_put_into_a_node_stays_and_comes_back() {
    let world = World::new();
    world.up().await.unwrap();
    let node = world.docker.files("c-worker");
    let entry: Value = json!({"auth": "eDp5"});
    let mut config: Value = serde_json::from_slice(&node.read(CONFIG).unwrap()).unwrap();
    config["auths"]["ghcr.io"] = entry.clone();
    node.write(CONFIG, 0o600, config.to_string()).unwrap();
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);

    let plan =
        kindreg::internal::plan::up(&world.spec, &[], kindreg::internal::plan::Verify::EveryNode);
    let step = plan
        .steps()
        .find(|step| step.id().to_string() == "node.credentials");
    step.unwrap().undo(&world.ctx()).await.unwrap();
    let config: Value = serde_json::from_slice(&node.read(CONFIG).unwrap()).unwrap();
    assert_eq!(config, json!({"auths": {"ghcr.io": entry}}));
    assert!(world.docker.files("c-worker2").read(CONFIG).is_none());
}

#[tokio::test]
async fn a_password_of_ones_own_replaces_the_random_one() {
    let world = World::new();
    world.up().await.unwrap();
    let own = RegistryCredentials::new("me", "my own, with \"quotes\"".to_owned()).unwrap();
    let mut ctx = world.ctx();
    ctx.own_credentials = Some(own.clone());
    assert_eq!(
        world.up_with(&ctx, &|_| {}).await.unwrap(),
        Outcome::Changed
    );
    assert_eq!(stored(&world).current, own);
    assert!(holds(&world.docker.files("c-worker2"), &own));
    assert_eq!(
        world.up().await.unwrap(),
        Outcome::Unchanged,
        "given once is enough"
    );
}

#[tokio::test]
async fn what_earlier_settings_handed_over_is_taken_back() {
    let mut world = World::new();
    world.up().await.unwrap();
    let user = stored(&world).current;
    world.spec.registries[0].port = "5002".parse().unwrap();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    let node = world.docker.files("c-worker");
    let config = node.read(CONFIG).unwrap();
    assert!(auths::holds(&config, "registry.test:5002", &user));
    assert!(!auths::names(&config, "registry.test:5001"));
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    open(&mut world.spec.registries[0]);
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert_eq!(node.read(CONFIG), None);
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
}

#[tokio::test]
async fn without_authentication_there_is_no_password_anywhere() {
    let mut world = World::new();
    open(&mut world.spec.registries[0]);
    world.up().await.unwrap();
    assert!(world.docker.files("c-worker").read(CONFIG).is_none());
    let files = world.docker.files("kindreg-c-registry");
    assert!(files.read("/kindreg/secret/credentials.json").is_none());
}

#[tokio::test]
async fn a_rotation_reaches_everybody_before_the_old_password_ends() {
    let world = World::new();
    world.up().await.unwrap();
    let ctx = world.ctx();
    let old = stored(&world);
    let passwords = passwords(&*ctx.docker, &world.spec, &ctx.external_credentials).await;
    let passwords = passwords.unwrap().unwrap();
    let secret = pull_secret::manifest(
        &world.spec.cluster,
        &secret_name(),
        &namespace(),
        &passwords,
    );
    pull_secret::put(&ctx, &secret).await.unwrap();
    for _ in 0..2 {
        let attached = pull_secret::attach(
            &ctx,
            &namespace(),
            &"default".parse().unwrap(),
            &secret_name(),
        )
        .await;
        attached.unwrap();
    }
    let config = DockerConfig::of(&world.home.path().join(".docker"), None);
    config.store("localhost:5001", &old.current).await.unwrap();

    let before = world.docker.journal().len();
    ops::rotate(&world.client(), &world.spec.cluster)
        .await
        .unwrap();

    let new = stored(&world);
    assert_eq!(new.current.user(), "kindreg-b");
    assert_eq!(new.retiring, None);
    let users = world.docker.files("kindreg-c-registry");
    let users = users.read("/kindreg/secret/htpasswd").unwrap();
    assert!(new.is_in(&String::from_utf8(users).unwrap()));
    for node in NODES {
        assert!(holds(&world.docker.files(node), &new.current), "{node}");
    }
    assert!(config.has("localhost:5001", &new.current).await.unwrap());
    assert_eq!(
        config.get("registry.test:5001").await.unwrap().map(|_| ()),
        None
    );
    let path = "/api/v1/namespaces/default/secrets/kindreg";
    let renewed = world.kube.get(path).await.unwrap().unwrap();
    assert_ne!(renewed["data"], secret["data"]);
    let account = world
        .kube
        .get("/api/v1/namespaces/default/serviceaccounts/default")
        .await;
    let account = account.unwrap().unwrap();
    assert_eq!(account["imagePullSecrets"], json!([{"name": "kindreg"}]));

    let journal = world.docker.journal().split_off(before);
    let at = |what: &str| {
        journal
            .iter()
            .position(|effect| effect.contains(what))
            .unwrap()
    };
    let last = |what: &str| {
        journal
            .iter()
            .rposition(|effect| effect.contains(what))
            .unwrap()
    };
    assert!(at("start kindreg-c-users-registry") < at("restart kubelet"));
    assert!(last("restart kubelet") < at("kube put /api/v1/namespaces/default/pods"));
    assert!(
        at("kube put /api/v1/namespaces/default/pods") < last("start kindreg-c-users-registry")
    );
    assert_eq!(
        world.up().await.unwrap(),
        Outcome::Unchanged,
        "it is proven"
    );

    ops::rotate(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(stored(&world).current.user(), "kindreg-a");
}

#[tokio::test]
async fn a_rotation_that_fails_shuts_nobody_out_and_the_next_one_ends_it() {
    let world = World::new();
    world.up().await.unwrap();
    let rotate = async |world: &World| {
        let client = world.client();
        ops::rotate(&client, &world.spec.cluster).await
    };
    let before = world.docker.calls();
    rotate(&world).await.unwrap();
    let calls = world.docker.calls() - before;
    for number in 1..=calls {
        let world = World::new();
        world.up().await.unwrap();
        let old = stored(&world).current;
        let failing = world.docker.calls() + number;
        world
            .docker
            .fail_call(failing, kindreg::internal::docker::fake::Fault::Error);
        let first = rotate(&world).await;
        let case = format!("call {number} ({})", world.docker.call_log()[failing - 1]);
        if first.is_err() {
            let files = world.docker.files("kindreg-c-registry");
            let users = String::from_utf8(files.read("/kindreg/secret/htpasswd").unwrap()).unwrap();
            for node in NODES {
                let config = world.docker.files(node).read(CONFIG).unwrap();
                let now = stored(&world);
                let mut known = std::iter::once(now.current)
                    .chain(now.retiring)
                    .chain([old.clone()]);
                let its = known.find(|user| auths::holds(&config, "registry.test:5001", user));
                let its = its.unwrap_or_else(|| panic!("{case}: {node} has a strange password"));
                assert!(
                    kindreg::internal::credentials::admits(&users, &its),
                    "{case}: {node} is shut out"
                );
            }
        }
        world
            .up()
            .await
            .unwrap_or_else(|error| panic!("{case}: up: {error:#}"));
        rotate(&world)
            .await
            .unwrap_or_else(|error| panic!("{case}: the next one: {error:#}"));
        assert_eq!(stored(&world).retiring, None, "{case}");
        assert_eq!(world.up().await.unwrap(), Outcome::Unchanged, "{case}");
        world.down().await.unwrap();
        assert_eq!(world.left().await, Vec::<String>::new(), "{case}");
    }
}

#[tokio::test]
async fn a_secret_that_is_not_ours_stays_and_a_missing_account_is_named() {
    let world = World::new();
    world.up().await.unwrap();
    let ctx = world.ctx();
    let path = "/api/v1/namespaces/default/secrets/kindreg";
    let theirs = json!({"metadata": {"name": "kindreg", "namespace": "default"}});
    world.kube.set(path, Some(theirs.clone()));
    let passwords = passwords(&*ctx.docker, &world.spec, &ctx.external_credentials).await;
    let passwords = passwords.unwrap().unwrap();
    let secret = pull_secret::manifest(
        &world.spec.cluster,
        &secret_name(),
        &namespace(),
        &passwords,
    );
    let error = pull_secret::put(&ctx, &secret).await.unwrap_err();
    assert_eq!(
        kindreg::internal::hints::exit(&error),
        kindreg::internal::problem::Exit::Foreign
    );
    assert_eq!(world.kube.get(path).await.unwrap(), Some(theirs));
    let error = pull_secret::attach(
        &ctx,
        &namespace(),
        &"builder".parse().unwrap(),
        &secret_name(),
    )
    .await;
    assert!(error.unwrap_err().to_string().contains("builder"));
    let found = pull_secret::namespaces(&ctx).await.unwrap();
    assert!(found.contains(&"kube-public".parse().unwrap()), "{found:?}");
}
