//! Real-time priority for the committing thread, where the system allows it.
//!
//! The committing thread sleeps in a sync most of its life, and everybody waits for it to wake. An ordinary thread that wakes on busy
//! cores waits for the end of somebody's time slice, several times longer than the sync itself took. One with real-time
//! priority runs at once. It does little between two syncs, so it takes nothing from the others but their turn.
#![allow(unsafe_code, reason = "the system call behind this has no safe form")]

/// Gives the calling thread the lowest real-time priority. `false` if the system doesn't allow it; then nothing has changed.
pub(crate) fn raise() -> bool {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: both calls read what they are given and nothing else. `sched_param` is plain numbers, for which zeros are a
        // value, and lives until the call returns; thread 0 is the calling one.
        unsafe {
            let mut parameter: libc::sched_param = std::mem::zeroed();
            parameter.sched_priority = libc::sched_get_priority_min(libc::SCHED_FIFO);
            // Threads that this one might start begin as ordinary ones.
            libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const parameter) == 0
        }
    }
    #[cfg(not(target_os = "linux"))]
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn a_thread_is_raised_or_left_as_it_was() {
        let (allowed, policy) = std::thread::spawn(|| {
            let status = || std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let allowed = super::raise();
            // The policy is the 41st field; the second, in brackets, may have spaces.
            let text = status();
            let mut fields = text.rsplit(')').next().unwrap().split_whitespace();
            (allowed, fields.nth(38).unwrap().to_owned())
        })
        .join()
        .unwrap();
        assert_eq!(policy, if allowed { "1" } else { "0" }, "SCHED_FIFO, or as before");
    }
}
