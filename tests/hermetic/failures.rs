//! What people see of every typed error that has a hint, and what the catalogue of symptoms says.

use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use anyhow::{Error, anyhow};
use kindreg::fakes::printed;
use kindreg::internal::credentials::CredentialsError;
use kindreg::internal::docker::DockerError;
use kindreg::internal::docker::address::{AddressError, Origin};
use kindreg::internal::kind::KindError;
use kindreg::internal::kube::KubeError;
use kindreg::internal::login::LoginError;
use kindreg::internal::problem::{Problem, combine};
use kindreg::internal::symptoms::catalogue::ALL;

use crate::snapshot;

fn docker() -> Vec<DockerError> {
    let address = || "unix:///var/run/docker.sock".to_owned();
    let doing = || "start container kindreg-c-registry".to_owned();
    let all = vec![
        DockerError::Unreachable {
            address: address(),
            cause: "No such file or directory (os error 2)".to_owned(),
        },
        DockerError::Denied { address: address() },
        DockerError::NameTaken {
            name: "kindreg-c".to_owned(),
        },
        DockerError::PortTaken {
            cause: "failed to bind host port 127.0.0.1:5001/tcp: address already in use".to_owned(),
        },
        DockerError::NoSpace {
            doing: doing(),
            cause: "write /var/lib/docker/x: no space left on device".to_owned(),
        },
        DockerError::Missing {
            what: "container kindreg-c".to_owned(),
        },
        DockerError::Pull {
            image: "registry:3".to_owned(),
            cause: "pull access denied for registry, repository does not exist or may require 'docker login'"
                .to_owned(),
        },
        DockerError::TooLarge {
            what: "/etc/containerd of container c-worker".to_owned(),
        },
        DockerError::Stopped,
        DockerError::Other {
            doing: doing(),
            cause: "OCI runtime create failed".to_owned(),
        },
    ];
    for error in &all {
        // A new variant does not compile here until it is listed above.
        match error {
            DockerError::Unreachable { .. }
            | DockerError::Denied { .. }
            | DockerError::NameTaken { .. }
            | DockerError::PortTaken { .. }
            | DockerError::NoSpace { .. }
            | DockerError::Missing { .. }
            | DockerError::Pull { .. }
            | DockerError::TooLarge { .. }
            | DockerError::Stopped
            | DockerError::Other { .. } => {}
        }
    }
    all
}

fn kind() -> Vec<KindError> {
    let command = || "create cluster".to_owned();
    let all = vec![
        KindError::Missing { program: "kind" },
        KindError::Missing { program: "docker" },
        KindError::Failed {
            command: command(),
            output: "ERROR: failed to create cluster: could not find a log line\nStack Trace:"
                .to_owned(),
        },
        KindError::Version {
            printed: "kind: not a kind".to_owned(),
        },
        KindError::State {
            folder: PathBuf::from("/run/user/1000/kindreg"),
            cause: io::Error::from_raw_os_error(13),
        },
        KindError::Io {
            command: command(),
            cause: io::Error::from_raw_os_error(13),
        },
    ];
    for error in &all {
        match error {
            KindError::Missing { .. }
            | KindError::Failed { .. }
            | KindError::Version { .. }
            | KindError::State { .. }
            | KindError::Io { .. } => {}
        }
    }
    all
}

fn kube() -> Vec<KubeError> {
    let all = vec![
        KubeError::Unreachable("dial tcp 127.0.0.1:6443: connect: connection refused".to_owned()),
        KubeError::Refused {
            method: "POST",
            path: "/api/v1/namespaces/default/pods".to_owned(),
            message: "Forbidden: exceeded quota".to_owned(),
        },
    ];
    for error in &all {
        match error {
            KubeError::Unreachable(_) | KubeError::Refused { .. } => {}
        }
    }
    all
}

fn login() -> Vec<LoginError> {
    let file = || PathBuf::from("/home/me/.docker/config.json");
    let all = vec![
        LoginError::NoHelper("docker-credential-desktop".to_owned()),
        LoginError::Helper {
            program: "docker-credential-pass".to_owned(),
            said: "pass store is uninitialized".to_owned(),
        },
        LoginError::NoAnswer {
            program: "docker-credential-pass".to_owned(),
            why: "no answer within 300 seconds".to_owned(),
        },
        LoginError::Busy(file()),
        LoginError::Config {
            file: file(),
            cause: CredentialsError::InvalidConfig("expected value at line 1 column 1".to_owned()),
        },
        LoginError::Io {
            file: file(),
            cause: io::Error::from_raw_os_error(13),
        },
    ];
    for error in &all {
        match error {
            LoginError::NoHelper(_)
            | LoginError::Helper { .. }
            | LoginError::NoAnswer { .. }
            | LoginError::Busy(_)
            | LoginError::Config { .. }
            | LoginError::Io { .. } => {}
        }
    }
    all
}

fn address() -> Vec<AddressError> {
    let all = vec![
        AddressError::Unsupported {
            host: "npipe:////./pipe/docker_engine".to_owned(),
            origin: Origin::Context("windows".to_owned()),
        },
        AddressError::NoContext {
            name: "missing".to_owned(),
        },
        AddressError::File {
            path: PathBuf::from("/home/me/.docker/config.json"),
            source: io::Error::from_raw_os_error(13),
        },
    ];
    for error in &all {
        match error {
            AddressError::Unsupported { .. }
            | AddressError::NoContext { .. }
            | AddressError::File { .. } => {}
        }
    }
    all
}

/// Errors with a remedy of their own, with causes, and several at once.
fn problems() -> Vec<Error> {
    let problem = || {
        Problem::new(
            "can't push to localhost:5001",
            "see: docker logs kindreg-c-registry",
        )
    };
    let full = DockerError::Other {
        doing: "push".to_owned(),
        cause: "mkdir /var/lib/registry/docker: no space left on device".to_owned(),
    };
    let both = vec![
        problem().into(),
        Error::from(KindError::Missing { program: "kind" }),
    ];
    vec![
        problem().into(),
        anyhow!("first line\nsecond line").context(problem()),
        Error::from(full).context(problem()),
        anyhow!("an unexpected failure").context("while testing"),
        combine(both).unwrap(),
    ]
}

#[test]
fn every_error_with_a_hint() {
    let mut text = String::new();
    let mut add = |name: &str, errors: Vec<Error>| {
        writeln!(text, "# {name}\n").unwrap();
        for error in errors {
            let (plain, json) = (printed(&error, false), printed(&error, true));
            writeln!(text, "{plain}{json}").unwrap();
        }
    };
    add(
        "DockerError",
        docker().into_iter().map(Error::from).collect(),
    );
    add("KindError", kind().into_iter().map(Error::from).collect());
    add("KubeError", kube().into_iter().map(Error::from).collect());
    add("LoginError", login().into_iter().map(Error::from).collect());
    add(
        "AddressError",
        address().into_iter().map(Error::from).collect(),
    );
    add("Problem", problems());
    snapshot::same("snapshots/failures.txt", &text);
}

#[test]
fn every_symptom() {
    let mut text = String::new();
    for symptom in ALL {
        let (code, cause, fix, source) = (symptom.code, symptom.cause, symptom.fix, symptom.source);
        writeln!(
            text,
            "{code}\n  cause: {cause}\n  fix: {fix}\n  source: {source}\n"
        )
        .unwrap();
    }
    snapshot::same("snapshots/symptoms.txt", &text);
}
