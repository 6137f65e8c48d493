//! The answering side.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use posthouse_runtime::local::{LocalListener, LocalStream, Peer};
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::sync::{Semaphore, mpsc, oneshot};
use posthouse_runtime::{clock, select, task};

use super::protocol::{Line, Order, REQUEST_BYTES_MAX, Request, VERSION};
use crate::alarm::AlarmInfo;
use crate::error::{AdminError, Kind};
use crate::queue::{Change, Desk, Filter, Who};
use crate::status::Status;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection may say nothing.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// How long a client may take to read what one write sends it.
const WRITE_MAX: Duration = Duration::from_secs(30);
/// The letters that one order changes at a time.
const CHANGES_AT_ONCE_MAX: usize = 128;
/// Lines are gathered up to this, then written.
const WRITE_BYTES: usize = 64 * 1024;
/// How long to wait before accepting again when that failed: the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What orders work with.
#[derive(Clone)]
pub struct Office {
    /// The queue.
    pub desk: Desk,
    /// Says how the server is.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// Where it is asked that another process takes over; `None`: that cannot be.
    pub restarts: Option<Restarts>,
    /// Who watches; `None`: nobody.
    pub alarms: Option<Watcher>,
}

/// The part of the server that tells alarms.
#[derive(Clone)]
pub struct Watcher {
    /// The alarms that stand.
    pub standing: Arc<dyn Fn() -> Vec<AlarmInfo> + Send + Sync>,
    /// Where it is asked that everybody is told of a test; answers with what came of it.
    pub tests: mpsc::Sender<oneshot::Sender<Vec<Tried>>>,
}

/// What came of telling somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Who was to be told: an address or a URL.
    pub to: String,
    /// Why that failed.
    pub error: Option<String>,
}

/// Takes the wish that another process takes over; answers with that process' number, or why there is none.
pub type Restarts = mpsc::Sender<oneshot::Sender<Result<u32, String>>>;

/// Takes connections and answers them until `shutdown`, then ends those that are open between two requests.
pub async fn serve(listener: LocalListener, office: Office, shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            () = shutdown.requested() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let place = Arc::clone(&places).try_acquire_owned().ok();
                let mut connection = Connection::new(stream, peer, office.clone(), shutdown.clone());
                task::spawn("admin", async move {
                    let ended = if place.is_some() { connection.run().await } else { connection.turn_away().await };
                    if let Err(error) = ended {
                        debug!(%error, "an admin connection broke");
                    }
                });
            }
            Err(error) => {
                warn!(%error, "the admin socket takes no connections for now");
                clock::sleep(PAUSE).await;
            }
        }
    }
    // Nobody new finds the socket; who is being answered gets the rest.
    drop(listener);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    // The semaphore is never closed.
    let _ended = places.acquire_many(all).await;
}

struct Connection {
    stream: LocalStream,
    who: Who,
    office: Office,
    shutdown: Shutdown,
    input: BytesMut,
    output: Vec<u8>,
}

impl Connection {
    fn new(stream: LocalStream, peer: Peer, office: Office, shutdown: Shutdown) -> Self {
        Self { stream, who: peer.into(), office, shutdown, input: BytesMut::new(), output: Vec::new() }
    }

    async fn run(&mut self) -> io::Result<()> {
        while let Some(line) = self.line().await? {
            let done = match read(&line) {
                Ok(order) => self.obey(order).await?,
                Err(error) => Err(error),
            };
            match done {
                Ok(more) => self.say(&Line::<()>::End { more }).await?,
                Err(error) => self.say(&Line::<()>::Error { kind: error.kind(), text: error.to_string() }).await?,
            }
            self.flush().await?;
        }
        Ok(())
    }

    async fn turn_away(&mut self) -> io::Result<()> {
        let text = "too many programs ask at once; try again in a moment".to_owned();
        self.say(&Line::<()>::Error { kind: Kind::Busy, text }).await?;
        self.flush().await
    }

