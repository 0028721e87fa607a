//! `keys hsm check`, `sign`, `wrap` and `unwrap`

use evenkeel_hsm::{Error, Kind, seal_to_rsa};
use sha2::Digest as _;

use super::super::input;
use super::super::record::now_ns;
use super::{make, opened};
use crate::cli::{
    HsmCheckArgs, HsmPatience, HsmSignArgs, HsmUnwrapArgs, HsmWrapArgs, format_time_ns,
};
use crate::documents::HsmSignatureDocument;
use crate::keyfile::{hex, unhex, write_new};
use crate::output;
use crate::report::{Exit, Report, Result};
use crate::token_key::{self, TokenKey};

/// `keys hsm check`
pub(super) fn check(args: &HsmCheckArgs) -> Result<Exit> {
    let (key, mut session, stored) = opened(&args.key, &args.patience)?;
    session.prove_use(&stored, key.kind, &key.public).map_err(token_key::report)?;
    let faults = session.attributes_of(&stored).map_err(token_key::report)?.faults();
    if !faults.is_empty() {
        return Err(token_key::report(Error::Untrue {
            token: session.token().name(),
            what: "the key answers, but it could leave".to_owned(),
            details: faults,
        }));
    }
    let now = format_time_ns(now_ns());
    make::print(&make::document(&key, true, &now), args.json)?;
    Ok(Exit::Ok)
}

/// `keys hsm sign`
pub(super) fn sign(args: &HsmSignArgs) -> Result<Exit> {
    let key = TokenKey::read(&args.key)?;
    if !key.kind.signs() {
        return Err(Report::new(Exit::Usage, format!("a key of kind {} does not sign", key.kind))
            .at(args.key.display().to_string())
            .safe("no token was asked"));
    }
    let data = signed_bytes(args, key.kind)?;
    let (key, mut session, stored) = opened(&args.key, &args.patience)?;
    let done = session.sign(&stored, &key.public, &data).map_err(token_key::report)?;
    if let Some(file) = &args.out {
        write_new(file, done.der.as_deref().unwrap_or(&done.bytes))?;
    }
    let document = HsmSignatureDocument {
        kind: key.kind.to_string(),
        public_hex: hex(&key.public.to_bytes()),
        digest_hex: (key.kind != Kind::Ed25519).then(|| hex(&data)),
        signature_hex: hex(&done.bytes),
        signature_der_hex: done.der.as_deref().map(hex),
        recovery_id: done.recovery_id,
        normalised: done.normalised,
    };
    if args.json {
        output::document(&document)?;
    } else {
        output::result(&document.signature_hex)?;
    }
    Ok(Exit::Ok)
}

/// The message for Ed25519, the digest for ECDSA.
fn signed_bytes(args: &HsmSignArgs, kind: Kind) -> Result<Vec<u8>> {
    let refuse = |what: &str| Report::new(Exit::Usage, what).safe("no token was asked");
    if let Some(digits) = &args.digest {
        if kind == Kind::Ed25519 {
            return Err(refuse("Ed25519 signs a message and no digest: give --message"));
        }
        let digest = unhex(digits).filter(|digest| digest.len() == 32);
        return digest.ok_or_else(|| refuse("--digest takes 32 bytes as hexadecimal digits"));
    }
    let file = args.message.as_deref().ok_or_else(|| refuse("nothing says what to sign"))?;
    let message = input::read(file, "the message")?;
    Ok(match (kind, args.hash.as_str()) {
        (Kind::Ed25519, _) => message.to_vec(),
        (_, "keccak256") => evenkeel_custody::address::keccak256(&message).to_vec(),
        _ => sha2::Sha256::digest(&message[..]).to_vec(),
    })
}

/// `keys hsm wrap`
pub(super) fn wrap(args: &HsmWrapArgs) -> Result<Exit> {
    let key = wrapping(&args.key)?;
    let secret = input::read(&args.secret_file, "the secret")?;
    if secret.is_empty() || secret.len() > 32 << 10 {
        return Err(Report::new(Exit::Usage, "a secret of 1 byte to 32 KiB is wrapped")
            .at(args.secret_file.display().to_string()));
    }
    let wrapped = if key.kind == Kind::Rsa2048 {
        seal_to_rsa(&key.public.to_bytes(), &secret).map_err(token_key::report)?
    } else {
        let (_, mut session, stored) = opened(&args.key, &args.patience)?;
        let wrapped = session.wrap(&stored, &secret).map_err(token_key::report)?;
        let back = session.unwrap(&stored, &wrapped).map_err(token_key::report)?;
        if back[..] != secret[..] {
            return Err(token_key::report(Error::Untrue {
                token: session.token().name(),
                what: "what it wrapped does not come back".to_owned(),
                details: Vec::new(),
            }));
        }
        wrapped
    };
    write_new(&args.out, &wrapped)?;
    output::result(&format!("wrapped {} bytes for key {}", secret.len(), shown(&key)))?;
    Ok(Exit::Ok)
}

/// `keys hsm unwrap`
pub(super) fn unwrap(args: &HsmUnwrapArgs) -> Result<Exit> {
    let key = wrapping(&args.key)?;
    let wrapped = input::read(&args.wrapped, "the wrapped secret")?;
    let secret = bring_back(&key, args, &args.patience, &wrapped)?;
    write_new(&args.out, &secret)?;
    output::result(&format!("brought back {} bytes with key {}", secret.len(), shown(&key)))?;
    Ok(Exit::Ok)
}

fn bring_back(
    key: &TokenKey,
    args: &HsmUnwrapArgs,
    patience: &HsmPatience,
    wrapped: &[u8],
) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let (_, mut session, stored) = opened(&args.key, patience)?;
    let back = match key.kind {
        Kind::Rsa2048 => session.unseal(&stored, wrapped),
        _ => session.unwrap(&stored, wrapped),
    };
    back.map_err(|error| match error {
        Error::Refused { .. } => {
            Report::new(Exit::WrongKey, "this was not wrapped with this key, or it was changed")
                .at(args.wrapped.display().to_string())
                .detail(error.to_string())
                .safe("nothing was written")
                .next("bring another copy of the wrapped secret, or the key file it was made with")
        }
        error => token_key::report(error),
    })
}

fn wrapping(file: &std::path::Path) -> Result<TokenKey> {
    let key = TokenKey::read(file)?;
    if matches!(key.kind, Kind::Aes256 | Kind::Rsa2048) {
        return Ok(key);
    }
    Err(Report::new(Exit::Usage, format!("a key of kind {} does not wrap", key.kind))
        .at(file.display().to_string())
        .safe("no token was asked")
        .next("evenkeel keys hsm generate --kind aes256, or rsa2048 for a token without it"))
}

fn shown(key: &TokenKey) -> String {
    format!("{} in token {}", key.uri.object.as_deref().unwrap_or("?"), key.uri.token_name())
}
