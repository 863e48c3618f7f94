//! Tests of the fake: it behaves as an engine does wherever steps depend on it.

use super::super::{
    Afterwards, ContainerState, Docker, Input, Mount, MountSource, PublishedPort, Volume,
};
use super::*;

fn spec(name: &str) -> ContainerSpec {
    plain(name, "registry:3")
}

fn engine() -> FakeDocker {
    let fake = FakeDocker::new();
    fake.add_image("registry:3");
    fake
}

fn archive(path: &str, mode: u32, content: &str) -> Bytes {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    archive
        .append_data(&mut header, path, content.as_bytes())
        .unwrap();
    archive.into_inner().unwrap().into()
}

fn script(name: &str, arguments: &[&str]) -> Vec<String> {
    let words = [&["sh", "-c", "exit 1", name], arguments].concat();
    words.into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn files_go_through_mounts_of_a_container_that_never_ran() {
    let fake = engine();
    let mount = |source, target: &str| Mount {
        source,
        target: target.into(),
    };
    let mounts = vec![
        mount(MountSource::Host("/etc".into()), "/host/etc"),
        mount(MountSource::Volume("secret".into()), "/secret"),
    ];
    fake.create(&ContainerSpec {
        mounts,
        ..spec("record")
    })
    .await
    .unwrap();
    fake.upload("record", "/", archive("secret/a/key", 0o600, "k"))
        .await
        .unwrap();
    fake.host()
        .write("/etc/docker/certs.d/x/ca.crt", 0o644, "ca")
        .unwrap();

    let files = fake.files("record");
    assert_eq!(files.read("/secret/a/key").unwrap(), b"k");
    assert_eq!(files.mode("/secret/a/key"), Some(0o600));
    assert_eq!(files.list("/host/etc"), ["docker", "hosts"]);
    let found = fake
        .download("record", "/host/etc/docker")
        .await
        .unwrap()
        .unwrap();
    let names: Vec<String> = files::unpack(&found)
        .unwrap()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        names,
        [
            "/docker",
            "/docker/certs.d",
            "/docker/certs.d/x",
            "/docker/certs.d/x/ca.crt"
        ]
    );
    assert_eq!(
        fake.download("record", "/host/etc/none").await.unwrap(),
        None
    );
    assert!(matches!(
        fake.upload("record", "/none", Bytes::new()).await,
        Err(DockerError::Missing { .. })
    ));
    assert_eq!(
        fake.journal(),
        ["create record", "upload record:/ secret/a/key"]
    );

    // The volume keeps it.
    fake.remove("record").await.unwrap();
    fake.create(&ContainerSpec {
        mounts: vec![mount(MountSource::Volume("secret".into()), "/s")],
        ..spec("r")
    })
    .await
    .unwrap();
    assert_eq!(fake.files("r").read("/s/a/key").unwrap(), b"k");
    let volume = Volume {
        name: "secret".into(),
        labels: BTreeMap::from([("a".into(), "b".into())]),
    };
    assert!(matches!(
        fake.create_volume(&volume).await,
        Err(DockerError::NameTaken { .. })
    ));
    assert!(fake.remove_volume("secret").await.is_err());
}

#[tokio::test]
async fn names_and_ports_are_taken_once() {
    let fake = engine();
    let ports = vec![PublishedPort {
        container: 5001,
        address: "127.0.0.1".into(),
        host: 5001,
    }];
    let one = ContainerSpec {
        ports,
        ..spec("one")
    };
    let two = ContainerSpec {
        name: "two".into(),
        ..one.clone()
    };
    let id = fake.create(&one).await.unwrap();
    assert!(matches!(
        fake.create(&one).await,
        Err(DockerError::NameTaken { .. })
    ));
    fake.create(&two).await.unwrap();
    assert!(fake.push("localhost:5001/a:1", None).await.is_err());
    fake.start(&id).await.unwrap();
    assert!(matches!(
        fake.start("two").await,
        Err(DockerError::PortTaken { .. })
    ));
    fake.add_image("localhost:5001/a:1");
    fake.push("localhost:5001/a:1", None).await.unwrap();
    fake.stop("one", 1).await.unwrap();
    fake.start("two").await.unwrap();
    fake.remove("two").await.unwrap();
    fake.occupy_port(5001);
    assert!(matches!(
        fake.start("one").await,
        Err(DockerError::PortTaken { .. })
    ));
}

