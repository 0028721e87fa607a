//! Delivery prices and expiry.
//!
//! **Delivery price.** The index that holds is sampled at equal steps (`sample_ms`) through the
//! window before the expiry; the delivery price is the mean of the samples, rounded half to even.
//! A step at which the index is older than `fresh_ms`, or void since a new term, gives no sample:
//! no stale price ever counts. What a sample was is settled by the journal: the index of the last
//! entry before its time, whenever the next entry comes.
//!
//! **Gaps.** With at least `min_samples` the mean of those there are is the price. With fewer, the
//! expiry waits (`DeliveryWaits`, once) and sampling goes on at the same steps after the expiry
//! until `min_samples` are there: the window moves, the number of samples does not shrink. So when
//! an outage spans the expiry (Deribit, 27 August 2020), nobody is settled at the last price before
//! it, nor at the single first one after it, which whoever chooses the moment of the restart could
//! choose.
//!
//! **Once.** A settled instrument carries its delivery price and is never looked at again.
//! Everything that expires at one time on one underlying settles within one entry, the first at or
//! after the expiry, or at or after one of the steps behind it, at which the index is fresh, and
//! everybody at the same price; several expiries settle in their order. A clock that
//! runs ahead settles nothing: its index is stale. The work is one pass over all positions, an
//! expiry; it is not spread over entries, because nobody may see a venue in which one holder is
//! settled and another is not.
//!
//! | instrument | a position of *size* is paid, rounded down |
//! |---|---|
//! | future, linear | size · S − basis |
//! | future, inverse | −size / S − basis, in coin |
//! | option, linear | size · max(0, S − K) (call), size · max(0, K − S) (put) |
//! | option, inverse | the same divided by S, in coin |
//!
//! A short position has negative size, so it pays, rounded up. What that leaves over goes to the
//! pool of roundings. Delivery fees: a share of the position's value; for options of the underlying
//! value, at most `option_cap` of the payoff. The insurance fund pays none.

use crate::booking::MAX_BOOKED;
use crate::margin::has_headroom;
use crate::oracle::Quote;
use crate::schedule::{Grid, nanoseconds};
use crate::state::{Holding, OPERATOR_SLOT, State};
use evenkeel_types::event::Booking;
use evenkeel_types::money::{div, mul_div, pow10};
use evenkeel_types::oracle::Price;
use evenkeel_types::terms::FeeTerms;
use evenkeel_types::{
    AccountId, CloseReason, CurrencyId, Event, Instrument, InstrumentId, InstrumentKind, Lots,
    Money, OptionRight, Rounding, Style, Timestamp, UnderlyingId, canonical_struct,
};
use std::collections::BTreeMap;

/// Samples toward the delivery price of an expiry.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Samples {
    pub count: u32,
    /// Sum of the sampled prices.
    pub sum: i128,
    /// Whether it was told that the expiry waits.
    pub is_waiting: bool,
}
canonical_struct!(Samples { count, sum, is_waiting });

/// Expiries of an underlying that are being sampled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deliveries {
    pub open: BTreeMap<Timestamp, Samples>,
}
canonical_struct!(Deliveries { open });

/// Whether an instrument is settled, and at which price.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delivered {
    pub price: Option<Price>,
}
canonical_struct!(Delivered { price });

/// Decimals with which prices and strikes are compared.
const FINE_SCALE: u8 = 18;
/// One, with [`FINE_SCALE`] decimals.
const FINE_ONE: i128 = 1_000_000_000_000_000_000;
/// Fine units of a [`Price`] unit.
const FINE_PER_PRICE: i128 = 100_000_000;
const MILLION: i128 = 1_000_000;

/// A price in fine units: at most `5·10^26`.
pub(crate) fn fine(price: Price) -> i128 {
    i128::from(price.0) * FINE_PER_PRICE
}

/// What a position's lots are worth when each unit of its size is worth a fraction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizing {
    /// Smallest settlement units per lot at a price of one, as a fraction.
    numerator: i128,
    denominator: i128,
}

impl Sizing {
    /// `None` if the terms' scales leave 128 bits.
    pub fn new(terms: &Instrument, settlement_scale: u8) -> Option<Self> {
        let size = terms.lot.mantissa().checked_mul(terms.contract_size.mantissa())?;
        let decimals = u32::from(terms.lot.scale()) + u32::from(terms.contract_size.scale());
        let scale = u32::from(settlement_scale);
        Some(if scale >= decimals {
            let numerator = size.checked_mul(pow10(scale - decimals).ok()?)?;
            Self { numerator, denominator: 1 }
        } else {
            Self { numerator: size, denominator: pow10(decimals - scale).ok()? }
        })
    }

