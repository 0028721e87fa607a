//! One history, from its seed to the verdict.

use evenkeel_journal::{Batch, JournalError, Reader};

use crate::bugs::Bug;
use crate::coverage::Coverage;
use crate::host::frames;
use crate::plan::{Fault, Mode, Plan};
use crate::process::State;
use crate::world::World;

/// What became of a history.
#[derive(Debug)]
pub struct Played {
    /// What does not hold, if something does not.
    pub broken: Option<String>,
    /// Which faults were followed by which ways of recovery.
    pub coverage: Coverage,
    /// Entries that were acknowledged and are there.
    pub acknowledged: usize,
    /// Entries of which every copy was destroyed, which was said.
    pub lost: u64,
    /// Steps of liquidations, each on fresh prices.
    pub liquidations: u64,
    /// Faults that struck.
    pub struck: usize,
    /// Virtual time that passed, in microseconds.
    pub micros: u64,
    /// What happened, if it was asked for.
    pub story: Vec<String>,
}

/// Plays a plan.
#[must_use]
pub fn play(plan: &Plan, bug: Option<Bug>, tells: bool) -> Played {
    if plan.mode == Mode::Trio {
        return crate::trio::play(plan, bug, tells);
    }
    let mut world = World::new(plan.clone(), bug, tells);
    world.play();
    let mut liquidations = 0;
    if world.broken.is_none() {
        match judge(&world) {
            Ok(seen) => liquidations = seen,
            Err(what) => world.breaks(what),
        }
    }
    Played {
        broken: world.broken,
        coverage: world.coverage,
        acknowledged: world.oracle.count(),
        lost: world.oracle.lost(),
        liquidations,
        struck: world.recent.len(),
        micros: world.now,
        story: world.story.unwrap_or_default(),
    }
}

/// Plays the history of a seed.
#[must_use]
pub fn play_seed(seed: u64, bug: Option<Bug>) -> Played {
    play(&Plan::of(seed), bug, false)
}

/// Reads everything that is left and holds it against what was acknowledged.
fn judge(world: &World) -> Result<u64, String> {
    let serving = world.processes.iter().enumerate().find_map(|(slot, one)| match &one.state {
        State::Serving(serving) => Some((slot, serving)),
        _ => None,
    });
    let (slot, serving) = serving.ok_or("nobody is primary in the end")?;
    let host = &world.hosts[world.host_of(slot)];
    let log = serving.primary.log();
    let base = log.base().position;
    let mut history: Vec<Batch> = Vec::new();
    for batch in world.sites.shipped().iter().take_while(|batch| batch.next() <= base) {
        history.push(batch.clone());
    }
    let reached = history.last().map_or(0, Batch::next);
    if reached != base || world.sites.confirmed() < base {
        return Err(format!(
            "positions {reached} to below {base} were trimmed, and nobody has them"
        ));
    }
    let mut read = || {
        let mut reader = Reader::follow(host.disk.clone(), log.dir(), base, log.watermark())?;
        while let Some(batch) = reader.next_batch()? {
            history.push(batch);
        }
        Ok::<(), JournalError>(())
    };
    match read() {
        Ok(()) => {}
        Err(_) if was_damaged(&world.plan) => {
            // Damage that nobody has read yet is not lost: the copies are compared instead.
            let from = history.last().map_or(0, Batch::next);
            let rest = world.sites.shipped().iter().skip_while(|one| one.first < from);
            history.extend(rest.cloned());
            let from = history.last().map_or(0, Batch::next);
            history.extend(frames(&host.disk, log.dir(), from, log.next()));
            if history.last().map_or(0, Batch::next) < log.next() {
                return Ok(0);
            }
        }
        Err(error) => return Err(format!("the journal is damaged in the end: {error}")),
    }
    let judged = world.oracle.judge(&history)?;
    if judged.digest != serving.primary.engine().output_digest() {
        return Err("a replay of the journal gives another output than the primary's".to_owned());
    }
    Ok(judged.liquidations)
}

fn was_damaged(plan: &Plan) -> bool {
    let damages = |fault| matches!(fault, Fault::BitFlip | Fault::Misdirected | Fault::LostWrite);
    plan.faults.iter().any(|one| damages(one.fault))
}
