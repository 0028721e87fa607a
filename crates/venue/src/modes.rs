//! What each mode admits: the mode × command table, as one function that code, documentation and
//! tests share.

use crate::state::State;
use evenkeel_types::regime::Scope;
use evenkeel_types::{Command, Mode, RejectCode};

/// Kinds of clients' commands, as modes tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Place and amend; which orders a mode takes is decided by the order.
    Order,
    /// Cancel, mass cancel, market-maker protection.
    Cancel,
    /// Between accounts of one owner.
    Transfer,
    /// Ask for a withdrawal, or take it back.
    Withdrawal,
    /// Sessions and keys.
    Session,
    /// A session's end: always taken.
    Disconnect,
}

/// What a mode says to a kind of command.
pub(crate) fn admits(mode: Mode, kind: Kind) -> Result<(), RejectCode> {
    let (admitted, refused) = match mode {
        Mode::Normal | Mode::Auction | Mode::ReduceOnly => return Ok(()),
        Mode::CancelOnly => (kind != Kind::Order, RejectCode::CancelOnly),
        Mode::WithdrawOnly => (
            matches!(kind, Kind::Withdrawal | Kind::Session | Kind::Disconnect),
            RejectCode::WithdrawOnly,
        ),
        Mode::Halted => (kind == Kind::Disconnect, RejectCode::Halted),
    };
    if admitted { Ok(()) } else { Err(refused) }
}

/// A client's command's kind; `None` for the operator's.
pub(crate) fn kind_of(command: &Command) -> Option<Kind> {
    Some(match command {
        Command::Place { .. } | Command::PlaceWith { .. } | Command::Amend { .. } => Kind::Order,
        Command::Cancel { .. } | Command::MassCancel { .. } | Command::SetProtection { .. } => {
            Kind::Cancel
        }
        Command::Transfer { .. } => Kind::Transfer,
        Command::RequestWithdrawal { .. } | Command::CancelWithdrawal { .. } => Kind::Withdrawal,
        Command::Connect { .. } | Command::ConnectKey { .. } | Command::SetKey { .. } => {
            Kind::Session
        }
        Command::Disconnect => Kind::Disconnect,
        _ => return None,
    })
}

impl State {
    /// Whether the modes of the venue and the account admit a client's command. An order meets the
    /// modes of its instrument and underlying where it is accepted; cancels are not held up by
    /// those, for they only lower risk.
    pub(crate) fn check_regime(&self, account: u32, command: &Command) -> Result<(), RejectCode> {
        let Some(kind) = kind_of(command) else {
            return Ok(());
        };
        let owner = self.account(account);
        if owner.extra.grace.left_ms > 0 && matches!(kind, Kind::Transfer | Kind::Withdrawal) {
            return Err(RejectCode::InGrace);
        }
        let own = self.mode_in(Scope::Account { account: owner.id });
        admits(self.meta.mode.max(own), kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_documented_one() {
        let kinds = [
            Kind::Order,
            Kind::Cancel,
            Kind::Transfer,
            Kind::Withdrawal,
            Kind::Session,
            Kind::Disconnect,
        ];
        let table = [
            (Mode::Normal, "yes yes yes yes yes yes"),
            (Mode::Auction, "yes yes yes yes yes yes"),
            (Mode::ReduceOnly, "yes yes yes yes yes yes"),
            (Mode::CancelOnly, "no yes yes yes yes yes"),
            (Mode::WithdrawOnly, "no no no yes yes yes"),
            (Mode::Halted, "no no no no no yes"),
        ];
        for (mode, row) in table {
            let ours = kinds.map(|kind| if admits(mode, kind).is_ok() { "yes" } else { "no" });
            assert_eq!(ours.join(" "), row, "{mode:?}");
        }
    }

    #[test]
    fn a_stricter_mode_never_admits_more() {
        let modes = [
            Mode::Normal,
            Mode::Auction,
            Mode::ReduceOnly,
            Mode::CancelOnly,
            Mode::WithdrawOnly,
            Mode::Halted,
        ];
        for pair in modes.windows(2) {
            for kind in [Kind::Order, Kind::Cancel, Kind::Withdrawal, Kind::Session] {
                assert!(admits(pair[0], kind).is_ok() || admits(pair[1], kind).is_err());
            }
        }
    }
}
