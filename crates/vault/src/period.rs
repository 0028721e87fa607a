//! Key periods: one data key for at most a day, wrapped for recipients, never stored by the writer.

use std::io::{Read, Write};

use evenkeel_types::{Canonical, Reader, Writer as Encoder};
use zeroize::Zeroizing;

use crate::certificate::{magic, text};
use crate::error::{Error, Result};
use crate::keys::{Identity, Recipient};
use crate::layout::{Lineage, ObjectName};
use crate::random::{self, Random};
use crate::record::PeriodRef;
use crate::verify::EVERY_SITE;

const MAGIC: &[u8; 4] = b"EVKK";
const VERSION: u8 = 1;
/// A key object holds one key for a handful of recipients; anything larger is not one.
const PLAIN_BYTES_MAX: u64 = 4096;

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
        let mut plain = Encoder::new();
        plain.fixed(MAGIC);
        plain.u8(VERSION);
        plain.bytes(domain.as_bytes());
        lineage.encode(&mut plain);
        plain.u64(number);
        plain.fixed(key.as_slice());
        let object = wrap(&Zeroizing::new(plain.into_bytes()), recipients)?;
        let hash = *blake3::hash(&object).as_bytes();
        Ok(Self { reference: PeriodRef { number, hash }, key, started_time_ns, object })
    }
}

fn wrap(plain: &[u8], recipients: &[Recipient]) -> Result<Vec<u8>> {
    let fail = |detail: String| Error::Invalid { what: "recipients", detail };
    let recipients = recipients.iter().map(|one| one.age() as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients)
        .map_err(|error| fail(format!("{error}; configure at least the recovery recipient")))?;
    let mut object = Vec::new();
    let mut writer = encryptor.wrap_output(&mut object).map_err(|why| fail(why.to_string()))?;
    writer.write_all(plain).map_err(|why| fail(why.to_string()))?;
    writer.finish().map_err(|why| fail(why.to_string()))?;
    Ok(object)
}

/// Opens a key object whose hash was checked already.
pub(crate) fn open(
    domain: &str,
    lineage: Lineage,
    number: u64,
    object: &[u8],
    identity: &Identity,
) -> Result<PeriodKey> {
    let name = ObjectName::Period(lineage, number).key(domain);
    let integrity = |detail: String| Error::integrity(&name, EVERY_SITE, detail);
    let wrong = || Error::WrongIdentity { lineage: lineage.to_string(), period: number };
    let decryptor = age::Decryptor::new(object).map_err(|error| integrity(error.to_string()))?;
    let mut reader = match decryptor.decrypt(std::iter::once(identity.age() as _)) {
        Ok(reader) => reader.take(PLAIN_BYTES_MAX),
        Err(age::DecryptError::NoMatchingKeys) => return Err(wrong()),
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
    use crate::random::OsRandom;

    #[test]
    fn every_recipient_opens_a_period_and_nobody_else_does() {
        let (one, two, three) = (Identity::generate(), Identity::generate(), Identity::generate());
        let recipients = [one.recipient(), two.recipient()];
        let lineage = Lineage([1; 16]);
        let period = Period::start("state", lineage, 4, 0, &recipients, &mut OsRandom).unwrap();
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
    fn a_period_without_recipients_is_refused() {
        assert!(Period::start("state", Lineage([1; 16]), 1, 0, &[], &mut OsRandom).is_err());
    }
}
