use posthouse_mail::UnixMillis;
use posthouse_runtime::block_on;

use super::*;
use crate::entry::Event;

fn letter(n: u64) -> LetterId {
    LetterId::new(UnixMillis(n), 1)
}

fn entry(n: u64) -> Entry {
    let at = UnixMillis(posthouse_runtime::clock::unix_millis());
    Entry::of(letter(n), at, Event::Discarded { to: "bob@example.test".to_owned(), why: format!("{n}") })
}

#[test]
fn what_was_recorded_before_a_flush_is_found_by_another_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    block_on(async {
        assert!(matches!(Reader::new(&path).query(Query::Letter(letter(1))).await, Err(JournalError::Missing(_))));
        let journal = Journal::open(&path).unwrap();
        let entries: Vec<Entry> = (0..3000).map(entry).collect();
        for entry in &entries {
            journal.record(entry.clone());
        }
        journal.flush().await;
        let query = Query::Address("bob@example.test".to_owned());
        assert_eq!(journal.lost(), 0);
        let found = Reader::new(&path).query(query.clone()).await.unwrap();
        assert_eq!(found.last(), entries.last());
        assert_eq!(journal.query(query).await.unwrap(), found);
    })
    .unwrap();
}

#[test]
fn what_was_recorded_before_the_end_survives_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    block_on(async {
        let journal = Journal::open(&path).unwrap();
        journal.record(entry(1));
        journal.flush().await;
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        journal.record(entry(1));
        journal.flush().await;
        assert_eq!(journal.query(Query::Letter(letter(1))).await.unwrap().len(), 2);
    })
    .unwrap();
}

#[test]
fn a_journal_that_was_closed_for_long_is_pruned_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let five_days_ago = UnixMillis(posthouse_runtime::clock::unix_millis() - 5 * 86_400_000);
    block_on(async {
        let journal = Journal::open(&path).unwrap();
        journal.record(Entry { at: five_days_ago, ..entry(1) });
        journal.flush().await;
        assert_eq!(journal.query(Query::Letter(letter(1))).await.unwrap().len(), 1, "thirty days are the default");
        drop(journal);
        let settings = Settings { keep: posthouse_config::Period::days(1), ..Settings::default() };
        let journal = Journal::open_with(&path, &settings).unwrap();
        journal.record(entry(2));
        journal.flush().await;
        // The writer looks at the limits after each batch that is due: the second flush comes after the first look.
        journal.flush().await;
        assert_eq!(journal.query(Query::Letter(letter(1))).await.unwrap().len(), 0);
        assert_eq!(journal.query(Query::Letter(letter(2))).await.unwrap().len(), 1);
    })
    .unwrap();
}
