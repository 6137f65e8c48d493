//! May this sender begin a letter?

use posthouse_directory::DirectoryError;
use posthouse_mail::Address;
use posthouse_smtp::server::{SenderQuestion, Verdict};

use super::{no_directory, reject};
use crate::visit::{Begun, Visit};

pub(crate) async fn sender(visit: &mut Visit<'_>, question: SenderQuestion) -> Verdict {
    visit.abandon();
    if visit.kind.is_submission() {
        if visit.account.is_none() {
            // RFC 4954 §6.
            return reject(530, 7, 0, "log in first");
        }
        // `<>` is nobody's: receipts are sent so (RFC 8098 §2). Who wrote the letter still shows in its header, which is looked at.
        if let Some(address) = question.path.address() {
            match owns(visit, address).await {
                Ok(true) => {}
                Ok(false) => return not_yours(address),
                Err(error) => return no_directory(&error),
            }
        }
    }
    visit.begun = Some(Begun::new(question));
    Verdict::Accept
}

/// Whether whoever is logged in may write in the name of `address`.
pub(crate) async fn owns(visit: &Visit<'_>, address: &Address) -> Result<bool, DirectoryError> {
    match &visit.account {
        Some(account) => visit.context.directory.may_send_as(&account.id, address).await,
        None => Ok(false),
    }
}

pub(crate) fn not_yours(address: &Address) -> Verdict {
    reject(553, 7, 1, format!("<{address}> is not an address of the account that is logged in"))
}
