//! The canonical binary encoding: one value, one byte string.
//!
//! Integers are unsigned LEB128 varints in their shortest form (signed ones zigzag-mapped first),
//! byte strings carry their length, enumerations carry a one-byte tag, options a `0`/`1` byte.
//! Decoding is strict: a longer varint, an unknown tag, a missing or a left-over byte is an error,
//! so `decode(bytes)` succeeds only if `encode` of the result gives the very same bytes.
//! Drawn in `docs/formats/types.md`.

use std::collections::{BTreeMap, VecDeque};
use thiserror::Error;

/// Why bytes are not the canonical encoding of a value. `at` is the byte offset of the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ended inside a value.
    #[error("the bytes end at offset {at}, inside a value")]
    UnexpectedEnd {
        /// Offset of the first missing byte.
        at: usize,
    },
    /// The value is well formed but not the one canonical form of it.
    #[error("not the canonical form at offset {at}: {what}")]
    NotCanonical {
        /// Offset behind the offending bytes.
        at: usize,
        /// The rule that was broken.
        what: &'static str,
    },
    /// A tag or version byte that this version does not know.
    #[error("unknown {what} {tag} at offset {at}; a newer version may have written it")]
    UnknownTag {
        /// Offset behind the tag.
        at: usize,
        /// What the tag selects.
        what: &'static str,
        /// The tag found.
        tag: u64,
    },
    /// A length beyond what the field may hold.
    #[error("length {length_bytes} at offset {at} exceeds the limit of {limit_bytes} bytes")]
    TooLong {
        /// Offset behind the length.
        at: usize,
        /// The length found.
        length_bytes: u64,
        /// The largest length allowed.
        limit_bytes: u64,
    },
    /// Bytes remain behind the value.
    #[error("{count} bytes are left over behind the value at offset {at}")]
    TrailingBytes {
        /// Offset of the first left-over byte.
        at: usize,
        /// Number of left-over bytes.
        count: usize,
    },
}

/// A value with exactly one byte form.
pub trait Canonical: Sized {
    /// Appends the canonical bytes.
    fn encode(&self, writer: &mut Writer);

