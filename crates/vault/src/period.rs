//! Key periods: one data key for at most a day, wrapped for recipients, never stored by the writer.

use std::collections::{BTreeSet, HashSet};
use std::io::{Read, Write};

use evenkeel_types::{Canonical, Reader, Writer as Encoder};
use zeroize::Zeroizing;

use crate::certificate::{magic, text};
use crate::error::{Error, Result};
use crate::keys::{Recipient, RecipientMark};
use crate::layout::{Lineage, ObjectName, hex, unhex};
use crate::random::{self, Random};
use crate::record::PeriodRef;
use crate::unlock::Unlock;
use crate::verify::EVERY_SITE;

const MAGIC: &[u8; 4] = b"EVKK";
const VERSION: u8 = 1;
/// A key object holds one key for a handful of recipients; anything larger is not one.
const PLAIN_BYTES_MAX: u64 = 4096;
/// Lines of a key object's header that are looked at.
const HEADER_LINES_MAX: usize = 1024;

/// The key of one period.
pub(crate) type PeriodKey = Zeroizing<[u8; 32]>;

/// A period as its writer knows it.
pub(crate) struct Period {
    pub(crate) reference: PeriodRef,
    pub(crate) key: PeriodKey,
    pub(crate) started_time_ns: u64,
    /// The key object, as put to the sites.
    pub(crate) object: Vec<u8>,
}

impl Period {
    pub(crate) fn start(
        domain: &str,
        lineage: Lineage,
        number: u64,
        started_time_ns: u64,
        recipients: &[Recipient],
        random: &mut dyn Random,
    ) -> Result<Self> {
        let key: PeriodKey = Zeroizing::new(random::array(random)?);
        let object = seal(domain, lineage, number, &key, recipients)?;
        let hash = *blake3::hash(&object).as_bytes();
        Ok(Self { reference: PeriodRef { number, hash }, key, started_time_ns, object })
    }
}

/// The key of a period as an age file for these recipients.
pub(crate) fn seal(
    domain: &str,
    lineage: Lineage,
    number: u64,
    key: &PeriodKey,
    recipients: &[Recipient],
) -> Result<Vec<u8>> {
    let mut plain = Encoder::new();
    plain.fixed(MAGIC);
    plain.u8(VERSION);
    plain.bytes(domain.as_bytes());
    lineage.encode(&mut plain);
    plain.u64(number);
    plain.fixed(key.as_slice());
    let plain = Zeroizing::new(plain.into_bytes());
    let fail = |detail: String| Error::Invalid { what: "recipients", detail };
    if recipients.is_empty() {
        return Err(fail("none; configure at least the recovery recipient".to_owned()));
    }
    let marks = Marked(recipients.iter().map(|one| one.mark(lineage)).collect());
    let all = recipients.iter().map(Recipient::age);
    let encryptor = age::Encryptor::with_recipients(all.chain([&marks as &dyn age::Recipient]))
        .map_err(|error| fail(error.to_string()))?;
    let mut object = Vec::new();
    let mut writer = encryptor.wrap_output(&mut object).map_err(|why| fail(why.to_string()))?;
    writer.write_all(&plain).map_err(|why| fail(why.to_string()))?;
    writer.finish().map_err(|why| fail(why.to_string()))?;
    Ok(object)
}

/// Type of the stanza that says for whom a key object is wrapped. Others pass over it, as the age
/// format wants it.
const MARKS_STANZA: &str = "evenkeel-for";

/// Writes the marks of the recipients into the header, where the file's key authenticates them.
struct Marked(BTreeSet<RecipientMark>);

impl age::Recipient for Marked {
    fn wrap_file_key(
        &self,
        _key: &age_core::format::FileKey,
    ) -> Result<(Vec<age_core::format::Stanza>, HashSet<String>), age::EncryptError> {
        let args = self.0.iter().map(|mark| hex(&mark.0)).collect();
        let stanza =
            age_core::format::Stanza { tag: MARKS_STANZA.to_owned(), args, body: Vec::new() };
        Ok((vec![stanza], HashSet::new()))
    }
}

