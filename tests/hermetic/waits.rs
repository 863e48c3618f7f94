//! Nothing waits for ever: an engine that falls silent in the middle of a run, and a kind that hangs, end with the time
//! limit and with the first Ctrl-C, and what the run made is rolled back.

use std::time::Duration;

use async_trait::async_trait;
use kindreg::internal::docker::fake::Fault;
use kindreg::internal::engine::{self, Held, Lock, LockLost};
use kindreg::internal::plan::{self, Negative};
use kindreg::internal::step::{Ctx, is_stop};
use kindreg::spec::Workers;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::external;
use crate::scripted::{Reply, Scripted, empty, with_cluster};
use crate::world::{World, owned};

/// Far more than a run takes; what reaches it waits for ever.
const FOR_EVER: Duration = Duration::from_secs(60);

fn one_node() -> World {
    let mut world = external::world();
    owned(&mut world.spec).workers = Workers::new(0).unwrap();
    world
}

/// A context whose calls end soon.
fn hasty(world: &World, limit: Duration) -> Ctx {
    let mut ctx = world.ctx();
    ctx.grace = Duration::from_millis(10);
    ctx.patient_for(limit)
}

/// The numbers of every seventh call of `up` to the engine, and of all those of kind that may hang. The Kubernetes API
/// has limits of its own.
async fn calls() -> Vec<usize> {
    let world = one_node();
    world.up().await.unwrap();
    let calls = world.docker.call_log();
    let engine = |call: &String| !call.starts_with("kube ") && !call.starts_with("kind ");
    let numbers = calls.iter().zip(1..).filter(|(call, _)| engine(call));
    numbers.map(|(_, number)| number).step_by(7).collect()
}

fn hangs(world: &World, number: usize) -> String {
    format!("hangs for ever: {}", world.docker.call_log()[number - 1])
}

async fn rolled_back(world: &World, case: usize) {
    let call = world.docker.call_log()[case - 1].clone();
    assert_eq!(
        world.left().await,
        Vec::<String>::new(),
        "call {case} ({call})"
    );
}

#[tokio::test]
async fn an_engine_that_falls_silent_ends_up_at_its_time_limit_and_is_rolled_back() {
    let mut ended = 0;
    for number in calls().await {
        let world = one_node();
        world.docker.fail_call(number, Fault::Hang);
        let ctx = hasty(&world, Duration::from_millis(200));
        let run = world.up_with(&ctx, &|_| {});
        let result = tokio::time::timeout(FOR_EVER, run);
        // An image may take longer than any wait: the adapter to the real engine ends a load that says nothing.
        let loads = async {
            while world.docker.calls() < number {
                tokio::task::yield_now().await;
            }
            if world.docker.call_log()[number - 1] != "load" {
                std::future::pending::<()>().await;
            }
        };
        let result = tokio::select! { result = result => result, () = loads => continue };
        // A few calls do not matter to the run.
        if let Err(error) = result.unwrap_or_else(|_| panic!("{}", hangs(&world, number))) {
            ended += 1;
            let text = format!("{error:#}");
            assert!(
                text.contains("did not answer within"),
                "call {number}: {text}"
            );
            rolled_back(&world, number).await;
        }
    }
    assert!(ended > 10, "{ended}");
}

#[tokio::test]
async fn the_first_interrupt_ends_a_call_that_hangs_and_the_run_is_rolled_back() {
    let mut stopped = 0;
    for number in calls().await {
        let world = one_node();
        world.docker.fail_call(number, Fault::Hang);
        let ctx = hasty(&world, FOR_EVER * 2);
        let stop = async {
            while world.docker.calls() < number {
                tokio::task::yield_now().await;
            }
            ctx.stop.cancel();
            std::future::pending::<()>().await;
        };
        let run = tokio::time::timeout(FOR_EVER, world.up_with(&ctx, &|_| {}));
        let result = tokio::select! { result = run => result, () = stop => continue };
        if let Err(error) = result.unwrap_or_else(|_| panic!("{}", hangs(&world, number))) {
            stopped += 1;
            assert!(is_stop(&error), "call {number}: {error:#}");
            rolled_back(&world, number).await;
        }
    }
    assert!(stopped > 10, "{stopped}");
}

#[tokio::test]
async fn a_kind_that_hangs_at_delete_ends_down_at_its_time_limit() {
    let world = one_node();
    world.up().await.unwrap();
    // In the middle of `down`, wherever that is: the first call of `kind delete`.
    let other = one_node();
    other.up().await.unwrap();
    let before = other.docker.calls();
    other.down().await.unwrap();
    let calls = other.docker.call_log();
    let delete = calls[before..]
        .iter()
        .position(|call| call.starts_with("kind delete"));
    world
        .docker
        .fail_call(before + delete.unwrap() + 1, Fault::Hang);
    let ctx = hasty(&world, Duration::from_millis(200));
    let down = tokio::time::timeout(FOR_EVER, world.down_with(&ctx)).await;
    let error = down.expect("kind hangs for ever").unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("waiting for `kind delete cluster --name c`"),
        "{text}"
    );
    assert!(!world.left().await.is_empty(), "the nodes can't be gone");
    world.down().await.unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
}

