//! The contract of the Docker port, held against the real engine; tests/hermetic holds the fake to the same.

use kindreg::internal::docker::address::resolve;
use kindreg::internal::docker::bollard::Bollard;

use crate::contract::{Ground, contract};
use crate::support::{Kubeconfig, Scene};

#[tokio::test]
#[ignore = "needs a Docker engine and kind: make e2e"]
async fn the_real_engine_keeps_the_contract() {
    let scene = Scene::new("e2e-contract", 5960, Kubeconfig::Absent);
    let variable = |name: &str| std::env::var(name).ok();
    let address = resolve(None, &variable, scene.home()).unwrap();
    let docker = Bollard::connect(&address).await.unwrap();
    let image = std::env::var("KINDREG_IMAGE").unwrap();
    contract(Ground {
        docker: &docker,
        image: &image,
        prefix: scene.cluster,
        host_folder: None,
    })
    .await;
    scene.is_as_before();
}
