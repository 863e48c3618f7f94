//! What every engine behind the port must do: the same assertions for the real one and for the fake, so that the fake
//! can't rot.
//!
//! In containers only two things run, so that a fake needs no shell: `cat` as entrypoint, and the script
//! [`ECHO`] by exec, which a fake knows by its name.

use std::collections::BTreeMap;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use kindreg::internal::archive;
use kindreg::internal::docker::{
    Afterwards, Capabilities, ContainerSpec, ContainerState, Docker, DockerError, Input, Label,
    Mount, MountSource, NetworkMode, NetworkSpec, PathKind, PublishedPort, Restart, Volume,
};
use sha2::{Digest, Sha256};

/// `["sh", "-c", SCRIPT, NAME]`: gives its input back and exits with 7.
pub(crate) const ECHO: [&str; 4] = ["sh", "-c", "cat; exit 7", "contract-echo"];

const LABEL: &str = "dev.kindreg.contract";

/// What the contract stands on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    /// The engine.
    pub(crate) docker: &'a dyn Docker,
    /// An image that is present and has `sh` and `cat`.
    pub(crate) image: &'a str,
    /// Begins the name of everything that is made; nobody else may use it meanwhile.
    pub(crate) prefix: &'a str,
    /// An existing folder of the engine's host. Without one a volume's is taken, which works with any real engine.
    pub(crate) host_folder: Option<&'a str>,
}

/// Runs the whole contract, and removes whatever it made before it panics over a broken one.
pub(crate) async fn contract(ground: Ground<'_>) {
    let all = async {
        about_the_engine(ground).await;
        containers(ground).await;
        files(ground).await;
        absent_files(ground).await;
        networks(ground).await;
        ports(ground).await;
        volumes(ground).await;
        images(ground).await;
        attached(ground).await;
    };
    let outcome = AssertUnwindSafe(all).catch_unwind().await;
    clean(ground).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

async fn about_the_engine(Ground { docker, .. }: Ground<'_>) {
    let info = docker.info().await.unwrap();
    assert!(
        info.version.contains('.') && info.api.contains('.'),
        "{info:?}"
    );
    assert!(
        !info.architecture.is_empty() && info.root.starts_with('/'),
        "{info:?}"
    );
}

async fn containers(ground: Ground<'_>) {
    let docker = ground.docker;
    let spec = ground.cat("container");
    let name = spec.name.as_str();
    let absent = ground.name("absent");
    assert_eq!(docker.container(name).await.unwrap(), None);

    let id = docker.create(&spec).await.unwrap();
    assert!(
        matches!(docker.create(&spec).await, Err(DockerError::NameTaken { name: taken }) if taken == name)
    );
    let made = docker.container(name).await.unwrap().unwrap();
    assert_eq!(
        (made.id.as_str(), made.name.as_str(), made.image.as_str()),
        (id.as_str(), name, ground.image)
    );
    assert_eq!(
        made.labels.get(LABEL).map(String::as_str),
        Some(ground.prefix)
    );
    assert_eq!(
        (&made.state, made.started),
        (&ContainerState::Created, None)
    );
    assert_eq!(docker.container(&id).await.unwrap(), Some(made));
    assert!(
        gone(&docker.exec(name, &ECHO, b"").await),
        "exec in a container that does not run"
    );

    docker.start(name).await.unwrap();
    docker.start(name).await.unwrap();
    let running = docker.container(name).await.unwrap().unwrap();
    assert_eq!(running.state, ContainerState::Running);
    assert!(running.started.is_some(), "{running:?}");
    for input in [Vec::new(), b"hello\n".to_vec(), vec![b'x'; 1 << 20]] {
        let output = docker.exec(name, &ECHO, &input).await.unwrap();
        assert_eq!((output.code, output.stderr.as_slice()), (7, &b""[..]));
        assert!(
            output.stdout == input,
            "{} of {} bytes came back",
            output.stdout.len(),
            input.len()
        );
    }
    assert_eq!(docker.logs(name, 10).await.unwrap(), "");

    docker.stop(name, 0).await.unwrap();
    docker.stop(name, 0).await.unwrap();
    let stopped = docker.container(name).await.unwrap().unwrap();
    assert!(
        matches!(stopped.state, ContainerState::Exited { .. }),
        "{:?}",
        stopped.state
    );
    let listed = docker
        .containers(Label::Pair(LABEL, ground.prefix))
        .await
        .unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|one| (&one.name, &one.state))
            .collect::<Vec<_>>(),
        [(&stopped.name, &stopped.state)]
    );
    assert_eq!(
        docker
            .containers(Label::Pair(LABEL, &absent))
            .await
            .unwrap(),
        []
    );
    docker.start(name).await.unwrap();

    docker.remove(name).await.unwrap();
    assert_eq!(docker.container(name).await.unwrap(), None);
    docker.remove(name).await.unwrap();
    docker.stop(&absent, 0).await.unwrap();
    assert!(gone(&docker.start(&absent).await));
    assert!(gone(&docker.logs(&absent, 10).await));
    assert!(gone(&docker.exec(&absent, &ECHO, b"").await));

    let no_image = ContainerSpec {
        image: format!("{absent}.test/absent:1"),
        ..spec
    };
    assert!(
        gone(&docker.create(&no_image).await),
        "made of an absent image"
    );
}

