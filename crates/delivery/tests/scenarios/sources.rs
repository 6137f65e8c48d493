//! Letters that leave by different addresses of ours.

use posthouse_config::Period;
use posthouse_delivery::{Settings, SourceSettings};
use posthouse_journal::Event;
use posthouse_runtime::net::has_ipv6_loopback;
use posthouse_testkit::peer::Peer;
use posthouse_testkit::ports;

use crate::world::{ARRIVED, World, farewell, greet, on, run, take_letter};

const BODY: &str = "Subject: x\r\n\r\nhello\r\n";

fn source(name: &str, addresses: &[&str]) -> SourceSettings {
    SourceSettings {
        name: name.to_owned(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        hostname: None,
        senders: Vec::new(),
        destinations: Vec::new(),
        concurrency_per_destination_max: None,
        letters_per_minute_per_destination: None,
    }
}

fn settings(port: u16, usual: &[&str], source: Vec<SourceSettings>) -> Settings {
    let source_addresses = usual.iter().map(|address| address.parse().unwrap()).collect();
    Settings { port, idle_timeout: Period::seconds(0), source_addresses, source, ..Settings::default() }
}

#[test]
fn letters_leave_by_the_addresses_of_their_senders_and_destinations() {
    let peer = Peer::listen(5, |talk| {
        let from = talk.from().to_string();
        let (ehlo, sender, to) = match from.as_str() {
            "127.0.0.2" => ("mail.ours.test", "s@ours.test", "a@far.test"),
            "127.0.0.3" => ("news.ours.test", "s@news.test", "a@far.test"),
            "127.0.0.4" => ("mail.ours.test", "s@ours.test", "b@other.test"),
            other => panic!("a connection from {other}"),
        };
        talk.say("220 mx.far.test ESMTP");
        assert_eq!(talk.hear().unwrap(), format!("EHLO {ehlo}"));
        talk.say("250 mx.far.test");
        on(talk, &format!("MAIL FROM:<{sender}>"), "250 ok");
        on(talk, &format!("RCPT TO:<{to}>"), "250 ok");
        on(talk, "DATA", "354 go on");
        talk.body();
        talk.say("250 taken");
        farewell(talk);
    });
    let news = SourceSettings {
        hostname: Some("news.ours.test".to_owned()),
        senders: vec!["@news.test".to_owned()],
        ..source("news", &["127.0.0.3"])
    };
    let slow = SourceSettings {
        destinations: vec!["other.test".to_owned()],
        letters_per_minute_per_destination: Some(1),
        ..source("slow", &["127.0.0.4"])
    };
    run(async {
        let world = World::with("", settings(peer.address().port(), &["127.0.0.2"], vec![news, slow])).await;
        let mut letters = Vec::new();
        for (from, to) in [
            ("s@ours.test", "a@far.test"),
            ("s@news.test", "a@far.test"),
            ("s@news.test", "a@far.test"),
            ("s@ours.test", "b@other.test"),
        ] {
            letters.push(world.submit(from, &[to], BODY).await);
        }
        for _ in 0..2 {
            world.submit("s@ours.test", &["b@other.test"], BODY).await;
        }
        // A minute's letters may go at once, and then one a minute.
        assert_eq!(world.deliver_at(ARRIVED).await, 5, "one waits, for its address has a limit of its own");
        let sites: Vec<_> = world.context.queue.sites().into_iter().map(|site| (site.name, site.ready)).collect();
        assert_eq!(sites, [("mx.other.test by slow".to_owned(), 1)]);
        for (letter, words) in
            letters.into_iter().zip([" from 127.0.0.2 ", " from news (127.0.0.3) ", " from news (", " from slow ("])
        {
            let timeline: Vec<String> = world.timeline(letter).await.iter().map(Event::to_string).collect();
            assert!(timeline[0].contains(words), "{timeline:?}");
        }
    });
    peer.finish();
}

#[test]
fn each_family_has_its_address_and_a_host_of_another_family_is_not_reached_by_chance() {
    if !has_ipv6_loopback() {
        eprintln!("skipped: this host has no IPv6 on its loopback interface");
        return;
    }
    let port = ports::free();
    let peer = Peer::listen_on(&format!("[::1]:{port}"), 1, |talk| {
        assert_eq!(talk.from().to_string(), "::1");
        greet(talk);
        take_letter(talk, &["a@six.test"]);
        farewell(talk);
    });
    let zone = "six.test MX 10 mx.six.test\nmx.six.test AAAA ::1";
    let four = SourceSettings { senders: vec!["four.test".to_owned()], ..source("four", &["127.0.0.2"]) };
    run(async {
        let world = World::with(zone, settings(port, &["127.0.0.2", "::1"], vec![four])).await;
        let wrong = world.submit("s@four.test", &["a@six.test"], BODY).await;
        assert_eq!(world.deliver_at(ARRIVED).await, 1);
        assert!(world.states(wrong)[0].is_pending());
        world.submit("s@ours.test", &["a@six.test"], BODY).await;
        assert_eq!(world.deliver_at(ARRIVED).await, 1);
        assert_eq!(world.context.queue.len(), 1);
    });
    peer.finish();
}

#[test]
fn settings_that_name_no_way_out_are_refused_with_their_key() {
    let refused = |settings: Settings| settings.check().unwrap_err().to_string();
    let with = |source| settings(25, &[], vec![source]);
    for (settings, words) in [
        (settings(25, &["192.0.2.1", "192.0.2.2"], Vec::new()), "delivery.source-addresses: there are two of one family"),
        (settings(25, &["0.0.0.0"], Vec::new()), "delivery.source-addresses: 0.0.0.0 is no address"),
        (with(source("a b", &["192.0.2.1"])), "delivery.source.0.name: `a b` is no name"),
        (with(source("a", &[])), "delivery.source.0.addresses: there is none"),
        (
            settings(25, &[], vec![source("a", &["192.0.2.1"]), source("A", &["192.0.2.2"])]),
            "delivery.source.1.name: there are two",
        ),
        (
            with(SourceSettings { senders: vec!["no domain".to_owned()], ..source("a", &["192.0.2.1"]) }),
            "delivery.source.0.senders: `no domain`",
        ),
    ] {
        let said = refused(settings);
        assert!(said.starts_with(words), "{said}");
    }
    let foreign = posthouse_delivery::Way::new(&settings(25, &["192.0.2.1"], Vec::new())).err().unwrap().to_string();
    assert!(foreign.contains("letters cannot leave by 192.0.2.1"), "{foreign}");
}
