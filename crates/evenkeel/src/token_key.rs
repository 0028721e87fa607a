//! Key files that name a key in a token. They hold no secret:
//!
//! ```text
//! # Evenkeel key in a token; it holds no secret
//! # address: 0x…
//! pkcs11:token=desk;serial=…;object=payout;id=%01?module-path=/…&pin-source=file:/…
//! EVENKEEL-TOKEN-KEY-1-secp256k1-<public key as hexadecimal digits>
//! ```
//! The public key is what binds the file to the key: whatever answers in the token is compared with
//! it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_hsm::{
    Error, Held, HeldSigner, Kind, Launch, PinSource, Public, Session, TokenIdentity, Uri,
};
use zeroize::Zeroizing;

use crate::credential;
use crate::keyfile::{hex, unhex};
use crate::report::{Exit, Report, Result};

const PREFIX: &str = "EVENKEEL-TOKEN-KEY-1-";
const SCHEME: &str = "pkcs11:";
/// How long a program that prints a PIN may take.
const PIN_PATIENCE: Duration = Duration::from_secs(30);
/// How long a token is waited for where nothing else is said.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a key file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenKey {
    pub(crate) kind: Kind,
    pub(crate) public: Public,
    pub(crate) uri: Uri,
    /// Comments that people read: names and what they name.
    pub(crate) words: Vec<(String, String)>,
}

/// Whether a key file names a key in a token.
pub(crate) fn is_token_key(text: &str) -> bool {
    text.lines().any(|line| line.trim().starts_with(PREFIX))
}

/// The key in a token that a file names, if that is what it does: nothing is asked of the token.
pub(crate) fn named_in(file: &Path) -> Option<Result<TokenKey>> {
    let text = std::fs::read_to_string(file).ok().filter(|text| is_token_key(text))?;
    Some(TokenKey::parse(&text))
}

impl TokenKey {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let line = |prefix: &str| text.lines().map(str::trim).find(|line| line.starts_with(prefix));
        let damaged = |what: &str| {
            Report::new(Exit::WrongKey, format!("the file that names a key in a token {what}"))
                .safe("no token was asked; the key is in its token")
                .next("write it again from the record: the public key has to be the recorded one")
        };
        let uri: Uri = line(SCHEME)
            .ok_or_else(|| damaged("has no line that begins with pkcs11:"))?
            .parse()
            .map_err(report)?;
        let (kind, public) = line(PREFIX)
            .and_then(|line| line.strip_prefix(PREFIX)?.split_once('-'))
            .ok_or_else(|| damaged("has no recorded public key"))?;
        let kind: Kind = kind.parse().map_err(report)?;
        let bytes = unhex(public).ok_or_else(|| damaged("has a damaged public key"))?;
        let public =
            Public::read(kind, &bytes).ok_or_else(|| damaged("has a damaged public key"))?;
        let words = text.lines().filter_map(|line| {
            let (name, value) = line.trim().strip_prefix('#')?.split_once(':')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        });
        Ok(Self { kind, public, uri, words: words.collect() })
    }

    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Report::io("read the key file", file, &error))?;
        Self::parse(&text).map_err(|report| report.at(file.display().to_string()))
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = "# Evenkeel key in a token; it holds no secret\n".to_owned();
        for (name, value) in &self.words {
            text.push_str(&format!("# {name}: {value}\n"));
        }
        text.push_str(&format!(
            "{}\n{PREFIX}{}-{}\n",
            self.uri,
            self.kind,
            hex(&self.public.to_bytes())
        ));
        text
    }

    /// What a comment says.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.words.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Asks the token to prove that it has the key.
    pub(crate) fn check(&self) -> Result<()> {
        self.held()?.check().map_err(report)
    }

    fn held(&self) -> Result<Arc<Held>> {
        let module = module_of(&self.uri)?;
        let pin = pin_source(&self.uri)?;
        let held = Held::new(launch(DEADLINE), module, self.uri.clone(), self.public.clone(), pin);
        Ok(Arc::new(held))
    }

    /// Signs manifests by it.
    pub(crate) fn signer(&self) -> Result<HeldSigner> {
        HeldSigner::new(self.held()?).map_err(report)
    }

    /// Opens what was sealed to it.
    pub(crate) fn identity(&self) -> Result<TokenIdentity> {
        TokenIdentity::new(self.held()?).map_err(report)
    }
}

/// How this program loads a module: in a process of its own.
pub(crate) fn launch(deadline: Duration) -> Launch {
    // Also after another version was put in this program's place.
    let program = PathBuf::from("/proc/self/exe");
    Launch { program, words: ["keys", "hsm", "helper"].map(Into::into).to_vec(), deadline }
}

/// The module that a URI names.
pub(crate) fn module_of(uri: &Uri) -> Result<PathBuf> {
    uri.module.as_deref().map(PathBuf::from).ok_or_else(|| {
        Report::new(Exit::Usage, "the URI names no module")
            .at(uri.to_string())
            .safe("no token was asked")
            .next("add ?module-path=FILE, the shared library of the token's maker")
    })
}

