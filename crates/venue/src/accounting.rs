//! What a fill does to balances and positions.
//!
//! Buyer and seller get the same basis with opposite signs, rounded once. For each account
//! *balance − basis of futures* changes by exactly minus that basis, however the fill opens,
//! reduces or turns the position, so over all accounts it never changes: no rounding creates money.

use crate::margin;
use crate::state::{Account, Holding, InstrumentState, proven};
use evenkeel_types::money::mul_div;
use evenkeel_types::{Event, InstrumentKind, Lots, Money, Rounding, Side};

/// One account's side of a trade.
pub(crate) struct Fill {
    pub side: Side,
    /// Positive size.
    pub lots: Lots,
    /// [`evenkeel_types::instrument::Valuation::basis`] of the signed size.
    pub basis: Money,
    /// How the account's reserve on `side` changes with it.
    pub reserve_change: i128,
}

impl Holding {
    /// Applies a fill and returns the profit it realises.
    ///
    /// A reduction takes its share of the basis, rounded half to even; the rest stays, so the two
    /// always sum up. A fill through zero closes everything, then opens with what is left of its
    /// own basis.
    pub(crate) fn fill(&mut self, signed_lots: Lots, basis: Money) -> Money {
        let (held, change) = (self.lots.0, signed_lots.0);
        self.lots = Lots(held + change);
        if held == 0 || (held < 0) == (change < 0) {
            self.basis.0 += basis.0;
            return Money::ZERO;
        }
        let closing = held.abs().min(change.abs());
        let closed_basis = share(self.basis, closing, held.abs());
        let closing_basis = share(basis, closing, change.abs());
        let realised = Money(-closing_basis.0 - closed_basis.0);
        self.basis.0 += basis.0 - closing_basis.0 - closed_basis.0;
        self.realised.0 += realised.0;
        realised
    }
}

/// The share `part / whole` of an amount; `0 < part <= whole`, so it is no larger than the amount.
fn share(amount: Money, part: i64, whole: i64) -> Money {
    if part == whole {
        return amount;
    }
    Money(proven(mul_div(amount.0, part.into(), whole.into(), Rounding::HalfEven)))
}

/// Books a fill.
pub(crate) fn settle(
    account: &mut Account,
    instrument: &InstrumentState,
    fill: &Fill,
    events: &mut Vec<Event>,
) {
    let terms = &instrument.terms;
    let signed_lots = Lots(fill.lots.0 * fill.side.sign());
    let reserve_currency = margin::reserve_currency(terms, fill.side);
    if terms.kind == InstrumentKind::Spot {
        let coins = i128::from(signed_lots.0) * instrument.base_per_lot;
        for (currency, change) in [(terms.settlement, -fill.basis.0), (terms.base, coins)] {
            let is_reserve = currency == reserve_currency;
            let reserve_change = if is_reserve { fill.reserve_change } else { 0 };
            account.adjust(currency, change, reserve_change, events);
        }
        return;
    }
    let holding = account.holding_mut(terms.id);
    let realised = holding.fill(signed_lots, fill.basis);
    let holding = *holding;
    let change = match terms.kind {
        // The premium moves at once; what a position gained is only told.
        InstrumentKind::Option { .. } => -fill.basis.0,
        _ => realised.0,
    };
    account.adjust(terms.settlement, change, fill.reserve_change, events);
    events.push(Event::PositionChanged {
        account: account.id,
        instrument: terms.id,
        lots: holding.lots,
        basis: holding.basis,
        realised: holding.realised,
    });
}
