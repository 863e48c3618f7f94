//! `-v`, `-vv` and `-vvv`: what is told of what is done, and that it is never a secret.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kindreg::internal::credentials::{RegistryCredentials, USER_A};
use kindreg::internal::docker::{ExecOutput, traced};
use kindreg::internal::kind::traced as traced_kind;
use kindreg::internal::kube::traced as traced_kube;
use kindreg::internal::kubeconfig::Kubeconfig;
use kindreg::internal::step::{Ctx, Notes};
use kindreg::internal::trace::{Detail, Trace};

use crate::cli::kindreg;
use crate::world::World;

type Lines = Arc<Mutex<Vec<String>>>;

fn ear(detail: Detail) -> (Trace, Lines) {
    let lines = Lines::default();
    let heard = Arc::clone(&lines);
    let trace = Trace::new(detail, move |line| {
        heard.lock().unwrap().push(line.to_owned());
    });
    (trace, lines)
}

/// A context as the program has it with `-v`.
fn traced(world: &World, trace: &Trace) -> Ctx {
    let (docker, kind, kube) = (world.docker.clone(), world.kind.clone(), world.kube.clone());
    let ctx = Ctx::new(
        traced::Traced::over(docker, trace),
        traced_kind::Traced::over(kind, trace),
        traced_kube::Traced::over(kube, trace),
        Kubeconfig::locate(None, world.home.path(), world.home.path()),
        Notes::to(|_| {}),
    );
    let mut ctx = ctx.patient_for(Duration::from_secs(2));
    ctx.trace = trace.clone();
    ctx
}

/// What is told of an `up`, and of one that changes nothing.
async fn told(detail: Detail, password: &str) -> (Vec<String>, Vec<String>) {
    let world = World::new();
    let (trace, lines) = ear(detail);
    let mut ctx = traced(&world, &trace);
    ctx.own_credentials = Some(RegistryCredentials::new(USER_A, password.to_owned()).unwrap());
    world.up_with(&ctx, &|_| {}).await.unwrap();
    let first = std::mem::take(&mut *lines.lock().unwrap());
    world.up_with(&ctx, &|_| {}).await.unwrap();
    let second = std::mem::take(&mut *lines.lock().unwrap());
    (first, second)
}

#[tokio::test]
async fn each_check_and_each_call_is_a_line_with_outcome_and_time() {
    let (first, second) = told(Detail::Calls, "secret").await;
    for begin in [
        "check: cluster.network (",
        "engine: create container kindreg-c-registry (",
        "engine: exec in c-control-plane: sh (",
        "kind: start creating cluster c on network kindreg-c (",
        "kind: wait for cluster c (",
        "kube: put /api/v1/namespaces/default/pods/",
    ] {
        assert!(
            first.iter().any(|line| line.starts_with(begin)),
            "{begin}: {first:#?}"
        );
    }
    for line in first.iter().chain(&second) {
        assert!(!line.contains('\n') && line.contains(" ms)"), "{line}");
    }
    let missing = |line: &&String| line.starts_with("check: ") && line.ends_with(": missing");
    assert!(first.iter().filter(missing).count() > 10);
    let checks = second.iter().filter(|line| line.starts_with("check: "));
    assert!(
        checks.clone().all(|line| line.ends_with(": ready")),
        "{second:#?}"
    );
    assert!(checks.count() > 10);
}

#[tokio::test]
async fn more_of_it_are_commands_and_the_files_of_archives() {
    let (few, _) = told(Detail::Calls, "secret").await;
    let (more, _) = told(Detail::Commands, "secret").await;
    let has = |lines: &[String], text: &str| lines.iter().any(|line| line.contains(text));
    for text in ["/htpasswd, ", "kindreg-delete-manifest", "ca.crt, "] {
        assert!(!has(&few, text), "{text}");
        assert!(has(&more, text), "{text}: {more:#?}");
    }
}

#[tokio::test]
async fn no_secret_is_told_however_much_is() {
    let password = "C4nary-8317 ' \"x\" \\";
    let (first, second) = told(Detail::Outputs, password).await;
    let text = [first, second].concat().join("\n");
    let basic = STANDARD.encode(format!("{USER_A}:{password}"));
    let alone = STANDARD.encode(password);
    for form in ["C4nary", &basic, alone.trim_end_matches('=')] {
        assert!(!text.contains(form), "{form} is in {text}");
    }
    assert!(!text.contains("PRIVATE KEY") && !text.contains("BEGIN CERT"));
}

#[tokio::test]
async fn what_a_failed_command_said_is_told_unless_it_was_given_something() {
    let world = World::new();
    world.up().await.unwrap();
    world.docker.on_exec("fail", |_, _, _| ExecOutput {
        code: 7,
        stdout: b"out".to_vec(),
        stderr: b"it went wrong\nat the end\n".to_vec(),
    });
    for (detail, input, wanted) in [
        (Detail::Calls, "", ": exit code 7"),
        (Detail::Commands, "", ": exit code 7"),
        (
            Detail::Outputs,
            "",
            ": exit code 7\n      it went wrong\n      at the end",
        ),
        (Detail::Outputs, "secret", ": exit code 7"),
    ] {
        let (trace, lines) = ear(detail);
        let engine = traced::Traced::over(world.docker.clone(), &trace);
        engine
            .exec("c-worker", &["fail", "a b", ""], input.as_bytes())
            .await
            .unwrap();
        let said = lines.lock().unwrap().concat();
        assert!(said.ends_with(&format!(" ms){wanted}")), "{said}");
    }
}

#[test]
fn the_flag_and_its_variable_are_taken_everywhere_but_with_quiet() {
    let line = "· engine: unix:///nowhere/docker.sock, by DOCKER_HOST";
    for arguments in [["status", "-v"], ["-vvv", "down"], ["list", "--verbose"]] {
        let answer = kindreg(&arguments).run();
        assert!(answer.stderr.contains(line), "{answer:?}");
    }
    let answer = kindreg(&["status"]).env("KINDREG_VERBOSE", "2").run();
    assert!(answer.stderr.contains(line), "{answer:?}");
    let answer = kindreg(&["status", "-v", "--events", "json"]).run();
    let told = answer.stderr.lines().next().unwrap();
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    assert_eq!(told["event"], "trace");
    assert!(!kindreg(&["status"]).run().stderr.contains("engine: "));
    let answer = kindreg(&["status", "-q", "-v"]).run();
    assert_eq!(answer.code, 2, "{answer:?}");
}
