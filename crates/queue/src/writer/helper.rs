//! The writer's helper: a thread that zeroes new segments and removes old ones, so that the writer need not wait for either.
//!
//! Zeroes are really written: blocks that are only reserved cost a change of metadata with every first write, and so a slower sync.
//! Removals are done one by one in the order they were asked for, each durable before the next; after one that failed there are
//! no more, because a Done must not vanish before the letter it ended.

use std::io;
use std::sync::Arc;

use posthouse_runtime::actor::{self, Actor, Inbox, Received, Sender};

use crate::storage::{self, Storage};

use super::log::{Blank, zero};

#[derive(Debug)]
enum Job {
    Make { name: String, len: u64 },
    Remove { name: String },
}

/// The writer's side.
#[derive(Debug)]
pub(super) struct Helper {
    jobs: Option<Sender<Job>>,
    made: Inbox<io::Result<Blank>>,
    pub(super) making: bool,
    actor: Option<Actor>,
}

impl Helper {
    pub(super) fn start(storage: Arc<dyn Storage>) -> io::Result<Self> {
        let (jobs, todo) = actor::inbox();
        let (done, made) = actor::inbox();
        let actor = actor::start("spool-helper", serve(storage, todo, done))?;
        Ok(Self { jobs: Some(jobs), made, making: false, actor: Some(actor) })
    }

    /// Asks for a zeroed file.
    pub(super) fn make(&mut self, name: String, len: u64) {
        self.making = self.send(Job::Make { name, len });
    }

    /// What has come of [`Helper::make`].
    pub(super) fn made(&mut self) -> Option<io::Result<Blank>> {
        let Received::Message(made) = self.made.try_recv() else { return None };
        self.making = false;
        Some(made)
    }

    /// Asks for a file's removal.
    pub(super) fn remove(&mut self, name: String) {
        self.send(Job::Remove { name });
    }

    fn send(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(actor) = self.actor.take() {
            // A panic in it has been printed where it happened; what it made or removed is found when the spool is opened.
            actor.join();
        }
    }
}

async fn serve(storage: Arc<dyn Storage>, mut todo: Inbox<Job>, done: Sender<io::Result<Blank>>) {
    let mut removing = true;
    while let Some(job) = todo.recv().await {
        match job {
            Job::Make { name, len } => {
                let made = make(storage.as_ref(), name, len);
                if done.send(made).is_err() {
                    return;
                }
            }
            Job::Remove { name } if removing => {
                if let Err(error) = storage.remove(&name).and_then(|()| storage.sync_dir()) {
                    tracing::error!(%error, name, "an old segment cannot be removed; none is until the spool is opened again");
                    removing = false;
                }
            }
            Job::Remove { .. } => {}
        }
    }
}

fn make(storage: &dyn Storage, name: String, len: u64) -> io::Result<Blank> {
    match zeroed(storage, &name, len) {
        Ok(file) => Ok(Blank { name, file }),
        Err(error) => {
            // What there is of it only takes room; recovery removes it otherwise.
            let _ = storage.remove(&name);
            Err(error)
        }
    }
}

fn zeroed(storage: &dyn Storage, name: &str, len: u64) -> io::Result<Arc<dyn storage::File>> {
    let file = storage.create(name)?;
    file.reserve(len)?;
    zero(file.as_ref(), 0, len)?;
    storage.sync_dir()?;
    Ok(file)
}
