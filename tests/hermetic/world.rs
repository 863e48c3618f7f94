//! A small world for hermetic tests: the three fakes, set up so that a whole `up` works.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kindreg::events::Event;
use kindreg::fakes::emulate;
use kindreg::internal::credentials::RegistryCredentials;
use kindreg::internal::docker::fake::FakeDocker;
use kindreg::internal::engine::{self, Events, Lock, OnFailure, Outcome};
use kindreg::internal::kind::fake::FakeKind;
use kindreg::internal::kube::fake::FakeKube;
use kindreg::internal::kubeconfig::Kubeconfig;
use kindreg::internal::lock::ContainerLock;
use kindreg::internal::observe::{left, recorded};
use kindreg::internal::pki::{self, Identity};
use kindreg::internal::plan::{self, Known, Verify};
use kindreg::internal::step::{Ctx, Notes, Plan};
use kindreg::spec::{
    Auth, Backend, Cache, CertificateSource, ControlPlanes, Data, Distribution, HostTrust,
    OwnCertificate, OwnedCluster, Port, Registry, Serves, Spec, Target, Variables, Workers, file,
};
use secrecy::ExposeSecret;

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
    /// The user's own certificates.
    pub(crate) own: BTreeMap<OwnCertificate, Arc<Identity>>,
}

/// A Spec of one control plane and two workers.
pub(crate) fn spec() -> Spec {
    Spec {
        cluster: "c".parse().unwrap(),
        target: Target::Owned(OwnedCluster {
            control_planes: ControlPlanes::default(),
            workers: Workers::new(2).unwrap(),
            kind_config: None,
            node_image: NODE_IMAGE.parse().unwrap(),
        }),
        registries: vec![Registry {
            name: "registry".parse().unwrap(),
            host: "registry.test".parse().unwrap(),
            port: Port::new(5001).unwrap(),
            names: Vec::new(),
            backend: Backend::Distribution(Distribution {
                image: "registry:3".parse().unwrap(),
                data: Data::Discard,
                certificate: CertificateSource::Generated,
                serves: Serves::Pushed {
                    auth: Auth::Password,
                },
            }),
        }],
        host_trust: HostTrust::Install,
    }
}

/// The cluster of a Spec that kindreg creates.
pub(crate) fn owned(spec: &mut Spec) -> &mut OwnedCluster {
    let Target::Owned(owned) = &mut spec.target;
    owned
}

/// The settings of a registry that kindreg runs.
#[track_caller]
pub(crate) fn distribution(registry: &mut Registry) -> &mut Distribution {
    match &mut registry.backend {
        Backend::Distribution(distribution) => distribution,
        Backend::External(_) => panic!("{} is external", registry.name),
    }
}

/// The same registry, which lets everybody use it.
pub(crate) fn open(registry: &mut Registry) {
    distribution(registry).serves = Serves::Pushed {
        auth: Auth::Anonymous,
    };
}

/// One node, and besides that registry a cache of one with a CA of its own that asks for a password, and a mirror of all registries.
pub(crate) fn spec_with_mirrors() -> Spec {
    let mut spec = spec();
    let names = pki::Names::new(["upstream.test"], []);
    let upstream = pki::issue("upstream", &names, time::OffsetDateTime::now_utc()).unwrap();
    let cache = Cache {
        upstream: "upstream.test:5000".parse().unwrap(),
        ca: Some(upstream.ca_pem.try_into().unwrap()),
        login: Some(Variables {
            username: "NEXUS_USR".parse().unwrap(),
            password: "NEXUS_PSW".parse().unwrap(),
        }),
    };
    for (name, port, serves) in [
        ("cache", 5002, Serves::Cache(cache)),
        ("any", 5003, Serves::Everything),
    ] {
        let mut registry = Registry {
            name: name.parse().unwrap(),
            host: format!("{name}.test").parse().unwrap(),
            port: Port::new(port).unwrap(),
            ..spec.registries[0].clone()
        };
        distribution(&mut registry).serves = serves;
        spec.registries.push(registry);
    }
    owned(&mut spec).workers = Workers::new(0).unwrap();
    spec
}