    /// Reads one value, leaving the reader behind it.
    ///
    /// # Errors
    /// Any deviation from the canonical form, see [`DecodeError`].
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The canonical bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.encode(&mut writer);
        writer.into_bytes()
    }

    /// Decodes a value that must fill `bytes` exactly.
    ///
    /// # Errors
    /// As [`Canonical::decode`], and [`DecodeError::TrailingBytes`].
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// Collects canonical bytes.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the bytes out.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Forgets the bytes and keeps the allocation, for reuse on hot paths.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// An unsigned varint, 1–10 bytes.
    pub fn u64(&mut self, mut value: u64) {
        // Not by way of `u128`: this is the hot path of every entry and event.
        while value > 0x7f {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push((value & 0x7f) as u8);
    }

    /// A signed varint (zigzag), 1–10 bytes.
    pub fn i64(&mut self, value: i64) {
        self.u64(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// An unsigned varint, 1–19 bytes.
    pub fn u128(&mut self, mut value: u128) {
        loop {
            let low = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                self.bytes.push(low);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// A signed varint (zigzag), 1–19 bytes.
    pub fn i128(&mut self, value: i128) {
        self.u128(((value << 1) ^ (value >> 127)).cast_unsigned());
    }

    /// Exactly these bytes, without a length.
    pub fn fixed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A length and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.fixed(bytes);
    }

    /// A sequence: its length, then each item.
    pub fn sequence<'a, T: Canonical + 'a>(&mut self, items: impl ExactSizeIterator<Item = &'a T>) {
        self.u64(items.len() as u64);
        for item in items {
            item.encode(self);
        }
    }
}

/// Reads canonical bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Number of bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Succeeds if every byte was read.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] otherwise.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { at: self.at, count }),
        }
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::UnexpectedEnd`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or(DecodeError::UnexpectedEnd { at: self.at })?;
        self.at += 1;
        Ok(byte)
    }

    /// An unsigned varint.
    ///
    /// # Errors
    /// End of input, a value over 64 bits, or a form longer than needed.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.varint(64).and_then(|wide| {
            u64::try_from(wide).map_err(|_| self.not_canonical("integer over 64 bits"))
        })
    }

    /// A signed varint.
    ///
    /// # Errors
    /// As [`Reader::u64`].
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        let raw = self.u64()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// An unsigned varint of up to 128 bits.
    ///
    /// # Errors
    /// As [`Reader::u64`].
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        self.varint(128)
    }

    /// A signed varint of up to 128 bits.
    ///
    /// # Errors
    /// As [`Reader::u64`].
    pub fn i128(&mut self) -> Result<i128, DecodeError> {
        let raw = self.u128()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// Exactly `length_bytes` bytes.
    ///
    /// # Errors
    /// [`DecodeError::UnexpectedEnd`].
    pub fn fixed(&mut self, length_bytes: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(length_bytes).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(DecodeError::UnexpectedEnd { at: self.bytes.len() })?;
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    /// A 32-byte hash or key.
    ///
    /// # Errors
    /// [`DecodeError::UnexpectedEnd`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.fixed(N)?);
        Ok(array)
    }

    /// A length-prefixed byte string of at most `limit_bytes`.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`], end of input.
    pub fn bytes(&mut self, limit_bytes: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.u64()?;
        if length > limit_bytes as u64 {
            let (length_bytes, limit_bytes) = (length, limit_bytes as u64);
            return Err(DecodeError::TooLong { at: self.at, length_bytes, limit_bytes });
        }
        self.fixed(usize::try_from(length).map_err(|_| self.not_canonical("length"))?)
    }

    /// A sequence of items. The count is checked against the bytes left (an item takes at least
    /// one byte), so a forged count cannot make us allocate.
    ///
    /// # Errors
    /// As the items', and [`DecodeError::TooLong`].
    pub fn sequence<T: Canonical>(&mut self) -> Result<Vec<T>, DecodeError> {
        let count = self.count()?;
        let mut items = Vec::with_capacity(count.min(4096));
        for _ in 0..count {
            items.push(T::decode(self)?);
        }
        Ok(items)
    }

    /// A count of items that follow, each at least one byte long.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] if fewer bytes than that are left.
    pub fn count(&mut self) -> Result<usize, DecodeError> {
        let count = self.u64()?;
        let limit = self.remaining() as u64;
        if count > limit {
            return Err(DecodeError::TooLong {
                at: self.at,
                length_bytes: count,
                limit_bytes: limit,
            });
        }
        usize::try_from(count).map_err(|_| self.not_canonical("count"))
    }

    /// An error at the present offset.
    #[must_use]
    pub fn not_canonical(&self, what: &'static str) -> DecodeError {
        DecodeError::NotCanonical { at: self.at, what }
    }

    /// An unknown-tag error at the present offset.
    #[must_use]
    pub fn unknown_tag(&self, what: &'static str, tag: u64) -> DecodeError {
        DecodeError::UnknownTag { at: self.at, what, tag }
    }

    fn varint(&mut self, bits: u32) -> Result<u128, DecodeError> {
        let mut value: u128 = 0;
        let mut shift = 0;
        loop {
            let byte = self.u8()?;
            let low = u128::from(byte & 0x7f);
            if shift >= bits || (low << shift) >> shift != low {
                return Err(self.not_canonical("integer too large"));
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(self.not_canonical("varint longer than needed"));
                }
                return Ok(value);
            }
            shift += 7;
        }
    }
}

macro_rules! canonical_integer {
    ($($type:ty),*) => {$(
        impl Canonical for $type {
            fn encode(&self, writer: &mut Writer) {
                writer.u64(u64::from(*self));
            }
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let value = reader.u64()?;
                <$type>::try_from(value).map_err(|_| reader.not_canonical("integer too large"))
            }
        }
    )*};
}
canonical_integer!(u8, u16, u32, u64);

impl Canonical for i64 {
    fn encode(&self, writer: &mut Writer) {
        writer.i64(*self);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.i64()
    }
}

