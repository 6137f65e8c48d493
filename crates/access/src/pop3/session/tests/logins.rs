//! Logins that take more than one line, and mailboxes that cannot be had.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use posthouse_sasl::{ClientExchange, ClientStep, Mechanism, Nonce};

use super::*;

/// Runs our client half against the session; the last line of the server.
fn scram(world: &mut World, mechanism: Mechanism, binding: ChannelBinding, login: &str, password: &str) -> String {
    let now = clock::now();
    let mut session = secure(world, now);
    let nonce = Nonce::from_random([5; 18]);
    let mut client = ClientExchange::start(mechanism, login, password, binding, nonce).unwrap();
    let initial = STANDARD.encode(client.initial().unwrap());
    let (mut reply, _) = say(world, &mut session, now, &format!("AUTH {mechanism} {initial}\r\n"));
    while let Some(challenge) = reply.strip_prefix("+ ") {
        let answer = match client.step(&STANDARD.decode(challenge.trim_end()).unwrap()) {
            ClientStep::Send(answer) => STANDARD.encode(answer),
            ClientStep::Failed(_) => "*".to_owned(),
        };
        reply = say(world, &mut session, now, &format!("{answer}\r\n")).0;
    }
    if reply.starts_with("+OK") {
        client.success().unwrap();
    }
    reply
}

const OPEN: &str = "+OK 0 messages, 0 octets\r\n";
const WRONG: &str = "-ERR [AUTH] wrong login or password\r\n";

#[test]
fn scram_lets_in_whom_it_should_and_no_other() {
    let mut world = World::new(&[]);
    for (mechanism, binding) in [
        (Mechanism::ScramSha256, ChannelBinding::None),
        (Mechanism::ScramSha256Plus, EXPORTER),
        (Mechanism::ScramSha1, ChannelBinding::None),
        (Mechanism::ScramSha1Plus, EXPORTER),
    ] {
        assert_eq!(scram(&mut world, mechanism, binding, "alice@a.test", "secret"), OPEN);
        assert_eq!(scram(&mut world, mechanism, binding, "alice@a.test", "guess"), WRONG);
        assert_eq!(scram(&mut world, mechanism, binding, "nobody@a.test", "secret"), WRONG);
    }
    assert_eq!(world.log[0], "open alice@a.test SCRAM-SHA-256");
    assert_eq!(world.log[1], "failed alice@a.test SCRAM-SHA-256");
}

#[test]
fn a_man_in_the_middle_is_found_by_the_binding() {
    let mut world = World::new(&[]);
    let elsewhere = ChannelBinding::Exporter([8; 32]);
    assert_eq!(scram(&mut world, Mechanism::ScramSha256Plus, elsewhere, "alice@a.test", "secret"), WRONG);
    // The client could bind and was not offered to: -PLUS was taken out of the offer on its way.
    assert_eq!(scram(&mut world, Mechanism::ScramSha256, EXPORTER, "alice@a.test", "secret"), WRONG);
}

#[test]
fn a_connection_that_cannot_be_bound_offers_no_plus() {
    let now = clock::now();
    let mut world = World::new(&[]);
    let mut session = Session::new(config(), now, Some(ChannelBinding::None.into()));
    world.drive(&mut session, now);
    let (sent, _) = say(&mut world, &mut session, now, "CAPA\r\nAUTH SCRAM-SHA-256-PLUS\r\n");
    assert!(sent.contains("SASL SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN\r\n"), "{sent}");
    assert!(sent.ends_with("-ERR that mechanism is not offered\r\n"), "{sent}");
}

#[test]
fn a_mailbox_in_use_is_told_and_can_be_asked_for_again() {
    let now = clock::now();
    let mut world = World::new(&[b"x\r\n"]);
    let mut session = secure(&mut world, now);
    world.in_use = true;
    for _ in 0..5 {
        let (sent, ended) = say(&mut world, &mut session, now, "USER alice@a.test\r\nPASS secret\r\n");
        assert!(sent.ends_with("-ERR [IN-USE] another session has this mailbox\r\n"), "{sent}");
        assert!(!ended, "a right password is not counted as a wrong one");
    }
    world.in_use = false;
    let (sent, _) = say(&mut world, &mut session, now, "USER alice@a.test\r\nPASS secret\r\n");
    assert!(sent.ends_with("+OK 1 messages, 3 octets\r\n"), "{sent}");
}

