//! Runs a plan: preview, up, down, survey. The only code that knows order, concurrency, dry runs, roll-back and
//! cancellation.
//!
//! It prints nothing: it emits [`Event`]s, and `ui` draws them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use async_trait::async_trait;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::problem::combine;
use crate::step::{Ctx, Lane, Leaves, Plan, Skipped, Stage, State, Step, StepId, Stopped};

/// What happens while a plan runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something is waited for.
    Note(String),
    /// The user should know something, though nothing failed.
    Warning(String),
    /// Something happens to a step.
    Step {
        /// The step's identity.
        id: StepId,
        /// The step's title.
        title: String,
        /// What happens.
        what: StepEvent,
    },
}

/// What happens to a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEvent {
    /// It was begun.
    Started {
        /// What it found different, where it repairs.
        drift: Option<String>,
    },
    /// It is done.
    Done {
        /// Time that it took.
        took: Duration,
    },
    /// It failed; roll-back follows unless what was made is to be kept.
    Failed {
        /// The chain of causes.
        error: String,
    },
    /// Its undoing was begun.
    Undoing,
    /// It was undone.
    Undone {
        /// Time that it took.
        took: Duration,
    },
    /// It could not be undone.
    UndoFailed {
        /// The chain of causes.
        error: String,
    },
}

impl Event {
    fn of(step: &dyn Step, what: StepEvent) -> Self {
        Self::Step {
            id: step.id(),
            title: step.title(),
            what,
        }
    }
}

/// Takes events, from several lanes at once.
pub type Events<'a> = &'a (dyn Fn(Event) + Send + Sync);

/// What a run came to, where it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do, and nothing was written.
    Unchanged,
    /// Steps were applied or undone.
    Changed,
}

/// What happens to a run's own work when it fails.
#[derive(Clone, Copy)]
pub enum OnFailure<'a> {
    /// It is undone, newest first; then this plan is brought about, if there is one: what was there before.
    RollBack(Option<&'a Plan>),
    /// It stays, to be looked at.
    Keep,
}

impl std::fmt::Debug for OnFailure<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RollBack(_) => "RollBack",
            Self::Keep => "Keep",
        })
    }
}

/// The mutex of one cluster, across processes and machines that use the same engine.
#[async_trait]
pub trait Lock: Send + Sync {
    /// Waits for it, saying so through `waiting`; held until the value is dropped or released.
    async fn acquire(&self, ctx: &Ctx) -> Result<Box<dyn Held>>;
}

/// No lock: its caller holds one already.
#[derive(Debug, Clone, Copy)]
pub struct AlreadyHeld;

#[async_trait]
impl Lock for AlreadyHeld {
    async fn acquire(&self, _: &Ctx) -> Result<Box<dyn Held>> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl Held for AlreadyHeld {
    async fn release(self: Box<Self>) {}
}

/// A lock that is held.
#[async_trait]
pub trait Held: Send + Sync {
    /// Gives it back, and waits until others can have it.
    async fn release(self: Box<Self>);
}

/// Checks every step at the same time; changes nothing.
///
/// # Errors
/// The first step, in the plan's order, that could not be checked or found what is not ours.
pub async fn preview<'a>(plan: &'a Plan, ctx: &Ctx) -> Result<Vec<(&'a dyn Step, State)>> {
    let reading = &ctx.reading();
    let checks = join_all(plan.steps().map(|step| async move {
        let state = check(step, reading).await?;
        Ok((step, state))
    }));
    ctx.unless_stopped(checks).await?.into_iter().collect()
}

/// One check, told of where somebody listens.
async fn check(step: &dyn Step, ctx: &Ctx) -> Result<State> {
    let outcome = |found: &Result<State>| match found {
        Ok(State::Ready) => ": ready".to_owned(),
        Ok(State::Missing) => ": missing".to_owned(),
        Ok(State::Drifted(why)) => format!(": drifted: {why}"),
        Err(error) => ctx.trace.failure(&format!("{error:#}")),
    };
    ctx.trace
        .watch(|| format!("check: {}", step.id()), step.check(ctx), outcome)
        .await
}

