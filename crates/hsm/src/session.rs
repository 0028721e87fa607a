//! Asking a token.

use std::path::Path;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key::{Attributes, Kind, Public};
use crate::line::{Launch, Line, text};
use crate::seal;
use crate::sign::{Finished, finish};
use crate::uri::Uri;
use crate::wire::{Key, Reply, Request, Token};

/// What a token says about its PIN, before any is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinState {
    /// Nothing to worry about.
    Good,
    /// A wrong PIN was given since the last right one (`CKF_USER_PIN_COUNT_LOW`).
    Low,
    /// The next wrong PIN locks it (`CKF_USER_PIN_FINAL_TRY`).
    FinalTry,
    /// It takes no PIN any more (`CKF_USER_PIN_LOCKED`).
    Locked,
    /// It has no PIN yet.
    NotSet,
}

/// A token as its module describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// The slot it is in.
    pub slot: u64,
    /// Its label.
    pub label: String,
    /// Who made it.
    pub maker: String,
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Whether it holds anything: an empty one takes [`init_token`].
    pub initialized: bool,
    /// What it says about its PIN.
    pub pin: PinState,
    /// Room for private objects, if it tells.
    pub free_bytes: Option<u64>,
    /// Kinds of keys for which it has the mechanisms; a curve may be missing all the same.
    pub kinds: Vec<Kind>,
    /// Those mechanisms that are used here and that it has.
    pub mechanisms: Vec<String>,
}

impl TokenInfo {
    fn of(token: Token) -> Self {
        let pin = match () {
            () if token.pin_locked && token.initialized => PinState::Locked,
            () if token.pin_final => PinState::FinalTry,
            () if !token.pin_set => PinState::NotSet,
            () if token.pin_low => PinState::Low,
            () => PinState::Good,
        };
        Self {
            slot: token.slot,
            label: text(&token.label),
            maker: text(&token.maker),
            model: text(&token.model),
            serial: text(&token.serial),
            initialized: token.initialized,
            pin,
            free_bytes: token.free_bytes,
            kinds: token.kinds.into_iter().filter_map(Kind::of_tag).collect(),
            mechanisms: token.mechanisms.iter().map(|name| text(name)).collect(),
        }
    }

    /// Its label and serial, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.label.as_str(), self.serial.as_str()) {
            ("", "") => format!("in slot {}", self.slot),
            (label, "") => label.to_owned(),
            (label, serial) => format!("{label} {serial}").trim().to_owned(),
        }
    }
}

/// A private or secret key in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    pub(crate) handle: u64,
    /// What it is for; `None` for what is not used here.
    pub kind: Option<Kind>,
    /// `CKA_LABEL`
    pub label: String,
    /// `CKA_ID`
    pub id: Vec<u8>,
    /// The public half that lies beside it, if there is one.
    pub public: Option<Public>,
}

impl StoredKey {
    fn of(key: Key) -> Self {
        let kind = key.kind.and_then(Kind::of_tag);
        let public = kind.and_then(|kind| Public::read(kind, &key.public));
        Self { handle: key.handle, kind, label: text(&key.label), id: key.id, public }
    }
}

/// A key that was just made, and proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Born {
    /// What it is for.
    pub kind: Kind,
    /// Its label.
    pub label: String,
    /// Its `CKA_ID`.
    pub id: Vec<u8>,
    /// Its public half.
    pub public: Public,
    /// What the token says of it.
    pub attributes: Attributes,
}

/// The tokens that a module shows. No PIN is needed.
///
/// # Errors
/// [`Error::Module`], [`Error::Hung`].
pub fn tokens(launch: &Launch, module: &Path) -> Result<Vec<TokenInfo>> {
    let mut line = Line::start(launch, module)?;
    tokens_on(&mut line)
}

fn tokens_on(line: &mut Line) -> Result<Vec<TokenInfo>> {
    match line.ask(&Request::Tokens, "listing tokens")? {
        Reply::Tokens { tokens } => Ok(tokens.into_iter().map(TokenInfo::of).collect()),
        _ => Err(line.confused("listing tokens")),
    }
}

