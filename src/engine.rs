//! Runs a plan: preview, up, down. The only code that knows order, concurrency, dry runs, roll-back and Ctrl-C.
//!
//! It prints nothing: it emits [`Event`]s, and `ui` draws them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use async_trait::async_trait;
use futures_util::future::join_all;

use crate::step::{Ctx, Lane, Leaves, Plan, Stage, State, Step, Stopped};

/// What happens while a plan runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something is waited for.
    Note(String),
    /// A step was begun.
    Started {
        /// The step's title.
        step: String,
        /// What it found different, where it repairs.
        drift: Option<String>,
    },
    /// A step is done.
    Done {
        /// The step's title.
        step: String,
        /// Time that it took.
        took: Duration,
    },
    /// A step failed; roll-back follows unless the wreck is to be kept.
    Failed {
        /// The step's title.
        step: String,
    },
    /// A step's undoing was begun.
    Undoing {
        /// The step's title.
        step: String,
    },
    /// A step was undone.
    Undone {
        /// The step's title.
        step: String,
        /// Time that it took.
        took: Duration,
    },
    /// A step could not be undone.
    UndoFailed {
        /// The step's title.
        step: String,
        /// The chain of causes.
        error: String,
    },
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

/// What becomes of a run's own work when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It is undone, newest first.
    RollBack,
    /// It stays, to be looked at.
    Keep,
}

/// The mutex of one cluster, across processes and machines that use the same engine.
#[async_trait]
pub trait Lock: Send + Sync {
    /// Waits for it, saying so through `waiting`; held until the value is dropped or released.
    async fn acquire(&self, ctx: &Ctx) -> Result<Box<dyn Held>>;
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
        .watch(
            || format!("check: {}", step.title()),
            step.check(ctx),
            outcome,
        )
        .await
}

/// Brings everything to Ready. With nothing to do it makes one round of reads and takes no lock.
///
/// # Errors
/// The first failure, after its siblings have stopped and this run's own work was undone (see [`OnFailure`]).
pub async fn up(
    plan: &Plan,
    ctx: &Ctx,
    lock: &dyn Lock,
    on_failure: OnFailure,
    on: Events<'_>,
) -> Result<Outcome> {
    if all_ready(&preview(plan, ctx).await?) {
        return Ok(Outcome::Unchanged);
    }
    let made = Made::default();
    run_stage(&plan.images, Place::First, ctx, &made, on).await?;
    let held = lock.acquire(ctx).await?;
    let result = up_locked(plan, ctx, &made, on).await;
    if result.is_err() {
        match on_failure {
            OnFailure::RollBack => roll_back(&made, ctx, on).await,
            OnFailure::Keep => ctx.end_creation().await,
        }
    }
    held.release().await;
    result
}

/// Undoes what this run made, newest first. What the first stage made says how to undo the rest, so it stays where
/// something else did.
async fn roll_back(made: &Made<'_>, ctx: &Ctx, on: Events<'_>) {
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
    for (number, stage) in plan.stages.iter().enumerate() {
        run_stage(stage, Place::of(number), ctx, made, on).await?;
    }
    Ok(Outcome::Changed)
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
    match collect(errors) {
        None => Ok(outcome),
        Some(error) => Err(error),
    }
}

/// The first error, with the others' texts under it: none is lost, and the first keeps its type.
fn collect(errors: Vec<Error>) -> Option<Error> {
    let mut errors = errors.into_iter();
    let first = errors.next()?;
    let rest: Vec<String> = errors.map(|error| format!("{error:#}")).collect();
    Some(if rest.is_empty() {
        first
    } else {
        first.context(format!("also: {}", rest.join("; ")))
    })
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
            Err(error) => errors.push(error.context(format!("{} was left alone", step.title()))),
        }
        if !errors.is_empty() {
            // What it stands on stays with it.
            break;
        }
    }
    (outcome, errors)
}

async fn undo(step: &dyn Step, ctx: &Ctx, on: Events<'_>) -> Option<Error> {
    let title = step.title();
    on(Event::Undoing {
        step: title.clone(),
    });
    let start = Instant::now();
    match step.undo(ctx).await {
        Ok(()) => {
            on(Event::Undone {
                step: title,
                took: start.elapsed(),
            });
            None
        }
        Err(error) => {
            on(Event::UndoFailed {
                step: title.clone(),
                error: format!("{error:#}"),
            });
            Some(error.context(format!("can't undo: {title}")))
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
    let lanes = stage.lanes.iter().map(|lane| async move {
        let result = run_lane(lane, place, ctx, made, on).await;
        if result.is_err() {
            // The siblings end at their next wait, and are awaited: nothing goes on behind the roll-back's back.
            ctx.stop.cancel();
        }
        result
    });
    let mut failures: Vec<Error> = join_all(lanes)
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    let cause = failures
        .iter()
        .position(|error| !error.is::<Stopped>())
        .unwrap_or(0);
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.swap_remove(cause))
    }
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
        on(Event::Started {
            step: step.title(),
            drift,
        });
        let start = Instant::now();
        if let Err(error) = step.apply(ctx).await {
            if !error.is::<Stopped>() {
                on(Event::Failed { step: step.title() });
            }
            return Err(error);
        }
        on(Event::Done {
            step: step.title(),
            took: start.elapsed(),
        });
    }
    Ok(())
}
