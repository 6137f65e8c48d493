use super::*;

#[test]
fn a_lone_dot_ends_the_letter_and_a_line_that_begins_with_one_does_not() {
    let mut octets = b"A: b\n\n.x\n.\nrest\n".to_vec();
    cut_at_dot(&mut octets);
    assert_eq!(octets, b"A: b\n\n.x\n");
    let mut octets = b"A: b\n\nx".to_vec();
    cut_at_dot(&mut octets);
    assert_eq!(octets, b"A: b\n\nx");
}

fn options(words: &[&str]) -> Options {
    Options::parse(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn what_programs_leave_out_is_put_in_and_what_they_give_is_kept() {
    let options = options(&["-f", "root@x.test", "-FCron \"D\""]);
    let text = |octets: &[u8]| String::from_utf8(completed(octets.to_vec(), &options, "x.test").unwrap()).unwrap();
    let made = text(b"Subject: s\n\nhi\n");
    assert!(made.starts_with("From: \"Cron  D \" <root@x.test>\r\nDate: "), "{made}");
    assert!(made.contains("\r\nMessage-ID: <") && made.ends_with("\r\nSubject: s\r\n\r\nhi\r\n"));
    let given = "From: a@x.test\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\nhi\r\n";
    assert_eq!(text(given.as_bytes()), given);
    assert!(text(b"just text\nand more\n").ends_with("\r\n\r\njust text\r\nand more\r\n"));
}

#[test]
fn a_name_without_a_domain_is_this_systems() {
    let kept = "\"root, the\" <a@y.test>, (root) b@y.test";
    for (given, made) in [
        ("root (Cron Daemon)", "\"Cron Daemon\" <root@x.test>"),
        ("root", "root@x.test"),
        ("root, a@y.test,  bob", "root@x.test, a@y.test, bob@x.test"),
        ("Root <root>", "Root <root@x.test>"),
        ("\"Doe, John\" <john>", "\"Doe, John\" <john@x.test>"),
        (kept, kept),
        ("undisclosed-recipients:;", "undisclosed-recipients:;"),
        ("two words", "two words"),
    ] {
        let letter = format!("To: {given}\n\nhi\n");
        let text = String::from_utf8(completed(letter.into_bytes(), &options(&[]), "x.test").unwrap()).unwrap();
        assert!(text.contains(&format!("\r\nTo: {made}\r\n\r\nhi\r\n")), "{given}: {text}");
    }
}

#[test]
fn a_name_beyond_ascii_is_encoded_and_no_character_is_parted() {
    assert_eq!(phrase("Grüße"), "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?=");
    let long = phrase(&"ü".repeat(40));
    assert!(long.split(' ').all(|word| word.len() <= 75 && (word.len() - 12) % 6 == 0), "{long}");
}

#[test]
fn crons_letter_has_an_envelope() {
    let cron = b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@box> df\n\nfull\n".to_vec();
    let letter =
        make(Given { head: cron, tail: None }, &options(&["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"]), "x.test")
            .unwrap();
    assert_eq!(letter.envelope().recipients[0].address.to_string(), "root@x.test");
}

#[test]
fn nobody_to_send_to_is_told_before_anything_is_sent() {
    for words in [&["-i"][..], &["-t"]] {
        let made = make(Given { head: b"Subject: s\n\nhi\n".to_vec(), tail: None }, &options(words), "x.test");
        assert!(matches!(made.unwrap_err().exit(), Exit::Usage | Exit::Data), "{words:?}");
    }
}
