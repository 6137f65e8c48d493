use super::*;

fn received(helo: &str, tls: Option<&str>) -> String {
    received_with(helo, tls, Priority::default())
}

fn received_with(helo: &str, tls: Option<&str>, priority: Priority) -> String {
    let (by, to) = ("mail.example.test".parse().unwrap(), "bob@example.test".parse().unwrap());
    let at = UnixMillis(1_790_000_000_000);
    let peer = "192.0.2.7".parse().unwrap();
    let (user, id) = (None, LetterId::new(at, 1));
    Received { helo, peer, user, by: &by, with: "ESMTPS", tls, id, only_recipient: Some(&to), priority, at }.to_field()
}

#[test]
fn a_user_of_this_machine_stands_by_number_where_a_peer_would() {
    let (at, by, peer) = (UnixMillis(1_790_000_000_000), "mail.example.test".parse().unwrap(), "127.0.0.1".parse().unwrap());
    let (helo, with, tls, only_recipient, priority) = ("localhost", "ESMTP", None, None, Priority::default());
    let id = LetterId::new(at, 1);
    let field = Received { helo, peer, user: Some(1000), by: &by, with, tls, id, only_recipient, priority, at }.to_field();
    assert_eq!(
        field,
        "Received: by mail.example.test (Posthouse, from userid 1000)\r\n\tid 01M3250V000000000000000001;\r\n\tMon, 21 Sep 2026 14:13:20 +0000\r\n"
    );
}

#[test]
fn a_received_field_says_from_by_with_id_for_and_when() {
    assert_eq!(
        received("client.example", Some("TLSv1.3, TLS_AES_128_GCM_SHA256")),
        "Received: from client.example ([192.0.2.7])\r\n\t(using TLSv1.3, TLS_AES_128_GCM_SHA256)\r\n\
         \tby mail.example.test with ESMTPS id 01M3250V000000000000000001\r\n\tfor <bob@example.test>;\r\n\tMon, 21 Sep 2026 14:13:20 +0000\r\n"
    );
}

#[test]
fn a_priority_is_said_where_there_is_one() {
    let field = received_with("client.example", None, Priority::new(-4).unwrap());
    assert!(field.contains("\r\n\tfor <bob@example.test>\r\n\tPRIORITY -4;\r\n"), "{field}");
}

#[test]
fn a_hostile_hello_adds_no_line_and_closes_no_comment() {
    let field = received("x\r\nSubject: forged) by evil (", None);
    assert_eq!(field.matches("\r\n").count(), 4);
    assert!(field.starts_with("Received: from [192.0.2.7] ([192.0.2.7] helo=x??Subject: forged? by evil ?)\r\n"), "{field}");
}

#[test]
fn the_keyword_says_how_the_letter_came() {
    for (lmtp, extended, tls, login, utf8, expected) in [
        (false, false, false, false, false, "SMTP"),
        (false, true, false, false, false, "ESMTP"),
        (false, true, true, false, false, "ESMTPS"),
        (false, true, true, true, false, "ESMTPSA"),
        (false, true, false, true, false, "ESMTPA"),
        (false, true, true, true, true, "UTF8SMTPSA"),
        (true, true, true, false, false, "LMTPS"),
    ] {
        assert_eq!(Received::with(lmtp, extended, tls, login, utf8), expected);
    }
}
