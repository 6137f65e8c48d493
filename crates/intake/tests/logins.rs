//! Log-ins over SMTP: guessers, app passwords, and what is written down of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use posthouse_directory::{LoginSettings, Protocol};
use posthouse_intake::{ListenerKind, Settings};
use posthouse_journal::{Event, Query};

mod world;

use world::{Client, World, address, run};

fn plain(login: &str, password: &str) -> String {
    format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{login}\0{password}")))
}

async fn open(settings: Settings) -> World {
    World::new(Settings { plain_login_on_loopback: true, failed_logins_max: 100, ..settings }).await
}

#[test]
fn whoever_guesses_too_often_is_not_heard_for_a_while_and_mail_goes_on() {
    run(async {
        let world = open(Settings::default()).await;
        let (submission, mx) = (world.listen(ListenerKind::Submission), world.listen(ListenerKind::Mx));
        world.context.directory.configure(LoginSettings { wrong_per_account: 3, ..LoginSettings::default() }).unwrap();
        let mut client = Client::greeted(submission).await;
        for guess in ["1", "2", "3"] {
            client.expect(&plain("bob@example.org", guess), "535 5.7.8 ").await;
        }
        for right in ["secret", "4"] {
            client.expect(&plain("bob@example.org", right), "421 4.7.0 too many wrong passwords, try again in 8 h").await;
            assert!(client.is_closed().await);
            client = Client::greeted(submission).await;
        }
        let refused = world.refusals().await.into_iter().filter(|event| matches!(event, Event::Refused { .. })).count();
        assert_eq!(refused, 2);

        // Alice is somebody else, and mail from outside needs no log-in.
        client.expect(&plain("alice@example.org", "secret"), "235 ").await;
        let mut server = Client::greeted(mx).await;
        assert!(server.letter("x@elsewhere.example", &["bob@example.org"], b"Subject: x\r\n\r\nx\r\n").await.starts_with("250 "));
    });
}

#[test]
fn one_address_that_tries_many_names_is_slowed_down_and_a_known_user_there_is_not() {
    run(async {
        let world = open(Settings::default()).await;
        let submission = world.listen(ListenerKind::Submission);
        let limits = LoginSettings { wrong_per_address: 3, gateways: Vec::new(), ..LoginSettings::default() };
        world.context.directory.configure(limits).unwrap();
        let mut client = Client::greeted(submission).await;
        client.expect(&plain("alice@example.org", "secret"), "235 ").await;
        let mut client = Client::greeted(submission).await;
        for name in ["root", "admin@example.org", "bob@example.org"] {
            client.expect(&plain(name, "password"), "535 5.7.8 ").await;
        }
        client.expect(&plain("bob@example.org", "secret"), "421 4.7.0 ").await;
        let mut client = Client::greeted(submission).await;
        client.expect(&plain("alice@example.org", "secret"), "235 ").await;
    });
}

#[test]
fn a_login_is_written_down_with_place_client_and_app_password() {
    run(async {
        let world = open(Settings::default()).await;
        let submission = world.listen(ListenerKind::Submission);
        let alice = address("alice@example.org");
        let directory = &world.context.directory;
        let added = directory.add_app_password(&alice, &"phone".parse().unwrap(), &[Protocol::Smtp], None).await;
        let password = added.unwrap().1;
        let mut client = Client::greeted(submission).await;
        client.expect(&plain("alice@example.org", "wrong"), "535 ").await;
        client.expect("AUTH LOGIN YWxpY2VAZXhhbXBsZS5vcmc=", "334 ").await;
        client.expect(&STANDARD.encode(password.reveal()), "235 ").await;
        client.expect("MAIL FROM:<alice@example.org>", "250 ").await;
        world.context.journal.flush().await;
        let found = world.context.journal.query(Query::Address(alice.to_string())).await.unwrap();
        let text = found.iter().map(|entry| entry.event.to_string()).collect::<Vec<_>>();
        assert_eq!(
            text,
            [
                "alice@example.org was not let in over smtp by PLAIN, from 127.0.0.1 (client.example.net): wrong login or password",
                "alice@example.org logged in over smtp by LOGIN with the app password phone, from 127.0.0.1 (client.example.net)",
            ]
        );
    });
}