/// A lock that is lost when the test says so.
struct Losing(CancellationToken);

#[async_trait]
impl Lock for Losing {
    async fn acquire(&self, _: &Ctx) -> anyhow::Result<Box<dyn Held>> {
        Ok(Box::new(Losing(self.0.clone())))
    }
}

#[async_trait]
impl Held for Losing {
    fn lost(&self) -> CancellationToken {
        self.0.clone()
    }

    async fn release(self: Box<Self>) {}
}

/// Runs the plan of `verify` in a world whose lock is `lost`.
async fn survey(world: &World, lost: &CancellationToken) -> anyhow::Result<Option<anyhow::Error>> {
    let mut ctx = world.ctx();
    ctx.grace = Duration::from_millis(10);
    let plan = plan::verify(&world.spec, Negative::LeftOut);
    let survey = async |run: &Ctx| Ok(engine::survey(&plan, run, &|_| {}).await.err());
    engine::locked(&Losing(lost.clone()), &ctx, survey).await
}

#[tokio::test]
async fn a_verify_that_has_lost_its_lock_removes_nothing_that_the_next_one_may_use() {
    let alone = || {
        // One registry, as another lane would go on until it hears of the lost lock.
        let mut world = World::new();
        owned(&mut world.spec).workers = Workers::new(0).unwrap();
        world
    };
    let twin = alone();
    twin.up().await.unwrap();
    let before = twin.docker.calls();
    assert!(
        survey(&twin, &CancellationToken::new())
            .await
            .unwrap()
            .is_none()
    );
    let log = twin.docker.call_log();
    let looks = (1..).zip(&log).skip(before);
    let looks = looks.filter(|(_, call)| call.starts_with("kube get ") && call.contains("pods?"));
    let looks: Vec<usize> = looks.map(|(number, _)| number).collect();
    assert!(!looks.is_empty(), "{log:?}");
    let removes = |call: &&String| {
        call.starts_with("kube delete ")
            || call.contains("kindreg-delete-manifest")
            || call.starts_with("remove image")
    };
    assert!(log[looks[0]..].iter().any(|call| removes(&call)), "{log:?}");
    for number in looks {
        let (world, lost) = (alone(), CancellationToken::new());
        world.up().await.unwrap();
        world.docker.fail_call(number, Fault::Hang);
        let when_it_looks = async {
            while world.docker.calls() < number {
                tokio::task::yield_now().await;
            }
            lost.cancel();
            std::future::pending::<()>().await;
        };
        let run = tokio::time::timeout(FOR_EVER, survey(&world, &lost));
        let ended = tokio::select! { ended = run => ended, () = when_it_looks => continue };
        let error = ended.unwrap_or_else(|_| panic!("{}", hangs(&world, number)));
        let error = error.unwrap_err();
        assert!(error.is::<LockLost>(), "{error:#}");
        let after = &world.docker.call_log()[number..];
        let gone: Vec<&String> = after.iter().filter(removes).collect();
        assert_eq!(gone, [""; 0], "call {number}");
    }
}

#[test]
fn an_engine_that_stops_in_the_middle_of_a_stream_ends_the_program_at_its_time_limit() {
    let engine = with_cluster(|_| Reply::Stuck(vec![0; 100]));
    let (output, _) = engine.run(&["status", "--name", "c", "--timeout", "1"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("the engine did not answer within 1 s"),
        "{said}"
    );
}

#[test]
fn the_first_interrupt_ends_the_program_while_the_engine_is_silent() {
    for command in ["status", "list", "down"] {
        let engine = with_cluster(|_| Reply::Silence);
        let child = engine.start(&[command, "--name", "c"]);
        engine.wait_for("/archive");
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{command}: {said}");
    }
}

#[test]
fn a_pull_that_trickles_ends_with_the_time_limit() {
    let engine = Scripted::new(|method, path| {
        if method == "POST" && path.starts_with("/images/create") {
            return Reply::Trickle(|number| {
                let layer = json!({"current": number, "total": 1_000_000_000});
                json!({"status": "Downloading", "id": "layer", "progressDetail": layer}).to_string()
            });
        }
        empty(method, path)
    });
    engine.program("kind", "echo kind v0.33.0 go1.26");
    let (output, _) = engine.run(&["up", "--timeout", "1"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("less than 1 MiB arrived within 1 s"),
        "{said}"
    );
}
