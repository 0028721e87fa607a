//! Quantiles, medians and words for them.

use std::time::Duration;

/// Durations of one kind of event.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples {
    all: Vec<Duration>,
}

impl Samples {
    pub(crate) fn add(&mut self, one: Duration) {
        self.all.push(one);
    }

    pub(crate) fn merge(&mut self, mut other: Self) {
        self.all.append(&mut other.all);
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// The value below which this many of 1,000 lie; zero without samples.
    pub(crate) fn permille(&mut self, part: usize) -> Duration {
        self.all.sort_unstable();
        let at = self.all.len().saturating_sub(1) * part / 1000;
        self.all.get(at).copied().unwrap_or_default()
    }

    /// `p50 170 us, p99 1.2 ms, max 9.0 ms`.
    pub(crate) fn words(&mut self) -> String {
        let [p50, p99, max] = [500, 990, 1000].map(|part| duration(self.permille(part)));
        format!("p50 {p50:>8}, p99 {p99:>8}, max {max:>8}")
    }
}

/// The middle one; rounds are few and odd.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Three significant digits and a unit.
pub(crate) fn duration(one: Duration) -> String {
    let seconds = one.as_secs_f64();
    if seconds < 1e-3 {
        format!("{:.0} us", seconds * 1e6)
    } else if seconds < 0.1 {
        format!("{:.2} ms", seconds * 1e3)
    } else if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// `1,234,567`.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut words = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// Processor time of this thread: what others do on the machine does not count into it.
pub(crate) fn core_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Processor seconds of this process with all its threads, and of its ended children.
pub(crate) fn core_seconds() -> (f64, f64) {
    // Kernel and user time in hundredths of a second are fields 14 to 17, see proc(5); the name
    // before them may hold spaces.
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11);
    let ticks: Vec<f64> = fields.take(4).filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, kernel, user_of_children, kernel_of_children] => {
            ((user + kernel) / 100.0, (user_of_children + kernel_of_children) / 100.0)
        }
        _ => (f64::NAN, f64::NAN),
    }
}

/// Work of others on this machine makes every figure worse: it is printed with them.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
