use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use posthouse_directory::Directory;
use posthouse_journal::{Event, Journal, Query};
use posthouse_mail::{Envelope, LetterId, Recipient, ReversePath, UnixMillis};
use posthouse_mailbox::Mailboxes;
use posthouse_queue::{Letter, Origin, Queue, Settings};
use posthouse_runtime::local::{LocalListener, LocalStream};
use posthouse_runtime::shutdown::{self, Trigger};
use posthouse_runtime::task::{self, Task};
use posthouse_runtime::{block_on, clock};

use super::*;
use crate::error::{AdminError, Kind};
use crate::queue::{Change, Changed, Desk, Filter, QueuedInfo};
use crate::status::{Status, sample as status};

fn context(data: &Path) -> posthouse_delivery::Context {
    posthouse_delivery::Context {
        hostname: "mail.example.test".parse().unwrap(),
        directory: Directory::open(&data.join("directory.sqlite")).unwrap(),
        mailboxes: Mailboxes::open(&data.join("accounts")).unwrap(),
        queue: Queue::open(&Settings::default(), &data.join("queue")).unwrap().0,
        schedule: Settings::default(),
        journal: Journal::open(&data.join("journal.sqlite")).unwrap(),
        resolver: Arc::new(posthouse_dns::Zone::new()),
        sts: Arc::new(posthouse_delivery::NoPolicies),
        ledger: Arc::new(posthouse_delivery::NoLedger),
        reports: posthouse_delivery::Received::open(&data.join("reports.sqlite")).unwrap(),
        relays_for: Vec::new(),
        settings: Arc::default(),
        double_bounces: posthouse_delivery::DoubleBounces::default(),
    }
}

async fn accept(queue: &Queue, from: &str) -> LetterId {
    let mut draft = queue.begin().unwrap();
    draft.write(Bytes::from_static(b"Subject: x\r\n\r\n")).await.unwrap();
    let recipients = vec![Recipient::from("bob@example.net".parse::<posthouse_mail::Address>().unwrap())];
    let envelope = Envelope::new(ReversePath(Some(from.parse().unwrap())), recipients);
    draft.commit(Letter { envelope, arrived: UnixMillis(clock::unix_millis()), origin: Origin::default() }).await.unwrap()
}

struct World {
    data: tempfile::TempDir,
    context: posthouse_delivery::Context,
    trigger: Trigger,
    server: Task,
}

impl World {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let context = context(data.path());
        let (trigger, shutdown) = shutdown::channel();
        let listener = LocalListener::bind(&data.path().join(SOCKET)).unwrap();
        let office = Office { desk: Desk::new(context.clone()), status: Arc::new(status), restarts: None, alarms: None };
        let server = task::spawn("admin", serve(listener, office, shutdown));
        Self { data, context, trigger, server }
    }

    async fn client(&self) -> Client {
        Client::connect(self.data.path()).await.unwrap().unwrap()
    }

    /// Sends octets and reads lines until there are so many, or the end.
    async fn raw(&self, octets: &[u8], lines: usize) -> String {
        let mut stream = LocalStream::connect(&self.data.path().join(SOCKET)).await.unwrap();
        // A server that has had enough may close before all is written.
        let _ = stream.write_all(octets).await;
        let mut input = BytesMut::new();
        while input.iter().filter(|&&byte| byte == b'\n').count() < lines && matches!(stream.read(&mut input).await, Ok(1..)) {}
        String::from_utf8(input.to_vec()).unwrap()
    }
}

async fn all<T: serde::de::DeserializeOwned>(client: &mut Client, order: Order) -> (Vec<T>, bool) {
    client.ask(order).await.unwrap();
    let mut items = Vec::new();
    loop {
        match client.next().await.unwrap() {
            Answer::Item(item) => items.push(item),
            Answer::End { more } => return (items, more),
        }
    }
}

#[test]
fn one_connection_asks_many_things_and_a_limit_says_that_there_is_more() {
    block_on(async {
        let world = World::start();
        for _ in 0..3 {
            accept(&world.context.queue, "alice@example.test").await;
        }
        let mut client = world.client().await;
        let list = |limit| Order::QueueList { filter: Filter::default(), limit };
        for (limit, shown, more) in [(None, 3, false), (Some(3), 3, false), (Some(2), 2, true), (Some(0), 0, true)] {
            let (items, told) = all::<QueuedInfo>(&mut client, list(limit)).await;
            assert_eq!((items.len(), told), (shown, more), "{limit:?}");
        }
        assert_eq!(client.one::<usize>(Order::QueueCount { filter: Filter::default() }).await.unwrap(), 3);
        let wrong = Filter { ids: vec!["none".to_owned()], ..Filter::default() };
        let error = client.one::<usize>(Order::QueueCount { filter: wrong }).await.unwrap_err();
        assert!(matches!(error, AdminError::Answered { kind: Kind::Invalid, .. }), "{error:?}");
        assert_eq!(client.one::<usize>(Order::QueueCount { filter: Filter::default() }).await.unwrap(), 3, "after an error");
        assert_eq!(client.one::<Status>(Order::Status).await.unwrap(), status());
    })
    .unwrap();
}

