//! Looking into mailboxes.

use std::fmt;

use posthouse_mail::header::end_of_header;
use posthouse_mail::mime::{Limits, ParsedMailbox, parse};
use posthouse_mailbox::{Body, Message, Uid};
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
    /// The inbox of an account, oldest first.
    ///
    /// # Errors
    /// [`AdminError::NoAccount`], storage errors.
    pub async fn inbox(&self, login: &str) -> Result<Vec<MailInfo>, AdminError> {
        let account = self.existing(login).await?;
        let mut infos = Vec::new();
        for message in self.mailboxes.inbox(account.id.as_str()).await? {
            infos.push(self.info(account.id.as_str(), &message).await?);
        }
        Ok(infos)
    }

    /// A letter of the inbox; the newest if no number is given. It is not marked as read.
    ///
    /// # Errors
    /// [`AdminError::NoAccount`], [`AdminError::NoMail`], no such number, storage errors.
    pub async fn letter(&self, login: &str, uid: Option<u32>) -> Result<Letter, AdminError> {
        let account = self.existing(login).await?;
        let id = account.id.as_str();
        let messages = self.mailboxes.inbox(id).await?;
        let message = match uid {
            None => messages.last().ok_or_else(|| AdminError::NoMail(login.to_owned()))?,
            Some(uid) => messages
                .iter()
                .find(|message| message.uid == Uid(uid))
                .ok_or(posthouse_mailbox::MailboxError::NoSuchMessage(Uid(uid)))?,
        };
        let info = self.info(id, message).await?;
        Ok(Letter { info, body: self.mailboxes.read(id, message.uid).await? })
    }

    async fn info(&self, account: &str, message: &Message) -> Result<MailInfo, AdminError> {
        let mut body = self.mailboxes.read(account, message.uid).await?;
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
