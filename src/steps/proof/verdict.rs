//! Judges a pod of the proof by kubelet's messages. Pure.

use serde_json::Value;

use crate::problem::Problem;
use crate::spec::{External, Registry, Spec};
use crate::symptoms::catalogue::node;
use crate::symptoms::{Meaning, Waiting, find_in_pull, shows};
use crate::verdict::{Verdict, Verdicts};

/// The reason for a refusal on a node that is stopped.
pub(super) const STOPPED: &str = "the node is stopped";

/// The beginning of the reason while a node's pod is away before it has shown anything.
pub(super) const POD_IS_AWAY: &str = "its pod was removed";

/// How often kubelet starts the pulled program again, after the node's runtime failed to start it, before the node is
/// refused. The failure says nothing about the registry, and passes at the first or second try where it passes at all.
const RESTARTS: u64 = 2;

/// Returns whether the node refused because it does not trust the registry's CA.
#[must_use]
pub fn lacks_ca(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(why) if why.contains(node::UNKNOWN_AUTHORITY))
}

/// Returns the error that nodes can't pull, in their own words; `None` if all are proven. `remedy` returns the hint for
/// the first cause.
pub(super) fn refusal(
    spec: &Spec,
    registry: &Registry,
    verdicts: &Verdicts,
    remedy: impl Fn(&str) -> String,
) -> Option<anyhow::Error> {
    let failed: Vec<(&String, &str)> = verdicts
        .iter()
        .filter_map(|(node, verdict)| Some((node, verdict.why()?)))
        .collect();
    failed.first()?;
    let of = |count: usize| format!("{count} of {} nodes", verdicts.len());
    let lines: Vec<String> = failed
        .iter()
        .map(|(node, why)| format!("{node}: {why}"))
        .collect();
    let refused = verdicts.values().filter_map(|verdict| match verdict {
        Verdict::Open(why) | Verdict::Refused(why) => Some(why),
        Verdict::Proven | Verdict::Unverified { .. } => None,
    });
    let refused: Vec<&String> = refused.collect();
    let by_hand = verdicts.values().find_map(|verdict| match verdict {
        Verdict::Unverified { by_hand, .. } => by_hand.clone(),
        Verdict::Proven | Verdict::Open(_) | Verdict::Refused(_) => None,
    });
    let domain = registry.domain();
    let problem = match refused.first() {
        Some(why) => Problem::not_ready(
            format!("{} can't pull from {domain}", of(refused.len())),
            remedy(why),
        ),
        None => Problem::not_ready(
            format!(
                "{} may pull from {domain} without verifying its certificate",
                of(failed.len())
            ),
            by_hand.unwrap_or_else(|| format!("run: kindreg up --name {}", spec.cluster)),
        ),
    };
    Some(anyhow::anyhow!(lines.join("\n")).context(problem))
}

/// Judges a pod that pulls from an external registry. Its image is never run. It is proven once the image is pulled or,
/// if `proof` names none, once the registry says that the image does not exist.
pub(super) fn judge_external(pod: &Value, external: &External) -> Verdict {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let wanted = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    let mut proven = 0;
    let mut open = format!(
        "its pod is {}",
        pod["status"]["phase"].as_str().unwrap_or("unknown")
    );
    for container in statuses.into_iter().flatten() {
        let waiting = &container["state"]["waiting"];
        let reason = waiting["reason"].as_str().unwrap_or_default();
        let message = waiting["message"].as_str().unwrap_or_default();
        // Both states come only after a pull.
        let pulled =
            shows(reason, Meaning::NotStarted) || container["state"]["terminated"].is_object();
        let absent = is_absence(message);
        if pulled || (absent && external.proof.is_none()) {
            proven += 1;
        } else if !reason.is_empty() && reason != "ContainerCreating" {
            open = format!("{reason}: {message}");
            if absent || is_final(message) {
                return Verdict::Refused(open);
            }
        }
    }
    if proven == wanted && wanted > 0 {
        Verdict::Proven
    } else {
        Verdict::Open(open)
    }
}

/// Returns whether a registry said that it has no such image.
fn is_absence(message: &str) -> bool {
    shows(message, Meaning::Absent)
}

/// Returns whether the failure does not go away by waiting.
fn is_final(message: &str) -> bool {
    find_in_pull(message).is_some_and(|symptom| symptom.waiting == Waiting::Useless)
}

/// Returns why a pod shows nothing about the registry; `None` if it is still there. kubelet ends a pod for reasons of the
/// node, such as a full disk, with a reason for the whole pod:
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/>.
pub(super) fn taken_away(pod: &Value) -> Option<String> {
    if pod["metadata"]["deletionTimestamp"].is_string() {
        return Some(POD_IS_AWAY.to_owned());
    }
    let status = &pod["status"];
    let reason = status["reason"]
        .as_str()
        .filter(|reason| !reason.is_empty());
    let reason = reason.filter(|_| status["phase"] == "Failed")?;
    let message = status["message"].as_str().unwrap_or_default();
    Some(format!("{POD_IS_AWAY} ({reason}: {message})"))
}

