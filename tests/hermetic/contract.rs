//! The fake engine keeps the contract that `tests/e2e` holds the real one to.

use kindreg::internal::docker::fake::FakeDocker;

#[path = "../support/contract.rs"]
mod shared;

#[tokio::test]
async fn the_fake_engine_keeps_the_contract() {
    let docker = FakeDocker::new();
    docker.add_image("kindest/node:v1.34.4");
    shared::contract(shared::Ground {
        docker: &docker,
        image: "kindest/node:v1.34.4",
        prefix: "contract",
        host_folder: Some("/etc"),
    })
    .await;
}
