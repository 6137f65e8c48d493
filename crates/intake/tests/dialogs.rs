//! The dialog files of `smtp`, over TCP, against the real directory, queue and journal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use posthouse_config::{ByteSize, Period};
use posthouse_directory::{TokenChecking, TokenError, TokenHint, Tokens};
use posthouse_intake::{ListenerKind, Settings};
use posthouse_testkit::dialog::{Dialog, Step, matches};

mod world;

use world::{Client, World, run, small};

#[test]
fn dialogs_over_tcp() {
    let dialogs = Dialog::load_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../smtp/tests/dialogs"));
    run(async {
        // A world takes longer to make than a dialog to play.
        let mut worlds: HashMap<String, World> = HashMap::new();
        for dialog in dialogs {
            let settings = settings(&dialog);
            let tokens = dialog.setting("tokens").is_some();
            let key = format!("{tokens} {settings:?}");
            if !worlds.contains_key(&key) {
                let world = World::new(settings).await;
                world.context.directory.trust_tokens(tokens.then(|| Arc::new(Clerk) as Arc<dyn Tokens>));
                worlds.insert(key.clone(), world);
            }
            play(&dialog, &worlds[&key]).await;
        }
    });
}

/// The dialogs' issuer: `token` is Alice's.
struct Clerk;

impl Tokens for Clerk {
    fn check<'a>(&'a self, token: &'a str) -> TokenChecking<'a> {
        let refused = TokenError::Refused("the token is forged".to_owned());
        Box::pin(std::future::ready(if token == "token" { Ok("alice@example.org".to_owned()) } else { Err(refused) }))
    }

    fn hint(&self) -> TokenHint {
        TokenHint { scope: Some("mail".to_owned()), configuration: Some("https://id.test/config".to_owned()) }
    }
}

fn settings(dialog: &Dialog) -> Settings {
    let number = |key: &str| dialog.setting(key).map(|value| value.parse::<u32>().unwrap());
    let mut settings = small();
    settings.letter_size_max = number("size-max").map_or(settings.letter_size_max, |size| ByteSize(size.into()));
    settings.bad_commands_max = number("bad-commands-max").unwrap_or(settings.bad_commands_max);
    settings.letters_per_connection_max = number("letters-max").unwrap_or(settings.letters_per_connection_max);
    settings.refused_recipients_max = number("refused-recipients-max").unwrap_or(settings.refused_recipients_max);
    if dialog.setting("trusted").is_some() {
        settings.trusted_networks.push("127.0.0.0/8".parse().unwrap());
    }
    settings.hold_max = number("hold-max").map_or(settings.hold_max, |seconds| Period::seconds(seconds.into()));
    settings.deliver_by_min = number("deliver-by-min").map_or(settings.deliver_by_min, |seconds| Period::seconds(seconds.into()));
    settings.failed_logins_max = number("failed-logins-max").unwrap_or(settings.failed_logins_max);
    settings
}

async fn play(dialog: &Dialog, world: &World) {
    let before = world.refusals().await.len();
    let kind = match dialog.setting("listener") {
        Some("submission") => ListenerKind::Submission,
        Some("lmtp") => ListenerKind::Lmtp,
        _ => ListenerKind::Mx,
    };
    let address = world.listen(kind);
    let mut client = Client::connect(address).await;
    let mut steps = dialog.steps.as_slice();
    if dialog.setting("secure").is_some() {
        // The greeting came in the clear.
        steps = &steps[1..];
        client.reply().await;
        client.expect("EHLO client", "250 ").await;
        client.expect("STARTTLS", "220 ").await;
        client.secure().await;
    }
    let mut refused = 0;
    for (step, number) in steps.iter().zip(1..) {
        let context = format!("{}: step {number}, {step:?}", dialog.name);
        match step {
            Step::Send(bytes) => client.send(bytes).await,
            Step::Line(pattern) => {
                let line = client.line().await.unwrap_or_else(|| panic!("{context}: the server closed"));
                assert!(matches(pattern, &line), "{context}: the server says {line:?}");
                refused += usize::from(matches!(line.as_bytes()[0], b'4' | b'5') && line.as_bytes()[3] == b' ');
            }
            Step::Reply(code) => {
                let line = client.reply().await;
                assert!(line.starts_with(code.as_str()), "{context}: the server says {line:?}");
            }
            Step::Tls => client.secure().await,
            Step::Close => assert!(client.is_closed().await, "{context}: the server goes on"),
        }
    }
    // In LMTP a refused letter has a reply for each recipient; a last failed login has two.
    if kind != ListenerKind::Lmtp {
        let second_replies = usize::from(dialog.name == "auth_too_often");
        let lines = world.refusals().await.split_off(before);
        assert_eq!(lines.len(), refused - second_replies, "{}: one line for each refusal, in {lines:#?}", dialog.name);
        world.assert_serves(address).await;
    }
}
