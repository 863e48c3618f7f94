//! The engine by itself, with steps that do nothing but tell: order, siblings, roll-back, Ctrl-C.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use async_trait::async_trait;
use kindreg::errors::Several;
use kindreg::events::{Event, StepEvent, StepId};
use kindreg::internal::engine::{self, Held, Lock, LockLost, OnFailure, Outcome};
use kindreg::internal::step::{Ctx, Plan, Skipped, Stage, State, Step};
use tokio_util::sync::CancellationToken;

use crate::world::{World, engine_up};

type Journal = Arc<Mutex<Vec<String>>>;

/// What a step does when it is applied.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Succeed,
    Fail,
    /// After the other lanes have begun.
    FailSoon,
    /// As a step does whose predecessor has failed.
    Skip,
    WaitForEver,
    WaitForEverAndUndoSlowly,
}

#[derive(Debug)]
struct Told {
    name: &'static str,
    act: Act,
    found: State,
    journal: Journal,
}

impl Told {
    fn tell(&self, what: &str) {
        self.journal
            .lock()
            .unwrap()
            .push(format!("{what} {}", self.name));
    }
}

#[async_trait]
impl Step for Told {
    fn id(&self) -> StepId {
        StepId::of("test", self.name)
    }
    fn title(&self) -> String {
        self.name.to_owned()
    }
    async fn check(&self, _: &Ctx) -> Result<State> {
        Ok(self.found.clone())
    }
    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        self.tell("apply");
        match self.act {
            Act::Succeed => Ok(()),
            Act::Fail => bail!("{} broke", self.name),
            Act::FailSoon => {
                tokio::task::yield_now().await;
                bail!("{} broke", self.name)
            }
            Act::Skip => Err(Skipped.into()),
            Act::WaitForEver | Act::WaitForEverAndUndoSlowly => {
                ctx.unless_stopped(tokio::time::sleep(Duration::from_secs(3600)))
                    .await
            }
        }
    }
    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        if self.act == Act::WaitForEverAndUndoSlowly {
            ctx.unless_stopped(tokio::task::yield_now()).await?;
        }
        self.tell("undo");
        Ok(())
    }
}

struct NoLock(Journal);
struct NoHeld(Journal, CancellationToken);

#[async_trait]
impl Lock for NoLock {
    async fn acquire(&self, _: &Ctx) -> Result<Box<dyn Held>> {
        self.0.lock().unwrap().push("lock".to_owned());
        Ok(Box::new(NoHeld(
            Arc::clone(&self.0),
            CancellationToken::new(),
        )))
    }
}

#[async_trait]
impl Held for NoHeld {
    fn lost(&self) -> CancellationToken {
        self.1.clone()
    }

    async fn release(self: Box<Self>) {
        self.0.lock().unwrap().push("unlock".to_owned());
    }
}

fn step(journal: &Journal, name: &'static str, act: Act, found: State) -> Box<dyn Step> {
    let journal = Arc::clone(journal);
    Box::new(Told {
        name,
        act,
        found,
        journal,
    })
}

fn plan(stages: Vec<Vec<Vec<Box<dyn Step>>>>) -> Plan {
    let images = Stage { lanes: Vec::new() };
    let stages = stages.into_iter().map(|lanes| Stage { lanes }).collect();
    Plan { images, stages }
}

async fn up(plan: &Plan, journal: &Journal, on_failure: OnFailure<'_>) -> Result<Outcome> {
    let ctx = World::new().ctx();
    engine_up(
        plan,
        &ctx,
        &NoLock(Arc::clone(journal)),
        on_failure,
        &|_| {},
    )
    .await
}

fn told(journal: &Journal) -> Vec<String> {
    journal.lock().unwrap().clone()
}

#[tokio::test]
async fn nothing_is_locked_or_applied_when_all_is_ready() {
    let journal = Journal::default();
    let plan = plan(vec![vec![vec![step(
        &journal,
        "a",
        Act::Fail,
        State::Ready,
    )]]]);
    assert_eq!(
        up(&plan, &journal, OnFailure::RollBack(None))
            .await
            .unwrap(),
        Outcome::Unchanged
    );
    assert_eq!(told(&journal), Vec::<String>::new());
}

