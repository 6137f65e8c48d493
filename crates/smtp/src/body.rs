//! The two ways a letter travels: [`dot`] for `DATA`, [`bdat`] for `BDAT`.
//!
//! Both halves are incremental and hold at most a few octets. The decoders hand out slices of what was read, without copying. A decoder's error
//! ([`LineError`](crate::syntax::LineError)) means the letter must be refused: its line ends are not CRLF, or it has a NUL. They are never mended,
//! since the next program would see another letter than we did.

pub mod bdat;
pub mod dot;

#[cfg(test)]
mod tests;
