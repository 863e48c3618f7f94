//! Runs a plan: preview, up, down, survey. No other code knows order, concurrency, dry runs, roll-back and
//! cancellation.
//!
//! The engine prints nothing: it emits [`Event`]s, and `ui` draws them.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Error, Result};
use futures_util::future::join_all;

use crate::problem::{Unreadable, combine, find};
use crate::step::{Ctx, Lane, Leaves, Plan, Skipped, Stage, State, Step, Stopped, is_stop};

mod event;
mod lock;

pub use event::{Event, Events, StepEvent};
use lock::while_held;
pub use lock::{AlreadyHeld, Held, Lock, LockLost, locked};

/// The result of a run that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do, and nothing was written.
    Unchanged,
    /// Steps were applied or undone.
    Changed,
}

impl Outcome {
    /// Returns the result of two parts of a run.
    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unchanged, Self::Unchanged) => Self::Unchanged,
            (Self::Changed, _) | (_, Self::Changed) => Self::Changed,
        }
    }
}

/// What the engine does with the work of a run that fails.
#[derive(Clone, Copy)]
pub enum OnFailure<'a> {
    /// Undo it, newest first. Then apply this plan, which restores the previous settings.
    RollBack(Option<&'a Plan>),
    /// Keep it, so that the user can look at it.
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

/// Checks all steps at the same time and returns their states in the plan's order. Changes nothing.
///
/// # Errors
/// The first check, in the plan's order, that failed or found an object that is not ours.
pub async fn preview<'a>(plan: &'a Plan, ctx: &Ctx) -> Result<Vec<(&'a dyn Step, State)>> {
    look(plan, &ctx.reading()).await
}

/// The same in a round of checks that has begun.
async fn look<'a>(plan: &'a Plan, reading: &Ctx) -> Result<Vec<(&'a dyn Step, State)>> {
    let checks = join_all(plan.steps().map(|step| async move {
        let state = check(step, reading).await?;
        Ok((step, state))
    }));
    reading.unless_stopped(checks).await?.into_iter().collect()
}

/// Checks one step, and traces the outcome.
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

/// Applies every step that is not Ready. If all are Ready, it only reads, and takes no lock. `reading` is for the first
/// look: [`Ctx::reading`], or what the caller has read already ([`Ctx::reading_on`]).
///
/// # Errors
/// All failures of the stage that failed, after its other lanes have stopped and this run's work was undone (see
/// [`OnFailure`]). A failure never cancels the caller's token.
pub async fn up(
    plan: &Plan,
    ctx: &Ctx,
    reading: &Ctx,
    lock: &dyn Lock,
    on_failure: OnFailure<'_>,
    on: Events<'_>,
) -> Result<Outcome> {
    if all_ready(&look(plan, reading).await?) {
        return Ok(Outcome::Unchanged);
    }
    let run = &ctx.stopped_by(ctx.stop.child_token());
    let made = Made::default();
    let pulled = run_stage(&plan.images, Place::First, run, &made, on).await?;
    let held = lock.acquire(run).await?;
    let run = &run.under_lock(held.lost());
    let result = while_held(&*held, run, run_stages(plan, run, &made, on)).await;
    if let Err(error) = &result {
        let cleaning = &ctx.cleaning();
        match on_failure {
            // What this run made may be in use by the next holder of the lock.
            _ if find::<LockLost>(error).is_some() => cleaning.end_creation().await,
            OnFailure::RollBack(before) => roll_back(&made, before, cleaning, on).await,
            OnFailure::Keep => cleaning.end_creation().await,
        }
    }
    held.release().await;
    Ok(pulled.and(result?))
}

/// Undoes what this run made, newest first, and restores the previous settings. The first stage is kept if something
/// else could not be undone, because its record says how to undo the rest.
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
            "not everything could be removed; to remove the rest, run: kindreg down --name CLUSTER"
                .to_owned(),
        ));
    }
    let Some(before) = before else {
        return;
    };
    on(Event::Note("restoring the previous settings".to_owned()));
    let made = Made::default();
    if run_stages(before, &ctx.anew(), &made, on).await.is_err() {
        on(Event::Note(
            "can't restore the previous settings; to repair the cluster, set them and run: kindreg up --name CLUSTER"
                .to_owned(),
        ));
    }
}

async fn run_stages<'a>(
    plan: &'a Plan,
    ctx: &Ctx,
    made: &Made<'a>,
    on: Events<'_>,
) -> Result<Outcome> {
    let mut outcome = Outcome::Unchanged;
    // Each step is checked again: another run may have changed things while we waited for the lock.
    for (number, stage) in plan.stages.iter().enumerate() {
        outcome = outcome.and(run_stage(stage, Place::of(number), ctx, made, on).await?);
    }
    Ok(outcome)
}

/// Runs every stage, even after a failure, and then undoes what it made, unless it lost its lock. For plans that test
/// something, such as `verify`. A lane ends at its first failure; the other lanes continue.
///
/// # Errors
/// All failures together, including failed undos. Steps that were skipped because an earlier one failed are left out.
pub async fn survey(plan: &Plan, ctx: &Ctx, on: Events<'_>) -> Result<()> {
    let made = Made::default();
    let mut errors = Vec::new();
    for stage in &plan.stages {
        let lanes = stage.lanes.iter();
        let lanes = lanes.map(|lane| run_lane(lane, Place::Later, ctx, &made, on));
        errors.extend(join_all(lanes).await.into_iter().filter_map(Result::err));
    }
    if !ctx.lost.is_cancelled() {
        let cleaning = &ctx.cleaning();
        for (_, step) in made.newest_first() {
            errors.extend(undo(step, cleaning, on).await);
        }
    }
    combine(causes(errors)).map_or(Ok(()), Err)
}

