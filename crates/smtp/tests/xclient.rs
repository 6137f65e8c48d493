//! A server in front of us says whose connection it is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failure here is a failed test; an instant can be had from the clock alone"
)]

use posthouse_smtp::server::{Profile, XclientQuestion};

mod world;

use world::{World, profile};

fn proxied() -> World {
    let mut world = World::new(Profile { xclient: true, auth_without_tls: true, ..profile() }, false);
    world.run();
    world
}

#[test]
fn the_session_begins_anew_with_another_client() {
    let mut world = proxied();
    assert_eq!(world.ask("EHLO proxy"), "250 XCLIENT NAME ADDR PORT PROTO HELO");
    assert!(world.ask("XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.9 PORT=1025 PROTO=ESMTP HELO=client.example").starts_with("220 "));
    let client = XclientQuestion { address: Some("192.0.2.9".parse().unwrap()), helo: Some("client.example".to_owned()) };
    assert_eq!(world.client, Some(client));
    assert!(world.ask("MAIL FROM:<a@b.example>").starts_with("503 "), "EHLO comes first again");
    assert!(world.ask("EHLO proxy").starts_with("250 "));
    assert!(world.ask("XCLIENT ADDR=IPV6:2001:db8::9").starts_with("220 "));
    assert_eq!(world.client.as_ref().unwrap().address, Some("2001:db8::9".parse().unwrap()));
    assert!(world.ask("XCLIENT ADDR=[TEMPUNAVAIL] HELO=a+2Eb").starts_with("220 "));
    assert_eq!(world.client, Some(XclientQuestion { address: None, helo: Some("a.b".to_owned()) }));
}

#[test]
fn nobody_else_may_say_it_and_not_in_the_middle_of_a_letter() {
    let mut world = World::new(profile(), false);
    world.run();
    assert!(!world.ask("EHLO client").contains("XCLIENT"));
    assert!(world.ask("XCLIENT ADDR=192.0.2.9").starts_with("500 "));
    let mut world = proxied();
    world.ask("EHLO proxy");
    assert!(world.ask("MAIL FROM:<a@b.example>").starts_with("250 "));
    assert!(world.ask("XCLIENT ADDR=192.0.2.9").starts_with("503 "));
    assert_eq!(world.client, None);
}

#[test]
fn what_is_not_understood_is_refused_and_nobody_is_mixed_up() {
    for arguments in [
        "",
        "ADDR",
        "ADDR=",
        "ADDR=client.example",
        "ADDR=2001:db8::9",
        "ADDR=IPV6:192.0.2.9",
        "ADDR=192.0.2.9 ",
        "ADDR=192.0.2.9  PORT=1",
        "LOGIN=alice@example.org",
        "PORT=65536",
        "PROTO=HTTP",
        "HELO=a b",
        "HELO=a+20b",
        "HELO=a+0D+0AMAIL",
        "DESTADDR=192.0.2.1",
        "X=y",
    ] {
        let mut world = proxied();
        world.ask("EHLO proxy");
        let reply = world.ask(&format!("XCLIENT {arguments}"));
        // RFC 5321 §4.1.1: a space at the end is nothing.
        assert_eq!(reply.starts_with("501 "), arguments != "ADDR=192.0.2.9 ", "{arguments:?}: {reply}");
    }
}
