//! The hint and the exit code of an error that reaches the user. Pure.
//!
//! Only typed errors are decided here; [`crate::symptoms`] decides what the text of an error means.

use anyhow::Error;

use crate::docker::DockerError;
use crate::docker::address::{AddressError, SshHost};
use crate::kind::KindError;
use crate::kube::KubeError;
use crate::login::LoginError;
use crate::problem::{self, AGAIN, Exit, Problem, Several};
use crate::symptoms::catalogue::engine::{NAME_TAKEN, PORT_TAKEN};
use crate::symptoms::catalogue::kubernetes::NO_PORT_HERE;
use crate::symptoms::catalogue::machine::FULL_DISK;
use crate::symptoms::credentials::Trouble;
use crate::symptoms::{self, Meaning, Symptom, shows};

/// Returns whether a full disk is among the causes: the disk of the engine, a registry, a node or the user.
fn is_full(error: &Error) -> bool {
    error
        .chain()
        .any(|cause| shows(&cause.to_string(), Meaning::FullDisk))
}

/// Returns what to do about an error; `None` if that is unknown. The command line completes its commands.
#[must_use]
pub fn hint(error: &Error) -> Option<String> {
    if let Some(several) = error.downcast_ref::<Several>() {
        return several.failures().iter().find_map(hint);
    }
    let problem = error.downcast_ref::<Problem>().map(Problem::hint);
    if is_full(error) {
        let then = problem.map_or(String::new(), |hint| format!("; then {hint}"));
        return Some(format!("{}{then}", FULL_DISK.fix));
    }
    if let Some(hint) = problem {
        return Some(hint.to_owned());
    }
    if let Some(error) = error.downcast_ref::<DockerError>() {
        return Some(docker(error));
    }
    if let Some(error) = error.downcast_ref::<AddressError>() {
        return Some(address(error));
    }
    if let Some(error) = error.downcast_ref::<LoginError>() {
        return Some(login(error));
    }
    if error.is::<KubeError>() {
        let text = "wait longer with --timeout, or run: docker exec CLUSTER-control-plane journalctl -u kubelet";
        return Some(text.to_owned());
    }
    error.downcast_ref::<KindError>().map(kind)
}

/// Returns the symptom in the catalogue that matches an error; `None` if none does.
#[must_use]
pub fn symptom(error: &Error) -> Option<&'static Symptom> {
    symptoms::find(&format!("{error:#}"))
}

/// Returns the exit code for an error.
#[must_use]
pub fn exit(error: &Error) -> Exit {
    problem::find::<Problem>(error).map_or(Exit::Failed, Problem::exit)
}

fn address(error: &AddressError) -> String {
    match error {
        AddressError::Unsupported { .. }
        | AddressError::NoContext { .. }
        | AddressError::File { .. } => "run: docker context ls".to_owned(),
    }
}

fn docker(error: &DockerError) -> String {
    if let DockerError::Unreachable { address, .. } = error
        && let Some(ssh) = address.strip_prefix("ssh://").and_then(SshHost::parse)
    {
        return format!("run: ssh {ssh} docker version");
    }
    if let DockerError::Unreachable { address, cause } = error
        && address.starts_with("tcp://")
    {
        return match symptoms::find(cause) {
            Some(symptom) if symptom.meaning == Meaning::EngineTls => symptom.fix.to_owned(),
            Some(_) | None => format!("run: docker --host {address} version"),
        };
    }
    let text = match error {
        DockerError::Unreachable { .. } => {
            "run: sudo systemctl start docker, or start Docker Desktop, or choose another engine with --docker-host or \
             DOCKER_HOST"
        }
        DockerError::Denied { .. } => "run: sudo usermod -aG docker \"$USER\", and log in again",
        DockerError::NoSpace { .. } => FULL_DISK.fix,
        DockerError::PortTaken { .. } => PORT_TAKEN.fix,
        DockerError::Pull { .. } => {
            "check the image name and the network, wait longer with --timeout, or run: docker load -i FILE"
        }
        DockerError::NameTaken { .. } => NAME_TAKEN.fix,
        DockerError::Missing { .. } => "another program removed it; run the command again",
        DockerError::TooLarge { .. } => {
            "look at what is in that container, or recreate the cluster: kindreg down --name CLUSTER && kindreg up --name CLUSTER"
        }
        DockerError::Stopped => AGAIN,
        DockerError::Other { .. } => "run: journalctl -u docker",
    };
    text.to_owned()
}

