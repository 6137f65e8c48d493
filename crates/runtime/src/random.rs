//! Randomness fit for secrets: a per-thread generator seeded by the system.

use std::time::Duration;

#[cfg(not(feature = "sim"))]
use rand::rng as generator;
use rand::{Rng, RngExt};

#[cfg(feature = "sim")]
use crate::sim::generator;

/// Fills a buffer.
pub fn fill(buffer: &mut [u8]) {
    generator().fill_bytes(buffer);
}

/// 64 random bits.
#[must_use]
pub fn u64() -> u64 {
    generator().random()
}

/// 128 random bits.
#[must_use]
pub fn u128() -> u128 {
    generator().random()
}

/// A number below `n`, each equally likely; zero when `n` is zero.
#[must_use]
pub fn below(n: usize) -> usize {
    if n == 0 { 0 } else { generator().random_range(0..n) }
}

/// Puts a slice in random order.
pub fn shuffle<T>(slice: &mut [T]) {
    for last in (1..slice.len()).rev() {
        slice.swap(last, below(last + 1));
    }
}

/// A duration between `duration` less `fraction` of it and `duration` more `fraction` of it. `fraction` is taken between 0 and 1.
#[must_use]
pub fn jitter(duration: Duration, fraction: f64) -> Duration {
    let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
    let factor = 1.0 - fraction + 2.0 * fraction * generator().random::<f64>();
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(duration)
}

#[cfg(test)]
mod tests;
