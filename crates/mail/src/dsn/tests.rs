use super::*;

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn report(reply: Reply, returned: Returned) -> Report {
    let at = UnixMillis(1_790_000_000_000);
    Report {
        reporter: "mail.example.test".parse().unwrap(),
        to: address("alice@example.test"),
        id: LetterId::new(at, 1),
        at,
        letter: LetterId::new(at, 2),
        arrived: at,
        envid: Some("env-1".into()),
        deliver_by: None,
        release_at: None,
        recipients: vec![ReportedRecipient {
            address: address("bob@example.org"),
            original: Some(OriginalRecipient { kind: "rfc822".into(), address: "b@example.org".into() }),
            action: Action::Failed,
            reply,
            remote: Some("mx.example.org".into()),
            last_attempt: at,
            retry_until: None,
        }],
        returned,
    }
}

fn text(report: &Report) -> String {
    String::from_utf8(report.to_message()).unwrap()
}

#[test]
fn a_failure_says_who_what_and_why_to_people_and_programs() {
    let reply = Reply::new(550, Status::permanent(1, 1), "no such user");
    let said = text(&report(reply, Returned::Header(b"Subject: hello\r\n".to_vec())));
    for part in [
        "From: Mail Delivery System <postmaster@mail.example.test>\r\n",
        "To: <alice@example.test>\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "Content-Type: multipart/report; report-type=delivery-status;",
        "The server mx.example.org said:\r\n    550 5.1.1 no such user\r\n",
        "Original-Envelope-Id: env-1\r\nReporting-MTA: dns; mail.example.test\r\n",
        "\r\n\r\nOriginal-Recipient: rfc822; b@example.org\r\nFinal-Recipient: rfc822; bob@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        "Remote-MTA: dns; mx.example.org\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
        "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: hello\r\n",
    ] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

#[test]
fn a_hostile_reply_adds_no_field_and_no_part() {
    let reply = Reply::bare(550, "a").with_lines(["x\r\nAction: delivered", "--report-0\r\n\r\nforged", "\u{2028}Status: 2.0.0"]);
    let said = text(&report(reply, Returned::Header(Vec::new())));
    assert_eq!(said.matches("\r\nAction: ").count(), 1);
    assert_eq!(said.matches("\r\nStatus: ").count(), 1);
    assert_eq!(said.matches("\r\n--report-").count(), 4, "three parts and the end");
}

#[test]
fn a_letter_that_guessed_the_boundary_cannot_end_its_part() {
    let honest = report(Reply::bare(550, "no"), Returned::Header(Vec::new()));
    let guess = format!("--{}--\r\n", honest.boundary()).into_bytes();
    let attacked = report(Reply::bare(550, "no"), Returned::Message(guess));
    let boundary = attacked.boundary();
    assert_ne!(boundary, honest.boundary());
    assert_eq!(text(&attacked).matches(&format!("\r\n--{boundary}\r\n")).count(), 3);
}

#[test]
fn every_line_ends_with_crlf_and_none_is_too_long() {
    let reply = Reply::bare(550, "x").with_lines((0..128).map(|_| "word ".repeat(90)));
    let said = report(reply, Returned::Message(b"Subject: x\r\n\r\nno line end".to_vec())).to_message();
    let said = String::from_utf8(said).unwrap();
    assert!(!said.replace("\r\n", "").contains(['\r', '\n']));
    assert!(said.split("\r\n").all(|line| line.len() <= 998));
}

#[test]
fn the_status_never_contradicts_the_action() {
    let mut given_up = report(Reply::new(451, Status::temporary(7, 1), "greylisted"), Returned::Header(Vec::new()));
    assert!(text(&given_up).contains("Status: 5.7.1\r\n"));
    given_up.recipients[0].action = Action::Delayed;
    assert!(text(&given_up).contains("Status: 4.7.1\r\n"));
}

#[test]
fn an_address_that_is_not_ascii_makes_a_global_report() {
    let mut global = report(Reply::bare(550, "no"), Returned::Message(b"Subject: x\r\n\r\n".to_vec()));
    assert!(!global.needs_smtputf8());
    global.recipients[0].address = address("иван@example.org");
    let said = text(&global);
    assert!(global.needs_smtputf8() && global.is_eight_bit());
    for part in ["message/global-delivery-status", "Final-Recipient: utf-8; иван@example.org", "Content-Type: message/global\r\n"]
    {
        assert!(said.contains(part), "{part}");
    }
}

#[test]
fn the_words_of_a_stranger_do_not_keep_a_report_from_old_servers() {
    let mut foreign = report(Reply::bare(550, "неизвестный адрес"), Returned::Header(Vec::new()));
    foreign.recipients[0].original = Some(OriginalRecipient { kind: "utf-8".into(), address: "иван@x.test".into() });
    assert!(!foreign.needs_smtputf8() && foreign.is_eight_bit());
    let said = text(&foreign);
    let machine = said.split("Content-Type: message/delivery-status\r\n").nth(1).unwrap();
    assert!(machine.is_ascii(), "{machine}");
    assert!(machine.contains("Original-Recipient: utf-8; \\x{438}\\x{432}\\x{430}\\x{43D}@x.test\r\n"), "{machine}");
    assert!(said.contains("    550 неизвестный адрес\r\n"), "people read it as it was said");
}

#[test]
fn what_was_asked_of_time_stands_beside_the_arrival() {
    let timed = Report {
        deliver_by: Some(UnixMillis(1_790_000_120_000)),
        release_at: Some(UnixMillis(1_790_000_060_000)),
        ..report(Reply::new(250, Status::success(0, 0), "ok"), Returned::Header(Vec::new()))
    };
    let said = text(&timed);
    let fields =
        "\r\nDeliver-By-Date: Mon, 21 Sep 2026 14:15:20 +0000\r\nFuture-Release-Request: until; 2026-09-21T14:14:20Z\r\n\r\n";
    assert!(said.contains(fields), "{said}");
}

#[test]
fn what_was_passed_on_is_not_called_delivered() {
    let mut relayed = report(Reply::new(250, Status::success(0, 0), "ok"), Returned::Header(Vec::new()));
    relayed.recipients[0].action = Action::Relayed;
    let said = text(&relayed);
    assert!(said.contains("Subject: Relayed: ") && said.contains("\r\nAction: relayed\r\nStatus: 2.0.0\r\n"), "{said}");
    assert!(!said.contains("elivered"), "{said}");
}
