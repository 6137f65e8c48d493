use super::fold;

#[test]
fn names_that_look_the_same_are_the_same() {
    for (one, other) in [
        ("Alice", "aLICE"),
        ("J\u{fc}rgen", "ju\u{308}rgen"),
        ("\u{c5}sa", "a\u{30a}sa"),
        ("\u{212b}sa", "\u{e5}sa"), // the Ångström sign
        ("\u{3a3}\u{3a4}", "\u{3c3}\u{3c4}"),
    ] {
        assert_eq!(fold(one), fold(other), "{one} {other}");
    }
}

#[test]
fn names_that_differ_stay_apart() {
    for (one, other) in [("a.b", "ab"), ("a-b", "a_b"), ("jurgen", "j\u{fc}rgen"), ("o", "0")] {
        assert_ne!(fold(one), fold(other));
    }
}

#[test]
fn folding_twice_changes_nothing() {
    for name in ["\u{130}stanbul", "STRA\u{df}E", "\u{1e9e}", "A\u{30a}\u{323}", "\u{1f88}"] {
        assert_eq!(fold(&fold(name)), fold(name), "{name}");
    }
}
