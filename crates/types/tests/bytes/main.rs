//! The released bytes of every command, event and value, in `tests/golden/*.hex`.
//!
//! A line is a name and the bytes in hexadecimal; the name begins with the variant's. Lines are
//! kept for ever: journals hold these bytes. A new variant does not compile until it is named in
//! `variants!`, and its test fails until a line shows its bytes.

mod samples;
mod samples_margin;

use evenkeel_types::conditional::{SelfTrade, TriggerKind, TriggerPrice};
use evenkeel_types::event::{Booking, WaterfallStep};
use evenkeel_types::flows::FlowState;
use evenkeel_types::merkle::leaf_hash;
use evenkeel_types::terms::{Delivery, LossRule, MarginModel};
use evenkeel_types::{
    Canonical, CloseReason, Collateral, Command, Entry, Event, InstrumentKind, MassCancelScope,
    Mode, OptionRight, OutcomeKind, RejectCode, Side, Style, TimeInForce,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// The names of an enumeration's variants, and the name of a value's. The match has no wildcard.
macro_rules! variants {
    ($($type:ident, $names:ident, $name_of:ident: { $($variant:ident),* $(,)? })*) => {$(
        const $names: &[&str] = &[$(stringify!($variant)),*];
        fn $name_of(value: &$type) -> &'static str {
            match value {
                $($type::$variant { .. } => stringify!($variant),)*
            }
        }
    )*};
}
variants! {
    Command, COMMANDS, command_name: {
        Place, Cancel, Amend, MassCancel, Connect, Disconnect, PlaceWith, ConnectKey,
        SetProtection, Transfer, RequestWithdrawal, CancelWithdrawal, SetKey, Found, Resume,
        DefineCurrency, DefineInstrument, OpenAccount, Deposit, Withdraw, SetMark, SetMode,
        Upgrade, SetVenueTerms, SetUnderlying, Oracle, Tick, OpenSubAccount, SetMarginModel,
        ReportDeposit, AdvanceWithdrawal, SetChain, FundInsurance, PayFees, SetModeIn, BustTrade,
        SetMarginFactor, SetThrottle, Veto, Skip,
    }
    Event, EVENTS, event_name: {
        Completed, Repeated, TooOld, Founded, Resumed, CurrencyDefined, InstrumentDefined,
        AccountOpened, ModeChanged, MarkChanged, SessionChanged, OrderAccepted, Traded,
        OrderRested, OrderAmended, OrderClosed, BalanceChanged, PositionChanged, Deposited,
        Withdrawn, Upgraded, VenueTermsSet, UnderlyingSet, SubAccountOpened, MarginModelSet,
        KeySet, SessionKeyed, ProtectionSet, ProtectionHit, ModeSetIn, VetoCounted, GraceChanged,
        MarginFactorSet, ThrottleSet, Skipped, SkipNoted, IndexChanged, ForwardChanged,
        SmileChanged,
        VolatilityIndexChanged, OrderTermsSet, OrderArmed, OrderTriggered, OrderSlid, TradeBusted,
        AuctionShown, AuctionCrossed, Booked, PoolsChanged, NetDepositsChanged, DepositChanged,
        WithdrawalChanged, ChainChanged, Liquidation, DeliverySampled, DeliveryPriced,
        DeliveryWaits, InstrumentSettled, FundingSet, PositionMoved,
    }
    MassCancelScope, SCOPES, scope_name: { All, Instrument, Session, Currency, Label }
    InstrumentKind, KINDS, kind_name: { Spot, Perpetual, Future, Option }
    OutcomeKind, OUTCOMES, outcome_name: { Done, Order, Rejected }
}

