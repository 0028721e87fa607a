//! The leaves that rules 2 add, written and read.

use crate::extension::{AccountExtra, CurrencyExtra, Extension, InstrumentExtra, MARGIN_RULES};
use crate::flow_checks::check_flows;
use crate::leaf::LeafKey;
use crate::oracle::UnderlyingState;
use crate::own_orders::OwnOrders;
use crate::restore::{ensure, expect_key};
use crate::snapshot::SnapshotError;
use crate::state::{OPERATOR_SLOT, State};
use crate::underlyings::check_underlying;
use evenkeel_types::terms::VenueTerms;
use evenkeel_types::{Canonical, Reader, Timestamp, UnderlyingId, Writer};

impl State {
    /// Writes one of the leaves of rules 2; `None` if there is no such leaf.
    pub(crate) fn write_extended_leaf(&self, key: LeafKey, writer: &mut Writer) -> Option<()> {
        if !self.has_margin() {
            return None;
        }
        match key {
            LeafKey::Extension => write_extension(&self.extension, writer),
            LeafKey::Underlying { underlying } => {
                self.extension.underlyings.get(&underlying)?.encode(writer);
            }
            LeafKey::Pools { currency } => self.currencies.get(&currency)?.extra.encode(writer),
            LeafKey::Delivery { instrument } => {
                let slot = self.instrument_slots.get(&instrument)?;
                write_instrument_extra(&self.instrument(*slot).extra, writer);
            }
            LeafKey::Margin { account } => {
                let slot = self.account_slots.get(&account).filter(|it| **it != OPERATOR_SLOT)?;
                write_account_extra(&self.account(*slot).extra, writer);
            }
            _ => return None,
        }
        Some(())
    }
}

fn write_extension(extension: &Extension, writer: &mut Writer) {
    let Extension {
        rules,
        last_time,
        terms,
        // Leaves of their own.
        underlyings,
        flows,
        regime,
        triggers,
        trades,
        liquidations,
        throttle,
        sweep,
        // Derived from prices and instruments.
        prices: _,
        // Derived from the accounts' records.
        sweep_order: _,
        // Derived from instruments, underlyings and time.
        schedule: _,
    } = extension;
    rules.encode(writer);
    last_time.encode(writer);
    terms.encode(writer);
    writer.u64(underlyings.len() as u64);
    flows.encode(writer);
    regime.encode(writer);
    triggers.encode(writer);
    trades.encode(writer);
    liquidations.encode(writer);
    throttle.encode(writer);
    sweep.encode(writer);
}

fn write_instrument_extra(extra: &InstrumentExtra, writer: &mut Writer) {
    let InstrumentExtra {
        // Derived from the terms and the underlyings.
        underlying: _,
        delivered,
        funding,
        // Derived from prices.
        leg: _,
        band_hits,
        band_window_from,
    } = extra;
    delivered.encode(writer);
    funding.encode(writer);
    band_hits.encode(writer);
    band_window_from.encode(writer);
}

fn write_account_extra(extra: &AccountExtra, writer: &mut Writer) {
    let AccountExtra {
        main,
        model,
        keys,
        protections,
        record,
        grace,
        liquidation,
        sent,
        // Derived from the orders.
        own: _,
        // Derived from positions and prices.
        cache: _,
    } = extra;
    main.encode(writer);
    model.encode(writer);
    keys.encode(writer);
    protections.encode(writer);
    record.encode(writer);
    grace.encode(writer);
    liquidation.encode(writer);
    sent.encode(writer);
}

/// Reads the leaves of rules 2.
pub(crate) fn read_extended(
    reader: &mut Reader<'_>,
    state: &mut State,
) -> Result<(), SnapshotError> {
    expect_key(reader, LeafKey::Extension)?;
    let rules: u32 = Canonical::decode(reader)?;
    ensure(reader, rules == MARGIN_RULES, "rules that this program does not know")?;
    state.extension.last_time = Timestamp::decode(reader)?;
    let terms: Option<VenueTerms> = Canonical::decode(reader)?;
    let is_sound = terms.as_ref().is_none_or(|terms| state.check_venue_terms(terms).is_ok());
    ensure(reader, is_sound, "the venue's parameters are out of bounds")?;
    state.extension.terms = terms;
    let underlying_count = reader.count()?;
    state.extension.flows = Canonical::decode(reader)?;
    state.extension.regime = Canonical::decode(reader)?;
    state.extension.triggers = Canonical::decode(reader)?;
    state.extension.trades = Canonical::decode(reader)?;
    state.extension.liquidations = Canonical::decode(reader)?;
    state.extension.throttle = Canonical::decode(reader)?;
    state.extension.sweep = Canonical::decode(reader)?;
    for _ in 0..underlying_count {
        read_underlying(reader, state)?;
    }
    let currencies: Vec<_> = state.currencies.keys().copied().collect();
    for currency in currencies {
        expect_key(reader, LeafKey::Pools { currency })?;
        let extra = CurrencyExtra::decode(reader)?;
        if let Some(known) = state.currencies.get_mut(&currency) {
            known.extra = extra;
        }
    }
    let instruments: Vec<_> = state.instrument_slots.clone().into_iter().collect();
    for (instrument, slot) in instruments {
        expect_key(reader, LeafKey::Delivery { instrument })?;
        state.instruments[slot as usize].extra = InstrumentExtra {
            underlying: None,
            delivered: Canonical::decode(reader)?,
            funding: Canonical::decode(reader)?,
            leg: None,
            band_hits: Canonical::decode(reader)?,
            band_window_from: Canonical::decode(reader)?,
        };
        state.link_instrument(slot);
    }
    let accounts: Vec<_> = state.account_slots.clone().into_iter().collect();
    for (account, slot) in accounts.into_iter().filter(|(_, slot)| *slot != OPERATOR_SLOT) {
        expect_key(reader, LeafKey::Margin { account })?;
        state.account_mut(slot).extra = read_account_extra(reader)?;
    }
    state.relist_all();
    check_flows(reader, state)
}

fn read_underlying(reader: &mut Reader<'_>, state: &mut State) -> Result<(), SnapshotError> {
    let key = LeafKey::decode(reader)?;
    let underlying = UnderlyingState::decode(reader)?;
    let id: UnderlyingId = underlying.terms.id;
    let last = state.extension.underlyings.last_key_value().map(|(last, _)| *last);
    let ascends =
        key == LeafKey::Underlying { underlying: id } && last.is_none_or(|last| last < id);
    ensure(reader, ascends, "an underlying is out of order")?;
    check_underlying(reader, state, &underlying)?;
    state.extension.underlyings.insert(id, underlying);
    state.forget_values(id);
    Ok(())
}

fn read_account_extra(reader: &mut Reader<'_>) -> Result<AccountExtra, SnapshotError> {
    Ok(AccountExtra {
        main: Canonical::decode(reader)?,
        model: Canonical::decode(reader)?,
        keys: Canonical::decode(reader)?,
        protections: Canonical::decode(reader)?,
        record: Canonical::decode(reader)?,
        grace: Canonical::decode(reader)?,
        liquidation: Canonical::decode(reader)?,
        sent: Canonical::decode(reader)?,
        cache: crate::risk::cache::RiskCache::default(),
        own: OwnOrders::default(),
    })
}
