use posthouse_mail::{Address, ReversePath};

use super::*;

fn all() -> Capabilities {
    Capabilities { size: true, eight_bit_mime: true, dsn: true, ..Capabilities::default() }
}

#[test]
fn quoted_local_parts_stay_quoted() {
    let address: Address = r#""a b>@c"@x.example"#.parse().unwrap();
    let envelope = Envelope::new(ReversePath::from(address.clone()), vec![]);
    assert_eq!(mail(&envelope, 7, false, &Capabilities::default(), UnixMillis(0)), r#"MAIL FROM:<"a b>@c"@x.example>"#);
    assert_eq!(rcpt(&address.into(), &all()), r#"RCPT TO:<"a b>@c"@x.example>"#);
}

#[test]
fn the_null_path_is_written_out() {
    assert_eq!(mail(&Envelope::new(ReversePath::NULL, vec![]), 7, false, &all(), UnixMillis(0)), "MAIL FROM:<> SIZE=7");
}

#[test]
fn an_original_recipient_that_cannot_be_written_is_left_out() {
    let mut recipient = Recipient::from("b@y.example".parse::<Address>().unwrap());
    let rows = [
        ("rfc822", "x".repeat(600), ""),
        ("rfc 822", "x".to_owned(), ""),
        ("x\r\nRSET", "x".to_owned(), ""),
        ("", "x".to_owned(), ""),
        ("utf-8", "ü+\\@x".to_owned(), " ORCPT=utf-8;\\x{FC}\\x{2B}\\x{5C}@x"),
    ];
    for (kind, address, expected) in rows {
        recipient.orcpt = Some(OriginalRecipient { kind: kind.to_owned(), address });
        assert_eq!(rcpt(&recipient, &all()), format!("RCPT TO:<b@y.example>{expected}"), "{kind:?}");
    }
}

#[test]
fn never_is_a_wish_too() {
    let mut recipient = Recipient::from("b@y.example".parse::<Address>().unwrap());
    recipient.notify = Some(Notify::default());
    assert_eq!(rcpt(&recipient, &all()), "RCPT TO:<b@y.example> NOTIFY=NEVER");
}

#[test]
fn line_breaks_are_seen_wherever_they_stand() {
    for bad in ["a\rb", "a\nb", "a\0b", "\r\n"] {
        assert!(!is_one_line(bad), "{bad:?}");
    }
    assert!(is_one_line("MAIL FROM:<>"));
}
