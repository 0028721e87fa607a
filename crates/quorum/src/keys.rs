//! Keys and values of the shared store. Drawn in `docs/formats/quorum.md`.

use evenkeel_journal::{Batch, Chain, Identity, Position, Record, chain_behind};
use evenkeel_types::codec::{Canonical, DecodeError, Reader, Writer};

use crate::error::QuorumError;

/// Largest body of a frame, in bytes: etcd takes requests of up to 1.5 MiB.
pub const BODY_BYTES_MAX: u64 = 1 << 20;

/// Longest name and longest address, in bytes.
pub const HOLDER_TEXT_BYTES_MAX: usize = 256;

const MAGIC: &[u8; 3] = b"EVQ";
const VERSION: u8 = 1;

/// The keys of one journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Keys of the journal with this identity.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        let (cluster, lineage) = (hex(&identity.cluster_id), hex(&identity.lineage));
        Self { prefix: format!("/evenkeel/{cluster}/{lineage}/") }
    }

    /// What all its keys begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Key of the [`Term`].
    #[must_use]
    pub fn term(&self) -> Vec<u8> {
        self.key("term")
    }

    /// Key of the [`Tail`].
    #[must_use]
    pub fn tail(&self) -> Vec<u8> {
        self.key("tail")
    }

    /// Key of the [`Archived`].
    #[must_use]
    pub fn archived(&self) -> Vec<u8> {
        self.key("archived")
    }

    /// Key of the [`Beat`].
    #[must_use]
    pub fn beat(&self) -> Vec<u8> {
        self.key("beat")
    }

    /// Key of the frame that begins at `first`; keys ascend with positions.
    #[must_use]
    pub fn frame(&self, first: Position) -> Vec<u8> {
        self.key(&format!("frame/{first:016x}"))
    }

    /// Lower bound of all frames: below every one of their keys.
    #[must_use]
    pub fn frames_begin(&self) -> Vec<u8> {
        self.key("frame/")
    }

    /// Upper bound of all frames: above every one of their keys.
    #[must_use]
    pub fn frames_end(&self) -> Vec<u8> {
        self.key("frame0")
    }

    /// The position in a frame's key.
    ///
    /// # Errors
    /// [`QuorumError::Damaged`] for any other key.
    pub fn frame_first(&self, key: &[u8]) -> Result<Position, QuorumError> {
        let digits = key.strip_prefix(self.frames_begin().as_slice());
        digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| Position::from_str_radix(digits, 16).ok())
            .filter(|first| self.frame(*first) == key)
            .ok_or_else(|| QuorumError::damaged(key, "it is no key of a frame"))
    }

    fn key(&self, name: &str) -> Vec<u8> {
        format!("{}{name}", self.prefix).into_bytes()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Who holds a term.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder {
    /// Name of the host or process, for people; at most [`HOLDER_TEXT_BYTES_MAX`] bytes.
    pub name: String,
    /// Where clients reach it, as `host:port`; at most [`HOLDER_TEXT_BYTES_MAX`] bytes.
    pub address: String,
    /// Drawn at random by every process when it starts: tells two processes of one name apart, so
    /// that none takes the other's term for its own.
    pub run: [u8; 16],
}

impl Canonical for Holder {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(self.name.as_bytes());
        writer.bytes(self.address.as_bytes());
        writer.fixed(&self.run);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { name: text(reader)?, address: text(reader)?, run: reader.array()? })
    }
}

fn text(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let bytes = reader.bytes(HOLDER_TEXT_BYTES_MAX)?.to_vec();
    String::from_utf8(bytes).map_err(|_| reader.not_canonical("text that is not UTF-8"))
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.name.as_str(), self.address.as_str()) {
            ("", "") => f.write_str("nobody"),
            (name, "") => f.write_str(name),
            (name, address) => write!(f, "{name} at {address}"),
        }
    }
}

/// A value of the store: three letters, a kind, a version, then the fields.
pub trait Value: Sized {
    /// Tells the kinds apart.
    const KIND: u8;

    /// Writes the fields.
    fn write(&self, writer: &mut Writer);

    /// Reads the fields.
    ///
    /// # Errors
    /// Bytes that are not the canonical form.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The bytes in the store.
    fn to_value(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.fixed(MAGIC);
        writer.u8(Self::KIND);
        writer.u8(VERSION);
        self.write(&mut writer);
        writer.into_bytes()
    }

    /// Reads what the store holds at `key`, which is for messages.
    ///
    /// # Errors
    /// [`QuorumError::Damaged`].
    fn from_value(key: &[u8], bytes: &[u8]) -> Result<Self, QuorumError> {
        decode(bytes).map_err(|error| QuorumError::damaged(key, &error.to_string()))
    }
}

