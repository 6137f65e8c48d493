use posthouse_dns::Zone;
use posthouse_http::Client;
use posthouse_journal::{Entry, Journal};
use posthouse_runtime::block_on;

use super::super::TIMEOUT;
use super::*;
use crate::config::OpenTelemetry;

/// One that nobody answers for.
fn collector() -> Collector {
    let text = "[opentelemetry]\nurl = \"http://127.0.0.1:1\"\n";
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct File {
        opentelemetry: OpenTelemetry,
    }
    let settings = posthouse_config::parse::<File>(text, "test.toml").unwrap().opentelemetry;
    let client = Client::for_operator(Arc::new(Zone::new()), None, TIMEOUT).unwrap();
    Collector { settings, client }
}

fn letter(random: u128) -> LetterId {
    LetterId::new(UnixMillis(1_795_489_929_120), random)
}

fn stored() -> Event {
    Event::Stored { to: "bob@a.test".to_owned(), account: String::new(), uid: 1, folder: None, rule: None }
}

#[test]
fn so_many_letters_are_chosen_as_the_share_says_and_always_the_same_ones() {
    for (share, state, least, most) in [
        (0.0, "ot=th:", 0, 0),
        (1.0, "ot=th:0", 10_000, 10_000),
        (0.5, "ot=th:8", 4_700, 5_300),
        (0.01, "ot=th:fd70a3d70a3d7", 60, 150),
    ] {
        let threshold = Threshold::of(share);
        let letters: Vec<LetterId> = (0..10_000).map(|_| letter(random::u64().into())).collect();
        let chosen = letters.iter().filter(|letter| threshold.chooses(**letter)).count();
        assert!((least..=most).contains(&chosen), "{share}: {chosen}");
        assert!(threshold.state().starts_with(state), "{share}: {}", threshold.state());
    }
    // What is chosen of few is chosen of many.
    let (few, many) = (Threshold::of(0.01), Threshold::of(0.5));
    assert!((0..1000_u64).map(|_| letter(random::u64().into())).all(|letter| !few.chooses(letter) || many.chooses(letter)));
}

#[test]
fn a_collector_that_is_down_costs_bounded_memory_and_nobody_waits() {
    block_on(async {
        let (tracer, sender) = Tracer::new(collector(), "mx.test".to_owned(), 1.0);
        let tracer = Arc::new(tracer);
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
        journal.follow(Arc::<Tracer>::clone(&tracer));
        let began = clock::now();
        for number in 0..20_000_u64 {
            journal.record(Entry::of(letter(number.into()), UnixMillis(1_795_489_930_000 + number), stored()));
        }
        assert!(clock::now().duration_since(began) < Duration::from_secs(20));
        assert_eq!(tracer.dropped.load(Ordering::Relaxed), 20_000 - u64::try_from(WAITING_MAX).unwrap());
        let idle = tracer.idle.lock().unwrap();
        assert!(idle.since.len() <= LETTERS_MAX && idle.order.len() == idle.since.len());
        drop(sender);
    })
    .unwrap();
}

#[test]
fn between_two_attempts_a_letter_waits() {
    let (tracer, mut sender) = Tracer::new(collector(), "mx.test".to_owned(), 1.0);
    let one = letter(7);
    for (began, ended) in [(100, 200), (5_000, 5_500), (5_000, 5_600), (9_000, 9_100)] {
        let lasted = Lasted { began: UnixMillis(began), ended: UnixMillis(ended) };
        tracer.step(one, Step::Event(&stored()), lasted);
    }
    let mut waits = Vec::new();
    while let Ok(span) = sender.spans.try_recv() {
        let span = sender.one(span);
        if span["name"] == "wait" {
            waits.push((span["startTimeUnixNano"].clone(), span["endTimeUnixNano"].clone()));
        }
    }
    let at = |millis: u64| Value::from((millis * 1_000_000).to_string());
    // Two that ran side by side waited once.
    assert_eq!(waits, [(at(200), at(5_000)), (at(5_600), at(9_000))]);
}
