//! Ctrl-C, termination and a closed terminal ask a daemon to end; the second Ctrl-C insists.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::report::{Exit, Report, Result};

/// Calls `stop` with the signal's name at the first SIGINT, SIGTERM or SIGHUP. A second SIGINT or
/// SIGTERM ends the process at once with [`Exit::Interrupted`]: a kill is survived anyway.
/// Under `nohup`, SIGHUP stays ignored.
///
/// # Errors
/// [`Exit::Failed`] if the system does not let signals be caught.
pub fn on_stop(mut stop: impl FnMut(&'static str) + Send + 'static) -> Result<()> {
    let failed =
        |error: std::io::Error| Report::new(Exit::Failed, format!("cannot catch signals: {error}"));
    let mut wanted = vec![SIGINT, SIGTERM];
    if !hangup_is_ignored() {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted).map_err(failed)?;
    let watch = move || {
        let mut asked = false;
        for signal in signals.forever() {
            if asked && signal != SIGHUP {
                std::process::exit(Exit::Interrupted.code().into());
            }
            if !asked {
                stop(name(signal));
            }
            asked = true;
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(failed)?;
    Ok(())
}

fn name(signal: i32) -> &'static str {
    match signal {
        SIGINT => "Ctrl-C",
        SIGTERM => "SIGTERM",
        SIGHUP => "the terminal was closed",
        _ => "a signal",
    }
}

/// Whether this process was started with SIGHUP ignored, as `nohup` does.
fn hangup_is_ignored() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return false;
    };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let bit = u32::try_from(SIGHUP - 1).unwrap_or(0);
    mask & (1 << bit) != 0
}
