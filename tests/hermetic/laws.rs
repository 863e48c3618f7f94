//! The laws of steps, held by each step of the plan: check changes nothing; after apply it is Ready; after undo it is
//! Missing; undo twice is Ok.

use kindreg::internal::plan::{Verify, up as plan};
use kindreg::internal::step::{Leaves, State};

use crate::external;
use crate::world::World;

#[tokio::test]
async fn every_step_keeps_the_laws() {
    hold(&external::world()).await;
}

#[tokio::test]
async fn every_step_of_mirrors_keeps_the_laws() {
    hold(&World::with_mirrors()).await;
}

#[tokio::test]
async fn every_step_with_the_users_certificate_keeps_the_laws() {
    hold(&World::with_own_certificate()).await;
}

async fn hold(world: &World) {
    let ctx = world.ctx();
    let plan = plan(&world.spec, &[], Verify::EveryNode);
    let steps: Vec<_> = plan.steps().collect();
    assert!(steps.len() >= 18, "the plan is whole");
    for step in &steps {
        let title = step.title();
        let before = world.docker.journal();
        let state = step.check(&ctx).await.unwrap();
        assert_eq!(
            world.docker.journal(),
            before,
            "{title}: check changes nothing"
        );
        if state == State::Ready {
            assert_eq!(
                step.leaves(),
                Leaves::Nothing,
                "{title}: nothing is there yet"
            );
            continue;
        }
        assert_eq!(state, State::Missing, "{title}");
        step.apply(&ctx).await.unwrap();
        assert_eq!(
            step.check(&ctx).await.unwrap(),
            State::Ready,
            "{title}: after apply"
        );
    }
    // As a new process sees it, which remembers nothing.
    let ctx = world.ctx();
    for step in &steps {
        assert_eq!(
            step.check(&ctx).await.unwrap(),
            State::Ready,
            "{}: seen anew",
            step.title()
        );
    }
    for step in steps
        .iter()
        .rev()
        .filter(|step| step.leaves() == Leaves::Something)
    {
        let title = step.title();
        step.undo(&ctx).await.unwrap();
        assert_eq!(
            step.check(&ctx).await.unwrap(),
            State::Missing,
            "{title}: after undo"
        );
        step.undo(&ctx)
            .await
            .unwrap_or_else(|error| panic!("{title}: undo twice: {error:#}"));
    }
    assert_eq!(world.left().await, Vec::<String>::new());
}
