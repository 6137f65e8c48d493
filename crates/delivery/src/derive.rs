//! The ids of letters that we make of other letters: the same cause gives the same id, so that a crash half-way makes no second letter.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use posthouse_mail::LetterId;

/// An id for the letter made of `letter` for this `cause`.
pub(crate) fn id(letter: LetterId, cause: &impl Hash) -> LetterId {
    // Two halves with keys of their own: 64 bits of one hash would leave 16 of the id's 80 unused.
    let half = |key: u8| {
        let mut hasher = DefaultHasher::new();
        (key, letter.to_bytes()).hash(&mut hasher);
        cause.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    LetterId::new(letter.time(), half(0) << 64 | half(1))
}