    /// `lots · top / bottom` in the settlement currency's smallest unit; at most [`MAX_BOOKED`].
    pub fn amount(
        &self,
        lots: i64,
        (top, bottom): (i128, i128),
        rounding: Rounding,
    ) -> Option<i128> {
        let lots = self.numerator.checked_mul(lots.into())?;
        let amount = mul_div(lots, top, self.denominator.checked_mul(bottom)?, rounding).ok()?;
        (amount.unsigned_abs() <= MAX_BOOKED.unsigned_abs()).then_some(amount)
    }
}

/// What the coins of a position are worth at a price, in the settlement currency's smallest unit,
/// rounded up; `None` beyond [`MAX_BOOKED`].
pub(crate) fn underlying_value(
    terms: &Instrument,
    settlement_scale: u8,
    lots: i64,
    price: Price,
) -> Option<i128> {
    let unit = match terms.style {
        Style::Inverse => (1, 1),
        Style::Linear => (fine(price), FINE_ONE),
    };
    Sizing::new(terms, settlement_scale)?.amount(lots.checked_abs()?, unit, Rounding::Ceiling)
}

/// How an instrument settles at a price: what a unit of size is worth.
struct Payoff {
    sizing: Sizing,
    /// What a unit of long size gets, as a fraction.
    unit: (i128, i128),
    /// What a unit of size is worth for the fee.
    fee_unit: (i128, i128),
    is_option: bool,
}

/// What one holder gets.
struct Payout {
    slot: u32,
    /// What was held.
    lots: i64,
    /// Balance change before fees.
    paid: i128,
    /// Added to the realised profit.
    realised: i128,
    fee: i128,
    /// What the venue's rounding pool gains.
    left_over: i128,
}

impl Payoff {
    fn new(terms: &Instrument, scale: u8, price: Price) -> Option<Self> {
        let (sizing, index) = (Sizing::new(terms, scale)?, fine(price));
        let is_inverse = terms.style == Style::Inverse;
        let (unit, fee_unit, is_option) = match terms.kind {
            InstrumentKind::Option { strike, right, .. } => {
                let strike = strike.in_units(FINE_SCALE)?;
                let gain = match right {
                    OptionRight::Call => index.checked_sub(strike)?.max(0),
                    OptionRight::Put => strike.checked_sub(index)?.max(0),
                };
                let bottom = if is_inverse { index } else { FINE_ONE };
                ((gain, bottom), (index, bottom), true)
            }
            _ if is_inverse => ((-FINE_ONE, index), (FINE_ONE, index), false),
            _ => ((index, FINE_ONE), (index, FINE_ONE), false),
        };
        Some(Self { sizing, unit, fee_unit, is_option })
    }

    /// `None` if the amounts are beyond what an account can hold.
    fn payout(&self, slot: u32, holding: &Holding, fees: Option<&FeeTerms>) -> Option<Payout> {
        let lots = holding.lots.0;
        let worth = self.sizing.amount(lots, self.unit, Rounding::Floor)?;
        let gain = worth.checked_sub(holding.basis.0)?;
        // The premium of an option has moved already; a future pays the difference.
        let paid = if self.is_option { worth } else { gain };
        let fee = fees.map_or(Some(0), |fees| self.fee(lots, worth, fees))?;
        let limit = MAX_BOOKED.unsigned_abs();
        let fits = paid.unsigned_abs() <= limit
            && gain.unsigned_abs() <= limit
            && has_headroom(holding.realised);
        fits.then_some(Payout { slot, lots, paid, realised: gain, fee, left_over: -worth })
    }

    fn fee(&self, lots: i64, worth: i128, fees: &FeeTerms) -> Option<i128> {
        let base = self.sizing.amount(lots.checked_abs()?, self.fee_unit, Rounding::Ceiling)?;
        let share = |amount: i128, rate: u32, rounding| {
            mul_div(amount, rate.into(), MILLION, rounding).ok()
        };
        if !self.is_option {
            return share(base, fees.future_delivery, Rounding::Ceiling);
        }
        let fee = share(base, fees.option_delivery, Rounding::Ceiling)?;
        Some(fee.min(share(worth.abs(), fees.option_cap, Rounding::Floor)?))
    }
}

/// An instrument that settles, with what each holder gets.
struct Settling {
    slot: u32,
    currency: CurrencyId,
    payouts: Vec<Payout>,
}

