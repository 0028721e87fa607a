//! `evenkeel keys …`: custody of keys, at the edge: files, words on the terminal, JSON.
//!
//! Nothing secret goes to stdout or stderr unless `--reveal` was given.

#[cfg(feature = "whole")]
mod back;
mod cards;
mod ceremony;
mod depart;
mod drills;
mod evidence;
mod film;
mod generate;
mod group;
mod guard;
mod holders;
#[cfg(feature = "whole")]
mod hsm;
mod input;
#[cfg(feature = "whole")]
mod kept;
mod kit;
mod record;
mod recover;
mod sheet;
mod signed;
mod slip39_recover;
mod slip39_split;

#[cfg(feature = "whole")]
pub(crate) use back::{Brought, KeyBack, bring_back, proven_identity};
#[cfg(feature = "whole")]
pub(crate) use group::{approved_action, file_keys};
#[cfg(feature = "whole")]
pub(crate) use guard::{keep_memory_private, keep_no_image, unlock_memory};
#[cfg(feature = "whole")]
pub(crate) use kept::{CardDrill, Facts, KeptRecord, NotKept};
#[cfg(feature = "whole")]
pub(crate) use kit::{KeysKit, record_hash, write as write_kit};

use crate::cli::{DrillCommand, KeysCommand, Slip39Command};
use crate::report::{Exit, Result};

/// Runs a command, in a process whose memory is kept from disk as far as the machine allows.
pub(crate) fn run(command: &KeysCommand) -> Result<Exit> {
    guard::keep_memory_private();
    match command {
        KeysCommand::Slip39(Slip39Command::Split(args)) => slip39_split::run(args),
        KeysCommand::Slip39(Slip39Command::Recover(args)) => slip39_recover::run(args),
        KeysCommand::Group(command) => group::run(command),
        KeysCommand::Qr(command) => film::run(command),
        KeysCommand::Sheet(command) => sheet::run(command),
        KeysCommand::Ceremony(command) => ceremony::run(command),
        KeysCommand::Recover(args) => recover::run(args),
        KeysCommand::Evidence(args) => evidence::run(args),
        KeysCommand::Kit(args) => kit::run(args),
        KeysCommand::Depart(args) => depart::run(args),
        #[cfg(feature = "whole")]
        KeysCommand::Hsm(command) => hsm::run(command),
        KeysCommand::Generate(args) => generate::generate(args),
        KeysCommand::Fingerprint(args) => generate::fingerprint(args),
        KeysCommand::Drill(DrillCommand::Prove(args)) => drills::prove(args),
        KeysCommand::Drill(DrillCommand::Check(args)) => drills::check(args),
        KeysCommand::Drill(DrillCommand::Status(args)) => drills::status(args),
    }
}
