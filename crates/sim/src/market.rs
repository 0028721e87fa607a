//! Histories with margin: terms with bounds of milliseconds, a price that walks and falls, and what
//! its sources say. Which liquidations were right is judged from the journal alone.

use std::collections::BTreeMap;

use evenkeel_recovery::Request;
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::oracle::{Price, Reading};
use evenkeel_types::terms::{Haircut, Underlying, VenueTerms};
use evenkeel_types::{
    AccountId, ClientSequence, Command, CurrencyId, Entry, Event, Money, Origin, OutcomeKind,
    SessionId, SourceId, Symbol, Timestamp, UnderlyingId,
};

use crate::plan::Micros;
use crate::random::Random;
use crate::workload::START;

/// The price that everything hangs on.
const UNDERLYING: UnderlyingId = UnderlyingId(1);
/// Who tells it.
const SOURCES: [SourceId; 3] = [SourceId(1), SourceId(2), SourceId(3)];
/// As many of them make a price.
const QUORUM: usize = 2;
/// A price older than this liquidates nobody.
const FRESH_MS: u64 = 25;
/// The price moves once in so long.
const STEP: Micros = 4_000;
/// Ticks of half a dollar at the beginning.
pub const FIRST: u64 = 120_000;

/// What founds margin, behind the currencies and before the instruments.
#[must_use]
pub fn terms(base: CurrencyId, quote: CurrencyId) -> Vec<Command> {
    let haircuts = vec![Haircut { currency: base, haircut: 100_000 }];
    let mut terms = VenueTerms::usual(quote, haircuts);
    (terms.liquidation_interval_ms, terms.takeover_rounds, terms.max_step_ms) = (4, 3, 0);
    (terms.grace.grace_ms, terms.grace.daily_cap_ms) = (10, 100);
    let mut commands =
        vec![Command::Upgrade { rules: 2 }, Command::SetVenueTerms { terms: Box::new(terms) }];
    if let Ok(symbol) = Symbol::new("BTC-USD") {
        let mut usual = Underlying::usual(UNDERLYING, symbol, (base, quote), SOURCES.to_vec());
        (usual.oracle.fresh_ms, usual.oracle.disagreement_bp) = (FRESH_MS, 10_000);
        usual.breakers.stale_ms = 0;
        usual.breakers.negative_equity = Money(1 << 60);
        (usual.breakers.cooldown_ms, usual.breakers.step_ms) = (4, 2);
        usual.breakers.auction_ms = 4;
        commands.push(Command::SetUnderlying { underlying: Box::new(usual) });
    }
    commands
}

/// The price in ticks at a time, by a history's seed.
#[must_use]
pub fn price(seed: u64, now: Micros) -> u64 {
    let mut random = Random::new(seed ^ 0x000f_a115);
    let mut price = FIRST;
    for _ in 0..now / STEP {
        // Half a percent either way; now and then a fall, or a rise.
        let moved = random.below(price / 100 + 1) + price - price / 200;
        price = match random.below(24) {
            0 => price - price / 12,
            1 => price + price / 12,
            _ => moved,
        };
        price = price.clamp(FIRST / 2, FIRST * 2);
    }
    price
}

/// What the sources say at a time; which of them are silent the seed decides.
#[must_use]
pub fn readings(seed: u64, now: Micros) -> Vec<Request> {
    let mut random = Random::new(seed ^ now);
    let price = i64::try_from(price(seed, now)).unwrap_or(1).saturating_mul(Price::ONE / 2);
    let mut commands = vec![Command::Tick];
    for source in SOURCES {
        if random.one_in(6) {
            continue;
        }
        let late = random.below(6_000).min(now);
        let time = Timestamp(START.0 + (now - late) * 1_000);
        let reading = Reading::Index { price: Price(price) };
        commands.push(Command::Oracle { source, underlying: UNDERLYING, time, reading });
    }
    let request = |(index, command)| {
        let sequence = ClientSequence(now * 8 + index);
        let origin = Origin { account: AccountId::OPERATOR, session: SessionId(2), sequence };
        Request { origin, command }
    };
    (0..).zip(commands).map(request).collect()
}

/// Holds every liquidation of a journal against what the sources had said by then.
#[derive(Debug, Default)]
pub struct Watch {
    /// When each source saw what it last told in this term.
    told: BTreeMap<SourceId, Timestamp>,
    /// Steps of liquidations that moved something.
    pub liquidations: u64,
}

impl Watch {
    /// Follows one entry.
    ///
    /// # Errors
    /// A liquidation on prices that were too old.
    pub fn follow(&mut self, entry: &Entry, events: &[Event]) -> Result<(), String> {
        use WaterfallStep::{Began, Deleveraged, Reduced, Socialised, TakenOver};
        for event in events {
            let Event::Liquidation { account, step, .. } = event else { continue };
            if !matches!(step, Began | Reduced | TakenOver | Deleveraged | Socialised) {
                continue;
            }
            self.liquidations += 1;
            let bound_ns = FRESH_MS * 1_000_000;
            let is_fresh = |time: &&Timestamp| time.0.saturating_add(bound_ns) >= entry.time.0;
            let fresh = self.told.values().filter(is_fresh).count();
            if fresh < QUORUM {
                return Err(format!(
                    "{account} was liquidated ({step:?}) with {fresh} fresh prices: {entry:?}"
                ));
            }
        }
        self.hear(entry, events);
        Ok(())
    }

    /// Liquidations come before the command: its reading is no excuse for them.
    fn hear(&mut self, entry: &Entry, events: &[Event]) {
        if events.iter().any(|event| matches!(event, Event::Resumed { .. })) {
            self.told.clear();
        }
        let counted = matches!(events.last(), Some(Event::Completed { outcome })
            if !matches!(outcome.kind, OutcomeKind::Rejected { .. }));
        if let (true, Command::Oracle { source, time, .. }) = (counted, &entry.command) {
            self.told.insert(*source, *time);
        }
    }
}