fn decode<V: Value>(bytes: &[u8]) -> Result<V, DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.fixed(MAGIC.len())? != MAGIC || reader.u8()? != V::KIND {
        return Err(reader.not_canonical("magic"));
    }
    match reader.u8()? {
        VERSION => {}
        version => return Err(reader.unknown_tag("version", version.into())),
    }
    let value = V::read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// Who may append. It changes only by compare-and-swap, and only upwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The fencing number.
    pub term: u64,
    /// Who won it; nobody in the first one.
    pub holder: Holder,
}

impl Value for Term {
    const KIND: u8 = b'T';

    fn write(&self, writer: &mut Writer) {
        writer.u64(self.term);
        self.holder.encode(writer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { term: reader.u64()?, holder: Holder::decode(reader)? })
    }
}

/// Where the log ends: everything below is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// First position that is not in the log.
    pub next: Position,
    /// Chain of everything below.
    pub chain: Chain,
    /// Term of the last frame.
    pub term: u64,
}

impl Value for Tail {
    const KIND: u8 = b'L';

    fn write(&self, writer: &mut Writer) {
        writer.u64(self.next);
        writer.fixed(&self.chain);
        writer.u64(self.term);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { next: reader.u64()?, chain: reader.array()?, term: reader.u64()? })
    }
}

/// How far the store was trimmed: frames below are elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archived {
    /// The sites, or the journal that the log began from, hold everything below; a frame ends here.
    pub below: Position,
}

impl Value for Archived {
    const KIND: u8 = b'A';

    fn write(&self, writer: &mut Writer) {
        writer.u64(self.below);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { below: reader.u64()? })
    }
}

/// A sign of life of the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Its term.
    pub term: u64,
    /// One more with each beat of the term.
    pub counter: u64,
    /// First position that is not durable.
    pub durable_next: Position,
    /// Where it can be reached.
    pub address: String,
}

impl Value for Beat {
    const KIND: u8 = b'B';

    fn write(&self, writer: &mut Writer) {
        writer.u64(self.term);
        writer.u64(self.counter);
        writer.u64(self.durable_next);
        writer.bytes(self.address.as_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (term, counter, durable_next) = (reader.u64()?, reader.u64()?, reader.u64()?);
        Ok(Self { term, counter, durable_next, address: text(reader)? })
    }
}

/// A frame as the store carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFrame {
    /// Term of the primary that wrote it.
    pub term: u64,
    /// Position of its first entry.
    pub first: Position,
    /// Chain before it.
    pub previous_chain: Chain,
    /// Chain behind it.
    pub chain: Chain,
    /// Its entries; never empty.
    pub entries: Vec<Vec<u8>>,
}

impl StoredFrame {
    /// The frame that continues a history. `None` if it has more entries than can be counted.
    #[must_use]
    pub fn behind(previous: Chain, term: u64, first: Position, entries: &[&[u8]]) -> Option<Self> {
        let chain = chain_behind(&previous, term, first, entries)?;
        let entries = entries.iter().map(|entry| entry.to_vec()).collect();
        Some(Self { term, first, previous_chain: previous, chain, entries })
    }

    /// First position behind it.
    #[must_use]
    pub fn next(&self) -> Position {
        self.first.saturating_add(self.entries.len() as u64)
    }

    /// Its entries as a reader of a journal gives them.
    #[must_use]
    pub fn into_batch(self) -> Batch {
        let Self { term, first, chain, entries, .. } = self;
        let records = (first..)
            .zip(entries)
            .map(|(position, entry)| Record { position, term, entry })
            .collect();
        Batch { first, term, chain, records }
    }

    /// Reads the frame at `key`: its place and its chain are proven.
    ///
    /// # Errors
    /// [`QuorumError::Damaged`].
    pub fn from_store(keys: &Keys, key: &[u8], bytes: &[u8]) -> Result<Self, QuorumError> {
        let frame = Self::from_value(key, bytes)?;
        if frame.first != keys.frame_first(key)? {
            return Err(QuorumError::damaged(key, "it holds the frame of another position"));
        }
        let entries: Vec<&[u8]> = frame.entries.iter().map(Vec::as_slice).collect();
        let chain = chain_behind(&frame.previous_chain, frame.term, frame.first, &entries);
        if chain != Some(frame.chain) {
            return Err(QuorumError::damaged(key, "its chain does not fit its bytes"));
        }
        Ok(frame)
    }
}

impl Value for StoredFrame {
    const KIND: u8 = b'F';

