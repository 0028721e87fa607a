//! API keys: each permission against each command, binding, validity, limits.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{BTC, BTC_USD, COIN, MarginDesk, PERPETUAL, SECOND, new_order};
use common::outcome;
use evenkeel_types::conditional::{OrderTerms, Protection};
use evenkeel_types::flows::{FlowKey, Permissions};
use evenkeel_types::{
    AccountId, ApiKeyId, Collateral, Command, Event, MassCancelScope, Money, OrderId, OutcomeKind,
    RejectCode, SessionId, Side, Timestamp,
};
use evenkeel_venue::{MAX_KEYS, MAX_SESSIONS};

const KEY: ApiKeyId = ApiKeyId(7);
const TRADER: u64 = 3;
/// The owner's own session, in which [`MarginDesk::send`] sends.
const KEYED: u64 = 2;

const NOTHING: Permissions = Permissions {
    trade: false,
    cancel: false,
    transfer: false,
    withdraw: false,
    valid_until: None,
};

fn set_key(key: ApiKeyId, permissions: Permissions) -> Command {
    Command::SetKey { key, permissions }
}

fn connect(key: ApiKeyId) -> Command {
    Command::ConnectKey { key, cancel_on_disconnect: false }
}

/// A desk on which the trader's session 2 has a key with these permissions.
fn desk(permissions: Permissions) -> MarginDesk {
    let mut desk = MarginDesk::open();
    let (account, main) = (AccountId(31), AccountId(TRADER));
    desk.operator(Command::OpenSubAccount { account, main, collateral: Collateral::Checked });
    desk.deposit(TRADER, BTC, COIN);
    desk.accept(TRADER, set_key(KEY, permissions));
    assert_eq!(send(&mut desk, connect(KEY)), None);
    desk
}

/// Sends in the keyed session; why it was refused, if it was.
fn send(desk: &mut MarginDesk, command: Command) -> Option<RejectCode> {
    match outcome(&desk.send_in(TRADER, KEYED, command)).kind {
        OutcomeKind::Rejected { code } => Some(code),
        _ => None,
    }
}

fn is_permitted(desk: &mut MarginDesk, command: Command) -> bool {
    !matches!(send(desk, command), Some(RejectCode::NoPermission | RejectCode::UnknownKey))
}

/// Every client's command, with what a key needs for it.
fn commands() -> Vec<(Command, &'static str)> {
    let order = new_order(PERPETUAL, Side::Buy, 118_000, 1);
    let (key, amount) = (FlowKey([1; 16]), Money(1));
    let protection = Protection { interval_ms: 1, frozen_ms: 1, quantity_limit: 1, delta_limit: 1 };
    vec![
        (Command::Place { order }, "trade"),
        (Command::PlaceWith { order, terms: OrderTerms::default() }, "trade"),
        (Command::Amend { order: OrderId(1), price: None, lots: None }, "trade"),
        (Command::SetProtection { underlying: BTC_USD, protection }, "trade"),
        (Command::Cancel { order: OrderId(1) }, "cancel"),
        (Command::MassCancel { account: None, scope: MassCancelScope::All }, "cancel"),
        (Command::Transfer { to: AccountId(31), currency: BTC, amount }, "transfer"),
        (
            Command::RequestWithdrawal { key, currency: BTC, amount, destination: [1; 32] },
            "withdraw",
        ),
        (Command::CancelWithdrawal { key }, "withdraw"),
        (connect(KEY), "key"),
        (Command::Disconnect, "nothing"),
        (Command::Connect { cancel_on_disconnect: true }, "owner"),
        (set_key(ApiKeyId(8), Permissions { trade: true, ..NOTHING }), "owner"),
        (connect(ApiKeyId(8)), "owner"),
    ]
}

#[test]
fn a_key_may_do_what_it_was_given_and_nothing_else() {
    let single = [
        ("trade", Permissions { trade: true, ..NOTHING }),
        ("cancel", Permissions { cancel: true, ..NOTHING }),
        ("transfer", Permissions { transfer: true, ..NOTHING }),
        ("withdraw", Permissions { withdraw: true, ..NOTHING }),
    ];
    for (name, permissions) in single {
        for (command, needs) in commands() {
            let mut desk = desk(permissions);
            let is_expected = needs == name || needs == "key" || needs == "nothing";
            assert_eq!(
                is_permitted(&mut desk, command.clone()),
                is_expected,
                "{name}: {command:?}"
            );
        }
    }
}

#[test]
fn after_its_time_a_key_only_cancels_and_disconnects() {
    for (command, needs) in commands() {
        let mut desk = MarginDesk::open();
        let until = Timestamp(desk.time.0 + SECOND);
        let all =
            Permissions { trade: true, cancel: true, transfer: true, withdraw: true, ..NOTHING };
        desk.accept(TRADER, set_key(KEY, Permissions { valid_until: Some(until), ..all }));
        assert_eq!(send(&mut desk, connect(KEY)), None);
        let mut later = desk.fork();
        let at_once = is_permitted(&mut later, command.clone());
        assert_eq!(at_once, needs != "owner", "{command:?}");
        later.wait(SECOND);
        let afterwards = is_permitted(&mut later, command.clone());
        assert_eq!(afterwards, needs == "cancel" || needs == "nothing", "{command:?}");
    }
}