/// A container that was never started takes and gives files: its own, a volume's, the host's.
async fn files(ground: Ground<'_>) {
    let docker = ground.docker;
    let volume = ground.volume("files");
    docker.create_volume(&volume).await.unwrap();
    let host_folder = ground.host_folder().await;
    let mounted = |name, at: &str| ContainerSpec {
        mounts: vec![
            mount(
                MountSource::Volume(volume.name.clone()),
                &format!("{at}-volume"),
            ),
            mount(
                MountSource::Host(host_folder.clone()),
                &format!("{at}-host"),
            ),
        ],
        ..ground.cat(name)
    };
    let (one, other) = (mounted("one", "/one"), mounted("other", "/other"));
    docker.create(&one).await.unwrap();
    docker.create(&other).await.unwrap();

    for folder in ["/", "/one-volume", "/one-host"] {
        let first = tar(&[("sub/", 0o750, b""), ("sub/file", 0o640, b"1")]);
        docker.upload(&one.name, folder, first).await.unwrap();
        let sub = format!("{}/sub", folder.trim_end_matches('/'));
        let file = docker.download(&one.name, &format!("{sub}/file")).await;
        assert_eq!(untar(file.unwrap()), [entry("file", 0o640, b"1")]);

        let second = tar(&[("sub/file", 0o600, b"2")]);
        docker.upload(&one.name, folder, second).await.unwrap();
        let whole = untar(docker.download(&one.name, &sub).await.unwrap());
        assert_eq!(
            whole,
            [entry("sub", 0o750, b""), entry("sub/file", 0o600, b"2")]
        );
    }
    for folder in ["/other-volume", "/other-host"] {
        let file = docker
            .download(&other.name, &format!("{folder}/sub/file"))
            .await;
        assert_eq!(untar(file.unwrap()), [entry("file", 0o600, b"2")]);
    }
    assert_eq!(
        docker.download(&other.name, "/sub/file").await.unwrap(),
        None
    );

    let link = linked("sub/link", "/sub/file");
    docker.upload(&one.name, "/one-host", link).await.unwrap();
    for (path, kind) in [
        ("/one-host/sub", PathKind::Folder),
        ("/one-host/sub/file", PathKind::File),
        ("/one-host/sub/link", PathKind::Link),
    ] {
        let found = docker.stat(&one.name, path).await.unwrap();
        assert_eq!(found, Some(kind), "{path}");
    }
    let link = docker.download(&one.name, "/one-host/sub/link").await;
    let link = archive::link(&link.unwrap().unwrap()).unwrap();
    assert_eq!(link.as_deref(), Some("/sub/file"), "links are not followed");

    docker.remove(&one.name).await.unwrap();
    docker.remove(&other.name).await.unwrap();
    docker.remove_volume(&volume.name).await.unwrap();
    docker.remove_volume(&ground.name("host")).await.unwrap();
}

/// An archive with one symbolic link.
fn linked(name: &str, target: &str) -> bytes::Bytes {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_mode(0o777);
    header.set_size(0);
    archive.append_link(&mut header, name, target).unwrap();
    archive.into_inner().unwrap().into()
}