    fn write(&self, writer: &mut Writer) {
        writer.u64(self.term);
        writer.u64(self.first);
        writer.fixed(&self.previous_chain);
        writer.fixed(&self.chain);
        writer.u64(self.entries.len() as u64);
        for entry in &self.entries {
            writer.bytes(entry);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (term, first) = (reader.u64()?, reader.u64()?);
        let (previous_chain, chain) = (reader.array()?, reader.array()?);
        let count = reader.count()?;
        if count == 0 || first.checked_add(count as u64).is_none() {
            return Err(reader.not_canonical("count of entries"));
        }
        let limit = reader.remaining();
        let entries = (0..count)
            .map(|_| reader.bytes(limit).map(<[u8]>::to_vec))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { term, first, previous_chain, chain, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(&Identity { cluster_id: [0xc1; 16], lineage: [0x11; 16] })
    }

    fn holder() -> Holder {
        Holder { name: "a".to_owned(), address: "h:1".to_owned(), run: [7; 16] }
    }

    #[test]
    fn the_keys_are_those_of_the_format() {
        let prefix = format!("/evenkeel/{}/{}/", "c1".repeat(16), "11".repeat(16));
        let keys = keys();
        assert_eq!(keys.prefix(), prefix);
        let named = |name: &str| format!("{prefix}{name}").into_bytes();
        assert_eq!(keys.term(), named("term"));
        assert_eq!(keys.tail(), named("tail"));
        assert_eq!(keys.beat(), named("beat"));
        assert_eq!(keys.archived(), named("archived"));
        assert_eq!(keys.frame(0xabc), named("frame/0000000000000abc"));
        assert_eq!(keys.frame_first(&keys.frame(0xabc)), Ok(0xabc));
        assert!(keys.frame_first(&named("frame/abc")).is_err(), "sixteen digits, no fewer");
        assert!(keys.frame_first(&named("frame/0000000000000ABC")).is_err(), "small digits");
        assert!(keys.frames_begin() < keys.frame(0) && keys.frame(u64::MAX) < keys.frames_end());
    }

    #[test]
    fn the_bytes_of_each_value_are_those_of_the_format() {
        let term = Term { term: 300, holder: holder() };
        let run = "07".repeat(16);
        assert_eq!(hex(&term.to_value()), format!("4556515401ac02016103683a31{run}"));
        let tail = Tail { next: 129, chain: [0xaa; 32], term: 2 };
        assert_eq!(hex(&tail.to_value()), format!("4556514c018101{}02", "aa".repeat(32)));
        let archived = Archived { below: 5 };
        assert_eq!(hex(&archived.to_value()), "455651410105");
        let beat = Beat { term: 2, counter: 9, durable_next: 129, address: "h:1".to_owned() };
        assert_eq!(hex(&beat.to_value()), "45565142010209810103683a31");
        let frame = StoredFrame::behind([0; 32], 2, 7, &[b"ab", b""]).unwrap();
        let chain = hex(&frame.chain);
        assert_eq!(
            hex(&frame.to_value()),
            format!("45565146010207{}{chain}0202616200", "00".repeat(32))
        );
        assert_eq!(chain, "3374dd9dbe0399f21d4d5a769e75baed8180150ef3cee06834feec0f7a6db65f");
    }

    #[test]
    fn every_value_reads_back_and_nothing_else_does() {
        fn check<V: Value + PartialEq + std::fmt::Debug>(value: &V) {
            let bytes = value.to_value();
            assert_eq!(V::from_value(b"k", &bytes).as_ref(), Ok(value));
            for cut in 0..bytes.len() {
                assert!(V::from_value(b"k", &bytes[..cut]).is_err(), "cut at {cut}");
            }
            let longer = [bytes.as_slice(), &[0]].concat();
            assert!(V::from_value(b"k", &longer).is_err(), "a byte too many");
            for head in 0..5 {
                let mut other = bytes.clone();
                other[head] ^= 0x80;
                assert!(V::from_value(b"k", &other).is_err(), "byte {head} of the head");
            }
        }
        check(&Term { term: 3, holder: holder() });
        check(&Tail { next: 1, chain: [3; 32], term: 3 });
        check(&Archived { below: 9 });
        check(&Beat { term: 1, counter: 2, durable_next: 3, address: "x".to_owned() });
        check(&StoredFrame::behind([1; 32], 2, 7, &[b"ab"]).unwrap());
    }

    #[test]
    fn a_frame_is_refused_if_any_bit_of_it_changed_or_it_lies_elsewhere() {
        let keys = keys();
        let frame = StoredFrame::behind([1; 32], 2, 7, &[b"abc", b"d"]).unwrap();
        let (key, bytes) = (keys.frame(7), frame.to_value());
        assert_eq!(StoredFrame::from_store(&keys, &key, &bytes), Ok(frame));
        assert!(StoredFrame::from_store(&keys, &keys.frame(8), &bytes).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(StoredFrame::from_store(&keys, &key, &other).is_err(), "bit {bit}");
        }
    }
}
