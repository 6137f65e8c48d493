use super::*;

#[test]
fn what_is_rounded_stays_true() {
    let ages = [(0, "0s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (7_200, "2h"), (172_799, "47h"), (500_000, "5d")];
    for (seconds, text) in ages {
        assert_eq!(age(seconds), text);
    }
    for (octets, text) in [(0, "0"), (1_023, "1023"), (1_024, "1K"), (1_025, "2K"), (52_428_800, "50M"), (1 << 40, "1024G")] {
        assert_eq!(size(octets), text);
    }
}
