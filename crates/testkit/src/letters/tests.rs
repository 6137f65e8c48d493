use super::*;

#[test]
fn every_sample_is_a_message_that_smtp_can_carry() {
    for sample in samples() {
        let (name, bytes) = (sample.name, sample.bytes);
        assert!(bytes.ends_with(b"\r\n"), "{name}");
        let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
        let (last, lines) = lines.split_last().unwrap();
        assert!(last.is_empty(), "{name}");
        for line in lines {
            assert!(line.ends_with(b"\r") && !line[..line.len() - 1].contains(&b'\r'), "{name}: a bare line ending");
            assert!(line.len() <= 999, "{name}: a line of {}", line.len());
        }
        assert_eq!(bytes.is_ascii(), !sample.eight_bit, "{name}");
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        assert_eq!(bytes[..end].is_ascii(), !sample.smtputf8, "{name}: its header");
    }
}

#[test]
fn an_attachment_has_the_size_that_was_asked_for() {
    let bytes = with_attachment("big", 3_000_000);
    let encoded = 4_000_000 + 2 * 4_000_000_usize.div_ceil(76);
    assert!((encoded..encoded + 1_000).contains(&bytes.len()), "{}", bytes.len());
    assert_eq!(with_attachment("big", 1_000), with_attachment("big", 1_000));
}

#[test]
fn recipients_differ() {
    let mut addresses = recipients(100, "a.test");
    addresses.dedup();
    assert_eq!(addresses.len(), 100);
    assert_eq!(addresses[99], "bob+100@a.test");
}