#[test]
fn a_session_without_a_key_may_do_everything() {
    for (command, _) in commands() {
        let mut desk = desk(Permissions { trade: true, ..NOTHING });
        let events = desk.send(TRADER, command.clone());
        let no_permission = OutcomeKind::Rejected { code: RejectCode::NoPermission };
        assert_ne!(outcome(&events).kind, no_permission, "{command:?}");
    }
}

#[test]
fn a_key_that_was_taken_away_leaves_its_sessions_able_to_disconnect_only() {
    for (command, needs) in commands() {
        let mut desk = desk(Permissions { trade: true, cancel: true, ..NOTHING });
        desk.accept(TRADER, set_key(KEY, NOTHING));
        let refused = send(&mut desk, command.clone());
        let expected = (needs != "nothing").then_some(RejectCode::UnknownKey);
        assert_eq!(refused, expected, "{command:?}");
    }
    let mut desk = desk(Permissions { trade: true, ..NOTHING });
    assert_eq!(desk.refuse(TRADER, set_key(ApiKeyId(8), NOTHING)), RejectCode::UnknownKey);
    assert_eq!(desk.refuse(TRADER, connect(ApiKeyId(8))), RejectCode::UnknownKey);
}

#[test]
fn permissions_that_change_hold_at_once_in_open_sessions() {
    let mut desk = desk(Permissions { trade: true, ..NOTHING });
    let order = new_order(PERPETUAL, Side::Buy, 118_000, 1);
    assert_eq!(send(&mut desk, Command::Place { order }), None);
    let events = desk.accept(TRADER, set_key(KEY, Permissions { cancel: true, ..NOTHING }));
    let told = Event::KeySet {
        account: AccountId(TRADER),
        key: KEY,
        permissions: Permissions { cancel: true, ..NOTHING },
    };
    assert!(events.contains(&told));
    assert_eq!(send(&mut desk, Command::Place { order }), Some(RejectCode::NoPermission));
    let all = Command::MassCancel { account: None, scope: MassCancelScope::All };
    assert_eq!(send(&mut desk, all), None);
}

#[test]
fn neither_the_operator_nor_another_account_has_an_accounts_keys() {
    let mut desk = desk(Permissions { trade: true, ..NOTHING });
    let trade = Permissions { trade: true, ..NOTHING };
    assert_eq!(desk.refuse(0, set_key(KEY, trade)), RejectCode::UnknownAccount);
    assert_eq!(desk.refuse(0, connect(KEY)), RejectCode::UnknownAccount);
    assert_eq!(desk.refuse(4, connect(KEY)), RejectCode::UnknownKey);
    assert_eq!(desk.refuse(u64::MAX, set_key(KEY, trade)), RejectCode::FundOnly);
    // The sub-account's keys are its own.
    assert_eq!(desk.refuse(31, connect(KEY)), RejectCode::UnknownKey);
}

#[test]
fn an_account_has_a_limited_number_of_keys() {
    let mut desk = MarginDesk::open();
    let trade = Permissions { trade: true, ..NOTHING };
    let limit = u64::try_from(MAX_KEYS).expect("small");
    for key in 0..limit {
        desk.accept(TRADER, set_key(ApiKeyId(key), trade));
    }
    assert_eq!(desk.refuse(TRADER, set_key(ApiKeyId(limit), trade)), RejectCode::LimitReached);
    desk.accept(TRADER, set_key(ApiKeyId(3), Permissions { cancel: true, ..NOTHING }));
    desk.accept(TRADER, set_key(ApiKeyId(4), NOTHING));
    desk.accept(TRADER, set_key(ApiKeyId(limit), trade));
}

#[test]
fn a_session_that_makes_room_for_another_loses_its_key_with_its_place() {
    let mut desk = desk(Permissions { trade: true, ..NOTHING });
    desk.send_in(TRADER, KEYED, Command::Disconnect);
    let sessions = u64::try_from(MAX_SESSIONS).expect("small");
    desk.accept(TRADER, Command::Connect { cancel_on_disconnect: false });
    for session in 3..=sessions + 1 {
        desk.send_in(TRADER, session, Command::Connect { cancel_on_disconnect: false });
    }
    let of_trader = |desk: &MarginDesk| {
        let sessions = desk.engine.sessions().filter(|it| it.account == AccountId(TRADER));
        sessions.map(|it| it.session).collect::<Vec<_>>()
    };
    assert!(!of_trader(&desk).contains(&SessionId(KEYED)));
    assert_eq!(desk.restored().state_root(), desk.engine.state_root());
    // Its id is not taken again: nobody becomes the owner by coming back.
    let order = new_order(PERPETUAL, Side::Buy, 118_000, 1);
    let events = desk.send_in(TRADER, KEYED, Command::Place { order });
    assert!(matches!(events.last(), Some(Event::TooOld { .. })), "{events:?}");
}

#[test]
fn keys_and_bindings_survive_a_snapshot() {
    let mut desk = desk(Permissions { cancel: true, ..NOTHING });
    desk.engine = desk.restored();
    let order = new_order(PERPETUAL, Side::Buy, 118_000, 1);
    assert_eq!(send(&mut desk, Command::Place { order }), Some(RejectCode::NoPermission));
    let all = Command::MassCancel { account: None, scope: MassCancelScope::All };
    assert_eq!(send(&mut desk, all), None);
}