#[tokio::test]
async fn a_failure_undoes_what_this_run_made_newest_first_the_half_made_included() {
    let journal = Journal::default();
    let drifted = State::Drifted("other".to_owned());
    let plan = plan(vec![
        vec![vec![step(&journal, "a", Act::Succeed, State::Missing)]],
        vec![vec![step(&journal, "was there", Act::Succeed, drifted)]],
        vec![vec![
            step(&journal, "b", Act::Succeed, State::Missing),
            step(&journal, "c", Act::Fail, State::Missing),
            step(&journal, "d", Act::Succeed, State::Missing),
        ]],
    ]);
    let error = up(&plan, &journal, OnFailure::RollBack(None))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "c broke");
    let expected = [
        "lock",
        "apply a",
        "apply was there",
        "apply b",
        "apply c",
        "undo c",
        "undo b",
        "undo a",
        "unlock",
    ];
    assert_eq!(told(&journal), expected);
}

#[tokio::test]
async fn a_wreck_that_is_to_be_kept_is_kept() {
    let journal = Journal::default();
    let plan = plan(vec![vec![vec![step(
        &journal,
        "a",
        Act::Fail,
        State::Missing,
    )]]]);
    up(&plan, &journal, OnFailure::Keep).await.unwrap_err();
    assert_eq!(told(&journal), ["lock", "apply a", "unlock"]);
}

#[tokio::test]
async fn a_failing_lane_ends_its_siblings_and_its_own_error_is_the_one_shown() {
    let journal = Journal::default();
    let plan = plan(vec![vec![
        vec![step(&journal, "waits", Act::WaitForEver, State::Missing)],
        vec![step(&journal, "fails", Act::Fail, State::Missing)],
    ]]);
    let run = up(&plan, &journal, OnFailure::RollBack(None));
    let error = tokio::time::timeout(Duration::from_secs(30), run)
        .await
        .expect("it ends")
        .unwrap_err();
    assert_eq!(error.to_string(), "fails broke");
    assert!(told(&journal).contains(&"undo waits".to_owned()));
}

#[tokio::test]
async fn ctrl_c_ends_a_wait_and_rolls_back() {
    let world = World::new();
    let (journal, ctx) = (Journal::default(), world.ctx());
    let plan = plan(vec![vec![vec![step(
        &journal,
        "a",
        Act::WaitForEver,
        State::Missing,
    )]]]);
    let (stop, lock) = (ctx.stop.clone(), NoLock(Arc::clone(&journal)));
    let on = |event| {
        if matches!(
            event,
            Event::Step {
                what: StepEvent::Started { .. },
                ..
            }
        ) {
            stop.cancel();
        }
    };
    engine_up(&plan, &ctx, &lock, OnFailure::RollBack(None), &on)
        .await
        .unwrap_err();
    assert_eq!(told(&journal), ["lock", "apply a", "undo a", "unlock"]);
}

/// A lock that is lost as soon as it is held.
struct LostLock(Journal);

#[async_trait]
impl Lock for LostLock {
    async fn acquire(&self, _: &Ctx) -> Result<Box<dyn Held>> {
        self.0.lock().unwrap().push("lock".to_owned());
        let lost = CancellationToken::new();
        lost.cancel();
        Ok(Box::new(NoHeld(Arc::clone(&self.0), lost)))
    }
}

#[tokio::test]
async fn a_run_that_loses_its_lock_stops_and_undoes_nothing() {
    let (world, journal) = (World::new(), Journal::default());
    let ctx = world.ctx();
    let waits = step(&journal, "a", Act::WaitForEver, State::Missing);
    let next = step(&journal, "b", Act::Succeed, State::Missing);
    let plan = plan(vec![vec![vec![waits, next]]]);
    let lock = LostLock(Arc::clone(&journal));
    let error = engine_up(&plan, &ctx, &lock, OnFailure::RollBack(None), &|_| {})
        .await
        .unwrap_err();
    assert!(error.is::<LockLost>(), "{error:#}");
    assert_eq!(told(&journal), ["lock", "apply a", "unlock"]);
    assert!(!ctx.stop.is_cancelled(), "the caller's token is its own");
}

#[tokio::test]
async fn all_other_work_that_loses_its_lock_stops_too() {
    let (world, journal) = (World::new(), Journal::default());
    let ctx = world.ctx();
    let waits = step(&journal, "a", Act::WaitForEver, State::Missing);
    let plan = plan(vec![vec![vec![waits]]]);
    let lock = LostLock(Arc::clone(&journal));
    let survey = async |run: &Ctx| Ok(engine::survey(&plan, run, &|_| {}).await.err());
    let error = engine::locked(&lock, &ctx, survey).await.unwrap_err();
    assert!(error.is::<LockLost>(), "{error:#}");
    assert_eq!(told(&journal), ["lock", "apply a", "unlock"]);
    let slow = Act::WaitForEverAndUndoSlowly;
    let there = step(&journal, "b", slow, State::Ready);
    let plan = self::plan(vec![vec![vec![there]]]);
    let error = engine::down(&plan, &ctx, &lock, &|_| {}).await.unwrap_err();
    assert!(error.is::<LockLost>(), "{error:#}");
    assert!(!ctx.stop.is_cancelled(), "the caller's token is its own");
}

