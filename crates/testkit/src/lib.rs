//! Dev-only: what the tests of the other crates need from the world.
//!
//! It speaks plain text to whatever it tests and never imports `smtp` or `client`, so that it cannot share their
//! mistakes. Its failures are panics: a test that cannot set up its world has failed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failure here is a failed test, and the world that is tested against is a real one"
)]

pub mod certificates;
pub mod dialog;
pub mod guard;
pub mod issuer;
pub mod letters;
pub mod name_server;
pub mod peer;
pub mod ports;
