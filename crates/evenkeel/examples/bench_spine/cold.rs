//! A venue of millions of entries loses its host: how long until everything is back from the
//! sites, read from the disk and not from memory.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::figures::{count, median};
use crate::whole::evenkeel;
use crate::{Outcome, Plan};

const ROUNDS: usize = 3;
/// The tail behind the last recovery point is to be about this long: a restore replays it.
const TAIL: u64 = 900_000;

pub(crate) fn run(plan: &Plan) -> Outcome {
    let entries = if plan.quick { 1_500_000 } else { 10_000_000 };
    let scratch = plan.scratch()?;
    let home = scratch.path().join("home");
    let grown = grow(plan, &home, entries)?;
    println!(
        "{} entries, the last recovery point at {}; then kill -9, and the host's folder is deleted",
        count(grown.durable as f64),
        count(grown.point as f64)
    );
    std::fs::remove_dir_all(home.join("host"))?;
    for (what, flags) in [
        ("what trading needs (--without-history)", &["--without-history"][..]),
        ("everything, back to position 0", &[]),
    ] {
        let (mut seconds, mut last, mut cold) = (Vec::new(), Value::Null, true);
        for round in 0..ROUNDS {
            cold &= drop_caches();
            let to = scratch.path().join(format!("back-{round}"));
            let begun = Instant::now();
            let identity = home.join("recovery-identity.txt");
            let output = evenkeel(&home, "restore")?
                .arg("--identity")
                .arg(identity)
                .arg("--to")
                .arg(&to)
                .args(flags)
                .arg("--json")
                .output()?;
            seconds.push(begun.elapsed().as_secs_f64());
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
            }
            last = serde_json::from_slice(&output.stdout)?;
            std::fs::remove_dir_all(&to)?;
        }
        let figure = |name: &str| last.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        println!(
            "{what}: {:.2} s (median of {ROUNDS}: {seconds:.2?}); {} entries back, {} replayed, \
             {:.0} MB read{}",
            median(&seconds),
            count(figure("position")),
            count(figure("entries_replayed")),
            figure("bytes_read") / 1e6,
            if cold { ", page cache dropped before" } else { ", sites in the page cache" },
        );
    }
    Ok(())
}

struct Grown {
    durable: u64,
    point: u64,
}

/// Runs the demonstration's venue as fast as its clients send until it holds `entries`, and the
/// sites all of them but what is under way.
fn grow(plan: &Plan, home: &Path, entries: u64) -> Outcome<Grown> {
    let mut child = evenkeel(home, "up")?
        .args(["--role", "primary", "--rate", "1000000", "--dashboard", "off"])
        .args(["--seed", &plan.seed.to_string()])
        .env("EVENKEEL_RECOVERY_POINT_EVERY_ENTRIES", (TAIL + 50_000).to_string())
        .env("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "3600")
        .env("EVENKEEL_RECOVERY_DISK_LIMIT_BYTES", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let grown = until(home, &mut child, entries);
    child.kill()?;
    child.wait()?;
    grown
}

fn until(home: &Path, child: &mut Child, entries: u64) -> Outcome<Grown> {
    loop {
        std::thread::sleep(Duration::from_millis(200));
        if let Some(status) = child.try_wait()? {
            return Err(format!("evenkeel up ended with {status}").into());
        }
        let output = evenkeel(home, "status")?.arg("--json").output()?;
        let Ok(status) = serde_json::from_slice::<Value>(&output.stdout) else {
            continue;
        };
        let at = |pointer| status.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let (durable, point) =
            (at("/tail/shipped_position"), at("/recovery_points/latest/position"));
        if durable >= entries && (TAIL / 2..=TAIL * 10 / 9).contains(&(durable - point)) {
            return Ok(Grown { durable, point });
        }
    }
}

/// Asks the kernel to forget what it read; whether it did.
fn drop_caches() -> bool {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}
