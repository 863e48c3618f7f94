//! Without `--image`, nodes are made from the image that the installed kind would choose.

use kindreg::fakes::Machine;
use kindreg::internal::docker::{Docker, Label};

use crate::stage::run;

const OLD: &str =
    "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a";
const NEW: &str =
    "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5";

/// A machine with this version of kind.
fn with_kind(version: &str) -> Machine {
    let machine = Machine::new().unwrap();
    machine.kind().set_version(version.parse().unwrap());
    machine
}

async fn images(machine: &Machine) -> Vec<String> {
    let label = Label::Key("io.x-k8s.kind.cluster");
    let nodes = machine.docker().containers(label).await.unwrap();
    nodes.into_iter().map(|node| node.image).collect()
}

/// How often kind was asked for its version.
fn asked(machine: &Machine) -> usize {
    let calls = machine.docker().call_log();
    calls.iter().filter(|call| *call == "kind version").count()
}

#[tokio::test]
async fn each_kind_gets_its_own_image_and_keeps_it() {
    for (version, image) in [("0.30.0", OLD), ("0.33.0", NEW)] {
        let machine = with_kind(version);
        let up = run(&machine, "up --workers 1").await;
        assert_eq!(up.code, 0, "{}", up.stderr);
        assert!(!up.stderr.contains("warning"), "{}", up.stderr);
        assert_eq!(images(&machine).await, [image, image]);
        assert_eq!(asked(&machine), 1);

        // Another kind, of which nobody asks anything: the cluster has an image.
        machine.kind().set_version("0.26.0".parse().unwrap());
        let calls = machine.docker().calls();
        for line in ["up --workers 1", "up --workers 1 --dry-run", "status"] {
            let again = run(&machine, line).await;
            assert_eq!(again.code, 0, "{line}: {}", again.stderr);
        }
        assert!(machine.docker().calls() > calls);
        assert_eq!(asked(&machine), 1, "`up` again asks no kind");
        let down = run(&machine, "down").await;
        assert_eq!(down.code, 0, "{}", down.stderr);
    }
}

#[tokio::test]
async fn an_image_that_is_named_is_taken_whatever_kind_would_choose() {
    let digest = "a".repeat(64);
    for image in ["mine/node:1", &format!("mine/node:1@sha256:{digest}")] {
        let machine = with_kind("0.99.0");
        machine.docker().add_image(image);
        let up = run(&machine, &format!("up --image {image}")).await;
        assert_eq!(up.code, 0, "{}", up.stderr);
        assert!(!up.stderr.contains("warning"), "{}", up.stderr);
        assert_eq!(images(&machine).await, [image]);
        let status = run(&machine, "status").await;
        assert_eq!(status.code, 0, "{}", status.stdout);
        // Without the flag, too.
        let again = run(&machine, "up").await;
        assert_eq!(again.code, 0, "{}", again.stderr);
        assert_eq!(images(&machine).await, [image]);
    }
}

#[tokio::test]
async fn a_newer_kind_gets_the_newest_image_and_a_warning() {
    let machine = with_kind("0.99.0");
    let dry = run(&machine, "up --dry-run").await;
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    let up = run(&machine, "up").await;
    assert_eq!(up.code, 0, "{}", up.stderr);
    for answer in [&dry, &up] {
        let warnings = answer.stderr.matches("warning: ").count();
        assert_eq!(warnings, 1, "{}", answer.stderr);
        for words in ["kind 0.99.0", "kind 0.33.0", NEW, "--image"] {
            assert!(answer.stderr.contains(words), "{words}: {}", answer.stderr);
        }
    }
    assert_eq!(images(&machine).await, [NEW]);
}

#[tokio::test]
async fn a_kind_that_is_too_old_is_refused_before_anything_is_done() {
    for line in [
        "up",
        "up --image mine/node:1",
        "up --dry-run",
        "up --port auto",
    ] {
        let machine = with_kind("0.26.0");
        let before = machine.docker().journal();
        let up = run(&machine, line).await;
        assert_eq!(up.code, 1, "{line}: {}", up.stderr);
        for words in [
            "kind 0.26.0 is too old",
            "since kind 0.27.0",
            "hint: install kind 0.33.0",
        ] {
            assert!(up.stderr.contains(words), "{words}: {}", up.stderr);
        }
        assert_eq!(machine.docker().journal(), before);
    }
}

#[tokio::test]
async fn without_a_network_the_default_image_is_named_by_its_tag() {
    let machine = with_kind("0.33.0");
    machine.docker().remove_image(NEW).await.unwrap();
    machine.docker().refuse_image(NEW);
    let up = run(&machine, "up").await;
    assert_eq!(up.code, 1, "{}", up.stderr);
    // As `docker load` leaves it in the classic image store.
    let tagged = NEW.split('@').next().unwrap();
    assert!(
        up.stderr.contains(&format!("as in --image {tagged};")),
        "{}",
        up.stderr
    );
    machine.docker().add_image(tagged);
    let up = run(&machine, &format!("up --image {tagged}")).await;
    assert_eq!(up.code, 0, "{}", up.stderr);
}

#[tokio::test]
async fn only_images_that_kind_released_need_no_consent() {
    for (image, code) in [
        (OLD, 0),
        (NEW, 0),
        ("kindest/node:v1.37.0", 2),
        (&NEW.replace("a1ed", "beef"), 2),
    ] {
        let machine = with_kind("0.33.0");
        let file = format!("[cluster]\nimage = \"{image}\"\n");
        std::fs::write(machine.home().join("kindreg.toml"), file).unwrap();
        let up = run(&machine, "up").await;
        assert_eq!(up.code, code, "{image}: {}", up.stderr);
        let question = format!("consent: the nodes will be made from image {image}");
        assert_eq!(up.stderr.contains(&question), code != 0, "{}", up.stderr);
    }
}