impl State {
    /// Samples an expiry, and settles it if it is due. Returns when to look again.
    pub(crate) fn pass_expiry(
        &mut self,
        expiry: Timestamp,
        underlying: UnderlyingId,
        events: &mut Vec<Event>,
    ) -> Timestamp {
        let (now, last_time) = (self.meta.time, self.extension.last_time);
        let Some(known) = self.extension.underlyings.get_mut(&underlying) else {
            return Timestamp(u64::MAX);
        };
        let terms = &known.terms.settlement;
        let opens = Timestamp(expiry.0.saturating_sub(nanoseconds(terms.window_ms)));
        if now < opens {
            return opens;
        }
        let grid = Grid::new(opens, terms);
        let fresh = nanoseconds(known.terms.oracle.fresh_ms);
        let samples = known.deliveries.open.entry(expiry).or_default();
        let needed = terms.min_samples.max(1);
        if let Some(index) = known.index {
            let taken = samples.take(&grid, (last_time, now, expiry), needed, (index, fresh));
            if taken {
                let (price, count) = (index.price, samples.count);
                events.push(Event::DeliverySampled { underlying, expiry, price, count });
            }
        }
        if now < expiry {
            return grid.next_after(now).min(expiry);
        }
        // An engine restored from a snapshot looks again at its first entry, and so does one whose
        // instruments changed: a look between two steps must decide nothing.
        if last_time >= expiry && grid.count_between(last_time, now) == 0 {
            return grid.next_after(now);
        }
        let is_fresh = known.index.is_some_and(|index| now.0 <= index.time.0.saturating_add(fresh));
        let samples = *samples;
        if samples.count >= needed
            && is_fresh
            && self.settle_expiry(expiry, underlying, &samples, events)
        {
            return Timestamp(u64::MAX);
        }
        if !samples.is_waiting {
            self.tell_waiting(expiry, underlying, events);
        }
        grid.next_after(now)
    }

    fn tell_waiting(
        &mut self,
        expiry: Timestamp,
        underlying: UnderlyingId,
        events: &mut Vec<Event>,
    ) {
        let known = self.extension.underlyings.get_mut(&underlying);
        if let Some(samples) = known.and_then(|it| it.deliveries.open.get_mut(&expiry)) {
            samples.is_waiting = true;
            let samples = samples.count;
            events.push(Event::DeliveryWaits { underlying, expiry, samples });
        }
    }

    /// Settles everything of an expiry; false, with nothing changed, if an amount is beyond what
    /// an account can hold.
    fn settle_expiry(
        &mut self,
        expiry: Timestamp,
        underlying: UnderlyingId,
        samples: &Samples,
        events: &mut Vec<Event>,
    ) -> bool {
        let mean = div(samples.sum, samples.count.into(), Rounding::HalfEven);
        let Some(price) = mean.ok().and_then(|mean| i64::try_from(mean).ok()).map(Price) else {
            return false;
        };
        let Some(all) = self.prepare_settlement(expiry, underlying, price) else {
            return false;
        };
        let samples = samples.count;
        events.push(Event::DeliveryPriced { underlying, expiry, price, samples });
        for settling in &all {
            self.settle_instrument(underlying, settling, price, events);
        }
        if let Some(known) = self.extension.underlyings.get_mut(&underlying) {
            known.deliveries.open.remove(&expiry);
        }
        self.extension.schedule.expiries.remove(&(expiry, underlying));
        true
    }

    /// What everybody gets, by instrument and account; `None` if any of it is out of range.
    fn prepare_settlement(
        &self,
        expiry: Timestamp,
        underlying: UnderlyingId,
        price: Price,
    ) -> Option<Vec<Settling>> {
        let mut settling = Vec::new();
        let mut payoffs: BTreeMap<InstrumentId, (usize, Payoff)> = BTreeMap::new();
        for (id, slot) in &self.instrument_slots {
            let known = self.instrument(*slot);
            let is_due = known.terms.expiry() == Some(expiry)
                && known.extra.delivered.price.is_none()
                && self.underlying_of(&known.terms) == Some(underlying);
            if !is_due {
                continue;
            }
            let currency = known.terms.settlement;
            let scale = self.currencies.get(&currency)?.terms.scale;
            let payoff = Payoff::new(&known.terms, scale, price)?;
            payoffs.insert(*id, (settling.len(), payoff));
            settling.push(Settling { slot: *slot, currency, payouts: Vec::new() });
        }
        let fees = &self.extension.underlyings.get(&underlying)?.terms.fees;
        for slot in self.account_slots.values().filter(|slot| **slot != OPERATOR_SLOT) {
            let owner = self.account(*slot);
            let fees = (owner.id != AccountId::FUND).then_some(fees);
            for holding in owner.holdings.iter().filter(|it| it.lots != Lots::ZERO) {
                if let Some((at, payoff)) = payoffs.get(&holding.instrument) {
                    settling[*at].payouts.push(payoff.payout(*slot, holding, fees)?);
                }
            }
        }
        settling.iter().all(|it| self.can_settle(it)).then_some(settling)
    }

