//! The letters we compose, read by others: the same text, the same file names, the same pictures.
//!
//! Python's `email`, mail-parser (the library that reads for us), mailparser and postal-mime (node), mutt and ripmime. Each is asked for what it has an answer to.

use crate::world::{World, eventually, in_a_world, program, run_to_end, run_with_npm};
use posthouse_client::mail::UnixMillis;
use posthouse_client::mail::mime::{Limits, parse};
use posthouse_client::{Event, Message};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name that is given, and the one that is to arrive.
const NAMES: [(&str, &str); 8] = [
    ("plain.pdf", "plain.pdf"),
    ("Zwölf Bücher 📚.pdf", "Zwölf Bücher 📚.pdf"),
    ("a\"b;c.pdf", "a\"b;c.pdf"),
    ("100% it's.pdf", "100% it's.pdf"),
    ("日本語のファイル名.pdf", "日本語のファイル名.pdf"),
    ("../../etc/passwd", "passwd"),
    ("C:\\Windows\\x.pdf", "x.pdf"),
    ("-rf.pdf", "-rf.pdf"),
];
const SUBJECT: &str = "Grüße an alle, mit einem Betreff, der so lang ist, dass er gebrochen werden muss 👩‍👩‍👧";
const TEXT: &str = "Grüße.\n.\nFrom here  on, a line that ends with a space \nеще и по-русски\n";
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n";

fn long() -> String {
    format!("{}.pdf", "n".repeat(300))
}

/// Every octet there is, and line ends of all kinds.
fn content() -> Vec<u8> {
    (0..=255).chain(*b"\r\n\n\r.\r\nFrom x\n").collect()
}

fn letter(names: &[&str]) -> Vec<u8> {
    let mut builder = Message::builder()
        .from("Jürgen \"J.\" Müller <a@x.test>")
        .to("日本語の名前 <b@y.test>")
        .subject(SUBJECT)
        .text(TEXT)
        .html("<p>Grüße <img src='cid:pic@x.test'></p>")
        .inline_bytes("pic@x.test", "pic.png", "image/png", PICTURE)
        .invite(Event::new("1@x.test", "Grüße", UnixMillis(1_798_113_600_000), UnixMillis(1_798_117_200_000)));
    for name in names {
        builder = builder.attach_bytes(*name, "application/pdf", content());
    }
    builder.build().unwrap().to_bytes().unwrap().to_vec()
}

/// The letter as a file, and the names of its files as they are to arrive.
fn sample(world: &World) -> (PathBuf, Vec<String>) {
    let long = long();
    let given: Vec<&str> = NAMES.iter().map(|(given, _)| *given).chain([long.as_str()]).collect();
    let file = world.folder("letters").join("letter.eml");
    fs::write(&file, letter(&given)).unwrap();
    let arrive = NAMES.iter().map(|(_, arrives)| (*arrives).to_owned()).chain([long.clone(), "invite.ics".to_owned()]);
    (file, arrive.collect())
}

fn told(command: &mut Command) -> Value {
    serde_json::from_str(&run_to_end(command)).unwrap()
}

/// Files without regard to their order: each with its octets in hexadecimal.
fn assert_files(found: &Value, names: &[String]) {
    let content: String = content().iter().map(|octet| format!("{octet:02x}")).collect();
    let found: Vec<(&str, &str)> =
        found.as_array().unwrap().iter().map(|file| (file[0].as_str().unwrap(), file[1].as_str().unwrap())).collect();
    for name in names {
        let octets = found.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name} among {found:?}")).1;
        let right = if name == "invite.ics" { octets.starts_with("424547494e3a5643414c454e444152") } else { octets == content };
        assert!(right, "{name}: {octets}");
    }
    assert_eq!(found.len(), names.len(), "{found:?}");
}

/// What every reader of letters says of this one.
fn assert_read(told: &Value, names: &[String]) {
    assert_eq!(told["from"], json!(["Jürgen \"J.\" Müller", "a@x.test"]));
    assert_eq!(told["to"], json!(["日本語の名前", "b@y.test"]));
    assert_eq!(told["subject"], SUBJECT);
    assert_eq!(told["text"].as_str().unwrap().replace("\r\n", "\n"), TEXT);
    assert!(told["html"].as_str().unwrap().contains("<p>Grüße <img "), "{told}");
    assert_eq!(told["pictures"], json!([["<pic@x.test>", "89504e470d0a1a0a"]]));
    assert_eq!(told["method"], "REQUEST");
    assert_files(&told["files"], names);
}

