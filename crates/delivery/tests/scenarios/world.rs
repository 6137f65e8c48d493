//! A server's storage without its doors, and names that lead to loopback.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthouse_config::Period;
use posthouse_delivery::{Context, DoubleBounces, NoLedger, NoPolicies, Settings, Way, run_at};
use posthouse_directory::Directory;
use posthouse_dns::Zone;
use posthouse_journal::{Event, Journal, Outcome, Query};
use posthouse_mail::{Address, Envelope, LetterId, Recipient, UnixMillis};
use posthouse_mailbox::Mailboxes;
use posthouse_queue::{Letter, Origin, Queue, RecipientState};
use posthouse_runtime::stream::collect;
use posthouse_testkit::peer::Talk;
use tempfile::TempDir;

/// When every letter of these tests arrives.
pub(crate) const ARRIVED: UnixMillis = UnixMillis(1_790_000_000_000);

/// Our side.
pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) way: Way,
    pub(crate) folder: TempDir,
}

pub(crate) fn hours(count: u64) -> UnixMillis {
    ARRIVED.plus(Duration::from_secs(count * 3600))
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Runs a test's own steps.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    posthouse_runtime::block_on(future).unwrap()
}

impl World {
    /// `far.test` and `other.test` have one host each, on loopback at this port; what else there is says the zone.
    pub(crate) async fn new(port: u16, zone: &str) -> Self {
        Self::with(zone, Settings { port, idle_timeout: Period(Duration::ZERO), ..Settings::default() }).await
    }

    pub(crate) async fn with(zone: &str, settings: Settings) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        let zone = format!(
            "far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\nother.test MX 10 mx.other.test\nmx.other.test A 127.0.0.1\n{zone}"
        );
        let schedule = posthouse_queue::Settings { sources: settings.sources().unwrap(), ..posthouse_queue::Settings::default() };
        let directory = Directory::open(&path.join("directory.sqlite")).unwrap();
        directory.add_domain(&"ours.test".parse().unwrap()).await.unwrap();
        let way = Way::new(&settings).unwrap();
        let context = Context {
            hostname: "mail.ours.test".parse().unwrap(),
            directory,
            mailboxes: Mailboxes::open(&path.join("accounts")).unwrap(),
            queue: Queue::open(&schedule, &path.join("spool")).unwrap().0,
            schedule,
            journal: Journal::open(&path.join("journal.sqlite")).unwrap(),
            resolver: Arc::new(Zone::of(&zone).unwrap()),
            sts: Arc::new(NoPolicies),
            ledger: Arc::new(NoLedger),
            reports: posthouse_delivery::Received::open(&path.join("reports.sqlite")).unwrap(),
            relays_for: vec!["127.0.0.9/32".parse().unwrap()],
            settings: Arc::new(settings),
            double_bounces: DoubleBounces::default(),
        };
        Self { context, way, folder }
    }

    pub(crate) async fn account(&self, name: &str) {
        self.context.directory.add_account(&address(name), "a password of some length").await.unwrap();
    }

    pub(crate) async fn submit(&self, from: &str, to: &[&str], body: &str) -> LetterId {
        let recipients = to.iter().map(|to| Recipient::from(address(to))).collect();
        self.submit_as(Envelope::new(from.parse().unwrap(), recipients), body).await
    }

    pub(crate) async fn submit_by(&self, origin: Origin, from: &str, to: &[&str], body: &str) -> LetterId {
        let recipients = to.iter().map(|to| Recipient::from(address(to))).collect();
        let envelope = Envelope::new(from.parse().unwrap(), recipients);
        let mut draft = self.context.queue.begin().unwrap();
        draft.write(Bytes::from(body.to_owned())).await.unwrap();
        draft.commit(Letter { envelope, arrived: ARRIVED, origin }).await.unwrap()
    }

    pub(crate) async fn submit_as(&self, envelope: Envelope, body: &str) -> LetterId {
        let mut draft = self.context.queue.begin().unwrap();
        draft.write(Bytes::from(body.to_owned())).await.unwrap();
        draft.commit(Letter { envelope, arrived: ARRIVED, origin: Origin::default() }).await.unwrap()
    }

    /// Tries each letter that is due, once for each destination; how many tries there were.
    pub(crate) async fn deliver_at(&self, now: UnixMillis) -> usize {
        // What these lead to is for the next time.
        let queued = self.context.queue.list().iter().map(|letter| letter.parts.len()).sum();
        run_at(&self.context, &self.way, now, queued).await
    }

    /// What has become of a queued letter's recipients; empty when the letter is gone.
    pub(crate) fn states(&self, letter: LetterId) -> Vec<RecipientState> {
        self.context.queue.get(letter).unwrap().map(|queued| queued.recipients).unwrap_or_default()
    }

    pub(crate) async fn timeline(&self, letter: LetterId) -> Vec<Event> {
        self.context.journal.flush().await;
        let entries = self.context.journal.query(Query::Letter(letter)).await.unwrap();
        entries.into_iter().map(|entry| entry.event).collect()
    }

    /// The attempts of a letter: to whom, which host, the outcome, the reply.
    pub(crate) async fn attempts(&self, letter: LetterId) -> Vec<(String, String, Outcome, String)> {
        let attempt = |event| {
            let Event::Attempt { to, also, host, outcome, reply, .. } = event else { return Vec::new() };
            let host = host.unwrap_or_default();
            std::iter::once(to).chain(also).map(|to| (to, host.clone(), outcome, reply.clone())).collect()
        };
        self.timeline(letter).await.into_iter().flat_map(attempt).collect()
    }

    /// The letters in an inbox of ours.
    pub(crate) async fn inbox(&self, account: &str) -> Vec<String> {
        let account = self.context.directory.account(account).await.unwrap().unwrap();
        let mut letters = Vec::new();
        for message in self.context.mailboxes.inbox(account.id.as_str()).await.unwrap() {
            let mut body = self.context.mailboxes.read(account.id.as_str(), message.uid).await.unwrap();
            letters.push(String::from_utf8(collect(&mut body, 1 << 20).await.unwrap()).unwrap());
        }
        letters
    }
}

