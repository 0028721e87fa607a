//! The helper process: loads a module and answers, until nobody listens any more.

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Refusal, RvError};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use crate::der;
use crate::key::Kind;
use crate::wire::{self, Fault, Key, Reply, Request, Token, Told};

/// How long a helper whose caller is gone may take to come to its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

type Asked<T> = Result<T, Refusal>;

/// An answer, and what is secret about it.
type Answer = (Reply, Option<Zeroizing<Vec<u8>>>);

/// Serves one caller with one module, then ends. What the module prints, it prints to this
/// process's own stdout and stderr, which say nothing to anybody.
pub fn serve(mut stream: UnixStream, module: &Path) {
    end_with_caller(&stream);
    let mut helper = match Helper::load(module) {
        Ok(helper) => helper,
        Err(error) => {
            let _ = wire::send(&mut stream, &failed(&error, Some(Fault::Load)));
            return;
        }
    };
    if wire::send(&mut stream, &Reply::Done).is_err() {
        return;
    }
    // A caller that is gone reads nothing; there is nobody left to tell.
    while let Ok(request) = wire::receive::<Request>(&mut stream) {
        let last = request == Request::Close;
        let (reply, secret) = match helper.answer(request, &mut stream) {
            Ok(answer) => answer,
            Err(error) => (failed(&error, None), None),
        };
        let sent = wire::send(&mut stream, &reply)
            .and_then(|()| secret.map_or(Ok(()), |bytes| wire::send_bare(&mut stream, &bytes)));
        if last || sent.is_err() {
            return;
        }
    }
    helper.close();
}

