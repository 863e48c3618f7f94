//! For an error that reaches the user: what to do about it, and the exit code. Pure.
//!
//! What a text means is decided by [`crate::symptoms`]; here are only the errors that have a type.

use anyhow::Error;

use crate::docker::DockerError;
use crate::docker::address::AddressError;
use crate::kind::KindError;
use crate::kube::KubeError;
use crate::login::LoginError;
use crate::problem::{self, Exit, Problem, Several};
use crate::symptoms::catalogue::engine::{NAME_TAKEN, PORT_TAKEN};
use crate::symptoms::catalogue::machine::FULL_DISK;
use crate::symptoms::credentials::Trouble;
use crate::symptoms::{self, Meaning, Symptom, shows};

/// Whether a full disk is among the causes: the engine's, a registry's or a node's as they tell it, or the user's.
fn is_full(error: &Error) -> bool {
    error
        .chain()
        .any(|cause| shows(&cause.to_string(), Meaning::FullDisk))
}

/// What to do next about an error, where that is known.
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
    if error.is::<AddressError>() {
        return Some("see which engines docker knows: docker context ls".to_owned());
    }
    if let Some(error) = error.downcast_ref::<LoginError>() {
        return Some(login(error));
    }
    if error.is::<KubeError>() {
        let text = "give the API server time with --timeout, or see: docker exec CLUSTER-control-plane journalctl -u kubelet";
        return Some(text.to_owned());
    }
    error.downcast_ref::<KindError>().map(kind)
}

/// Returns the symptom of the catalogue that an error shows; `None` where nothing is known of it.
#[must_use]
pub fn symptom(error: &Error) -> Option<&'static Symptom> {
    symptoms::find(&format!("{error:#}"))
}

/// The exit code that an error asks for.
#[must_use]
pub fn exit(error: &Error) -> Exit {
    problem::find::<Problem>(error).map_or(Exit::Failed, Problem::exit)
}

fn docker(error: &DockerError) -> String {
    let text = match error {
        DockerError::Unreachable { .. } => {
            "start it (systemctl start docker, or Docker Desktop), or name another one: --docker-host, DOCKER_HOST, \
             docker context use"
        }
        DockerError::Denied { .. } => {
            "become a member of the engine's group and log in again: sudo usermod -aG docker \"$USER\""
        }
        DockerError::NoSpace { .. } => FULL_DISK.fix,
        DockerError::PortTaken { .. } => PORT_TAKEN.fix,
        DockerError::Pull { .. } => {
            "check the name and the network, or load the image first: docker load -i FILE"
        }
        DockerError::NameTaken { .. } => NAME_TAKEN.fix,
        DockerError::Gone { .. } => "another program removed it meanwhile; try again",
        DockerError::Other { .. } => "the engine's own log says more: journalctl -u docker",
    };
    text.to_owned()
}

fn login(error: &LoginError) -> String {
    match error {
        LoginError::NoHelper(_) => Trouble::Helper.next(""),
        LoginError::Helper { program, .. } => {
            format!("see what it says by itself: echo HOST | {program} get")
        }
        LoginError::Config { .. } | LoginError::Io { .. } => {
            "mend the file, or name another folder: DOCKER_CONFIG".to_owned()
        }
    }
}

fn kind(error: &KindError) -> String {
    match error {
        KindError::Missing { program: "kind" } => {
            "install it: https://kind.sigs.k8s.io/docs/user/quick-start/#installation".to_owned()
        }
        KindError::Missing { .. } => {
            "kind needs the docker command line; install it: https://docs.docker.com/engine/install/".to_owned()
        }
        KindError::Failed { .. } | KindError::Io { .. } => {
            "kind's own list of known problems: https://kind.sigs.k8s.io/docs/user/known-issues/".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_what_matters_whoever_meets_it() {
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
