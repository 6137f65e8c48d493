//! DMARC beside mailauth: where it agrees with RFC 9989 it agrees with ours, and where it does not the reason stands here.

use crate::posthouse::posthouse;
use crate::world::{World, program, run_to_end, run_with_npm};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

struct Case {
    name: &'static str,
    /// Each record: its name and its text; `SERVFAIL`: the name fails.
    zone: &'static [(&'static str, &'static str)],
    from: &'static str,
    /// For which SPF passes.
    spf: &'static str,
    /// Who signed.
    dkim: &'static str,
    /// By RFC 9989: the result, and what the record asks for where it is a failure.
    right: (&'static str, &'static str),
    /// Why mailauth says something else.
    differs: Option<&'static str>,
}

const BASE: Case =
    Case { name: "", zone: &[], from: "x@a.example", spf: "other.example", dkim: "", right: ("none", "none"), differs: None };
const REJECT: &[(&str, &str)] = &[("_dmarc.a.example", "v=DMARC1; p=reject")];
const UNCHECKED: Option<&str> = Some("mailauth 4 takes every policy as it is written");
/// RFC 7489 knew no such thing, and mailauth follows that.
const OLD: Option<&str> = Some("it is of RFC 9989, and mailauth follows RFC 7489");

const CASES: [Case; 30] = [
    Case { name: "no record", ..BASE },
    Case { name: "SPF of the same domain", zone: REJECT, spf: "a.example", right: ("pass", "none"), ..BASE },
    Case { name: "SPF of a domain below", zone: REJECT, spf: "m.a.example", right: ("pass", "none"), ..BASE },
    Case {
        name: "SPF of the domain above",
        zone: REJECT,
        from: "x@m.a.example",
        spf: "a.example",
        right: ("pass", "none"),
        ..BASE
    },
    Case { name: "SPF of a sister", zone: REJECT, from: "x@m.a.example", spf: "n.a.example", right: ("pass", "none"), ..BASE },
    Case { name: "DKIM of the same domain", zone: REJECT, dkim: "a.example", right: ("pass", "none"), ..BASE },
    Case { name: "DKIM of a domain below", zone: REJECT, dkim: "m.a.example", right: ("pass", "none"), ..BASE },
    Case { name: "DKIM of another domain", zone: REJECT, dkim: "b.example", right: ("fail", "reject"), ..BASE },
    Case { name: "a name that only ends alike", zone: REJECT, spf: "evila.example", right: ("fail", "reject"), ..BASE },
    Case { name: "neither", zone: REJECT, right: ("fail", "reject"), ..BASE },
    Case { name: "capitals", zone: REJECT, from: "x@A.Example", spf: "a.EXAMPLE", right: ("pass", "none"), ..BASE },
    Case { name: "quarantine", zone: &[("_dmarc.a.example", "v=DMARC1;p=quarantine")], right: ("fail", "quarantine"), ..BASE },
    Case {
        name: "only reports",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=none; rua=mailto:r@a.example")],
        right: ("fail", "none"),
        ..BASE
    },
    Case {
        name: "no p, but reports",
        zone: &[("_dmarc.a.example", "v=DMARC1; rua=mailto:r@a.example")],
        right: ("fail", "none"),
        ..BASE
    },
    Case { name: "a domain below", zone: REJECT, from: "x@m.a.example", right: ("fail", "reject"), ..BASE },
    Case {
        name: "sp",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=none; sp=reject"), ("m.a.example", "there is something")],
        from: "x@m.a.example",
        right: ("fail", "reject"),
        ..BASE
    },
    Case {
        name: "sp is not for the domain itself",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=reject; sp=none")],
        right: ("fail", "reject"),
        ..BASE
    },
    Case {
        name: "a record of its own below",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=reject"), ("_dmarc.m.a.example", "v=DMARC1; p=none")],
        from: "x@m.a.example",
        right: ("fail", "none"),
        ..BASE
    },
    Case {
        name: "two records",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=reject"), ("_dmarc.a.example", "v=DMARC1; p=none")],
        ..BASE
    },
    Case { name: "another version", zone: &[("_dmarc.a.example", "v=DMARC2; p=reject")], ..BASE },
    Case { name: "DNS trouble", zone: &[("_dmarc.a.example", "SERVFAIL")], right: ("temperror", "none"), ..BASE },
    // RFC 9989 §4.7: it is a sender's wish about a part of its letters no more.
    Case { name: "pct", zone: &[("_dmarc.a.example", "v=DMARC1; p=reject; pct=0")], right: ("fail", "reject"), ..BASE },
    Case {
        name: "strict SPF",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=reject; aspf=s")],
        spf: "m.a.example",
        right: ("fail", "reject"),
        differs: Some("mailauth 4 takes a relaxed match when the strict one fails"),
        ..BASE
    },
    Case {
        name: "np, of a name that is not there",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=none; np=reject")],
        from: "x@gone.a.example",
        right: ("fail", "reject"),
        differs: OLD,
        ..BASE
    },
    Case {
        name: "t=y",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=reject; t=y")],
        right: ("fail", "quarantine"),
        differs: OLD,
        ..BASE
    },
    Case { name: "a `p` that is none", zone: &[("_dmarc.a.example", "v=DMARC1; p=rejct")], differs: UNCHECKED, ..BASE },
    Case {
        name: "a `p` that is none, of a domain that wants reports",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=rejct; rua=mailto:r@a.example")],
        right: ("fail", "none"),
        differs: UNCHECKED,
        ..BASE
    },
    Case {
        name: "an `sp` that is none",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=reject; sp=quarantin")],
        differs: UNCHECKED,
        ..BASE
    },
    Case {
        name: "an `sp` that is none, of a domain that wants reports",
        zone: &[("_dmarc.a.example", "v=DMARC1; p=reject; sp=quarantin; rua=mailto:r@a.example")],
        right: ("fail", "none"),
        differs: UNCHECKED,
        ..BASE
    },
    Case {
        name: "a tree of two levels",
        zone: &[("_dmarc.m.a.example", "v=DMARC1; p=reject"), ("k.m.a.example", "there is something")],
        from: "x@k.m.a.example",
        right: ("fail", "reject"),
        differs: OLD,
        ..BASE
    },
];

