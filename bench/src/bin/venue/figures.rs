//! Time, quantiles, memory and words for them.

use std::time::{Duration, Instant};

/// Latencies of single operations in nanoseconds.
#[derive(Default)]
pub(crate) struct Latencies {
    all_ns: Vec<u32>,
    last: Option<Instant>,
}

impl Latencies {
    pub(crate) fn with_capacity(count: usize) -> Self {
        // Touched here, so that the first samples do not pay for fresh memory.
        let mut all_ns = vec![1; count];
        all_ns.clear();
        Self { all_ns, last: None }
    }

    /// Begins; then each [`Latencies::tick`] ends one operation and begins the next.
    pub(crate) fn start(&mut self) {
        self.last = Some(Instant::now());
    }

    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            let elapsed_ns = (now - last).as_nanos();
            self.all_ns.push(u32::try_from(elapsed_ns).unwrap_or(u32::MAX));
        }
    }

    /// Nanoseconds below which this share lies, for each of the shares.
    pub(crate) fn quantiles(&mut self, shares: &[f64]) -> Vec<u32> {
        self.all_ns.sort_unstable();
        let last = self.all_ns.len().saturating_sub(1);
        let at = |share: &f64| (last as f64 * share) as usize;
        shares.iter().map(|share| self.all_ns.get(at(share)).copied().unwrap_or(0)).collect()
    }
}

/// Processor time of this thread: what others do on the machine does not count into it.
pub(crate) fn core_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What reading the clock once for each operation adds to its latency, in nanoseconds.
pub(crate) fn clock_ns() -> u32 {
    let mut latencies = Latencies::with_capacity(100_000);
    latencies.start();
    for _ in 0..100_000 {
        latencies.tick();
    }
    latencies.quantiles(&[0.5])[0]
}

/// Bytes that the allocator has given out, its own overhead included.
#[expect(unsafe_code, reason = "the allocator's count is behind a C function")]
pub(crate) fn allocated_bytes() -> usize {
    // SAFETY: it has no arguments and reads the allocator's own counters.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// The middle one; rounds are few and odd.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
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

/// Work of others on this machine makes every figure worse: it is printed with them.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
