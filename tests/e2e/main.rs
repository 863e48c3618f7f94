//! End-to-end tests: the real program, a real Docker engine, real kind clusters.
//!
//! `tests/e2e/run` prepares the engine and starts them, one after the other. A test drives `kindreg` as a user would,
//! in a home of its own, and looks at the world with other programs: docker, openssl, kubectl and curl in a node. It
//! removes what it made, also where it fails, and is about one cluster whose name begins with `e2e-`: its own where it
//! has to start from nothing, or else the one that the tests below `shared` have in common.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test tells what it sees, and panics where the world is not as it should be"
)]

#[path = "../support/contract.rs"]
mod contract;
mod support;

mod auth;
mod boxed;
mod canary;
mod certificates;
mod clients;
mod disk;
mod engine;
mod external;
mod far;
mod far_stores;
mod far_tls;
mod faults;
mod foreign;
mod kill;
mod kinds;
mod many;
mod mirrors;
mod quiet;
mod shared;
mod soak;
mod stop;
mod walk;