/// As `variants!`, for enumerations without fields, whose values can be listed as well.
macro_rules! plain {
    ($($type:ident, $all:ident: { $($variant:ident),* $(,)? })*) => {$(
        fn $all() -> Vec<(String, Vec<u8>)> {
            let all = [$($type::$variant),*];
            let name = |value: &$type| match value {
                $($type::$variant => concat!(stringify!($type), ".", stringify!($variant)),)*
            };
            all.iter().map(|value| (name(value).to_owned(), value.to_bytes())).collect()
        }
    )*};
}
plain! {
    Side, sides: { Buy, Sell }
    TimeInForce, times_in_force: { GoodTillCancel, ImmediateOrCancel, FillOrKill }
    Collateral, collaterals: { Checked, Unlimited }
    Mode, modes: { Normal, Auction, ReduceOnly, CancelOnly, WithdrawOnly, Halted }
    Style, styles: { Linear, Inverse }
    OptionRight, rights: { Call, Put }
    CloseReason, close_reasons: {
        Filled, Cancelled, MassCancelled, Disconnected, Unfilled, SelfTrade, Protection,
        ReduceOnly, Liquidation, Expired, Refused, Mode,
    }
    SelfTrade, self_trades: { Allow, CancelTaker, CancelMaker, CancelBoth }
    TriggerPrice, trigger_prices: { Mark, Index }
    TriggerKind, trigger_kinds: { Stop, TakeProfit }
    FlowState, flow_states: { Pending, Requested, Approved, Queued, Sent, Final, Failed }
    MarginModel, margin_models: { Standard, Portfolio }
    Delivery, deliveries: { Cash, Physical }
    LossRule, loss_rules: { AutoDeleverage, Socialise }
    Booking, bookings: {
        TradingFee, DeliveryFee, LiquidationFee, Funding, Settlement, Insurance, SocialisedLoss,
        Transfer, Withdrawal, Bust, FeesPaid, Delivery,
    }
    WaterfallStep, waterfall_steps: {
        Began, Reduced, NoLiquidity, TakenOver, Deleveraged, Socialised, Recovered,
        WaitsForPrices, WaitsForGrace,
    }
    RejectCode, reject_codes: {
        NotFounded, AlreadyFounded, NotOperator, UnknownAccount, AccountExists, UnknownCurrency,
        CurrencyExists, UnknownInstrument, InstrumentExists, BadTerms, UnknownOrder, NotYourOrder,
        PriceOutOfRange, SizeOutOfRange, ValueTooLarge, MarketMayNotRest, WouldTrade, CannotFill,
        InsufficientBalance, AmountNotPositive, CancelOnly, Halted, Expired, StaleTerm,
        PositionTooLarge, NothingToAmend, LimitReached, NeedsUpgrade, BadRules, UnknownUnderlying,
        UnderlyingExists, UnknownSource, StaleReading, BadReading, NotReducing, ReduceOnly,
        WithdrawOnly, PriceBand, FatFinger, NoMark, InsufficientMargin, SelfTrade, Frozen,
        BadTrigger, Throttled, InLiquidation, InGrace, NotSameOwner, NoPermission, UnknownKey,
        UnknownFlow, FlowConflict, WrongStep, ChainStalled, UnknownTrade, OutOfBounds, WrongMode,
        Cooling, VetoUsed, PricesNotFresh, NotInAuction, SizeLimit, FundOnly, MarkedByOracle,
        Skipped, NotSkipped,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let pairs = digits.map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

/// Name and bytes of each line of a golden file; empty lines and `#` are passed over.
fn golden(text: &str) -> BTreeMap<String, Vec<u8>> {
    let mut lines = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, hex) = line.split_once(' ').expect("a name, a space, hexadecimal digits");
        let earlier = lines.insert(name.to_owned(), bytes_of(hex));
        assert_eq!(earlier, None, "two lines are named {name}");
    }
    lines
}

/// Every sample has its line and every line its sample, byte by byte.
fn compare(text: &str, samples: &[(String, Vec<u8>)]) {
    let mut lines = golden(text);
    let mut missing = Vec::new();
    for (name, bytes) in samples {
        match lines.remove(name) {
            Some(released) => assert_eq!(hex(bytes), hex(&released), "{name} is encoded anew"),
            None => missing.push(format!("{name} {}", hex(bytes))),
        }
    }
    assert!(missing.is_empty(), "add to the golden file:\n{}", missing.join("\n"));
    let left: Vec<_> = lines.keys().collect();
    assert!(left.is_empty(), "lines that no sample stands for: {left:?}");
}

