use posthouse_mail::UnixMillis;

use super::*;

#[test]
fn the_same_cause_gives_the_same_id_and_another_cause_another() {
    let letter = LetterId::new(UnixMillis(1_790_000_000_000), 7);
    let other = LetterId::new(UnixMillis(1_790_000_000_000), 8);
    assert_eq!(id(letter, "alias 1"), id(letter, "alias 1"));
    assert_ne!(id(letter, "alias 1"), id(letter, "alias 2"));
    assert_ne!(id(letter, "alias 1"), id(other, "alias 1"));
    assert_eq!(id(letter, "alias 1").time(), letter.time());
}

/// A letter that was made by an older build must not be made again by this one.
#[test]
fn the_ids_stay_what_they_are() {
    let letter = LetterId::new(UnixMillis(1_790_000_000_000), 7);
    assert_eq!(id(letter, "report 0:failed").to_string(), "01M3250V008H4FGPB783TKBNES");
}
