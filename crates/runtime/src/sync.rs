//! Channels and locks that wait without holding a thread.

pub use tokio::sync::{
    Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Notify, OwnedMutexGuard as OwnedAsyncMutexGuard, OwnedSemaphorePermit,
    RwLock as AsyncRwLock, Semaphore, TryAcquireError, broadcast, mpsc, oneshot, watch,
};
