use super::*;

#[test]
fn an_id_is_read_back_from_each_of_its_forms() {
    for (time, random) in [(0, 0), (1_790_000_000_000, 1), (1_790_000_000_000, u128::MAX), ((1 << 48) - 1, u128::MAX)] {
        let id = LetterId::new(UnixMillis(time), random);
        assert_eq!(id.time(), UnixMillis(time));
        assert_eq!(id.to_string().len(), 26);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_lowercase().parse(), Ok(id), "case does not count");
        assert_eq!(LetterId::from_bytes(id.to_bytes()), id);
    }
}

#[test]
fn ids_are_in_the_order_of_time_in_each_of_their_forms() {
    let ids: Vec<_> =
        [1, 2, 31, 32, 1_000_000, 1_790_000_000_000].map(|time| LetterId::new(UnixMillis(time), u128::MAX - time as u128)).into();
    assert!(ids.is_sorted());
    assert!(ids.iter().map(ToString::to_string).collect::<Vec<_>>().is_sorted());
    assert!(ids.iter().map(|id| id.to_bytes()).collect::<Vec<_>>().is_sorted());
}

#[test]
fn randomness_never_reaches_into_the_time() {
    assert_eq!(LetterId::new(UnixMillis(5), u128::MAX).time(), UnixMillis(5));
}

#[test]
fn what_is_no_id_is_refused() {
    for (case, text) in [
        ("nothing", ""),
        ("too short", "01M3250V00000000000000000"),
        ("too long", "01M3250V00000000000000000X1"),
        ("a letter that is left out", "01M3250V0000000000000000I1"),
        ("more than 128 bits", "81M3250V000000000000000001"),
        ("a path", "../../../../../../etc/pass"),
        ("not ASCII", "01M3250V0000000000000000é"),
        ("spaces", " 01M3250V00000000000000001"),
    ] {
        assert_eq!(text.parse::<LetterId>(), Err(IdError), "{case}");
    }
}
