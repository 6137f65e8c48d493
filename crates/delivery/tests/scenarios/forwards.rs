//! Letters that an alias sends on: their sender is written so that SPF passes and a bounce comes back.

use std::time::Duration;

use posthouse_config::Period;
use posthouse_delivery::Settings;
use posthouse_directory::Directory;
use posthouse_journal::Event;
use posthouse_mail::{Address, UnixMillis};
use posthouse_mailauth::srs;
use posthouse_queue::Origin;
use posthouse_runtime::clock;
use posthouse_testkit::peer::Peer;

use crate::world::{ARRIVED, World, farewell, greet, on, run};

/// What MAIL says of a letter from this sender that came by this listener.
fn told(sender: &'static str, listener: &'static str) -> (String, Vec<Vec<u8>>) {
    told_with(sender, Origin { listener: listener.to_owned(), ..Origin::default() }, true)
}

fn told_with(sender: &'static str, origin: Origin, rewrite_senders: bool) -> (String, Vec<Vec<u8>>) {
    run(async move {
        let (heard, said) = std::sync::mpsc::channel();
        let peer = Peer::listen(1, move |talk| {
            greet(talk);
            heard.send(talk.hear().unwrap()).unwrap();
            talk.say("250 ok");
            on(talk, "RCPT TO:<a@far.test>", "250 ok");
            on(talk, "DATA", "354 go on");
            talk.body();
            talk.say("250 taken");
            farewell(talk);
        });
        let settings = Settings {
            port: peer.address().port(),
            rewrite_senders,
            idle_timeout: Period(Duration::ZERO),
            ..Settings::default()
        };
        let world = World::with("", settings).await;
        world.submit_by(origin, sender, &["a@far.test"], "Subject: x\r\n\r\nhello\r\n").await;
        world.deliver_at(ARRIVED).await;
        peer.finish();
        let directory: &Directory = &world.context.directory;
        (said.recv().unwrap(), directory.forwarding_keys(UnixMillis(clock::unix_millis())).await.unwrap())
    })
}

#[test]
fn a_letter_from_outside_leaves_with_a_sender_of_ours_that_leads_back() {
    for listener in ["mx", "lmtp", "alias"] {
        let (mail, keys) = told("alice@else.test", listener);
        let path = mail.strip_prefix("MAIL FROM:<").and_then(|rest| rest.split('>').next()).unwrap();
        let address: Address = path.parse().unwrap();
        assert_eq!(address.domain().as_str(), "ours.test", "{mail}");
        let back = srs::back(&keys, address.local().as_str(), UnixMillis(clock::unix_millis()));
        assert_eq!(back, Ok("alice@else.test".parse().unwrap()), "{mail}");
    }
}

#[test]
fn our_own_letters_bounces_and_senders_too_long_keep_theirs() {
    let long = "0100018bxxxxxxxx-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx-000000@else.test";
    for (sender, listener) in [("alice@ours.test", "mx"), ("alice@else.test", "submission"), ("", "mx"), (long, "mx")] {
        let (mail, _) = told(sender, listener);
        assert!(mail.starts_with(&format!("MAIL FROM:<{sender}>")), "{mail}");
    }
}

#[test]
fn what_is_relayed_for_a_trusted_network_keeps_its_sender() {
    let from = |peer: &str| Origin { listener: "mx".to_owned(), peer: Some(peer.parse().unwrap()), ..Origin::default() };
    let own = "MAIL FROM:<alice@else.test>";
    assert!(told_with("alice@else.test", from("127.0.0.9"), true).0.starts_with(own));
    assert!(!told_with("alice@else.test", from("127.0.0.8"), true).0.starts_with(own));
    assert!(told_with("alice@else.test", from("127.0.0.8"), false).0.starts_with(own), "where it is not wanted");
}

#[test]
fn the_timeline_says_which_sender_the_next_server_was_told_and_why() {
    let long = "0100018bxxxxxxxx-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx-000000@else.test";
    for (sender, listener, words) in
        [("alice@else.test", "mx", "SRS0="), (long, "mx", "too long for SRS"), ("alice@else.test", "submission", "")]
    {
        run(async move {
            let peer = Peer::listen(1, |talk| drop(crate::world::take(talk, &["a@far.test"])));
            let world = World::new(peer.address().port(), "").await;
            let origin = Origin { listener: listener.to_owned(), ..Origin::default() };
            let id = world.submit_by(origin, sender, &["a@far.test"], "Subject: x\r\n\r\nhello\r\n").await;
            world.deliver_at(ARRIVED).await;
            peer.finish();
            let told = world.timeline(id).await.into_iter().find_map(|event| {
                if let Event::Attempt { sender, .. } = event { Some(sender.unwrap_or_default()) } else { None }
            });
            let told = told.unwrap();
            assert!(told.contains(words) && told.is_empty() == words.is_empty(), "{sender}: {told}");
        });
    }
}