impl Canonical for i32 {
    fn encode(&self, writer: &mut Writer) {
        writer.i64((*self).into());
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let value = reader.i64()?;
        Self::try_from(value).map_err(|_| reader.not_canonical("integer too large"))
    }
}

impl Canonical for i128 {
    fn encode(&self, writer: &mut Writer) {
        writer.i128(*self);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.i128()
    }
}

impl Canonical for bool {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(u8::from(*self));
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(reader.unknown_tag("boolean", tag.into())),
        }
    }
}

impl<const N: usize> Canonical for [u8; N] {
    fn encode(&self, writer: &mut Writer) {
        writer.fixed(self);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array()
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            None => writer.u8(0),
            Some(value) => {
                writer.u8(1);
                value.encode(writer);
            }
        }
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(None),
            1 => Ok(Some(T::decode(reader)?)),
            tag => Err(reader.unknown_tag("option", tag.into())),
        }
    }
}

impl<T: Canonical> Canonical for Box<T> {
    fn encode(&self, writer: &mut Writer) {
        (**self).encode(writer);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::decode(reader).map(Self::new)
    }
}

/// Ascending by key; a decoder refuses any other order.
impl<K: Canonical + Ord, V: Canonical> Canonical for BTreeMap<K, V> {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.len() as u64);
        for (key, value) in self {
            key.encode(writer);
            value.encode(writer);
        }
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = Self::new();
        for _ in 0..reader.count()? {
            let key = K::decode(reader)?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(reader.not_canonical("keys out of order"));
            }
            map.insert(key, V::decode(reader)?);
        }
        Ok(map)
    }
}

impl<T: Canonical> Canonical for VecDeque<T> {
    fn encode(&self, writer: &mut Writer) {
        writer.sequence(self.iter());
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.sequence().map(Self::from)
    }
}

impl<A: Canonical, B: Canonical> Canonical for (A, B) {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
        self.1.encode(writer);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((A::decode(reader)?, B::decode(reader)?))
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn encode(&self, writer: &mut Writer) {
        writer.sequence(self.iter());
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.sequence()
    }
}

/// Implements [`Canonical`] for a struct: its fields in the order given.
#[macro_export]
macro_rules! canonical_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Canonical for $name {
            fn encode(&self, writer: &mut $crate::codec::Writer) {
                $($crate::codec::Canonical::encode(&self.$field, writer);)*
            }
            fn decode(
                reader: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                Ok(Self { $($field: $crate::codec::Canonical::decode(reader)?),* })
            }
        }
    };
}

/// Implements [`Canonical`] for a newtype as its inner value.
#[macro_export]
macro_rules! canonical_newtype {
    ($name:ident) => {
        impl $crate::codec::Canonical for $name {
            fn encode(&self, writer: &mut $crate::codec::Writer) {
                $crate::codec::Canonical::encode(&self.0, writer);
            }
            fn decode(
                reader: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                Ok(Self($crate::codec::Canonical::decode(reader)?))
            }
        }
    };
}

/// Implements [`Canonical`] for an enumeration: a one-byte tag, then the variant's fields in the
/// order given. Tags are part of the format: never reused, never renumbered.
#[macro_export]
macro_rules! canonical_enum {
    ($name:ident { $($tag:literal => $variant:ident $({ $($field:ident),* $(,)? })?),* $(,)? }) => {
        impl $crate::codec::Canonical for $name {
            fn encode(&self, writer: &mut $crate::codec::Writer) {
                match self {
                    $(Self::$variant $({ $($field),* })? => {
                        writer.u8($tag);
                        $($($crate::codec::Canonical::encode($field, writer);)*)?
                    })*
                }
            }
            fn decode(
                reader: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                match reader.u8()? {
                    $($tag => Ok(Self::$variant $({
                        $($field: $crate::codec::Canonical::decode(reader)?),*
                    })?),)*
                    tag => Err(reader.unknown_tag(stringify!($name), tag.into())),
                }
            }
        }
    };
}
