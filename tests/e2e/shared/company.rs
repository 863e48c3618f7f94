//! A registry that kindreg does not run, beside one of its own: trusted, found, and pulled from by its users.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::external::pods_pull;
use crate::support::company::{Company, HOST, IMAGE, auth, user};
use crate::support::{Call, Machine, Scene, Shared, attempt, docker, kubectl, nodes, run_with, sh};

/// How long a cluster may take to come back after a restart.
const LIMIT: Duration = Duration::from_secs(180);

/// The whole of kubelet's file on a node.
#[track_caller]
fn kubelet(node: &str) -> Value {
    serde_json::from_str(&sh(node, "cat /var/lib/kubelet/config.json")).unwrap()
}

#[track_caller]
fn all_nodes_have(scene: &Scene, company: &Company, name: &str) {
    let domain = company.domain();
    for node in nodes(scene.cluster) {
        let config = kubelet(&node);
        assert_eq!(
            config["auths"][&domain],
            auth(&domain, name)["auths"][&domain],
            "{node}"
        );
        // What nodes can't use never gets there.
        let keys: Vec<&String> = config.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["auths"], "{node}");
    }
}

#[track_caller]
fn all_nodes_find_it(scene: &Scene, company: &Company) {
    let line = format!("{} {HOST} # kindreg:company\n", company.address);
    for node in nodes(scene.cluster) {
        let hosts = sh(&node, "cat /etc/hosts");
        assert_eq!(hosts.matches(&line).count(), 1, "{node}: {hosts}");
    }
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_company_s_registry_is_trusted_found_and_pulled_from() {
    let scene = Shared::cluster();
    let company = Company::start("e2e-company", 5731, &["robot", "second"]);
    let before = Machine::snapshot(scene.home());
    let domain = company.domain();
    let ours = "[cluster]\nworkers = 2\n[registry.registry]\n";
    let file = company.file(ours, "");
    let nobody = company.config("nobody", &json!({}));
    let robot = company.config("robot", &auth(&domain, "robot"));
    let up = |config: &Path| {
        let call = scene.up(&["--config", file.to_str().unwrap()]);
        call.env("DOCKER_CONFIG", config)
    };

    up(&robot)
        .run()
        .exits(2)
        .says("nodes and the engine's host will trust the CA in kindreg.toml")
        .says("--yes");
    up(&nobody)
        .args(&["--yes"])
        .run()
        .exits(2)
        .says(&format!("no credentials for external registry {domain}"))
        .says(&format!("docker login {domain}"));
    Machine::snapshot(scene.home()).is_as(&before);

    // At a terminal it asks instead, and shows no password.
    let password = user("robot").password().expose_secret().to_owned();
    let typed = [
        ("Continue? [y/N]", "y"),
        (&*format!("User name for {domain}:"), "robot"),
        (&format!("Password for robot at {domain}:"), &password),
    ];
    let said = up(&nobody).at_a_terminal(&typed).run().exits(0);
    assert!(!said.to_string().contains(&password), "{said}");
    said.prints("Ready: 3 nodes");
    scene.has_nodes(3);
    all_nodes_have(&scene, &company, "robot");
    all_nodes_find_it(&scene, &company);
    for (nth, namespace) in ["default", "kube-public", "company"]
        .into_iter()
        .enumerate()
    {
        attempt(
            "docker",
            &[
                "exec",
                &nodes(scene.cluster)[0],
                "kubectl",
                "--kubeconfig",
                "/etc/kubernetes/admin.conf",
                "create",
                "namespace",
                namespace,
            ],
        );
        pods_pull(&scene, &company, namespace, nth.try_into().unwrap());
    }
    // Agreed to once, and held by the nodes: neither question nor credentials are needed again.
    let again = up(&nobody).run().exits(0).prints("Nothing to do");
    println!("   nothing to do ({:.2} s)", again.took.as_secs_f64());

    it_shows(&scene, &company);
    its_users_change(&scene, &company, &up);
    it_is_found_after_restarts(&scene, &company);
    scene.verify().run().exits(0).prints(&domain);

    // Out of the file, and out of the nodes.
    let only = company.path("only.toml");
    fs::write(&only, ours).unwrap();
    scene
        .up(&["--config", only.to_str().unwrap()])
        .run()
        .exits(0)
        .prints("Ready");
    for node in nodes(scene.cluster) {
        let left = "grep -rl company /etc/hosts /etc/containerd/certs.d /etc/systemd/system /var/lib/kubelet/config.json || true";
        assert_eq!(sh(&node, left), "", "{node}");
    }
    company.file(ours, "");
    up(&robot).args(&["--yes"]).run().exits(0);
}

/// What `status`, `list`, `env`, `secret` and `login` say of it.
#[track_caller]
fn it_shows(scene: &Scene, company: &Company) {
    let call = |words: &[&str]| {
        scene
            .call(words)
            .args(&["--name", scene.cluster])
            .run()
            .exits(0)
    };
    let domain = company.domain();
    let status: Value = serde_json::from_str(&call(&["status", "--json"]).stdout).unwrap();
    let shown = &status["registries"][1];
    assert_eq!(
        (&shown["domain"], &shown["backend"]),
        (&json!(domain), &json!("external"))
    );
    assert!(
        shown["local"].is_null() && shown["expires"].is_string(),
        "{shown}"
    );
    call(&["env", "--show-secrets"])
        .prints(&format!("KINDREG_COMPANY_HOST='{domain}'"))
        .prints("KINDREG_COMPANY_USR='robot'");
    let secret: Value = serde_json::from_str(&call(&["secret", "--dry-run"]).stdout).unwrap();
    let data = secret["data"][".dockerconfigjson"].as_str().unwrap();
    let data = run_with("base64", &["-d"], data.as_bytes()).good();
    assert!(
        data.contains(&domain) && data.contains("registry.test"),
        "{data}"
    );
    let said = call(&["login"]).says(&format!("docker login {domain}"));
    assert!(!said.stdout.contains(HOST), "{said}");
    call(&["logout"]);
}

/// A wrong password, another one from a helper, another user out of variables, an image that proves it.
#[track_caller]
fn its_users_change(scene: &Scene, company: &Company, up: &dyn Fn(&Path) -> Call) {
    let domain = company.domain();
    let stranger = company.config("stranger", &auth(&domain, "stranger"));
    up(&stranger)
        .run()
        .exits(3)
        .says("3 of 3 nodes can't pull")
        .says("401 Unauthorized")
        .says("its certificate is trusted")
        .says(&format!("docker login {domain}"));

    // Nodes hold what was refused, so the helper is asked; before that it was not.
    let helper = company.config(
        "helper",
        &json!({"auths": {&domain: {}}, "credsStore": "e2e"}),
    );
    let program = helper.join("docker-credential-e2e");
    let answer = json!({"Username": "robot", "Secret": user("robot").password().expose_secret()});
    fs::write(
        &program,
        format!("#!/bin/sh\ncat >/dev/null; touch \"$0.asked\"; cat <<'.'\n{answer}\n.\n"),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let asked = helper.join("docker-credential-e2e.asked");
    let path = format!("{}:{}", helper.display(), std::env::var("PATH").unwrap());
    up(&helper)
        .env("PATH", &path)
        .run()
        .exits(0)
        .prints("Ready: 3 nodes");
    all_nodes_have(scene, company, "robot");
    assert!(fs::remove_file(&asked).is_ok(), "the helper was asked");
    up(&helper)
        .env("PATH", &path)
        .run()
        .exits(0)
        .prints("Nothing to do");
    assert!(!asked.exists(), "the helper was not asked again");

    let ours = "[cluster]\nworkers = 2\n[registry.registry]\n";
    let names = "username_env = \"COMPANY_USR\"\npassword_env = \"COMPANY_PSW\"\n";
    company.file(ours, names);
    let with = |call: Call| {
        let password = user("second").password().expose_secret().to_owned();
        call.env("COMPANY_USR", "second")
            .env("COMPANY_PSW", password)
    };
    // Variables of the user's are handed to nobody unasked.
    with(up(&helper))
        .run()
        .exits(2)
        .says("$COMPANY_USR and $COMPANY_PSW");
    with(up(&helper))
        .args(&["--yes"])
        .run()
        .exits(0)
        .prints("Ready: 3 nodes");
    all_nodes_have(scene, company, "second");

    company.file(ours, &format!("{names}proof = \"team/absent:1\"\n"));
    with(up(&helper))
        .run()
        .exits(3)
        .says("not found")
        .says("name an image that exists");
    company.file(ours, &format!("{names}proof = \"{IMAGE}\"\n"));
    with(up(&helper)).run().exits(0).prints("Ready: 3 nodes");
    with(up(&helper)).run().exits(0).prints("Nothing to do");
    let pods = kubectl(
        scene.cluster,
        &[
            "get",
            "pods",
            "-n",
            "default",
            "-l",
            "dev.kindreg.pod",
            "-o",
            "name",
        ],
    );
    assert_eq!(pods, "", "pods of the proof are left");
}

/// Docker writes /etc/hosts anew when a node starts; without `up` the line is back and pulls work.
#[track_caller]
fn it_is_found_after_restarts(scene: &Scene, company: &Company) {
    let all = nodes(scene.cluster);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for (nth, restarted) in [(20, &all[2..]), (30, &all[..])] {
        docker(&[&["restart", "-t", "2"], restarted].concat());
        let begun = Instant::now();
        loop {
            let call = scene.call(&["verify", "--name", scene.cluster, "--timeout", "40"]);
            let verify = call.run();
            if verify.code == Some(0) {
                break;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "no pulls after a restart: {verify}"
            );
            sleep(Duration::from_secs(1));
        }
        println!(
            "   pulls again after {} of 3 nodes restarted ({:.1} s)",
            restarted.len(),
            begun.elapsed().as_secs_f64()
        );
        all_nodes_find_it(scene, company);
        pods_pull(scene, company, "default", nth);
    }
}