impl World {
    /// A machine with both images and an engine, and nothing of ours.
    pub(crate) fn new() -> Self {
        let docker = Arc::new(FakeDocker::new());
        docker.add_image(NODE_IMAGE);
        docker.add_image("registry:3");
        docker
            .host()
            .write("/etc/hosts", 0o644, "127.0.0.1 localhost\n")
            .unwrap();
        emulate(&docker);
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
            own: BTreeMap::new(),
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

    /// The same, whose registry has the user's own certificate.
    pub(crate) fn with_own_certificate() -> Self {
        let names = pki::Names::new(["registry.test", "localhost"], []);
        let now = time::OffsetDateTime::now_utc();
        let identity = pki::issue("company", &names, now).unwrap();
        let text = "[registry.registry]\ntls = {cert = \"crt\", key = \"key\", ca = \"ca\"}\n";
        let read = file::parse(text, "kindreg.toml", &mut |name| {
            Ok(match name {
                "crt" => identity.leaf_pem.clone(),
                "key" => identity.key.expose_secret().to_owned(),
                _ => identity.ca_pem.clone(),
            })
        });
        let read = read.unwrap().resolve(&mut |_| Ok(Port::default())).unwrap();
        let mut world = Self::new();
        world.spec.registries = read.registries;
        let own = world.spec.registries[0].own_certificate().unwrap();
        world.own = BTreeMap::from([(own, Arc::new(identity))]);
        world
    }

    /// A context as a new process would have it. Waits are cut short, as a fake answers at once.
    pub(crate) fn ctx(&self) -> Ctx {
        let kubeconfig = Kubeconfig::locate(None, self.home.path(), self.home.path());
        let (docker, kind, kube) = (self.docker.clone(), self.kind.clone(), self.kube.clone());
        let mut ctx = Ctx::new(docker, kind, kube, kubeconfig, Notes::to(|_| {}));
        ctx.patience = Duration::from_secs(2);
        ctx.own_certificates = self.own.clone();
        for (registry, _) in self.spec.externals() {
            let found = self.external.clone();
            let found = found.map(|found| (registry.name.clone(), found));
            ctx.external_credentials.extend(found);
        }
        for (registry, cache) in self.spec.caches() {
            let found = cache.login.as_ref().and(self.upstream.clone());
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

    /// `kindreg up` with a context and a listener of the test's own.
    pub(crate) async fn up_with(
        &self,
        ctx: &Ctx,
        on: &(dyn Fn(Event) + Send + Sync),
    ) -> anyhow::Result<Outcome> {
        let recorded = recorded(&*ctx.docker, &self.spec.cluster).await?;
        let earlier = recorded.map_or_else(Vec::new, |recorded| recorded.replaced_by(&self.spec));
        let plan = plan::up(&self.spec, &earlier, Verify::EveryNode);
        engine_up(&plan, ctx, &self.lock(), OnFailure::RollBack(None), on).await
    }

    /// `kindreg down` by a new process.
    pub(crate) async fn down(&self) -> anyhow::Result<Outcome> {
        self.down_with(&self.ctx()).await
    }

    /// `kindreg down` with a context of the test's own.
    pub(crate) async fn down_with(&self, ctx: &Ctx) -> anyhow::Result<Outcome> {
        let recorded = recorded(&*ctx.docker, &self.spec.cluster).await?;
        let earlier = recorded.map_or_else(Vec::new, |recorded| recorded.earlier);
        let plan = plan::down(&self.spec, &earlier, Known::Recorded);
        engine::down(&plan, ctx, &self.lock(), &|_| {}).await
    }

    /// The operations on this world, as a new process would call them.
    pub(crate) fn client(&self) -> kindreg::ops::Client {
        let (docker, kind, kube) = (self.docker.clone(), self.kind.clone(), self.kube.clone());
        kindreg::fakes::client(docker, kind, kube, self.home.path())
    }

    /// Everything of ours that is there: containers, networks, volumes, files of the host.
    pub(crate) async fn left(&self) -> Vec<String> {
        let listed = left(&*self.docker, &self.spec.cluster).await.unwrap();
        let things = listed.iter().map(ToString::to_string);
        let host = self.docker.host().all("/").into_keys();
        things
            .chain(host.filter(|path| path.contains("docker")))
            .collect()
    }
}

/// The engine's `up`, whose first look begins with it.
pub(crate) async fn engine_up(
    plan: &Plan,
    ctx: &Ctx,
    lock: &dyn Lock,
    on_failure: OnFailure<'_>,
    on: Events<'_>,
) -> anyhow::Result<Outcome> {
    engine::up(plan, ctx, &ctx.reading(), lock, on_failure, on).await
}