/// For whom a key object says it is wrapped; `None` if it was written before they said so.
pub(crate) fn marks_of(object: &[u8]) -> Option<BTreeSet<RecipientMark>> {
    let lines = object.split(|byte| *byte == b'\n');
    let header = lines.take_while(|line| !line.starts_with(b"---")).take(HEADER_LINES_MAX);
    let mut header = header.filter_map(|line| std::str::from_utf8(line).ok());
    let marks = header
        .find_map(|line| line.strip_prefix("-> ")?.strip_prefix(MARKS_STANZA)?.strip_prefix(' '))?;
    marks.split(' ').map(|mark| unhex(mark).map(RecipientMark)).collect()
}

/// Opens a key object whose hash was checked already.
pub(crate) fn open(
    domain: &str,
    lineage: Lineage,
    number: u64,
    object: &[u8],
    unlock: &Unlock,
) -> Result<PeriodKey> {
    let name = ObjectName::Period(lineage, number).key(domain);
    let integrity = |detail: String| Error::integrity(&name, EVERY_SITE, detail);
    let wrong = || Error::WrongIdentity { lineage: lineage.to_string(), period: number };
    let decryptor = age::Decryptor::new(object).map_err(|error| integrity(error.to_string()))?;
    let mut reader = match decryptor.decrypt(std::iter::once(unlock.age())) {
        Ok(reader) => reader.take(PLAIN_BYTES_MAX),
        Err(age::DecryptError::NoMatchingKeys) => return Err(wrong()),
        // The object is in memory: what failed is where the identity is held.
        Err(age::DecryptError::Io(error)) => return Err(Error::Elsewhere(error)),
        Err(error) => return Err(integrity(error.to_string())),
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(256));
    reader.read_to_end(&mut plain).map_err(|error| integrity(error.to_string()))?;
    let mut reader = Reader::new(&plain);
    let mut read = || {
        magic(&mut reader, MAGIC, VERSION)?;
        let found = (text(&mut reader, 32)?, Lineage::decode(&mut reader)?, reader.u64()?);
        let key: PeriodKey = Zeroizing::new(reader.array()?);
        reader.finish()?;
        Ok((found, key))
    };
    let (found, key) = read().map_err(Error::format(&name))?;
    if found != (domain.to_owned(), lineage, number) {
        return Err(integrity(format!(
            "it holds the key of domain {}, lineage {}, period {}",
            found.0, found.1, found.2
        )));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Identity;
    use crate::random::OsRandom;

    #[test]
    fn every_recipient_opens_a_period_and_nobody_else_does() {
        let (one, two, three) = (Identity::generate(), Identity::generate(), Identity::generate());
        let recipients = [one.recipient(), two.recipient()];
        let lineage = Lineage([1; 16]);
        let period = Period::start("state", lineage, 4, 0, &recipients, &mut OsRandom).unwrap();
        let [one, two, three] = [one, two, three].map(Unlock::from);
        for identity in [&one, &two] {
            let key = open("state", lineage, 4, &period.object, identity).unwrap();
            assert_eq!(key, period.key);
        }
        let error = open("state", lineage, 4, &period.object, &three).unwrap_err();
        assert!(matches!(error, Error::WrongIdentity { period: 4, .. }), "{error}");
        assert!(open("state", lineage, 5, &period.object, &one).is_err());
        assert!(open("network", lineage, 4, &period.object, &one).is_err());
        assert!(open("state", lineage, 4, &period.object[..40], &one).is_err());
        assert!(open("state", lineage, 4, b"garbage", &one).is_err());
    }

    #[test]
    fn a_key_object_says_for_whom_it_is_wrapped_to_those_who_know_them() {
        let (one, two) = (Identity::generate().recipient(), Identity::generate().recipient());
        let lineage = Lineage([1; 16]);
        let recipients = [one.clone(), two.clone()];
        let period = Period::start("state", lineage, 4, 0, &recipients, &mut OsRandom).unwrap();
        let marks = marks_of(&period.object).unwrap();
        assert_eq!(marks, [one.mark(lineage), two.mark(lineage)].into());
        assert_ne!(one.mark(lineage), one.mark(Lineage([2; 16])));
        assert!(!String::from_utf8_lossy(&period.object).contains(&one.to_string()));
        assert_eq!(marks_of(b"age-encryption.org/v1\n-> X25519 a\nb\n--- c\n"), None);
        assert_eq!(marks_of(b"---\n-> evenkeel-for 00\n"), None);
    }

    #[test]
    fn a_period_without_recipients_is_refused() {
        assert!(Period::start("state", Lineage([1; 16]), 1, 0, &[], &mut OsRandom).is_err());
    }
}
