//! Keys that are changed while letters are signed with them: nsd publishes, dkimpy verifies.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use posthouse_testkit::guard::Guard;

use crate::posthouse::{Posthouse, posthouse};
use crate::world::{World, eventually, in_a_world, program, run_to_end};

const DOMAIN: &str = "posthouse.test";

/// A name server for `_domainkey` alone; what it has changes when it is told so.
struct Names {
    place: PathBuf,
    process: Guard,
    serial: u32,
}

impl Names {
    fn start(world: &World) -> Self {
        let place = world.folder("keys-nsd");
        let text = include_str!("conf/nsd.conf").replace("127.0.0.53", "127.0.0.8").replace("@DIR@", place.to_str().unwrap());
        let (head, _) = text.split_once("zone:").unwrap();
        fs::write(place.join("nsd.conf"), format!("{head}zone:\n    name: \"{DOMAIN}.\"\n    zonefile: \"zone\"\n")).unwrap();
        fs::write(place.join("zone"), zone(1, &[])).unwrap();
        let process = Guard::spawn(Command::new("nsd").args(["-d", "-c"]).arg(place.join("nsd.conf")));
        world.listening("127.0.0.8", 53);
        Self { place, process, serial: 1 }
    }

    fn publish(&mut self, lines: &[String]) {
        self.serial += 1;
        fs::write(self.place.join("zone"), zone(self.serial, lines)).unwrap();
        self.process.signal(rustix::process::Signal::HUP);
    }
}

/// Nothing in it is kept by a resolver for longer than a second.
fn zone(serial: u32, lines: &[String]) -> String {
    format!("$ORIGIN {DOMAIN}.\n$TTL 1\n@ SOA ns root {serial} 1 1 60 1\n@ NS ns\nns A 127.0.0.8\n{}\n", lines.join("\n"))
}

/// Lines of key records.
fn records(ours: &Posthouse, words: &[&str]) -> Vec<String> {
    let said = run_to_end(posthouse().args(words).arg("--config").arg(ours.config()));
    said.lines().filter(|line| line.contains("v=DKIM1")).map(|line| line.replace(". IN TXT", ". 1 IN TXT")).collect()
}

/// A letter from alice that has arrived: its selectors, and what dkimpy thinks of its signatures with these records.
fn signed(world: &World, ours: &Posthouse, published: &[String]) -> (Vec<String>, String) {
    let file = world.folder("letters").join("letter");
    fs::write(&file, format!("From: alice@{DOMAIN}\r\nTo: bob@{DOMAIN}\r\nSubject: x\r\n\r\nhello\r\n")).unwrap();
    ours.submit(&file, "", &[ours.at("bob")]);
    let letter = ours.take(world, 1).remove(0);
    let text = String::from_utf8_lossy(&letter);
    let selectors = text.split(" s=").skip(1).filter_map(|rest| rest.split(';').next()).map(str::to_owned).collect();
    let names: serde_json::Map<String, serde_json::Value> = published
        .iter()
        .map(|line| {
            let (name, value) = line.split_once(". 1 IN TXT ").unwrap();
            (name.to_owned(), value.replace("\" \"", "").trim_matches('"').into())
        })
        .collect();
    let json = world.folder("letters").join("zone.json");
    fs::write(&json, serde_json::to_vec(&names).unwrap()).unwrap();
    let mut verify =
        program("dkim_peer.py").arg("verify").arg(&json).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    verify.stdin.take().unwrap().write_all(&letter).unwrap();
    let output = verify.wait_with_output().unwrap();
    (selectors, String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Waits until the log has this of both keys.
fn logged(ours: &Posthouse, words: &str) {
    eventually(&format!("no {words:?} of both keys"), || (ours.log().matches(words).count() >= 2).then_some(()));
}

in_a_world! {
    fn every_letter_is_believed_while_the_keys_change(world) {
        let mut names = Names::start(world);
        let more = "[dkim]\nsettle = \"1s\"\noverlap = \"2s\"\n";
        let ours = Posthouse::start_with_names(world, DOMAIN, "127.0.0.2", "127.0.0.8:53", more);
        let old = records(&ours, &["domain", "dns", DOMAIN]);
        names.publish(&old);
        assert_eq!(signed(world, &ours, &old).1, "True True");
        let new = records(&ours, &["domain", "rotate", DOMAIN]);
        logged(&ours, "a new key waits for its record");
        let status = run_to_end(posthouse().args(["status", "--config"]).arg(ours.config()));
        assert!(status.contains("a new key waits for its record (there is none); publish"), "{status}");
        let (before, said) = signed(world, &ours, &old);
        assert_eq!(said, "True True", "the old ones go on until the DNS has the new ones");
        let both = [old, new.clone()].concat();
        names.publish(&both);
        logged(&ours, "which signs from now on");
        let (after, said) = signed(world, &ours, &new);
        assert_eq!(said, "True True");
        assert!(after.len() == 2 && after.iter().all(|selector| !before.contains(selector)), "{before:?} {after:?}");
        logged(&ours, "its record may go from the DNS");
        names.publish(&new);
        logged(&ours, "a key is forgotten");
        let keys = run_to_end(posthouse().args(["domain", "keys", DOMAIN, "--config"]).arg(ours.config()));
        assert_eq!((keys.lines().count(), keys.matches(", signing since").count()), (2, 2), "{keys}");
    }
}
