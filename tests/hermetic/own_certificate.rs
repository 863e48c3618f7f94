//! A registry with the user's own certificate, which the openssl program issues as a company does.

use std::process::Command;

use kindreg::fakes::{Answer, Machine};
use kindreg::internal::docker::{Docker, Label};
use kindreg::internal::pki::inspect_all;

use time::{Duration, OffsetDateTime};

use crate::stage::{Stage, run};

const REGISTRY: &str = "kindreg-kindreg-registry";
const NODE: &str = "kindreg-control-plane";
const NODE_CA: &str = "/etc/containerd/certs.d/registry.test:5001/ca.crt";
const HOST_CA: &str = "/etc/docker/certs.d/registry.test:5001/kindreg-kindreg.crt";

/// The settings that name the files of a [`Company`].
pub(crate) const FILE: &str = "[registry.registry]\nport = 5001\n\
                               tls = { cert = \"tls.crt\", key = \"tls.key\", ca = \"ca.crt\" }\n";

/// A root and an intermediate, which issues certificates.
pub(crate) struct Company(tempfile::TempDir);

/// A certificate with its intermediate, its key, and the root.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) ca: String,
}

impl Company {
    pub(crate) fn new(name: &str) -> Self {
        let company = Self(tempfile::tempdir().unwrap());
        let ca = "-days 300 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign";
        company.openssl(&format!(
            "openssl req -x509 $new -keyout root.key -out root -subj '/CN={name} Root' {ca}
             openssl req -x509 $new -keyout middle.key -out middle -subj '/CN={name} Issuing' \
               -CA root -CAkey root.key {ca}"
        ));
        company
    }