#[tokio::test]
async fn a_failure_never_cancels_the_caller_s_token() {
    let world = World::new();
    let (journal, ctx) = (Journal::default(), world.ctx());
    let plan = plan(vec![vec![
        vec![step(&journal, "waits", Act::WaitForEver, State::Missing)],
        vec![step(&journal, "fails", Act::Fail, State::Missing)],
    ]]);
    let lock = NoLock(Arc::clone(&journal));
    let on_failure = OnFailure::RollBack(None);
    engine_up(&plan, &ctx, &lock, on_failure, &|_| {})
        .await
        .unwrap_err();
    assert!(!ctx.stop.is_cancelled());
}

#[tokio::test]
async fn every_failure_of_a_stage_is_reported_and_what_only_was_stopped_is_not() {
    let journal = Journal::default();
    let plan = plan(vec![vec![
        vec![step(&journal, "one", Act::FailSoon, State::Missing)],
        vec![step(&journal, "waits", Act::WaitForEver, State::Missing)],
        vec![step(&journal, "two", Act::FailSoon, State::Missing)],
    ]]);
    let error = up(&plan, &journal, OnFailure::RollBack(None)).await;
    let error = error.unwrap_err();
    let several = error.downcast_ref::<Several>().expect("two failed");
    let texts: Vec<String> = several.failures().iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["one broke", "two broke"]);
    assert_eq!(error.to_string(), "one broke; also: two broke");
}

#[tokio::test]
async fn undoing_waits_as_long_as_it_takes_although_the_run_was_stopped() {
    let world = World::new();
    let (journal, ctx) = (Journal::default(), world.ctx());
    let plan = plan(vec![vec![vec![step(
        &journal,
        "a",
        Act::WaitForEverAndUndoSlowly,
        State::Missing,
    )]]]);
    let stop = ctx.stop.clone();
    let on = |event| {
        if matches!(
            event,
            Event::Step {
                what: StepEvent::Started { .. },
                ..
            }
        ) {
            stop.cancel();
        }
    };
    let lock = NoLock(Arc::clone(&journal));
    let on_failure = OnFailure::RollBack(None);
    engine_up(&plan, &ctx, &lock, on_failure, &on)
        .await
        .unwrap_err();
    assert_eq!(told(&journal), ["lock", "apply a", "undo a", "unlock"]);
}

#[tokio::test]
async fn a_change_that_fails_brings_back_what_was_there_before_the_lock_is_given_back() {
    let journal = Journal::default();
    let drifted = || State::Drifted("other".to_owned());
    let wanted = plan(vec![
        vec![vec![step(&journal, "new", Act::Succeed, drifted())]],
        vec![vec![step(&journal, "fails", Act::Fail, State::Missing)]],
    ]);
    let before = plan(vec![vec![vec![step(
        &journal,
        "old",
        Act::Succeed,
        drifted(),
    )]]]);
    up(&wanted, &journal, OnFailure::RollBack(Some(&before)))
        .await
        .unwrap_err();
    let expected = [
        "lock",
        "apply new",
        "apply fails",
        "undo fails",
        "apply old",
        "unlock",
    ];
    assert_eq!(told(&journal), expected);
}

#[tokio::test]
async fn a_survey_goes_on_after_a_failure_and_undoes_what_it_made() {
    let journal = Journal::default();
    let plan = plan(vec![
        vec![
            vec![
                step(&journal, "a", Act::Fail, State::Missing),
                step(&journal, "after a", Act::Succeed, State::Missing),
            ],
            vec![step(&journal, "b", Act::Succeed, State::Missing)],
        ],
        vec![vec![step(&journal, "skips", Act::Skip, State::Missing)]],
        vec![vec![step(&journal, "c", Act::Fail, State::Missing)]],
    ]);
    let ctx = World::new().ctx();
    let error = engine::survey(&plan, &ctx, &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "a broke; also: c broke");
    let expected = [
        "apply a",
        "apply b",
        "apply skips",
        "apply c",
        "undo c",
        "undo skips",
        "undo b",
        "undo a",
    ];
    assert_eq!(told(&journal), expected);
}