async fn absent_files(ground: Ground<'_>) {
    let docker = ground.docker;
    let (spec, absent) = (ground.cat("empty"), ground.name("absent"));
    docker.create(&spec).await.unwrap();
    assert_eq!(
        docker
            .download(&spec.name, "/contract/absent")
            .await
            .unwrap(),
        None
    );
    assert_eq!(docker.download(&absent, "/").await.unwrap(), None);
    let nothing = docker.stat(&spec.name, "/contract/absent").await;
    assert_eq!(nothing.unwrap(), None);
    assert_eq!(docker.stat(&absent, "/").await.unwrap(), None);
    let archive = tar(&[("file", 0o600, b"")]);
    assert!(gone(
        &docker
            .upload(&spec.name, "/contract", archive.clone())
            .await
    ));
    assert!(gone(&docker.upload(&absent, "/", archive).await));
    docker.remove(&spec.name).await.unwrap();

    let folder = MountSource::Host(format!("{}/absent", ground.host_folder().await));
    let no_folder = ContainerSpec {
        mounts: vec![mount(folder, "/x")],
        ..spec
    };
    docker
        .create(&no_folder)
        .await
        .expect_err("a folder of the host is made");
    docker.remove_volume(&ground.name("host")).await.unwrap();
}

async fn networks(ground: Ground<'_>) {
    let docker = ground.docker;
    let (one, longer) = (ground.network("net"), ground.network("net-longer"));
    docker.create_network(&longer).await.unwrap();
    assert_eq!(
        docker.network(&one.name).await.unwrap(),
        None,
        "part of a name is no name"
    );
    docker.create_network(&one).await.unwrap();
    assert!(
        matches!(docker.create_network(&one).await, Err(DockerError::NameTaken { name }) if name == one.name)
    );
    let found = docker.network(&one.name).await.unwrap().unwrap();
    assert_eq!((&found.name, &found.labels), (&one.name, &one.labels));
    assert!(!found.gateways.is_empty());
    let mut names: Vec<_> = docker
        .networks(Label::Pair(LABEL, ground.prefix))
        .await
        .unwrap()
        .into_iter()
        .map(|net| net.name)
        .collect();
    names.sort();
    assert_eq!(names, [one.name.as_str(), longer.name.as_str()]);

    let aliases = ["contract.test".to_owned()];
    let network = NetworkMode::Named {
        name: one.name.clone(),
        aliases: aliases.to_vec(),
    };
    let container = ContainerSpec {
        network,
        ..ground.cat("member")
    };
    docker.create(&container).await.unwrap();
    docker.start(&container.name).await.unwrap();
    docker
        .connect(&longer.name, &container.name, &aliases)
        .await
        .unwrap();
    docker
        .connect(&longer.name, &container.name, &aliases)
        .await
        .unwrap();
    let member = docker.container(&container.name).await.unwrap().unwrap();
    assert_eq!(member.network_mode, one.name);
    let listed = docker
        .containers(Label::Pair(LABEL, ground.prefix))
        .await
        .unwrap();
    let listed = listed.iter().find(|listed| listed.id == member.id).unwrap();
    assert_eq!(listed.network_mode, one.name);
    for name in [&one.name, &longer.name] {
        assert_eq!(
            member.networks.get(name).map(Vec::as_slice),
            Some(aliases.as_slice()),
            "{name}"
        );
    }
    assert!(gone(
        &docker
            .connect(&ground.name("absent"), &container.name, &aliases)
            .await
    ));
    assert!(gone(
        &docker
            .connect(&one.name, &ground.name("absent"), &aliases)
            .await
    ));

    docker.remove(&container.name).await.unwrap();
    for name in [&one.name, &longer.name, &one.name] {
        docker.remove_network(name).await.unwrap();
        assert_eq!(docker.network(name).await.unwrap(), None);
    }
}

async fn ports(ground: Ground<'_>) {
    let docker = ground.docker;
    let network = ground.network("ports");
    docker.create_network(&network).await.unwrap();
    // Below the kernel's ephemeral ports, and of our own.
    let seed = Sha256::digest(ground.prefix);
    let host = 20_000 + u16::from_be_bytes([seed[0], seed[1]]) % 10_000;
    let published = PublishedPort {
        container: 5001,
        address: "127.0.0.1".to_owned(),
        host,
    };
    let publishing = |name| ContainerSpec {
        network: NetworkMode::Named {
            name: network.name.clone(),
            aliases: vec![],
        },
        ports: vec![published.clone()],
        ..ground.cat(name)
    };
    let (first, second) = (publishing("first"), publishing("second"));
    docker.create(&first).await.unwrap();
    docker.create(&second).await.unwrap();
    assert!(!docker.published_ports().await.unwrap().contains(&host));
    docker.start(&first.name).await.unwrap();
    assert!(docker.published_ports().await.unwrap().contains(&host));
    assert_eq!(
        docker.container(&first.name).await.unwrap().unwrap().ports,
        [published]
    );
    let refused = docker.start(&second.name).await;
    assert!(
        matches!(refused, Err(DockerError::PortTaken { .. })),
        "{refused:?}"
    );

    // Made anew: Docker 29 takes a container off its networks when it does not start.
    docker.remove(&first.name).await.unwrap();
    docker.remove(&second.name).await.unwrap();
    docker.create(&second).await.unwrap();
    docker.start(&second.name).await.unwrap();
    docker.remove(&second.name).await.unwrap();
    docker.remove_network(&network.name).await.unwrap();
}

