//! Whatever is given to a builder adds no field, no recipient and no command: over every setter, with what attackers write, at the beginning, in the middle and at the end.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use posthouse_client::mail::UnixMillis;
use posthouse_client::{Answer, Catcher, Event, Message, MessageBuilder, MessageError, block_on};

/// What is put into each value.
const POISONS: &[&str] = &[
    "\r\nEvil: yes\r\n",
    "\nEvil: yes",
    "\rEvil: yes",
    "\r\n\r\nEvil: yes",
    "\r\n\tEvil: yes\r\nEvil: yes",
    "\0",
    "\u{b}\u{c}\u{1b}\u{7f}",
    "\u{85}Evil: yes",
    "\u{2028}Evil: yes\u{2029}",
    "=?utf-8?q?=0D=0AEvil:_yes?=",
    "=?utf-8?b?DQpFdmlsOiB5ZXM=?=",
    "%0d%0aEvil: yes",
    "\\r\\nEvil: yes",
    "\"\r\nEvil: yes",
    "\"; x=\"\r\nEvil: yes",
    ">\r\nRCPT TO:<eve@z.example>\r\n",
    "> ORCPT=rfc822;eve@z.example",
    "\r\n.\r\nMAIL FROM:<eve@z.example>\r\n",
    ", eve@z.example",
    " <eve@z.example>, ",
    "(\r\nEvil: yes)",
];

/// The fields a letter may have here.
const FIELDS: &[&str] = &[
    "Date",
    "From",
    "Sender",
    "Reply-To",
    "Message-ID",
    "In-Reply-To",
    "References",
    "To",
    "Cc",
    "Subject",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "X-Field",
];

const OBJECT: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:PUBLISH\r\nBEGIN:VEVENT\r\nUID:1@x.example\r\nDTSTAMP:20261126T100000Z\r\nDTSTART:20261127T100000Z\r\nSUMMARY:x\r\nORGANIZER:mailto:a@x.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

/// Its name, a value that is right, what sets it, and whether the value is a text, in which lines are what they are.
type Setter = (&'static str, &'static str, fn(MessageBuilder, &str) -> MessageBuilder, bool);

fn event(uid: &str, summary: &str) -> Event {
    let at = |time| UnixMillis::from_rfc3339(time).unwrap();
    Event::new(uid, summary, at("2026-12-24T18:00:00Z"), at("2026-12-24T21:00:00Z"))
}

const SETTERS: &[Setter] = &[
    ("from", "Alice <a@x.example>", |b, v| b.from(v), false),
    ("sender", "Sec <s@x.example>", |b, v| b.sender(v), false),
    ("return_path", "r@x.example", |b, v| b.return_path(v), false),
    ("to", "Bob <b@y.example>", |b, v| b.to(v), false),
    ("cc", "Carol <c@y.example>", |b, v| b.cc(v), false),
    ("bcc", "Dave <d@y.example>", |b, v| b.bcc(v), false),
    ("reply_to", "Re <re@x.example>", |b, v| b.reply_to(v), false),
    ("subject", "Hello", |b, v| b.subject(v), false),
    ("text", "Hello", |b, v| b.text(v), true),
    ("flowed", "Hello", |b, v| b.text(v).flowed(), true),
    ("html", "<p>Hello</p>", |b, v| b.html(v), true),
    ("amp", "<html ⚡4email></html>", |b, v| b.amp(v), true),
    ("field name", "X-Field", |b, v| b.field(v, "value"), false),
    ("field", "value", |b, v| b.field("X-Field", v), false),
    ("unsubscribe", "https://x.example/off", |b, v| b.unsubscribe(v), false),
    ("invite uid", "1@x.example", |b, v| b.invite(event(v, "Dinner")), false),
    ("invite summary", "Dinner", |b, v| b.invite(event("1@x.example", v)), false),
    ("invite place", "Here", |b, v| b.invite(event("1@x.example", "Dinner").place(v)), false),
    ("invite description", "Food", |b, v| b.invite(event("1@x.example", "Dinner").description(v)), false),
    ("call_off", "Dinner", |b, v| b.call_off(event("1@x.example", v)), false),
    ("calendar", OBJECT, |b, v| b.calendar(v), true),
    ("attachment", "a.txt", |b, v| b.attach_bytes(v, "text/plain", "x"), false),
    ("attachment type", "text/plain", |b, v| b.attach_bytes("a.txt", v, "x"), false),
    ("stream", "a.txt", |b, v| b.attach_stream(v, "text/plain", 1, || Ok(&b"x"[..])), false),
    ("stream type", "text/plain", |b, v| b.attach_stream("a.txt", v, 1, || Ok(&b"x"[..])), false),
    ("inline id", "cat@x.example", |b, v| b.html("<p>").inline_bytes(v, "cat.png", "image/png", "x"), false),
    ("inline", "cat.png", |b, v| b.html("<p>").inline_bytes("cat@x.example", v, "image/png", "x"), false),
    ("inline type", "image/png", |b, v| b.html("<p>").inline_bytes("cat@x.example", "cat.png", v, "x"), false),
    ("envid", "order-42", |b, v| b.envid(v), false),
    ("message_id", "1@x.example", |b, v| b.message_id(v), false),
    ("in_reply_to", "0@y.example", |b, v| b.in_reply_to(v), false),
];

/// The value with the poison at its beginning, in its middle and at its end.
fn poisoned(value: &str, poison: &str) -> Vec<String> {
    let middle = (value.len() / 2..).find(|&at| value.is_char_boundary(at)).unwrap();
    [0, middle, value.len()].map(|at| format!("{}{poison}{}", &value[..at], &value[at..])).to_vec()
}

