//! Keys on disk: one secret per file, mode 600, as text with words that say what it is.
//!
//! ```text
//! # Evenkeel writer key of domain state
//! # public: 3b6a…
//! EVENKEEL-WRITER-KEY-1-<64 hexadecimal digits>
//! ```
//! Lines that begin with `#` are comments. A certificate is no secret and is written the same way.

mod plain;

use std::path::Path;
use std::sync::Arc;

use evenkeel_types::Canonical;
use evenkeel_vault::{
    ApproverKey, Certificate, IdKey, Identity, Recipient, RecoveryIdentity, WriterKey,
};
use zeroize::Zeroizing;

use plain::{damaged, read_secret, read_text, value, write_secret};
pub(crate) use plain::{hex, unhex, write_new};
pub use plain::{read_report_key, write_report_key};

use crate::report::{Exit, Report, Result};
use crate::token_key::{self, TokenKey};

const WRITER: &str = "EVENKEEL-WRITER-KEY-1-";
const CERTIFICATE: &str = "EVENKEEL-WRITER-CERTIFICATE-1-";
const CHUNK_ID: &str = "EVENKEEL-CHUNK-ID-KEY-1-";
const APPROVER: &str = "EVENKEEL-APPROVER-KEY-1-";

/// Reads a writer's signing key.
///
/// # Errors
/// [`WrongKey`](crate::report::Exit::WrongKey) if the file is no such key;
/// [`Failed`](crate::report::Exit::Failed) if it cannot be read.
pub fn read_writer_key(file: &Path) -> Result<WriterKey> {
    if let Some(key) = in_token(file)? {
        let signer = key.signer().map_err(|report| report.at(file.display().to_string()))?;
        let public = signer.public();
        let sign = move |message: &[u8]| signer.sign(message).map_err(std::io::Error::other);
        return Ok(WriterKey::elsewhere(public, Box::new(sign)));
    }
    read_secret(file, WRITER).map(|secret| WriterKey::from_bytes(&secret))
}

/// The key in a token that a file names, if that is what it does.
fn in_token(file: &Path) -> Result<Option<TokenKey>> {
    let text = read_text(file)?;
    if !token_key::is_token_key(&text) {
        return Ok(None);
    }
    let read = TokenKey::parse(&text);
    read.map(Some).map_err(|report| report.at(file.display().to_string()))
}

/// Reads the key of chunk ids.
///
/// # Errors
/// As [`read_writer_key`].
pub fn read_chunk_id_key(file: &Path) -> Result<IdKey> {
    read_secret(file, CHUNK_ID).map(|secret| IdKey::from_bytes(&secret))
}

/// Reads an approver's signing key.
///
/// # Errors
/// As [`read_writer_key`].
pub fn read_approver_key(file: &Path) -> Result<ApproverKey> {
    read_secret(file, APPROVER).map(|secret| ApproverKey::from_bytes(&secret))
}

/// Reads a writer's certificate. Whether the root signed it is for the caller to check.
///
/// # Errors
/// As [`read_writer_key`].
pub fn read_certificate(file: &Path) -> Result<Certificate> {
    let text = read_text(file)?;
    let bytes = unhex(value(&text, CERTIFICATE, file)?).ok_or_else(|| damaged(file))?;
    Certificate::from_bytes(&bytes).map_err(|_| damaged(file))
}

/// Reads an age identity: the drill host's, or the one in a recovery file.
///
/// # Errors
/// As [`read_writer_key`].
pub fn read_identity(file: &Path) -> Result<Identity> {
    if let Some(key) = in_token(file)? {
        let at = |report: Report| report.at(file.display().to_string());
        let identity = key.identity().map_err(at)?;
        let recipient = Recipient::parse(&identity.recipient())?;
        return Ok(Identity::elsewhere(recipient, Arc::new(identity)));
    }
    let text = read_text(file)?;
    Identity::parse(&text).map_err(|error| Report::from(error).at(file.display().to_string()))
}

/// Reads a recovery file: identity and root key.
///
/// # Errors
/// As [`read_writer_key`].
pub fn read_recovery_identity(file: &Path) -> Result<RecoveryIdentity> {
    let text = read_text(file)?;
    RecoveryIdentity::parse(&text)
        .map_err(|error| Report::from(error).at(file.display().to_string()))
}

/// Writes a writer's key to a new file.
///
/// # Errors
/// [`Failed`](crate::report::Exit::Failed) if the file exists or cannot be written.
pub fn write_writer_key(file: &Path, domain: &str, key: &WriterKey) -> Result<()> {
    let words = format!(
        "# Evenkeel writer key of domain {domain}\n# public: {}\n\
         # Whoever has it can add records to this lineage, never read or remove any.\n",
        hex(&key.public())
    );
    let secret = key.to_bytes().ok_or_else(|| {
        Report::new(Exit::Failed, "a key that is held in a token is not written to a file")
    })?;
    write_secret(file, &words, WRITER, secret.as_slice())
}

/// Writes a key of chunk ids to a new file.
///
/// # Errors
/// As [`write_writer_key`].
pub fn write_chunk_id_key(file: &Path, domain: &str, key: &IdKey) -> Result<()> {
    let words = format!(
        "# Evenkeel chunk id key of domain {domain}\n\
         # It opens nothing: it tells whether a chunk that one already holds is in the vault.\n"
    );
    write_secret(file, &words, CHUNK_ID, key.to_bytes().as_slice())
}

