//! Looking into mailboxes.

use std::fmt;

use posthouse_mail::header::end_of_header;
use posthouse_mail::mime::{Limits, ParsedMailbox, parse};
use posthouse_mailbox::{Body, Folder, MailboxError, Message, Uid};
use posthouse_runtime::stream::ByteSource as _;

use crate::admin::Admin;
use crate::error::AdminError;
use crate::results::MailInfo;

/// A stored letter, to be read chunk by chunk.
pub struct Letter {
    /// What is known of it.
    pub info: MailInfo,
    /// Its octets.
    pub body: Body,
}

impl Admin {
    /// A folder of an account, oldest first.
    ///
    /// # Errors
    /// [`AdminError::NoAccount`], storage errors.
    pub async fn messages(&self, login: &str, folder: Folder) -> Result<Vec<MailInfo>, AdminError> {
        let account = self.existing(login).await?;
        let mut infos = Vec::new();
        for message in self.mailboxes.messages(account.id.as_str(), folder).await? {
            infos.push(self.info(account.id.as_str(), folder, &message).await?);
        }
        Ok(infos)
    }

    /// A letter of a folder; the newest if no number is given. It is not marked as read.
    ///
    /// # Errors
    /// [`AdminError::NoAccount`], [`AdminError::NoMail`], no such number, storage errors.
    pub async fn letter(&self, login: &str, folder: Folder, uid: Option<u32>) -> Result<Letter, AdminError> {
        let account = self.existing(login).await?;
        let id = account.id.as_str();
        let messages = self.mailboxes.messages(id, folder).await?;
        let message = match uid {
            None => messages.last().ok_or_else(|| AdminError::NoMail(login.to_owned()))?,
            Some(uid) => messages.iter().find(|message| message.uid == Uid(uid)).ok_or(MailboxError::NoSuchMessage(Uid(uid)))?,
        };
        let info = self.info(id, folder, message).await?;
        Ok(Letter { info, body: self.mailboxes.read_in(id, folder, message.uid).await? })
    }

    /// Moves a letter from one folder of an account to another; its number there.
    ///
    /// # Errors
    /// [`AdminError::NoAccount`], no such number, storage errors.
    pub async fn shift(&self, login: &str, from: Folder, uid: u32, to: Folder) -> Result<u32, AdminError> {
        let account = self.existing(login).await?;
        Ok(self.mailboxes.shift(account.id.as_str(), from, Uid(uid), to).await?.0)
    }

    async fn info(&self, account: &str, folder: Folder, message: &Message) -> Result<MailInfo, AdminError> {
        let mut body = self.mailboxes.read_in(account, folder, message.uid).await?;
        // The header is at the beginning; of one beyond the first chunk the rest is not looked at.
        let head = body.next().await.map_err(AdminError::Read)?.unwrap_or_default();
        let end = end_of_header(&head).map_or(head.len(), |(_, body)| body);
        // What cannot be read of it is simply not shown.
        let parsed = parse(head.get(..end).unwrap_or_default(), &Limits::default()).unwrap_or_default();
        Ok(MailInfo {
            uid: message.uid.0,
            size: message.size,
            at: message.at.to_string(),
            seen: message.seen,
            letter: message.letter.to_string(),
            from: parsed.from.first().map(mailbox),
            subject: parsed.subject,
        })
    }
}

fn mailbox(from: &ParsedMailbox) -> String {
    match &from.name {
        Some(name) => format!("{name} <{}>", from.address),
        None => from.address.clone(),
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("info", &self.info).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
