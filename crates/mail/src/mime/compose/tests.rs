use super::*;
use crate::mime::{Limits, parse};

const CALENDAR: &str = "BEGIN:VCALENDAR\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:1\nDTSTAMP:20261224T120000Z\nORGANIZER:mailto:a@x.example\n\
                        ATTENDEE:mailto:b@y.example\nSUMMARY:Grüße\nEND:VEVENT\nEND:VCALENDAR\n";

fn letter() -> Composition {
    Composition {
        from: "Alice Ärmel <alice@x.example>".parse().unwrap(),
        sender: None,
        to: vec!["bob@y.example".parse().unwrap()],
        cc: vec![],
        reply_to: vec![],
        subject: "Grüße".to_owned(),
        date: UnixMillis(1_795_490_000_000),
        message_id: "1@x.example".to_owned(),
        in_reply_to: vec![],
        references: vec![],
        text: Some("hello\n.\nworld".to_owned()),
        flowed: false,
        html: None,
        amp: None,
        calendar: None,
        inline: vec![],
        attachments: vec![],
        fields: vec![],
        boundary: 7,
    }
}

fn file(name: &str, content_type: &str, content: impl Into<Bytes>) -> Attachment {
    Attachment { name: name.to_owned(), content_type: content_type.to_owned(), content: Content::Here(content.into()) }
}

fn bytes(composition: &Composition) -> Bytes {
    let composed = compose(composition).unwrap();
    let bytes = composed.to_bytes().unwrap();
    assert_eq!(composed.size(), u64::try_from(bytes.len()).unwrap());
    bytes
}

fn text(composition: &Composition) -> String {
    String::from_utf8(bytes(composition).to_vec()).unwrap()
}

/// The letter's lines, none of which is too long or ends otherwise than by CRLF.
fn assert_lines(letter: &[u8], longest: usize) {
    for line in letter.split_inclusive(|&b| b == b'\n') {
        assert!(line.ends_with(b"\r\n") && line.len() <= longest + 2, "{:?}", String::from_utf8_lossy(line));
        assert!(!line.iter().rev().skip(2).any(|&b| b == b'\r'));
    }
}

#[test]
fn what_is_made_can_be_read_back() {
    let mut all = letter();
    all.html = Some("<p>héllo <img src='cid:pic@x'></p>\n".to_owned());
    all.amp = Some("<!doctype html><html ⚡4email></html>".to_owned());
    all.calendar = Some(Calendar::parse(CALENDAR).unwrap());
    all.inline = vec![Inline { content_id: "pic@x".to_owned(), file: file("p.png", "image/png", &b"\x89PNG"[..]) }];
    all.cc = vec!["\"C, D\" <c@y.example>".parse().unwrap(), "d@y.example".parse().unwrap()];
    all.sender = Some("s@x.example".parse().unwrap());
    all.in_reply_to = vec!["0@y.example".to_owned()];
    all.references = vec!["00@y.example".to_owned(), "0@y.example".to_owned()];
    let odd: Vec<u8> = (0..=255).chain(*b"\r\n\n\r.\r\nFrom x\n").collect();
    let mixed = "a\nb\r\nc\rd é \n.\nFrom x =\t\n".as_bytes().to_vec();
    let files =
        [("a.bin", "application/pdf", &odd), ("zwölf \"x\".txt", "text/plain", &mixed), ("b.eml", "message/rfc822", &odd)];
    all.attachments = files.map(|(name, content_type, content)| file(name, content_type, content.clone())).to_vec();
    let made = bytes(&all);
    assert!(made.is_ascii());
    assert_lines(&made, 78);
    let read = parse(&made, &Limits::default()).unwrap();
    assert_eq!(read.from[0].name.as_deref(), Some("Alice Ärmel"));
    assert_eq!(read.to[0].address, "bob@y.example");
    assert_eq!((read.cc[0].name.as_deref(), read.cc.len()), (Some("C, D"), 2));
    assert_eq!(read.subject.as_deref(), Some("Grüße"));
    assert_eq!(read.date, Some(1_795_490_000));
    assert_eq!(read.message_id.as_deref(), Some("1@x.example"));
    assert_eq!((read.in_reply_to, read.references), (all.in_reply_to.clone(), all.references.clone()));
    assert_eq!(read.text.as_deref().map(str::trim_end), Some("hello\r\n.\r\nworld"));
    assert_eq!(read.html.as_deref().map(str::trim_end), Some("<p>héllo <img src='cid:pic@x'></p>"));
    let parts: Vec<_> =
        read.attachments.iter().map(|a| (a.name.as_deref().unwrap_or_default(), a.content_type.as_str())).collect();
    let files: Vec<_> = parts.iter().filter(|(name, _)| !name.is_empty()).copied().collect();
    let expected = [
        ("p.png", "image/png"),
        ("a.bin", "application/pdf"),
        ("zwölf \"x\".txt", "text/plain"),
        ("b.eml", "application/octet-stream"),
    ];
    assert_eq!(files, expected);
    let calendar = read.attachments.iter().find(|part| part.content_type == "text/calendar").unwrap();
    assert_eq!(String::from_utf8(calendar.content.clone()).unwrap(), CALENDAR.replace('\n', "\r\n"));
    assert!(String::from_utf8_lossy(&made).contains("text/calendar; charset=utf-8; method=REQUEST; component=VEVENT\r\n"));
    let named = |name: &str| read.attachments.iter().find(|a| a.name.as_deref() == Some(name)).unwrap();
    assert_eq!(named("p.png").content_id.as_deref(), Some("pic@x"));
    assert_eq!((&named("a.bin").content, &named("b.eml").content), (&odd, &odd));
    assert_eq!(named("zwölf \"x\".txt").content, mixed);
}

