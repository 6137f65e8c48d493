use proptest::prelude::*;

use super::*;

#[test]
fn what_is_printed_is_read_back() {
    for text in ["0 B", "1 B", "512 B", "1 KiB", "50 MiB", "1025 B", "3 GiB", "1 TiB"] {
        assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
    }
    for text in ["0s", "500ms", "30s", "90s", "5m", "4h", "5d", "100d"] {
        assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
    }
}

#[test]
fn every_unit_has_its_factor() {
    let sizes = [("2 B", 2), ("2KiB", 2048), ("2 kb", 2000), ("2 MB", 2_000_000), ("1 GB", 1_000_000_000), ("7", 7)];
    for (text, octets) in sizes {
        assert_eq!(text.parse(), Ok(ByteSize(octets)), "{text}");
    }
    for (text, seconds) in [("2s", 2), ("2 m", 120), ("2h", 7200), (" 2d ", 172_800), ("1000ms", 1)] {
        assert_eq!(text.parse(), Ok(Period::seconds(seconds)), "{text}");
    }
}

#[test]
fn what_could_be_meant_two_ways_is_refused() {
    assert_eq!("5".parse::<Period>(), Err(UnitError::PeriodNoUnit(5)));
    assert_eq!("5M".parse::<Period>(), Err(UnitError::PeriodUnit("M".to_owned(), 5)));
    assert_eq!("5 months".parse::<Period>(), Err(UnitError::PeriodUnit("months".to_owned(), 5)));
    assert_eq!("5M".parse::<ByteSize>(), Err(UnitError::SizeUnit("M".to_owned(), 5)));
    for text in ["", "MiB", "-1 MiB", "1.5 MiB", "1,5 MiB", "1 000 KiB", "99999999999999999999999"] {
        assert_eq!(text.parse::<ByteSize>(), Err(UnitError::Size(text.to_owned())));
    }
    for text in ["", "s", "-1s", "1.5h", "1h30m"] {
        assert!(text.parse::<Period>().is_err(), "{text}");
    }
}

#[test]
fn what_would_overflow_is_refused() {
    assert_eq!("16777216 TiB".parse::<ByteSize>(), Err(UnitError::SizeRange));
    assert_eq!("3651d".parse::<Period>(), Err(UnitError::PeriodRange));
    assert_eq!("18446744073709551615d".parse::<Period>(), Err(UnitError::PeriodRange));
    assert_eq!("3650d".parse::<Period>(), Ok(Period(PERIOD_MAX)));
}

proptest! {
    #[test]
    fn any_size_survives_printing(octets: u64) {
        prop_assert_eq!(ByteSize(octets).to_string().parse(), Ok(ByteSize(octets)));
    }

    #[test]
    fn any_period_survives_printing(millis in 0..3650 * 86_400_000u64) {
        prop_assert_eq!(Period::millis(millis).to_string().parse(), Ok(Period::millis(millis)));
    }

    #[test]
    fn no_text_panics(text in ".{0,40}") {
        let _ = text.parse::<ByteSize>();
        let _ = text.parse::<Period>();
    }
}
