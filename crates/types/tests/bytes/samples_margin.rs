//! Samples of what the rules with margin add.

use crate::samples::limit_order;
use evenkeel_types::conditional::{
    OrderTerms, Protection, SelfTrade, Trigger, TriggerKind, TriggerPrice,
};
use evenkeel_types::event::{Booking, MarginFigures, Pools, WaterfallStep};
use evenkeel_types::flows::{DepositStep, FlowKey, FlowState, Permissions, WithdrawalStep};
use evenkeel_types::oracle::{OracleRule, Price, Reading, Smile, Volatility};
use evenkeel_types::regime::{BreakerTerms, Cause, GraceTerms, Scope};
use evenkeel_types::terms::{
    Delivery, FeeTerms, Haircut, LimitTerms, LossRule, MarginModel, PortfolioTerms,
    SettlementTerms, StandardTerms, Underlying, VenueTerms,
};
use evenkeel_types::{
    AccountId, ApiKeyId, Collateral, Command, CurrencyId, Event, InstrumentId, Lots, Mode, Money,
    OrderId, Position, SessionId, SourceId, Symbol, Ticks, Timestamp, TradeId, UnderlyingId,
};

const ACCOUNT: AccountId = AccountId(1_001);
const SKIPPED: Position = Position(1 << 40);
const BITCOIN: CurrencyId = CurrencyId(1);
const UNDERLYING: UnderlyingId = UnderlyingId(300);
const KEY: FlowKey = FlowKey([0x5a; 16]);
const TIME: Timestamp = Timestamp(1_800_000_000_000_000_000);
const INDEX: Price = Price(656_661_900_000_000);

fn terms() -> OrderTerms {
    let (kind, price) = (TriggerKind::TakeProfit, TriggerPrice::Index);
    OrderTerms {
        reduce_only: true,
        slide: false,
        self_trade: SelfTrade::CancelMaker,
        protected: true,
        protection_bp: Some(300),
        trigger: Some(Trigger { kind, price, level: 656_661_900_000_000 }),
    }
}

fn protection() -> Protection {
    Protection { interval_ms: 5_000, frozen_ms: 0, quantity_limit: 25_000_000, delta_limit: 300 }
}

fn permissions() -> Permissions {
    let valid_until = Some(TIME);
    Permissions { trade: true, cancel: true, transfer: false, withdraw: true, valid_until }
}

fn smile() -> Smile {
    Smile { points: [9, 8, 7, 6, 5, 6, 7, 8, 9].map(|tenth| Volatility(tenth * 100_000)) }
}

fn venue_terms() -> Box<VenueTerms> {
    Box::new(VenueTerms {
        numeraire: CurrencyId(2),
        haircuts: vec![Haircut { currency: BITCOIN, haircut: 100_000 }],
        liquidation_interval_ms: 1_000,
        liquidation_band_bp: 300,
        takeover_rounds: 5,
        loss_rule: LossRule::Socialise,
        max_step_ms: 60_000,
        grace: GraceTerms {
            grace_ms: 300_000,
            daily_cap_ms: 900_000,
            veto_quorum: 2,
            veto_ms: 600_000,
        },
        open_orders: 1_000,
        sweep_accounts: 8,
    })
}

fn standard() -> StandardTerms {
    StandardTerms {
        future_initial: 20_000,
        future_maintenance: 10_000,
        future_slope: 50,
        option_initial: 150_000,
        option_initial_floor: 100_000,
        option_maintenance: 75_000,
    }
}

fn portfolio() -> PortfolioTerms {
    PortfolioTerms {
        price_range: 160_000,
        volatility_range_up: 500_000,
        volatility_range_down: 250_000,
        short_term_vega_power: 300_000,
        long_term_vega_power: 130_000,
        min_volatility_for_shock_up: 500_000,
        buckets_count: 4,
        extended_table_factor: 1_000_000,
        extended_dampener: 100_000,
        max_delta_shock: 100_000,
        delta_total_liq_shock_threshold: 20_000_000,
        annualised_move_risk: 75_000,
        min_annualised_move: 10_000,
        pnl_offset: 0,
        max_offsetable_pnl: 0,
        maintenance_factor: 800_000,
    }
}

