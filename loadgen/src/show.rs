//! Progress on standard error: one line that is written over on a terminal, a plain line now and then elsewhere.

use crate::measure::Measured;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const BAR: usize = 24;

/// Where progress is shown.
#[derive(Debug)]
pub(crate) struct Show {
    terminal: bool,
    /// What the line on the terminal is about.
    last: Option<Instant>,
    /// Transactions known at the last line, for the rate.
    seen: (Duration, u64),
    /// How many transactions are expected in all.
    pub(crate) expected: Option<u64>,
}

impl Show {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, last: None, seen: (Duration::ZERO, 0), expected: None }
    }

    /// How often to show something.
    pub(crate) const fn interval(&self) -> Duration {
        Duration::from_millis(if self.terminal { 100 } else { 50 })
    }

    fn is_due(&mut self) -> bool {
        let pause = Duration::from_millis(if self.terminal { 100 } else { 1000 });
        let due = self.last.map_or(self.terminal, |last| last.elapsed() >= pause);
        if due || self.last.is_none() {
            self.last = Some(Instant::now());
        }
        due
    }

    fn write(&self, line: &str) {
        // Progress that can't be shown harms nothing.
        let mut out = std::io::stderr().lock();
        let _ = if self.terminal { write!(out, "\r\x1b[K{line}") } else { writeln!(out, "{line}") };
        let _ = out.flush();
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if self.terminal {
            self.write("");
        }
        self.last = None;
        self.seen = (Duration::ZERO, 0);
    }

    /// Says something that stays.
    pub(crate) fn say(&mut self, text: &str) {
        if self.terminal {
            self.write("");
        }
        eprintln!("{text}");
    }

    /// Shows how far a preparation has come.
    pub(crate) fn step(&mut self, what: &str, done: u64, all: u64) {
        if done >= all || self.is_due() {
            self.write(&format!("{what} {} {done} of {all}", bar(done, all)));
        }
    }

    /// Shows how far something without a known end has come.
    pub(crate) fn count(&mut self, what: &str, done: u64) {
        if self.is_due() {
            self.write(&format!("{what} {done}"));
        }
    }

    /// Shows a run: progress, rate, latency, queue, time left.
    pub(crate) fn tick(&mut self, elapsed: Duration, duration: Option<Duration>, measured: &Measured, queue: usize) {
        if !self.is_due() {
            return;
        }
        let done = measured.done();
        let (seen_at, seen) = self.seen;
        let rate = per_second(done.saturating_sub(seen), elapsed.saturating_sub(seen_at));
        if elapsed.saturating_sub(seen_at) >= Duration::from_millis(900) {
            self.seen = (elapsed, done);
        }
        let by_count = self.expected.map(|expected| (done, expected));
        let by_time = duration.map(|duration| (milliseconds(elapsed), milliseconds(duration)));
        let further = |(done, all): (u64, u64), other: (u64, u64)| {
            if u128::from(done) * u128::from(other.1) > u128::from(other.0) * u128::from(all) {
                (done, all)
            } else {
                other
            }
        };
        let progress = match (by_count, by_time) {
            (Some(count), Some(time)) => Some(further(count, time)),
            (count, time) => count.or(time),
        };
        let (drawn, left) = progress.map_or_else(Default::default, |(done, all)| {
            let done = done.min(all);
            let left = u128::from(milliseconds(elapsed)) * u128::from(all - done) / u128::from(done.max(1)) / 1000;
            (bar(done, all), if done == 0 { String::new() } else { format!(" · {left} s left") })
        });
        let latency = measured.latency();
        self.write(&format!(
            "{drawn} {}/s · p50 {} p99 {} max {} · {queue} waiting · {done} done{left}",
            grouped(rate),
            microseconds(latency.p50),
            microseconds(latency.p99),
            microseconds(latency.max),
        ));
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Something per second, in whole numbers.
pub(crate) fn per_second(count: u64, time: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000_000 / time.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn bar(done: u64, all: u64) -> String {
    let full = u128::from(done.min(all)) * BAR as u128 / u128::from(all.max(1));
    let full = usize::try_from(full).unwrap_or(BAR).min(BAR);
    format!("[{}{}]", "█".repeat(full), "·".repeat(BAR - full))
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A part of a whole in percent, with a tenth.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let thousandths = (u128::from(part) * 1000 + u128::from(whole / 2)) / u128::from(whole.max(1));
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

/// A time for people: microseconds, milliseconds or seconds.
#[expect(clippy::float_arithmetic, reason = "shown to people")]
pub(crate) fn microseconds(us: f64) -> String {
    if us < 1000.0 {
        format!("{us:.0} µs")
    } else if us < 1_000_000.0 {
        format!("{:.2} ms", us / 1000.0)
    } else {
        format!("{:.2} s", us / 1_000_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12.4, 1500.0, 2_500_000.0].map(microseconds), ["12 µs", "1.50 ms", "2.50 s"]);
        assert_eq!(bar(1, 2), format!("[{}{}]", "█".repeat(12), "·".repeat(12)));
    }
}