async fn volumes(ground: Ground<'_>) {
    let docker = ground.docker;
    let volume = ground.volume("volume");
    assert_eq!(docker.volume(&volume.name).await.unwrap(), None);
    docker.create_volume(&volume).await.unwrap();
    docker.create_volume(&volume).await.unwrap();
    let foreign = Volume {
        labels: BTreeMap::new(),
        ..volume.clone()
    };
    assert!(
        matches!(docker.create_volume(&foreign).await, Err(DockerError::NameTaken { name }) if name == volume.name)
    );
    assert_eq!(
        docker.volume(&volume.name).await.unwrap().as_ref(),
        Some(&volume)
    );
    assert_eq!(
        docker
            .volumes(Label::Pair(LABEL, ground.prefix))
            .await
            .unwrap(),
        std::slice::from_ref(&volume)
    );
    docker.remove_volume(&volume.name).await.unwrap();
    docker.remove_volume(&volume.name).await.unwrap();
    assert_eq!(docker.volume(&volume.name).await.unwrap(), None);
}

async fn images(ground: Ground<'_>) {
    let docker = ground.docker;
    let reference = ground.reference();
    assert!(docker.image(ground.image).await.unwrap().is_some());
    assert_eq!(docker.image(&reference).await.unwrap(), None);
    docker.load(archive(&reference)).await.unwrap();
    let id = docker.image(&reference).await.unwrap().unwrap();
    assert_eq!(docker.image(&id).await.unwrap().as_ref(), Some(&id));
    let made = ContainerSpec {
        image: reference.clone(),
        entrypoint: vec!["/none".to_owned()],
        ..ground.cat("loaded")
    };
    docker.create(&made).await.unwrap();
    docker.remove(&made.name).await.unwrap();
    docker.remove_image(&reference).await.unwrap();
    docker.remove_image(&reference).await.unwrap();
    assert_eq!(docker.image(&reference).await.unwrap(), None);
    docker
        .load(Bytes::from_static(b"no archive"))
        .await
        .expect_err("what is no archive is no image");
}

/// The lock of kindreg: the container lives exactly as long as its client.
async fn attached(ground: Ground<'_>) {
    let docker = ground.docker;
    let kept = ground.cat("kept");
    docker.create(&kept).await.unwrap();
    docker.start(&kept.name).await.unwrap();
    let client = docker.attach(&kept.name).await.unwrap();
    assert_eq!(
        docker.container(&kept.name).await.unwrap().unwrap().state,
        ContainerState::Running
    );
    drop(client);
    let code = tokio::time::timeout(Duration::from_secs(20), docker.wait(&kept.name)).await;
    assert_eq!(code.expect("cat outlives its client").unwrap(), 0);
    assert_eq!(
        docker.container(&kept.name).await.unwrap().unwrap().state,
        ContainerState::Exited { code: 0 }
    );
    docker.remove(&kept.name).await.unwrap();

    let lock = ContainerSpec {
        afterwards: Afterwards::Remove,
        ..ground.cat("lock")
    };
    docker.create(&lock).await.unwrap();
    let client = docker.attach(&lock.name).await.unwrap();
    docker.start(&lock.name).await.unwrap();
    assert!(matches!(
        docker.create(&lock).await,
        Err(DockerError::NameTaken { .. })
    ));
    let beats = client.keep(Duration::from_millis(50));
    assert!(
        tokio::time::timeout(Duration::from_millis(300), beats)
            .await
            .is_err(),
        "nothing has ended the connection"
    );
    drop(client);
    for _ in 0..200 {
        if docker.container(&lock.name).await.unwrap().is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(docker.container(&lock.name).await.unwrap(), None);
    assert!(gone(&docker.attach(&lock.name).await));

    docker.create(&lock).await.unwrap();
    let client = docker.attach(&lock.name).await.unwrap();
    docker.start(&lock.name).await.unwrap();
    let (kept, removed) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(20), client.keep(Duration::from_secs(1))),
        docker.remove(&lock.name)
    );
    removed.unwrap();
    kept.expect("the client is not told that its container has gone");
}

