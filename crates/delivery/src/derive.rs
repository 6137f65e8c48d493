//! The ids of letters that we make of other letters: the same cause gives the same id, so that a crash half-way makes no second letter.
//!
//! The ids are stored, and the next start may be another build's: the hash is one that never changes.

use posthouse_mail::{LetterId, UnixMillis};
use sha2::{Digest as _, Sha256};

/// An id for the letter made of `letter` for this `cause`. It sorts beside its letter.
pub(crate) fn id(letter: LetterId, cause: &str) -> LetterId {
    let digest = Sha256::new().chain_update(letter.to_bytes()).chain_update(cause).finalize();
    let bits = digest.iter().take(16).fold(0, |bits: u128, &byte| bits << 8 | u128::from(byte));
    LetterId::new(letter.time(), bits)
}

/// An id for a letter of our own that has no other's: of the day that it is about, and of this `cause`.
pub(crate) fn of_day(day: UnixMillis, cause: &str) -> LetterId {
    id(LetterId::new(day, 0), cause)
}

#[cfg(test)]
mod tests;
