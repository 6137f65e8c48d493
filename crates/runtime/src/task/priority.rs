//! How urgent a thread is to the system.

use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// The niceness 0 in the words of the library: 0 to 99, and 99 is never nice.
const NO_NICENESS: u8 = 48;

/// Says that this thread is never urgent: woken while the processors are busy it waits for its turn, and finds more to do at once. On an idle
/// machine nothing changes (sched(7), `SCHED_BATCH`).
pub(crate) fn never_urgent() {
    schedule(NormalThreadSchedulePolicy::Batch);
}

/// Says that this thread has what others leave: whoever wakes has its processor at once. On an idle machine nothing changes (sched(7),
/// `SCHED_IDLE`).
pub(super) fn behind_all() {
    schedule(NormalThreadSchedulePolicy::Idle);
}

fn schedule(policy: NormalThreadSchedulePolicy) {
    let policy = ThreadSchedulePolicy::Normal(policy);
    let said = ThreadPriorityValue::try_from(NO_NICENESS).map_err(|_| "no such priority".to_owned()).and_then(|priority| {
        let priority = ThreadPriority::Crossplatform(priority);
        set_thread_priority_and_policy(thread_native_id(), priority, policy).map_err(|error| format!("{error:?}"))
    });
    if let Err(error) = said {
        tracing::debug!(error, "a thread is scheduled as everybody is");
    }
}
