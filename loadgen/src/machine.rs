//! What the numbers were taken on, and what this process has used.

use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// The machine a result was taken on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The processor's name for itself.
    pub(crate) cpu: String,
    /// Cores this process may use.
    pub(crate) cores: usize,
    /// Main memory in bytes.
    pub(crate) memory: u64,
    /// Version of the kernel.
    pub(crate) kernel: String,
}

impl Machine {
    /// This one. What the system doesn't tell is "unknown" or 0.
    pub(crate) fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let known = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
        let cpu = read("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            cpu: known(cpu.map_or("", |(_, name)| name.trim())),
            cores: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            memory: kibibytes(&read("/proc/meminfo"), "MemTotal:"),
            kernel: known(read("/proc/sys/kernel/osrelease").trim()),
        }
    }
}

/// The value of a line such as `VmHWM:   1234 kB`, in bytes; 0 if there is none.
fn kibibytes(text: &str, label: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0).saturating_mul(1024)
}

/// The most memory this process has held since the start, or since the last [`forget_memory_peak`]; in bytes.
pub(crate) fn memory_peak() -> u64 {
    kibibytes(&std::fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmHWM:")
}

/// Lets the peak begin again at what is held now. Where the kernel doesn't allow it the peak stays.
pub(crate) fn forget_memory_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Processor time of all threads of this process so far, in nanoseconds.
pub(crate) fn process_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}
