//! Fuzz targets: functions that take any octets and panic when a promise is broken.
//!
//! The promises are the same everywhere: no panic of the code itself, the same outcome however the octets are cut, what is written is read back as
//! it was, and no line that could be taken for two. The tests replay every file of `corpora/` and a bounded, deterministic
//! run of mutations of them; libFuzzer drives the same functions without bound (feature `libfuzzer`).
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a broken promise is a panic here, and that is the point")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

mod body;
mod forwarded;
mod promises;
mod proxy;
mod reports;
mod sender;
mod session;
mod syntax;
mod tokens;

pub use body::{bdat_body, dot_body};
pub use forwarded::srs_address;
pub use promises::{mta_sts_policy, tls_records, tlsa};
pub use proxy::proxy_header;
pub use reports::{dmarc_report, feedback, report_letter, tls_report};
pub use sender::{sender_letter, sender_zone};
pub use session::server_session;
pub use syntax::{command, path, reply};
pub use tokens::token;

/// A zone in memory answers at once.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

/// Cuts octets into pieces whose sizes are drawn from a seed.
fn pieces(octets: &[u8], seed: u8) -> Vec<&[u8]> {
    let (mut rest, mut state, mut found) = (octets, u32::from(seed) | 0x100, Vec::new());
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = 1 + usize::try_from(state >> 28).unwrap_or_default();
        let (piece, tail) = rest.split_at(size.min(rest.len()));
        found.push(piece);
        rest = tail;
    }
    found
}

#[cfg(test)]
mod tests;
