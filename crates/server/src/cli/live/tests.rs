use super::*;

#[test]
fn a_line_is_cut_at_the_screens_edge_and_its_colours_are_not() {
    assert_eq!(cut("abcdef", 4), "abcd");
    assert_eq!(cut("ab", 4), "ab");
    assert_eq!(cut("\x1b[1mabcdef\x1b[0m", 4), "\x1b[1mabcd\x1b[0m");
    assert_eq!(cut("→→→→→", 3), "→→→");
}
