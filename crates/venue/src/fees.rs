//! Trading fees.
//!
//! | instrument | fee of a side |
//! |---|---|
//! | spot | none |
//! | future, perpetual | rate × value of the trade, in the settlement currency |
//! | option | rate × size × index (inverse: rate × size, in coin), at most `option_cap` × premium |
//!
//! Maker and taker have a rate each; a negative one is a rebate, whose size the cap bounds as well.
//! What is paid is rounded up, what is paid out is rounded down: in the venue's favour by less than
//! one smallest unit a side. The rates of the two add up to zero or more, so a rebate is always
//! paid by the other side's fee. Of what remains, `fund_share` goes to the insurance fund, the rest
//! to the collected fees. The fund pays no fees. An option's trade without an index (before the
//! first one of a term) pays the cap. An order of a liquidation pays no taker's fee: the
//! liquidation's own takes its place.

use crate::settlement::{Sizing, fine};
use crate::state::{InstrumentState, State};
use crate::trades::Deal;
use evenkeel_types::event::Booking;
use evenkeel_types::money::mul_div;
use evenkeel_types::terms::FeeTerms;
use evenkeel_types::{
    AccountId, Event, Instrument, InstrumentKind, Lots, Money, Rounding, Style, Ticks,
};

const MILLION: i128 = 1_000_000;
/// A price of one in fine units.
const FINE_ONE: i128 = 1_000_000_000_000_000_000;

/// What the two sides of a trade paid (negative: got), and what of it the insurance fund got.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Charged {
    pub maker: Money,
    pub taker: Money,
    pub fund: Money,
}

impl State {
    /// The fees on an instrument; `None` for spot, or without an underlying.
    fn fee_terms(&self, instrument: &InstrumentState) -> Option<FeeTerms> {
        if instrument.terms.kind == InstrumentKind::Spot {
            return None;
        }
        let underlying = instrument.extra.underlying?;
        Some(self.extension.underlyings.get(&underlying)?.terms.fees)
    }

    /// Fee of one side of a trade at a rate in millionths; negative: a rebate. At most the value of
    /// the trade.
    fn fee(
        &self,
        instrument: &InstrumentState,
        (price, lots): (Ticks, Lots),
        (rate, cap): (i32, u32),
    ) -> i128 {
        if rate == 0 {
            return 0;
        }
        // The value of an accepted order: it was checked to be at most 2^90.
        let value = instrument.valuation.value(price, lots).unwrap_or_default();
        let share = |amount, rate, rounding| mul_div(amount, rate, MILLION, rounding);
        let InstrumentKind::Option { .. } = instrument.terms.kind else {
            return share(value.0, rate.into(), Rounding::Ceiling).unwrap_or_default();
        };
        let cap = share(value.0, cap.into(), Rounding::Floor).unwrap_or_default();
        let fee = self.underlying_value(instrument, lots).and_then(|value| {
            let fee = share(value, rate.into(), Rounding::Ceiling);
            fee.ok()
        });
        // Without an index the cap stands for the fee, and nothing for a rebate.
        fee.unwrap_or(if rate > 0 { cap } else { 0 }).clamp(-cap, cap)
    }

    /// What the coins of an option's lots are worth, in its settlement currency.
    fn underlying_value(&self, instrument: &InstrumentState, lots: Lots) -> Option<i128> {
        let terms = &instrument.terms;
        let scale = self.currencies.get(&terms.settlement)?.terms.scale;
        let unit = match terms.style {
            Style::Inverse => (FINE_ONE, FINE_ONE),
            Style::Linear => {
                let index = self.index_price(instrument.extra.underlying?)?;
                (fine(index.price), FINE_ONE)
            }
        };
        Sizing::new(terms, scale)?.amount(lots.0, unit, Rounding::Ceiling)
    }

    /// Charges both sides of a trade.
    pub(crate) fn charge_fees(&mut self, deal: &Deal, events: &mut Vec<Event>) -> Charged {
        let instrument = self.instrument(deal.instrument);
        let Some(terms) = self.fee_terms(instrument) else {
            return Charged::default();
        };
        let (id, currency) = (instrument.terms.id, instrument.terms.settlement);
        let (maker_rate, taker_rate) = rates(&terms, &instrument.terms);
        let of = |account: u32, rate| {
            if self.account(account).id == AccountId::FUND {
                return 0;
            }
            self.fee(instrument, (deal.price, deal.lots), (rate, terms.option_cap))
        };
        let maker = of(deal.maker, maker_rate);
        let taker = if deal.is_liquidation { 0 } else { of(deal.taker, taker_rate) };
        // A rebate that no fee pays for is not paid.
        let maker = maker.max(-taker.max(0));
        let taker = taker.max(-maker.max(0));
        let reason = (Booking::TradingFee, Some(id));
        self.book(deal.maker, currency, -maker, reason, events);
        self.book(deal.taker, currency, -taker, reason, events);
        let collected = maker + taker;
        let fund = self.collect_fee(currency, collected, terms.fund_share, reason, events);
        Charged { maker: Money(maker), taker: Money(taker), fund: Money(fund) }
    }
}

/// Rates of maker and taker.
fn rates(fees: &FeeTerms, terms: &Instrument) -> (i32, i32) {
    match terms.kind {
        InstrumentKind::Option { .. } => (fees.option_maker, fees.option_taker),
        _ => (fees.future_maker, fees.future_taker),
    }
}