/// A server's side of a session up to the first envelope, without extensions.
pub(crate) fn greet(talk: &mut Talk) {
    greet_with(talk, "250 mx.far.test");
}

pub(crate) fn greet_with(talk: &mut Talk, hello: &str) {
    talk.say("220 mx.far.test ESMTP");
    assert_eq!(talk.hear().unwrap(), "EHLO mail.ours.test");
    hello.lines().for_each(|line| talk.say(line));
}

/// Hears a command and answers it.
pub(crate) fn on(talk: &mut Talk, command: &str, reply: &str) {
    let heard = talk.hear().unwrap();
    assert!(heard.starts_with(command), "{heard:?}, not {command:?}");
    talk.say(reply);
}

/// The end of a session: QUIT, or whatever way the client hangs up.
pub(crate) fn farewell(talk: &mut Talk) {
    if talk.hear().is_some_and(|line| line == "QUIT") {
        talk.try_send(b"221 bye\r\n");
    }
}

/// A whole session that takes one letter for these recipients; gives the letter.
pub(crate) fn take(talk: &mut Talk, recipients: &[&str]) -> String {
    greet(talk);
    let body = take_letter(talk, recipients);
    farewell(talk);
    body
}

pub(crate) fn take_letter(talk: &mut Talk, recipients: &[&str]) -> String {
    on(talk, "MAIL FROM:<", "250 ok");
    for recipient in recipients {
        on(talk, &format!("RCPT TO:<{recipient}>"), "250 ok");
    }
    on(talk, "DATA", "354 go on");
    let body = String::from_utf8(talk.body()).unwrap();
    talk.say("250 taken");
    body
}

/// The spool as a power cut would leave it.
pub(crate) struct Image(TempDir);

impl Image {
    /// What the next start finds.
    pub(crate) fn open(&self, context: &Context) -> Context {
        let (queue, _) = Queue::open(&context.schedule, self.0.path()).unwrap();
        Context { queue, ..context.clone() }
    }
}

impl World {
    pub(crate) fn image(&self) -> Image {
        let image = TempDir::new().unwrap();
        for entry in std::fs::read_dir(self.folder.path().join("spool")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), image.path().join(entry.file_name())).unwrap();
        }
        Image(image)
    }
}
