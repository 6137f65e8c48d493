//! Watches over the server and tells the operator, by mail and by POST, what begins to be wrong and what is right again.
//!
//! What is wrong is decided in `admin`; here it is looked, told, and kept over restarts in `alarms.json`. Each way of telling has its own list of what is to be told: one
//! that fails keeps nobody else from hearing, and is tried again at the next look. A mail that cannot be queued is no alarm that is lost.

mod history;
mod hook;
mod letter;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use posthouse_admin::socket::{Tried, Watcher};
use posthouse_admin::{AlarmInfo, AlarmSettings, Alarms, Notice, Status, Turn};
use posthouse_delivery::Context;
use posthouse_dns::Resolver;
use posthouse_mail::UnixMillis;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::sync::{mpsc, oneshot, watch};
use posthouse_runtime::{clock, select, snapshot, task};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

pub(super) use self::history::{FAILED_LOGINS, History};
use self::hook::Hook;

/// What is to be told to somebody and could not be yet: the oldest is forgotten first.
const PENDING_MAX: usize = 100;
/// Where alarms are kept, in the data directory.
const FILE: &str = "alarms.json";

/// What the watch works with.
pub(super) struct Watch {
    pub(super) status: Arc<dyn Fn() -> Status + Send + Sync>,
    pub(super) history: History,
    pub(super) settings: watch::Receiver<AlarmSettings>,
    pub(super) delivery: Context,
    pub(super) resolver: Resolver,
    pub(super) data: PathBuf,
}

/// What is kept over restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    alarms: Alarms,
    /// By whom is to be told: an address, or the webhook's URL.
    pending: Vec<Pending>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    to: String,
    notices: Vec<Notice>,
    /// Why it has not been told.
    #[serde(skip)]
    error: Option<String>,
}

impl Watch {
    /// Begins to watch, until `shutdown`.
    pub(super) fn start(self, shutdown: Shutdown) -> Watcher {
        let standing = Arc::new(Mutex::new(Vec::new()));
        let (tests, asked) = mpsc::channel(1);
        let shown = Arc::clone(&standing);
        task::spawn("alarms", self.run(standing, asked, shutdown));
        let standing = Arc::new(move || shown.lock().unwrap_or_else(PoisonError::into_inner).clone());
        Watcher { standing, tests }
    }

    async fn run(
        self,
        standing: Arc<Mutex<Vec<AlarmInfo>>>,
        mut asked: mpsc::Receiver<oneshot::Sender<Vec<Tried>>>,
        shutdown: Shutdown,
    ) {
        let path = self.data.join(FILE);
        let mut kept = read(&path);
        loop {
            let settings = self.settings.borrow().clone();
            let before = kept.clone();
            self.look(&mut kept, &settings);
            *standing.lock().unwrap_or_else(PoisonError::into_inner) = kept.alarms.standing();
            // What is to be told is kept before it is told: told twice is better than never.
            keep(&path, &before, &kept).await;
            let before = kept.clone();
            select! {
                () = self.tell(&mut kept, &settings) => {}
                () = shutdown.requested() => return,
            }
            keep(&path, &before, &kept).await;
            select! {
                () = clock::sleep(settings.look_every.duration()) => {}
                Some(answer) = asked.recv() => {
                    // Who asked may not wait for the answer.
                    let _ = answer.send(self.test().await);
                }
                () = shutdown.requested() => return,
            }
        }
    }

    fn look(&self, kept: &mut Kept, settings: &AlarmSettings) {
        let status = (self.status)();
        self.history.note(&status);
        let notices = kept.alarms.look(status.troubles, settings, UnixMillis(clock::unix_millis()));
        notices.iter().for_each(log);
        let whom = whom(settings);
        kept.pending.retain(|pending| whom.contains(&pending.to));
        for to in whom {
            let place = kept.pending.iter().position(|pending| pending.to == to).unwrap_or_else(|| {
                kept.pending.push(Pending { to, notices: Vec::new(), error: None });
                kept.pending.len() - 1
            });
            let Some(pending) = kept.pending.get_mut(place) else { continue };
            pending.notices.extend(notices.iter().cloned());
            let too_many = pending.notices.len().saturating_sub(PENDING_MAX);
            pending.notices.drain(..too_many);
        }
    }

