//! kindreg in a container of the engine: what `up` says about kubectl, which has another loopback there.

use kindreg::fakes::Machine;
use kindreg::internal::docker::fake::plain;
use kindreg::internal::docker::{ContainerSpec, Docker, NetworkMode};
use serde_json::Value;

use crate::stage::words;

/// A machine where kindreg runs in a container `job` on this network.
async fn within(network: NetworkMode) -> Machine {
    let machine = Machine::new().unwrap();
    let job = ContainerSpec {
        network,
        ..plain("job", "registry:3")
    };
    let id = machine.docker().create(&job).await.unwrap();
    machine.with_kindreg_in(&id)
}

async fn up(machine: &Machine) -> (Value, String) {
    let json = machine.run(&words("up --json")).await;
    let text = machine.run(&words("up")).await;
    assert_eq!((json.code, text.code), (0, 0), "{json:?} {text:?}");
    (serde_json::from_str(&json.stdout).unwrap(), text.stdout)
}

#[tokio::test]
async fn up_says_how_kubectl_in_the_container_reaches_the_cluster() {
    let machine = within(NetworkMode::None).await;
    let (json, text) = up(&machine).await;
    let export = "kind export kubeconfig --name kindreg --internal";
    let join = format!("docker network connect kindreg-kindreg job && {export}");
    assert_eq!(
        (&json["container"], &json["apiJoin"]),
        (&"job".into(), &join.clone().into())
    );
    for part in [
        "kindreg runs in container job",
        &format!("run: {join}\n"),
        "save the output of: kind get kubeconfig --name kindreg\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let docker = machine.docker();
    docker.connect("kindreg-kindreg", "job", &[]).await.unwrap();
    assert_eq!(
        up(&machine).await.0["apiJoin"],
        export,
        "it is on the network"
    );
}

#[tokio::test]
async fn on_the_engine_s_host_nothing_is_said_about_containers() {
    let elsewhere = Machine::new().unwrap().with_kindreg_in(&"ab".repeat(32));
    for machine in [
        Machine::new().unwrap(),
        within(NetworkMode::Host).await,
        elsewhere,
    ] {
        let (json, text) = up(&machine).await;
        assert!(
            json["container"].is_null() && json["apiJoin"].is_null(),
            "{json}"
        );
        assert!(!text.contains("kubeconfig"), "{text}");
    }
}