/// Judges a pod that pulls from a registry that kindreg runs. A container that ran to its end pulled its image, because
/// `imagePullPolicy: Always` allows nothing else. kubelet shows the end of a container a second before that of its pod.
pub(super) fn judge(pod: &Value) -> Verdict {
    let status = &pod["status"];
    let containers = status["containerStatuses"].as_array();
    let succeeded = |container: &&Value| container["state"]["terminated"]["exitCode"] == 0;
    let wanted = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    let done = containers.into_iter().flatten().filter(succeeded).count();
    if status["phase"] == "Succeeded" || (wanted > 0 && done == wanted) {
        return Verdict::Proven;
    }
    let mut open = format!(
        "its pod is {}",
        status["phase"].as_str().unwrap_or("unknown")
    );
    for container in containers.into_iter().flatten() {
        let waiting = &container["state"]["waiting"];
        if let Some(reason) = waiting["reason"]
            .as_str()
            .filter(|reason| *reason != "ContainerCreating")
        {
            let message = waiting["message"].as_str().unwrap_or_default();
            open = format!("{reason}: {message}");
            // The image exists, so another registry answered. containerd 2.3 reports this and not the TLS error before
            // it.
            let absent = reason.contains("ImagePull") && is_absence(message);
            if absent || is_final(message) {
                return Verdict::Refused(open);
            }
        }
        let ends = ["state", "lastState"].map(|state| &container[state]["terminated"]);
        let failed = |ended: &&Value| ended["exitCode"].as_i64().is_some_and(|code| code != 0);
        if let Some(ended) = ends.into_iter().find(failed) {
            let reason = ended["reason"].as_str().unwrap_or_default();
            let restarts = container["restartCount"].as_u64().unwrap_or_default();
            let is_running = container["state"]["running"].is_object();
            if !shows(reason, Meaning::NotStarted) || (restarts >= RESTARTS && !is_running) {
                return Verdict::Refused(format!("the pulled program failed: {ended}"));
            }
            open = format!(
                "{reason}: {}",
                ended["message"].as_str().unwrap_or_default()
            );
        }
    }
    if status["phase"] == "Failed" {
        Verdict::Refused(format!("its pod failed: {status}"))
    } else {
        Verdict::Open(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ExternalLogin;
    use serde_json::json;

    #[test]
    fn nodes_that_pulled_unverified_are_not_counted_among_those_that_can_t_pull() {
        let request = crate::spec::request::Request::default();
        let spec = request.resolve(&mut |_| panic!("no port is auto")).unwrap();
        let unverified = || Verdict::Unverified {
            why: "hosts.toml".to_owned(),
            by_hand: None,
        };
        let verdicts = |a: Verdict| {
            let all = [("a", a), ("b", unverified()), ("c", Verdict::Proven)];
            all.map(|(node, verdict)| (node.to_owned(), verdict))
                .into_iter()
                .collect::<Verdicts>()
        };
        let said = |a| {
            let refusal = refusal(&spec, &spec.registries[0], &verdicts(a), |_| String::new());
            refusal.unwrap().to_string()
        };
        let refused = said(Verdict::Refused("x509".to_owned()));
        assert!(
            refused.starts_with("1 of 3 nodes can't pull from "),
            "{refused}"
        );
        let pulled = said(unverified());
        assert!(
            pulled.starts_with("2 of 3 nodes may pull from "),
            "{pulled}"
        );
    }

    #[test]
    fn a_pod_is_judged_by_what_kubelet_says() {
        let waiting = |reason: &str, message: &str| {
            json!({"status": {"phase": "Pending", "containerStatuses": [
                {"state": {"waiting": {"reason": reason, "message": message}}}]}})
        };
        assert_eq!(
            judge(&json!({"status": {"phase": "Succeeded"}})),
            Verdict::Proven
        );
        assert!(matches!(judge(&json!({"status": {}})), Verdict::Open(_)));
        assert!(matches!(
            judge(&waiting("ErrImagePull", "tls: x509: certificate signed")),
            Verdict::Refused(_)
        ));
        assert!(matches!(
            judge(&waiting("ErrImagePull", "unable to read CA cert")),
            Verdict::Refused(_)
        ));
        assert!(matches!(
            judge(&waiting("ErrImagePull", "connection refused")),
            Verdict::Open(_)
        ));
        for (reason, is_final) in [("ErrImagePull", true), ("CreateContainerError", false)] {
            let verdict = judge(&waiting(
                reason,
                "failed to resolve a/b:c: a/b:c: not found",
            ));
            assert_eq!(matches!(verdict, Verdict::Refused(_)), is_final, "{reason}");
        }
        let token = "failed to fetch oauth token: unexpected status from GET request to https://r.test/nothing: 404 Not Found";
        assert!(matches!(
            judge(&waiting("ErrImagePull", token)),
            Verdict::Refused(_)
        ));
        let token =
            "failed to fetch oauth token: Post \"https://r.test/token\": connection refused";
        assert!(matches!(
            judge(&waiting("ErrImagePull", token)),
            Verdict::Open(_)
        ));
        let ended = json!({"status": {"phase": "Running", "containerStatuses": [
            {"state": {"terminated": {"exitCode": 3}}}]}});
        assert!(matches!(judge(&ended), Verdict::Refused(_)));
    }

    #[test]
    fn a_pod_is_proven_as_soon_as_all_its_containers_have_ended_well() {
        let pod = |states: [Value; 2]| {
            let states = states.map(|state| json!({ "state": state }));
            judge(&json!({"spec": {"containers": [{}, {}]},
                "status": {"phase": "Running", "containerStatuses": states}}))
        };
        let ended = || json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
        assert_eq!(pod([ended(), ended()]), Verdict::Proven);
        for other in [
            json!({"running": {}}),
            json!({"waiting": {"reason": "ContainerCreating"}}),
            json!({}),
        ] {
            assert!(matches!(pod([ended(), other]), Verdict::Open(_)));
        }
    }

    #[test]
    fn a_pod_that_its_node_ended_or_that_is_being_deleted_shows_nothing() {
        // As kubelet leaves a running pod that it evicts.
        let killed = json!({"state": {"terminated": {"exitCode": 137, "reason": "Error"}}});
        let evicted = json!({"status": {"phase": "Failed", "reason": "Evicted",
            "message": "The node was low on resource: ephemeral-storage.", "containerStatuses": [killed]}});
        let why = "its pod was removed (Evicted: The node was low on resource: ephemeral-storage.)";
        assert_eq!(taken_away(&evicted).as_deref(), Some(why));
        let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(taken_away(&deleted).as_deref(), Some("its pod was removed"));
        for there in [
            json!({"status": {"phase": "Failed", "containerStatuses": [killed]}}),
            json!({"status": {"phase": "Running", "reason": ""}}),
        ] {
            assert_eq!(taken_away(&there), None);
        }
    }

    #[test]
    fn a_program_that_the_node_could_not_start_is_tried_again_and_one_that_failed_is_not() {
        let pod = |restarts: u64, container: Value| {
            let mut container = container;
            container["restartCount"] = json!(restarts);
            judge(&json!({"status": {"phase": "Running", "containerStatuses": [container]}}))
        };
        let failed = |reason: &str| json!({"terminated": {"exitCode": 128, "reason": reason, "message": "unable to freeze"}});
        let backing_off =
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}});
        let running = json!({"running": {}});
        let open = Verdict::Open("StartError: unable to freeze".to_owned());
        let not_started = failed("StartError");
        assert_eq!(pod(0, json!({"state": not_started})), open);
        for now in [&backing_off, &running] {
            let container = json!({"state": now, "lastState": not_started});
            assert_eq!(pod(1, container), open);
        }
        assert_eq!(
            pod(2, json!({"state": running, "lastState": not_started})),
            open
        );
        for last in [
            json!({"state": not_started}),
            json!({"state": backing_off, "lastState": not_started}),
        ] {
            assert!(matches!(pod(2, last), Verdict::Refused(_)));
        }
        // It ran, and failed: once is enough, also where kubelet has started it again since.
        for ran in [
            json!({"state": failed("Error")}),
            json!({"state": running, "lastState": failed("Error")}),
        ] {
            assert!(matches!(pod(0, ran), Verdict::Refused(_)));
        }
    }

    #[test]
    fn somebody_else_s_image_counts_once_it_is_pulled_and_absence_only_where_none_is_named() {
        let pod = |states: &[Value]| {
            let statuses: Vec<Value> = states.iter().map(|state| json!({"state": state})).collect();
            json!({"spec": {"containers": states}, "status": {"phase": "Pending", "containerStatuses": statuses}})
        };
        let waiting = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
        let external = |proof| External {
            address: None,
            ca: None,
            login: ExternalLogin::Docker,
            proof,
        };
        let named = external("a:1".parse().ok());
        let ended = json!({"terminated": {"exitCode": 128, "reason": "StartError"}});
        let pulling = waiting("ContainerCreating", "");
        let absent = waiting("ErrImagePull", "r.test/a:1: not found");
        let judged = |states: &[Value]| judge_external(&pod(states), &named);
        assert_eq!(judged(std::slice::from_ref(&ended)), Verdict::Proven);
        assert!(matches!(judged(&[]), Verdict::Open(_)));
        assert!(matches!(
            judged(&[ended.clone(), pulling]),
            Verdict::Open(_)
        ));
        assert!(matches!(
            judged(&[ended, absent.clone()]),
            Verdict::Refused(_)
        ));
        let unnamed = external(None);
        let judged = |state: Value| judge_external(&pod(&[state]), &unnamed);
        assert_eq!(judged(absent), Verdict::Proven);
        let token = "failed to fetch oauth token: unexpected status: 404 Not Found: not found";
        assert!(!matches!(
            judged(waiting("ErrImagePull", token)),
            Verdict::Proven
        ));
    }
}
