//! What a recovery leaves behind for whoever asks later: who brought which card, how long it took,
//! and that the key was the recorded one. Signed, without a secret.

use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey};

use crate::cli::KeysEvidenceArgs;
use crate::documents::KeyRecoveryDocument;
use crate::keyfile::{hex, read_report_key, write_new};
use crate::keys_cmd::{input, signed};
use crate::output;
use crate::report::{Exit, Report, Result};

const LABEL: &[u8] = b"evenkeel key recovery 1\0";

/// Signs it with the report key and writes it to a new file.
pub(super) fn write(file: &Path, key: &Path, said: KeyRecoveryDocument) -> Result<()> {
    let key = read_report_key(key)?;
    let said = sign(said, &key);
    write_new(file, format!("{}\n", text(&said)).as_bytes())?;
    output::note(&format!("wrote the evidence to {}; it holds no secret", file.display()));
    Ok(())
}

fn sign(said: KeyRecoveryDocument, key: &SigningKey) -> KeyRecoveryDocument {
    let signer_hex = hex(key.verifying_key().as_bytes());
    let unsigned = KeyRecoveryDocument { signer_hex, signature_hex: String::new(), ..said };
    let signature_hex = hex(&key.sign(&signed_bytes(&unsigned)).to_bytes());
    KeyRecoveryDocument { signature_hex, ..unsigned }
}

fn text(said: &KeyRecoveryDocument) -> String {
    serde_json::to_string(said).unwrap_or_default()
}

fn signed_bytes(said: &KeyRecoveryDocument) -> Vec<u8> {
    let unsigned = KeyRecoveryDocument { signature_hex: String::new(), ..said.clone() };
    [LABEL, text(&unsigned).as_bytes()].concat()
}

/// `keys evidence`
pub(super) fn run(args: &KeysEvidenceArgs) -> Result<Exit> {
    let file = &args.evidence;
    let line = input::read_text(file, "the evidence")?;
    let said: KeyRecoveryDocument = serde_json::from_str(&line).map_err(|error| {
        Report::new(Exit::Usage, format!("this is no evidence of a recovery: {error}"))
            .at(file.display().to_string())
            .safe("nothing was changed")
            .next("give the file that `keys recover --evidence FILE` wrote")
    })?;
    if text(&said) != line.trim_end() || !is_genuine(&said) {
        return Err(Report::new(Exit::Integrity, "the evidence was changed after it was signed")
            .at(file.display().to_string())
            .safe("nothing was changed; the key itself is not touched by this")
            .next("ask for the original; this copy proves nothing"));
    }
    let known = args.key.as_deref().is_none_or(|key| key.eq_ignore_ascii_case(&said.signer_hex));
    if !known {
        return Err(Report::new(Exit::WrongKey, "the evidence is signed by another key")
            .at(file.display().to_string())
            .detail(format!("signed by {}", said.signer_hex))
            .safe("nothing was changed")
            .next("compare with the public key in the report key's file, and ask who signed"));
    }
    if args.json {
        output::document(&said)?;
    } else {
        say(&said)?;
    }
    Ok(if said.verified && args.key.is_some() { Exit::Ok } else { Exit::Partial })
}

fn is_genuine(said: &KeyRecoveryDocument) -> bool {
    signed::holds(&said.signer_hex, &said.signature_hex, &signed_bytes(said))
}

fn say(said: &KeyRecoveryDocument) -> Result<()> {
    let verified = if said.verified { "the recorded key" } else { "UNVERIFIED" };
    let lines = [
        format!("recovery  of set {:05}, generation {}: {verified}", said.set, said.generation),
        format!("  cards   {}", said.cards.join(", ")),
        format!("  took    {} s, from {} to {}", said.elapsed_seconds, said.begun, said.ended),
        format!("  refused {} cards, {} passphrases", said.cards_refused, said.passphrases_refused),
        match &said.recipient {
            Some(recipient) => format!("  key     recipient {recipient}"),
            None => format!("  key     master fingerprint {}", said.master_fingerprint),
        },
        format!("  signer  {}", said.signer_hex),
    ];
    output::result(&lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_holds_for_its_own_words_and_no_others() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let said = sign(KeyRecoveryDocument { set: 7, ..Default::default() }, &key);
        assert!(is_genuine(&said));
        let other = KeyRecoveryDocument { verified: true, ..said.clone() };
        assert!(!is_genuine(&other));
        let stranger = SigningKey::from_bytes(&[8; 32]);
        let signer_hex = hex(stranger.verifying_key().as_bytes());
        assert!(!is_genuine(&KeyRecoveryDocument { signer_hex, ..said }));
    }
}
