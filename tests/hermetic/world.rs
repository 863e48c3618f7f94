//! A small world for hermetic tests: the three fakes, set up so that a whole `up` works.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kindreg::credentials::RegistryCredentials;
use kindreg::docker::ExecOutput;
use kindreg::docker::fake::FakeDocker;
use kindreg::engine::{self, Event, OnFailure, Outcome};
use kindreg::kind::fake::FakeKind;
use kindreg::kube::fake::FakeKube;
use kindreg::kubeconfig::Kubeconfig;
use kindreg::lock::ContainerLock;
use kindreg::pki;
use kindreg::plan::{Verify, plan, undo_plan};
use kindreg::spec::{
    Auth, Backend, ControlPlanes, Data, HostTrust, Port, Registry, Spec, Variables, Workers,
};
use kindreg::step::Ctx;
use kindreg::steps::{
    FORGET_HOSTS, HAND_OVER, INSTALL, KEEP_HOSTS, RECONFIGURE, REMOVE, REMOVE_PROOF, RENAME, REVOKE,
};

/// What makes containerd bring lines of `/etc/hosts` back.
pub(crate) const DROP_IN: &str = "/etc/systemd/system/containerd.service.d/kindreg-hosts.conf";

/// The node image of the world.
pub(crate) const NODE_IMAGE: &str = "kindest/node:v1.34.4";

/// containerd's own configuration in a node.
pub(crate) const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";

/// What a test works with.
pub(crate) struct World {
    pub(crate) docker: Arc<FakeDocker>,
    pub(crate) kind: Arc<FakeKind>,
    pub(crate) kube: Arc<FakeKube>,
    pub(crate) spec: Spec,
    pub(crate) home: tempfile::TempDir,
    /// What the user has at hand for registries that kindreg does not run.
    pub(crate) external: Option<RegistryCredentials>,
    /// What variables hold for the registry that the cache is a cache of.
    pub(crate) upstream: Option<RegistryCredentials>,
}

/// A Spec of one control plane and two workers.
pub(crate) fn spec() -> Spec {
    Spec {
        cluster: "c".parse().unwrap(),
        control_planes: ControlPlanes::default(),
        workers: Workers::new(2).unwrap(),
        kind_config: None,
        node_image: NODE_IMAGE.parse().unwrap(),
        registries: vec![Registry {
            name: "registry".parse().unwrap(),
            host: "registry.test".parse().unwrap(),
            port: Port::new(5001).unwrap(),
            backend: Backend::default(),
            image: "registry:3".parse().unwrap(),
            names: Vec::new(),
            data: Data::Discard,
            mirror_of: None,
            upstream_ca: None,
            upstream_variables: None,
            auth: Auth::default(),
        }],
        host_trust: HostTrust::Install,
    }
}

/// One node, and besides that registry a cache of one with a CA of its own that asks for a password, and a mirror of all registries.
pub(crate) fn spec_with_mirrors() -> Spec {
    let mut spec = spec();
    let names = pki::Names::new(["upstream.test"], []);
    let upstream = pki::issue("upstream", &names, time::OffsetDateTime::now_utc()).unwrap();
    let mut mirror = |name: &str, port, of: &str| {
        spec.registries.push(Registry {
            name: name.parse().unwrap(),
            host: format!("{name}.test").parse().unwrap(),
            port: Port::new(port).unwrap(),
            mirror_of: Some(of.parse().unwrap()),
            ..spec.registries[0].clone()
        });
    };
    mirror("cache", 5002, "upstream.test:5000");
    mirror("any", 5003, "*");
    spec.workers = Workers::new(0).unwrap();
    spec.registries[1].upstream_ca = Some(upstream.ca_pem.try_into().unwrap());
    spec.registries[1].upstream_variables = Some(Variables {
        username: "NEXUS_USR".parse().unwrap(),
        password: "NEXUS_PSW".parse().unwrap(),
    });
    spec
}