/// Brings everything to Ready. With nothing to do it makes one round of reads and takes no lock.
///
/// # Errors
/// All failures of the stage that failed, after its other lanes have stopped and this run's own work was undone (see
/// [`OnFailure`]). The caller's token is never cancelled by a failure.
pub async fn up(
    plan: &Plan,
    ctx: &Ctx,
    lock: &dyn Lock,
    on_failure: OnFailure<'_>,
    on: Events<'_>,
) -> Result<Outcome> {
    if all_ready(&preview(plan, ctx).await?) {
        return Ok(Outcome::Unchanged);
    }
    let run = &ctx.stopped_by(ctx.stop.child_token());
    let made = Made::default();
    run_stage(&plan.images, Place::First, run, &made, on).await?;
    let held = lock.acquire(run).await?;
    let result = up_locked(plan, run, &made, on).await;
    if result.is_err() {
        // Its waits are to end only with time: what stopped the run must not stop the cleaning up.
        let cleaning = &ctx.stopped_by(CancellationToken::new());
        match on_failure {
            OnFailure::RollBack(before) => roll_back(&made, before, cleaning, on).await,
            OnFailure::Keep => cleaning.end_creation().await,
        }
    }
    held.release().await;
    result
}

/// Undoes what this run made, newest first, and brings back what was there before. What the first stage made says how to
/// undo the rest, so it stays where something else did.
async fn roll_back(made: &Made<'_>, before: Option<&Plan>, ctx: &Ctx, on: Events<'_>) {
    let mut left = false;
    for (place, step) in made.newest_first() {
        if left && place == Place::First {
            continue;
        }
        left |= undo(step, ctx, on).await.is_some();
    }
    if left {
        on(Event::Note(
            "not everything could be removed; `kindreg down` goes on".to_owned(),
        ));
    }
    let Some(before) = before else {
        return;
    };
    on(Event::Note(
        "bringing back the previous settings".to_owned(),
    ));
    let made = Made::default();
    if run_stages(before, &ctx.anew(), &made, on).await.is_err() {
        on(Event::Note(
            "the previous settings could not be brought back; `kindreg up` with them repairs it"
                .to_owned(),
        ));
    }
}

async fn up_locked<'a>(
    plan: &'a Plan,
    ctx: &Ctx,
    made: &Made<'a>,
    on: Events<'_>,
) -> Result<Outcome> {
    // Another run may have been at work while we waited for the lock.
    if all_ready(&preview(plan, ctx).await?) {
        return Ok(Outcome::Unchanged);
    }
    run_stages(plan, ctx, made, on).await?;
    Ok(Outcome::Changed)
}

async fn run_stages<'a>(plan: &'a Plan, ctx: &Ctx, made: &Made<'a>, on: Events<'_>) -> Result<()> {
    for (number, stage) in plan.stages.iter().enumerate() {
        run_stage(stage, Place::of(number), ctx, made, on).await?;
    }
    Ok(())
}

/// Runs every stage, also after a failure, and then undoes what it made: for a plan that finds something out. A lane ends
/// with its first failure; the others go on.
///
/// # Errors
/// All failures together, those of undoing included. What was skipped for want of something that failed is none.
pub async fn survey(plan: &Plan, ctx: &Ctx, on: Events<'_>) -> Result<()> {
    let made = Made::default();
    let mut errors = Vec::new();
    for stage in &plan.stages {
        let lanes = stage.lanes.iter();
        let lanes = lanes.map(|lane| run_lane(lane, Place::Later, ctx, &made, on));
        errors.extend(join_all(lanes).await.into_iter().filter_map(Result::err));
    }
    let cleaning = &ctx.stopped_by(CancellationToken::new());
    for (_, step) in made.newest_first() {
        errors.extend(undo(step, cleaning, on).await);
    }
    combine(causes(errors)).map_or(Ok(()), Err)
}

/// Returns the failures that are causes: without those that only follow from others, unless there is nothing else.
fn causes(mut errors: Vec<Error>) -> Vec<Error> {
    let follows = |error: &Error| error.is::<Stopped>() || error.is::<Skipped>();
    if errors.iter().all(follows) {
        errors.truncate(1);
    } else {
        errors.retain(|error| !follows(error));
    }
    errors
}

/// Undoes everything that is there, last first; what is not ours stays, and is reported at the end.
///
/// # Errors
/// All that could not be checked or undone, as one error.
pub async fn down(plan: &Plan, ctx: &Ctx, lock: &dyn Lock, on: Events<'_>) -> Result<Outcome> {
    let reading = &ctx.reading();
    let steps = plan.steps().filter(|step| leaves_something(*step));
    let found = join_all(steps.map(|step| check(step, reading))).await;
    if found
        .iter()
        .all(|state| matches!(state, Ok(State::Missing)))
    {
        return Ok(Outcome::Unchanged);
    }
    let held = lock.acquire(ctx).await?;
    let mut outcome = Outcome::Unchanged;
    let mut errors = Vec::new();
    for (number, stage) in plan.stages.iter().enumerate().rev() {
        if Place::of(number) == Place::First && !errors.is_empty() {
            // The record says how to go on.
            break;
        }
        for (changed, failures) in
            join_all(stage.lanes.iter().map(|lane| undo_lane(lane, ctx, on))).await
        {
            if changed == Outcome::Changed {
                outcome = Outcome::Changed;
            }
            errors.extend(failures);
        }
    }
    held.release().await;
    combine(causes(errors)).map_or(Ok(outcome), Err)
}