fn fees() -> FeeTerms {
    FeeTerms {
        future_maker: -100,
        future_taker: 500,
        option_maker: 300,
        option_taker: 300,
        option_cap: 125_000,
        option_delivery: 150,
        future_delivery: 250,
        liquidation: 5_000,
        fund_share: 100_000,
    }
}

fn underlying() -> Box<Underlying> {
    Box::new(Underlying {
        id: UNDERLYING,
        symbol: Symbol::new("BTC-USD").expect("a symbol"),
        base: BITCOIN,
        quote: CurrencyId(2),
        oracle: OracleRule {
            sources: vec![SourceId(1), SourceId(2), SourceId(300)],
            quorum: 2,
            fresh_ms: 5_000,
            disagreement_bp: 100,
            volatility_step: 20_000,
        },
        standard: standard(),
        portfolio: portfolio(),
        fees: fees(),
        limits: LimitTerms {
            price_band_bp: 500,
            fat_finger_bp: 2_000,
            order_micros: 500_000_000,
            position_micros: 0,
            open_orders: 200,
        },
        settlement: SettlementTerms {
            delivery: Delivery::Physical,
            window_ms: 1_800_000,
            sample_ms: 4_000,
            min_samples: 100,
            funding_interval_ms: 28_800_000,
            funding_damper: 250,
            funding_cap: 5_000,
        },
        breakers: BreakerTerms {
            volatility_level: 2_500_000,
            volatility_rise: 500_000,
            volatility_window_ms: 300_000,
            stale_ms: 2_000,
            band_hits: 50,
            band_window_ms: 10_000,
            negative_equity: Money(1_000_000_000),
            cooldown_ms: 60_000,
            step_ms: 30_000,
            auction_ms: 20_000,
        },
    })
}

pub fn commands() -> Vec<(&'static str, Command)> {
    let mut commands = client_commands();
    commands.extend(parameter_commands());
    commands.extend(oracle_commands());
    commands.extend(flow_commands());
    commands.extend(regime_commands());
    commands
}

fn client_commands() -> Vec<(&'static str, Command)> {
    let (currency, amount) = (BITCOIN, Money(150_000_000_000));
    let (underlying, order, key) = (UNDERLYING, limit_order(), ApiKeyId(77));
    let destination = [0xee; 32];
    vec![
        ("conditional", Command::PlaceWith { order, terms: terms() }),
        ("plain", Command::PlaceWith { order, terms: OrderTerms::default() }),
        ("", Command::ConnectKey { key, cancel_on_disconnect: true }),
        ("", Command::SetProtection { underlying, protection: protection() }),
        ("", Command::Transfer { to: ACCOUNT, currency, amount }),
        ("", Command::RequestWithdrawal { key: KEY, currency, amount, destination }),
        ("", Command::CancelWithdrawal { key: KEY }),
        ("", Command::SetKey { key, permissions: permissions() }),
    ]
}

fn parameter_commands() -> Vec<(&'static str, Command)> {
    let (account, main, collateral) = (AccountId(1_002), ACCOUNT, Collateral::Checked);
    vec![
        ("", Command::Upgrade { rules: 2 }),
        ("", Command::SetVenueTerms { terms: venue_terms() }),
        ("", Command::SetUnderlying { underlying: underlying() }),
        ("", Command::Tick),
        ("", Command::OpenSubAccount { account, main, collateral }),
        ("", Command::SetMarginModel { account, model: MarginModel::Portfolio }),
    ]
}

fn oracle_commands() -> Vec<(&'static str, Command)> {
    let (source, underlying, time, expiry) = (SourceId(300), UNDERLYING, TIME, TIME);
    let oracle = |reading| Command::Oracle { source, underlying, time, reading };
    vec![
        ("index", oracle(Reading::Index { price: INDEX })),
        ("forward", oracle(Reading::Forward { expiry, price: INDEX })),
        ("smile", oracle(Reading::Smile { expiry, smile: smile() })),
    ]
}