    /// Tells what is to be told; what could not be stays.
    async fn tell(&self, kept: &mut Kept, settings: &AlarmSettings) {
        for pending in kept.pending.iter_mut().filter(|pending| !pending.notices.is_empty()) {
            match self.send(settings, &pending.to, &pending.notices).await {
                Ok(()) => (pending.notices, pending.error) = (Vec::new(), None),
                Err(why) => {
                    if pending.error.as_ref() != Some(&why) {
                        warn!(to = pending.to, why, "an alarm could not be told; it is tried again");
                    }
                    pending.error = Some(why);
                }
            }
        }
    }

    async fn send(&self, settings: &AlarmSettings, to: &str, notices: &[Notice]) -> Result<(), String> {
        let hostname = self.delivery.hostname.to_string();
        if let Some(webhook) = settings.webhook.as_ref().filter(|webhook| host(&webhook.url) == to) {
            return Hook { webhook, resolver: &self.resolver }.post(&hostname, notices).await;
        }
        let address = to.parse().map_err(|error| format!("{to}: {error}"))?;
        // That it is an address was seen when the configuration was read.
        let from = settings.mail_from.as_ref().and_then(|from| from.parse().ok());
        letter::of(&hostname, notices).send(&self.delivery, from.as_ref(), &address).await
    }

    /// Tells everybody of nothing.
    async fn test(&self) -> Vec<Tried> {
        let settings = self.settings.borrow().clone();
        let now = UnixMillis(clock::unix_millis()).to_string();
        let what = "nothing is wrong: somebody tries whether alarms arrive (posthouse alarms test)".to_owned();
        let notice = Notice {
            turn: Turn::Test,
            name: None,
            subject: String::new(),
            title: "test".to_owned(),
            what,
            remedy: "Nothing.".to_owned(),
            since: now.clone(),
            at: now,
        };
        let mut tried = Vec::new();
        for to in whom(&settings) {
            let error = self.send(&settings, &to, std::slice::from_ref(&notice)).await.err();
            tried.push(Tried { to, error });
        }
        tried
    }
}

/// Everybody who is told: addresses, and the webhook's host.
fn whom(settings: &AlarmSettings) -> Vec<String> {
    settings.mail_to.iter().cloned().chain(settings.webhook.iter().map(|webhook| host(&webhook.url).to_owned())).collect()
}

/// As the log, the file and the command line call a webhook: what follows the host is often all that one must know to post there (chats).
fn host(url: &str) -> &str {
    let begins = url.find("://").map_or(0, |at| at + 3);
    let ends = url.get(begins..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(url.len(), |at| begins + at);
    url.get(..ends).unwrap_or_default()
}

fn log(notice: &Notice) {
    let Notice { title: alarm, what, remedy, .. } = notice;
    match notice.turn {
        Turn::Began => error!(alarm, what, remedy, "an alarm begins"),
        Turn::Stands => error!(alarm, what, remedy, "an alarm stands"),
        Turn::Ended => info!(alarm, "an alarm ends"),
        Turn::Test => {}
    }
}

fn read(path: &Path) -> Kept {
    let kept = match snapshot::read(path) {
        Ok(Some(octets)) => serde_json::from_slice::<Kept>(&octets).map_err(|error| error.to_string()),
        Ok(None) => Ok(Kept::default()),
        Err(error) => Err(error.to_string()),
    };
    let Kept { alarms, pending } = kept.unwrap_or_else(|error| {
        warn!(file = %path.display(), error, "what alarms stood before is not known; they begin again");
        Kept::default()
    });
    Kept { alarms: alarms.carried_over(UnixMillis(clock::unix_millis())), pending }
}

/// Writes it when more than the time of the last look has changed.
async fn keep(path: &Path, before: &Kept, kept: &Kept) {
    if before.alarms.standing() == kept.alarms.standing() && before.pending == kept.pending {
        return;
    }
    let Ok(octets) = serde_json::to_vec(kept) else { return };
    let place = path.to_owned();
    if let Err(error) = task::blocking(move || snapshot::write(&place, &octets)).await {
        warn!(file = %path.display(), %error, "alarms cannot be kept; after a restart they may be told again");
    }
}
