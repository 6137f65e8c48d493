use super::*;

#[test]
fn a_password_with_quotes_stays_one_word_in_a_shell() {
    assert_eq!(quoted("plain-2.x@y"), "plain-2.x@y");
    assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
    assert_eq!(quoted(""), "''");
}