    /// The next request; `None` at the end of the stream, of the patience, or of the server. After a line that is too long there is no more
    /// to be understood.
    async fn line(&mut self) -> io::Result<Option<BytesMut>> {
        let deadline = clock::now() + IDLE_MAX;
        loop {
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                return Ok(Some(self.input.split_to(end + 1)));
            }
            if self.input.len() >= REQUEST_BYTES_MAX {
                let text = format!("a request has at most {REQUEST_BYTES_MAX} octets");
                self.say(&Line::<()>::Error { kind: Kind::Invalid, text }).await?;
                self.flush().await?;
                return Ok(None);
            }
            let read = select! {
                read = clock::timeout_at(deadline, self.stream.read(&mut self.input)) => read,
                () = self.shutdown.requested() => return Ok(None),
            };
            match read {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) | Err(_) => return Ok(None),
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    /// Does what is asked; whether there would have been more. The outer error is that of the connection.
    async fn obey(&mut self, order: Order) -> io::Result<Result<bool, AdminError>> {
        match order {
            Order::Status => {
                let status = (self.office.status)();
                self.item(&status).await
            }
            Order::Restart => match self.restart().await {
                Ok(pid) => self.item(&pid).await,
                Err(error) => Ok(Err(error)),
            },
            Order::Alarms => {
                let standing = self.office.alarms.as_ref().map(|watcher| (watcher.standing)()).unwrap_or_default();
                self.items(&standing).await
            }
            Order::AlarmsTest => match self.test_alarms().await {
                Ok(tried) => self.items(&tried).await,
                Err(error) => Ok(Err(error)),
            },
            Order::QueueList { filter, limit } => self.list(&filter, limit.unwrap_or(usize::MAX)).await,
            Order::QueueCount { filter } => match self.count(&filter).await {
                Ok(count) => self.item(&count).await,
                Err(error) => Ok(Err(error)),
            },
            Order::QueueSummary => match self.office.desk.view().summary().await {
                Ok(summary) => self.item(&summary).await,
                Err(error) => Ok(Err(error)),
            },
            Order::QueueShow { id } => match self.office.desk.show(&id).await {
                Ok(letter) => self.item(&letter).await,
                Err(error) => Ok(Err(error)),
            },
            Order::QueueChange { filter, change } => self.change(&filter, &change).await,
            Order::QueueSuspend(suspend) => Ok(self.noted(self.office.desk.suspend(suspend, &self.who).await).await),
            Order::QueueResume { destination } => Ok(self.noted(self.office.desk.resume(destination, &self.who).await).await),
        }
    }

    async fn restart(&self) -> Result<u32, AdminError> {
        let failed = |text: String| AdminError::Answered { kind: Kind::Setup, text };
        let (answer, done) = oneshot::channel();
        let restarts = self.office.restarts.as_ref().ok_or_else(|| failed("this server cannot be replaced".to_owned()))?;
        restarts.try_send(answer).map_err(|_| AdminError::Busy("a restart is under way".to_owned()))?;
        let pid = done.await.map_err(|_| stopping())?.map_err(failed)?;
        self.office.desk.restarted(pid, &self.who).await;
        Ok(pid)
    }

    async fn test_alarms(&self) -> Result<Vec<Tried>, AdminError> {
        let (answer, done) = oneshot::channel();
        let watcher = self.office.alarms.as_ref().ok_or_else(stopping)?;
        watcher.tests.try_send(answer).map_err(|_| AdminError::Busy("a test is under way".to_owned()))?;
        done.await.map_err(|_| stopping())
    }

    /// Waits until the journal has it.
    async fn noted(&self, done: Result<(), AdminError>) -> Result<bool, AdminError> {
        self.office.desk.flush().await;
        done.map(|()| false)
    }

    async fn item(&mut self, item: &impl Serialize) -> io::Result<Result<bool, AdminError>> {
        self.say(&Line::Item(item)).await?;
        Ok(Ok(false))
    }

    async fn items<T: Serialize>(&mut self, items: &[T]) -> io::Result<Result<bool, AdminError>> {
        for item in items {
            self.say(&Line::Item(item)).await?;
        }
        Ok(Ok(false))
    }

    async fn list(&mut self, filter: &Filter, limit: usize) -> io::Result<Result<bool, AdminError>> {
        let mut left = limit;
        let mut listing = match self.office.desk.view().list(filter) {
            Ok(listing) => listing,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let batch = match listing.next().await {
                Ok(batch) if batch.is_empty() => return Ok(Ok(false)),
                Ok(batch) => batch,
                Err(error) => return Ok(Err(error)),
            };
            for info in batch {
                if left == 0 {
                    return Ok(Ok(true));
                }
                left -= 1;
                self.say(&Line::Item(info)).await?;
            }
            if self.shutdown.is_requested() {
                return Ok(Err(stopping()));
            }
        }
    }

    async fn count(&self, filter: &Filter) -> Result<usize, AdminError> {
        let mut listing = self.office.desk.view().list(filter)?;
        let mut count = 0;
        loop {
            match listing.next().await?.len() {
                0 => return Ok(count),
                some => count += some,
            }
        }
    }

    async fn change(&mut self, filter: &Filter, change: &Change) -> io::Result<Result<bool, AdminError>> {
        let mut affected = match self.office.desk.affected(filter) {
            Ok(affected) => affected,
            Err(error) => return Ok(Err(error)),
        };
        let done = loop {
            let ids = match affected.next().await {
                Ok(ids) if ids.is_empty() => break Ok(false),
                Ok(ids) => ids,
                Err(error) => break Err(error),
            };
            // Side by side, so that the disk is waited for once for many.
            for some in ids.chunks(CHANGES_AT_ONCE_MAX) {
                if self.shutdown.is_requested() {
                    return Ok(Err(stopping()));
                }
                let (desk, who) = (&self.office.desk, &self.who);
                let changes: Vec<_> = some.iter().copied().map(|id| desk.change(id, change, who)).collect();
                for changed in task::side_by_side(changes, CHANGES_AT_ONCE_MAX).await {
                    self.say(&Line::Item(changed)).await?;
                }
            }
        };
        // Who is told that it is done may look for it in the journal.
        self.office.desk.flush().await;
        Ok(done)
    }

    async fn say<T: Serialize>(&mut self, line: &Line<T>) -> io::Result<()> {
        serde_json::to_writer(&mut self.output, line)?;
        self.output.push(b'\n');
        if self.output.len() >= WRITE_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        let written = clock::timeout(WRITE_MAX, self.stream.write_all(&output)).await;
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn read(line: &[u8]) -> Result<Order, AdminError> {
    // The version first: of another one nothing else can be understood.
    #[derive(serde::Deserialize)]
    struct Version {
        v: u32,
    }
    let wrong = |error: serde_json::Error| AdminError::Answered { kind: Kind::Protocol, text: format!("not a request: {error}") };
    let Version { v } = serde_json::from_slice(line).map_err(wrong)?;
    if v != VERSION {
        let text = format!("the server speaks version {VERSION} of this protocol, not {v}; use its own posthouse command");
        return Err(AdminError::Answered { kind: Kind::Protocol, text });
    }
    serde_json::from_slice::<Request>(line).map(|request| request.order).map_err(wrong)
}

fn stopping() -> AdminError {
    AdminError::Answered { kind: Kind::Busy, text: "the server is stopping; not all was done".to_owned() }
}