/// Where a URI says that the PIN is kept.
pub(crate) fn pin_source(uri: &Uri) -> Result<PinSource> {
    let reference = uri.pin_source.clone().ok_or_else(|| {
        Report::new(Exit::Usage, "the URI does not say where the PIN is kept")
            .at(uri.to_string())
            .safe("no token was asked")
            .next("add &pin-source=file:FILE, env:NAME or command:PROGRAM WORD…")
    })?;
    let token = uri.token_name();
    Ok(Box::new(move || {
        read_pin(&reference).map_err(|detail| Error::PinUnusable { token: token.clone(), detail })
    }))
}

/// A PIN, by reference.
pub(crate) fn read_pin(reference: &str) -> std::result::Result<Zeroizing<Vec<u8>>, String> {
    let pin = credential::load(reference, Instant::now() + PIN_PATIENCE)?;
    Ok(Zeroizing::new(pin.as_bytes().to_vec()))
}

/// Opens a session with the token of a URI, and gives the PIN.
pub(crate) fn session(
    uri: &Uri,
    deadline: Duration,
    final_try: bool,
    writes: bool,
) -> Result<Session> {
    let module = module_of(uri)?;
    let pin = pin_source(uri)?;
    let mut session = Session::open(&launch(deadline), &module, uri, writes).map_err(report)?;
    session.login(&pin().map_err(report)?, final_try).map_err(report)?;
    Ok(session)
}

/// What people read of an error of a token.
pub(crate) fn report(error: Error) -> Report {
    const KEYS: &str = "the keys in the token are untouched, and nothing was written";
    let list = "evenkeel keys hsm list --module FILE   (shows tokens and their PINs, tries none)";
    let words = error.to_string();
    match error {
        Error::Usage(_) => Report::new(Exit::Usage, words).safe("no key was touched"),
        Error::Module { .. } => Report::new(Exit::Failed, words)
            .safe("nothing was asked of any token")
            .next("name the shared library of the token's maker: --module FILE"),
        Error::NoToken { .. } => Report::new(Exit::Failed, words)
            .safe("no PIN was tried")
            .next("connect the token, or name another")
            .next(list),
        Error::NoKey { .. } => {
            Report::new(Exit::Failed, words).safe(KEYS).next("evenkeel keys hsm keys --token URI")
        }
        Error::PinWrong { .. } => Report::new(Exit::WrongKey, words)
            .safe("it was tried once and is not tried again by itself")
            .next("look at where the PIN is kept, before it is tried again")
            .next(list),
        Error::PinRefusedBefore { .. } => Report::new(Exit::WrongKey, words)
            .safe("no try was used up")
            .next("correct the PIN where it is kept, then start again"),
        Error::PinLocked { .. } => Report::new(Exit::WrongKey, words)
            .safe("no PIN was tried; its keys are in it, and whoever unlocks it has them")
            .lost("the use of its keys, until it is unlocked")
            .next("have the security officer unlock it with the token's own tool"),
        Error::FinalTry { .. } => Report::new(Exit::WrongKey, words)
            .safe("the last try is still there")
            .next("be sure of the PIN: try it with --final-try of keys hsm check"),
        Error::PinUnusable { .. } => {
            Report::new(Exit::WrongKey, words).safe("no PIN was tried").next(list)
        }
        Error::Full { .. } => Report::new(Exit::Failed, words)
            .safe(KEYS)
            .next("remove objects that nobody needs with the token's own tool, or use another one"),
        Error::Gone { .. } => Report::new(Exit::Failed, words)
            .safe(KEYS)
            .next("connect the token again, then repeat the command")
            .next(list),
        Error::Hung { .. } => Report::new(Exit::Failed, words)
            .safe(KEYS)
            .lost("what the token did after that is not known")
            .next("look whether the token waits for a touch; more time: --deadline-seconds N"),
        Error::Unsupported { .. } => Report::new(Exit::Usage, words).safe(KEYS).next(list),
        Error::Refused { .. } => Report::new(Exit::Failed, words).safe(KEYS).next(list),
        Error::Untrue { details, .. } => {
            let report = Report::new(Exit::Integrity, words);
            let report = details.into_iter().fold(report, Report::detail);
            report.safe("nothing of it left: no signature, no key file").next(
                "trust neither token nor module until somebody knows why; keep them as evidence",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_reads_back_and_one_with_another_public_key_is_refused() {
        let key = TokenKey {
            kind: Kind::Ed25519,
            public: Public::read(Kind::Ed25519, &unhex(KEY).unwrap()).unwrap(),
            uri: "pkcs11:token=desk;object=w?module-path=/x.so&pin-source=env:PIN".parse().unwrap(),
            words: vec![("holder".to_owned(), "Ada".to_owned())],
        };
        let text = key.to_text();
        assert!(is_token_key(&text));
        assert_eq!(TokenKey::parse(&text).unwrap(), key);
        assert_eq!(key.word("holder"), Some("Ada"));
        for (from, to) in [(KEY, "00"), (KEY, ""), ("pkcs11:", "#"), (PREFIX, "X-")] {
            let refused = TokenKey::parse(&text.replace(from, to)).unwrap_err();
            assert!(matches!(refused.exit(), Exit::WrongKey | Exit::Usage), "{refused}");
        }
    }

    /// RFC 8032, test 1.
    const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
}
