use super::*;

#[test]
fn a_password_is_long_and_never_the_same() {
    let one = generate();
    assert_eq!((one.len(), one.split('-').count()), (24, 5));
    assert_ne!(one, generate());
}

#[test]
fn hyphens_and_spaces_are_for_the_eye() {
    let password = |text: &str| prepare_password(text).unwrap();
    let plain = digest(&password("abcd-efgh"));
    assert_eq!(plain, digest(&password("abcdefgh")));
    assert_eq!(plain, digest(&password("abcd efgh")));
    assert_ne!(plain, digest(&password("ABCDEFGH")));
}

#[test]
fn a_name_can_stand_in_a_login() {
    for name in ["phone", "a", "work-laptop-2", &"x".repeat(32)] {
        assert!(name.parse::<AppPasswordName>().is_ok(), "{name}");
    }
    for name in ["", "Phone", "a b", "a+b", "a@b", "\u{e4}", &"x".repeat(33)] {
        assert!(name.parse::<AppPasswordName>().is_err(), "{name}");
    }
}
