//! Faults that can't be made on purpose: each call of a whole `up` fails once, by an error and by a lost answer.

use kindreg::internal::docker::fake::Fault;
use kindreg::internal::engine::Outcome;
use kindreg::spec::Workers;

use crate::external;
use crate::world::{World, owned};

/// A registry of ours and one of somebody else's; two nodes, as each call of each is a run of its own.
fn two_nodes() -> World {
    let mut world = external::world();
    owned(&mut world.spec).workers = Workers::new(1).unwrap();
    world
}

/// Caches, and two nodes.
fn mirrors() -> World {
    let mut world = World::with_mirrors();
    owned(&mut world.spec).workers = Workers::new(1).unwrap();
    world
}

/// The calls that a run of `up` makes.
async fn calls_of_up(new: fn() -> World) -> Vec<String> {
    let world = new();
    world.up().await.unwrap();
    world.docker.call_log()
}

/// Makes each of the calls fail, by its number, in a world of its own.
async fn each_may_fail_once(
    new: fn() -> World,
    calls: impl IntoIterator<Item = usize>,
    fault: fn(usize) -> Fault,
) {
    let mut count = 0;
    for number in calls {
        count += 1;
        let world = new();
        let host = world.docker.host().all("/");
        world.docker.fail_call(number, fault(number));
        let first = world.up().await;
        let what = world
            .docker
            .call_log()
            .get(number - 1)
            .cloned()
            .unwrap_or_default();
        let case = format!("call {number} ({what})");
        match &first {
            Ok(outcome) => assert_eq!(*outcome, Outcome::Changed, "{case}"),
            Err(error) => assert!(!format!("{error:#}").is_empty(), "{case}: silent"),
        }
        world
            .up()
            .await
            .unwrap_or_else(|error| panic!("{case}: the next up: {error:#}"));
        let third = world.up().await;
        assert_eq!(third.unwrap(), Outcome::Unchanged, "{case}: a third up");
        world
            .down()
            .await
            .unwrap_or_else(|error| panic!("{case}: down: {error:#}"));
        assert_eq!(
            world.left().await,
            Vec::<String>::new(),
            "{case}: left behind"
        );
        assert_eq!(
            world.docker.host().all("/"),
            host,
            "{case}: the engine's host"
        );
    }
    assert!(count > 40, "an `up` takes more calls than {count}");
}

/// The calls that change nothing. A lost answer to one of them is like an error.
const READS: [&str; 14] = [
    "info",
    "image ",
    "labels ",
    "container ",
    "containers ",
    "published ",
    "wait ",
    "logs ",
    "download ",
    "stat ",
    "network ",
    "networks ",
    "volume ",
    "volumes ",
];

/// The numbers of the calls that this fault can hit in a way of its own.
fn hit_by(fault: Fault, calls: &[String]) -> Vec<usize> {
    let reads = |call: &str| READS.iter().any(|read| call.starts_with(read));
    let calls = (1..).zip(calls);
    let hit = calls.filter(|(_, call)| match fault {
        Fault::Error | Fault::Hang => true,
        Fault::Dropped => !reads(call),
    });
    hit.map(|(number, _)| number).collect()
}

#[tokio::test]
async fn every_call_of_up_may_fail_once_with_an_error() {
    let calls = hit_by(Fault::Error, &calls_of_up(two_nodes).await);
    each_may_fail_once(two_nodes, calls, |_| Fault::Error).await;
}

#[tokio::test]
async fn the_answer_to_every_write_of_up_may_get_lost_once() {
    let calls = hit_by(Fault::Dropped, &calls_of_up(two_nodes).await);
    each_may_fail_once(two_nodes, calls, |_| Fault::Dropped).await;
}

/// Only the calls that an `up` without mirrors does not make, in one way or the other by turns.
#[tokio::test]
async fn every_call_of_up_with_mirrors_may_fail_once() {
    let tested = calls_of_up(two_nodes).await;
    let calls = calls_of_up(mirrors).await.into_iter().enumerate();
    let new = calls.filter(|(_, call)| !tested.contains(call));
    let numbers: Vec<usize> = new.map(|(index, _)| index + 1).collect();
    each_may_fail_once(mirrors, numbers, |number| match number % 2 {
        0 => Fault::Error,
        _ => Fault::Dropped,
    })
    .await;
}

async fn every_call_of_down_may_fail_once(fault: Fault) {
    let world = two_nodes();
    world.up().await.unwrap();
    let before = world.docker.calls();
    world.down().await.unwrap();
    let calls = hit_by(fault, &world.docker.call_log()[before..]);
    assert!(calls.len() > 20, "a `down` takes more calls: {calls:?}");
    for number in calls {
        let world = two_nodes();
        let host = world.docker.host().all("/");
        world.up().await.unwrap();
        world.docker.fail_call(world.docker.calls() + number, fault);
        let _ = world.down().await;
        world
            .down()
            .await
            .unwrap_or_else(|error| panic!("call {number}: the next down: {error:#}"));
        assert_eq!(
            world.left().await,
            Vec::<String>::new(),
            "call {number}: left behind"
        );
        assert_eq!(
            world.docker.host().all("/"),
            host,
            "call {number}: the engine's host"
        );
    }
}

#[tokio::test]
async fn every_call_of_down_may_fail_once_with_an_error() {
    every_call_of_down_may_fail_once(Fault::Error).await;
}

#[tokio::test]
async fn the_answer_to_every_write_of_down_may_get_lost_once() {
    every_call_of_down_may_fail_once(Fault::Dropped).await;
}