    fn openssl(&self, script: &str) {
        let script = format!("new='-noenc -newkey ec -pkeyopt ec_paramgen_curve:P-256'\n{script}");
        let output = Command::new("sh")
            .args(["-ec", &script])
            .current_dir(self.0.path())
            .output()
            .expect("these tests need the openssl program");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// Issues a certificate for these names that ends in so many days.
    pub(crate) fn issue(&self, names: &[&str], days: u32) -> Issued {
        let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
        let names = names.join(",");
        self.openssl(&format!(
            "openssl req -x509 $new -keyout key -out crt -subj /CN=registry -days {days} \
               -CA middle -CAkey middle.key -addext basicConstraints=critical,CA:FALSE \
               -addext subjectAltName={names} -addext extendedKeyUsage=serverAuth"
        ));
        Issued {
            certificate: self.read("middle") + &self.read("crt"),
            key: self.read("key"),
            ca: self.read("root"),
        }
    }
}

/// Writes the files of a certificate into the machine's current folder.
fn hand(machine: &Machine, issued: &Issued) {
    for (name, text) in [
        ("kindreg.toml", FILE),
        ("tls.crt", &*issued.certificate),
        ("tls.key", &*issued.key),
        ("ca.crt", &*issued.ca),
    ] {
        std::fs::write(machine.home().join(name), text).unwrap();
    }
}

fn machine(issued: &Issued) -> Machine {
    let machine = Machine::new().unwrap();
    hand(&machine, issued);
    machine
}

fn usual(company: &Company) -> Issued {
    company.issue(&["registry.test", "localhost"], 200)
}

#[track_caller]
fn good(answer: &Answer) -> &Answer {
    assert_eq!(answer.code, 0, "{answer:?}");
    answer
}

/// Runs `up`; it changes something, and the next one does not.
async fn changes(machine: &Machine) -> Answer {
    let first = run(machine, "up").await;
    assert!(good(&first).stdout.contains("Ready: 1 node"), "{first:?}");
    let again = run(machine, "up").await;
    assert!(good(&again).stdout.contains("Nothing to do"), "{again:?}");
    let status = run(machine, "status").await;
    assert_eq!(status.code, 0, "{status:?}");
    first
}

fn secret(machine: &Machine, name: &str) -> String {
    let path = format!("/kindreg/secret/{name}");
    let found = machine.docker().files(REGISTRY).read(&path).unwrap();
    String::from_utf8(found).unwrap()
}

/// What nodes and the engine's host trust, which is the same.
fn trusted(machine: &Machine) -> String {
    let [node, host] = [
        machine.docker().files(NODE).read(NODE_CA),
        machine.docker().host().read(HOST_CA),
    ];
    assert_eq!(node, host);
    String::from_utf8(node.unwrap()).unwrap()
}

fn subjects(pem: &str) -> Vec<String> {
    let all = inspect_all(pem).into_iter();
    all.map(|one| one.subject).collect()
}

#[tokio::test]
async fn the_chain_is_served_the_root_is_trusted_and_the_key_is_in_one_place() {
    let company = Company::new("Company");
    let issued = usual(&company);
    let machine = machine(&issued);
    let up = changes(&machine).await;
    assert_eq!(
        subjects(&secret(&machine, "tls.crt")),
        ["CN=registry", "CN=Company Issuing"]
    );
    assert_eq!(secret(&machine, "ca.crt"), issued.ca);
    assert_eq!(trusted(&machine), issued.ca);
    assert_eq!(secret(&machine, "tls.key"), issued.key);
    let files = machine.docker().files(REGISTRY);
    assert_eq!(files.mode("/kindreg/secret/tls.key"), Some(0o600));

    let docker = machine.docker();
    let labelled = docker.containers(Label::Key("dev.kindreg.cluster"));
    let record = docker.files("kindreg-kindreg").read("/kindreg/record.json");
    let record = String::from_utf8(record.unwrap()).unwrap();
    let seen = format!(
        "{:?} {:?} {:?} {record} {up:?}",
        labelled.await.unwrap(),
        docker.journal(),
        docker.call_log(),
    );
    let body: Vec<&str> = issued.key.lines().collect();
    assert!(!seen.contains(body[1]) && !seen.contains("PRIVATE KEY"));
    assert!(!record.contains("tls.key"), "no path: {record}");
    let traced = run(&machine, "status -vvv").await;
    assert!(!format!("{traced:?}").contains(body[1]));
    // What needs no certificate works without its files.
    std::fs::remove_file(machine.home().join("tls.key")).unwrap();
    good(&run(&machine, "verify").await);
    good(&run(&machine, "down").await);
}

#[tokio::test]
async fn replaced_files_are_drift_that_up_takes_on() {
    let company = Company::new("Company");
    let machine = machine(&usual(&company));
    changes(&machine).await;
    let ca = trusted(&machine);

    // A new leaf of the same CA.
    let next = usual(&company);
    hand(&machine, &next);
    let status = run(&machine, "status").await;
    assert_eq!(status.code, 3, "{status:?}");
    for words in [
        "certificate of registry.test:5001",
        "another certificate",
        "settings changed",
    ] {
        assert!(status.stdout.contains(words), "{words}: {status:?}");
    }
    assert!(
        !status.stdout.contains("another certificate and CA"),
        "{status:?}"
    );
    let up = changes(&machine).await;
    assert!(up.stderr.contains("proof of registry.test:5001"), "{up:?}");
    assert_eq!(secret(&machine, "tls.key"), next.key);
    assert_eq!(trusted(&machine), ca);

    // Another CA.
    let other = Company::new("Other");
    let next = usual(&other);
    hand(&machine, &next);
    let status = run(&machine, "status").await;
    assert!(
        status.stdout.contains("another certificate and CA"),
        "{status:?}"
    );
    changes(&machine).await;
    assert_eq!(trusted(&machine), next.ca);
}

#[tokio::test]
async fn a_registry_changes_to_the_users_certificate_and_back() {
    let issued = usual(&Company::new("Company"));
    let machine = Machine::new().unwrap();
    changes(&machine).await;
    let generated = trusted(&machine);
    hand(&machine, &issued);
    changes(&machine).await;
    assert_eq!(trusted(&machine), issued.ca);

    std::fs::write(machine.home().join("kindreg.toml"), "[registry.registry]\n").unwrap();
    let status = run(&machine, "status").await;
    assert!(
        status.stdout.contains("not generated by kindreg"),
        "{status:?}"
    );
    changes(&machine).await;
    let again = trusted(&machine);
    assert!(again != issued.ca && again != generated);
    assert_ne!(secret(&machine, "tls.key"), issued.key);
}

#[tokio::test]
async fn without_the_files_the_registry_keeps_its_certificate() {
    let company = Company::new("Company");
    let issued = usual(&company);
    let machine = machine(&issued);
    changes(&machine).await;
    for name in ["kindreg.toml", "tls.crt", "tls.key", "ca.crt"] {
        std::fs::remove_file(machine.home().join(name)).unwrap();
    }
    let again = run(&machine, "up").await;
    assert!(good(&again).stdout.contains("Nothing to do"), "{again:?}");
    good(&run(&machine, "up --port 5002").await);
    assert_eq!(secret(&machine, "tls.key"), issued.key);
    good(&run(&machine, "up --port 5001").await);

    // A name that it does not cover is refused before anything is done.
    let before = machine.docker().journal();
    let refused = run(&machine, "up --host other.test").await;
    assert_eq!(refused.code, 2, "{refused:?}");
    for words in [
        "clients would refuse",
        "does not cover other.test",
        "hint: ",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    assert_eq!(machine.docker().journal(), before);

    // And one that is gone is not replaced by one that nobody asked for.
    let files = machine.docker().files(REGISTRY);
    assert!(files.remove("/kindreg/secret/tls.key"));
    let lost = run(&machine, "up").await;
    assert_eq!(lost.code, 2, "{lost:?}");
    assert!(
        lost.stderr.contains("is missing from its volume"),
        "{lost:?}"
    );
    hand(&machine, &issued);
    changes(&machine).await;
    assert_eq!(secret(&machine, "tls.key"), issued.key);
}

#[tokio::test]
async fn a_change_that_fails_brings_the_former_certificate_back() {
    let company = Company::new("Company");
    let first = usual(&company);
    let machine = machine(&first);
    changes(&machine).await;
    let kube = machine.kube(NODE);
    for file in [FILE, "[registry.registry]\n"] {
        hand(&machine, &usual(&Company::new("Other")));
        std::fs::write(machine.home().join("kindreg.toml"), file).unwrap();
        kube.pod_fails(NODE, "ErrImagePull", "x509: no");
        let failed = run(&machine, "up").await;
        assert_eq!(failed.code, 3, "{failed:?}");
        assert!(!failed.stderr.contains("can't restore"), "{failed:?}");
        kube.pod_succeeds(NODE);
        assert_eq!(secret(&machine, "tls.key"), first.key, "{file}");
        assert_eq!(trusted(&machine), first.ca, "{file}");
    }
    hand(&machine, &first);
    good(&run(&machine, "up").await);
    let again = run(&machine, "up").await;
    assert!(good(&again).stdout.contains("Nothing to do"), "{again:?}");
}

#[tokio::test]
async fn a_certificate_without_localhost_leaves_docker_unverified_there() {
    let company = Company::new("Company");
    let machine = Machine::new().unwrap();
    changes(&machine).await;
    let folder = || machine.docker().host().list("/etc/docker/certs.d");
    assert_eq!(folder(), ["localhost:5001", "registry.test:5001"]);
    hand(&machine, &company.issue(&["registry.test"], 200));
    let up = changes(&machine).await;
    let words = "does not cover localhost: docker pushes to localhost:5001 without verifying it";
    assert!(up.stderr.contains(words), "{up:?}");
    assert_eq!(folder(), ["registry.test:5001"]);
    let json = run(&machine, "up --json").await;
    assert!(json.stdout.contains("does not cover localhost"), "{json:?}");
    let status = run(&machine, "status").await;
    assert!(format!("{status:?}").contains(words), "{status:?}");
}

/// A certificate that signed itself, and ends in five of its thirty days.
fn ending() -> Issued {
    let names = ["registry.test".to_owned(), "localhost".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_before = OffsetDateTime::now_utc() - Duration::days(25);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(5);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    Issued {
        ca: certificate.clone(),
        certificate,
        key: key.serialize_pem(),
    }
}

#[tokio::test]
async fn up_and_status_warn_before_it_expires_and_of_further_names_that_it_lacks() {
    let issued = ending();
    let machine = machine(&issued);
    let file = FILE.replace("port", "names = [\"nexus.test\"]\nport");
    std::fs::write(machine.home().join("kindreg.toml"), file).unwrap();
    for line in ["up", "up", "status"] {
        let answer = run(&machine, line).await;
        let said = format!("{}{}", good(&answer).stdout, answer.stderr);
        for words in [
            "of registry registry expires at 20",
            "replace its files, then run: kindreg up",
            "does not cover nexus.test: nodes pull by this name, as they connect to registry.test",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    assert_eq!(secret(&machine, "tls.key"), issued.key, "it is not renewed");
}

#[tokio::test]
async fn a_ca_for_a_name_of_others_is_asked_about_with_its_fingerprint() {
    let names = ["nexus.company.internal", "localhost"];
    let company = Company::new("Company");
    let machine = machine(&company.issue(&names, 200));
    let file = FILE.replace("port", "host = \"nexus.company.internal\"\nport");
    let rewrite = || std::fs::write(machine.home().join("kindreg.toml"), &file).unwrap();
    rewrite();
    let refused = run(&machine, "up").await;
    assert_eq!(refused.code, 2, "{refused:?}");
    let fingerprint = &inspect_all(&company.read("root"))[0].fingerprint;
    for words in [
        "trust the CA in kindreg.toml",
        "CN=Company Root",
        fingerprint,
    ] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    assert!(machine.docker().journal().is_empty());
    good(&run(&machine, "up --yes").await);
    let again = run(&machine, "up").await;
    assert!(good(&again).stdout.contains("Nothing to do"), "{again:?}");

    // A new leaf of the same CA needs no consent; another CA does.
    hand(&machine, &company.issue(&names, 200));
    rewrite();
    good(&run(&machine, "up").await);
    hand(&machine, &Company::new("Other").issue(&names, 200));
    rewrite();
    let refused = run(&machine, "up").await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("CN=Other Root"), "{refused:?}");
    // For nodes alone too.
    let file = format!("[cluster]\nhost_trust = false\n{file}");
    std::fs::write(machine.home().join("kindreg.toml"), file).unwrap();
    let refused = run(&machine, "up").await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("every node will trust the CA"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_said_before_anything_is_done() {
    let company = Company::new("Company");
    let issued = usual(&company);
    let elsewhere = company.issue(&["other.test"], 200);
    let mut stage = Stage::new("own-certificate")
        .file("kindreg.toml", FILE)
        .file("tls.crt", &issued.key)
        .file("ca.crt", &issued.ca);
    let put = |stage: &Stage, name: &str, text: &str| {
        std::fs::write(stage.machine.home().join(name), text).unwrap();
    };
    stage.note("the key is not there");
    stage.run("up").await;
    put(&stage, "tls.key", &issued.certificate);
    stage.note("certificate and key are swapped");
    stage.run("up").await;
    put(&stage, "tls.crt", &issued.certificate);
    put(&stage, "tls.key", &elsewhere.key);
    stage.note("the key of another certificate");
    stage.run("up").await;
    put(&stage, "tls.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    stage.note("an encrypted key");
    stage.run("up").await;
    put(&stage, "tls.key", &elsewhere.key);
    put(&stage, "tls.crt", &elsewhere.certificate);
    stage.note("a certificate for another name");
    stage.run("up").await;
    // A flag may set that name.
    good(&run(&stage.machine, "render --host other.test").await);
    put(
        &stage,
        "kindreg.toml",
        "[registry.registry]\ntls = { cert = \"tls.crt\", chain = \"x\" }\n",
    );
    stage.note("keys are missing or unknown");
    stage.run("up").await;
    assert!(stage.machine.docker().journal().is_empty());
    stage.is_as_kept();
}

/// Makes something at a path.
type Make = fn(&std::path::Path);

#[tokio::test]
async fn a_file_that_is_no_plain_file_beside_the_settings_is_not_read() {
    let issued = usual(&Company::new("Company"));
    let machine = machine(&issued);
    let key = machine.home().join("repo/tls.key");
    std::fs::create_dir(machine.home().join("repo")).unwrap();
    for name in ["kindreg.toml", "tls.crt", "ca.crt"] {
        std::fs::copy(
            machine.home().join(name),
            machine.home().join("repo").join(name),
        )
        .unwrap();
    }
    let make: [(&str, Make); 6] = [
        ("outside the folder of kindreg.toml", |key| {
            std::os::unix::fs::symlink("../tls.key", key).unwrap();
        }),
        ("outside the folder of kindreg.toml", |key| {
            std::os::unix::fs::symlink("/dev/zero", key).unwrap();
        }),
        ("not a regular file", |key| {
            assert!(Command::new("mkfifo").arg(key).status().unwrap().success());
        }),
        ("not a regular file", |key| {
            std::fs::create_dir(key).unwrap();
        }),
        ("larger than 256 KiB", |key| {
            std::fs::File::create(key)
                .unwrap()
                .set_len(1 << 30)
                .unwrap();
        }),
        ("not valid UTF-8", |key| {
            std::fs::write(key, [0xff, 0xfe]).unwrap();
        }),
    ];
    for (why, make) in make {
        make(&key);
        let answer = run(&machine, "render --config repo/kindreg.toml").await;
        assert_eq!(answer.code, 2, "{why}: {answer:?}");
        assert!(answer.stderr.contains(why), "{why}: {answer:?}");
        let gone = if key.is_dir() && !key.is_symlink() {
            std::fs::remove_dir(&key)
        } else {
            std::fs::remove_file(&key)
        };
        gone.unwrap();
    }
    std::os::unix::fs::symlink("real.key", &key).unwrap();
    std::fs::write(machine.home().join("repo/real.key"), &issued.key).unwrap();
    good(&run(&machine, "render --config repo/kindreg.toml").await);
}
