use super::*;

fn accepted() -> Event {
    Event::Accepted {
        listener: "submission".to_owned(),
        peer: Some("192.0.2.7".parse().unwrap()),
        helo: "client.example".to_owned(),
        tls: Some("TLSv1.3".to_owned()),
        account: Some("alice@example.test".to_owned()),
        user: None,
        from: "Alice@Example.test".to_owned(),
        to: vec!["bob@example.test".to_owned(), "Carol@example.org".to_owned()],
        size: 12_345,
        message_id: Some("<1@client.example>".to_owned()),
    }
}

fn operator(action: &str, destination: Option<&str>, detail: Option<&str>) -> Event {
    Event::Operator {
        by: "alice".to_owned(),
        uid: 1000,
        pid: Some(4711),
        action: action.to_owned(),
        destination: destination.map(str::to_owned),
        detail: detail.map(str::to_owned),
    }
}

/// Every kind of event once. A new kind belongs here.
pub(crate) fn every_event() -> Vec<Event> {
    let (text, id) = (str::to_owned, LetterId::new(UnixMillis(1_795_489_929_120), 7));
    let peer = Some("192.0.2.7".parse().unwrap());
    let attempt = |outcome, next| Event::Attempt {
        to: text("bob@example.test"),
        also: if outcome == Outcome::Failed { vec![text("Carol@example.test")] } else { Vec::new() },
        host: Some(text("mx.example")),
        address: Some("198.51.100.1:25".parse().unwrap()),
        source: Some(text("news (192.0.2.9)")),
        sender: Some(text("SRS0=x@ours.test")),
        tls: None,
        policy: Some(text("opportunistic")),
        reply: text("250 2.0.0 ok"),
        outcome,
        next,
    };
    vec![
        accepted(),
        Event::Expanded { address: text("team@example.test"), targets: vec![text("bob@example.test")] },
        Event::Verified {
            authors: vec![text("alice@example.test")],
            findings: vec![Finding {
                method: text("spf"),
                result: text("pass"),
                domain: text("example.test"),
                reason: text("`ip4:192.0.2.7` matches"),
                record: Some(text("example.test TXT v=spf1 ip4:192.0.2.7 -all")),
            }],
            action: text("taken"),
        },
        Event::Refused {
            listener: text("mx"),
            peer,
            user: None,
            stage: text("letter"),
            from: Some(String::new()),
            to: Some(text("bob@example.test")),
            also: vec![text("carol@example.test")],
            reply: text("550 5.7.26 no"),
        },
        attempt(Outcome::Delivered, None),
        attempt(Outcome::Deferred, Some(UnixMillis(1_795_490_229_120))),
        attempt(Outcome::Failed, None),
        Event::Waiting { to: text("bob@example.test"), why: text("451 4.3.2 delivery is suspended by root") },
        Event::Stored { to: text("bob@example.test"), account: text("01ACCOUNT"), uid: 7, folder: None, rule: None },
        Event::Bounced { to: text("bob@example.test"), bounce: id },
        Event::Reported { kind: text("dmarc-report"), about: text("example.net"), to: text("d@example.net") },
        Event::Filed {
            to: text("reports@example.test"),
            kind: text("dmarc"),
            about: text("example.test"),
            reporter: text("big.example"),
        },
        Event::Unread { to: text("reports@example.test"), why: text("there is no report in it") },
        Event::Discarded { to: text("bob@example.test"), why: text("removed by the operator") },
        Event::Expired { to: text("bob@example.test"), folder: text("Junk"), kept: text("30d") },
        Event::Login {
            protocol: text("smtp"),
            peer,
            account: text("alice"),
            mechanism: text("PLAIN"),
            ok: false,
            client: Some(text("phone.example")),
            tls: None,
            app_password: None,
            why: Some(text("wrong")),
        },
        Event::Fetched { account: text("bob"), uid: 7, peer: None },
        operator("redirect", None, Some("to relay.example:25")),
        operator("suspend", Some("example.net"), None),
    ]
}

#[test]
fn every_event_survives_the_file() {
    for event in every_event() {
        for letter in [None, Some(LetterId::new(UnixMillis(1), 2))] {
            let entry = Entry { at: UnixMillis(1_795_489_929_120), letter, event: event.clone() };
            let text = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry, "{text}");
        }
    }
}

#[test]
fn the_json_of_an_entry_keeps_its_names() {
    let id = LetterId::new(UnixMillis(1), 2);
    let entry = Entry::of(id, UnixMillis(3), Event::Bounced { to: "bob@example.test".to_owned(), bounce: id });
    let expected = format!(r#"{{"at":3,"letter":"{id}","event":"bounced","to":"bob@example.test","bounce":"{id}"}}"#);
    assert_eq!(serde_json::to_string(&entry).unwrap(), expected);
}

#[test]
fn an_event_is_found_by_each_address_it_names_once_and_folded() {
    assert_eq!(accepted().addresses(), ["alice@example.test", "bob@example.test", "carol@example.org"]);
    let refused = every_event().remove(3);
    assert_eq!(
        refused.addresses(),
        ["192.0.2.7", "bob@example.test", "carol@example.test"],
        "the empty reverse-path is no address"
    );
    let failed = every_event().remove(6);
    assert_eq!(failed.addresses(), ["bob@example.test", "carol@example.test"], "each of those for whom it ended alike");
    let suspended = every_event().pop().unwrap();
    assert_eq!(suspended.addresses(), ["example.net"], "a suspension is found by its destination");
}