/// Gives an empty token a label and its PINs. One that was given them already is refused: it may
/// hold keys, and they would be gone.
///
/// # Errors
/// [`Error::Usage`] if no token is empty, or what the module says.
pub fn init_token(
    launch: &Launch,
    module: &Path,
    label: &str,
    officer_pin: &[u8],
    pin: &[u8],
) -> Result<TokenInfo> {
    if label.is_empty() || label.len() > 32 {
        return Err(Error::Usage("a token's label has 1 to 32 bytes".to_owned()));
    }
    let mut line = Line::start(launch, module)?;
    let there = tokens_on(&mut line)?;
    if there.iter().any(|token| token.initialized && token.label == label) {
        return Err(Error::Usage(format!("there is a token `{label}` already")));
    }
    let empty = there.iter().find(|token| !token.initialized).ok_or_else(|| {
        Error::Usage("no token is empty; one that holds something is not overwritten".to_owned())
    })?;
    let request = Request::Init { slot: empty.slot, label: label.as_bytes().to_vec() };
    line.ask_with(&request, &[officer_pin, pin], "preparing the token")?;
    drop(line);
    let made = tokens(launch, module)?.into_iter().find(|token| token.label == label);
    made.ok_or_else(|| Error::NoToken {
        wanted: label.to_owned(),
        present: Vec::new(),
        several: false,
    })
}

