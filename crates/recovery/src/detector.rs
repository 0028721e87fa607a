//! When a primary is suspected to be gone. Suspicion promotes nobody: the authority decides, and a
//! wrong suspicion costs an attempt.
//!
//! Times are nanoseconds of a clock that never goes back.

/// The rhythm of a primary's signs of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// The primary sends a beat this often.
    pub beat_every_ns: u64,
    /// It is suspected after this many beats failed to come; at least one.
    pub beats_missed: u32,
}

impl Default for Rhythm {
    /// Six beats of 100 ms.
    fn default() -> Self {
        Self { beat_every_ns: 100_000_000, beats_missed: 6 }
    }
}

impl Rhythm {
    fn patience_ns(&self) -> u64 {
        self.beat_every_ns.saturating_mul(self.beats_missed.max(1).into())
    }
}

/// Why a primary is suspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Its end of the connection is closed.
    Ended,
    /// Nothing was heard.
    Silent {
        /// For how long, in nanoseconds.
        for_ns: u64,
    },
}

/// What a standby has heard, and when. A function of the moments it is told, and nothing else.
#[derive(Debug, Clone)]
pub struct Detector {
    rhythm: Rhythm,
    heard_ns: u64,
    looked_ns: u64,
    has_ended: bool,
}

impl Detector {
    /// The connection has just come to be.
    #[must_use]
    pub fn start(rhythm: Rhythm, now_ns: u64) -> Self {
        Self { rhythm, heard_ns: now_ns, looked_ns: now_ns, has_ended: false }
    }

    /// A beat or a frame has come.
    pub fn heard(&mut self, now_ns: u64) {
        self.heard_ns = self.heard_ns.max(now_ns);
        self.has_ended = false;
    }

    /// The connection has ended.
    pub fn ended(&mut self) {
        self.has_ended = true;
    }

    /// Whether the primary is suspected now. Ask after everything that has come was taken in.
    ///
    /// A standby that was itself asleep, as its own long silence shows, has not listened: it gives
    /// the primary the whole time again.
    pub fn look(&mut self, now_ns: u64) -> Option<Suspicion> {
        let asleep_ns = now_ns.saturating_sub(self.looked_ns);
        self.looked_ns = self.looked_ns.max(now_ns);
        if self.has_ended {
            return Some(Suspicion::Ended);
        }
        let patience_ns = self.rhythm.patience_ns();
        if asleep_ns >= patience_ns {
            self.heard_ns = self.heard_ns.max(now_ns);
        }
        let for_ns = now_ns.saturating_sub(self.heard_ns);
        (for_ns >= patience_ns).then_some(Suspicion::Silent { for_ns })
    }

    /// When to look again, if nothing comes before: often enough not to pass for asleep.
    #[must_use]
    pub fn looks_at_ns(&self) -> u64 {
        let due_ns = self.heard_ns.saturating_add(self.rhythm.patience_ns());
        due_ns.min(self.looked_ns.saturating_add(self.rhythm.beat_every_ns))
    }
}

/// When the primary sends its beats: at an even pace, and none twice after a delay.
#[derive(Debug, Clone)]
pub struct Beats {
    every_ns: u64,
    next_ns: u64,
}

impl Beats {
    /// The first beat is due at once.
    #[must_use]
    pub fn start(rhythm: Rhythm, now_ns: u64) -> Self {
        Self { every_ns: rhythm.beat_every_ns.max(1), next_ns: now_ns }
    }

    /// Whether a beat is due; if so, the next one is due one interval later.
    pub fn is_due(&mut self, now_ns: u64) -> bool {
        let is_due = now_ns >= self.next_ns;
        if is_due {
            self.next_ns = now_ns.saturating_add(self.every_ns);
        }
        is_due
    }

    /// When the next beat is due.
    #[must_use]
    pub fn next_ns(&self) -> u64 {
        self.next_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: Rhythm = Rhythm { beat_every_ns: 100, beats_missed: 6 };

    #[test]
    fn silence_is_suspected_after_the_missed_beats_and_not_before() {
        let mut detector = Detector::start(RHYTHM, 1_000);
        for now in (1_000..1_600).step_by(50) {
            assert_eq!(detector.look(now), None, "at {now}");
            assert!(detector.looks_at_ns() > now);
            assert!(detector.looks_at_ns() <= 1_600);
        }
        assert_eq!(detector.look(1_600), Some(Suspicion::Silent { for_ns: 600 }));
        detector.heard(1_610);
        assert_eq!(detector.look(1_620), None);
        assert_eq!(detector.look(2_209), None);
        assert_eq!(detector.look(2_210), Some(Suspicion::Silent { for_ns: 600 }));
    }

    #[test]
    fn an_ended_connection_is_suspected_at_once_until_another_is_heard() {
        let mut detector = Detector::start(RHYTHM, 0);
        detector.ended();
        assert_eq!(detector.look(1), Some(Suspicion::Ended));
        detector.heard(2);
        assert_eq!(detector.look(3), None);
    }

    #[test]
    fn who_was_asleep_does_not_blame_the_primary() {
        let mut detector = Detector::start(RHYTHM, 0);
        assert_eq!(detector.look(10), None);
        assert_eq!(detector.look(5_000), None, "it did not listen for 4,990");
        assert_eq!(detector.look(5_300), None);
        assert_eq!(detector.look(5_600), Some(Suspicion::Silent { for_ns: 600 }));
    }

    #[test]
    fn beats_keep_their_pace_and_a_delay_brings_one_and_no_burst() {
        let mut beats = Beats::start(RHYTHM, 50);
        assert!(beats.is_due(50));
        assert!(!beats.is_due(149));
        assert!(beats.is_due(150));
        assert!(beats.is_due(1_000));
        assert!(!beats.is_due(1_001));
        assert_eq!(beats.next_ns(), 1_100);
    }
}
