//! Every kind of mistake, as a file in `tests/invalid/*.toml`, and what is shown for it, in `*.expected` beside it.
//!
//! `UPDATE_EXPECTED=1` writes the expectations anew; read the difference before it is committed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use posthouse_config::{ByteSize, Period, Secret, Source};
use schemars::JsonSchema;
use serde::Deserialize;

/// A configuration with one of each.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "only decoded")]
struct Sample {
    /// The name of this server in the world. It stands in the greeting.
    #[schemars(example = "mail.example.org")]
    hostname: String,
    /// Where the server listens.
    #[serde(default)]
    listener: Vec<Listener>,
    #[serde(default)]
    dns: Dns,
    #[serde(default)]
    queue: Queue,
    /// Where letters for elsewhere go.
    relay: Option<Relay>,
    /// Names of people.
    #[serde(default)]
    people: BTreeMap<String, String>,
}

/// A port that is listened on.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "only decoded")]
struct Listener {
    /// What it speaks.
    kind: Kind,
    /// Address and port.
    #[schemars(example = "0.0.0.0:25")]
    address: SocketAddr,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// Mail from the world.
    Mx,
    /// Mail from users.
    Submission,
}

/// Name resolution.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Dns {
    /// The servers that are asked.
    servers: Vec<SocketAddr>,
    /// How long an answer is waited for.
    timeout: Period,
    /// How many questions are asked at once.
    parallel: u16,
}

/// The spool.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Queue {
    /// The largest letter.
    size_max: ByteSize,
    /// Whether letters are written twice.
    mirror: bool,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "only decoded")]
struct Relay {
    /// The relay's URL.
    url: String,
    /// The password at the relay.
    password: Option<Secret>,
}

impl Default for Dns {
    fn default() -> Self {
        Self { servers: Vec::new(), timeout: Period::seconds(5), parallel: 64 }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { size_max: ByteSize::mib(50), mirror: false }
    }
}

#[test]
fn each_invalid_sample_is_shown_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid");
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        seen += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let shown = match Source::new(&text, name).decode::<Sample>() {
            Ok(sample) => panic!("{name} was taken: {sample:?}"),
            Err(error) => format!("{error}\n"),
        };
        assert!(!shown.contains("hunter2"), "a secret is shown for {name}:\n{shown}");
        let expected = path.with_extension("expected");
        if update {
            std::fs::write(&expected, &shown).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != shown {
            wrong.push(format!("{name} is now shown as\n{shown}"));
        }
    }
    assert!(seen >= 20, "only {seen} samples were found in {}", folder.display());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_sample_is_taken_when_nothing_is_wrong() {
    let text = r#"
        hostname = "mail.example.org"
        [[listener]]
        kind = "mx"
        address = "0.0.0.0:25"
        [dns]
        timeout = "5s"
        [queue]
        size-max = "1 GiB"
        [relay]
        url = "smtp://relay.example.org"
        password = "hunter2"
        [people]
        alice = "Alice"
    "#;
    let sample: Sample = posthouse_config::parse(text, "sample.toml").unwrap();
    assert_eq!((sample.dns.timeout, sample.queue.size_max), (Period::seconds(5), ByteSize::gib(1)));
    let secret = sample.relay.unwrap().password.unwrap();
    assert_eq!(secret.expose(), "hunter2");
    assert_eq!(format!("{secret} {secret:?}"), "*** ***");
}
