//! The whole: `evenkeel up` with its demonstration market, followed, shipped and drilled, at the
//! demonstration's own rate and as fast as its clients send.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::figures::{count, median};
use crate::{CHILD, Outcome, Plan};

pub(crate) fn run(plan: &Plan) -> Outcome {
    let seconds = if plan.quick { 8 } else { 25 };
    for rate in [2_000, 50_000, 1_000_000] {
        up(plan, rate, seconds)?;
    }
    Ok(())
}

fn up(plan: &Plan, rate: u32, seconds: u64) -> Outcome {
    let scratch = plan.scratch()?;
    let home = scratch.path().join("home");
    // One process with its clients inside: the spine, not the sockets around it.
    let mut child = evenkeel(&home, "up")?
        .args(["--role", "primary"])
        .args(["--rate", &rate.to_string(), "--exit-after", &seconds.to_string()])
        .args(["--seed", &plan.seed.to_string(), "--dashboard", "off"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let watched = watch(&home, &mut child);
    let status = child.wait()?;
    let watched = watched?;
    if !status.success() {
        return Err(format!("evenkeel up --rate {rate} ended with {status}").into());
    }
    watched.print(rate);
    Ok(())
}

/// This program again, as `evenkeel`.
pub(crate) fn evenkeel(home: &Path, command: &str) -> Outcome<Command> {
    let mut child = Command::new(std::env::current_exe()?);
    child.env(CHILD, "1").arg(command).arg("--home").arg(home);
    Ok(child)
}

/// What `status` said, about once a second.
#[derive(Default)]
struct Watched {
    acknowledged: Vec<f64>,
    said: BTreeMap<&'static str, Vec<f64>>,
}

const SAID: [(&str, &str); 6] = [
    ("p99", "/journal/ack_p99_seconds"),
    ("behind", "/tail/rpo/seconds"),
    ("open", "/engine/open_orders"),
    ("points", "/recovery_points/count"),
    ("rto", "/last_drill/rto_seconds"),
    ("conditions", "/conditions"),
];

fn watch(home: &Path, child: &mut Child) -> Outcome<Watched> {
    let mut watched = Watched::default();
    // The first seconds lay out the market.
    std::thread::sleep(Duration::from_secs(4));
    let mut before: Option<(f64, Instant)> = None;
    while child.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_secs(1));
        let output = evenkeel(home, "status")?.arg("--json").output()?;
        let now = Instant::now();
        let Ok(status) = serde_json::from_slice::<Value>(&output.stdout) else {
            continue;
        };
        if status.pointer("/running") != Some(&Value::Bool(true)) {
            continue;
        }
        let position = status.pointer("/journal/durable_position").and_then(Value::as_f64);
        if let (Some(position), Some((last, at))) = (position, before) {
            let seconds = (now - at).as_secs_f64();
            watched.acknowledged.push((position - last) / seconds);
        }
        before = position.map(|position| (position, now)).or(before);
        for (name, pointer) in SAID {
            let found = status.pointer(pointer);
            let value = found.and_then(|value| match value {
                Value::Array(all) => Some(all.len() as f64),
                other => other.as_f64(),
            });
            if let Some(value) = value {
                watched.said.entry(name).or_default().push(value);
            }
        }
    }
    Ok(watched)
}

impl Watched {
    fn all(&self, name: &str) -> &[f64] {
        self.said.get(name).map_or(&[], Vec::as_slice)
    }

    fn max(&self, name: &str) -> f64 {
        self.all(name).iter().copied().fold(0.0, f64::max)
    }

    fn print(&self, rate: u32) {
        println!(
            "asked {:>9}/s: acknowledged {:>8}/s (median of {} looks); p99 {:.1} ms (median; \
             worst look {:.1} ms); {} orders open",
            count(rate.into()),
            count(median(&self.acknowledged)),
            self.acknowledged.len(),
            median(self.all("p99")) * 1e3,
            self.max("p99") * 1e3,
            count(self.max("open")),
        );
        println!(
            "  sites behind {:.2} s (median; worst {:.2} s), {} recovery points, \
             drill RTO {:.2} s, {} conditions shown at worst",
            median(self.all("behind")),
            self.max("behind"),
            self.max("points"),
            self.all("rto").last().copied().unwrap_or(f64::NAN),
            self.max("conditions"),
        );
    }
}
