use super::*;

fn builder() -> MessageBuilder {
    Message::builder().from("Alice <a@x.example>").to("b@y.example").subject("s").text("hi\n")
}

fn text(message: &Message) -> String {
    String::from_utf8(message.to_bytes().unwrap().to_vec()).unwrap()
}

#[test]
fn blind_copies_stand_in_the_envelope_alone() {
    let message = builder().cc("c@y.example").bcc("Secret <d@y.example>").bcc("b@y.example").build().unwrap();
    let to: Vec<String> = message.envelope().recipients.iter().map(|r| r.address.to_string()).collect();
    assert_eq!(to, ["b@y.example", "c@y.example", "d@y.example"]);
    let text = text(&message);
    assert!(!text.contains("d@y.example") && !text.contains("Secret") && !text.to_lowercase().contains("bcc"));
    assert!(text.contains("To: b@y.example\r\n") && text.contains("Cc: c@y.example\r\n"));
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
    let parsed = mime::parse(&message.to_bytes().unwrap(), &Limits::default()).unwrap();
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

#[test]
fn a_large_file_is_read_while_it_is_sent_and_each_time_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.bin");
    let content: Vec<u8> = (0..1_000_003u32).map(|n| n.to_le_bytes()[usize::try_from(n % 3).unwrap()]).collect();
    std::fs::write(&path, &content).unwrap();
    let message = builder().attach_file(&path).build().unwrap();
    assert!(message.segments.len() > 2, "it is not in memory");
    for _ in 0..2 {
        let now = message.to_bytes().unwrap();
        let parsed = mime::parse(&now, &Limits::default()).unwrap();
        assert!(parsed.attachments[0].content == content);
        let sent =
            posthouse_runtime::block_on(posthouse_runtime::stream::collect(&mut message.body(), 10_000_000)).unwrap().unwrap();
        assert!(sent == now && u64::try_from(sent.len()).unwrap() == message.size());
    }
    for changed in [&content[1..], &[content.as_slice(), b"x"].concat()] {
        std::fs::write(&path, changed).unwrap();
        assert!(message.to_bytes().is_err(), "what was announced is not what is there");
    }
    std::fs::remove_file(&path).unwrap();
    let gone = posthouse_runtime::block_on(posthouse_runtime::stream::collect(&mut message.body(), 10_000_000)).unwrap();
    assert_eq!(gone.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn an_answer_is_tied_to_its_thread() {
    let parent = b"From: Bob <b@y.example>\nReply-To: list@y.example\nSubject: RE: x\nMessage-ID: <3@y>\nReferences: <1@y>\n <2@y> <bad>\n\nhi\n";
    let answer = Message::reply(parent).unwrap().from("a@x.example").text("yes").build().unwrap();
    let text = text(&answer);
    assert!(text.contains("In-Reply-To: <3@y>\r\n") && text.contains("References: <1@y> <2@y> <3@y>\r\n"), "{text}");
    assert!(text.contains("Subject: RE: x\r\n") && text.contains("To: list@y.example\r\n"));
    let many: String = (0..200).map(|n| format!(" <{n}@y>")).collect();
    let long = Message::reply(format!("From: b@y.example\nReferences:{many}\nMessage-ID: <200@y>\n\nhi\n").as_bytes()).unwrap();
    assert_eq!((long.references.len(), long.references[0].as_str(), long.references[49].as_str()), (50, "0@y", "200@y"));
    assert_eq!(Message::reply(b"Subject: x\n\nhi").unwrap_err(), MessageError::NoRecipient);
}

#[test]
fn what_somebody_else_wrote_cannot_add_a_field() {
    let parent = "From: =?utf-8?Q?a=0D=0ABcc:_x@y?= <b@y.example>\nSubject: =?utf-8?Q?s=0D=0ABcc:_x@y?=\n\nhi\n".as_bytes();
    let answer = Message::reply(parent).unwrap().from("a@x.example").text("yes").build().unwrap();
    assert!(!text(&answer).contains("\r\nBcc"));
    let passed_on = Message::forward(parent).unwrap().from("a@x.example").to("c@z.example").build().unwrap();
    assert!(!text(&passed_on).split("\r\n\r\n").next().unwrap().contains("\nBcc"));
}

#[test]
fn an_address_to_unsubscribe_at_is_https_and_nothing_else() {
    for bad in [
        "http://x.example",
        "https://x.example/a b",
        "https://x.example/>,<mailto:x@y>",
        "mailto:a@x.example",
        "https://ü.example",
    ] {
        assert_eq!(builder().unsubscribe(bad).build().unwrap_err(), MessageError::Unsubscribe(bad.to_owned()));
    }
}