in_a_world! {
    fn pythons_email_reads_what_was_put_in(world) {
        let (file, names) = sample(world);
        let told = told(program("read_letter.py").arg(&file));
        assert_read(&told, &names);
        assert_eq!(told["defects"], json!([]));
    }

    fn mutt_saves_what_was_put_in(world) {
        let folder = world.folder("letters");
        // It names the file that it saves as the letter does; what no file can be called it is not asked for.
        let names: Vec<&str> = NAMES.iter().map(|(given, _)| *given).collect();
        let mut mailbox = b"From a@x.test Mon Nov 23 21:00:00 2026\n".to_vec();
        mailbox.extend(letter(&names).into_iter().filter(|octet| *octet != b'\r'));
        fs::write(folder.join("mailbox"), mailbox).unwrap();
        let saved = world.folder("saved");
        run_to_end(program("drive_mutt.py").arg(folder.join("mailbox")).arg(&saved).current_dir(&saved).env("LC_ALL", "C.UTF-8"));
        let read = |name: &str| fs::read(saved.join(name)).unwrap_or_else(|why| panic!("{name}: {why}; there are {:?}", listed(&saved)));
        for (_, name) in NAMES {
            assert_eq!(read(name), content(), "{name}");
        }
        assert_eq!(read("pic.png"), PICTURE);
        let shown = String::from_utf8(read("shown")).unwrap();
        for expected in [SUBJECT, "Jürgen", "日本語の名前", "Grüße.\n.\nFrom here  on, a line that ends with a space \nеще и по-русски\n"] {
            assert!(shown.replace("\n ", " ").contains(expected), "no {expected} in\n{shown}");
        }
    }

    fn ripmime_unpacks_what_was_put_in(world) {
        // It writes each part to a file, under its name where it is in ASCII.
        let (file, folder) = (world.folder("letters").join("letter.eml"), world.folder("unpacked"));
        fs::write(&file, letter(&["plain.pdf", "-rf.pdf"])).unwrap();
        run_to_end(Command::new("ripmime").arg("-i").arg(&file).arg("-d").arg(&folder));
        assert_eq!(fs::read(folder.join("plain.pdf")).unwrap(), content());
        assert_eq!(fs::read(folder.join("pic.png")).unwrap(), PICTURE);
        let texts: Vec<String> = listed(&folder).values().map(|octets| String::from_utf8_lossy(octets).replace("\r\n", "\n")).collect();
        assert!(texts.iter().any(|text| text.trim_end() == TEXT.trim_end()), "{texts:?}");
    }
}

#[test]
fn nodes_parsers_read_what_was_put_in() {
    run_with_npm(concat!(module_path!(), "::nodes_parsers_read_what_was_put_in"), |world, npm| {
        let (file, names) = sample(world);
        for reader in ["mailparser", "postal-mime"] {
            let mut node = Command::new(npm.join("node"));
            node.arg(program("read_letter.js").get_args().next().unwrap()).arg(reader).arg(&file);
            assert_read(&told(node.env("NODE_PATH", npm.join("node_modules"))), &names);
        }
    });
}

#[test]
fn the_parser_of_our_own_reads_what_was_put_in() {
    let long = long();
    let given: Vec<&str> = NAMES.iter().map(|(given, _)| *given).chain([long.as_str()]).collect();
    let read = parse(&letter(&given), &Limits::default()).unwrap();
    assert_eq!((read.subject.as_deref(), read.from[0].name.as_deref()), (Some(SUBJECT), Some("Jürgen \"J.\" Müller")));
    assert_eq!(read.text.unwrap().replace("\r\n", "\n"), TEXT);
    for name in NAMES.iter().map(|(_, arrives)| *arrives).chain([long.as_str()]) {
        let file = read.attachments.iter().find(|file| file.name.as_deref() == Some(name));
        assert_eq!(file.unwrap_or_else(|| panic!("no {name}")).content, content(), "{name}");
    }
    assert!(read.attachments.iter().any(|file| file.content == PICTURE && file.content_id.as_deref() == Some("pic@x.test")));
}

fn listed(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    eventually("the folder cannot be read", || {
        let files = fs::read_dir(folder).ok()?.map(|file| file.unwrap().path());
        Some(files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())).collect())
    })
}
