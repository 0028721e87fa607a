//! A failing history made small, and told.

use crate::bugs::Bug;
use crate::history::{Played, play};
use crate::plan::Plan;

/// Leaves out faults and commands as long as the history still fails.
#[must_use]
pub fn shrink(plan: &Plan, bug: Option<Bug>) -> Plan {
    let fails = |plan: &Plan| play(plan, bug, false).broken.is_some();
    let mut small = plan.clone();
    loop {
        let before = small.clone();
        for index in (0..small.faults.len()).rev() {
            let mut without = small.clone();
            without.faults.remove(index);
            if fails(&without) {
                small = without;
            }
        }
        let mut shorter = small.clone();
        shorter.commands = shorter.commands * 2 / 3;
        if shorter.commands > 8 && fails(&shorter) {
            small = shorter;
        }
        if small == before {
            return small;
        }
    }
}

/// The story of a history, as text.
#[must_use]
pub fn story(plan: &Plan, bug: Option<Bug>) -> String {
    let Played { story, broken, .. } = play(plan, bug, true);
    let (seed, mode, commands) = (plan.seed, plan.mode.name(), plan.commands);
    let mut text = format!("seed {seed}, {mode}, {commands} commands\n");
    for fault in &plan.faults {
        text.push_str(&format!("planned: {:?} {:?}\n", fault.when, fault.fault));
    }
    for line in story {
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str(&broken.unwrap_or_else(|| "everything holds".to_owned()));
    text
}