async fn undo_lane(lane: &Lane, ctx: &Ctx, on: Events<'_>) -> (Outcome, Vec<Error>) {
    let mut outcome = Outcome::Unchanged;
    let mut errors = Vec::new();
    let steps = lane.iter().rev().map(AsRef::as_ref);
    for step in steps.filter(|step| leaves_something(*step)) {
        if ctx.stop.is_cancelled() {
            errors.push(Stopped.into());
            break;
        }
        match check(step, ctx).await {
            Ok(State::Missing) => {}
            Ok(_) => {
                outcome = Outcome::Changed;
                errors.extend(undo(step, ctx, on).await);
            }
            Err(error) => errors.push(error.context(format!("left alone: {}", step.title()))),
        }
        if !errors.is_empty() {
            // What it stands on stays with it.
            break;
        }
    }
    (outcome, errors)
}

async fn undo(step: &dyn Step, ctx: &Ctx, on: Events<'_>) -> Option<Error> {
    on(Event::of(step, StepEvent::Undoing));
    let start = Instant::now();
    match step.undo(ctx).await {
        Ok(()) => {
            let took = start.elapsed();
            on(Event::of(step, StepEvent::Undone { took }));
            None
        }
        Err(error) => {
            let text = format!("{error:#}");
            on(Event::of(step, StepEvent::UndoFailed { error: text }));
            Some(error.context(format!("can't undo: {}", step.title())))
        }
    }
}

fn leaves_something(step: &dyn Step) -> bool {
    step.leaves() == Leaves::Something
}

fn all_ready(states: &[(&dyn Step, State)]) -> bool {
    states.iter().all(|(_, state)| *state == State::Ready)
}

/// Where a step stands in its plan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the first stage, which all others stand on.
    First,
    /// After it.
    Later,
}

impl Place {
    const fn of(stage: usize) -> Self {
        if stage == 0 { Self::First } else { Self::Later }
    }
}

/// What this run made, in the order in which it was begun.
#[derive(Default)]
struct Made<'a>(Mutex<Vec<(Place, &'a dyn Step)>>);

impl<'a> Made<'a> {
    fn push(&self, place: Place, step: &'a dyn Step) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.push((place, step));
    }

    fn newest_first(&self) -> Vec<(Place, &'a dyn Step)> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().rev().copied().collect()
    }
}

async fn run_stage<'a>(
    stage: &'a Stage,
    place: Place,
    ctx: &Ctx,
    made: &Made<'a>,
    on: Events<'_>,
) -> Result<()> {
    // A failure stops the other lanes of the stage, and nothing else.
    let ctx = &ctx.stopped_by(ctx.stop.child_token());
    let lanes = stage.lanes.iter().map(|lane| async move {
        let result = run_lane(lane, place, ctx, made, on).await;
        if result.is_err() {
            // They end at their next wait, and are awaited: nothing goes on behind the roll-back's back.
            ctx.stop.cancel();
        }
        result
    });
    let results = join_all(lanes).await.into_iter();
    let errors = results.filter_map(Result::err).collect();
    combine(causes(errors)).map_or(Ok(()), Err)
}

async fn run_lane<'a>(
    lane: &'a Lane,
    place: Place,
    ctx: &Ctx,
    made: &Made<'a>,
    on: Events<'_>,
) -> Result<()> {
    for step in lane.iter().map(AsRef::as_ref) {
        if ctx.stop.is_cancelled() {
            return Err(Stopped.into());
        }
        let drift = match check(step, ctx).await? {
            State::Ready => continue,
            State::Missing => {
                // Before it is applied, so that a half-made thing is undone too.
                if leaves_something(step) {
                    made.push(place, step);
                }
                None
            }
            // What was there before is not ours to take away, and there is nothing to go back to.
            State::Drifted(why) => Some(why),
        };
        on(Event::of(step, StepEvent::Started { drift }));
        let start = Instant::now();
        if let Err(error) = step.apply(ctx).await {
            if !error.is::<Stopped>() && !error.is::<Skipped>() {
                let error = format!("{error:#}");
                on(Event::of(step, StepEvent::Failed { error }));
            }
            return Err(error);
        }
        let took = start.elapsed();
        on(Event::of(step, StepEvent::Done { took }));
    }
    Ok(())
}