#[test]
fn dmarc_is_what_mailauth_makes_of_it_where_that_is_what_the_standard_says() {
    let name = concat!(module_path!(), "::dmarc_is_what_mailauth_makes_of_it_where_that_is_what_the_standard_says");
    run_with_npm(name, |world, npm| {
        let mut wrong = Vec::new();
        let key = Key::make(world);
        for case in &CASES {
            let (ours, theirs) = (ours(world, case, &key), theirs(npm, case));
            let right = (case.right.0.to_owned(), case.right.1.to_owned());
            if ours != right {
                wrong.push(format!("{}: ours is {ours:?}, not {right:?}", case.name));
            }
            match case.differs {
                None if theirs != right => wrong.push(format!("{}: mailauth says {theirs:?}, not {right:?}", case.name)),
                Some(why) if theirs == right => wrong.push(format!("{}: mailauth agrees by now, although {why}", case.name)),
                None | Some(_) => {}
            }
        }
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
    });
}

/// What a letter is signed with.
struct Key {
    file: std::path::PathBuf,
    public: String,
}

impl Key {
    fn make(world: &World) -> Key {
        let file = world.folder("key").join("dkim.pem");
        fs::write(&file, include_str!("conf/dkim.pem")).unwrap();
        let shell = format!("openssl rsa -in {} -pubout -outform DER 2>/dev/null | base64 -w0", file.display());
        let public = run_to_end(Command::new("sh").args(["-c", &shell])).trim().to_owned();
        Key { file, public }
    }
}

/// A real letter, by the command line.
fn ours(world: &World, case: &Case, key: &Key) -> (String, String) {
    let folder = world.folder("case");
    let letter = folder.join("letter.eml");
    fs::write(&letter, format!("From: <{}>\r\nSubject: x\r\n\r\nx\r\n", case.from)).unwrap();
    let mut zone = format!("{}. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n", case.spf);
    for (name, text) in case.zone {
        let record = if *text == "SERVFAIL" { (*text).to_owned() } else { format!("TXT \"{text}\"") };
        zone.push_str(&format!("{name}. {record}\n"));
    }
    if !case.dkim.is_empty() {
        let (first, second) = key.public.split_at(key.public.len() / 2);
        zone.push_str(&format!("k._domainkey.{}. TXT \"v=DKIM1; k=rsa; p={first}\" \"{second}\"\n", case.dkim));
        let shell = format!(
            "dkimsign k {} {} <{file} >{file}.signed && mv {file}.signed {file}",
            case.dkim,
            key.file.display(),
            file = letter.display()
        );
        run_to_end(Command::new("sh").args(["-c", &shell]));
    }
    fs::write(folder.join("zone"), zone).unwrap();
    let mut verify = posthouse();
    verify.arg("verify").arg(&letter).arg("--zone").arg(folder.join("zone"));
    verify.args(["--ip", "192.0.2.1", "--helo", "mx.client.example", "--json", "--mail-from"]).arg(format!("x@{}", case.spf));
    let said: Value = serde_json::from_str(&run_to_end(&mut verify)).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
    assert_eq!(text(&said["spf"]["result"]), "pass", "{}: {said}", case.name);
    if !case.dkim.is_empty() {
        assert_eq!(text(&said["dkim"][0]["result"]), "pass", "{}: {said}", case.name);
    }
    (text(&said["dmarc"]["result"]), text(&said["dmarc"]["disposition"]))
}

fn theirs(npm: &Path, case: &Case) -> (String, String) {
    let mut zone: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, text) in case.zone {
        zone.entry(name).or_default().push(text);
    }
    let broken: Vec<&str> = case.zone.iter().filter(|(_, text)| *text == "SERVFAIL").map(|(name, _)| *name).collect();
    let given = json!({ "zone": zone, "broken": broken, "from": case.from, "spf": case.spf, "dkim": case.dkim });
    let mut node = Command::new(npm.join("node"));
    node.arg(program("dmarc.js").get_args().next().unwrap()).env("NODE_PATH", npm.join("node_modules"));
    let mut running = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{}: mailauth failed", case.name);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (result, policy) = (said["result"].as_str().unwrap(), said["policy"].as_str().unwrap());
    // Only of a failure follows something.
    (result.to_owned(), if result == "fail" { policy.to_owned() } else { "none".to_owned() })
}
