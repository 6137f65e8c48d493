//! Who comes, how often, and what is said of them: lists, greylisting, rates, and servers in front of us.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use std::sync::Arc;

use posthouse_config::Period;
use posthouse_directory::SenderRule;
use posthouse_dns::Zone;
use posthouse_intake::{GreylistPolicy, GreylistSettings, ListenerKind, Lists, RateLimits, Rates, Settings};
use posthouse_journal::Query;

mod world;

use world::{Client, World, run};

fn of<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}

/// A server that believes loopback when it speaks for others.
async fn proxied(settings: Settings, zone: &str) -> (World, std::net::SocketAddr) {
    let settings = Settings { xclient_from: vec!["127.0.0.1".parse().unwrap()], ..settings };
    let mut world = World::new(settings).await;
    world.context.resolver = Arc::new(Zone::of(zone).unwrap());
    let address = world.listen(ListenerKind::Mx);
    (world, address)
}

async fn client_from(server: std::net::SocketAddr, client: &str) -> Client {
    let mut connection = Client::greeted(server).await;
    connection.expect(&format!("XCLIENT ADDR={client} HELO=client.example"), "220 ").await;
    connection.expect("EHLO proxy", "250 ").await;
    connection
}

#[test]
fn a_client_behind_a_server_of_ours_is_judged_as_itself() {
    run(async {
        let settings = Settings {
            connections_per_address_max: 2,
            trusted_networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..Settings::default()
        };
        let (world, address) = proxied(settings, "").await;
        let mut client = client_from(address, "192.0.2.9").await;
        // Loopback may relay, and 192.0.2.9 is not loopback.
        client.expect("MAIL FROM:<x@elsewhere.example>", "250 ").await;
        client.expect("RCPT TO:<y@elsewhere.example>", "550 5.7.1 ").await;
        client.expect("RCPT TO:<alice@example.org>", "250 ").await;
        client.expect("DATA", "354 ").await;
        client.expect("Subject: x\r\n\r\nx\r\n.", "250 ").await;
        let (letter, text) = world.only_letter().await;
        assert_eq!(letter.origin.peer, Some("192.0.2.9".parse().unwrap()));
        assert!(text.contains("Received: from client.example (") && text.contains("[192.0.2.9]"), "{text}");
        drop(client);
        let _first = client_from(address, "IPV6:2001:db8::1").await;
        let _second = client_from(address, "IPV6:2001:db8::2").await;
        let mut third = Client::connect(address).await;
        // Two of loopback's places are taken by the proxy's own connections; they are the limit here too.
        assert!(third.reply().await.starts_with("421 "));
    });
}

#[test]
fn nobody_else_may_say_whose_connection_it_is() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::greeted(address).await;
        client.expect("XCLIENT ADDR=192.0.2.9", "500 ").await;
        client.expect("PROXY TCP4 192.0.2.9 192.0.2.1 1 25", "500 ").await;
    });
}

const LISTED: &str = "2.0.0.127.bl.test A 127.0.0.2\n9.2.0.192.bl.test A 127.0.0.3\n9.2.0.192.bl.test TXT sends junk\n\
                      2.0.0.127.grey.test A 127.0.0.2\n8.2.0.192.grey.test A 127.0.0.2\n";

