use super::*;

fn builder() -> MessageBuilder {
    Message::builder().from("Alice <a@x.example>").to("b@y.example").subject("s").text("hi\n")
}

fn text(message: &Message) -> String {
    String::from_utf8(message.bytes().to_vec()).unwrap()
}

#[test]
fn blind_copies_stand_in_the_envelope_alone() {
    let message = builder().cc("c@y.example").bcc("Secret <d@y.example>").bcc("b@y.example").build().unwrap();
    let to: Vec<String> = message.envelope().recipients.iter().map(|r| r.address.to_string()).collect();
    assert_eq!(to, ["b@y.example", "c@y.example", "d@y.example"]);
    let text = text(&message);
    assert!(!text.contains("d@y.example") && !text.contains("Secret") && !text.to_lowercase().contains("bcc"));
    assert!(text.contains("To: <b@y.example>\r\n") && text.contains("Cc: <c@y.example>\r\n"));
}

#[test]
fn every_letter_has_a_date_and_an_id_of_its_own() {
    let (one, other) = (builder().build().unwrap(), builder().build().unwrap());
    assert_ne!(one.message_id(), other.message_id());
    assert!(one.message_id().unwrap().ends_with("@x.example"));
    let text = text(&one);
    assert!(text.contains(&format!("Message-ID: <{}>\r\n", one.message_id().unwrap())) && text.contains("Date: "));
}

#[test]
fn the_first_mistake_is_told() {
    assert_eq!(Message::builder().to("b@y.example").build().unwrap_err(), MessageError::NoSender);
    assert_eq!(Message::builder().from("a@x.example").build().unwrap_err(), MessageError::NoRecipient);
    assert!(
        matches!(builder().to("nobody").cc("@").build(), Err(MessageError::Part(ComposeError::Mailbox { text, .. })) if text == "nobody")
    );
    assert!(matches!(builder().attach_file("/nowhere/x.pdf").build(), Err(MessageError::File { .. })));
    assert!(matches!(builder().subject("a\r\nBcc: x@y").build(), Err(MessageError::Part(ComposeError::Control { .. }))));
    assert!(matches!(builder().to("b@y.example\r\nRCPT TO:<x@y>").build(), Err(MessageError::Part(_))));
    assert!(matches!(builder().field("Bcc", "x@y").build(), Err(MessageError::Part(ComposeError::FieldName(_)))));
}

#[test]
fn a_file_is_attached_under_its_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.PDF");
    std::fs::write(&path, b"\0\r\n\xff").unwrap();
    let message = builder().attach_file(&path).build().unwrap();
    let parsed = mime::parse(message.bytes(), &Limits::default()).unwrap();
    let [attachment] = parsed.attachments.as_slice() else { panic!() };
    assert_eq!((attachment.name.as_deref(), attachment.content_type.as_str()), (Some("a b.PDF"), "application/pdf"));
    assert_eq!(attachment.content, b"\0\r\n\xff");
}

#[test]
fn a_given_letter_keeps_everything_but_line_ends_and_blind_copies() {
    let eml = b"From: a@x.example\nBcc: c@y.example,\n d@y.example\nMessage-ID: <1@x>\nX: 1\n\nh\xc3\xa9\n.\nBcc: text";
    let message = Message::from_eml(eml, ReversePath::NULL, vec!["b@y.example".parse().unwrap()]).unwrap();
    assert_eq!(text(&message), "From: a@x.example\r\nMessage-ID: <1@x>\r\nX: 1\r\n\r\nhé\r\n.\r\nBcc: text\r\n");
    assert_eq!(message.message_id(), Some("1@x"));
    assert_eq!((message.envelope().body, message.envelope().smtputf8), (BodyKind::EightBitMime, false));
    assert_eq!(message.envelope().recipients.len(), 1);
}

#[test]
fn the_envelope_can_be_read_from_the_header() {
    let eml = b"From: Al <a@x.example>\nTo: b@y.example, \"C\" <c@y.example>\nCc: b@y.example\nBcc: d@y.example\n\nhi\n";
    let message = Message::from_eml_headers(eml).unwrap();
    assert_eq!(message.envelope().reverse_path.to_string(), "a@x.example");
    let to: Vec<String> = message.envelope().recipients.iter().map(|r| r.address.to_string()).collect();
    assert_eq!(to, ["b@y.example", "c@y.example", "d@y.example"]);
    assert!(!text(&message).contains("d@y.example"));
    assert_eq!(Message::from_eml_headers(b"To: b@y.example\n\nhi").unwrap_err(), MessageError::NoSender);
    assert_eq!(Message::from_eml_headers(b"From: a@x.example\n\nhi").unwrap_err(), MessageError::NoRecipient);
    assert!(matches!(Message::from_eml_headers(b"From: a@x.example\nTo: b\n\nhi"), Err(MessageError::Address { .. })));
}

#[test]
fn what_is_not_a_letter_is_refused() {
    let to = || vec!["b@y.example".parse().unwrap()];
    assert_eq!(Message::from_eml(b"A: b\n\n\0", ReversePath::NULL, to()).unwrap_err(), MessageError::Nul);
    assert!(matches!(Message::from_eml(b"just text\n\nhi", ReversePath::NULL, to()), Err(MessageError::Header(_))));
    assert_eq!(Message::from_eml(b"A: b\n\nhi", ReversePath::NULL, vec![]).unwrap_err(), MessageError::NoRecipient);
}
