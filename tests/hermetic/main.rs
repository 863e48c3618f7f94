//! Tests that need no engine and no network. They run all the time, so they take seconds.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod archive;
mod auth;
mod change;
mod cli;
mod colour;
mod config;
mod consent;
mod contract;
mod control_planes;
mod engine;
mod engine_tls;
mod external;
mod external_settings;
mod failures;
mod far_engine;
mod faults;
mod found;
mod fuzz;
mod fuzz_foreign;
mod hints;
mod host_links;
mod hostile;
mod hostile_nodes;
mod housekeeping;
mod in_container;
mod joined;
mod json;
mod kind_config;
mod laws;
mod layers;
mod loopback;
mod memory;
mod mirrors;
mod node_image;
mod output;
mod own_certificate;
mod ownership;
mod pki;
mod ports;
mod proof;
mod records;
mod schema;
mod schema_agrees;
mod scripted;
mod security;
mod snapshot;
mod snapshots;
mod stage;
mod status;
mod together;
mod verbose;
mod verified;
mod waits;
mod walk;
mod world;