/// A module that hangs does not outlive its caller.
fn end_with_caller(stream: &UnixStream) {
    let Ok(watched) = stream.as_fd().try_clone_to_owned() else {
        return;
    };
    std::thread::spawn(move || {
        let mut ends = [rustix::event::PollFd::new(&watched, rustix::event::PollFlags::empty())];
        while rustix::event::poll(&mut ends, None).is_err() {}
        std::thread::sleep(LAST_WORDS);
        // Not `exit`: that would run code of the module, which may be what hangs.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    });
}

fn failed(error: &Refusal, fault: Option<Fault>) -> Reply {
    let (code, function) = match error {
        Refusal::Pkcs11(code, function) => (format!("{code:?}"), function.to_string()),
        other => (other.to_string(), String::new()),
    };
    Reply::Failed {
        fault: fault.unwrap_or_else(|| fault_of(error)),
        code: code.into_bytes(),
        function: function.into_bytes(),
    }
}

fn fault_of(error: &Refusal) -> Fault {
    let code = match error {
        Refusal::Pkcs11(code, _) => code,
        Refusal::NullFunctionPointer | Refusal::NotSupported => return Fault::Unsupported,
        _ => return Fault::Other,
    };
    match code {
        RvError::PinIncorrect => Fault::PinWrong,
        RvError::PinLocked => Fault::PinLocked,
        RvError::PinInvalid
        | RvError::PinLenRange
        | RvError::PinExpired
        | RvError::UserPinNotInitialized => Fault::PinUnusable,
        RvError::DeviceMemory => Fault::Full,
        RvError::DeviceError
        | RvError::DeviceRemoved
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized
        | RvError::SlotIdInvalid
        | RvError::SessionHandleInvalid
        | RvError::SessionClosed
        | RvError::ObjectHandleInvalid
        | RvError::KeyHandleInvalid
        | RvError::UserNotLoggedIn => Fault::Gone,
        RvError::MechanismInvalid
        | RvError::FunctionNotSupported
        | RvError::CurveNotSupported
        | RvError::DomainParamsInvalid
        | RvError::KeyFunctionNotPermitted => Fault::Unsupported,
        _ => Fault::Other,
    }
}

struct Helper {
    module: Pkcs11,
    session: Option<Session>,
    /// Objects that were shown to the caller, who names them by their place here.
    shown: RefCell<Vec<ObjectHandle>>,
}

impl Helper {
    fn load(module: &Path) -> Asked<Self> {
        let module = Pkcs11::new(module)?;
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        Ok(Self { module, session: None, shown: RefCell::default() })
    }

    /// Sessions first, then the module: it frees what a token holds for this process.
    fn close(&mut self) {
        self.session = None;
        let _ = self.module.clone().finalize();
    }

    fn session(&self) -> Asked<&Session> {
        let none =
            Refusal::Pkcs11(RvError::SessionClosed, cryptoki::context::Function::OpenSession);
        self.session.as_ref().ok_or(none)
    }

    fn show(&self, object: ObjectHandle) -> u64 {
        let mut shown = self.shown.borrow_mut();
        shown.push(object);
        u64::try_from(shown.len() - 1).unwrap_or(u64::MAX)
    }

    fn object(&self, handle: u64) -> Asked<ObjectHandle> {
        let at = usize::try_from(handle).unwrap_or(usize::MAX);
        self.shown.borrow().get(at).copied().ok_or(Refusal::InvalidValue)
    }

    fn answer(&mut self, request: Request, stream: &mut UnixStream) -> Asked<Answer> {
        let plain = |reply: Reply| Ok((reply, None));
        match request {
            Request::Tokens => plain(Reply::Tokens { tokens: self.tokens()? }),
            Request::Open { slot, writes } => {
                let slot = Slot::try_from(slot)?;
                let session = if writes {
                    self.module.open_rw_session(slot)?
                } else {
                    self.module.open_ro_session(slot)?
                };
                self.session = Some(session);
                plain(Reply::Done)
            }
            Request::Login => {
                let pin = pin(stream)?;
                self.session()?.login(UserType::User, Some(&pin))?;
                plain(Reply::Done)
            }
            Request::Init { slot, label } => {
                let (officer, user) = (pin(stream)?, pin(stream)?);
                self.init(Slot::try_from(slot)?, &text(&label), &officer, &user)?;
                plain(Reply::Done)
            }
            Request::Generate { kind, label, id } => {
                plain(self.generate(kind_of(kind)?, label, id)?)
            }
            Request::Keys => plain(Reply::Keys { keys: self.keys()? }),
            Request::Attributes { handle } => {
                plain(Reply::Attributes { told: self.told(self.object(handle)?)? })
            }
            Request::Sign { handle, kind, data } => {
                plain(self.sign(handle, kind_of(kind)?, &data)?)
            }
            Request::Derive { handle, point } => self.derive(self.object(handle)?, &point),
            Request::Wrap { handle } => {
                let secret = secret_from(stream)?;
                plain(self.wrap(self.object(handle)?, &secret)?)
            }
            Request::Unwrap { handle, wrapped } => self.unwrap(self.object(handle)?, &wrapped),
            Request::Decrypt { handle, sealed } => self.decrypt(self.object(handle)?, &sealed),
            Request::Destroy { handles } => {
                for handle in handles {
                    self.session()?.destroy_object(self.object(handle)?)?;
                }
                plain(Reply::Done)
            }
            Request::Close => {
                self.close();
                plain(Reply::Done)
            }
        }
    }

    fn tokens(&self) -> Asked<Vec<Token>> {
        let mut tokens = Vec::new();
        for slot in self.module.get_slots_with_token()? {
            let told = self.module.get_token_info(slot)?;
            let has = self.module.get_mechanism_list(slot)?;
            let bytes = |text: &str| text.trim_end_matches(['\0', ' ']).as_bytes().to_vec();
            let free = told.free_private_memory().or(told.free_public_memory());
            let names = NAMED.iter().filter(|(mechanism, _)| has.contains(mechanism));
            let kinds = Kind::ALL
                .into_iter()
                .filter(|kind| needs(*kind).iter().all(|needed| has.contains(needed)));
            tokens.push(Token {
                slot: slot.id(),
                label: bytes(told.label()),
                maker: bytes(told.manufacturer_id()),
                model: bytes(told.model()),
                serial: bytes(told.serial_number()),
                initialized: told.token_initialized(),
                pin_set: told.user_pin_initialized(),
                pin_low: told.user_pin_count_low(),
                pin_final: told.user_pin_final_try(),
                pin_locked: told.user_pin_locked(),
                free_bytes: free.and_then(|bytes| u64::try_from(bytes).ok()),
                kinds: kinds.map(Kind::tag).collect(),
                mechanisms: names.map(|(_, name)| name.as_bytes().to_vec()).collect(),
            });
        }
        Ok(tokens)
    }

    fn init(&mut self, slot: Slot, label: &str, officer: &AuthPin, user: &AuthPin) -> Asked<()> {
        self.module.init_token(slot, officer, label)?;
        let session = self.module.open_rw_session(slot)?;
        session.login(UserType::So, Some(officer))?;
        session.init_pin(user)?;
        session.logout()
    }

    fn generate(&self, kind: Kind, label: Vec<u8>, id: Vec<u8>) -> Asked<Reply> {
        let session = self.session()?;
        let named = [Attribute::Label(label), Attribute::Id(id), Attribute::Token(true)];
        let mut guarded = named.to_vec();
        guarded.extend([
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
        ]);
        if kind == Kind::Aes256 {
            guarded.extend([
                Attribute::ValueLen(32.into()),
                Attribute::Wrap(true),
                Attribute::Unwrap(true),
            ]);
            let key = session.generate_key(&Mechanism::AesKeyGen, &guarded)?;
            return Ok(Reply::Born { private: self.show(key), public: None, bytes: Vec::new() });
        }
        let (mechanism, parameters) = pair_of(kind);
        // Said both ways: some tokens take what is not said for allowed.
        match kind {
            Kind::Recipient => guarded.extend([Attribute::Derive(true), Attribute::Sign(false)]),
            Kind::Rsa2048 => guarded.push(Attribute::Decrypt(true)),
            Kind::Ed25519 => guarded.push(Attribute::Sign(true)),
            _ => guarded.extend([Attribute::Derive(false), Attribute::Sign(true)]),
        }
        let mut refused = None;
        for parameters in parameters {
            let mut open = named.to_vec();
            open.extend(parameters);
            match kind {
                Kind::Recipient => {}
                Kind::Rsa2048 => open.push(Attribute::Encrypt(true)),
                _ => open.push(Attribute::Verify(true)),
            }
            match session.generate_key_pair(&mechanism, &open, &guarded) {
                Ok((public, private)) => {
                    let bytes = self.public_of(public, kind)?;
                    let (public, private) = (Some(self.show(public)), self.show(private));
                    return Ok(Reply::Born { private, public, bytes });
                }
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or(Refusal::NotSupported))
    }

    fn one(&self, object: ObjectHandle, attribute: AttributeType) -> Asked<Option<Attribute>> {
        match self.session()?.get_attributes(object, &[attribute]) {
            Ok(mut found) => Ok(found.pop()),
            Err(Refusal::Pkcs11(
                RvError::AttributeTypeInvalid | RvError::AttributeSensitive,
                _,
            )) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn public_of(&self, object: ObjectHandle, kind: Kind) -> Asked<Vec<u8>> {
        if kind == Kind::Rsa2048 {
            let modulus = self.one(object, AttributeType::Modulus)?;
            let exponent = self.one(object, AttributeType::PublicExponent)?;
            return Ok(match (modulus, exponent) {
                (Some(Attribute::Modulus(modulus)), Some(Attribute::PublicExponent(exponent))) => {
                    der::rsa_public_key(&modulus, &exponent)
                }
                _ => Vec::new(),
            });
        }
        Ok(match self.one(object, AttributeType::EcPoint)? {
            Some(Attribute::EcPoint(bytes)) => der::point(&bytes).to_vec(),
            _ => Vec::new(),
        })
    }

    fn keys(&self) -> Asked<Vec<Key>> {
        let session = self.session()?;
        let mut keys = Vec::new();
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::SECRET_KEY] {
            for object in
                session.find_objects(&[Attribute::Class(class), Attribute::Token(true)])?
            {
                keys.push(self.key(object)?);
            }
        }
        Ok(keys)
    }

    fn key(&self, object: ObjectHandle) -> Asked<Key> {
        let label = match self.one(object, AttributeType::Label)? {
            Some(Attribute::Label(label)) => label,
            _ => Vec::new(),
        };
        let id = match self.one(object, AttributeType::Id)? {
            Some(Attribute::Id(id)) => id,
            _ => Vec::new(),
        };
        let kind = self.kind(object)?;
        let mut public = Vec::new();
        if let Some(kind) = kind.filter(|kind| *kind != Kind::Aes256) {
            let half = [
                Attribute::Class(ObjectClass::PUBLIC_KEY),
                Attribute::Id(id.clone()),
                Attribute::Label(label.clone()),
            ];
            if let Some(half) = self.session()?.find_objects(&half)?.first() {
                public = self.public_of(*half, kind)?;
            }
        }
        Ok(Key { handle: self.show(object), kind: kind.map(Kind::tag), label, id, public })
    }

    fn kind(&self, object: ObjectHandle) -> Asked<Option<Kind>> {
        let Some(Attribute::KeyType(of)) = self.one(object, AttributeType::KeyType)? else {
            return Ok(None);
        };
        if of == KeyType::AES {
            return Ok(Some(Kind::Aes256));
        }
        if of == KeyType::RSA {
            return Ok(Some(Kind::Rsa2048));
        }
        if of == KeyType::EC_EDWARDS {
            return Ok(Some(Kind::Ed25519));
        }
        let Some(Attribute::EcParams(curve)) = self.one(object, AttributeType::EcParams)? else {
            return Ok(None);
        };
        let derives = self.one(object, AttributeType::Derive)? == Some(Attribute::Derive(true));
        let signs = self.one(object, AttributeType::Sign)? == Some(Attribute::Sign(true));
        Ok(match curve.as_slice() {
            der::P256 if derives && !signs => Some(Kind::Recipient),
            der::P256 => Some(Kind::P256),
            der::SECP256K1 => Some(Kind::Secp256k1),
            der::ED25519 | der::EDWARDS25519 => Some(Kind::Ed25519),
            _ => None,
        })
    }

    fn told(&self, object: ObjectHandle) -> Asked<Told> {
        let flag = |attribute| -> Asked<Option<bool>> {
            Ok(match self.one(object, attribute)? {
                Some(
                    Attribute::Sensitive(is)
                    | Attribute::Extractable(is)
                    | Attribute::AlwaysSensitive(is)
                    | Attribute::NeverExtractable(is)
                    | Attribute::Local(is),
                ) => Some(is),
                _ => None,
            })
        };
        // A refusal comes as no attribute at all; one of no bytes gives nothing away either.
        let value_bytes = match self.one(object, AttributeType::Value)? {
            Some(Attribute::Value(value)) => {
                let value = Zeroizing::new(value);
                u64::try_from(value.len()).ok().filter(|count| *count > 0)
            }
            _ => None,
        };
        Ok(Told {
            sensitive: flag(AttributeType::Sensitive)?,
            extractable: flag(AttributeType::Extractable)?,
            always_sensitive: flag(AttributeType::AlwaysSensitive)?,
            never_extractable: flag(AttributeType::NeverExtractable)?,
            local: flag(AttributeType::Local)?,
            value_bytes,
        })
    }

    fn sign(&self, handle: u64, kind: Kind, data: &[u8]) -> Asked<Reply> {
        let mechanism = match kind {
            Kind::Ed25519 => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)),
            _ => Mechanism::Ecdsa,
        };
        let bytes = self.session()?.sign(&mechanism, self.object(handle)?, data)?;
        Ok(Reply::Bytes { bytes })
    }

    fn derive(&self, key: ObjectHandle, point: &[u8]) -> Asked<Answer> {
        let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), point));
        let mut template = of_session();
        template.push(Attribute::ValueLen(32.into()));
        let shared = self.session()?.derive_key(&mechanism, key, &template)?;
        self.take_out(shared)
    }

    fn wrap(&self, key: ObjectHandle, secret: &[u8]) -> Asked<Reply> {
        let session = self.session()?;
        let mut template = of_session();
        template.push(Attribute::Value(secret.to_vec()));
        let object = session.create_object(&template)?;
        let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, key, object);
        session.destroy_object(object)?;
        Ok(Reply::Bytes { bytes: wrapped? })
    }

    fn unwrap(&self, key: ObjectHandle, wrapped: &[u8]) -> Asked<Answer> {
        let session = self.session()?;
        let mechanism = Mechanism::AesKeyWrapPad;
        let object = session.unwrap_key(&mechanism, key, wrapped, &of_session())?;
        self.take_out(object)
    }

    /// The value of a passing object, which is then destroyed.
    fn take_out(&self, object: ObjectHandle) -> Asked<Answer> {
        let value = self.one(object, AttributeType::Value);
        self.session()?.destroy_object(object)?;
        match value? {
            Some(Attribute::Value(value)) => Ok((Reply::Secret, Some(Zeroizing::new(value)))),
            _ => Err(Refusal::NotSupported),
        }
    }

    fn decrypt(&self, key: ObjectHandle, sealed: &[u8]) -> Asked<Answer> {
        let parameters = PkcsOaepParams::new(
            MechanismType::SHA256,
            PkcsMgfType::MGF1_SHA256,
            PkcsOaepSource::empty(),
        );
        let plain = self.session()?.decrypt(&Mechanism::RsaPkcsOaep(parameters), key, sealed)?;
        Ok((Reply::Secret, Some(Zeroizing::new(plain))))
    }
}

