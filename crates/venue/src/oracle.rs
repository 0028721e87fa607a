//! Prices from sources: readings, the median of the fresh ones, marks.

use crate::breakers::BreakerState;
use crate::ramp::Ramp;
use crate::settlement::Deliveries;
use crate::state::State;
use evenkeel_types::canonical_struct;
use evenkeel_types::oracle::{Price, Reading, Smile};
use evenkeel_types::terms::Underlying;
use evenkeel_types::{
    Event, Instrument, OutcomeKind, RejectCode, SourceId, Timestamp, UnderlyingId,
};
use std::collections::BTreeMap;

/// A price and the time for which it holds: the oldest of the readings behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quote {
    pub price: Price,
    pub time: Timestamp,
}
canonical_struct!(Quote { price, time });

/// A smile and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SmileQuote {
    pub smile: Smile,
    pub time: Timestamp,
}
canonical_struct!(SmileQuote { smile, time });

/// What one source said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceReadings {
    pub index: Option<Quote>,
    pub forwards: BTreeMap<Timestamp, Quote>,
    pub smiles: BTreeMap<Timestamp, SmileQuote>,
}
canonical_struct!(SourceReadings { index, forwards, smiles });

/// An underlying and its prices.
#[derive(Debug, Clone)]
pub(crate) struct UnderlyingState {
    pub terms: Underlying,
    pub sources: BTreeMap<SourceId, SourceReadings>,
    pub index: Option<Quote>,
    pub forwards: BTreeMap<Timestamp, Quote>,
    pub smiles: BTreeMap<Timestamp, SmileQuote>,
    /// Margin factor in basis points.
    pub factor: Ramp,
    pub breaker: BreakerState,
    pub deliveries: Deliveries,
}
canonical_struct!(UnderlyingState {
    terms,
    sources,
    index,
    forwards,
    smiles,
    factor,
    breaker,
    deliveries,
});

impl State {
    pub(crate) fn set_underlying(
        &mut self,
        _underlying: &Underlying,
        _events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn hear(
        &mut self,
        _source: SourceId,
        _underlying: UnderlyingId,
        _time: Timestamp,
        _reading: &Reading,
        _events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        Err(RejectCode::NeedsUpgrade)
    }
}

impl State {
    /// The underlying of an instrument: the one with its base and quote.
    pub(crate) fn underlying_of(&self, terms: &Instrument) -> Option<UnderlyingId> {
        let mut all = self.extension.underlyings.values().map(|it| &it.terms);
        all.find(|it| it.base == terms.base && it.quote == terms.quote).map(|it| it.id)
    }
}