fn login(error: &LoginError) -> String {
    match error {
        LoginError::NoHelper(_) => Trouble::Helper.next(""),
        LoginError::Helper { program, .. } => {
            format!("run: echo HOST | {program} get")
        }
        LoginError::NoAnswer { program, .. } => {
            format!("see what it waits for: echo HOST | {program} get; wait longer with --timeout")
        }
        LoginError::Busy(_) => AGAIN.to_owned(),
        LoginError::Config { .. } | LoginError::Io { .. } => {
            "fix the file, or set DOCKER_CONFIG to another folder".to_owned()
        }
    }
}

fn kind(error: &KindError) -> String {
    match error {
        KindError::Missing { program: "kind" } => {
            "install kind: https://kind.sigs.k8s.io/docs/user/quick-start/#installation".to_owned()
        }
        KindError::Missing { .. } => {
            "install the docker program, which kind runs: https://docs.docker.com/engine/install/"
                .to_owned()
        }
        KindError::State { .. } => {
            "fix the owner and mode of the folder, or set XDG_RUNTIME_DIR to another one".to_owned()
        }
        KindError::Version { .. } => "run: kind version".to_owned(),
        KindError::Failed { output, .. } if NO_PORT_HERE.is_in(output) => {
            NO_PORT_HERE.fix.to_owned()
        }
        KindError::Failed { .. } | KindError::Io { .. } => {
            "see kind's known issues: https://kind.sigs.k8s.io/docs/user/known-issues/".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_with_another_certificate_is_not_to_be_started() {
        let hint = |cause: &str| {
            let (address, cause) = ("tcp://10.0.0.5:2376".to_owned(), cause.to_owned());
            hint(&DockerError::Unreachable { address, cause }.into()).unwrap()
        };
        assert!(hint("invalid peer certificate: UnknownIssuer").contains("ca.pem"));
        assert!(hint("received fatal alert: CertificateExpired").contains("cert.pem"));
        let other = hint("Connection refused (os error 111)");
        assert_eq!(other, "run: docker --host tcp://10.0.0.5:2376 version");
    }

    #[test]
    fn an_engine_behind_ssh_is_looked_for_by_a_command_that_works_as_printed() {
        let error = DockerError::Unreachable {
            address: "ssh://me@box:2222/run/docker.sock".to_owned(),
            cause: "Permission denied".to_owned(),
        };
        let hint = hint(&error.into()).unwrap();
        assert_eq!(hint, "run: ssh -p 2222 me@box docker version");
    }

    #[test]
    fn an_address_of_another_machine_needs_a_port_beside_it() {
        let of = |output: &str| {
            let (command, output) = ("create cluster".to_owned(), output.to_owned());
            hint(&KindError::Failed { command, output }.into()).unwrap()
        };
        let elsewhere = "failed to get random host port for port mapping: listen tcp 10.213.0.2:0: bind: cannot assign \
                         requested address";
        assert!(of(elsewhere).contains("apiServerPort beside apiServerAddress"));
        assert!(of("something else").contains("known issues"));
    }

    #[test]
    fn a_full_disk_decides_the_hint_of_every_error() {
        let kind = KindError::Failed {
            command: "create cluster".to_owned(),
            output: "docker: write /var/lib/containerd/x: no space left on device".to_owned(),
        };
        let home = LoginError::Io {
            file: "config.json".into(),
            cause: std::io::Error::from_raw_os_error(28),
        };
        let pushed = DockerError::Other {
            doing: "push".to_owned(),
            cause: "mkdir /var/lib/registry/docker: no space left on device".to_owned(),
        };
        let pushed = Error::from(pushed).context(Problem::not_ready("no push", "see its log"));
        for error in [kind.into(), home.into()] {
            assert_eq!(hint(&error).as_deref(), Some(FULL_DISK.fix), "{error:#}");
        }
        assert_eq!(
            hint(&pushed),
            Some(format!("{}; then see its log", FULL_DISK.fix))
        );
        let other: Error = Problem::new("else", "do this").into();
        assert_eq!(hint(&other).as_deref(), Some("do this"));
    }
}
