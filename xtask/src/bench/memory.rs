//! Memory of processes, as `/proc` tells it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::servers::Processes;

/// Looking costs processor time that the server does not get: so seldom.
const EVERY: Duration = Duration::from_millis(1500);

/// Looks now and then how much memory the server has, while something else goes on.
pub(super) struct Watch {
    done: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(processes: Processes) -> Watch {
        let (done, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stop, seen) = (Arc::clone(&done), Arc::clone(&most));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                thread::park_timeout(EVERY);
                seen.fetch_max(shared_once(processes), Ordering::Relaxed);
            }
        });
        Watch { done, most, thread }
    }

    /// The most that was seen, a last look included, in MB.
    pub(super) fn stop(self) -> f64 {
        self.done.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        // A look that panicked saw nothing.
        let _ = self.thread.join();
        mb(self.most.load(Ordering::Relaxed))
    }
}

/// The octets of all processes, what they share counted once.
pub(super) fn shared_once(processes: Processes) -> u64 {
    let sizes = processes.ids().into_iter().filter_map(|id| kib(&format!("/proc/{id}/smaps_rollup"), "Pss:"));
    sizes.sum::<u64>() * 1024
}

/// What a process has now, and the most it had, in octets.
pub(super) fn resident(id: u32) -> u64 {
    kib(&format!("/proc/{id}/status"), "VmRSS:").unwrap_or_default() * 1024
}

pub(super) fn resident_most(id: u32) -> u64 {
    kib(&format!("/proc/{id}/status"), "VmHWM:").unwrap_or_default() * 1024
}

/// From now on the most a process had is what it has (proc(5), `clear_refs`).
pub(super) fn forget_most(id: u32) -> anyhow::Result<()> {
    Ok(fs::write(format!("/proc/{id}/clear_refs"), "5")?)
}

pub(super) fn mb(octets: u64) -> f64 {
    f64::from(u32::try_from(octets / 1024).unwrap_or(u32::MAX)) * 1024.0 / 1e6
}

fn kib(file: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
