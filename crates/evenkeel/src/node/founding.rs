//! Founding the demonstration's venue, and opening it again.
//!
//! Each founding command has a fixed sequence in one session of the operator, so a founding that a
//! crash cut short is sent again whole: what was applied before is recognised.

use evenkeel_recovery::{JournalClock, Primary, Request};
use evenkeel_types::{AccountId, ClientSequence, Origin, SessionId, Timestamp};
use evenkeel_venue::Engine;

use super::clock::SystemClock;
use super::market::OpenMarket;
use crate::config::Config;
use crate::demo::rulebook::{MARGIN_RULES, margin_commands};
use crate::demo::{MarketPlan, PriceModel, plan};
use crate::report::{Exit, Report, Result};

/// The operator's session for founding; 0 is the primary's own.
const SESSION: SessionId = SessionId(1);
/// Where the sequences of the commands that put margin into force begin in it.
const MARGIN_SEQUENCE: u64 = 1_000_000;

/// The market as it is or shall be.
pub(crate) struct Market {
    pub(crate) plan: MarketPlan,
    pub(crate) prices: PriceModel,
    /// Not every account of the plan exists yet.
    unfinished: bool,
    /// Rules that the configuration asks for.
    rules: u32,
}

/// The market of this configuration, continuing what the engine holds.
pub(crate) fn market(config: &Config, engine: &Engine, now: Timestamp) -> Market {
    let venue = &config.venue;
    if engine.account_count() < venue.accounts as usize {
        let plan = plan(venue.seed, venue.accounts, now);
        let prices = PriceModel::new(&plan, venue.seed);
        return Market { plan, prices, unfinished: true, rules: venue.rules };
    }
    let (plan, prices) = OpenMarket::of(engine).reopen(venue.seed, now);
    Market { plan, prices, unfinished: false, rules: venue.rules }
}

/// Founds the venue, or what of it is missing. Clients in this process are new ones each term:
/// with `ends_sessions` those of the term before are ended.
pub(crate) fn found(
    primary: &mut Primary,
    market: &Market,
    time: &mut JournalClock,
    clock: &SystemClock,
    batch_max: usize,
    ends_sessions: bool,
) -> Result<()> {
    let mut requests = Vec::new();
    if market.unfinished {
        let (mut venue, mut salt) = ([0; 16], [0; 32]);
        for secret in [venue.as_mut_slice(), salt.as_mut_slice()] {
            getrandom::fill(secret).map_err(|error| {
                Report::new(Exit::Failed, format!("the system gave no randomness: {error}"))
            })?;
        }
        let commands = market.plan.founding_commands(venue, salt);
        requests.extend(commands.into_iter().zip(1..).map(|(command, sequence)| {
            let account = AccountId::OPERATOR;
            let sequence = ClientSequence(sequence);
            Request { origin: Origin { account, session: SESSION, sequence }, command }
        }));
    }
    let engine = primary.engine();
    if engine.rules() < MARGIN_RULES && market.rules >= MARGIN_RULES {
        let commands = margin_commands(&market.plan);
        let commands = commands.map_err(|error| Report::new(Exit::Failed, error.to_string()))?;
        requests.extend(commands.into_iter().zip(MARGIN_SEQUENCE..).map(|(command, sequence)| {
            let account = AccountId::OPERATOR;
            let sequence = ClientSequence(sequence);
            Request { origin: Origin { account, session: SESSION, sequence }, command }
        }));
    }
    if ends_sessions {
        requests.extend(OpenMarket::of(engine).farewells());
    }
    while !requests.is_empty() {
        let rest = requests.split_off(requests.len().min(batch_max));
        primary.commit(time.now(clock), std::mem::replace(&mut requests, rest))?;
    }
    Ok(())
}
