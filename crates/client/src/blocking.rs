//! The same without `async`, for programs that have no use for it.
//!
//! Each call runs the asynchronous one to its end on this thread. Not to be called from asynchronous code: it would hold up everything else on its
//! thread, and the runtime forbids it.

use posthouse_runtime::block_on;

use crate::error::ClientError;
use crate::message::Message;
use crate::report::SendReport;

/// A [`Mailer`](crate::Mailer) whose methods return when they are done.
#[derive(Clone, Debug)]
pub struct Mailer(crate::Mailer);

impl Mailer {
    /// Sends one letter and tells what became of each recipient.
    ///
    /// # Errors
    /// [`ClientError`]: nobody got it.
    pub fn send(&self, message: &Message) -> Result<SendReport, ClientError> {
        block_on(self.0.send(message)).map_err(ClientError::Runtime)?
    }

    /// Sends several letters over one connection.
    ///
    /// # Errors
    /// [`ClientError::Runtime`] before the first; what becomes of each is in its own result.
    pub fn send_all(&self, messages: &[Message]) -> Result<Vec<Result<SendReport, ClientError>>, ClientError> {
        block_on(self.0.send_all(messages)).map_err(ClientError::Runtime)
    }
}

impl From<crate::Mailer> for Mailer {
    fn from(mailer: crate::Mailer) -> Self {
        Self(mailer)
    }
}
