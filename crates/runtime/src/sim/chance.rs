//! Chance from a seed.

use std::time::Duration;

/// SplitMix64: small, and good enough to decide what goes wrong.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `max`.
    pub(crate) fn to(&mut self, max: u64) -> u64 {
        self.draw() % max.saturating_add(1)
    }

    pub(crate) fn up_to(&mut self, max: Duration) -> Duration {
        Duration::from_micros(self.to(u64::try_from(max.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Whether something happens that happens so many times in a hundred thousand.
    pub(crate) fn happens(&mut self, in_100_000: u32) -> bool {
        in_100_000 > 0 && self.to(99_999) < u64::from(in_100_000)
    }
}
