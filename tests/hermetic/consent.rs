//! A `kindreg.toml` that was found may be a stranger's. What it could do to the user is asked about once, with the
//! values, and before anything is done.

use kindreg::fakes::{Answer, Machine};
use kindreg::internal::docker::{Docker, Label};

use crate::config::authority;
use crate::stage::run;

const KIND: &str = "nodes:\n- role: control-plane\n  extraMounts:\n  - {hostPath: /, containerPath: /host}\n  \
                    extraPortMappings:\n  - {hostPort: 80, containerPort: 80}\n";

/// A machine in whose current folder these files lie.
fn machine(files: &[(&str, &str)]) -> Machine {
    let machine = Machine::new().unwrap();
    for image in ["evil/node", "evil/registry", "evil/other"] {
        machine.docker().add_image(image);
    }
    for (name, text) in files {
        let path = machine.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    machine
}

fn rewrite(machine: &Machine, text: &str) {
    std::fs::write(machine.home().join("kindreg.toml"), text).unwrap();
}

/// How often a run asked.
fn questions(answer: &Answer) -> usize {
    answer.stderr.matches("Continue? [y/N]").count()
}

/// Each is a file, what else lies beside it, and what the question has to show.
const CASES: [(&str, &str, &[&str]); 9] = [
    (
        "image",
        "[cluster]\nimage = \"evil/node\"\n",
        &["evil/node", "privileged"],
    ),
    (
        "registry image",
        "[registry.a]\nimage = \"evil/registry\"\n",
        &["evil/registry", "registry a"],
    ),
    (
        "a company's name",
        "[registry.a]\nhost = \"nexus.company.internal\"\n",
        &["nexus.company.internal:5001"],
    ),
    (
        "a name in .local",
        "[registry.a]\nhost = \"nexus.local\"\n",
        &["nexus.local:5001"],
    ),
    (
        "a further name",
        "[registry.a]\nnames = [\"ghcr.io\"]\n",
        &["ghcr.io:5001"],
    ),
    (
        "a company's name for nodes alone",
        "[cluster]\nhost_trust = false\n[registry.a]\nhost = \"ghcr.io\"\n",
        &["every node", "ghcr.io:5001"],
    ),
    (
        "docker's login",
        "[registry.a]\nbackend = \"external\"\nhost = \"ghcr.io\"\n",
        &["ghcr.io", "your docker login"],
    ),
    (
        "somebody's images under another's name",
        "[registry.a]\nbackend = \"external\"\nhost = \"evil.com\"\nauth = false\nnames = [\"ghcr.io\"]\n",
        &["evil.com", "images of ghcr.io"],
    ),
    (
        "a kind configuration",
        "[cluster]\nkind_config = \"kind.yaml\"\n",
        &["mounts / of the engine's host", "0.0.0.0:80", "hostPath: /"],
    ),
];

#[tokio::test]
async fn a_found_file_does_nothing_unasked() {
    for (what, file, shown) in CASES {
        let machine = machine(&[
            ("kindreg.toml", file),
            ("kind.yaml", KIND),
            // A helper that is not installed: whoever asks it for credentials fails.
            (".docker/config.json", "{\"credsStore\": \"keychain\"}"),
        ]);
        let answer = run(&machine, "up").await;
        assert_eq!(
            (answer.code, &*answer.stdout),
            (2, ""),
            "{what}: {answer:?}"
        );
        assert!(
            answer.stderr.contains("error: this needs your consent: "),
            "{what}: {answer:?}"
        );
        for value in shown {
            assert!(answer.stderr.contains(value), "{what}, {value}: {answer:?}");
        }
        assert!(answer.stderr.contains("--yes"), "{what}: {answer:?}");
        assert!(!answer.stderr.contains("keychain"), "{what}: {answer:?}");

        let no = machine.run_with_answers(&["up"], &["n"]).await;
        assert_eq!((no.code, questions(&no)), (2, 1), "{what}: {no:?}");
        assert!(!no.stderr.contains("keychain"), "{what}: {no:?}");
        for value in shown {
            assert!(no.stderr.contains(value), "{what}, {value}: {no:?}");
        }
        let journal = machine.docker().journal();
        assert_eq!(journal, [""; 0], "{what}: nothing was pulled or created");
        assert!(
            machine
                .docker()
                .containers(Label::Key("dev.kindreg.cluster"))
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn what_was_agreed_to_is_asked_again_only_if_it_changes() {
    for (what, old, new) in [
        (
            "[registry.a]\nimage = \"V\"\n",
            "evil/registry",
            "evil/other",
        ),
        ("[registry.a]\nnames = [\"V\"]\n", "ghcr.io", "quay.io"),
        (
            "[registry.a]\nhost = \"V\"\n",
            "a.company.internal",
            "b.company.internal",
        ),
        (
            "[registry.a]\nbackend = \"external\"\nauth = false\nhost = \"evil.com\"\nnames = [\"V\"]\n",
            "ghcr.io",
            "quay.io",
        ),
    ] {
        let machine = machine(&[("kindreg.toml", &what.replace('V', old))]);
        let first = machine.run_with_answers(&["up"], &["y"]).await;
        assert_eq!((first.code, questions(&first)), (0, 1), "{what}: {first:?}");
        let again = run(&machine, "up").await;
        assert_eq!((again.code, questions(&again)), (0, 0), "{what}: {again:?}");
        rewrite(&machine, &what.replace('V', new));
        let changed = run(&machine, "up").await;
        assert_eq!(changed.code, 2, "{what}: {changed:?}");
        assert!(changed.stderr.contains(new), "{what}: {changed:?}");
        // What was refused is not remembered as agreed to.
        assert_eq!(run(&machine, "up").await.code, 2, "{what}");
        let agreed = run(&machine, "up --yes").await;
        assert_eq!(agreed.code, 0, "{what}: {agreed:?}");
        assert_eq!(run(&machine, "up").await.code, 0, "{what}");
    }
}

#[tokio::test]
async fn all_that_a_file_asks_for_is_shown_before_anybody_can_say_yes() {
    let file = "[cluster]\nimage = \"evil/node\"\n[registry.a]\nimage = \"evil/registry\"\n";
    let machine = machine(&[("kindreg.toml", file)]);
    let refused = run(&machine, "up").await;
    for value in ["evil/node", "evil/registry", "agree with --yes"] {
        assert!(refused.stderr.contains(value), "{value}: {refused:?}");
    }
    let asked = machine.run_with_answers(&["up"], &["y", "n"]).await;
    assert_eq!((asked.code, questions(&asked)), (2, 2), "{asked:?}");
    let both = machine.run_with_answers(&["up"], &["y", "y"]).await;
    assert_eq!((both.code, questions(&both)), (0, 2), "{both:?}");
}

#[tokio::test]
async fn another_free_port_is_no_new_question() {
    let file = "[registry.a]\nport = \"auto\"\nimage = \"evil/registry\"\n";
    let machine = machine(&[("kindreg.toml", file)]);
    machine.docker().occupy_port(5001);
    let asked = machine.run_with_answers(&["up"], &["y"]).await;
    assert_eq!((asked.code, questions(&asked)), (0, 1), "{asked:?}");
}

#[tokio::test]
async fn what_the_user_named_or_typed_is_not_asked_about() {
    for (what, file, _) in CASES {
        // Names that others own are asked about whoever gave them, as before.
        if what.starts_with("a company") || what.starts_with("a name") {
            continue;
        }
        let login = "[registry.b]\nport = 5002\n";
        let file = file.replace(
            "[registry.a]\nbackend = \"external\"\nhost = \"ghcr.io\"\n",
            login,
        );
        let machine = machine(&[("deploy/named.toml", &file), ("deploy/kind.yaml", KIND)]);
        let answer = run(&machine, "up --config deploy/named.toml").await;
        assert_eq!(answer.code, 0, "{what}: {answer:?}");
    }
    let machine = machine(&[("kindreg.toml", "[cluster]\nimage = \"evil/other\"\n")]);
    let answer = run(
        &machine,
        "up --image evil/node --registry-image evil/registry",
    )
    .await;
    assert_eq!(answer.code, 0, "{answer:?}");
    let machine = self::machine(&[("kindreg.toml", include_str!("../../templates/kindreg.toml"))]);
    let answer = run(&machine, "up").await;
    assert_eq!(answer.code, 0, "the file that init writes: {answer:?}");
}

#[tokio::test]
async fn a_file_that_a_setting_names_lies_in_the_folder_of_the_settings() {
    let kind = "[cluster]\nkind_config = \"LINK\"\n";
    let ca =
        "[registry.a]\nbackend = \"external\"\nhost = \"a.test\"\nauth = false\nca = \"LINK\"\n";
    let pem = authority();
    for (file, text) in [(kind, KIND), (ca, &*pem)] {
        let machine = machine(&[("outside", text), ("repo/inside", text)]);
        let repo = machine.home().join("repo");
        let link = |name: &str, target: &str| {
            std::os::unix::fs::symlink(target, repo.join(name)).unwrap();
        };
        link("out", "../outside");
        link("in", "inside");
        link("folder", "..");
        link("far", machine.home().join("outside").to_str().unwrap());
        for (name, why) in [
            ("out", "outside the folder of kindreg.toml"),
            ("far", "outside the folder of kindreg.toml"),
            ("folder/outside", "outside the folder of kindreg.toml"),
            ("../outside", "must not contain .."),
            ("folder/../inside", "must not contain .."),
        ] {
            std::fs::write(repo.join("kindreg.toml"), file.replace("LINK", name)).unwrap();
            let answer = run(&machine, "render --config repo/kindreg.toml").await;
            assert_eq!(
                (answer.code, &*answer.stdout),
                (2, ""),
                "{name}: {answer:?}"
            );
            assert!(answer.stderr.contains(why), "{name}: {answer:?}");
        }
        for name in ["in", "inside", "./inside"] {
            std::fs::write(repo.join("kindreg.toml"), file.replace("LINK", name)).unwrap();
            let answer = run(&machine, "render --config repo/kindreg.toml").await;
            assert_eq!(answer.code, 0, "{name}: {answer:?}");
        }
    }
}