#[tokio::test]
async fn scripts_are_emulated_by_name() {
    let fake = engine();
    fake.logs_of_image("registry:3", "listening\n");
    fake.on_script("write", |files, arguments, input| {
        let done = files.write(&arguments[0], 0o644, input);
        ExecOutput {
            code: i64::from(done.is_err()),
            stdout: b"written\n".to_vec(),
            stderr: Vec::new(),
        }
    });
    fake.create(&spec("service")).await.unwrap();
    assert!(matches!(
        fake.exec("service", &["x"], &[]).await,
        Err(DockerError::Missing { .. })
    ));
    fake.start("service").await.unwrap();
    assert_eq!(fake.logs("service", 10).await.unwrap(), "listening\n");
    let echo = fake
        .exec(
            "service",
            &["sh", "-c", "cat; exit 7", "contract-echo"],
            b"in",
        )
        .await
        .unwrap();
    assert_eq!((echo.code, echo.stdout), (7, b"in".to_vec()));
    fake.exec("service", &["sh", "-c", "…", "write", "/etc/x"], b"new")
        .await
        .unwrap();
    assert_eq!(fake.files("service").read("/etc/x").unwrap(), b"new");
    assert_eq!(
        fake.exec("service", &["nope"], &[]).await.unwrap().code,
        127
    );

    fake.create(&ContainerSpec {
        command: script("write", &["/etc/y"]),
        ..spec("once")
    })
    .await
    .unwrap();
    fake.start("once").await.unwrap();
    assert_eq!(fake.wait("once").await.unwrap(), 0);
    assert_eq!(fake.logs("once", 1).await.unwrap(), "written\n");
    let effects = ["create service", "start service", "write service:/etc/x"];
    let once = ["create once", "start once", "write once:/etc/y"];
    assert_eq!(fake.journal(), [effects, once].concat());
}

#[tokio::test]
async fn a_container_is_removed_when_its_client_disconnects() {
    let fake = engine();
    let input = Input::UntilClientLeaves;
    let lock = ContainerSpec {
        entrypoint: vec!["cat".into()],
        input,
        afterwards: Afterwards::Remove,
        ..spec("lock")
    };
    fake.create(&lock).await.unwrap();
    let client = fake.attach("lock").await.unwrap();
    fake.start("lock").await.unwrap();
    assert_eq!(
        fake.container("lock").await.unwrap().unwrap().state,
        ContainerState::Running
    );
    drop(client);
    assert_eq!(fake.container("lock").await.unwrap(), None);
}

#[tokio::test]
async fn faults_come_at_the_chosen_call() {
    let fake = engine();
    fake.fail_call(1, Fault::Error);
    fake.fail_call(2, Fault::Dropped);
    assert!(fake.create(&spec("a")).await.is_err());
    assert!(fake.journal().is_empty());
    assert!(fake.create(&spec("a")).await.is_err());
    assert_eq!(fake.journal(), ["create a"]);
    assert!(fake.container("a").await.unwrap().is_some());
    fake.kill_engine();
    assert!(matches!(
        fake.info().await,
        Err(DockerError::Unreachable { .. })
    ));
    assert_eq!(
        (fake.calls(), fake.call_log().last().unwrap().as_str()),
        (4, "info")
    );
}

#[tokio::test]
async fn an_archive_brings_its_tags() {
    let fake = FakeDocker::new();
    let manifest =
        r#"[{"Config":"blobs/sha256/abc","RepoTags":["registry.test:5001/p:1"],"Layers":[]}]"#;
    fake.load(archive("manifest.json", 0o644, manifest))
        .await
        .unwrap();
    assert_eq!(
        fake.image("registry.test:5001/p:1").await.unwrap().unwrap(),
        "sha256:abc"
    );
    assert_eq!(
        fake.image("docker.io/library/registry").await.unwrap(),
        None
    );
    fake.remove_image("registry.test:5001/p:1").await.unwrap();
    assert_eq!(fake.image("sha256:abc").await.unwrap(), None);
}
