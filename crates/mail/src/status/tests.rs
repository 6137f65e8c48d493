use super::*;

#[test]
fn statuses_are_read_and_written() {
    for (text, status) in [
        ("2.0.0", Status::success(0, 0)),
        ("4.4.7", Status::temporary(4, 7)),
        ("5.7.28", Status::permanent(7, 28)),
        ("5.999.999", Status::permanent(999, 999)),
    ] {
        assert_eq!(text.parse(), Ok(status));
        assert_eq!(status.to_string(), text);
    }
}

#[test]
fn what_is_no_status_is_refused() {
    for text in [
        "", ".", "5", "5.1", "5.1.", "5.1.1.1", "1.0.0", "3.0.0", "6.0.0", "55.1.1", "5.1000.0", "5.0.1000", "5.-1.0", "5.+1.0",
        "5. 1.0", " 5.1.1", "5.1.1 ", "5.1.x", "5.１.1", "5,1,1",
    ] {
        assert_eq!(text.parse::<Status>(), Err(StatusError), "{text:?}");
    }
}

#[test]
fn numbers_beyond_three_digits_are_capped_and_can_be_read_back() {
    let status = Status::permanent(u16::MAX, 1000);
    assert_eq!(status, Status::permanent(999, 999));
    assert_eq!(status.to_string().parse(), Ok(status));
}
