//! Two piles of numbers compared by their ranks: what outliers there are on a busy machine counts as much as any other number.

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compared {
    /// The medians.
    pub(super) middle: [f64; 2],
    /// How often a number of the second pile is larger than one of the first; half of the time where they are alike.
    pub(super) slower: f64,
    /// How likely a difference as large as that is by chance (Mann and Whitney's U, by the normal distribution).
    pub(super) chance: f64,
}

/// Compares them; nothing where one is empty.
pub(super) fn compare(first: &[f64], second: &[f64]) -> Option<Compared> {
    let middle = [median(first)?, median(second)?];
    let mut all: Vec<(f64, bool)> = first.iter().map(|&one| (one, false)).chain(second.iter().map(|&one| (one, true))).collect();
    all.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    // The ranks of the second pile; numbers that are equal share theirs.
    let (mut sum, mut ties, mut at) = (0.0, 0.0, 0);
    while let Some((value, _)) = all.get(at) {
        let equal = all.iter().skip(at).take_while(|(other, _)| other == value).count();
        let rank = count(at) + (count(equal) + 1.0) / 2.0;
        sum += rank * count(all.iter().skip(at).take(equal).filter(|(_, is_second)| *is_second).count());
        ties += count(equal).powi(3) - count(equal);
        at += equal;
    }
    let (n, m, both) = (count(first.len()), count(second.len()), count(all.len()));
    let u = sum - m * (m + 1.0) / 2.0;
    let spread = (n * m / 12.0 * (both + 1.0 - ties / (both * (both - 1.0)))).sqrt();
    let z = if spread > 0.0 { (u - n * m / 2.0) / spread } else { 0.0 };
    Some(Compared { middle, slower: u / (n * m), chance: beyond(z) })
}

fn median(pile: &[f64]) -> Option<f64> {
    let mut sorted = pile.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// How likely a number of the normal distribution is farther from its middle than `z` (Abramowitz and Stegun, 26.2.17).
fn beyond(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let tail = series.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    (2.0 * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * tail).clamp(0.0, 1.0)
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 0.002
    }

    /// By hand, and by R's `wilcox.test(…, exact = FALSE, correct = FALSE)`.
    #[test]
    fn a_difference_is_seen_and_none_is_not() {
        let numbers = |from: u32, step: usize| (from..from + 100).step_by(step).map(f64::from).collect::<Vec<_>>();
        let same = compare(&numbers(0, 2), &numbers(1, 2)).unwrap();
        assert!(near(same.slower, 0.51) && same.chance > 0.8, "{same:?}");
        let later = compare(&numbers(0, 1), &numbers(20, 1)).unwrap();
        assert!(near(later.slower, 0.68) && later.chance < 0.001, "{later:?}");
        assert_eq!(later.middle, [50.0, 70.0]);
        let small = compare(&[1.0, 2.0, 4.0], &[3.0, 5.0, 6.0]).unwrap();
        assert!(near(small.slower, 8.0 / 9.0) && near(small.chance, 0.1266), "{small:?}");
        // Equal numbers say nothing.
        let tied = compare(&[1.0, 1.0, 1.0], &[1.0, 1.0]).unwrap();
        assert!(near(tied.slower, 0.5) && near(tied.chance, 1.0), "{tied:?}");
        assert_eq!(compare(&[], &[1.0]), None);
    }
}
