use std::time::Duration;

use bytes::Bytes;
use posthouse_mail::{Envelope, Recipient, Reply, ReversePath, Status};
use posthouse_queue::{Letter, Origin, RecipientEnd, Scope, Settings, SiteLimits, Suspension, Work};
use posthouse_runtime::block_on;

use super::super::results::QueuedState;
use super::*;

fn letter(to: &[&str]) -> Letter {
    let recipients = to.iter().map(|to| Recipient::from(to.parse::<posthouse_mail::Address>().unwrap())).collect();
    let envelope = Envelope::new(ReversePath(Some("alice@example.test".parse().unwrap())), recipients);
    Letter { envelope, arrived: now(), origin: Origin { listener: "mx".to_owned(), ..Origin::default() } }
}

async fn accept(queue: &Queue, to: &[&str]) -> LetterId {
    let mut draft = queue.begin().unwrap();
    draft.write(Bytes::from_static(b"Subject: a\r\n word\r\nFrom: alice@example.test\r\n\r\nthe body\r\n")).await.unwrap();
    draft.commit(letter(to)).await.unwrap()
}

/// Two letters, one of them tried once for each of its two recipients.
async fn fill(queue: &Queue) -> (LetterId, LetterId) {
    let first = accept(queue, &["bob@example.net", "carol@example.org"]).await;
    let second = accept(queue, &["dave@example.net"]).await;
    let last = Reply::new(451, Status::temporary(4, 1), "no answer");
    let later = now().plus(Duration::from_secs(7_250));
    let retry = |index| (index, RecipientEnd::Retry { at: later, last: last.clone(), warned: false });
    queue.lease_letter(first).unwrap().finish(vec![retry(0), retry(1)]).await.unwrap();
    (first, second)
}

/// The same of the running queue and of what it leaves.
async fn look(view: &View, first: LetterId, second: LetterId, journal: &Reader) {
    let lines = view.list(&Filter::default()).unwrap().next().await.unwrap();
    let seen: Vec<_> = lines.iter().map(|info| (info.id.as_str(), info.state, info.waiting)).collect();
    assert_eq!(
        seen,
        [(first.to_string().as_str(), QueuedState::Deferred, 2), (second.to_string().as_str(), QueuedState::New, 1)]
    );
    let summary = view.summary().await.unwrap();
    let places: Vec<_> = summary.destinations.iter().map(|place| (place.destination.as_str(), place.letters)).collect();
    assert_eq!((summary.letters, places), (2, vec![("example.net", 2), ("example.org", 1)]));
    assert_eq!(summary.destinations[0].reason.as_deref(), Some("451 4.4.1 no answer"));
    let shown = view.show(&first.to_string(), journal).await.unwrap();
    assert_eq!(shown.header, ["Subject: a", " word", "From: alice@example.test"]);
    assert_eq!(
        shown.why,
        "bob@example.net (and 1 more) waits: after one attempt the last answer was: 451 4.4.1 no answer; the next attempt is in 2h"
    );
    let shown = view.show(&second.to_string(), journal).await.unwrap();
    assert_eq!(shown.why, "it has not been tried yet; its first attempt is due now");
    let nobody = LetterId::new(UnixMillis(1), 1).to_string();
    assert!(matches!(view.show(&nobody, journal).await, Err(AdminError::NotQueued(id)) if id == nobody));
}

#[test]
fn a_running_queue_and_what_a_stopped_one_leaves_look_the_same() {
    let data = tempfile::tempdir().unwrap();
    let journal = posthouse_journal::Journal::open(&data.path().join("journal.sqlite")).unwrap();
    let reader = journal.reader();
    let (first, second) = block_on(async {
        let (queue, _) = Queue::open(&Settings::default(), &data.path().join("queue")).unwrap();
        let (first, second) = fill(&queue).await;
        look(&View::Live(queue), first, second, &reader).await;
        (first, second)
    })
    .unwrap();
    block_on(async {
        let view = View::open(data.path()).await.unwrap();
        assert!(matches!(view, View::Still(..)));
        look(&view, first, second, &reader).await;
    })
    .unwrap();
}

#[test]
fn a_letter_under_way_says_so_and_an_empty_spool_is_no_error() {
    let data = tempfile::tempdir().unwrap();
    block_on(async {
        let empty = View::open(data.path()).await.unwrap();
        assert_eq!(empty.summary().await.unwrap(), Summary::default());
        let (queue, _) = Queue::open(&Settings::default(), &data.path().join("queue")).unwrap();
        let id = accept(&queue, &["bob@example.net"]).await;
        let lease = queue.lease_letter(id).unwrap();
        let view = View::Live(queue);
        let lines = view.list(&Filter::default()).unwrap().next().await.unwrap();
        assert_eq!(lines[0].state, QueuedState::Delivering);
        assert_eq!(view.summary().await.unwrap().destinations[0].state, "moving");
        drop(lease);
    })
    .unwrap();
}

/// Of a stopped server too it is seen which host holds the letters up, and what is suspended.
#[test]
fn a_stopped_queue_is_shown_by_next_hop_and_with_its_suspensions() {
    let data = tempfile::tempdir().unwrap();
    let reader = Reader::new(&data.path().join("journal.sqlite"));
    drop(posthouse_journal::Journal::open(&data.path().join("journal.sqlite")).unwrap());
    block_on(async {
        let (queue, _) = Queue::open(&Settings::default(), &data.path().join("queue")).unwrap();
        let limits = SiteLimits { window_first: 1, window_max: 1, letters_per_minute: None, together: false };
        let ids = [accept(&queue, &["bob@example.net"]).await, accept(&queue, &["carol@example.org"]).await];
        while let Some(work) = queue.work_at(now()) {
            match work {
                Work::Place(destination) => {
                    queue.place(&destination, "mx.example.com", limits, now().plus(Duration::from_hours(1)))
                }
                Work::Carry(lease) => drop(lease),
            }
        }
        let suspension = |until| Suspension { since: 1, until, by: "root".to_owned(), reason: Some("they move".to_owned()) };
        queue.suspend(Scope::Name("mx.example.com".to_owned()), suspension(None)).await.unwrap();
        queue.suspend(Scope::Name("gone.test".to_owned()), suspension(Some(2))).await.unwrap();
        let live = View::Live(queue).summary().await.unwrap();
        let still = View::open(data.path()).await.unwrap();
        let summary = still.summary().await.unwrap();
        let [place] = &summary.destinations[..] else { panic!("{summary:?}") };
        assert_eq!((place.destination.as_str(), place.letters, place.state.as_str()), ("mx.example.com", 2, "suspended"));
        assert_eq!((&place.domains, place.reason.as_deref()), (&live.destinations[0].domains, Some("they move")));
        let suspended: Vec<_> = summary.suspensions.iter().map(|one| one.destination.as_deref()).collect();
        assert_eq!(suspended, [Some("mx.example.com")], "one that is over is none");
        let shown = still.show(&ids[0].to_string(), &reader).await.unwrap();
        assert!(
            shown.why.contains("nothing goes there now: 451 4.3.2 delivery is suspended by root: they move"),
            "{}",
            shown.why
        );
    })
    .unwrap();
}