#[test]
fn the_order_of_the_alternatives_is_from_the_plainest_to_the_richest() {
    let made = text(&Composition { html: Some("<b>x</b>".to_owned()), amp: Some("<html amp4email>".to_owned()), ..letter() });
    let at = |part: &str| made.find(part).unwrap();
    assert!(at("multipart/alternative") < at("text/plain") && at("text/plain") < at("text/x-amp-html"));
    assert!(at("text/x-amp-html") < at("text/html"));
}

#[test]
fn html_alone_is_given_a_text() {
    let made = bytes(&Composition { text: None, html: Some("<p>One</p><p>Two</p>".to_owned()), ..letter() });
    assert_eq!(parse(&made, &Limits::default()).unwrap().text.as_deref(), Some("One\r\n\r\nTwo\r\n"));
    let empty = text(&Composition { text: None, html: Some("<img src='x'>".to_owned()), ..letter() });
    assert!(!empty.contains("text/plain"), "nothing to say is no alternative");
}

#[test]
fn names_and_subjects_arrive_whatever_is_in_them() {
    let long = "ein sehr langer Betreff mit Umlauten äöü ".repeat(20);
    let subjects = [
        "a",
        "a  b",
        "=?utf-8?Q?x?=",
        "ü",
        "ü und ä",
        "plain ü plain",
        "👩‍👩‍👧‍👦 family",
        &long,
        &"x".repeat(2000),
        &"y ".repeat(900),
        "Re: \"q\" (c) <x@y>",
    ];
    for subject in subjects {
        let made = bytes(&Composition { subject: subject.to_owned(), ..letter() });
        assert_lines(&made, 998);
        assert!(!String::from_utf8_lossy(&made).contains(":\r\n"), "an empty first line is read as a space by some");
        assert_eq!(parse(&made, &Limits::default()).unwrap().subject.as_deref(), Some(subject.trim()), "{subject}");
    }
    for name in [
        "Al",
        "Al B. C",
        "O'Hara",
        "a\"b\\c",
        "Müller, Jürgen",
        "(x)",
        "=?x?=",
        "<x@y>",
        &"ß".repeat(200),
        &"n".repeat(300),
        "日本語の名前です",
    ] {
        let mut composition = letter();
        composition.cc = vec![
            Mailbox { name: Some(name.to_owned()), address: "c@y.example".parse().unwrap() },
            "d@y.example".parse().unwrap(),
        ];
        let made = bytes(&composition);
        assert_lines(&made, 998);
        let read = parse(&made, &Limits::default()).unwrap();
        assert_eq!(read.cc.iter().map(|m| m.address.as_str()).collect::<Vec<_>>(), ["c@y.example", "d@y.example"], "{name}");
        assert_eq!(read.cc[0].name.as_deref(), Some(name));
    }
}

#[test]
fn file_names_arrive_without_folders_and_whatever_is_in_them() {
    let long = format!("{}.pdf", "n".repeat(300));
    let rows = [
        ("a.pdf", "a.pdf"),
        ("Zwölf Bücher 📚.pdf", "Zwölf Bücher 📚.pdf"),
        (&long, &long),
        ("a\"b;c.pdf", "a\"b;c.pdf"),
        ("100%.pdf", "100%.pdf"),
        ("it's.pdf", "it's.pdf"),
        ("=?utf-8?Q?word?=.pdf", "=?utf-8?Q?word?=.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x.doc", "x.doc"),
        ("..", "attachment"),
        ("", "attachment"),
    ];
    for (given, arrives) in rows {
        let made = bytes(&Composition { attachments: vec![file(given, "application/pdf", &b"x"[..])], ..letter() });
        assert_lines(&made, 78);
        assert_eq!(parse(&made, &Limits::default()).unwrap().attachments[0].name.as_deref(), Some(arrives), "{given}");
    }
}

