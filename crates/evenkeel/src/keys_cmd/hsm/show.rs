//! `keys hsm list` and `keys hsm keys`

use std::time::Duration;

use evenkeel_hsm::{PinState, TokenInfo, Uri};

use super::deadline;
use crate::cli::{HsmKeysArgs, HsmListArgs};
use crate::documents::{
    HsmKeysDocument, HsmPinState, HsmStoredKeyDocument, HsmTokenDocument, HsmTokensDocument,
};
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Result};
use crate::token_key;

/// `keys hsm list`
pub(super) fn list(args: &HsmListArgs) -> Result<Exit> {
    let launch = token_key::launch(Duration::from_secs(args.deadline_seconds));
    let tokens = evenkeel_hsm::tokens(&launch, &args.module).map_err(token_key::report)?;
    print(&args.module.display().to_string(), &tokens, args.json)?;
    Ok(if tokens.is_empty() { Exit::NothingYet } else { Exit::Ok })
}

/// Tokens, for people or as a document.
pub(super) fn print(module: &str, tokens: &[TokenInfo], json: bool) -> Result<()> {
    if json {
        return output::document(&HsmTokensDocument {
            module: module.to_owned(),
            tokens: tokens.iter().map(document).collect(),
        });
    }
    if tokens.is_empty() {
        return output::result("the module shows no token");
    }
    let lines: Vec<String> = tokens.iter().map(words).collect();
    output::result(&lines.join("\n"))
}

fn document(token: &TokenInfo) -> HsmTokenDocument {
    HsmTokenDocument {
        slot: token.slot,
        label: token.label.clone(),
        serial: token.serial.clone(),
        maker: token.maker.clone(),
        model: token.model.clone(),
        initialized: token.initialized,
        pin: match token.pin {
            PinState::Good => HsmPinState::Good,
            PinState::Low => HsmPinState::Low,
            PinState::FinalTry => HsmPinState::FinalTry,
            PinState::Locked => HsmPinState::Locked,
            PinState::NotSet => HsmPinState::NotSet,
        },
        free_bytes: token.free_bytes,
        kinds: token.kinds.iter().map(ToString::to_string).collect(),
        mechanisms: token.mechanisms.clone(),
    }
}

fn words(token: &TokenInfo) -> String {
    let kinds: Vec<&str> = token.kinds.iter().map(|kind| kind.word()).collect();
    let pin = match token.pin {
        _ if !token.initialized => "empty: keys hsm init prepares it",
        PinState::Good => "PIN good",
        PinState::Low => "PIN: a wrong one was given; few tries are left",
        PinState::FinalTry => "PIN: THE NEXT WRONG ONE LOCKS IT",
        PinState::Locked => "PIN LOCKED",
        PinState::NotSet => "no PIN set",
    };
    let free = token.free_bytes.map_or(String::new(), |bytes| format!("; {bytes} bytes free"));
    let about = format!("{} {}", token.maker, token.model);
    format!("{}  {}  {pin}{free}; keys: {}", token.name(), about.trim(), kinds.join(", "))
}

/// `keys hsm keys`
pub(super) fn keys(args: &HsmKeysArgs) -> Result<Exit> {
    let uri: Uri = args.token.parse().map_err(token_key::report)?;
    let patience = &args.patience;
    let mut session = token_key::session(&uri, deadline(patience), patience.final_try, false)?;
    let mut keys = Vec::new();
    for key in session.keys().map_err(token_key::report)? {
        let attributes = session.attributes_of(&key).map_err(token_key::report)?;
        keys.push(HsmStoredKeyDocument {
            kind: key.kind.map(|kind| kind.to_string()),
            label: key.label.clone(),
            id_hex: hex(&key.id),
            public_hex: key.public.as_ref().map(|public| hex(&public.to_bytes())),
            faults: attributes.faults(),
        });
    }
    let token = session.token();
    let document =
        HsmKeysDocument { token: token.label.clone(), serial: token.serial.clone(), keys };
    if args.json {
        output::document(&document)?;
        return Ok(Exit::Ok);
    }
    if document.keys.is_empty() {
        output::result(&format!("token {} holds no key", token.name()))?;
    }
    for key in &document.keys {
        let kind = key.kind.as_deref().unwrap_or("another kind");
        let fate = if key.faults.is_empty() { "cannot leave" } else { "COULD LEAVE" };
        let public = key.public_hex.as_deref().unwrap_or("-");
        output::result(&format!("{}  {}  {kind}  {fate}  {public}", key.label, key.id_hex))?;
    }
    Ok(Exit::Ok)
}
