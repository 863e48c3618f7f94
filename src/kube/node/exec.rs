//! Reaches the API through kubectl in the control-plane node: it needs no port, but a process for each call.
//!
//! It uses raw paths only, so that requests and answers are the same as over HTTPS.

use std::time::Duration;

use tokio::time::timeout;

use super::super::{KubeError, Result};
use super::{ADMIN_CONF, Answer, Method, Request};
use crate::docker::Docker;

/// The limit for a call. kubectl gives up earlier, unless the engine hangs.
const LIMIT: Duration = Duration::from_secs(15);

pub(super) async fn ask(
    docker: &dyn Docker,
    control_plane: &str,
    request: Request<'_>,
) -> Result<Answer> {
    let verb = match request.method {
        Method::Get => "get",
        Method::Post => "create",
        Method::Put => "replace",
        Method::Delete => "delete",
    };
    let kubeconfig = format!("--kubeconfig={ADMIN_CONF}");
    let mut command = vec![
        "kubectl",
        &kubeconfig,
        "--request-timeout=5s",
        verb,
        "--raw",
        request.path,
    ];
    if matches!(request.method, Method::Post | Method::Put) {
        command.extend(["-f", "-"]);
    }
    let output = timeout(LIMIT, docker.exec(control_plane, &command, request.body)).await;
    let output = output
        .map_err(|_| KubeError::Unreachable(format!("kubectl in {control_plane} does not exit")))?;
    let output = output.map_err(|error| KubeError::Unreachable(error.to_string()))?;
    if output.code == 0 {
        return Ok(Answer::Done(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    refusal(&said).ok_or_else(|| KubeError::Unreachable(said.trim().to_owned()))
}

/// Returns the server's refusal from kubectl's output; `None` if kubectl itself failed.
///
/// `Error from server (NotFound): pods "x" not found`, but `The Pod "x" is invalid: …`
/// (<https://github.com/kubernetes/kubectl/blob/master/pkg/cmd/util/helpers.go>, `StandardErrorMessage`).
fn refusal(said: &str) -> Option<Answer> {
    let (reason, message) = if let Some((_, error)) = said.split_once("Error from server (") {
        error.split_once("): ")?
    } else if let Some((_, message)) = said.split_once("Error from server: ") {
        ("InternalError", message)
    } else if said.starts_with("The ") && said.contains("\" is invalid") {
        ("Invalid", said)
    } else {
        return None;
    };
    Some(Answer::Refused {
        reason: reason.to_owned(),
        message: message.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            cases: 2000,
            failure_persistence: None,
            ..Default::default()
        })]

        #[test]
        fn what_kubectl_prints_never_panics(text: String, error in "(x)?Error from server( \\(|: )[A-Za-z]{0,9}(\\): )?.{0,20}") {
            let _ = refusal(&text);
            let _ = refusal(&error);
        }
    }

    #[test]
    fn only_the_server_refuses() {
        let refused = |reason: &str, message: &str| {
            Some(Answer::Refused {
                reason: reason.into(),
                message: message.into(),
            })
        };
        let missing = "Error from server (NotFound): pods \"x\" not found\n";
        assert_eq!(
            refusal(missing),
            refused("NotFound", "pods \"x\" not found")
        );
        assert_eq!(
            refusal("Error from server: etcd\n"),
            refused("InternalError", "etcd")
        );
        assert_eq!(
            refusal("The connection to the server x:6443 was refused"),
            None
        );
    }
}
