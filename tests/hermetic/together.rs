//! `down` that begins while `up` runs, and `up` that begins while `down` runs, at every event of the other one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use kindreg::events::Event;
use kindreg::internal::docker::{Docker, NetworkSpec};
use kindreg::ops::{self, Client, Nobody, UpOptions};
use kindreg::report::{Made, Removed};

use crate::world::World;

/// What a run of a command came to.
type Ended<T> = Result<T, String>;

fn finished<T>(ended: anyhow::Result<ops::Finished<T>>) -> Ended<T> {
    let ended = ended.map_err(|error| format!("{error:#}"))?;
    match ended.failure {
        None => Ok(ended.report),
        Some(error) => Err(format!("{error:#}")),
    }
}

async fn up(client: Client, request: kindreg::spec::request::Request) -> Ended<Made> {
    finished(ops::up(&client, &request, &UpOptions::default(), &Nobody).await)
}

async fn down(client: Client) -> Ended<Removed> {
    finished(ops::down(&client, &"c".parse().unwrap()).await)
}

/// A client that does something at its `number`th event; `None` counts only.
fn at_event(
    world: &World,
    number: Option<usize>,
    what: impl Fn() + Send + Sync + 'static,
) -> (Client, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let client = world.client().with_listener(move |_| {
        if Some(counted.fetch_add(1, Ordering::SeqCst) + 1) == number {
            what();
        }
    });
    (client, count)
}

/// A client that says when its run waits for the lock.
fn waiting(world: &World, said: mpsc::Sender<()>) -> Client {
    let said = Mutex::new(said);
    world.client().with_listener(move |event| {
        if matches!(&event, Event::Note(note) if note.starts_with("waiting for another kindreg")) {
            let _ = said.lock().unwrap().send(());
        }
    })
}

fn run<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.enable_all().build().unwrap().block_on(what)
}

/// Runs `first`, and from its `number`th event on `second` in another thread, until that ends or waits for the lock; then
/// both to their end.
fn interleaved<A, B: Send + 'static>(
    world: &World,
    number: usize,
    first: impl FnOnce(Client) -> A,
    second: impl FnOnce(Client) -> B + Send + 'static,
) -> (A, B) {
    let (said, heard) = mpsc::channel();
    let other = Mutex::new(Some((second, waiting(world, said.clone()), said)));
    let begun = Arc::new(Mutex::new(None));
    let (thread, heard) = (Arc::clone(&begun), Mutex::new(heard));
    let (client, _) = at_event(world, Some(number), move || {
        let (second, client, said) = other.lock().unwrap().take().unwrap();
        *thread.lock().unwrap() = Some(std::thread::spawn(move || {
            let ended = second(client);
            let _ = said.send(());
            ended
        }));
        heard.lock().unwrap().recv().unwrap();
    });
    let first = first(client);
    let second = begun.lock().unwrap().take().unwrap();
    (first, second.join().unwrap())
}

/// Runs a case for each number, some at a time, as they wait for each other most of the time.
fn each(events: usize, case: impl Fn(usize) + Sync) {
    let numbers: Vec<usize> = (1..=events).collect();
    for some in numbers.chunks(8) {
        std::thread::scope(|scope| {
            for &number in some {
                let case = &case;
                scope.spawn(move || case(number));
            }
        });
    }
}

/// A machine on which a killed `down` has left only the network, and so no image that it was made with.
fn with_leftovers() -> World {
    let world = World::new();
    let network = NetworkSpec {
        name: "kindreg-c".to_owned(),
        labels: [("dev.kindreg.cluster".to_owned(), "c".to_owned())].into(),
        options: [].into(),
        ipv6_subnet: None,
    };
    run(world.docker.create_network(&network)).unwrap();
    world
}

#[test]
fn down_at_every_event_of_up_removes_all_of_it_or_nothing() {
    down_at_every_event_of_up(World::new);
}

#[test]
fn down_at_every_event_of_up_over_leftovers_removes_all_of_it_or_nothing() {
    down_at_every_event_of_up(with_leftovers);
}

fn down_at_every_event_of_up(new: fn() -> World) {
    let world = new();
    let (client, count) = at_event(&world, None, || {});
    run(up(client, crate::json::request(&world))).unwrap();
    let events = count.load(Ordering::SeqCst);
    assert!(events > 20, "{events}");
    each(events, |number| {
        let world = new();
        let host = world.docker.host().all("/");
        let request = crate::json::request(&world);
        let first = |client| run(up(client, request.clone()));
        let (made, removed) = interleaved(&world, number, first, |client| run(down(client)));
        let removed = removed.unwrap_or_else(|error| panic!("{number}: {error}"));
        let made = made.unwrap_or_else(|error| panic!("{number}: up: {error}"));
        assert!(made.changed, "{number}");
        if removed.changed {
            assert_eq!(run(world.left()), Vec::<String>::new(), "{number}");
            assert_eq!(world.docker.host().all("/"), host, "{number}");
        } else {
            let again = run(up(world.client(), request)).unwrap();
            assert!(
                !again.changed,
                "{number}: nothing to do, and something removed"
            );
        }
    });
}

#[test]
fn up_at_every_event_of_down_has_all_of_its_cluster_or_none() {
    let world = World::new();
    run(up(world.client(), crate::json::request(&world))).unwrap();
    let (client, count) = at_event(&world, None, || {});
    run(down(client)).unwrap();
    let events = count.load(Ordering::SeqCst);
    assert!(events > 10, "{events}");
    each(events, |number| {
        let world = World::new();
        let host = world.docker.host().all("/");
        let request = crate::json::request(&world);
        run(up(world.client(), request.clone())).unwrap();
        let again = request.clone();
        let first = |client| run(down(client));
        let second = move |client| run(up(client, again));
        let (removed, made) = interleaved(&world, number, first, second);
        assert!(
            removed
                .unwrap_or_else(|error| panic!("{number}: {error}"))
                .changed
        );
        let made = made.unwrap_or_else(|error| panic!("{number}: up: {error}"));
        if made.changed {
            let again = run(up(world.client(), request)).unwrap();
            assert!(!again.changed, "{number}: up made it, and it is not there");
        } else {
            // It had looked before anything was removed.
            assert_eq!(run(world.left()), Vec::<String>::new(), "{number}");
            assert_eq!(world.docker.host().all("/"), host, "{number}");
        }
    });
}

#[test]
fn a_second_down_at_every_event_of_down_fails_at_nothing() {
    let world = World::new();
    run(up(world.client(), crate::json::request(&world))).unwrap();
    let (client, count) = at_event(&world, None, || {});
    run(down(client)).unwrap();
    let events = count.load(Ordering::SeqCst);
    each(events, |number| {
        let world = World::new();
        run(up(world.client(), crate::json::request(&world))).unwrap();
        let first = |client| run(down(client));
        let (first, second) = interleaved(&world, number, first, |client| run(down(client)));
        assert!(
            first
                .unwrap_or_else(|error| panic!("{number}: {error}"))
                .changed
        );
        let second = second.unwrap_or_else(|error| panic!("{number}: second: {error}"));
        assert!(
            !second.changed,
            "{number}: the first has removed everything"
        );
        assert_eq!(run(world.left()), Vec::<String>::new(), "{number}");
    });
}
