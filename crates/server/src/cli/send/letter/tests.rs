use clap::Parser;
use posthouse_mail::BodyKind;

use super::*;

#[derive(Parser)]
struct Only {
    #[command(flatten)]
    args: LetterArgs,
}

fn read(arguments: &[&str], user: Option<&str>) -> Result<Message, Failure> {
    Only::try_parse_from([&["send"], arguments].concat()).unwrap().args.read(user, true)
}

fn exit(arguments: &[&str]) -> Exit {
    read(arguments, None).map(|_| ()).unwrap_err().exit()
}

fn text(letter: &Message) -> String {
    String::from_utf8(letter.to_bytes().unwrap().to_vec()).unwrap()
}

fn recipients(letter: &Message) -> Vec<String> {
    letter.envelope().recipients.iter().map(|recipient| recipient.address.to_string()).collect()
}

fn eml(octets: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.eml");
    std::fs::write(&path, octets).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

#[test]
fn a_blind_copy_is_in_the_envelope_and_nowhere_in_the_letter() {
    let made = ["--to", "Bob <bob@x.test>", "--cc", "carol@x.test", "--bcc", "dave@x.test", "--text", "Hi", "--subject", "Hü"];
    let letter = read(&made, Some("alice@x.test")).unwrap();
    assert_eq!(recipients(&letter), ["bob@x.test", "carol@x.test", "dave@x.test"]);
    assert!(!text(&letter).contains("dave"), "{}", text(&letter));

    let (_folder, path) =
        eml(b"From: alice@x.test\nTo: bob@x.test\nBcc: dave@x.test,\n erin@x.test\nSubject: s\n\nBcc: this is text\n");
    let letter = read(&["--eml", &path], None).unwrap();
    assert_eq!(recipients(&letter), ["bob@x.test", "dave@x.test", "erin@x.test"]);
    assert_eq!(text(&letter), "From: alice@x.test\r\nTo: bob@x.test\r\nSubject: s\r\n\r\nBcc: this is text\r\n");
}

#[test]
fn recipients_that_are_named_replace_those_of_the_letter() {
    let (_folder, path) = eml(b"From: alice@x.test\r\nTo: bob@x.test\r\n\r\n");
    let letter = read(&["--eml", &path, "--to", "carol@x.test", "--from", "root@x.test"], None).unwrap();
    assert_eq!(
        (recipients(&letter), letter.envelope().reverse_path.to_string()),
        (vec!["carol@x.test".to_owned()], "root@x.test".to_owned())
    );
}

#[test]
fn somebody_named_twice_gets_one_letter() {
    let letter = read(&["--to", "bob@x.test", "--cc", "bob@X.test", "--from", "a@x.test", "--text", ""], None).unwrap();
    assert_eq!(recipients(&letter), ["bob@x.test"]);
}

#[test]
fn a_value_cannot_add_a_header() {
    for injected in
        [["--subject", "a\r\nBcc: eve@x.test"], ["--header", "X-A: b\r\nBcc: eve@x.test"], ["--header", "Bcc: eve@x.test"]]
    {
        let arguments = [&["--to", "bob@x.test", "--from", "a@x.test", "--text", ""], &injected[..]].concat();
        assert_eq!(exit(&arguments), Exit::Data, "{injected:?}");
    }
    assert_eq!(exit(&["--to", "Bob\r\nBcc: e@x <bob@x.test>", "--from", "a@x.test", "--text", ""]), Exit::Data);
}

#[test]
fn what_is_missing_is_told_before_anything_is_sent() {
    assert_eq!(exit(&["--from", "a@x.test", "--text", ""]), Exit::Usage, "nobody");
    assert_eq!(exit(&["--to", "b@x.test", "--text", ""]), Exit::Usage, "no sender");
    assert_eq!(exit(&["--to", "b@x.test", "--from", "a@x.test"]), Exit::Usage, "no text, and the password has standard input");
    assert_eq!(exit(&["--to", "b@x.test", "--from", "a@x.test", "--attach", "/nonexistent"]), Exit::NoInput);
    assert_eq!(exit(&["--to", "not an address", "--from", "a@x.test", "--text", ""]), Exit::Data);
    assert_eq!(exit(&["--eml", "-"]), Exit::Usage, "the password has standard input");
    let (_folder, path) = eml(b"Subject: nobody\n\n");
    assert_eq!(exit(&["--eml", &path]), Exit::Data);
    let (_folder, path) = eml(b"this is no letter\n\n");
    assert_eq!(exit(&["--eml", &path, "--to", "b@x.test", "--from", "a@x.test"]), Exit::Data);
}

#[test]
fn the_envelope_asks_for_what_the_letter_needs() {
    let (_folder, path) = eml("From: alice@x.test\nTo: bob@x.test\n\nFöö\n".as_bytes());
    let letter = read(&["--eml", &path], None).unwrap();
    assert_eq!((letter.envelope().body, letter.envelope().smtputf8), (BodyKind::EightBitMime, false));
    let (_folder, path) = eml("From: alice@x.test\nTo: bob@x.test\nSubject: Föö\n\n".as_bytes());
    assert!(read(&["--eml", &path], None).unwrap().envelope().smtputf8);
    assert!(read(&["--to", "ä@x.test", "--from", "a@x.test", "--text", ""], None).unwrap().envelope().smtputf8);
    let letter = read(&["--to", "b@x.test", "--from", "a@x.test", "--text", "Föö", "--subject", "Föö"], None).unwrap();
    assert_eq!((letter.envelope().body, letter.envelope().smtputf8), (BodyKind::SevenBit, false), "it is encoded");
}

#[test]
fn a_file_arrives_with_its_name_and_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Föö.PDF");
    std::fs::write(&path, b"%PDF\x00\xff").unwrap();
    let arguments = ["--to", "b@x.test", "--from", "a@x.test", "--text", "see", "--attach", path.to_str().unwrap()];
    let letter = read(&arguments, None).unwrap();
    let parsed = mime::parse(&letter.to_bytes().unwrap(), &Limits::default()).unwrap();
    let file = &parsed.attachments[0];
    assert_eq!(
        (file.name.as_deref(), file.content_type.as_str(), file.content.as_slice()),
        (Some("Föö.PDF"), "application/pdf", &b"%PDF\x00\xff"[..])
    );
    assert_eq!(parsed.text.as_deref().map(str::trim_end), Some("see"));
}
