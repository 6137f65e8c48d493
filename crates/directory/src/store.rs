//! The connections to `directory.sqlite`: one that writes, and a few that read.
//!
//! Reading happens on the caller's own thread: a hop to another thread and back costs more than any answer. Each reading connection remembers
//! what it answered while the file has not changed ([`Memory`]). In WAL mode no reader waits for a writer. Writing waits for the disk, so it
//! goes to the blocking pool.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use posthouse_runtime::task;

use crate::error::DirectoryError;
use crate::memory::{self, Memory};
use crate::schema;

/// The reading connections kept open: as many as threads read at the same instant, and few threads do.
const READERS_KEPT: usize = 8;

#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Reader>>,
}

/// A connection that reads, and what it has answered.
pub(crate) struct Reader {
    connection: Connection,
    memory: Memory,
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, DirectoryError> {
        let writer = Mutex::new(schema::open_writer(path)?);
        Ok(Self(Arc::new(Inner { path: path.to_owned(), writer, readers: Mutex::new(Vec::new()) })))
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.0.path.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Runs `work` in one read transaction: whatever it asks, it gets answers from the same instant.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, DirectoryError>) -> Result<T, DirectoryError> {
        self.lend(|reader| reader.read(work))
    }

    /// Runs `work` with a reader whose memory is of this moment, or of the millisecond before.
    pub(crate) fn recall<T>(&self, work: impl FnOnce(&mut Reader) -> Result<T, DirectoryError>) -> Result<T, DirectoryError> {
        self.lend(|reader| {
            reader.memory.refresh(&reader.connection)?;
            work(reader)
        })
    }

    fn lend<T>(&self, work: impl FnOnce(&mut Reader) -> Result<T, DirectoryError>) -> Result<T, DirectoryError> {
        let kept = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = kept.map_or_else(|| Reader::open(&self.0.path), Ok)?;
        let done = work(&mut reader)?;
        // One on which something failed is not kept: the next reader opens a fresh connection.
        let mut readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT {
            readers.push(reader);
        }
        Ok(done)
    }

    /// Runs `work` in one write transaction on the blocking pool; it is durable when this returns. Once begun it is done
    /// even when nobody waits.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, DirectoryError> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        let store = self.clone();
        task::blocking(move || store.write_here(work)).await
    }

    /// [`Self::write`] on the calling thread.
    pub(crate) fn write_here<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, DirectoryError>,
    ) -> Result<T, DirectoryError> {
        // A panic in `work` rolled its transaction back, so the connection behind a poisoned lock is sound.
        let mut writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        memory::changed();
        Ok(done)
    }
}

impl Reader {
    fn open(path: &Path) -> Result<Self, DirectoryError> {
        Ok(Self { connection: schema::open_reader(path)?, memory: Memory::default() })
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, DirectoryError>) -> Result<T, DirectoryError> {
        let transaction = self.connection.unchecked_transaction()?;
        work(&transaction)
    }

    pub(crate) fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }
}