#[test]
fn a_directory_that_is_down_is_not_a_wrong_password() {
    let now = clock::now();
    let mut world = World::new(&[]);
    let mut session = secure(&mut world, now);
    world.failing = true;
    for said in ["USER alice@a.test\r\nPASS secret\r\n", "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBhLnRlc3Qscj1hYmM=\r\n"] {
        for _ in 0..4 {
            let (sent, ended) = say(&mut world, &mut session, now, said);
            assert!(sent.ends_with("-ERR [SYS/TEMP] a fault of this server; try again later\r\n"), "{sent}");
            assert!(!ended);
        }
    }
    assert_eq!(world.log, Vec::<String>::new());
}

#[test]
fn a_password_of_another_form_or_none_at_all_is_only_wrong() {
    for pass in ["PASS \u{ad}", "PASS \u{2028}x", "PASS s\u{e9}cret"] {
        let now = clock::now();
        let mut world = World::new(&[]);
        let mut session = secure(&mut world, now);
        let (sent, ended) = say(&mut world, &mut session, now, &format!("USER alice@a.test\r\n{pass}\r\n"));
        assert!(sent.ends_with(WRONG), "{pass}: {sent}");
        assert!(!ended);
    }
}

#[test]
fn a_token_lets_its_owner_in_and_a_refused_one_is_written_down_before_the_client_hears_of_it() {
    let (now, mut world) = (clock::now(), World::new(&[]));
    for mechanism in [Mechanism::OAuthBearer, Mechanism::XOAuth2] {
        for (token, right) in [("good", true), ("forged", false)] {
            let mut session = Session::new(Config { tokens: true, ..config() }, now, Some(EXPORTER.into()));
            world.drive(&mut session, now);
            world.log.clear();
            let nonce = Nonce::from_random([5; 18]);
            let mut client = ClientExchange::start(mechanism, "alice@a.test", token, ChannelBinding::None, nonce).unwrap();
            let initial = STANDARD.encode(client.initial().unwrap());
            let (reply, _) = say(&mut world, &mut session, now, &format!("AUTH {mechanism} {initial}\r\n"));
            if right {
                assert_eq!((reply.as_str(), world.log.join("")), (OPEN, format!("open alice@a.test {mechanism}")));
                continue;
            }
            assert!(reply.starts_with("+ ey"), "{reply}");
            assert_eq!(world.log, [format!("failed alice@a.test {mechanism}")]);
            assert_eq!(say(&mut world, &mut session, now, "AQ==\r\n").0, WRONG);
            assert_eq!(world.log.len(), 1, "it is one failure: {:?}", world.log);
        }
    }
    // Without an issuer no token is taken.
    let mut session = secure(&mut world, now);
    assert!(say(&mut world, &mut session, now, "AUTH OAUTHBEARER AQ==\r\n").0.starts_with("-ERR"));
}

#[test]
fn a_certificate_logs_in_where_one_was_shown_and_is_not_offered_elsewhere() {
    let (now, mut world) = (clock::now(), World::new(&[]));
    let malformed = "-ERR that is not a message of this mechanism\r\n";
    for (initial, expected) in [("=", OPEN), ("YWxpY2VAYS50ZXN0", OPEN), ("Ym9iQGEudGVzdA==", WRONG), ("YWxpY2UA", malformed)] {
        let mut session = secure(&mut world, now);
        session.certify(true);
        assert!(say(&mut world, &mut session, now, "CAPA\r\n").0.contains("SASL EXTERNAL SCRAM"));
        assert_eq!(say(&mut world, &mut session, now, &format!("AUTH EXTERNAL {initial}\r\n")).0, expected, "{initial}");
    }
    let mut session = secure(&mut world, now);
    assert!(!say(&mut world, &mut session, now, "CAPA\r\n").0.contains("EXTERNAL"));
    assert!(say(&mut world, &mut session, now, "AUTH EXTERNAL =\r\n").0.starts_with("-ERR"));
}
