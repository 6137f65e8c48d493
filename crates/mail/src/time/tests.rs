use super::*;

#[test]
fn a_time_in_utc_is_read_and_nothing_that_resembles_one() {
    for (text, millis) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2026-11-24T03:12:03Z", Some(1_795_489_923_000)),
        ("2026-11-24T03:12:03.25Z", Some(1_795_489_923_250)),
        ("1969-12-31T23:59:59Z", Some(0)),
        ("2028-02-29T00:00:00Z", Some(1_835_395_200_000)),
        ("2026-02-29T00:00:00Z", None),
        ("2026-11-24T24:00:00Z", None),
        ("2026-11-24T03:12:03", None),
        ("2026-11-24T03:12:03+00:00", None),
        ("2026-11-24T03:12:03.Z", None),
        ("2026-11-24T03:12:03,5Z", None),
        ("2026-11-24T03:12:03.1234567890Z", None),
        ("2026-11-24T03:12:03ZZ", None),
        ("2026-11-24 03:12:03Z", None),
        ("2026-11-24t03:12:03z", None),
        ("2026-11-24T03:12Z", None),
        ("+002026-11-24T03:12:03Z", None),
        ("2026-11-24T03:12:0\u{663}Z", None),
        ("", None),
    ] {
        assert_eq!(UnixMillis::from_rfc3339(text), millis.map(UnixMillis), "{text:?}");
    }
}

#[test]
fn whole_seconds_are_written_and_read_back() {
    let time = UnixMillis(1_795_489_923_999);
    assert_eq!(time.to_rfc3339_seconds(), "2026-11-24T03:12:03Z");
    assert_eq!(UnixMillis::from_rfc3339(&time.to_rfc3339_seconds()), Some(UnixMillis(1_795_489_923_000)));
    // Beyond what can be written it stays readable.
    assert!(UnixMillis::from_rfc3339(&UnixMillis(u64::MAX).to_rfc3339_seconds()).is_some());
}
