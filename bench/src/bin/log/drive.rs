//! How the logs are driven, and what is told.

use std::thread;
use std::time::{Duration, Instant};

use crate::logs::{DurableLog, KEPT};
use crate::{Outcome, Plan};

const ENTRY_BYTES: usize = 256;
/// A writer takes what has come meanwhile, up to this many entries.
const BATCH_MAX: usize = 4_096;
const ROUNDS: usize = 3;
const WARM: &str = "each drops old entries from the first round on; what one left unwritten is \
                    written before the next one's turn";

/// Entries with nothing to compress in them.
fn entries(seed: u64) -> Vec<Vec<u8>> {
    // Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014.
    let mut state = seed;
    let mut word = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut entry = || (0..ENTRY_BYTES / 8).flat_map(|_| word().to_le_bytes()).collect();
    (0..BATCH_MAX).map(|_| entry()).collect()
}

/// Batches one after the other; entries a second, and how long each append took.
fn fill(log: &mut dyn DurableLog, batch: &[&[u8]], run: Duration) -> Outcome<(f64, Vec<Duration>)> {
    let (mut took, started) = (Vec::new(), Instant::now());
    while started.elapsed() < run {
        let begun = Instant::now();
        log.append(batch)?;
        took.push(begun.elapsed());
    }
    let rate = (took.len() * batch.len()) as f64 / started.elapsed().as_secs_f64();
    Ok((rate, took))
}

/// What each log carries with one batch under way: the most it can take of one writer.
pub(crate) fn flat_out(plan: &Plan) -> Outcome {
    let run = Duration::from_millis(if plan.quick { 300 } else { 5_000 });
    let owned = entries(plan.seed);
    let entries: Vec<&[u8]> = owned.iter().map(Vec::as_slice).collect();
    println!("== flat out   (load average {})", load_average());
    println!("entries of {ENTRY_BYTES} bytes, each batch durable before the next begins;");
    println!("{ROUNDS} rounds of {run:?} in turn, the median of the rates; {WARM}");
    for size in [128, 1_024, BATCH_MAX] {
        let batch = &entries[..size];
        let scratch = plan.scratch()?;
        let mut logs = Vec::new();
        for log in plan.logs() {
            let mut log_in_use = (log.open)(scratch.path())?;
            warm_up(log_in_use.as_mut(), &entries, plan.quick)?;
            logs.push((log.name, log_in_use, Vec::new(), Vec::new()));
        }
        for _ in 0..ROUNDS {
            for (_, log, rates, took) in &mut logs {
                settle();
                let (rate, mut more) = fill(log.as_mut(), batch, run)?;
                rates.push(rate);
                took.append(&mut more);
            }
        }
        let own = median(&logs[0].2);
        for (name, _, rates, mut took) in logs {
            let rate = median(&rates);
            let ratio = own / rate;
            println!(
                "batch {size:>5}  {name:<18} {rate:>10.0}/s  ours x{ratio:<5.2} {}",
                words(&mut took)
            );
        }
    }
    println!();
    Ok(())
}

/// Entries arrive at a steady rate, whatever the log does; how long each is on its way until it is
/// durable, counted from the moment when it was due. A log that falls behind shows it here.
fn at_rate(
    log: &mut dyn DurableLog,
    entries: &[&[u8]],
    per_second: f64,
    run: Duration,
) -> Outcome<(f64, Vec<Duration>)> {
    /// One entry in this many is measured.
    const MEASURED: u64 = 16;
    let (mut late, mut taken, started) = (Vec::new(), 0_u64, Instant::now());
    let due_at = |entry: u64| Duration::from_secs_f64(entry as f64 / per_second);
    while started.elapsed() < run {
        let arrived = (started.elapsed().as_secs_f64() * per_second) as u64;
        let waiting = arrived.saturating_sub(taken).min(BATCH_MAX as u64);
        if waiting == 0 {
            thread::yield_now();
            continue;
        }
        log.append(&entries[..waiting as usize])?;
        let now = started.elapsed();
        let measured = (taken..taken + waiting).filter(|entry| entry.is_multiple_of(MEASURED));
        late.extend(measured.map(|entry| now.saturating_sub(due_at(entry))));
        taken += waiting;
    }
    Ok((taken as f64 / started.elapsed().as_secs_f64(), late))
}

/// Brings a log to where it drops old entries, as one in use does all the time.
fn warm_up(log: &mut dyn DurableLog, entries: &[&[u8]], quick: bool) -> Outcome {
    let wanted = if quick { KEPT / 100 } else { KEPT + KEPT / 2 };
    for _ in 0..wanted.div_ceil(entries.len() as u64) {
        log.append(entries)?;
    }
    Ok(())
}

/// What the turn before left to be written is written now, so that no log waits for another's.
fn settle() {
    rustix::fs::sync();
    thread::sleep(Duration::from_millis(500));
}

/// All at the same rates: half of the goal, the goal, and half of what ours carries flat out.
pub(crate) fn under_load(plan: &Plan) -> Outcome {
    let run = Duration::from_secs(if plan.quick { 1 } else { 10 });
    let owned = entries(plan.seed);
    let entries: Vec<&[u8]> = owned.iter().map(Vec::as_slice).collect();
    println!("== at a steady rate   (load average {})", load_average());
    println!("entries of {ENTRY_BYTES} bytes; a batch is what has arrived, up to {BATCH_MAX};");
    println!("from the moment an entry is due to when it is durable; {ROUNDS} rounds of {run:?};");
    println!("{WARM}");
    for per_second in [100_000.0, 250_000.0, 500_000.0] {
        let scratch = plan.scratch()?;
        let mut logs = Vec::new();
        for log in plan.logs() {
            let mut log_in_use = (log.open)(scratch.path())?;
            warm_up(log_in_use.as_mut(), &entries, plan.quick)?;
            logs.push((log.name, log_in_use, Vec::new(), Vec::new()));
        }
        for _ in 0..ROUNDS {
            for (_, log, rates, late) in &mut logs {
                settle();
                let (rate, mut more) = at_rate(log.as_mut(), &entries, per_second, run)?;
                rates.push(rate);
                late.append(&mut more);
            }
        }
        for (name, _, rates, mut late) in logs {
            println!(
                "{per_second:>8.0}/s  {name:<18} took {:>8.0}/s  {}",
                median(&rates),
                words(&mut late)
            );
        }
    }
    println!();
    Ok(())
}

/// `p50 0.17 ms, p99 1.20 ms, p99.9 3.00 ms, max 9.00 ms`.
fn words(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let at = |permille: usize| {
        let index = took.len().saturating_sub(1) * permille / 1_000;
        took.get(index).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    let [p50, p99, p999, max] = [500, 990, 999, 1_000].map(at);
    format!("p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms")
}

/// The middle one; rounds are few and odd.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Work of others on this machine makes every figure worse: it is printed with them.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