    fn can_settle(&self, settling: &Settling) -> bool {
        let currency = settling.currency;
        let fees = settling.payouts.iter().try_fold(0i128, |sum, it| sum.checked_add(it.fee));
        let mut all = settling.payouts.iter();
        all.all(|it| self.can_book(it.slot, currency, it.paid))
            && self.can_pool(currency)
            && self
                .fund()
                .is_none_or(|fund| fees.is_some_and(|fees| self.can_book(fund, currency, fees)))
    }

    fn settle_instrument(
        &mut self,
        underlying: UnderlyingId,
        settling: &Settling,
        price: Price,
        events: &mut Vec<Event>,
    ) {
        let (slot, currency) = (settling.slot, settling.currency);
        let instrument = self.instrument(slot).terms.id;
        self.close_orders_in(slot, CloseReason::Expired, events);
        let (mut left_over, mut fees) = (0, 0);
        for payout in &settling.payouts {
            self.pay_out(instrument, currency, payout, events);
            // At most 2^24 holders of at most 2^100 units.
            left_over += payout.left_over;
            fees += payout.fee;
        }
        self.round_into_pool(currency, left_over, events);
        let held: Vec<_> = settling.payouts.iter().map(|it| (it.slot, it.lots)).collect();
        self.deliver_coins(underlying, slot, (price, &held), events);
        let share = self.extension.underlyings.get(&underlying);
        let share = share.map_or(0, |it| it.terms.fees.fund_share);
        let reason = (Booking::DeliveryFee, Some(instrument));
        self.collect_fee(currency, fees, share, reason, events);
        self.instruments[slot as usize].extra.delivered.price = Some(price);
        events.push(Event::InstrumentSettled { instrument, price });
        self.sweep_again();
    }

    fn pay_out(
        &mut self,
        instrument: InstrumentId,
        currency: CurrencyId,
        payout: &Payout,
        events: &mut Vec<Event>,
    ) {
        let owner = self.account_mut(payout.slot);
        let account = owner.id;
        let holding = owner.holding_mut(instrument);
        (holding.lots, holding.basis) = (Lots::ZERO, Money::ZERO);
        holding.realised.0 += payout.realised;
        let realised = holding.realised;
        let reason = (Booking::Settlement, Some(instrument));
        self.book(payout.slot, currency, payout.paid, reason, events);
        let (lots, basis) = (Lots::ZERO, Money::ZERO);
        events.push(Event::PositionChanged { account, instrument, lots, basis, realised });
        let reason = (Booking::DeliveryFee, Some(instrument));
        self.book(payout.slot, currency, -payout.fee, reason, events);
        let owner = self.account(payout.slot);
        // Who owes after it may hold nothing any more that a price could move.
        if owner.balance(currency).balance < Money::ZERO && account != AccountId::FUND {
            self.summon(payout.slot);
        }
    }

    /// Closes every order in a book, best price first, oldest first, buys before sells; then the
    /// conditional ones.
    pub(crate) fn close_orders_in(
        &mut self,
        instrument: u32,
        reason: CloseReason,
        events: &mut Vec<Event>,
    ) {
        let book = &self.instrument(instrument).book;
        let mut slots: Vec<u32> = book.bids.slots(&self.orders).collect();
        slots.extend(book.asks.slots(&self.orders));
        for slot in slots {
            self.close(slot, reason, events);
        }
        let id = self.instrument(instrument).terms.id;
        self.close_armed_in(id, reason, events);
    }
}

impl Samples {
    /// Takes the samples that became due since the last entry; false if there are none.
    ///
    /// The index did not change since then, so it is what held at each of those steps; it counts
    /// for those at which it was still fresh. Behind the expiry only what is missing is taken.
    fn take(
        &mut self,
        grid: &Grid,
        (last_time, now, expiry): (Timestamp, Timestamp, Timestamp),
        needed: u32,
        (index, fresh): (Quote, u64),
    ) -> bool {
        let until = now.0.min(index.time.0.saturating_add(fresh));
        let within = grid.count_between(last_time, Timestamp(until.min(expiry.0)));
        let behind = grid.count_between(last_time.max(expiry), Timestamp(until));
        let room = u64::from(u32::MAX - self.count);
        let within = within.min(room);
        let missing = u64::from(needed).saturating_sub(u64::from(self.count) + within);
        let taken = within + behind.min(missing);
        // At most `room`: what is missing is missing to a number of 32 bits.
        self.count += u32::try_from(taken).unwrap_or(0);
        self.sum += i128::from(taken) * i128::from(index.price.0);
        taken > 0
    }
}
