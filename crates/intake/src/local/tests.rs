use super::*;

fn user(uid: u32, name: &str) -> Submitter {
    Submitter { uid, name: name.to_owned(), pid: Some(7), unattended: None }
}

#[test]
fn a_grant_is_for_its_user_and_its_addresses_alone() {
    let addresses = ["shop@example.org", "*@lists.example.org"].map(|text| text.parse().unwrap());
    let rules = Local { grant: vec![Grant { user: "www-data".to_owned(), addresses: addresses.to_vec() }], ..Local::default() };
    for (who, address, granted) in [
        ("www-data", "shop@example.org", true),
        ("www-data", "anybody@lists.example.org", true),
        ("www-data", "ceo@example.org", false),
        ("www-data", "shop@example.org.evil.example", false),
        ("mallory", "shop@example.org", false),
    ] {
        assert_eq!(rules.grants(&user(33, who), &address.parse().unwrap()), granted, "{who} as {address}");
    }
}

#[test]
fn a_user_is_meant_by_name_or_by_number_and_not_by_a_number_as_its_name() {
    let rules = Local { users: vec!["1000".to_owned(), "www-data".to_owned()], ..Local::default() };
    assert!(rules.admits(&user(1000, "alice")) && rules.admits(&user(33, "www-data")) && !rules.admits(&user(1001, "bob")));
    assert!(Local::default().admits(&user(4_000_000, "4000000")));
}

#[test]
fn one_user_cannot_take_all_places_nor_send_without_end() {
    let limits = Local { connections_max: 3, connections_per_user_max: 2, letters_per_minute_max: 2, ..Local::default() };
    let door = LocalDoor::new();
    let held = [door.enter(1, &limits).unwrap(), door.enter(1, &limits).unwrap()];
    assert!(door.enter(1, &limits).is_none(), "a third connection of one user");
    let other = door.enter(2, &limits).unwrap();
    assert!(door.enter(3, &limits).is_none(), "a fourth in all");
    assert_eq!(held.each_ref().map(|pass| pass.letter(&limits)), [true, true]);
    assert!(!held[0].letter(&limits), "a third letter in a minute, whatever the connection");
    assert!(other.letter(&limits), "the limit is each user's own");
    drop(held);
    assert_eq!(door.open(), 1);
    let again = door.enter(1, &limits).unwrap();
    assert!(!again.letter(&limits), "a new connection does not begin a new minute");
}

#[test]
fn a_pattern_that_means_nothing_is_refused() {
    for wrong in ["", "*", "*@", "@example.org", "shop", "*shop@example.org@"] {
        assert!(wrong.parse::<AddressPattern>().is_err(), "{wrong}");
    }
}