fn flow_commands() -> Vec<(&'static str, Command)> {
    let (account, key, currency, amount) = (ACCOUNT, KEY, BITCOIN, Money(5));
    let deposit = |step| Command::ReportDeposit { account, key, step };
    let advance = |step| Command::AdvanceWithdrawal { account, key, step };
    let reference = [0x11; 32];
    vec![
        ("seen", deposit(DepositStep::Seen { currency, amount })),
        ("final", deposit(DepositStep::Final)),
        ("dropped", deposit(DepositStep::Dropped)),
        ("approve", advance(WithdrawalStep::Approve)),
        ("send", advance(WithdrawalStep::Send { reference })),
        ("final", advance(WithdrawalStep::Final)),
        ("fail", advance(WithdrawalStep::Fail { cause: 300 })),
        ("", Command::SetChain { currency, stalled: true }),
        ("", Command::FundInsurance { currency, amount }),
        ("", Command::PayFees { currency, amount }),
    ]
}

fn regime_commands() -> Vec<(&'static str, Command)> {
    let (underlying, instrument) = (UNDERLYING, InstrumentId(2));
    let (ramp_ms, delay_ms, approver, code) = (60_000, 600_000, 3, 70_000);
    let mode = |scope, mode| Command::SetModeIn { scope, mode, code };
    let throttle = |orders_per_second| Command::SetThrottle { orders_per_second, ramp_ms };
    let skip = |instrument| Command::Skip { position: SKIPPED, entry: [0xab; 32], instrument };
    vec![
        ("venue", mode(Scope::Venue, Mode::ReduceOnly)),
        ("underlying", mode(Scope::Underlying { underlying }, Mode::WithdrawOnly)),
        ("instrument", mode(Scope::Instrument { instrument }, Mode::Auction)),
        ("account", mode(Scope::Account { account: ACCOUNT }, Mode::Halted)),
        ("", Command::BustTrade { trade: TradeId(300), code }),
        ("", Command::SetMarginFactor { underlying, factor_bp: 15_000, ramp_ms }),
        ("some", throttle(Some(50))),
        ("none", throttle(None)),
        ("", Command::Veto { approver, scope: Scope::Venue, delay_ms }),
        ("some", skip(Some(instrument))),
        ("none", skip(None)),
    ]
}

pub fn events() -> Vec<(&'static str, Event)> {
    let mut events = account_events();
    events.extend(regime_events());
    events.extend(price_events());
    events.extend(order_events());
    events.extend(money_events());
    events.extend(settlement_events());
    events
}

fn account_events() -> Vec<(&'static str, Event)> {
    let (account, main, collateral) = (AccountId(1_002), ACCOUNT, Collateral::Unlimited);
    let (underlying, key, session) = (UNDERLYING, ApiKeyId(77), SessionId(9));
    let model = MarginModel::Portfolio;
    vec![
        ("", Event::Upgraded { rules: 2 }),
        ("", Event::VenueTermsSet { terms: venue_terms() }),
        ("", Event::UnderlyingSet { underlying: self::underlying() }),
        ("", Event::SubAccountOpened { account, main, collateral }),
        ("", Event::MarginModelSet { account, model }),
        ("", Event::KeySet { account, key, permissions: permissions() }),
        ("", Event::SessionKeyed { account, session, key }),
        ("", Event::ProtectionSet { account, underlying, protection: protection() }),
        ("", Event::ProtectionHit { account, underlying, until: Some(TIME) }),
    ]
}

fn regime_events() -> Vec<(&'static str, Event)> {
    let (account, underlying, scope) = (ACCOUNT, UNDERLYING, Scope::Venue);
    let mode = |cause| Event::ModeSetIn { scope, mode: Mode::Auction, cause };
    let (from_bp, to_bp, from, until) = (10_000, 15_000, TIME, Timestamp(TIME.0 + 1));
    let (approver, orders_per_second, entry) = (3, Some(50), [0xab; 32]);
    vec![
        ("operator", mode(Cause::Operator { code: 70_000 })),
        ("resumed", mode(Cause::Resumed)),
        ("volatility_level", mode(Cause::VolatilityLevel)),
        ("volatility_rate", mode(Cause::VolatilityRate)),
        ("oracle_stale", mode(Cause::OracleStale)),
        ("oracle_disagrees", mode(Cause::OracleDisagrees)),
        ("price_band", mode(Cause::PriceBand)),
        ("negative_equity", mode(Cause::NegativeEquity)),
        ("conservation_broken", mode(Cause::ConservationBroken)),
        ("time_step", mode(Cause::TimeStep)),
        ("way_back", mode(Cause::WayBack)),
        ("skipped", mode(Cause::Skipped { position: SKIPPED })),
        ("", Event::VetoCounted { approver, scope, until: None }),
        ("", Event::GraceChanged { account, left_ms: 300_000 }),
        ("", Event::MarginFactorSet { underlying, from_bp, to_bp, from, until }),
        ("", Event::ThrottleSet { orders_per_second, from, until }),
        ("", Event::Skipped { entry }),
        ("", Event::SkipNoted { position: SKIPPED, entry, instrument: None }),
    ]
}

