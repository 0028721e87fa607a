//! How far a backup is: a line on the terminal, with rate and time left.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use evenkeel_capture::files::Progress;

/// How often the line is written again.
const BEAT: Duration = Duration::from_millis(200);

/// The line; nothing where no person looks.
pub(super) struct ProgressLine {
    begun: Instant,
    shown: Option<Instant>,
    /// Files and bytes, as the listing knows them.
    total: (u64, u64),
    visible: bool,
}

impl ProgressLine {
    pub(super) fn new(total: (u64, u64), json: bool) -> Self {
        let visible = !json && std::io::stderr().is_terminal();
        Self { begun: Instant::now(), shown: None, total, visible }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        if !self.visible || self.shown.is_some_and(|shown| shown.elapsed() < BEAT) {
            return;
        }
        self.shown = Some(Instant::now());
        let text = line(progress, self.total, self.begun.elapsed());
        // Whoever closed it does not want to see it.
        let _ = write!(std::io::stderr(), "\r\x1b[2K{text}");
    }

    pub(super) fn end(&self) {
        if self.visible && self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

fn line(progress: Progress, total: (u64, u64), elapsed: Duration) -> String {
    let Progress { files, bytes, bytes_read } = progress;
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = bytes_read.saturating_mul(1000) / millis;
    let left = total.1.saturating_sub(bytes);
    let eta = match rate {
        0 => "?".to_owned(),
        rate => format!("{} s", left.div_ceil(rate)),
    };
    format!(
        "{files}/{} files, {}/{}, {}/s read, {eta} left",
        total.0,
        size(bytes),
        size(total.1),
        size(rate)
    )
}

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = bytes;
    let mut unit = "B";
    for next in units {
        if tenths < 10_240 && unit != "B" || bytes < 1024 {
            break;
        }
        tenths = if unit == "B" { bytes.saturating_mul(10) / 1024 } else { tenths / 1024 };
        unit = next;
    }
    if unit == "B" {
        return format!("{bytes} B");
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_right() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn the_line_says_rate_and_time_left() {
        let progress = Progress { files: 3, bytes: 4 << 20, bytes_read: 2 << 20 };
        let line = line(progress, (10, 8 << 20), Duration::from_secs(1));
        assert_eq!(line, "3/10 files, 4.0 MiB/8.0 MiB, 2.0 MiB/s read, 2 s left");
    }
}