fn success() -> ExecOutput {
    ExecOutput {
        code: 0,
        stdout: Vec::new(),
        stderr: Vec::new(),
    }
}

/// What the proof left in a registry's store, and in another's by its API.
fn remove_proofs(docker: &FakeDocker) {
    docker.on_script(REMOVE_PROOF, |files, arguments, _| {
        let [folder] = arguments else {
            panic!("removal of the proof takes a folder")
        };
        let store = format!("{folder}/docker/registry/v2");
        let _ = files.remove(&format!("{store}/repositories/kindreg"));
        let _ = files.remove(&format!("{store}/blobs"));
        success()
    });
    docker.on_script("kindreg-delete-manifest", |_, _, _| success());
}

/// Lines of `/etc/hosts` are kept and forgotten.
fn emulate_hosts(docker: &FakeDocker) {
    for name in [KEEP_HOSTS, FORGET_HOSTS] {
        docker.on_script(name, move |files, _, _| {
            let text =
                |path: &str| String::from_utf8(files.read(path).unwrap_or_default()).unwrap();
            let (before, ours) = (text("/etc/hosts"), text("/var/lib/kindreg/hosts"));
            let lines = before.split_inclusive('\n');
            let others: String = lines.filter(|line| !line.contains(" # kindreg:")).collect();
            files.write("/etc/hosts", 0o644, others + &ours).unwrap();
            if name == FORGET_HOSTS {
                for path in [
                    "/var/lib/kindreg/hosts",
                    "/var/lib/kindreg/hosts.sh",
                    DROP_IN,
                ] {
                    let _ = files.remove(path);
                }
            }
            success()
        });
    }
}

impl World {
    /// A machine with both images and an engine, and nothing of ours.
    pub(crate) fn new() -> Self {
        let docker = Arc::new(FakeDocker::new());
        docker.add_image(NODE_IMAGE);
        docker.add_image("registry:3");
        docker.logs_of_image("registry:3", "listening on [::]:5001, tls\n");
        docker
            .host()
            .write("/etc/hosts", 0o644, "127.0.0.1 localhost\n")
            .unwrap();
        docker.on_script(INSTALL, |files, arguments, _| {
            let [folder, name] = arguments else {
                panic!("install takes folder and name")
            };
            let content = files.read("/kindreg/file").expect("the file was uploaded");
            files
                .write(&format!("{folder}/{name}"), 0o644, content)
                .unwrap();
            success()
        });
        docker.on_script(REMOVE, |files, arguments, _| {
            let (file, folders) = arguments.split_first().expect("remove takes a file");
            let _ = files.remove(file);
            for folder in folders {
                if files.list(folder).is_empty() {
                    let _ = files.remove(folder);
                }
            }
            success()
        });
        let (kubelet, containerd) = ("/var/lib/kubelet/config.json", CONTAINERD_CONFIG);
        for (name, file, effect) in [
            (HAND_OVER, kubelet, "restart kubelet"),
            (RECONFIGURE, containerd, "restart containerd"),
        ] {
            docker.on_script(name, move |files, arguments, input| {
                assert_eq!(arguments, [input.len().to_string()], "the whole file came");
                files.write(file, 0o600, input).unwrap();
                files.effect(effect);
                success()
            });
        }
        docker.on_script(REVOKE, move |files, arguments, input| {
            assert_eq!(arguments, [input.len().to_string()], "the whole file came");
            if input.is_empty() {
                let _ = files.remove(kubelet);
            } else {
                files.write(kubelet, 0o600, input).unwrap();
            }
            let _ = files.remove("/var/lib/kindreg/kubelet-config.json");
            success()
        });
        emulate_hosts(&docker);
        docker.on_script(RENAME, |files, arguments, _| {
            let [folder] = arguments else {
                panic!("rename takes a folder")
            };
            let new = format!("{folder}/htpasswd.new");
            let content = files.read(&new).expect("it was uploaded");
            files
                .write(&format!("{folder}/htpasswd"), 0o600, content)
                .unwrap();
            let _ = files.remove(&new);
            success()
        });
        remove_proofs(&docker);
        docker.on_exec("rm", |files, arguments, _| {
            for path in arguments
                .iter()
                .filter(|argument| argument.starts_with('/'))
            {
                let _ = files.remove(path);
            }
            success()
        });
        let spec = spec();
        let kind = Arc::new(FakeKind::new(Arc::clone(&docker)));
        let kube = Arc::new(FakeKube::new(Arc::clone(&docker), "c-control-plane"));
        Self {
            docker,
            kind,
            kube,
            spec,
            home: tempfile::tempdir().unwrap(),
            external: None,
            upstream: None,
        }
    }

