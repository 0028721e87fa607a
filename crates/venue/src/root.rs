//! The state root and proofs of single leaves.

use crate::engine::Engine;
use crate::leaf::{LeafKey, Output, leaf_salt};
use crate::restore::{BookRecord, read_account_record, read_book_record};
use crate::view::AccountView;
use evenkeel_types::canonical_struct;
use evenkeel_types::merkle::{self, Frontier, Hash};
use evenkeel_types::{AccountId, Canonical, DecodeError, InstrumentId, Reader, Writer};
use sha2::{Digest, Sha256};

impl Engine {
    /// Root of the RFC 6962 tree over the salted leaves of the state: one hash that covers
    /// everything that can influence later output. Drawn in `docs/formats/venue.md`.
    #[must_use]
    pub fn state_root(&self) -> Hash {
        let mut frontier = Frontier::new();
        self.state.each_leaf(|key| frontier.push(self.hash_leaf(key)));
        frontier.root()
    }

    /// The tree with its leaves, for proofs. Holds a copy of the state's encoding.
    #[must_use]
    pub fn state_tree(&self) -> StateTree {
        let mut leaves = Vec::new();
        self.state.each_leaf(|key| {
            let mut value = Vec::new();
            let mut sink = |chunk: &[u8]| value.extend_from_slice(chunk);
            let mut output = Output::new(&mut sink);
            // The key was just enumerated, so the leaf exists.
            let _ = self.state.write_leaf(key, &mut output);
            output.flush();
            let salt = leaf_salt(&self.state.meta.salt, &key);
            leaves.push(Leaf { key, salt, value });
        });
        let hashes = leaves.iter().map(Leaf::hash).collect();
        StateTree { leaves, hashes }
    }

    /// Hashes a leaf as it is written, without holding it.
    fn hash_leaf(&self, key: LeafKey) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update([0u8]);
        hasher.update(leaf_salt(&self.state.meta.salt, &key));
        hasher.update(key.to_bytes());
        let mut sink = |chunk: &[u8]| hasher.update(chunk);
        let mut output = Output::new(&mut sink);
        let _ = self.state.write_leaf(key, &mut output);
        output.flush();
        hasher.finalize().into()
    }
}

#[derive(Debug, Clone)]
struct Leaf {
    key: LeafKey,
    salt: Hash,
    value: Vec<u8>,
}

impl Leaf {
    fn hash(&self) -> Hash {
        salted_leaf_hash(&self.salt, &self.key, &self.value)
    }
}

/// RFC 6962 leaf hash of `salt ‖ key ‖ value`.
fn salted_leaf_hash(salt: &Hash, key: &LeafKey, value: &[u8]) -> Hash {
    let mut writer = Writer::new();
    writer.fixed(salt);
    key.encode(&mut writer);
    writer.fixed(value);
    merkle::leaf_hash(writer.as_bytes())
}

/// All leaves of a state, to prove single ones.
#[derive(Debug, Clone)]
pub struct StateTree {
    leaves: Vec<Leaf>,
    hashes: Vec<Hash>,
}

impl StateTree {
    /// Root over the leaves: equal to [`Engine::state_root`].
    #[must_use]
    pub fn root(&self) -> Hash {
        merkle::root(&self.hashes)
    }

    /// Keys of the leaves, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = LeafKey> + '_ {
        self.leaves.iter().map(|leaf| leaf.key)
    }

    /// Canonical bytes of a leaf's value, in the order of [`StateTree::keys`].
    pub fn values(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        self.leaves.iter().map(|leaf| leaf.value.as_slice())
    }

    /// Proof of any leaf; `None` if there is none with this key.
    #[must_use]
    pub fn prove(&self, key: LeafKey) -> Option<Proof> {
        let index = self.leaves.binary_search_by_key(&key, |leaf| leaf.key).ok()?;
        let leaf = &self.leaves[index];
        Some(Proof {
            key,
            salt: leaf.salt,
            value: leaf.value.clone(),
            index: index as u64,
            leaf_count: self.leaves.len() as u64,
            siblings: merkle::inclusion_proof(&self.hashes, index)?,
        })
    }

    /// Proof of an account's collateral, balances and positions.
    #[must_use]
    pub fn prove_account(&self, account: AccountId) -> Option<Proof> {
        self.prove(LeafKey::Account { account })
    }

    /// Proof of a book: its prices, orders and sizes, without owners.
    #[must_use]
    pub fn prove_book(&self, instrument: InstrumentId) -> Option<Proof> {
        self.prove(LeafKey::Book { instrument })
    }
}

/// One leaf and its way up to a state root. It tells nothing of other leaves but hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Which leaf.
    pub key: LeafKey,
    /// The leaf's salt.
    pub salt: Hash,
    /// The leaf's canonical bytes.
    pub value: Vec<u8>,
    /// Its place among the leaves.
    pub index: u64,
    /// Number of leaves. The root does not commit to it (RFC 6962); the meta leaf's counts do.
    pub leaf_count: u64,
    /// Neighbours' hashes, bottom-up (RFC 6962 §2.1.1).
    pub siblings: Vec<Hash>,
}

/// Largest leaf value in a proof that is read.
const MAX_VALUE_BYTES: usize = 1 << 30;

/// A byte string with its length, of at most [`MAX_VALUE_BYTES`].
struct Value(Vec<u8>);

impl Canonical for Value {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.bytes(MAX_VALUE_BYTES)?.to_vec()))
    }
}

struct Place {
    index: u64,
    leaf_count: u64,
}
canonical_struct!(Place { index, leaf_count });

impl Canonical for Proof {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(Self::VERSION);
        self.key.encode(writer);
        self.salt.encode(writer);
        writer.bytes(&self.value);
        let (index, leaf_count) = (self.index, self.leaf_count);
        Place { index, leaf_count }.encode(writer);
        writer.sequence(self.siblings.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.u8()?;
        if version != Self::VERSION {
            return Err(reader.unknown_tag("proof version", version.into()));
        }
        let (key, salt, value) =
            (LeafKey::decode(reader)?, Canonical::decode(reader)?, Value::decode(reader)?.0);
        let Place { index, leaf_count } = Place::decode(reader)?;
        Ok(Self { key, salt, value, index, leaf_count, siblings: reader.sequence()? })
    }
}

impl Proof {
    /// Version byte that every encoded proof begins with.
    pub const VERSION: u8 = 1;

    /// Whether the leaf belongs to the state with this root. Needs nothing else.
    #[must_use]
    pub fn verify(&self, root: &Hash) -> bool {
        let leaf = salted_leaf_hash(&self.salt, &self.key, &self.value);
        merkle::verify_inclusion(root, self.leaf_count, self.index, &leaf, &self.siblings)
    }

    /// The account that the leaf holds; `None` for another kind of leaf.
    ///
    /// # Errors
    /// [`DecodeError`] if the value is not canonical.
    pub fn account(&self) -> Option<Result<AccountView, DecodeError>> {
        let LeafKey::Account { account } = self.key else {
            return None;
        };
        Some(decode_whole(&self.value, |reader| read_account_record(account, reader)))
    }

    /// The book that the leaf holds; `None` for another kind of leaf.
    ///
    /// # Errors
    /// [`DecodeError`] if the value is not canonical.
    pub fn book(&self) -> Option<Result<BookRecord, DecodeError>> {
        let LeafKey::Book { .. } = self.key else {
            return None;
        };
        Some(decode_whole(&self.value, read_book_record))
    }
}

fn decode_whole<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}
