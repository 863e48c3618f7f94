//! Tests of [`NodeKube`] with kubectl in a fake node, which publishes no port.

use std::sync::Mutex as StdMutex;

use serde_json::json;

use super::*;
use crate::docker::ExecOutput;
use crate::docker::fake::{FakeDocker, plain};

async fn node() -> (Arc<FakeDocker>, NodeKube) {
    let docker = Arc::new(FakeDocker::new());
    docker.add_image("node");
    let spec = plain("node", "node");
    docker.create(&spec).await.unwrap();
    let kube = NodeKube::new(Arc::clone(&docker) as Arc<dyn Docker>, "node".into());
    (docker, kube)
}

/// Returns what kubectl returns: the text on success, or a failure with the text as its error.
fn kubectl(
    answer: impl Fn(&str, &str, Value) -> std::result::Result<String, String> + Send + Sync + 'static,
    docker: &FakeDocker,
) {
    docker.on_exec("kubectl", move |_, arguments, input| {
        let [_, _, verb, raw, path, ..] = arguments else {
            panic!("{arguments:?}")
        };
        assert_eq!(raw, "--raw");
        let (code, stdout, stderr) = match answer(
            verb,
            path,
            serde_json::from_slice(input).unwrap_or_default(),
        ) {
            Ok(stdout) => (0, stdout, String::new()),
            Err(stderr) => (1, String::new(), stderr),
        };
        ExecOutput {
            code,
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
    });
}

async fn why_unreachable(kube: &NodeKube) -> String {
    match kube.get("/version").await {
        Err(KubeError::Unreachable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_cluster_that_is_not_up_yet_is_unreachable_and_the_error_says_why() {
    let (docker, kube) = node().await;
    let nobody = NodeKube::new(Arc::clone(&docker) as Arc<dyn Docker>, "nobody".into());
    assert_eq!(
        why_unreachable(&nobody).await,
        "container nobody does not exist"
    );
    assert_eq!(
        why_unreachable(&kube).await,
        "container node is not running"
    );
    docker.start("node").await.unwrap();
    assert!(
        why_unreachable(&kube)
            .await
            .starts_with("node is not set up yet")
    );
    docker.files("node").write(ADMIN_CONF, 0o600, "").unwrap();
    kubectl(
        |_, _, _| Err("The connection to the server node:6443 was refused".into()),
        &docker,
    );
    assert!(why_unreachable(&kube).await.ends_with("was refused"));
    kubectl(
        |_, _, _| Err("Error from server (Forbidden): forbidden".into()),
        &docker,
    );
    assert_eq!(why_unreachable(&kube).await, "Forbidden: forbidden");
}

#[tokio::test]
async fn put_replaces_an_object_and_get_returns_none_for_an_absent_one() {
    let (docker, kube) = node().await;
    docker.start("node").await.unwrap();
    docker.files("node").write(ADMIN_CONF, 0o600, "").unwrap();
    let asked = Arc::new(StdMutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let answer = move |verb: &str, path: &str, object: Value| {
        let version = &object["metadata"]["resourceVersion"];
        log.lock().unwrap().push(format!("{verb} {path} {version}"));
        match (verb, path) {
            ("create", _) => Err("Error from server (AlreadyExists): x".into()),
            ("get", "/maps/a") => Ok(json!({ "metadata": { "resourceVersion": "7" } }).to_string()),
            ("replace", _) => Ok("{}".into()),
            _ => Err("Error from server (NotFound): x".into()),
        }
    };
    kubectl(answer, &docker);
    kube.put("/maps", &json!({ "metadata": { "name": "a" } }))
        .await
        .unwrap();
    assert_eq!(kube.get("/maps/b").await.unwrap(), None);
    kube.delete("/maps/b").await.unwrap();
    let asked = asked.lock().unwrap().clone();
    let put = [
        "create /maps null",
        "get /maps/a null",
        "replace /maps/a \"7\"",
    ];
    assert_eq!(asked[..3], put);
    assert_eq!(
        asked[3..],
        [
            "get /maps/b null",
            "delete /maps/b?gracePeriodSeconds=0 null"
        ]
    );
}

#[tokio::test]
async fn a_refusal_carries_reason_and_message() {
    let (docker, kube) = node().await;
    docker.start("node").await.unwrap();
    docker.files("node").write(ADMIN_CONF, 0o600, "").unwrap();
    kubectl(
        |_, _, _| Err("Error from server (Forbidden): no service account".into()),
        &docker,
    );
    let refused = kube
        .put("/pods", &json!({ "metadata": { "name": "a" } }))
        .await
        .unwrap_err();
    let KubeError::Refused {
        method,
        path,
        message,
    } = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (method, path.as_str(), message.as_str()),
        ("POST", "/pods", "Forbidden: no service account")
    );
}

#[tokio::test]
async fn an_api_server_that_still_refuses_its_administrator_is_unreachable() {
    let (docker, kube) = node().await;
    docker.start("node").await.unwrap();
    docker.files("node").write(ADMIN_CONF, 0o600, "").unwrap();
    let said =
        "configmaps is forbidden: User \"kubernetes-admin\" cannot create resource \"configmaps\"";
    kubectl(
        move |_, _, _| Err(format!("Error from server (Forbidden): {said}")),
        &docker,
    );
    let map = json!({ "metadata": { "name": "a" } });
    let refused = kube.put("/configmaps", &map).await.unwrap_err();
    assert!(
        matches!(&refused, KubeError::Unreachable(why) if why.contains(said)),
        "{refused}"
    );
}