/// A session with one token.
pub struct Session {
    line: Line,
    token: TokenInfo,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Session {
    /// Opens a session with the one token that a URI names, without giving a PIN.
    ///
    /// # Errors
    /// [`Error::Module`], [`Error::NoToken`] if none or several fit, [`Error::Hung`].
    pub fn open(launch: &Launch, module: &Path, uri: &Uri, writes: bool) -> Result<Self> {
        let mut line = Line::start(launch, module)?;
        let mut there = tokens_on(&mut line)?;
        there.retain(|token| token.initialized);
        let present = there.iter().map(TokenInfo::name).collect();
        there.retain(|token| {
            uri.fits_token(&token.label, &token.serial, &token.maker, &token.model)
        });
        let several = there.len() > 1;
        let (Some(token), false) = (there.pop(), several) else {
            return Err(Error::NoToken { wanted: uri.token_name(), present, several });
        };
        line.name = token.name();
        line.token = Some((token.label.clone().into_bytes(), token.serial.clone().into_bytes()));
        line.ask(&Request::Open { slot: token.slot, writes }, "opening a session")?;
        Ok(Self { line, token })
    }

    /// The token, as it was when the session was opened.
    #[must_use]
    pub fn token(&self) -> &TokenInfo {
        &self.token
    }

    /// Gives the PIN, once.
    ///
    /// # Errors
    /// [`Error::FinalTry`] or [`Error::PinLocked`] before it was tried, if the token says so;
    /// [`Error::PinWrong`] with what the token tells about the tries that are left.
    pub fn login(&mut self, pin: &[u8], even_the_last_try: bool) -> Result<()> {
        let token = self.token.name();
        match self.token.pin {
            PinState::Locked => return Err(Error::PinLocked { token }),
            PinState::FinalTry if !even_the_last_try => return Err(Error::FinalTry { token }),
            PinState::NotSet => {
                let detail = "it has no PIN yet; give it one: evenkeel keys hsm init, or the \
                              token's own tool"
                    .to_owned();
                return Err(Error::PinUnusable { token, detail });
            }
            _ => {}
        }
        match self.line.ask_with(&Request::Login, &[pin], "giving the PIN") {
            Ok(_) => Ok(()),
            Err(Error::PinWrong { token, .. }) => {
                let left = self.tries_left();
                Err(Error::PinWrong { token, left })
            }
            Err(error) => Err(error),
        }
    }

    fn tries_left(&mut self) -> String {
        let now = tokens_on(&mut self.line)
            .ok()
            .and_then(|there| there.into_iter().find(|token| token.slot == self.token.slot));
        match now.map(|token| token.pin) {
            Some(PinState::Locked) => "it is locked now",
            Some(PinState::FinalTry) => "one try is left before it locks",
            Some(PinState::Low) => "it says that few tries are left",
            _ => "it does not tell how many tries are left",
        }
        .to_owned()
    }

    /// The keys that the session sees.
    ///
    /// # Errors
    /// What the token says.
    pub fn keys(&mut self) -> Result<Vec<StoredKey>> {
        match self.line.ask(&Request::Keys, "listing keys")? {
            Reply::Keys { keys } => Ok(keys.into_iter().map(StoredKey::of).collect()),
            _ => Err(self.line.confused("listing keys")),
        }
    }

    /// The one key that a URI names.
    ///
    /// # Errors
    /// [`Error::NoKey`] if none or several fit.
    pub fn find(&mut self, uri: &Uri) -> Result<StoredKey> {
        let mut keys = self.keys()?;
        let present = keys.iter().map(|key| key.label.clone()).collect();
        keys.retain(|key| uri.fits_key(&key.label, &key.id));
        let several = keys.len() > 1;
        match (keys.pop(), several) {
            (Some(key), false) => Ok(key),
            _ => Err(Error::NoKey {
                token: self.token.name(),
                wanted: uri.object.clone().unwrap_or_else(|| uri.to_string()),
                present,
                several,
            }),
        }
    }

    /// Makes a key in the token, reads its attributes back, and has it used once.
    ///
    /// # Errors
    /// [`Error::Untrue`] if an attribute is not as asked for or the key does not do what its public
    /// half says: it was then removed again, or the message says that it was not. [`Error::Full`],
    /// [`Error::Unsupported`].
    pub fn generate(&mut self, kind: Kind, label: &str, id: &[u8]) -> Result<Born> {
        let during = format!("making a key of kind {kind}");
        let there = self.keys()?;
        if there.iter().any(|key| key.label == label || key.id == id) {
            return Err(Error::Usage(format!(
                "token {} holds a key with this label or id already",
                self.token.name()
            )));
        }
        let request =
            Request::Generate { kind: kind.tag(), label: label.as_bytes().into(), id: id.into() };
        let Reply::Born { private, public: half, bytes } = self.line.ask(&request, &during)? else {
            return Err(self.line.confused(&during));
        };
        match self.prove(kind, private, &bytes) {
            Ok((public, attributes)) => {
                Ok(Born { kind, label: label.to_owned(), id: id.to_vec(), public, attributes })
            }
            Err(Error::Untrue { token, what, mut details }) => {
                let handles = half.into_iter().chain([private]).collect();
                let removed = self.line.ask(&Request::Destroy { handles }, "removing the key");
                details.push(match removed {
                    Ok(_) => "the key was removed again".to_owned(),
                    Err(error) => format!("the key could NOT be removed: {error}"),
                });
                Err(Error::Untrue { token, what, details })
            }
            Err(error) => Err(error),
        }
    }

    fn prove(&mut self, kind: Kind, handle: u64, bytes: &[u8]) -> Result<(Public, Attributes)> {
        let untrue = |token: &TokenInfo, what: &str, details| Error::Untrue {
            token: token.name(),
            what: what.to_owned(),
            details,
        };
        let attributes = self.attributes(handle)?;
        let faults = attributes.faults();
        if !faults.is_empty() {
            return Err(untrue(&self.token, "the new key could leave it", faults));
        }
        let public = Public::read(kind, bytes).ok_or_else(|| {
            untrue(&self.token, "the new key's public half is none of its kind", Vec::new())
        })?;
        let key = StoredKey {
            handle,
            kind: Some(kind),
            label: String::new(),
            id: Vec::new(),
            public: Some(public.clone()),
        };
        self.prove_use(&key, kind, &public)?;
        Ok((public, attributes))
    }

    /// Has a key used once on something random, and checks the result here.
    ///
    /// # Errors
    /// [`Error::Untrue`] if the private half is not the one of `public`.
    pub fn prove_use(&mut self, key: &StoredKey, kind: Kind, public: &Public) -> Result<()> {
        let mut drawn = Zeroizing::new([0; 32]);
        SystemRandom::new()
            .fill(&mut drawn[..])
            .map_err(|_| Error::Usage("this machine gives no random numbers".to_owned()))?;
        let same = match kind {
            Kind::P256 | Kind::Secp256k1 | Kind::Ed25519 => {
                return self.sign(key, public, &drawn[..]).map(|_| ());
            }
            Kind::Recipient => {
                let ephemeral = p256::SecretKey::from_slice(&drawn[..]).ok();
                match ephemeral.zip(shared_with(&drawn, public)) {
                    Some((_, (point, shared))) => *self.derive(key, &point)? == *shared,
                    None => false,
                }
            }
            Kind::Aes256 => {
                let wrapped = self.wrap(key, &drawn[..])?;
                // 4 of length, 32, 4 of padding, and 8 of check value (RFC 5649).
                wrapped.len() == 48 && self.unwrap(key, &wrapped)?[..] == drawn[..]
            }
            Kind::Rsa2048 => {
                let sealed = seal::seal_to_rsa(&public.to_bytes(), &drawn[..])?;
                self.unseal(key, &sealed)?[..] == drawn[..]
            }
        };
        if same {
            return Ok(());
        }
        Err(Error::Untrue {
            token: self.token.name(),
            what: "the key does not do what its public half says".to_owned(),
            details: Vec::new(),
        })
    }

    /// What the token says of a key.
    ///
    /// # Errors
    /// What the token says.
    pub fn attributes_of(&mut self, key: &StoredKey) -> Result<Attributes> {
        self.attributes(key.handle)
    }

    fn attributes(&mut self, handle: u64) -> Result<Attributes> {
        match self.line.ask(&Request::Attributes { handle }, "reading attributes")? {
            Reply::Attributes { told } => Ok(told.into()),
            _ => Err(self.line.confused("reading attributes")),
        }
    }

    /// Signs a message (Ed25519) or a digest of 32 bytes (ECDSA); the result was verified with
    /// `public`, which is what was recorded of this key and not what the token says now.
    ///
    /// # Errors
    /// [`Error::Untrue`] if it does not verify; what the token says.
    pub fn sign(&mut self, key: &StoredKey, public: &Public, data: &[u8]) -> Result<Finished> {
        let kind = match public {
            Public::Ed25519(_) => Kind::Ed25519,
            Public::Secp256k1(_) => Kind::Secp256k1,
            _ => Kind::P256,
        };
        if kind != Kind::Ed25519 && data.len() != 32 {
            return Err(Error::Usage("ECDSA signs a digest of 32 bytes".to_owned()));
        }
        let request = Request::Sign { handle: key.handle, kind: kind.tag(), data: data.to_vec() };
        match self.line.ask(&request, "signing")? {
            Reply::Bytes { bytes } => finish(&self.token.name(), public, data, &bytes),
            _ => Err(self.line.confused("signing")),
        }
    }

    /// The x coordinate of the key times a point of P-256 (uncompressed).
    ///
    /// # Errors
    /// What the token says; [`Error::Untrue`] for a value that is none.
    pub fn derive(&mut self, key: &StoredKey, point: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>> {
        let request = Request::Derive { handle: key.handle, point: point.to_vec() };
        let secret = self.line.secret(&request, "deriving a shared secret")?;
        let mut shared = Zeroizing::new([0; 32]);
        if secret.len() != shared.len() {
            return Err(Error::Untrue {
                token: self.token.name(),
                what: format!("it derived {} bytes, and a coordinate has 32", secret.len()),
                details: Vec::new(),
            });
        }
        shared.copy_from_slice(&secret);
        Ok(shared)
    }

    /// Wraps a secret with an AES key of the token (RFC 5649), in a frame of whole blocks: some
    /// tokens leave a padding on what they bring back.
    ///
    /// # Errors
    /// What the token says.
    pub fn wrap(&mut self, key: &StoredKey, secret: &[u8]) -> Result<Vec<u8>> {
        let request = Request::Wrap { handle: key.handle };
        match self.line.ask_with(&request, &[&seal::framed(secret)], "wrapping")? {
            Reply::Bytes { bytes } => Ok(bytes),
            _ => Err(self.line.confused("wrapping")),
        }
    }

    /// Brings a wrapped secret back.
    ///
    /// # Errors
    /// What the token says: another key, or changed bytes, are refused by it.
    pub fn unwrap(&mut self, key: &StoredKey, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let request = Request::Unwrap { handle: key.handle, wrapped: wrapped.to_vec() };
        let frame = self.line.secret(&request, "unwrapping")?;
        seal::unframed(&frame).ok_or_else(|| Error::Refused {
            token: self.token.name(),
            during: "unwrapping".to_owned(),
            code: "what came back is no secret that was wrapped here".to_owned(),
        })
    }

    /// Opens what was sealed to an RSA key of the token.
    ///
    /// # Errors
    /// What the token says.
    pub fn unseal(&mut self, key: &StoredKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let request = Request::Decrypt { handle: key.handle, sealed: sealed.to_vec() };
        self.line.secret(&request, "unsealing")
    }
}

/// A pair drawn here: its point, and what it shares with a public key.
type Shared = ([u8; 65], Zeroizing<[u8; 32]>);

fn shared_with(secret: &[u8; 32], public: &Public) -> Option<Shared> {
    use p256::elliptic_curve::sec1::ToSec1Point as _;
    let secret = p256::SecretKey::from_slice(secret).ok()?;
    let theirs = p256::PublicKey::from_sec1_bytes(&public.to_bytes()).ok()?;
    let product = theirs.to_projective() * *secret.to_nonzero_scalar();
    let product = product.to_affine().to_sec1_point(false);
    let point = secret.public_key().to_sec1_point(false);
    let shared: [u8; 32] = product.as_bytes().get(1..33)?.try_into().ok()?;
    Some((point.as_bytes().try_into().ok()?, Zeroizing::new(shared)))
}