    /// The same, where other registries are mirrored too.
    pub(crate) fn with_mirrors() -> Self {
        let login = RegistryCredentials::given("robot$me", "up: 'stream'".to_owned());
        Self {
            spec: spec_with_mirrors(),
            upstream: Some(login.unwrap()),
            ..Self::new()
        }
    }

    /// A context as a new process would have it. Waits are cut short, as a fake answers at once.
    pub(crate) fn ctx(&self) -> Ctx {
        let kubeconfig = Kubeconfig::locate(None, Path::new(self.home.path()));
        let (docker, kind, kube) = (self.docker.clone(), self.kind.clone(), self.kube.clone());
        let (notes, _) = tokio::sync::mpsc::unbounded_channel();
        let mut ctx = Ctx::new(docker, kind, kube, kubeconfig, notes);
        ctx.patience = Duration::from_secs(2);
        for registry in self.spec.externals() {
            let found = self.external.clone();
            let found = found.map(|found| (registry.name.clone(), found));
            ctx.external_credentials.extend(found);
        }
        for registry in &self.spec.registries {
            let found = registry.upstream_login().and(self.upstream.clone());
            let found = found.map(|found| (registry.name.clone(), found));
            ctx.upstream_credentials.extend(found);
        }
        ctx
    }

    pub(crate) fn lock(&self) -> ContainerLock {
        ContainerLock {
            cluster: self.spec.cluster.clone(),
            image: NODE_IMAGE.to_owned(),
        }
    }

    /// `kindreg up` by a new process.
    pub(crate) async fn up(&self) -> anyhow::Result<Outcome> {
        self.up_with(&self.ctx(), &|_| {}).await
    }

    /// `kindreg up` with a context and an ear of the test's own.
    pub(crate) async fn up_with(
        &self,
        ctx: &Ctx,
        on: &(dyn Fn(Event) + Send + Sync),
    ) -> anyhow::Result<Outcome> {
        let asked = kindreg::steps::asked(&*self.docker, &self.spec.cluster).await?;
        let earlier = asked.map_or_else(Vec::new, |asked| asked.replaced_by(&self.spec));
        let plan = plan(&self.spec, &earlier, Verify::EveryNode);
        engine::up(&plan, ctx, &self.lock(), OnFailure::RollBack, on).await
    }

    /// `kindreg down` by a new process.
    pub(crate) async fn down(&self) -> anyhow::Result<Outcome> {
        let asked = kindreg::steps::asked(&*self.docker, &self.spec.cluster).await?;
        let earlier = asked.map_or_else(Vec::new, |asked| asked.earlier);
        let plan = undo_plan(&self.spec, &earlier);
        let outcome = engine::down(&plan, &self.ctx(), &self.lock(), &|_| {}).await?;
        kindreg::sweep::rest(&*self.docker, &self.spec).await?;
        Ok(outcome)
    }

    /// Everything of ours that is there: containers, networks, volumes, files of the host.
    pub(crate) async fn left(&self) -> Vec<String> {
        let listed = kindreg::sweep::list(&*self.docker, &self.spec.cluster)
            .await
            .unwrap();
        let things = listed.iter().map(ToString::to_string);
        let host = self.docker.host().all("/").into_keys();
        things
            .chain(host.filter(|path| path.contains("docker")))
            .collect()
    }
}
