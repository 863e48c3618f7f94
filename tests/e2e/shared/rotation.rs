//! A change of the password under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;

use serde_json::json;

use crate::auth::{IMAGE, push};
use crate::support::{Shared, docker, docker_lines, kubectl, kubectl_apply};

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_rotation_fails_no_pull() {
    let scene = Shared::cluster();
    push(&scene);
    kubectl(scene.cluster, &["create", "namespace", "loop"]);
    scene
        .call(&["secret", "--name", scene.cluster, "-n", "loop"])
        .run()
        .exits(0);
    let users = [scene.user()];
    let end = Arc::new(AtomicBool::new(false));
    let made = {
        let (end, local, cluster) = (Arc::clone(&end), scene.local_domain(), scene.cluster);
        let settings = format!("--config={}", scene.home().join(".docker").display());
        let image = format!("{}/{IMAGE}", scene.domain());
        spawn(move || {
            let (mut made, mut pulled) = (0, 0);
            while !end.load(Ordering::SeqCst) {
                for node in ["control-plane", "worker"] {
                    let pod = json!({
                        "apiVersion": "v1", "kind": "Pod",
                        "metadata": {"name": format!("loop-{made}"), "namespace": "default", "labels": {"e2e": "loop"}},
                        "spec": {"nodeName": format!("{cluster}-{node}"), "restartPolicy": "OnFailure", "hostNetwork": true,
                                 "tolerations": [{"operator": "Exists"}], "automountServiceAccountToken": false,
                                 "containers": [{"name": "app", "image": image, "imagePullPolicy": "Always"}]},
                    });
                    kubectl_apply(cluster, &pod.to_string());
                    made += 1;
                }
                docker(&[&settings, "pull", "-q", &format!("{local}/{IMAGE}")]);
                docker(&["image", "rm", &format!("{local}/{IMAGE}")]);
                pulled += 1;
            }
            (made, pulled)
        })
    };
    for user in ["kindreg-b", "kindreg-a"] {
        scene
            .call(&["login", "--rotate", "--name", scene.cluster])
            .run()
            .exits(0)
            .prints(user);
    }
    end.store(true, Ordering::SeqCst);
    let (made, pulled) = made.join().unwrap();
    kubectl(
        scene.cluster,
        &[
            "wait",
            "--for=jsonpath={.status.phase}=Succeeded",
            "pod",
            "-l",
            "e2e=loop",
            "--timeout=120s",
        ],
    );
    let failed = kubectl(
        scene.cluster,
        &[
            "get",
            "events",
            "--field-selector",
            "reason=Failed",
            "-o",
            "jsonpath={.items[*].message}",
        ],
    );
    assert!(!failed.contains("pull"), "{failed}");
    println!("   two rotations: {made} pulls by nodes and {pulled} by docker, none failed");
    assert_ne!(scene.user(), users[0]);
    // The secret went with it, and the old password is no good any more.
    let secret = kubectl(
        scene.cluster,
        &[
            "get",
            "secret",
            "kindreg",
            "-n",
            "loop",
            "-o",
            "jsonpath={.data.\\.dockerconfigjson}",
        ],
    );
    assert!(!secret.is_empty());
    scene
        .up(&["--workers", "2"])
        .run()
        .exits(0)
        .prints("Nothing to do");
    assert_eq!(
        docker_lines(&["ps", "-aq", "--filter", "name=-users-"]),
        Vec::<String>::new()
    );
}
