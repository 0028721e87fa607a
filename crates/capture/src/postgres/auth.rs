//! How a server is shown that we know a password: SCRAM-SHA-256 (RFC 5802, 7677) and MD5.
//!
//! Passwords are used byte for byte: SASLprep (RFC 4013) leaves ASCII as it is, and PostgreSQL
//! takes what it cannot prepare as it is too.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

/// A hostile server could keep us busy with more.
const ITERATIONS_MAX: u32 = 10_000_000;
const KEY_BYTES: usize = 32;

/// The hash that MD5 authentication sends.
pub(super) fn md5_response(user: &str, password: &[u8], salt: [u8; 4]) -> String {
    let inner = hex(&Md5::new().chain_update(password).chain_update(user).finalize());
    format!("md5{}", hex(&Md5::new().chain_update(inner).chain_update(salt).finalize()))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A conversation of SCRAM-SHA-256 without channel binding: the certificate is checked instead.
pub(super) struct Scram {
    first_bare: String,
    nonce: String,
    expected: Option<[u8; KEY_BYTES]>,
}

impl Scram {
    /// `random` must not repeat.
    pub(super) fn new(random: [u8; 18]) -> Self {
        let nonce = STANDARD.encode(random);
        Self { first_bare: format!("n=,r={nonce}"), nonce, expected: None }
    }

    /// Our first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// Our last message, from the server's first.
    pub(super) fn last(&mut self, server_first: &[u8], password: &[u8]) -> Result<String, String> {
        let text = std::str::from_utf8(server_first).map_err(|_| "it is no text")?;
        let field = |name: &str| text.split(',').find_map(|part| part.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(count)) = (field("r="), field("s="), field("i=")) else {
            return Err("a message of SCRAM lacks a field".to_owned());
        };
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the server did not continue our nonce".to_owned());
        }
        let salt = STANDARD.decode(salt).map_err(|_| "the salt is not base64")?;
        let count = count.parse().ok().and_then(NonZeroU32::new);
        let count = count.filter(|count| count.get() <= ITERATIONS_MAX);
        let count = count.ok_or("the number of iterations cannot be")?;
        let mut salted = [0; KEY_BYTES];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, count, &salt, password, &mut salted);
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{text},{without_proof}", self.first_bare);
        let mut proof = mac(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, &proof);
        let signature = mac(stored.as_ref(), message.as_bytes());
        proof.iter_mut().zip(signature).for_each(|(one, other)| *one ^= other);
        self.expected = Some(mac(&mac(&salted, b"Server Key"), message.as_bytes()));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Whether the server knows the password too.
    pub(super) fn check(&self, server_final: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(server_final).map_err(|_| "it is no text")?;
        let verifier = text.strip_prefix("v=").and_then(|it| STANDARD.decode(it).ok());
        match (&self.expected, verifier) {
            (Some(expected), Some(verifier))
                if constant_time::verify_slices_are_equal(expected, &verifier).is_ok() =>
            {
                Ok(())
            }
            _ => Err("the server does not know the password: it is not who it claims".to_owned()),
        }
    }
}

fn mac(key: &[u8], message: &[u8]) -> [u8; KEY_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut bytes = [0; KEY_BYTES];
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3, with the user's name that PostgreSQL leaves out put in.
    #[test]
    fn scram_gives_the_proof_of_the_standard() {
        let mut scram = Scram::new([0; 18]);
        scram.nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        scram.first_bare = "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned();
        let first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                      s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = scram.last(first, b"pencil").unwrap();
        assert!(last.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{last}");
        scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=").is_err());
        assert!(scram.check(b"e=other-error").is_err());
    }

    #[test]
    fn a_server_that_does_not_continue_our_nonce_gets_no_proof() {
        let mut scram = Scram::new([7; 18]);
        let own = scram.nonce.clone();
        assert!(scram.last(b"r=other,s=QUJD,i=4096", b"x").is_err());
        assert!(scram.last(format!("r={own},s=QUJD,i=4096").as_bytes(), b"x").is_err());
        assert!(scram.last(format!("r={own}a,s=QUJD,i=0").as_bytes(), b"x").is_err());
        assert!(scram.last(format!("r={own}a,s=QUJD,i=99999999").as_bytes(), b"x").is_err());
        assert!(scram.last(format!("r={own}a,s=QUJD,i=4096").as_bytes(), b"x").is_ok());
    }

    #[test]
    fn md5_is_what_postgresql_expects() {
        // md5(md5("secret" ‖ "keeper") ‖ 01020304), computed with md5sum.
        let shown = md5_response("keeper", b"secret", [1, 2, 3, 4]);
        assert_eq!(shown, EXPECTED_MD5);
    }

    const EXPECTED_MD5: &str = "md5fe6f43f15abfb34c3c73d34458f652d0";
}