/// Removes what a broken contract has left, as far as the engine lets us.
async fn clean(ground: Ground<'_>) {
    let docker = ground.docker;
    for container in docker
        .containers(Label::Pair(LABEL, ground.prefix))
        .await
        .unwrap_or_default()
    {
        docker.remove(&container.id).await.ok();
    }
    for network in docker
        .networks(Label::Pair(LABEL, ground.prefix))
        .await
        .unwrap_or_default()
    {
        docker.remove_network(&network.id).await.ok();
    }
    for volume in docker
        .volumes(Label::Pair(LABEL, ground.prefix))
        .await
        .unwrap_or_default()
    {
        docker.remove_volume(&volume.name).await.ok();
    }
    docker.remove_image(&ground.reference()).await.ok();
}

impl Ground<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(LABEL.to_owned(), self.prefix.to_owned())])
    }

    async fn host_folder(&self) -> String {
        if let Some(folder) = self.host_folder {
            return folder.to_owned();
        }
        let volume = self.volume("host");
        self.docker.create_volume(&volume).await.unwrap();
        let root = self.docker.info().await.unwrap().root;
        format!("{root}/volumes/{}/_data", volume.name)
    }

    fn volume(&self, name: &str) -> Volume {
        Volume {
            name: self.name(name),
            labels: self.labels(),
        }
    }

    fn network(&self, name: &str) -> NetworkSpec {
        NetworkSpec {
            name: self.name(name),
            labels: self.labels(),
            options: BTreeMap::new(),
            ipv6_subnet: None,
        }
    }

    fn reference(&self) -> String {
        format!("{}.test/contract:1", self.prefix)
    }

    /// A container that waits for input, without network, mounts or capabilities.
    fn cat(&self, name: &str) -> ContainerSpec {
        ContainerSpec {
            name: self.name(name),
            image: self.image.to_owned(),
            entrypoint: vec!["cat".to_owned()],
            command: vec![],
            environment: BTreeMap::from([("CONTRACT".to_owned(), "1".to_owned())]),
            labels: self.labels(),
            mounts: vec![],
            network: NetworkMode::None,
            ports: vec![],
            restart: Restart::No,
            capabilities: Capabilities::Only(vec![]),
            input: Input::UntilClientLeaves,
            afterwards: Afterwards::Keep,
        }
    }
}

fn gone<T>(outcome: &Result<T, DockerError>) -> bool {
    matches!(outcome, Err(DockerError::Missing { .. }))
}

fn mount(source: MountSource, target: &str) -> Mount {
    Mount {
        source,
        target: target.to_owned(),
    }
}

/// Path, mode and content of a file.
type Entry = (String, u32, Vec<u8>);

fn entry(path: &str, mode: u32, content: &[u8]) -> Entry {
    (path.to_owned(), mode, content.to_vec())
}

/// An archive; a path that ends with a slash is a folder.
fn tar(entries: &[(&str, u32, &[u8])]) -> Bytes {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, mode, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(if path.ends_with('/') {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap().into()
}

/// What an archive holds, by path.
fn untar(archive: Option<Bytes>) -> Vec<Entry> {
    let archive = archive.expect("the path is there");
    let mut entries: Vec<_> = tar::Archive::new(archive.as_ref())
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let path = entry
                .path()
                .unwrap()
                .to_str()
                .unwrap()
                .trim_end_matches('/')
                .to_owned();
            (path, entry.header().mode().unwrap() & 0o7777, content)
        })
        .collect();
    entries.sort();
    entries
}

/// A docker archive of an image with one layer, unlike any other's.
fn archive(reference: &str) -> Bytes {
    let layer = tar(&[("reference", 0o644, reference.as_bytes())]);
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&layer)));
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/none"]},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    });
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]);
    tar(&[
        ("config.json", 0o644, config.to_string().as_bytes()),
        ("layer.tar", 0o644, &layer),
        ("manifest.json", 0o644, manifest.to_string().as_bytes()),
    ])
}
