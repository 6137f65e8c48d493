//! How urgent a thread is to the system.

use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// The niceness 0 in the words of the library: 0 to 99, and 99 is never nice.
const NO_NICENESS: u8 = 48;
/// The niceness 10: beside a busy thread that is not nice it has a tenth of a processor.
const SOME_NICENESS: u8 = 22;

/// Says that this thread is never urgent: woken while the processors are busy it waits for its turn, and finds more to do at once. On an idle
/// machine nothing changes (sched(7), `SCHED_BATCH`).
pub(crate) fn never_urgent() {
    schedule(NO_NICENESS);
}

/// Says that this thread leaves most of its processor to others that want it. On an idle machine nothing changes.
pub(super) fn after_others() {
    schedule(SOME_NICENESS);
}

fn schedule(niceness: u8) {
    let batch = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    let said = ThreadPriorityValue::try_from(niceness).map_err(|_| "no such priority".to_owned()).and_then(|priority| {
        let priority = ThreadPriority::Crossplatform(priority);
        set_thread_priority_and_policy(thread_native_id(), priority, batch).map_err(|error| format!("{error:?}"))
    });
    if let Err(error) = said {
        tracing::debug!(error, "a thread is scheduled as everybody is");
    }
}
