//! Which file counts, and what wins over it.

use std::path::Path;

use crate::cli::{Run, cluster, kindreg};

#[test]
fn the_later_wins_of_file_variable_and_flag() {
    let file =
        "[cluster]\nname = \"file\"\nworkers = 1\nhost_trust = false\n[registry.r]\nport = 6001\n";
    let run = |arguments: &[&str]| kindreg(arguments).file("kindreg.toml", file);
    assert_eq!(cluster(&run(&["render", "--json"]).run()), "file");
    assert_eq!(
        cluster(&run(&["render", "--json"]).env("KINDREG_NAME", "env").run()),
        "env"
    );
    let flag = run(&["render", "--json", "--name", "flag"])
        .env("KINDREG_NAME", "env")
        .run();
    assert_eq!(cluster(&flag), "flag");

    let text = run(&["render"]).env("KINDREG_WORKERS", "2").run().stdout;
    assert!(
        text.contains("r.test:6001") && text.contains("\"workers\": 2"),
        "{text}"
    );
    assert!(!text.contains("/etc/docker/certs.d"), "host_trust is false");
    let text = run(&[
        "render",
        "--port",
        "6002",
        "--host",
        "h.test",
        "--no-host-trust=false",
    ])
    .run()
    .stdout;
    assert!(text.contains("/etc/docker/certs.d/h.test:6002/"), "{text}");
    let text = kindreg(&["render"])
        .env("KINDREG_NO_HOST_TRUST", "1")
        .run()
        .stdout;
    assert!(!text.contains("/etc/docker/certs.d"), "{text}");
    let text = kindreg(&["render"])
        .env("KINDREG_NO_HOST_TRUST", "0")
        .run()
        .stdout;
    assert!(text.contains("/etc/docker/certs.d"), "{text}");
}

#[test]
fn flags_of_one_registry_do_not_choose_among_several() {
    let file = "[registry.a]\n[registry.b]\nport = 5002\n";
    let answer = kindreg(&[
        "render",
        "--host",
        "x.test",
        "--registry-image",
        "registry:2",
    ])
    .env("KINDREG_PORT", "7000")
    .file("kindreg.toml", file)
    .run();
    assert_eq!(answer.code, 2);
    for at in [
        "--host: ambiguous: there are several registries (a, b); set it in kindreg.toml",
        "--registry-image: ",
        "KINDREG_PORT: ",
    ] {
        assert!(answer.stderr.contains(at), "{at}: {}", answer.stderr);
    }
    let answer = kindreg(&["render", "--workers", "1"])
        .file("kindreg.toml", file)
        .run();
    assert_eq!(answer.code, 0, "{answer:?}");
}

#[test]
fn the_file_is_found_up_to_the_repository_s_root_and_not_above() {
    let named = |name: &str| format!("[cluster]\nname = \"{name}\"\n");
    let run = || kindreg(&["render", "--json"]).file("kindreg.toml", &named("above"));
    let root = || {
        run()
            .file("repo/.git/HEAD", "")
            .file("repo/kindreg.toml", &named("root"))
    };
    assert_eq!(cluster(&root().within("repo/a/b").run()), "root");
    assert_eq!(
        cluster(
            &root()
                .file("repo/a/kindreg.toml", &named("near"))
                .within("repo/a/b")
                .run()
        ),
        "near"
    );
    assert_eq!(
        cluster(&run().file("repo/.git", "gitdir: x").within("repo/a").run()),
        "kindreg"
    );
    assert_eq!(cluster(&run().within("no/repo").run()), "kindreg");
    assert_eq!(cluster(&run().run()), "above");

    let other = |run: Run| run.file("other.toml", &named("other"));
    assert_eq!(
        cluster(&other(kindreg(&["render", "--json", "--config", "other.toml"])).run()),
        "other"
    );
    assert_eq!(
        cluster(&other(run()).env("KINDREG_CONFIG", "other.toml").run()),
        "other"
    );
}