/// The released bytes decode to the sample, and each variant has a line.
fn compare_values<T: Canonical + PartialEq + Debug>(
    text: &str,
    samples: &[(&'static str, T)],
    variants: &[&str],
    name_of: impl Fn(&T) -> &'static str,
) {
    let named = |(detail, value): &(&str, T)| match *detail {
        "" => name_of(value).to_owned(),
        detail => format!("{}.{detail}", name_of(value)),
    };
    let encoded = |sample: &(&str, T)| (named(sample), sample.1.to_bytes());
    compare(text, &samples.iter().map(encoded).collect::<Vec<_>>());
    let lines = golden(text);
    let covered: BTreeSet<_> =
        lines.keys().map(|name| name.split('.').next().unwrap_or(name).to_owned()).collect();
    for variant in variants {
        assert!(covered.contains(*variant), "no golden line shows {variant}");
    }
    for sample in samples {
        if let Some(released) = lines.get(&named(sample)) {
            assert_eq!(T::from_bytes(released).as_ref(), Ok(&sample.1));
        }
    }
}

#[test]
fn commands_keep_their_released_bytes() {
    let text = include_str!("../golden/command.hex");
    compare_values(text, &samples::commands(), COMMANDS, command_name);
}

#[test]
fn events_keep_their_released_bytes() {
    let text = include_str!("../golden/event.hex");
    compare_values(text, &samples::events(), EVENTS, event_name);
}

#[test]
fn entries_keep_their_released_bytes() {
    let text = include_str!("../golden/entry.hex");
    let name_of = |entry: &Entry| command_name(&entry.command);
    compare_values(text, &samples::entries(), COMMANDS, name_of);
}

#[test]
fn entry_hashes_keep_their_released_bytes() {
    let hashes: Vec<_> = samples::entries()
        .into_iter()
        .map(|(_, entry)| {
            let name = command_name(&entry.command).to_owned();
            (name, leaf_hash(&entry.to_bytes()).to_vec())
        })
        .collect();
    compare(include_str!("../golden/entry_hash.hex"), &hashes);
}

#[test]
fn scopes_kinds_and_outcomes_keep_their_released_bytes() {
    let text = include_str!("../golden/scope.hex");
    compare_values(text, &samples::scopes(), SCOPES, scope_name);
    let text = include_str!("../golden/kind.hex");
    compare_values(text, &samples::kinds(), KINDS, kind_name);
    let text = include_str!("../golden/outcome.hex");
    compare_values(text, &samples::outcomes(), OUTCOMES, outcome_name);
}

#[test]
fn plain_enumerations_keep_their_released_tags() {
    let all = [
        sides(),
        times_in_force(),
        collaterals(),
        modes(),
        styles(),
        rights(),
        close_reasons(),
        reject_codes(),
        self_trades(),
        trigger_prices(),
        trigger_kinds(),
        flow_states(),
        margin_models(),
        deliveries(),
        loss_rules(),
        bookings(),
        waterfall_steps(),
    ];
    compare(include_str!("../golden/tag.hex"), &all.concat());
}

#[test]
fn plain_values_keep_their_released_bytes() {
    compare(include_str!("../golden/value.hex"), &samples::values());
}

/// No tag that a decoder takes is missing from the lists above.
#[test]
fn every_tag_that_decodes_has_a_golden_line() {
    fn known<T: Canonical>() -> usize {
        (0..=u8::MAX).filter(|tag| T::from_bytes(&[*tag]).is_ok()).count()
    }
    assert_eq!(known::<RejectCode>(), reject_codes().len());
    assert_eq!(known::<CloseReason>(), close_reasons().len());
    assert_eq!(known::<Mode>(), modes().len());
    assert_eq!(known::<TimeInForce>(), times_in_force().len());
    assert_eq!(known::<Side>(), sides().len());
    assert_eq!(known::<Collateral>(), collaterals().len());
    assert_eq!(known::<Style>(), styles().len());
    assert_eq!(known::<OptionRight>(), rights().len());
    assert_eq!(known::<SelfTrade>(), self_trades().len());
    assert_eq!(known::<TriggerPrice>(), trigger_prices().len());
    assert_eq!(known::<TriggerKind>(), trigger_kinds().len());
    assert_eq!(known::<FlowState>(), flow_states().len());
    assert_eq!(known::<MarginModel>(), margin_models().len());
    assert_eq!(known::<Delivery>(), deliveries().len());
    assert_eq!(known::<LossRule>(), loss_rules().len());
    assert_eq!(known::<Booking>(), bookings().len());
    assert_eq!(known::<WaterfallStep>(), waterfall_steps().len());
}

#[test]
fn every_refusal_has_a_sentence_of_its_own() {
    let codes = (0..=u8::MAX).filter_map(|tag| RejectCode::from_bytes(&[tag]).ok());
    let sentences: BTreeSet<_> = codes.map(RejectCode::sentence).collect();
    assert_eq!(sentences.len(), reject_codes().len());
}
