//! A cache whose upstream asks for a password.

use std::fs;

use kindreg::credentials::RegistryCredentials;
use secrecy::ExposeSecret;
use serde_json::json;
use tempfile::TempDir;

use crate::mirrors::{Place, Upstream, every_node_runs, push, repositories};
use crate::support::{Pod, Shared, attempt, docker, docker_lines, scratch};

/// A cache of [`GUARDED`], which asks for a password.
const LOGGED_IN: &str = "cache.test:5741";
const CONTAINER: &str = "kindreg-e2e-shared-cache";
const GUARDED: &str = "upstream.test:5909";
const USER: &str = "robot$e2e";
/// YAML, shells and HTTP would each read something else into it.
const PASSWORD: &str = "it's \"theirs\": 50% > #hunter2?";

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_cache_logs_in_to_an_upstream_that_asks_for_a_password() {
    let scene = Shared::cluster();
    let place = Place::new(&scene, 2);
    let login = RegistryCredentials::given(USER, PASSWORD.to_owned()).unwrap();
    let upstream = Upstream::start(&scene, &place, Some(&login));
    let docker_config = logged_in(&login);
    for tag in [1, 2] {
        let reference = format!("localhost:5909/team/app:{tag}");
        push(&reference, Some(docker_config.path()));
    }
    let up = |password: &str| {
        let call = place.up(&scene);
        call.env("E2E_USR", USER).env("E2E_PSW", password)
    };

    place.asks(&guarded(LOGIN));
    up(PASSWORD)
        .run()
        .exits(2)
        .says(&format!("{GUARDED} will be sent $E2E_USR and $E2E_PSW"));
    place
        .up(&scene)
        .args(&["--yes"])
        .run()
        .exits(2)
        .says(&format!("there are no credentials for {GUARDED}"))
        .says("set both E2E_USR and E2E_PSW");
    let made = docker_lines(&["ps", "-aq", "--filter", "name=e2e-shared-cache"]);
    assert_eq!(made, Vec::<String>::new(), "nothing was made");

    let first = up(PASSWORD).args(&["--yes", "-vvv"]).run().exits(0);
    assert!(!first.to_string().contains("hunter2"), "{first}");
    place.up(&scene).run().exits(0).prints("Nothing to do");
    // Nodes themselves have no password for it, so what they pull came through the cache; and what it has, it keeps.
    let image = [format!("{GUARDED}/team/app:1")];
    every_node_runs(&scene, &image);
    assert_eq!(repositories(&scene, LOGGED_IN), ["team/app"]);
    upstream.stops();
    every_node_runs(&scene, &image);
    upstream.starts();
    nothing_shows(&login);

    up("wrong").run().exits(0).says("others are given");
    let pod = Pod {
        namespace: "default",
        name: "refused".to_owned(),
        account: "default",
        node: "worker",
        image: format!("{GUARDED}/team/app:2"),
    };
    pod.is_refused(&scene, "Failed to pull image");
    up(PASSWORD).run().exits(0).says("others are given");
    every_node_runs(&scene, &[format!("{GUARDED}/team/app:2")]);

    place.asks(&guarded(""));
    place.up(&scene).run().exits(0).says("removal: credentials");
    let file = "kindreg-e2e-shared-cache:/kindreg/secret/config.yml";
    let content = format!("docker cp {file} - | tar -xO | wc -c");
    assert_eq!(attempt("sh", &["-c", &content]).good().trim(), "0");
    // What is no longer asked for goes with the cluster. Without its upstream it would not even start.
    docker(&["rm", "-f", "-v", CONTAINER]);
}

/// The two keys with the variables.
const LOGIN: &str = "upstream_username_env = \"E2E_USR\"\nupstream_password_env = \"E2E_PSW\"\n";

fn guarded(login: &str) -> String {
    format!(
        "[registry.cache]\nport = 5741\nmirror_of = \"{GUARDED}\"\nupstream_ca = \"upstream.pem\"\n{login}"
    )
}

/// A docker config that may push to the upstream.
fn logged_in(login: &RegistryCredentials) -> TempDir {
    let folder = scratch();
    let config = json!({"auths": {"localhost:5909": {"auth": login.basic().expose_secret()}}});
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

/// Neither a container's settings or log nor a command line has the password.
#[track_caller]
fn nothing_shows(login: &RegistryCredentials) {
    let containers = docker_lines(&["ps", "-aq"]);
    let containers: Vec<&str> = containers.iter().map(String::as_str).collect();
    let seen = [
        attempt("docker", &[&["inspect"], &*containers].concat()).good(),
        attempt("docker", &["logs", "kindreg-e2e-shared-cache"]).all(),
        attempt("sh", &["-c", "cat /proc/[0-9]*/cmdline"]).stdout,
    ];
    for (nth, seen) in seen.iter().enumerate() {
        for secret in ["hunter2", login.basic().expose_secret()] {
            assert!(!seen.contains(secret), "place {nth} shows it");
        }
    }
}
