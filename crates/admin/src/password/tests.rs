use std::collections::HashSet;

use super::*;

#[test]
fn no_two_passwords_are_alike_and_none_can_be_misread() {
    let mut seen = HashSet::new();
    for _ in 0..200 {
        let password = generate_password();
        let text = password.expose();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [GROUP_CHARS; GROUPS], "{text}");
        assert!(!text.contains(['0', 'o', '1', 'l', 'i']), "{text}");
        assert!(seen.insert(text.to_owned()), "{text} came twice");
    }
}