/// Returns the failures without [`Stopped`] and [`Skipped`], which only follow from others. If there are no others, it
/// returns the first of them.
fn causes(mut errors: Vec<Error>) -> Vec<Error> {
    let follows = |error: &Error| is_stop(error) || error.is::<Skipped>();
    if errors.iter().all(follows) {
        errors.truncate(1);
    } else {
        errors.retain(|error| !follows(error));
    }
    errors
}

/// Undoes every step whose object exists, in reverse order. Objects that are not ours are kept and reported as errors.
///
/// # Errors
/// All failed checks and undos, as one error.
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
    locked(lock, ctx, async |ctx| down_locked(plan, ctx, on).await).await
}

async fn down_locked(plan: &Plan, ctx: &Ctx, on: Events<'_>) -> Result<Outcome> {
    let mut outcome = Outcome::Unchanged;
    let mut errors = Vec::new();
    // Lanes that could not read what is in a node: once the nodes are removed, there is nothing left to undo in them.
    let mut unread = Vec::new();
    for (number, stage) in plan.stages.iter().enumerate().rev() {
        if Place::of(number) == Place::First {
            for (_, failures) in
                join_all(unread.drain(..).map(|lane| undo_lane(lane, ctx, on))).await
            {
                errors.extend(failures);
            }
            if !errors.is_empty() {
                // Keep the record: the next `down` needs it.
                break;
            }
        }
        let undone = join_all(stage.lanes.iter().map(|lane| undo_lane(lane, ctx, on))).await;
        for (lane, (changed, failures)) in stage.lanes.iter().zip(undone) {
            if changed == Outcome::Changed {
                outcome = Outcome::Changed;
            }
            if failures.iter().any(is_unreadable) && Place::of(number) != Place::First {
                unread.push(lane);
            } else {
                errors.extend(failures);
            }
        }
    }
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
            Err(error) if !is_unreadable(&error) => {
                errors.push(error.context(format!("not removed: {}", step.title())));
            }
            Ok(_) | Err(_) => {
                outcome = Outcome::Changed;
                errors.extend(undo(step, ctx, on).await);
            }
        }
        if !errors.is_empty() {
            // Keep the earlier steps of the lane, which this one depends on.
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

/// Returns whether an error only says that something in a container can't be read.
fn is_unreadable(error: &Error) -> bool {
    find::<Unreadable>(error).is_some()
}

fn leaves_something(step: &dyn Step) -> bool {
    step.leaves() == Leaves::Something
}

fn all_ready(states: &[(&dyn Step, State)]) -> bool {
    states.iter().all(|(_, state)| *state == State::Ready)
}

/// The position of a step in its plan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the first stage, which all others depend on.
    First,
    /// In a later stage.
    Later,
}

impl Place {
    const fn of(stage: usize) -> Self {
        if stage == 0 { Self::First } else { Self::Later }
    }
}

/// The steps that this run has started to make, oldest first.
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
) -> Result<Outcome> {
    // A child token: a failure stops the other lanes of this stage only.
    let ctx = &ctx.stopped_by(ctx.stop.child_token());
    let lanes = stage.lanes.iter().map(|lane| async move {
        let result = run_lane(lane, place, ctx, made, on).await;
        if result.is_err() {
            // The other lanes end at their next wait. `join_all` awaits them, so that nothing runs during the
            // roll-back.
            ctx.stop.cancel();
        }
        result
    });
    let mut outcome = Outcome::Unchanged;
    let mut errors = Vec::new();
    for result in join_all(lanes).await {
        match result {
            Ok(of_lane) => outcome = outcome.and(of_lane),
            Err(error) => errors.push(error),
        }
    }
    combine(causes(errors)).map_or(Ok(outcome), Err)
}

async fn run_lane<'a>(
    lane: &'a Lane,
    place: Place,
    ctx: &Ctx,
    made: &Made<'a>,
    on: Events<'_>,
) -> Result<Outcome> {
    let mut outcome = Outcome::Unchanged;
    for step in lane.iter().map(AsRef::as_ref) {
        if ctx.stop.is_cancelled() {
            return Err(Stopped.into());
        }
        let drift = match check(step, ctx).await? {
            State::Ready => continue,
            State::Missing => {
                // Noted before it is applied, so that roll-back undoes a half-made object too.
                if leaves_something(step) {
                    made.push(place, step);
                }
                None
            }
            // Not noted: roll-back must not remove an object that existed before this run.
            State::Drifted(why) => Some(why),
        };
        on(Event::of(step, StepEvent::Started { drift }));
        let start = Instant::now();
        if let Err(error) = step.apply(ctx).await {
            if !is_stop(&error) && !error.is::<Skipped>() {
                let error = format!("{error:#}");
                on(Event::of(step, StepEvent::Failed { error }));
            }
            return Err(error);
        }
        let took = start.elapsed();
        on(Event::of(step, StepEvent::Done { took }));
        outcome = Outcome::Changed;
    }
    Ok(outcome)
}