fn two_lists() -> Lists {
    of(r#"{"refuse-at":3,"list":[{"zone":"bl.test","weight":3},{"zone":"grey.test"}]}"#)
}

#[test]
fn whoever_is_listed_is_refused_by_name_and_still_reaches_postmaster() {
    run(async {
        let (_world, address) = proxied(Settings { lists: two_lists(), ..Settings::default() }, LISTED).await;
        let mut client = client_from(address, "192.0.2.9").await;
        client.expect("MAIL FROM:<x@elsewhere.example>", "250 ").await;
        client.expect("RCPT TO:<alice@example.org>", "550 5.7.1 192.0.2.9 is listed by bl.test (sends junk)").await;
        client.expect("RCPT TO:<postmaster@example.org>", "250 ").await;
        for innocent in ["192.0.2.8", "192.0.2.10", "IPV6:2001:db8::9"] {
            let mut client = client_from(address, innocent).await;
            client.expect("MAIL FROM:<x@elsewhere.example>", "250 ").await;
            client.expect("RCPT TO:<alice@example.org>", "250 ").await;
        }
    });
}

#[test]
fn whoever_is_suspected_has_to_come_again_and_is_known_then() {
    run(async {
        let greylist =
            GreylistSettings { policy: GreylistPolicy::Listed, delay: Period::seconds(0), ..GreylistSettings::default() };
        let (_world, address) = proxied(Settings { lists: two_lists(), greylist, ..Settings::default() }, LISTED).await;
        let mut client = client_from(address, "192.0.2.8").await;
        client.expect("MAIL FROM:<x@elsewhere.example>", "250 ").await;
        client.expect("RCPT TO:<alice@example.org>", "451 4.7.1 we do not know each other yet, try again in 1 s").await;
        client.expect("RCPT TO:<alice@example.org>", "250 ").await;
        client.expect("RCPT TO:<bob@example.org>", "250 ").await;
        let mut other = client_from(address, "198.51.100.1").await;
        other.expect("MAIL FROM:<x@elsewhere.example>", "250 ").await;
        other.expect("RCPT TO:<alice@example.org>", "250 ").await;
    });
}

#[test]
fn who_is_blocked_is_refused_for_that_recipient_and_who_is_allowed_is_not_put_off() {
    run(async {
        let greylist = GreylistSettings { policy: GreylistPolicy::All, ..GreylistSettings::default() };
        let (world, address) = proxied(Settings { greylist, ..Settings::default() }, "").await;
        let directory = &world.context.directory;
        let [alice, both] = ["alice@example.org", "both@example.org"].map(world::address);
        for (pattern, rule) in [("pest.example", SenderRule::Block), ("friend@far.example", SenderRule::Allow)] {
            directory.list_sender(&alice, &pattern.parse().unwrap(), rule).await.unwrap();
        }
        directory.add_alias(&both, &[alice, world::address("bob@example.org")]).await.unwrap();
        let mut client = client_from(address, "192.0.2.9").await;
        client.expect("MAIL FROM:<x@deep.pest.example>", "250 ").await;
        client.expect("RCPT TO:<alice+x@example.org>", "550 5.7.1 alice+x@example.org has blocked pest.example").await;
        client.expect("RCPT TO:<bob@example.org>", "451 4.7.1 ").await;
        // One of two behind an alias has: the letter is taken, and delivery sets hers aside.
        client.expect("RCPT TO:<both@example.org>", "451 4.7.1 ").await;
        client.expect("RSET", "250 ").await;
        client.expect("MAIL FROM:<Friend@far.example>", "250 ").await;
        client.expect("RCPT TO:<alice@example.org>", "250 ").await;
        client.expect("RCPT TO:<bob@example.org>", "451 4.7.1 ").await;
        client.expect("RSET", "250 ").await;
        client.expect("MAIL FROM:<>", "250 ").await;
        client.expect("RCPT TO:<alice@example.org>", "451 4.7.1 ").await;
    });
}

#[test]
fn a_search_for_addresses_over_many_connections_ends() {
    run(async {
        let address_limits = RateLimits { errors: 10, ..RateLimits::default() };
        let rates =
            Rates { address: address_limits, network: RateLimits { errors: 15, ..RateLimits::default() }, ..Rates::default() };
        let (_world, address) = proxied(Settings { rates, ..Settings::default() }, "").await;
        for round in 0..5 {
            let mut client = client_from(address, "192.0.2.9").await;
            client.expect("MAIL FROM:<x@elsewhere.example>", "250 ").await;
            for name in 0..2 {
                client.expect(&format!("RCPT TO:<guess{round}{name}@example.org>"), "550 5.1.1 ").await;
            }
        }
        let mut client = Client::greeted(address).await;
        client.expect("XCLIENT ADDR=192.0.2.9", "421 4.7.0 too many errors from your network, try again in 6 min").await;
        assert!(client.is_closed().await);
        let mut neighbour = client_from(address, "192.0.2.10").await;
        for _ in 0..5 {
            neighbour.expect("NONSENSE", "500 ").await;
        }
        let mut client = Client::greeted(address).await;
        client.expect("XCLIENT ADDR=192.0.2.11", "421 4.7.0 ").await;
        client_from(address, "198.51.100.1").await;
    });
}

#[test]
fn an_account_and_an_address_send_as_much_as_they_may() {
    run(async {
        let account = RateLimits { letters: 2, recipients_per_domain: 3, ..RateLimits::default() };
        let rates = Rates { account, address: RateLimits { letters: 1, ..RateLimits::default() }, ..Rates::default() };
        let (world, mx) = proxied(Settings { rates, ..Settings::default() }, "").await;
        let submission = world.listen(ListenerKind::Submission);
        let mut alice = Client::logged_in(submission).await;
        alice.expect("MAIL FROM:<alice@example.org>", "250 ").await;
        for name in ["a", "b", "c"] {
            alice.expect(&format!("RCPT TO:<{name}@elsewhere.example>"), "250 ").await;
        }
        alice.expect("RCPT TO:<d@elsewhere.example>", "451 4.7.1 too many recipients, try again in 20 min").await;
        alice.expect("RCPT TO:<d@other.example>", "250 ").await;
        alice.expect("RSET", "250 ").await;
        alice.expect("MAIL FROM:<alice@example.org>", "250 ").await;
        alice.expect("RSET", "250 ").await;
        let mut again = Client::logged_in(submission).await;
        again.expect("MAIL FROM:<alice@example.org>", "451 4.7.1 too many letters, try again in 30 min").await;
        let mut client = client_from(mx, "192.0.2.9").await;
        client.expect("MAIL FROM:<x@elsewhere.example>", "250 ").await;
        client.expect("RSET", "250 ").await;
        client.expect("MAIL FROM:<x@elsewhere.example>", "451 4.7.1 ").await;
    });
}

#[test]
fn a_name_in_a_greeting_that_cannot_be_the_peers_is_marked_or_refused_as_is_set_and_no_honest_one_is() {
    let rows = [
        ("mx.example.org", "own"),
        ("MX.Example.ORG", "own"),
        ("[127.0.0.1]", "own"),
        ("localhost", "malformed"),
        ("friend", "malformed"),
        ("192.0.2.1", "malformed"),
        ("a..b", "malformed"),
        ("[192.0.2.1]", ""),
        ("[IPv6:2001:db8::1]", ""),
        ("mx.elsewhere.test", ""),
        ("desk_top.elsewhere.test", ""),
        ("mx.elsewhere.test.", ""),
    ];
    run(async {
        for (own, malformed) in [("refuse", "mark"), ("mark", "refuse"), ("off", "off")] {
            let json = format!("{{\"own-name\":\"{own}\",\"malformed\":\"{malformed}\"}}");
            let settings = Settings { hello: of(&json), senders: of("{\"exempt\":[]}"), ..Settings::default() };
            let world = World::new(settings).await;
            let address = world.listen(ListenerKind::Mx);
            assert_eq!(world.context.hostname.as_str(), "mx.example.org");
            for (name, fault) in rows {
                let refused = (fault == "own" && own == "refuse") || (fault == "malformed" && malformed == "refuse");
                let mut client = Client::greeted(address).await;
                client.expect(&format!("EHLO {name}"), if refused { "550 5.7.1 " } else { "250 " }).await;
                // Whoever mends it is served.
                client.expect("EHLO mx.elsewhere.test", "250 ").await;
            }
            // Users call themselves what they like.
            let mut user = Client::connect(world.listen(ListenerKind::Submission)).await;
            user.reply().await;
            user.expect("EHLO localhost", "250 ").await;
        }
    });
}

#[test]
fn a_marked_greeting_stands_among_the_verdicts_on_the_letter() {
    run(async {
        let settings = Settings { senders: of("{\"exempt\":[],\"policy\":\"mark\"}"), ..Settings::default() };
        let world = World::new(settings).await;
        let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
        client.expect("EHLO mx.example.org", "250 ").await;
        client.expect("MAIL FROM:<x@elsewhere.example>", "250 ").await;
        client.expect("RCPT TO:<alice@example.org>", "250 ").await;
        client.expect("DATA", "354 ").await;
        client.expect("From: x@elsewhere.example\r\n\r\nx\r\n.", "250 ").await;
        world.context.journal.flush().await;
        let entries = world.context.journal.query(Query::Address("alice@example.org".to_owned())).await.unwrap();
        let told = format!("{entries:?}");
        assert!(told.contains("\"helo\"") && told.contains("the name is ours, and not yours"), "{told}");
    });
}
