//! Who opens key periods: somebody's identity, or what a quorum of holders decrypted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use age_core::format::{FileKey, Stanza};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::keys::Identity;

/// A file key in the header of a key object, wrapped for one X25519 recipient
/// (age-encryption.org/v1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WrappedFileKey {
    /// The ephemeral share of whoever wrapped it.
    pub share: [u8; 32],
    /// The file key, sealed.
    pub body: [u8; 32],
}

impl WrappedFileKey {
    /// `None` if the stanza is of another type or form.
    fn of(stanza: &Stanza) -> Option<Self> {
        let [share] = stanza.args.as_slice() else {
            return None;
        };
        let share = BASE64_STANDARD_NO_PAD.decode(share).ok()?.try_into().ok()?;
        let body = stanza.body.as_slice().try_into().ok()?;
        (stanza.tag == "X25519").then_some(Self { share, body })
    }
}

/// Opens key objects.
#[derive(Debug, Clone)]
pub enum Unlock {
    /// With the secret of a recipient.
    Identity(Identity),
    /// With the keys of single objects, which somebody else unwrapped.
    FileKeys(FileKeys),
}

impl Unlock {
    /// The one place where the vault meets whoever opens.
    pub(crate) fn age(&self) -> &dyn age::Identity {
        match self {
            Self::Identity(identity) => identity.age(),
            Self::FileKeys(keys) => keys,
        }
    }
}

impl From<Identity> for Unlock {
    fn from(identity: Identity) -> Self {
        Self::Identity(identity)
    }
}

impl From<FileKeys> for Unlock {
    fn from(keys: FileKeys) -> Self {
        Self::FileKeys(keys)
    }
}

/// File keys by what they were unwrapped from. They open the objects they belong to and no other.
#[derive(Clone, Default)]
pub struct FileKeys(BTreeMap<WrappedFileKey, Zeroizing<[u8; 16]>>);

impl FileKeys {
    /// Adds one.
    pub fn insert(&mut self, wrapped: WrappedFileKey, key: Zeroizing<[u8; 16]>) {
        self.0.insert(wrapped, key);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl age::Identity for FileKeys {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        let key = self.0.get(&WrappedFileKey::of(stanza)?)?;
        Some(Ok(FileKey::init_with_mut(|into| into.copy_from_slice(key.as_slice()))))
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileKeys({} withheld)", self.0.len())
    }
}

/// Sees the stanzas of a header and opens none.
#[derive(Default)]
struct Onlooker(Mutex<Vec<WrappedFileKey>>);

impl age::Identity for Onlooker {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        if let (Ok(mut seen), Some(wrapped)) = (self.0.lock(), WrappedFileKey::of(stanza)) {
            seen.push(wrapped);
        }
        None
    }
}

/// What the header of a key object wraps for X25519 recipients; `None` if it is no age file.
pub(crate) fn wrapped_in(object: &[u8]) -> Option<Vec<WrappedFileKey>> {
    let onlooker = Onlooker::default();
    let decryptor = age::Decryptor::new(object).ok()?;
    match decryptor.decrypt(std::iter::once(&onlooker as _)) {
        Err(age::DecryptError::NoMatchingKeys) => onlooker.0.into_inner().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use age_core::format::FileKey;
    use age_core::secrecy::ExposeSecret;

    use super::*;
    use crate::layout::Lineage;
    use crate::period::{self, Period};
    use crate::random::OsRandom;

    /// Unwraps with an identity what a quorum would.
    fn unwrapped(object: &[u8], identity: &Identity) -> FileKeys {
        let mut keys = FileKeys::default();
        for wrapped in wrapped_in(object).unwrap() {
            let stanza = Stanza {
                tag: "X25519".to_owned(),
                args: vec![BASE64_STANDARD_NO_PAD.encode(wrapped.share)],
                body: wrapped.body.to_vec(),
            };
            let key: Option<FileKey> =
                age::Identity::unwrap_stanza(identity.age(), &stanza).and_then(Result::ok);
            if let Some(key) = key {
                keys.insert(wrapped, Zeroizing::new(*key.expose_secret()));
            }
        }
        keys
    }

    #[test]
    fn file_keys_open_the_object_they_belong_to_and_no_other() {
        let (one, two) = (Identity::generate(), Identity::generate());
        let recipients = [one.recipient(), two.recipient()];
        let lineage = Lineage([1; 16]);
        let start = |number| Period::start("state", lineage, number, 0, &recipients, &mut OsRandom);
        let (first, second) = (start(1).unwrap(), start(2).unwrap());
        assert_eq!(wrapped_in(&first.object).unwrap().len(), 2);
        assert_eq!(wrapped_in(b"no age file"), None);
        let keys = unwrapped(&first.object, &one);
        assert_eq!(keys.len(), 1);
        let unlock = Unlock::from(keys);
        let open = |number, object: &[u8]| period::open("state", lineage, number, object, &unlock);
        assert_eq!(open(1, &first.object).unwrap(), first.key);
        assert!(open(2, &second.object).is_err());
        assert!(!format!("{unlock:?}").contains("[1"), "{unlock:?}");
    }
}