/// Writes an approver's signing key to a new file.
///
/// # Errors
/// As [`write_writer_key`].
pub fn write_approver_key(file: &Path, key: &ApproverKey) -> Result<()> {
    let words = format!(
        "# Evenkeel approver key\n# public: {}\n\
         # As many such keys as [deletion] needs can have old copies deleted, after its delay.\n",
        hex(&key.public())
    );
    write_secret(file, &words, APPROVER, key.to_bytes().as_slice())
}

/// Writes a certificate to a new file.
///
/// # Errors
/// As [`write_writer_key`].
pub fn write_certificate(file: &Path, certificate: &Certificate) -> Result<()> {
    let words = format!(
        "# Evenkeel writer certificate of domain {}\n# lineage: {}\n# writer: {}\n",
        certificate.domain,
        certificate.lineage,
        hex(&certificate.writer)
    );
    write_secret(file, &words, CERTIFICATE, &certificate.to_bytes())
}

/// Writes a recovery identity to a new file.
///
/// # Errors
/// As [`write_writer_key`].
pub fn write_recovery_identity(file: &Path, identity: &RecoveryIdentity) -> Result<()> {
    write_new(file, identity.to_text().as_bytes())
}

/// Writes a drill host's identity to a new file.
///
/// # Errors
/// As [`write_writer_key`].
pub fn write_drill_identity(file: &Path, identity: &Identity) -> Result<()> {
    write_identity(file, "# Evenkeel identity of a drill host\n", identity)
}

/// Writes an identity that opens a domain whose root is elsewhere to a new file.
///
/// # Errors
/// As [`write_writer_key`].
pub fn write_opening_identity(file: &Path, identity: &Identity) -> Result<()> {
    let words = "# Evenkeel recovery identity; the root of its domain is elsewhere\n\
                 # Move it off this machine now: to paper, or to media in a safe, at two places.\n";
    write_identity(file, words, identity)
}

fn write_identity(file: &Path, words: &str, identity: &Identity) -> Result<()> {
    let mut text = Zeroizing::new(words.to_owned());
    text.push_str("# Whoever has it can read every key period that was wrapped for it.\n");
    text.push_str(&identity.to_text());
    write_new(file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use evenkeel_vault::{Lineage, OsRandom};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn every_key_reads_back_from_its_file_and_only_the_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let writer = WriterKey::generate(&mut OsRandom).unwrap();
        write_writer_key(&file("w"), "state", &writer).unwrap();
        assert_eq!(read_writer_key(&file("w")).unwrap().public(), writer.public());
        let chunk = IdKey::generate(&mut OsRandom).unwrap();
        write_chunk_id_key(&file("i"), "state", &chunk).unwrap();
        assert_eq!(read_chunk_id_key(&file("i")).unwrap().to_bytes(), chunk.to_bytes());
        let report = SigningKey::from_bytes(&[7; 32]);
        write_report_key(&file("r"), &report).unwrap();
        assert_eq!(read_report_key(&file("r")).unwrap().to_bytes(), report.to_bytes());
        let recovery = RecoveryIdentity::generate("state", &mut OsRandom).unwrap();
        write_recovery_identity(&file("o"), &recovery).unwrap();
        let read = read_recovery_identity(&file("o")).unwrap();
        assert_eq!(read.root_public(), recovery.root_public());
        assert_eq!(read_identity(&file("o")).unwrap().recipient(), recovery.recipient());
        let issued = recovery.certify(Lineage([1; 16]), None, writer.public(), 5).unwrap();
        write_certificate(&file("c"), &issued).unwrap();
        assert_eq!(read_certificate(&file("c")).unwrap(), issued);
        let drill = Identity::generate();
        write_drill_identity(&file("d"), &drill).unwrap();
        assert_eq!(read_identity(&file("d")).unwrap().recipient(), drill.recipient());
        for name in ["w", "i", "r", "o", "c", "d"] {
            let mode = file(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_file_of_another_kind_a_damaged_one_and_a_missing_one_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let missing = read_writer_key(&file).unwrap_err();
        assert_eq!(missing.exit(), Exit::Failed);
        write_report_key(&file, &SigningKey::from_bytes(&[7; 32])).unwrap();
        let other = read_writer_key(&file).unwrap_err();
        assert_eq!(other.exit(), Exit::WrongKey);
        assert!(other.message().contains("EVENKEEL-WRITER-KEY"), "{other}");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, &text[..text.len() - 5]).unwrap();
        let damaged = read_report_key(&file).unwrap_err();
        assert!(damaged.message().contains("damaged"), "{damaged}");
    }

    #[test]
    fn a_key_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        write_report_key(&file, &SigningKey::from_bytes(&[7; 32])).unwrap();
        let refused = write_report_key(&file, &SigningKey::from_bytes(&[8; 32])).unwrap_err();
        assert!(refused.to_string().contains("untouched"), "{refused}");
        assert_eq!(read_report_key(&file).unwrap().to_bytes(), [7; 32]);
    }
}