#[test]
fn a_file_that_can_t_be_read_is_said_so() {
    for config in ["absent.toml", ".", "/dev/zero", "/dev/null/x"] {
        let answer = kindreg(&["render", "--config", config]).run();
        assert_eq!(answer.code, 2, "{answer:?}");
        assert!(
            answer.stderr.contains(&format!("can't read {config}")),
            "{answer:?}"
        );
    }
    let large = "#".repeat(300 * 1024);
    let answer = kindreg(&["render"]).file("kindreg.toml", &large).run();
    assert!(
        answer.code == 2 && answer.stderr.contains("larger than 256 KiB"),
        "{answer:?}"
    );
    let run = kindreg(&["render"]);
    std::fs::write(run.folder.path().join("kindreg.toml"), b"# \xff\n").unwrap();
    let answer = run.run();
    assert!(
        answer.code == 2 && answer.stderr.contains("not valid UTF-8"),
        "{answer:?}"
    );
}

#[test]
fn somebody_else_s_file_is_not_obeyed_unless_it_is_named() {
    let run = |arguments: &[&str]| {
        let run = kindreg(arguments).file("theirs.toml", "");
        let file = run.folder.path().join("kindreg.toml");
        if rustix::process::geteuid().is_root() {
            std::fs::write(&file, "").unwrap();
            std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
        } else {
            // root's, by way of a link of one's own.
            std::os::unix::fs::symlink(Path::new("/etc/passwd"), &file).unwrap();
        }
        run
    };
    let answer = run(&["render"]).run();
    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""));
    assert!(
        answer
            .stderr
            .contains("kindreg.toml belongs to another user (uid "),
        "{answer:?}"
    );
    assert!(
        answer
            .stderr
            .contains("hint: if you trust it, name it: --config "),
        "{answer:?}"
    );
    assert_eq!(run(&["render", "--config", "theirs.toml"]).run().code, 0);
    // Whoever gives the name needs no file.
    assert_eq!(run(&["down", "--name", "c"]).run().code, 1);
    assert_eq!(run(&["down"]).run().code, 2);
}

#[test]
fn a_kind_configuration_is_found_beside_its_file() {
    let answer = kindreg(&["render", "--config", "deploy/kindreg.toml"])
        .file(
            "deploy/kindreg.toml",
            "[cluster]\nkind_config = \"kind.yaml\"\n",
        )
        .file("deploy/kind.yaml", "networking: {ipFamily: dual}\n")
        .run();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(
        answer.stdout.contains("ipFamily: dual\n"),
        "{}",
        answer.stdout
    );
}

#[test]
fn without_a_home_nothing_is_configured_by_the_current_folder() {
    // Contexts are stored under the SHA-256 of their name.
    let meta = ".docker/contexts/meta/693947f11c11e998a62abddd676792c751618d086b30c7ccc420843202dd8b5e/meta.json";
    let context =
        r#"{"Name":"kindreg-evil","Endpoints":{"docker":{"Host":"unix:///nowhere/evil.sock"}}}"#;
    let run = || {
        let run = kindreg(&["list"]).file(meta, context);
        run.without("DOCKER_HOST")
            .env("DOCKER_CONTEXT", "kindreg-evil")
    };
    let there = run().run();
    assert!(there.stderr.contains("evil.sock"), "at home: {there:?}");
    for run in [
        run().without("HOME"),
        run().env("HOME", ""),
        run().env("HOME", "."),
    ] {
        let answer = run.run();
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(
            answer
                .stderr
                .contains("docker context kindreg-evil does not exist"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_file_that_the_settings_name_and_that_is_missing_does_not_stop_down() {
    let machine = kindreg::fakes::Machine::new().unwrap();
    let file = "[cluster]\nname = \"c\"\nkind_config = \"kind.yaml\"\n[registry.a]\nmirror_of = \"quay.io\"\n\
                upstream_ca = \"ca.pem\"\n";
    std::fs::write(machine.home().join("kindreg.toml"), file).unwrap();
    let down = machine.run(&["down"]).await;
    assert_eq!(down.code, 0, "{down:?}");
    assert!(down.stdout.contains("Nothing to do"), "{down:?}");
    let up = machine.run(&["up"]).await;
    assert_eq!(up.code, 2, "{up:?}");
    for name in ["kind.yaml: ", "ca.pem: "] {
        assert!(up.stderr.contains(name), "{up:?}");
    }
}
