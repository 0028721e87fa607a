//! Counts what histories went through, to tell that they were worth playing.

use evenkeel_types::event::WaterfallStep;
use evenkeel_types::{Event, OutcomeKind};
use std::collections::BTreeMap;

/// How often each kind of event was seen.
pub type Tally = BTreeMap<&'static str, u64>;

/// Counts the events of one entry.
pub fn count(tally: &mut Tally, events: &[Event]) {
    for event in events {
        if let Some(name) = name(event) {
            *tally.entry(name).or_default() += 1;
        }
    }
}

/// Adds one tally to another.
pub fn add(all: &mut Tally, more: Tally) {
    for (name, count) in more {
        *all.entry(name).or_default() += count;
    }
}

fn name(event: &Event) -> Option<&'static str> {
    let name = match event {
        Event::OrderAccepted { .. } => "orders",
        Event::Traded { .. } => "trades",
        Event::Liquidation { step, .. } => step_name(*step),
        Event::InstrumentSettled { .. } => "expiries and settlements",
        Event::FundingSet { .. } => "fundings",
        Event::ModeSetIn { .. } | Event::ModeChanged { .. } => "mode changes",
        Event::OrderTriggered { .. } => "triggers",
        Event::TradeBusted { .. } => "busts",
        Event::AuctionCrossed { .. } => "calls",
        Event::ProtectionHit { .. } => "protections",
        Event::WithdrawalChanged { .. } => "withdrawal steps",
        Event::GraceChanged { left_ms: 0, .. } => "graces ended",
        Event::GraceChanged { .. } => "graces",
        Event::Resumed { .. } => "resumes",
        Event::Completed { outcome } => match outcome.kind {
            OutcomeKind::Rejected { .. } => "refused",
            _ => "done",
        },
        _ => return None,
    };
    Some(name)
}

fn step_name(step: WaterfallStep) -> &'static str {
    match step {
        WaterfallStep::Began => "liquidations begun",
        WaterfallStep::Reduced => "liquidation rounds that traded",
        WaterfallStep::NoLiquidity => "liquidation rounds without an offer",
        WaterfallStep::TakenOver => "takeovers",
        WaterfallStep::Deleveraged => "deleveragings",
        WaterfallStep::Socialised => "losses shared",
        WaterfallStep::Recovered => "liquidations ended",
        WaterfallStep::WaitsForPrices => "liquidations that waited for prices",
        WaterfallStep::WaitsForGrace => "liquidations that waited for grace",
    }
}