/// A secret that passes through a session and is never kept in the token.
fn of_session() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}

/// The mechanism that makes a pair of this kind, and the public half's parameters: one after the
/// other, until the token takes one.
fn pair_of(kind: Kind) -> (Mechanism<'static>, Vec<Vec<Attribute>>) {
    let curve = |bytes: &[u8]| vec![Attribute::EcParams(bytes.to_vec())];
    match kind {
        Kind::Ed25519 => {
            (Mechanism::EccEdwardsKeyPairGen, vec![curve(der::ED25519), curve(der::EDWARDS25519)])
        }
        Kind::Secp256k1 => (Mechanism::EccKeyPairGen, vec![curve(der::SECP256K1)]),
        Kind::Rsa2048 => (
            Mechanism::RsaPkcsKeyPairGen,
            vec![vec![
                Attribute::ModulusBits(2048.into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ]],
        ),
        _ => (Mechanism::EccKeyPairGen, vec![curve(der::P256)]),
    }
}

const NAMED: &[(MechanismType, &str)] = &[
    (MechanismType::ECC_KEY_PAIR_GEN, "CKM_EC_KEY_PAIR_GEN"),
    (MechanismType::ECDSA, "CKM_ECDSA"),
    (MechanismType::ECDH1_DERIVE, "CKM_ECDH1_DERIVE"),
    (MechanismType::ECC_EDWARDS_KEY_PAIR_GEN, "CKM_EC_EDWARDS_KEY_PAIR_GEN"),
    (MechanismType::EDDSA, "CKM_EDDSA"),
    (MechanismType::AES_KEY_GEN, "CKM_AES_KEY_GEN"),
    (MechanismType::AES_KEY_WRAP_PAD, "CKM_AES_KEY_WRAP_PAD"),
    (MechanismType::RSA_PKCS_KEY_PAIR_GEN, "CKM_RSA_PKCS_KEY_PAIR_GEN"),
    (MechanismType::RSA_PKCS_OAEP, "CKM_RSA_PKCS_OAEP"),
];

/// Mechanisms without which there is no key of this kind. A list cannot tell about a curve.
fn needs(kind: Kind) -> &'static [MechanismType] {
    match kind {
        Kind::P256 | Kind::Secp256k1 => &[MechanismType::ECC_KEY_PAIR_GEN, MechanismType::ECDSA],
        Kind::Recipient => &[MechanismType::ECC_KEY_PAIR_GEN, MechanismType::ECDH1_DERIVE],
        Kind::Ed25519 => &[MechanismType::ECC_EDWARDS_KEY_PAIR_GEN, MechanismType::EDDSA],
        Kind::Aes256 => &[MechanismType::AES_KEY_GEN, MechanismType::AES_KEY_WRAP_PAD],
        Kind::Rsa2048 => &[MechanismType::RSA_PKCS_KEY_PAIR_GEN, MechanismType::RSA_PKCS_OAEP],
    }
}

fn kind_of(tag: u8) -> Asked<Kind> {
    Kind::of_tag(tag).ok_or(Refusal::InvalidValue)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn secret_from(stream: &mut UnixStream) -> Asked<Zeroizing<Vec<u8>>> {
    wire::receive_bare(stream).map_err(|_| Refusal::PinNotSet)
}

fn pin(stream: &mut UnixStream) -> Asked<AuthPin> {
    let bytes = secret_from(stream)?;
    let text = std::str::from_utf8(&bytes).map_err(Refusal::Utf8)?;
    Ok(AuthPin::new(text.into()))
}
