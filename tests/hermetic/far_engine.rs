//! An engine on another machine: what is said about `localhost`, which is there.

use kindreg::fakes::Machine;
use kindreg::internal::docker::Docker;

use crate::stage::words;

#[tokio::test]
async fn every_command_that_names_localhost_says_whose_it_is() {
    let machine = Machine::new()
        .unwrap()
        .with_engine_on("box", "-p 22 me@box");
    let up = machine.run(&words("up")).await;
    assert_eq!(up.code, 0, "{up:?}");
    assert!(
        up.stdout
            .contains("The engine is on box, and so is localhost"),
        "{up:?}"
    );
    let plane = machine.docker().container("kindreg-control-plane").await;
    let port = plane.unwrap().unwrap().ports[0].host;
    let tunnel = format!("run: ssh -fNT -L {port}:127.0.0.1:{port} -p 22 me@box\n");
    assert!(up.stdout.contains(&tunnel), "{up:?}");
    for (line, said) in [
        ("status", "engine on box: localhost is there"),
        ("login", "localhost is box, the engine's host"),
        ("login --json", "\"engineHost\":\"box\""),
        ("status --json", "\"engineHost\":\"box\""),
        (
            "up --json",
            &format!(
                "\"apiTunnel\":\"{}\"",
                tunnel.trim().trim_start_matches("run: ")
            ),
        ),
    ] {
        let answer = machine.run(&words(line)).await;
        assert!(
            answer.code == 0 && answer.stdout.contains(said),
            "{line}: {answer:?}"
        );
    }
    let env = machine.run(&words("env")).await;
    assert!(
        env.stderr.contains("its localhost is box") && !env.stdout.contains("box"),
        "{env:?}"
    );
}

#[tokio::test]
async fn an_engine_on_this_machine_needs_no_word_about_it() {
    let machine = Machine::new().unwrap();
    for line in ["up", "status", "login", "env"] {
        let answer = machine.run(&words(line)).await;
        let said = format!("{}{}", answer.stdout, answer.stderr);
        assert!(
            answer.code == 0 && !said.contains("engine's host") && !said.contains("ssh"),
            "{line}: {said}"
        );
    }
}