#[test]
fn texts_travel_in_the_encoding_that_suits_them() {
    let rows = [
        ("plain\n", "7bit"),
        ("", "7bit"),
        ("a\tb\n", "7bit"),
        ("Grüße aus Köln, und noch viel mehr Text\n", "quoted-printable"),
        ("trailing \n", "quoted-printable"),
        ("From here\n", "quoted-printable"),
        ("\0", "quoted-printable"),
        (&"long ".repeat(30), "quoted-printable"),
        (&format!("{}=20", "x".repeat(73)), "7bit"),
        (&format!("{}=é", "x".repeat(73)), "quoted-printable"),
        (&format!("é{} ", "x".repeat(200)), "quoted-printable"),
        (&format!("é{}.From x", "x".repeat(69)), "quoted-printable"),
        ("Привет, мир", "base64"),
    ];
    for (words, encoding) in rows {
        let made = bytes(&Composition { text: Some(words.to_owned()), ..letter() });
        assert_lines(&made, 78);
        let shown = String::from_utf8_lossy(&made).into_owned();
        assert!(shown.contains(&format!("Content-Transfer-Encoding: {encoding}\r\n")), "{words:?} {shown}");
        let end = if words.is_empty() || words.ends_with('\n') { "" } else { "\n" };
        let read = parse(&made, &Limits::default()).unwrap().text.unwrap();
        assert_eq!(read.replace("\r\n", "\n"), format!("{words}{end}"));
        let body = shown.split_once("\r\n\r\n").unwrap().1;
        assert!(!body.lines().any(|line| line.starts_with("From ") || line.ends_with(' ')), "{body}");
    }
}

#[test]
fn flowed_text_is_put_together_again() {
    let words = format!("{}\n > quoted\nFrom me\nend \n-- \nAl\n", "many words ".repeat(20));
    let made = text(&Composition { text: Some(words), flowed: true, ..letter() });
    assert!(made.contains("Content-Type: text/plain; charset=utf-8; format=flowed\r\n"));
    let body = text(&Composition { text: Some("x ".repeat(100)), flowed: true, ..letter() });
    let body = body.split_once("\r\n\r\n").unwrap().1.replace("=20\r\n", " \r\n");
    let lines: Vec<&str> = body.lines().collect();
    let (last, flowing) = lines.split_last().unwrap();
    assert!(flowing.len() > 1 && flowing.iter().all(|line| line.ends_with(' ') && line.len() <= 73) && !last.ends_with(' '));
}

#[test]
fn a_letter_in_a_letter_travels_as_it_is_when_it_can() {
    let inner = "Subject: inner\r\n\r\ngrüße\r\n";
    let composition = Composition { attachments: vec![file("x.eml", "message/rfc822", inner.as_bytes().to_vec())], ..letter() };
    let composed = compose(&composition).unwrap();
    assert!(composed.eight_bit);
    assert!(text(&composition).contains(&format!("Content-Transfer-Encoding: 8bit\r\n\r\n{inner}\r\n--")));
    for broken in ["", "Subject: x\n\nbare", "a\0\r\n", &format!("{}\r\n", "x".repeat(1000))] {
        let composition = Composition { attachments: vec![file("x.eml", "message/rfc822", broken.to_owned())], ..letter() };
        assert!(text(&composition).contains("application/octet-stream"), "{broken:?}");
    }
}

#[test]
fn a_large_file_is_a_place_in_the_letter() {
    let elsewhere = Attachment { content: Content::Elsewhere { len: 100_000_001, key: 3 }, ..file("x", "a/b", &b""[..]) };
    let composed = compose(&Composition { attachments: vec![elsewhere], ..letter() }).unwrap();
    assert_eq!(composed.to_bytes(), None);
    let places: Vec<_> = composed.segments.iter().filter(|segment| matches!(segment, Segment::Base64 { .. })).collect();
    assert!(
        matches!(places.as_slice(), [Segment::Base64 { content: Content::Elsewhere { key: 3, .. }, len: 136_842_108 }]),
        "{places:?}"
    );
    for len in [0, 1, 2, 3, 56, 57, 58, 114, 1000] {
        let mut made = Vec::new();
        base64_lines(&vec![7; len], &mut made);
        assert_eq!(base64_len(len.try_into().unwrap()), u64::try_from(made.len()).unwrap(), "{len}");
    }
    let here = Composition { attachments: vec![file("x", "a/b", vec![7; 100_000])], ..letter() };
    assert!(compose(&here).unwrap().segments.len() > 1);
    assert_eq!(parse(&bytes(&here), &Limits::default()).unwrap().attachments[0].content, vec![7; 100_000]);
}

