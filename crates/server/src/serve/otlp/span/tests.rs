use super::*;

const LETTER: &str = "01M8C9XHE7VZ9RFYKC70NF9S0D";

fn letter() -> LetterId {
    LETTER.parse().unwrap()
}

fn lasted(began: u64, ended: u64) -> Lasted {
    Lasted { began: UnixMillis(began), ended: UnixMillis(ended) }
}

fn attempt_of(reply: &str, outcome: Outcome) -> Event {
    Event::Attempt {
        to: "bob@far.test".to_owned(),
        also: vec!["eve@far.test".to_owned()],
        host: Some("mx.far.test".to_owned()),
        address: Some("[::ffff:192.0.2.7]:25".parse().unwrap()),
        source: None,
        sender: None,
        tls: Some("TLSv1.3 TLS13_AES_256_GCM_SHA384 X25519MLKEM768".to_owned()),
        policy: Some("verified, as MTA-STS of far.test asks".to_owned()),
        reply: reply.to_owned(),
        outcome,
        next: None,
    }
}

fn shown(event: &Event) -> Value {
    of(letter(), Step::Event(event), lasted(1_000, 1_250)).unwrap().document(7)
}

fn value<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    attributes.iter().find(|one| one["key"] == key).map_or(&Value::Null, |one| &one["value"])
}

#[test]
fn the_trace_is_named_as_the_letter_and_everything_hangs_on_its_acceptance() {
    let accepted = Event::Accepted {
        listener: "mx".to_owned(),
        peer: Some("192.0.2.1".parse().unwrap()),
        helo: "client.test".to_owned(),
        tls: None,
        account: None,
        user: None,
        from: String::new(),
        to: vec!["bob@far.test".to_owned()],
        size: 7,
        message_id: Some("<1@client.test>".to_owned()),
    };
    let (root, child) = (shown(&accepted), shown(&attempt_of("250 2.0.0 taken", Outcome::Delivered)));
    let id: String = letter().to_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!((&root["traceId"], &child["traceId"]), (&Value::from(id.as_str()), &Value::from(id.as_str())));
    assert_eq!((&root["spanId"], &root["parentSpanId"]), (&Value::from(&id[16..]), &Value::Null));
    assert_eq!((&child["spanId"], &child["parentSpanId"]), (&Value::from("0000000000000007"), &root["spanId"]));
    assert_eq!((&child["startTimeUnixNano"], &child["endTimeUnixNano"]), (&"1000000000".into(), &"1250000000".into()));
    assert_eq!(value(&root, "posthouse.letter")["stringValue"], LETTER);
    assert_eq!(value(&root, "posthouse.sender.domain"), &Value::Null, "an empty sender has none");
}

#[test]
fn an_attempt_says_where_how_and_what_was_answered() {
    let failed = shown(&attempt_of("550 5.1.1 nobody of that name", Outcome::Failed));
    for (key, expected) in [
        ("server.address", "mx.far.test"),
        ("network.peer.address", "::ffff:192.0.2.7"),
        ("network.type", "ipv4"),
        ("tls.protocol.version", "1.3"),
        ("tls.cipher", "TLS13_AES_256_GCM_SHA384"),
        ("posthouse.tls.policy", "verified, as MTA-STS of far.test asks"),
        ("posthouse.recipient.domain", "far.test"),
        ("posthouse.reply.status", "5.1.1"),
        ("error.type", "550"),
    ] {
        assert_eq!(value(&failed, key)["stringValue"], expected, "{key}");
    }
    assert_eq!(value(&failed, "posthouse.reply.code")["intValue"], "550");
    assert_eq!(value(&failed, "posthouse.recipients")["intValue"], "2");
    assert_eq!(failed["status"], json!({ "code": 2, "message": "550 5.1.1 nobody of that name" }));
    assert_eq!(failed["kind"], 3);
    assert!(!failed.to_string().contains("bob@"), "whom it is for is in the timeline alone");
    let delivered = shown(&attempt_of("250 taken", Outcome::Delivered));
    assert_eq!((&delivered["status"], value(&delivered, "posthouse.reply.status")), (&Value::Null, &Value::Null));
}

#[test]
fn what_a_peer_says_has_an_end_and_is_one_value() {
    let long = format!("451-é\",\"x\":\"\r\n\u{1b}[2J{}", "é".repeat(10_000));
    let span = shown(&attempt_of(&long, Outcome::Deferred));
    let again: Value = serde_json::from_str(&span.to_string()).unwrap();
    assert_eq!(again, span);
    assert_eq!(value(&span, "posthouse.reply")["stringValue"].as_str().unwrap().chars().count(), VALUE_MAX);
    assert!(span.to_string().len() < 5_000);
}

#[test]
fn a_bounce_and_its_cause_name_each_other() {
    let bounce: LetterId = "01M8C9XHE7VZ9RFYKC70NF9S0E".parse().unwrap();
    let told = shown(&Event::Bounced { to: "bob@far.test".to_owned(), bounce });
    let own = made(bounce, letter(), UnixMillis(5)).document(7);
    assert_eq!(told["links"][0], json!({ "traceId": own["traceId"], "spanId": own["spanId"] }));
    assert_eq!(own["links"][0]["traceId"], told["traceId"]);
    assert_eq!(own["links"][0]["spanId"], told["parentSpanId"]);
}
