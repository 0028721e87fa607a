//! `keys hsm …`: keys in tokens.

mod make;
mod show;
mod work;

use std::path::Path;
use std::time::Duration;

use evenkeel_hsm::{Public, Session, StoredKey};

use crate::cli::{HsmCommand, HsmPatience};
use crate::report::{Exit, Report, Result};
use crate::token_key::{self, TokenKey};

pub(super) fn run(command: &HsmCommand) -> Result<Exit> {
    match command {
        HsmCommand::List(args) => show::list(args),
        HsmCommand::Keys(args) => show::keys(args),
        HsmCommand::Init(args) => make::init(args),
        HsmCommand::Generate(args) => make::generate(args),
        HsmCommand::Check(args) => work::check(args),
        HsmCommand::Sign(args) => work::sign(args),
        HsmCommand::Wrap(args) => work::wrap(args),
        HsmCommand::Unwrap(args) => work::unwrap(args),
        HsmCommand::Helper { module } => helper(module),
    }
}

/// The process that loads the module: whoever started it speaks on its standard input.
fn helper(module: &Path) -> Result<Exit> {
    use std::os::fd::AsFd as _;
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let stream = input.map(std::os::unix::net::UnixStream::from).ok();
    match stream.filter(|stream| stream.peer_addr().is_ok()) {
        Some(stream) => {
            evenkeel_hsm::serve(stream, module);
            Ok(Exit::Ok)
        }
        None => Err(Report::new(Exit::Usage, "this is started by the program itself")
            .next("evenkeel keys hsm --help")),
    }
}

fn deadline(patience: &HsmPatience) -> Duration {
    Duration::from_secs(patience.deadline_seconds)
}

/// A session in which the key of a key file was found.
fn opened(file: &Path, patience: &HsmPatience) -> Result<(TokenKey, Session, StoredKey)> {
    let key = TokenKey::read(file)?;
    let mut session = token_key::session(&key.uri, deadline(patience), patience.final_try, false)?;
    let stored = session.find(&key.uri).map_err(token_key::report)?;
    Ok((key, session, stored))
}

/// What a public half is to people.
fn public_words(kind: evenkeel_hsm::Kind, public: &Public) -> Vec<(String, String)> {
    let mut words = Vec::new();
    if let Some(address) = public.ethereum_address() {
        words.push(("address".to_owned(), address));
    }
    if kind == evenkeel_hsm::Kind::Recipient
        && let Some(recipient) = public.recipient()
    {
        words.push(("recipient".to_owned(), recipient));
    }
    words
}
