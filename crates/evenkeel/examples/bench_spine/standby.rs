//! How far a standby in a process of its own is behind its primary while that one works.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::figures::{count, median};
use crate::whole::evenkeel;
use crate::{Outcome, Plan};

pub(crate) fn run(plan: &Plan) -> Outcome {
    let seconds = if plan.quick { 10 } else { 30 };
    println!("keeper, clients, primary and standby in processes of their own, over sockets; looks");
    println!("at `status` twice a second");
    for rate in [2_000, 20_000, 1_000_000] {
        lag(plan, rate, seconds)?;
    }
    Ok(())
}

fn lag(plan: &Plan, rate: u32, seconds: u64) -> Outcome {
    let scratch = plan.scratch()?;
    let home = scratch.path().join("home");
    let mut child = evenkeel(&home, "up")?
        .args(["--rate", &rate.to_string(), "--exit-after", &seconds.to_string()])
        .args(["--seed", &plan.seed.to_string(), "--dashboard", "off"])
        .env("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // The first seconds lay out the market and let the standby join.
    std::thread::sleep(Duration::from_secs(5));
    let (mut entries, mut late, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    while child.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_millis(500));
        let output = evenkeel(&home, "status")?.arg("--json").output()?;
        let Ok(status) = serde_json::from_slice::<Value>(&output.stdout) else {
            continue;
        };
        let figure = |pointer| status.pointer(pointer).and_then(Value::as_f64);
        let looks = [
            (figure("/standbys/0/lag_entries"), &mut entries),
            (figure("/standbys/0/lag_seconds"), &mut late),
            (figure("/journal/entries_per_second"), &mut rates),
        ];
        for (value, all) in looks {
            all.extend(value);
        }
    }
    let status = child.wait()?;
    if !status.success() || entries.is_empty() {
        return Err(format!("evenkeel up --rate {rate} ended with {status}, no standby").into());
    }
    let most = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
    println!(
        "asked {:>9}/s, journaled {:>7}/s: standby behind {} entries (median of {} looks; worst \
         {}), {:.3} s (worst {:.3} s)",
        count(rate.into()),
        count(median(&rates)),
        count(median(&entries)),
        entries.len(),
        count(most(&entries)),
        median(&late),
        most(&late),
    );
    Ok(())
}