fn price_events() -> Vec<(&'static str, Event)> {
    let (underlying, price, time, expiry) = (UNDERLYING, INDEX, TIME, TIME);
    let value = Volatility(654_321);
    vec![
        ("", Event::IndexChanged { underlying, price, time }),
        ("", Event::ForwardChanged { underlying, expiry, price, time }),
        ("", Event::SmileChanged { underlying, expiry, smile: smile(), time }),
        ("", Event::VolatilityIndexChanged { underlying, value }),
    ]
}

fn order_events() -> Vec<(&'static str, Event)> {
    let (order, instrument) = (OrderId(300), InstrumentId(2));
    let (price, lots, imbalance) = (Some(Ticks(126)), Lots(10), Lots(-3));
    vec![
        ("", Event::OrderTermsSet { order, terms: terms() }),
        ("", Event::OrderArmed { order }),
        ("", Event::OrderTriggered { order, level: 157_059 }),
        ("", Event::OrderSlid { order, price: Ticks(127) }),
        ("", Event::TradeBusted { trade: TradeId(300), code: 70_000 }),
        ("", Event::AuctionShown { instrument, price, lots, imbalance }),
        ("", Event::AuctionCrossed { instrument, price: None, lots }),
    ]
}

fn money_events() -> Vec<(&'static str, Event)> {
    let (account, key, currency, amount) = (ACCOUNT, KEY, BITCOIN, Money(-150_000_000_000));
    let (why, instrument) = (Booking::Funding, Some(InstrumentId(2)));
    let pools = Pools { fees: Money(5), rounding: Money(-1), withdrawals: Money(70_000) };
    let (net_deposits, state) = (Money(1 << 70), FlowState::Queued);
    vec![
        ("", Event::Booked { account, currency, amount, why, instrument }),
        ("", Event::PoolsChanged { currency, pools }),
        ("", Event::NetDepositsChanged { currency, net_deposits }),
        ("", Event::DepositChanged { account, key, currency, amount, state }),
        ("", Event::WithdrawalChanged { account, key, currency, amount, state }),
        ("", Event::ChainChanged { currency, stalled: true }),
    ]
}

fn settlement_events() -> Vec<(&'static str, Event)> {
    let (underlying, expiry, price) = (UNDERLYING, TIME, INDEX);
    let (account, instrument, lots) = (ACCOUNT, InstrumentId(2), Lots(-10));
    let figures = MarginFigures { above_maintenance: Money(-7), above_initial: Money(-9) };
    let (round, step, count) = (3, WaterfallStep::Reduced, 450);
    vec![
        (
            "",
            Event::Liquidation {
                account,
                round,
                step,
                instrument: Some(instrument),
                lots,
                price: Some(Ticks(126)),
                figures,
            },
        ),
        ("", Event::DeliverySampled { underlying, expiry, price, count }),
        ("", Event::DeliveryPriced { underlying, expiry, price, samples: count }),
        ("", Event::DeliveryWaits { underlying, expiry, samples: 0 }),
        ("", Event::InstrumentSettled { instrument, price }),
        ("", Event::FundingSet { instrument, rate: -100_000_000, until: TIME }),
        (
            "",
            Event::PositionMoved {
                account,
                counterparty: AccountId::FUND,
                instrument,
                lots,
                basis: Money(-126),
            },
        ),
    ]
}
