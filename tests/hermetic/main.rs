//! Tests that need no engine and no network. They run all the time, so they take seconds.

mod archive;
mod pki;
mod proof;
