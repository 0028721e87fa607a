//! Keys in a software TPM 2.0 through tpm2-pkcs11, from an empty one on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli_support;
mod hsm_support;

use hsm_support::{Token, openssl_verifies};

#[test]
fn a_tpm_makes_a_key_signs_with_it_and_says_what_it_cannot_do() {
    let token = Token::tpm();
    let made = token.generate("p256", "k");
    assert_eq!(made.exit, 0, "{}", made.err);
    assert_eq!(made.json()["cannot_leave"], true);
    let mut normalised = 0;
    for number in 0..20 {
        let _ = std::fs::remove_file(token.bench.path("signature"));
        token.bench.write("message", &number.to_string());
        let line = "keys hsm sign --key k.key --message message --out signature --json";
        let said = token.run(line);
        assert_eq!(said.exit, 0, "{}", said.err);
        normalised += u32::from(said.json()["normalised"] == true);
        let bytes = hsm_support::unhex(said.json()["signature_hex"].as_str().unwrap());
        let signature = p256::ecdsa::Signature::from_slice(&bytes).unwrap();
        assert_eq!(signature.normalize_s(), signature, "high s");
        let path = |name| token.bench.path(name);
        assert!(openssl_verifies(&path("k.pem"), &path("signature"), &path("message")));
    }
    println!("TPM: 20 signatures, {normalised} made low, all good to OpenSSL");
    assert_eq!(token.run("keys hsm check --key k.key").exit, 0);
    for kind in ["secp256k1", "ed25519", "recipient", "aes256"] {
        let said = token.generate(kind, kind);
        assert_ne!(said.exit, 0, "{kind}");
        assert!(said.err.contains("token tpm"), "{kind}: {}", said.err);
        assert!(!token.bench.path(&format!("{kind}.key")).exists());
    }
    let wrong = token.run(&format!("keys hsm keys --token {}", token.uri_with("wrong")));
    assert_eq!(wrong.exit, 12, "{}", wrong.err);
}

#[test]
fn a_secret_sealed_to_a_tpm_opens_in_it_alone() {
    let token = Token::tpm();
    let made = token.generate("rsa2048", "seal");
    assert_eq!(made.exit, 0, "{}", made.err);
    token.bench.write("secret", "AGE-SECRET-KEY-1-an-identity");
    let wrap = "keys hsm wrap --key seal.key --secret-file secret --out sealed";
    assert_eq!(token.run(wrap).exit, 0);
    let back = token.run("keys hsm unwrap --key seal.key --wrapped sealed --out back");
    assert_eq!(back.exit, 0, "{}", back.err);
    assert_eq!(token.bench.read("back"), token.bench.read("secret"));
    let mut sealed = std::fs::read(token.bench.path("sealed")).unwrap();
    sealed[100] ^= 1;
    std::fs::write(token.bench.path("sealed"), sealed).unwrap();
    let changed = token.run("keys hsm unwrap --key seal.key --wrapped sealed --out none");
    assert_ne!(changed.exit, 0);
    assert!(!token.bench.path("none").exists());
}
