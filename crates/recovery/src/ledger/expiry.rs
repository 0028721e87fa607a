//! What an expiry pays, written again from the rules alone.

use super::{Ledger, Terms};
use evenkeel_types::money::{ArithmeticError, Rounding, mul_div, pow10};
use evenkeel_types::oracle::Price;
use evenkeel_types::{AccountId, InstrumentId, InstrumentKind, OptionRight, Style};

impl Ledger {
    /// Pays every position in an instrument at its delivery price and closes it.
    pub(super) fn settle(&mut self, id: InstrumentId, price: Price) -> Result<(), ArithmeticError> {
        let terms = self.terms.get(&id).ok_or(ArithmeticError)?;
        let settlement = terms.instrument.settlement;
        let is_option = matches!(terms.instrument.kind, InstrumentKind::Option { .. });
        let mut paid: Vec<(AccountId, i128)> = Vec::new();
        for ((account, held), holding) in &mut self.holdings {
            if *held != id || holding.lots == 0 {
                continue;
            }
            let worth = payoff(terms, holding.lots, price).ok_or(ArithmeticError)?;
            let gain = worth.checked_sub(holding.basis).ok_or(ArithmeticError)?;
            paid.push((*account, if is_option { worth } else { gain }));
            (holding.lots, holding.basis) = (0, 0);
            holding.realised = holding.realised.checked_add(gain).ok_or(ArithmeticError)?;
        }
        for (account, amount) in paid {
            self.pay(account, settlement, amount)?;
        }
        Ok(())
    }
}

/// What signed lots are worth at a delivery price, in the settlement currency's smallest unit,
/// rounded down: linear futures *size · S*, inverse ones *−size / S*; options *size* times what
/// they are in the money, inverse ones divided by S.
fn payoff(terms: &Terms, lots: i128, price: Price) -> Option<i128> {
    let instrument = &terms.instrument;
    let (lot, contract) = (instrument.lot, instrument.contract_size);
    let size = lots.checked_mul(lot.mantissa())?.checked_mul(contract.mantissa())?;
    let size_unit = power(u32::from(lot.scale()) + u32::from(contract.scale()))?;
    let money_unit = power(terms.settlement_scale.into())?;
    let is_inverse = instrument.style == Style::Inverse;
    // Prices with so many decimals that both the index and a strike have them.
    let decimals = match instrument.kind {
        InstrumentKind::Option { strike, .. } => strike.scale().max(Price::SCALE),
        _ => Price::SCALE,
    };
    let delivery = i128::from(price.0).checked_mul(power((decimals - Price::SCALE).into())?)?;
    let unit = power(decimals.into())?;
    let (top, bottom) = match (instrument.kind, is_inverse) {
        (InstrumentKind::Option { strike, right, .. }, _) => {
            let strike = strike.in_units(decimals)?;
            let inside = match right {
                OptionRight::Call => delivery - strike,
                OptionRight::Put => strike - delivery,
            };
            (inside.max(0), if is_inverse { delivery } else { unit })
        }
        (_, true) => (-unit, delivery),
        (_, false) => (delivery, unit),
    };
    let (top, bottom) = (top.checked_mul(money_unit)?, bottom.checked_mul(size_unit)?);
    mul_div(size, top, bottom, Rounding::Floor).ok()
}

fn power(exponent: u32) -> Option<i128> {
    pow10(exponent).ok()
}
