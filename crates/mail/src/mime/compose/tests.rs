use super::*;
use crate::mime::{Limits, parse};

fn letter() -> Composition {
    Composition {
        from: "Alice Ärmel <alice@x.example>".parse().unwrap(),
        to: vec!["bob@y.example".parse().unwrap()],
        cc: vec![],
        reply_to: vec![],
        subject: "Grüße".to_owned(),
        date: UnixMillis(1_795_490_000_000),
        message_id: "1@x.example".to_owned(),
        text: Some("hello\n.\nworld".to_owned()),
        html: None,
        attachments: vec![],
        fields: vec![],
        boundary: 7,
    }
}

fn text(composition: &Composition) -> String {
    String::from_utf8(compose(composition).unwrap().bytes).unwrap()
}

#[test]
fn what_is_made_can_be_read_back() {
    let mut all = letter();
    all.html = Some("<p>héllo</p>\n".to_owned());
    all.cc = vec!["\"C, D\" <c@y.example>".parse().unwrap(), "d@y.example".parse().unwrap()];
    let odd: Vec<u8> = (0..=255).chain(*b"\r\n\n\r.\r\nFrom x\n").collect();
    let mixed = "a\nb\r\nc\rd é \n.\nFrom x =\t\n".as_bytes().to_vec();
    let files =
        [("a.bin", "application/pdf", &odd), ("zwölf \"x\".txt", "text/plain", &mixed), ("b.eml", "message/rfc822", &odd)];
    for (name, content_type, content) in files {
        all.attachments.push(Attachment {
            name: name.to_owned(),
            content_type: content_type.to_owned(),
            content: content.clone(),
        });
    }
    let composed = compose(&all).unwrap();
    assert!(composed.is_ascii() && !composed.needs_smtputf8);
    let lines: Vec<&[u8]> = composed.bytes.split(|&b| b == b'\n').collect();
    assert!(lines.iter().all(|line| line.len() <= 200 && (line.is_empty() || line.ends_with(b"\r"))));
    let read = parse(&composed.bytes, &Limits::default()).unwrap();
    assert_eq!(read.from[0].name.as_deref(), Some("Alice Ärmel"));
    assert_eq!(read.to[0].address, "bob@y.example");
    assert_eq!((read.cc[0].name.as_deref(), read.cc.len()), (Some("C, D"), 2));
    assert_eq!(read.subject.as_deref(), Some("Grüße"));
    assert_eq!(read.date, Some(1_795_490_000));
    assert_eq!(read.message_id.as_deref(), Some("1@x.example"));
    assert_eq!(read.text.as_deref().map(str::trim_end), Some("hello\r\n.\r\nworld"));
    assert_eq!(read.html.as_deref().map(str::trim_end), Some("<p>héllo</p>"));
    let names: Vec<_> = read.attachments.iter().map(|a| a.name.clone().unwrap()).collect();
    assert_eq!(names, ["a.bin", "zwölf \"x\".txt", "b.eml"]);
    let contents: Vec<_> = read.attachments.iter().map(|attachment| &attachment.content).collect();
    assert_eq!(contents, [&odd, &mixed, &odd]);
}

#[test]
fn a_line_break_in_any_field_is_refused() {
    for bad in ["a\r\nBcc: x@y", "a\nb", "a\rb", "a\0b", "a\u{2028}b", "a\u{85}b"] {
        let breaks: [fn(&mut Composition, String); 6] = [
            |c, bad| c.subject = bad,
            |c, bad| c.from.name = Some(bad),
            |c, bad| c.cc = vec![Mailbox { name: Some(bad), address: "x@y.example".parse().unwrap() }],
            |c, bad| c.attachments = vec![Attachment { name: bad, content_type: "a/b".to_owned(), content: vec![] }],
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
        let attachment = Attachment { name: "x".to_owned(), content_type: bad.to_owned(), content: vec![] };
        let composition = Composition { attachments: vec![attachment], ..letter() };
        assert_eq!(compose(&composition), Err(ComposeError::ContentType(bad.to_owned())));
    }
    for bad in ["", "x", "@x", "x@", "a b@c", "<a@b>", "a@b\r\nc"] {
        let composition = Composition { message_id: bad.to_owned(), ..letter() };
        assert_eq!(compose(&composition), Err(ComposeError::MessageId(bad.to_owned())));
    }
}

#[test]
fn an_address_beyond_ascii_needs_smtputf8() {
    let composition = Composition { to: vec!["böb@y.example".parse().unwrap()], ..letter() };
    let composed = compose(&composition).unwrap();
    assert!(composed.needs_smtputf8 && !composed.is_ascii());
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