/// A letter may say what it likes, but for what would be another field, recipient or command.
#[track_caller]
fn assert_harmless(message: &Message, is_text: bool, what: &str) {
    let octets = message.to_bytes().unwrap();
    let text = String::from_utf8_lossy(&octets);
    assert!(!octets.contains(&0), "{what}: {text}");
    for line in text.split_inclusive("\r\n") {
        let bare = line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{what}: {line:?}"));
        assert!(!bare.contains(['\r', '\n']) && bare.len() <= 998, "{what}: {bare:?}");
        let begins = ["Evil", "RCPT TO", "MAIL FROM", "."].iter().any(|word| bare.starts_with(word));
        assert!(is_text || !begins, "{what}: {text}");
    }
    let (header, _) = text.split_once("\r\n\r\n").unwrap();
    for line in header.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])) {
        let (name, _) = line.split_once(':').unwrap_or_else(|| panic!("{what}: {line:?}"));
        // RFC 5322 §3.6.8: an encoded word is a name like any other.
        assert!(FIELDS.contains(&name) || what.starts_with("field name "), "{what}: {header}");
    }
    let envelope = message.envelope();
    let addresses = envelope.recipients.iter().map(|recipient| recipient.address.to_string());
    for address in addresses.chain([envelope.reverse_path.to_string()]) {
        assert!(!address.contains("eve@") && address.matches('@').count() <= 1, "{what}: {address}");
    }
    assert!(envelope.recipients.len() <= 2, "{what}: {:?}", envelope.recipients);
}

/// Every letter that comes of it, after it was looked at.
fn letters() -> Vec<Message> {
    let mut made = Vec::new();
    for &(name, value, set, is_text) in SETTERS {
        let begun = || Message::builder().from("a@x.example").to("b@y.example").text("Hi.");
        let right = set(begun(), value).build();
        assert_harmless(&right.unwrap_or_else(|error| panic!("{name}: {error}")), is_text, name);
        for poison in POISONS {
            for value in poisoned(value, poison) {
                // That it is refused is an answer too.
                if let Ok(message) = set(begun(), &value).build() {
                    assert_harmless(&message, is_text, &format!("{name} {value:?}"));
                    made.push(message);
                }
            }
        }
    }
    made
}

#[test]
fn no_setter_adds_a_field_a_recipient_or_a_command() {
    let made = letters();
    assert!(made.len() > 200, "texts and names take most of it: {}", made.len());
    let catcher = Catcher::start().unwrap();
    let mailer = catcher.mailer().unwrap().connections(1).build().unwrap();
    let sent = block_on(mailer.send_all(&made)).unwrap();
    for (message, sent) in made.iter().zip(sent) {
        let report = sent.unwrap();
        let words: Vec<String> = report.recipients.iter().map(ToString::to_string).collect();
        assert!(report.is_complete(), "{words:?}: {}", String::from_utf8_lossy(&message.to_bytes().unwrap()));
    }
    let caught = catcher.wait_for_count_now(made.len()).unwrap();
    assert_eq!(caught.len(), made.len());
    for (message, caught) in made.iter().zip(caught) {
        assert_eq!(*caught.bytes(), message.to_bytes().unwrap());
        assert_eq!(caught.envelope().recipients.len(), message.envelope().recipients.len());
        assert_eq!(caught.from(), message.envelope().reverse_path.to_string());
    }
}

#[test]
fn a_file_whose_name_has_a_line_break_is_attached_under_a_harmless_one() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a\r\nEvil: yes", "a\nEvil: yes.pdf", "a\"; x=\"\nEvil: yes", "\u{2028}Evil: yes"] {
        let path = folder.path().join(name);
        std::fs::write(&path, "x").unwrap();
        let with = |builder: MessageBuilder| builder.from("a@x.example").to("b@y.example").html("<p>").build();
        let built = [with(Message::builder().attach_file(&path)), with(Message::builder().inline_file("c@x.example", &path))];
        for message in built.into_iter().flatten() {
            assert_harmless(&message, false, name);
        }
    }
}

#[test]
fn a_letter_that_is_answered_adds_nothing_to_the_answer() {
    for poison in POISONS.iter().filter(|poison| poison.starts_with("=?")) {
        let letter = format!(
            "From: {poison} <b@y.example>\nTo: {poison} <a@x.example>\nSubject: {poison}\nMessage-ID: <{poison}@y.example>\nReferences: <{poison}@y.example>\n\n{poison}\n"
        );
        let begun: [Result<MessageBuilder, MessageError>; 3] = [
            Message::reply(letter.as_bytes()),
            Message::reply_all(letter.as_bytes(), "a@x.example"),
            Message::forward(letter.as_bytes()).map(|builder| builder.to("b@y.example")),
        ];
        for builder in begun.into_iter().flatten() {
            let quoted = Message::quote(letter.as_bytes()).unwrap_or_default();
            if let Ok(message) = builder.from("a@x.example").text(quoted).build() {
                assert_harmless(&message, false, poison);
            }
        }
        let invitation = Message::builder().from("b@y.example").to("a@x.example").text("x").invite(event("1@y.example", poison));
        let invitation = invitation.build().unwrap().to_bytes().unwrap();
        let answer = Message::answer_invitation(&invitation, "a@x.example", Answer::Accepted).unwrap().build().unwrap();
        assert_harmless(&answer, false, poison);
    }
}
