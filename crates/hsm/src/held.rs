//! A key in a token as something that lasts: sessions are opened when they are needed and again
//! when one was lost, and a PIN that was refused is never tried again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key::Public;
use crate::line::Launch;
use crate::session::{Session, StoredKey};
use crate::uri::Uri;

/// Brings the PIN from where it is kept, each time a session is opened.
pub type PinSource = Box<dyn Fn() -> Result<Zeroizing<Vec<u8>>> + Send + Sync>;

/// One key of one token.
pub struct Held {
    launch: Launch,
    module: PathBuf,
    uri: Uri,
    public: Public,
    pin: PinSource,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<(Session, StoredKey)>,
    /// The token that refused the PIN.
    refused_by: Option<String>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Held {
    /// A key by the URI that names it and the public half that was recorded. Nothing is asked yet.
    #[must_use]
    pub fn new(launch: Launch, module: PathBuf, uri: Uri, public: Public, pin: PinSource) -> Self {
        Self { launch, module, uri, public, pin, state: Mutex::default() }
    }

    /// The recorded public half.
    #[must_use]
    pub fn public(&self) -> &Public {
        &self.public
    }

    /// The token and the key, for messages.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether the token is there, takes the PIN, and has the private half of the recorded key.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<()> {
        let kind = match self.public {
            Public::P256(_) => crate::key::Kind::Recipient,
            Public::Secp256k1(_) => crate::key::Kind::Secp256k1,
            Public::Ed25519(_) => crate::key::Kind::Ed25519,
            Public::Rsa(_) => crate::key::Kind::Rsa2048,
            Public::None => crate::key::Kind::Aes256,
        };
        self.with(|session, key| session.prove_use(key, key.kind.unwrap_or(kind), &self.public))
    }

    /// Signs; see [`Session::sign`].
    ///
    /// # Errors
    /// As there; a session that was lost is opened again once.
    pub fn sign(&self, data: &[u8]) -> Result<crate::sign::Finished> {
        self.with(|session, key| session.sign(key, &self.public, data))
    }

    /// See [`Session::derive`].
    ///
    /// # Errors
    /// As there; a session that was lost is opened again once.
    pub fn derive(&self, point: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>> {
        self.with(|session, key| session.derive(key, point))
    }

    fn with<T>(&self, mut act: impl FnMut(&mut Session, &StoredKey) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = None;
        if let Some((mut session, key)) = state.open.take() {
            match act(&mut session, &key) {
                // The session may be what went away and not the token: a new one tells.
                Err(error @ Error::Gone { .. }) => gone = Some(error),
                Err(error @ Error::Hung { .. }) => return Err(error),
                done => {
                    state.open = Some((session, key));
                    return done;
                }
            }
        }
        let (mut session, key) = match (self.open(&mut state), gone) {
            (Err(Error::NoToken { .. }), Some(gone)) => return Err(gone),
            (opened, _) => opened?,
        };
        let done = act(&mut session, &key);
        if !done.as_ref().is_err_and(Error::is_loss) {
            state.open = Some((session, key));
        }
        done
    }

    fn open(&self, state: &mut State) -> Result<(Session, StoredKey)> {
        if let Some(token) = &state.refused_by {
            return Err(Error::PinRefusedBefore { token: token.clone() });
        }
        let mut session = Session::open(&self.launch, &self.module, &self.uri, false)?;
        let pin = (self.pin)()?;
        if let Err(error) = session.login(&pin, false) {
            if matches!(error, Error::PinWrong { .. } | Error::PinLocked { .. }) {
                state.refused_by = Some(session.token().name());
            }
            return Err(error);
        }
        let key = session.find(&self.uri)?;
        Ok((session, key))
    }
}

/// Ed25519 signatures by a key in a token, for whoever signs manifests.
#[derive(Debug, Clone)]
pub struct HeldSigner {
    held: Arc<Held>,
    public: [u8; 32],
}

impl HeldSigner {
    /// A signer.
    ///
    /// # Errors
    /// [`Error::Usage`] if the key is not Ed25519.
    pub fn new(held: Arc<Held>) -> Result<Self> {
        let Public::Ed25519(public) = *held.public() else {
            return Err(Error::Usage("manifests are signed by an Ed25519 key".to_owned()));
        };
        Ok(Self { held, public })
    }

    /// The recorded public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// Signs a message.
    ///
    /// # Errors
    /// What the token says; a signature that does not verify does not leave.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        self.held.sign(message).map(|done| done.bytes)
    }
}