#[test]
fn a_line_break_in_any_field_is_refused() {
    for bad in ["a\r\nBcc: x@y", "a\nb", "a\rb", "a\0b", "a\u{2028}b", "a\u{85}b"] {
        let breaks: [fn(&mut Composition, String); 9] = [
            |c, bad| c.subject = bad,
            |c, bad| c.from.name = Some(bad),
            |c, bad| c.cc = vec![Mailbox { name: Some(bad), address: "x@y.example".parse().unwrap() }],
            |c, bad| c.sender = Some(Mailbox { name: Some(bad), address: "x@y.example".parse().unwrap() }),
            |c, bad| c.attachments = vec![file(&bad, "a/b", &b""[..])],
            |c, bad| c.inline = vec![Inline { content_id: bad, file: file("x", "a/b", &b""[..]) }],
            |c, bad| c.references = vec![bad],
            |c, bad| c.fields = vec![("X-A".to_owned(), bad)],
            |c, bad| c.fields = vec![(bad, "x".to_owned())],
        ];
        for (which, change) in breaks.iter().enumerate() {
            let mut composition = letter();
            change(&mut composition, bad.to_owned());
            assert!(compose(&composition).is_err(), "{which} {bad:?}");
        }
        assert!(format!("{bad} <x@y.example>").parse::<Mailbox>().is_err());
    }
}

#[test]
fn fields_that_the_letter_makes_itself_cannot_be_given() {
    for bad in
        ["Bcc", "bcc", "From", "SUBJECT", "Content-Type", "content-transfer-encoding", "Date", "", "a b", "a:", "ü", "Resent-Bcc"]
    {
        let composition = Composition { fields: vec![(bad.to_owned(), "x".to_owned())], ..letter() };
        assert_eq!(compose(&composition), Err(ComposeError::FieldName(bad.to_owned())));
    }
    let composition = Composition { fields: vec![("X-Mailer".to_owned(), "Posthouse".to_owned())], ..letter() };
    assert!(text(&composition).contains("\r\nX-Mailer: Posthouse\r\n"));
}

#[test]
fn broken_types_and_ids_are_refused() {
    for bad in ["text", "text/", "/x", "text/plain; a=b", "text/pl ain", "multipart/mixed", "a/b\r\nc"] {
        let composition = Composition { attachments: vec![file("x", bad, &b""[..])], ..letter() };
        assert_eq!(compose(&composition), Err(ComposeError::ContentType(bad.to_owned())));
    }
    for bad in ["", "x", "@x", "x@", "a b@c", "<a@b>", "a@b\r\nc"] {
        let composition = Composition { message_id: bad.to_owned(), ..letter() };
        assert_eq!(compose(&composition), Err(ComposeError::MessageId(bad.to_owned())));
    }
}

#[test]
fn an_address_beyond_ascii_needs_smtputf8_and_a_domain_does_not() {
    let composed = compose(&Composition { to: vec!["böb@y.example".parse().unwrap()], ..letter() }).unwrap();
    assert!(composed.needs_smtputf8 && !composed.to_bytes().unwrap().is_ascii());
    let composed = compose(&Composition { to: vec!["bob@bücher.example".parse().unwrap()], ..letter() }).unwrap();
    assert!(!composed.needs_smtputf8 && composed.to_bytes().unwrap().is_ascii());
}

#[test]
fn the_same_words_make_the_same_letter() {
    assert_eq!(compose(&letter()), compose(&letter()));
}

#[test]
fn mailboxes_are_read_as_people_write_them() {
    let rows = [
        ("a@x.example", None, "a@x.example"),
        ("<a@x.example>", None, "a@x.example"),
        (" Al <a@x.example> ", Some("Al"), "a@x.example"),
        ("\"Al, B.\" <a@x.example>", Some("Al, B."), "a@x.example"),
        ("\"Al \\\"B\\\"\" <a@x.example>", Some("Al \"B\""), "a@x.example"),
    ];
    for (given, name, address) in rows {
        let mailbox: Mailbox = given.parse().unwrap();
        assert_eq!((mailbox.name.as_deref(), mailbox.address.to_string().as_str()), (name, address), "{given}");
    }
    for bad in ["", "Al", "<>", "Al <>", "a@x.example, b@x.example", "a@x.example>", "Al a@x.example"] {
        assert!(bad.parse::<Mailbox>().is_err(), "{bad}");
    }
}