#[test]
fn a_removed_letter_is_gone_and_the_journal_knows_who_did_it() {
    block_on(async {
        let world = World::start();
        let removed = accept(&world.context.queue, "alice@example.test").await;
        let kept = accept(&world.context.queue, "carol@example.test").await;
        let filter = Filter { sender: Some("alice@example.test".to_owned()), ..Filter::default() };
        let order = Order::QueueChange { filter, change: Change::Remove { bounce: false } };
        let (changed, _) = all::<Changed>(&mut world.client().await, order).await;
        assert_eq!(changed, [Changed { id: removed.to_string(), error: None, kind: None }]);
        let left: Vec<_> = world.context.queue.list().into_iter().map(|listed| listed.id).collect();
        assert_eq!(left, [kept]);
        let entries = world.context.journal.query(Query::Letter(removed)).await.unwrap();
        let Some(Event::Operator { uid, pid, action, .. }) = entries.into_iter().map(|entry| entry.event).next_back() else {
            panic!("nobody did it")
        };
        assert_eq!((uid, pid, action.as_str()), (rustix::process::getuid().as_raw(), Some(std::process::id()), "remove"));
    })
    .unwrap();
}

#[test]
fn a_report_reaches_the_queue_before_its_letter_leaves() {
    block_on(async {
        let world = World::start();
        let removed = accept(&world.context.queue, "alice@example.test").await;
        let filter = Filter { ids: vec![removed.to_string()], ..Filter::default() };
        let order = || Order::QueueChange { filter: filter.clone(), change: Change::Remove { bounce: true } };
        all::<Changed>(&mut world.client().await, order()).await;
        let left = world.context.queue.list();
        assert_eq!(left.len(), 1);
        let report = world.context.queue.get(left[0].id).unwrap().unwrap();
        assert!(report.letter.envelope.reverse_path.is_null());
        assert_eq!(report.recipients[0].recipient.address.to_string(), "alice@example.test");
        let (again, _) = all::<Changed>(&mut world.client().await, order()).await;
        assert_eq!(again[0].kind, Some(Kind::NotFound), "{again:?}");
    })
    .unwrap();
}

#[test]
fn a_letter_under_way_is_not_taken_from_its_courier() {
    block_on(async {
        let world = World::start();
        let id = accept(&world.context.queue, "alice@example.test").await;
        let lease = world.context.queue.lease_letter(id).unwrap();
        let filter = Filter { ids: vec![id.to_string()], ..Filter::default() };
        let order = Order::QueueChange { filter, change: Change::Remove { bounce: false } };
        let (changed, _) = all::<Changed>(&mut world.client().await, order).await;
        assert_eq!(changed[0].kind, Some(Kind::Busy), "{changed:?}");
        drop(lease);
        assert_eq!(world.context.queue.len(), 1);
    })
    .unwrap();
}

#[test]
fn what_is_no_request_is_answered_and_does_not_end_the_connection() {
    block_on(async {
        let world = World::start();
        let wrong = ["", "{}", "[[[[", "{\"v\":2,\"do\":\"queue-count\"}", "{\"v\":1,\"do\":\"dance\"}", "\u{0}", "{\"v\":1}"];
        let lines = wrong.map(|line| format!("{line}\n")).concat() + "{\"v\":1,\"do\":\"queue-count\"}\n";
        let answer = world.raw(lines.as_bytes(), wrong.len() + 2).await;
        let answers: Vec<_> = answer.lines().collect();
        assert_eq!(answers.len(), wrong.len() + 2, "{answer}");
        assert!(answers[..wrong.len()].iter().all(|line| line.starts_with("{\"error\":{\"kind\":\"protocol\"")), "{answer}");
        assert!(answers[3].contains("version 1 of this protocol, not 2"), "{answer}");
        assert_eq!(answers[wrong.len()..], ["{\"item\":0}", "{\"end\":{\"more\":false}}"]);
    })
    .unwrap();
}

#[test]
fn a_request_without_an_end_is_cut_off() {
    block_on(async {
        let world = World::start();
        let answer = world.raw(&vec![b' '; 1 << 20], usize::MAX).await;
        assert!(answer.contains("at most 65536 octets"), "{answer}");
        assert_eq!(answer.lines().count(), 1);
    })
    .unwrap();
}

#[test]
fn too_many_at_once_are_told_to_come_again() {
    block_on(async {
        let world = World::start();
        let mut held = Vec::new();
        let busy = loop {
            assert!(held.len() < 100, "there is no limit");
            let mut client = world.client().await;
            match client.one::<usize>(Order::QueueCount { filter: Filter::default() }).await {
                Ok(_) => held.push(client),
                Err(error) => break error,
            }
        };
        assert!(matches!(busy, AdminError::Answered { kind: Kind::Busy, .. }), "{busy:?}");
    })
    .unwrap();
}

#[test]
fn a_stop_ends_idle_connections_and_takes_the_socket_away() {
    block_on(async {
        let world = World::start();
        let mut client = world.client().await;
        client.one::<usize>(Order::QueueCount { filter: Filter::default() }).await.unwrap();
        world.trigger.fire();
        world.server.join().await;
        assert!(client.one::<usize>(Order::QueueCount { filter: Filter::default() }).await.is_err());
        assert!(Client::connect(world.data.path()).await.unwrap().is_none());
    })
    .unwrap();
}
