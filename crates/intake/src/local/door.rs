//! How many connections the users of this machine have open, and how many letters they hand in.
//!
//! It is kept across reloads; the limits are those of the moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use posthouse_runtime::clock;

use super::Local;

/// What letters are counted in.
const WINDOW: Duration = Duration::from_secs(60);

/// Counts. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct LocalDoor(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    open: usize,
    users: HashMap<u32, User>,
}

#[derive(Debug)]
struct User {
    open: usize,
    began: Instant,
    letters: u32,
}

/// A place that is taken.
#[derive(Debug)]
pub(crate) struct Pass {
    door: LocalDoor,
    uid: u32,
}

impl LocalDoor {
    /// Nobody has come yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open
    }

    /// Takes a place; none when a limit is reached.
    pub(crate) fn enter(&self, uid: u32, limits: &Local) -> Option<Pass> {
        let now = clock::now();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has gone and is no longer counted leaves the map.
        counts.users.retain(|_, user| user.open > 0 || now.saturating_duration_since(user.began) < WINDOW);
        if counts.open >= limits.connections_max {
            return None;
        }
        let user = counts.users.entry(uid).or_insert(User { open: 0, began: now, letters: 0 });
        if user.open >= limits.connections_per_user_max {
            return None;
        }
        user.open += 1;
        counts.open += 1;
        Some(Pass { door: self.clone(), uid })
    }
}

impl Pass {
    /// Counts a letter; whether it may come now.
    pub(crate) fn letter(&self, limits: &Local) -> bool {
        let now = clock::now();
        let mut counts = self.door.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(user) = counts.users.get_mut(&self.uid) else { return true };
        if now.saturating_duration_since(user.began) >= WINDOW {
            (user.began, user.letters) = (now, 0);
        }
        let max = limits.letters_per_minute_max;
        if max > 0 && user.letters >= max {
            return false;
        }
        user.letters = user.letters.saturating_add(1);
        true
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.door.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.open = counts.open.saturating_sub(1);
        if let Some(user) = counts.users.get_mut(&self.uid) {
            user.open = user.open.saturating_sub(1);
        }
    }
}
