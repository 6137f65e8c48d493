use posthouse_mail::LetterId;

use super::*;
use crate::entry::Event;
use crate::journal::Query;

fn entry(n: u64) -> Entry {
    let event = Event::Discarded { to: "bob@example.test".to_owned(), why: "test".to_owned() };
    Entry::of(LetterId::new(UnixMillis(n), 1), UnixMillis(n), event)
}

#[test]
fn what_does_not_fit_is_counted_and_never_waited_for() {
    let (orders, waiting) = actor::bounded_inbox(2);
    let (hurry, _hurried) = actor::inbox();
    let writer = Writer { orders, hurry, lost: Arc::default(), settings: Arc::default() };
    for n in 0..5 {
        writer.record(entry(n));
    }
    assert_eq!(writer.lost(), 3);
    drop(waiting);
    writer.record(entry(5));
    assert_eq!(writer.lost(), 4);
}

#[test]
fn a_flush_after_the_thread_is_gone_does_not_hang() {
    let (orders, waiting) = actor::bounded_inbox(1);
    drop(waiting);
    let (hurry, _hurried) = actor::inbox();
    let writer = Writer { orders, hurry, lost: Arc::default(), settings: Arc::default() };
    posthouse_runtime::block_on(writer.flush()).unwrap();
}

#[test]
fn a_write_that_fails_is_counted_and_the_flush_answered() {
    let folder = tempfile::tempdir().unwrap();
    let connection = store::open_writer(&folder.path().join("journal.sqlite")).unwrap();
    connection.execute_batch("DROP TABLE address").unwrap();
    let lost = Arc::new(AtomicU64::new(0));
    let (settings, (_hurry, hurried)) = (Arc::default(), actor::inbox());
    let (recent, shared) = (Recent::default(), Arc::clone(&lost));
    let mut thread = Thread { connection, recent, settings, hurried, lost: shared, told: 0, written: None, pruned: None };
    let (orders, mut waiting) = actor::bounded_inbox(8);
    let (done, mut told) = oneshot::channel();
    assert!(orders.send(Order::Flushed(done)).is_ok());
    thread.batch(Order::Write(Box::new(entry(1))), &mut waiting);
    assert_eq!(lost.load(Ordering::Relaxed), 1);
    assert!(told.try_recv().is_ok());
    assert_eq!(store::find(&thread.connection, &Query::Letter(LetterId::new(UnixMillis(1), 1))).unwrap().len(), 0, "all or none");
}
