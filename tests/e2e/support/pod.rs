//! A pod that pulls an image on one node.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::scene::Scene;
use super::world::{kubectl, kubectl_apply};

/// A pull that is refused is told of within moments.
const PATIENCE: Duration = Duration::from_secs(90);

/// A pod that pulls and ends.
pub(crate) struct Pod<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: String,
    pub(crate) account: &'a str,
    pub(crate) node: &'a str,
    pub(crate) image: String,
}

impl Pod<'_> {
    fn make(&self, scene: &Scene) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": {"e2e": "auth"}},
            "spec": {"nodeName": format!("{}-{}", scene.cluster, self.node), "serviceAccountName": self.account,
                     "restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 0, "hostNetwork": true,
                     "tolerations": [{"operator": "Exists"}], "automountServiceAccountToken": false,
                     "containers": [{"name": "app", "image": self.image, "imagePullPolicy": "Always"}]},
        });
        kubectl_apply(scene.cluster, &pod.to_string());
    }

    fn status(&self, scene: &Scene) -> Value {
        let said = kubectl(
            scene.cluster,
            &["get", "pod", "-n", self.namespace, &self.name, "-o", "json"],
        );
        serde_json::from_str::<Value>(&said).unwrap()["status"].take()
    }

    /// It pulls and runs to its end.
    #[track_caller]
    pub(crate) fn runs(&self, scene: &Scene) {
        Self::all_run(scene, std::slice::from_ref(self));
    }

    /// They pull side by side and run to their ends.
    #[track_caller]
    pub(crate) fn all_run(scene: &Scene, pods: &[Self]) {
        for pod in pods {
            pod.make(scene);
        }
        let start = Instant::now();
        for pod in pods {
            while pod.status(scene)["phase"] != "Succeeded" {
                assert!(
                    start.elapsed() < PATIENCE,
                    "{}: {}",
                    pod.name,
                    pod.status(scene)
                );
                sleep(Duration::from_millis(300));
            }
        }
    }

    /// It can't pull, for a reason that its events give: these.
    #[track_caller]
    pub(crate) fn is_refused(&self, scene: &Scene, why: &str) -> String {
        self.make(scene);
        let field = format!("involvedObject.name={},reason=Failed", self.name);
        let start = Instant::now();
        let said = loop {
            let said = kubectl(
                scene.cluster,
                &[
                    "get",
                    "events",
                    "-n",
                    self.namespace,
                    "--field-selector",
                    &field,
                    "-o",
                    "json",
                ],
            );
            if said.contains(why) {
                break said;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{}: no {why:?} in {said}",
                self.name
            );
            sleep(Duration::from_millis(300));
        };
        kubectl(
            scene.cluster,
            &["delete", "pod", "-n", self.namespace, &self.name, "--force"],
        );
        said
    }
}
