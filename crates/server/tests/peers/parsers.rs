//! The letters we compose, read by Python's `email`: the same text, the same file names, the same pictures.

use crate::world::{in_a_world, program, run_to_end};
use posthouse_client::mail::UnixMillis;
use posthouse_client::{Event, Message};
use std::fs;

const NAMES: [&str; 6] =
    ["plain.pdf", "Zwölf Bücher 📚.pdf", "a\"b;c.pdf", "100% it's.pdf", "日本語のファイル名.pdf", "../../etc/passwd"];

in_a_world! {
    fn pythons_email_reads_what_was_put_in(world) {
        let folder = world.folder("letters");
        let long = format!("{}.pdf", "n".repeat(300));
        let mut builder = Message::builder()
            .from("Jürgen \"J.\" Müller <a@x.test>")
            .to("日本語の名前 <b@y.test>")
            .subject("Grüße an alle, mit einem Betreff, der so lang ist, dass er gebrochen werden muss 👩‍👩‍👧")
            .html("<p>Grüße <img src='cid:pic@x.test'></p>")
            .inline_bytes("pic@x.test", "pic.png", "image/png", &b"\x89PNG\r\n\x1a\n"[..])
            .invite(Event::new("1@x.test", "Grüße", UnixMillis(1_798_113_600_000), UnixMillis(1_798_117_200_000)));
        for name in NAMES.iter().copied().chain([long.as_str()]) {
            builder = builder.attach_bytes(name, "application/pdf", (0..=255).collect::<Vec<u8>>());
        }
        let letter = folder.join("letter.eml");
        fs::write(&letter, builder.build().unwrap().to_bytes().unwrap()).unwrap();
        let said = run_to_end(program("read_letter.py").arg(&letter));
        let told: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(told["from"], serde_json::json!(["Jürgen \"J.\" Müller", "a@x.test"]));
        assert_eq!(told["to"], serde_json::json!(["日本語の名前", "b@y.test"]));
        assert_eq!(told["subject"], "Grüße an alle, mit einem Betreff, der so lang ist, dass er gebrochen werden muss 👩‍👩‍👧");
        assert_eq!(told["text"], "Grüße\r\n");
        assert!(told["html"].as_str().unwrap().contains("cid:pic@x.test"));
        assert_eq!(told["pictures"], serde_json::json!([["<pic@x.test>", "89504e470d0a1a0a"]]));
        assert_eq!(told["method"], "REQUEST");
        let mut names: Vec<&str> = NAMES.to_vec();
        names[5] = "passwd";
        names.extend([&long, "invite.ics"]);
        assert_eq!(told["files"], serde_json::json!(names));
        assert_eq!(told["defects"], serde_json::json!([]));
        assert_eq!(told["sizes"], serde_json::json!([vec![256; 7], vec![told["calendar"].as_str().unwrap().len()]].concat()));
    }
}
