//! Junk folders that empty themselves.
//!
//! Once a day every account's Junk folder is looked at, in small steps, and what has lain there long enough is removed for good: by [`Ages`], so never because a clock is wrong. Each letter's timeline
//! says so. What goes wrong with one account is logged, and the others go on.

use std::time::Duration;

use posthouse_directory::{Account, Directory};
use posthouse_journal::{Entry, Event, Journal};
use posthouse_mail::UnixMillis;
use posthouse_mailbox::{Ages, Folder, MailboxError, MailboxSettings, Mailboxes, Passed};
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::{clock, random, select};

use crate::error::AdminError;

/// How often it is asked whether it is time.
const ASK_EVERY: Duration = Duration::from_hours(1);
/// How often the folders are looked at.
const LOOK_EVERY: Duration = Duration::from_hours(24);
/// The letters that are removed in one transaction: deliveries to the account wait no longer than for it.
const STEP_LETTERS: usize = 200;
/// What lies between two steps, so that the disk is there for mail.
const PAUSE: Duration = Duration::from_millis(20);

/// Empties them.
pub struct JunkKeeper {
    /// Who has one.
    pub directory: Directory,
    /// Where they are.
    pub mailboxes: Mailboxes,
    /// Where it is written down.
    pub journal: Journal,
    /// How long letters have lain there.
    pub ages: Ages,
    /// For how long they are kept.
    pub settings: MailboxSettings,
}

impl JunkKeeper {
    /// Empties them, until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        if self.settings.junk_kept.duration().is_zero() {
            return;
        }
        loop {
            select! {
                () = clock::sleep(random::jitter(ASK_EVERY, 0.1)) => {}
                () = shutdown.requested() => return,
            }
            select! {
                looked = self.look(clock::unix_millis()) => match looked {
                    Ok(0) => {}
                    Ok(letters) => tracing::info!(letters, "letters were removed from Junk folders because of their age"),
                    Err(error) => tracing::error!(%error, "Junk folders cannot be emptied; it is tried again"),
                },
                () = shutdown.requested() => return,
            }
        }
    }

    /// Looks at all of them if it is time, and says how many letters were removed.
    pub(crate) async fn look(&self, now: u64) -> Result<usize, AdminError> {
        let Some(passed) = self.ages.look(now, LOOK_EVERY).await? else { return Ok(0) };
        let accounts = self.directory.accounts().await?;
        let mut letters = 0;
        for account in &accounts {
            match self.empty(account, passed).await {
                Ok(removed) => letters += removed,
                Err(error) => tracing::error!(%error, account = %account.address, "a Junk folder cannot be emptied"),
            }
        }
        self.ages.only(accounts.into_iter().map(|account| account.id.to_string()).collect()).await?;
        Ok(letters)
    }

    async fn empty(&self, account: &Account, passed: Passed) -> Result<usize, MailboxError> {
        let (id, kept) = (account.id.as_str(), self.settings.junk_kept.duration());
        let Some(junk) = self.mailboxes.junk_state(id).await? else { return Ok(0) };
        let Some(below) = self.ages.old_below(id, junk, passed, kept).await? else { return Ok(0) };
        let mut letters = 0;
        loop {
            let expired = self.mailboxes.expire_junk(id, below, STEP_LETTERS).await?;
            let count = expired.len();
            for one in expired {
                let (folder, kept) = (Folder::Junk.to_string(), self.settings.junk_kept.to_string());
                let event = Event::Expired { to: one.recipient, folder, kept };
                self.journal.record(Entry::of(one.letter, UnixMillis(clock::unix_millis()), event));
            }
            letters += count;
            if count < STEP_LETTERS {
                break;
            }
            clock::sleep(PAUSE).await;
        }
        self.ages.emptied(id, passed, kept).await?;
        Ok(letters)
    }
}

#[cfg(test)]
mod tests;
