//! Frames as they come, of one message or of several at once.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{Frame, StreamError, id};

/// What a frame was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// One more of its message.
    New,
    /// Known already.
    Again,
    /// It says something else than other frames of the message it names, and is left out.
    Contradicts,
}

/// One message, as far as it has come.
#[derive(Debug, Clone)]
pub struct Incoming {
    first: Frame,
    contents: BTreeMap<u16, Zeroizing<Vec<u8>>>,
}

/// All messages, by their ids.
#[derive(Debug, Clone, Default)]
pub struct Receiving {
    messages: BTreeMap<[u8; 8], Incoming>,
}

impl Receiving {
    /// Takes a frame.
    pub fn add(&mut self, frame: &Frame) -> Added {
        let incoming = self
            .messages
            .entry(frame.id)
            .or_insert_with(|| Incoming { first: frame.clone(), contents: BTreeMap::new() });
        incoming.add(frame)
    }

    /// Every message of which a frame was taken.
    pub fn messages(&self) -> impl Iterator<Item = &Incoming> {
        self.messages.values()
    }
}

impl Incoming {
    fn add(&mut self, frame: &Frame) -> Added {
        let first = &self.first;
        if (first.message_bytes, first.parts, first.parity, first.content.len())
            != (frame.message_bytes, frame.parts, frame.parity, frame.content.len())
        {
            return Added::Contradicts;
        }
        match self.contents.get(&frame.number) {
            Some(known) if *known == frame.content => Added::Again,
            Some(_) => Added::Contradicts,
            None => {
                self.contents.insert(frame.number, frame.content.clone());
                Added::New
            }
        }
    }

    /// What tells it from others.
    #[must_use]
    pub fn id(&self) -> [u8; 8] {
        self.first.id
    }

    /// Different frames that were read.
    #[must_use]
    pub fn read(&self) -> usize {
        self.contents.len()
    }

    /// How many it takes.
    #[must_use]
    pub fn needed(&self) -> usize {
        usize::from(self.first.parts)
    }

    /// Frames there are.
    #[must_use]
    pub fn frames(&self) -> usize {
        usize::from(self.first.parts) + usize::from(self.first.parity)
    }

    /// The message.
    ///
    /// # Errors
    /// [`StreamError::TooFew`] and [`StreamError::Forged`].
    pub fn finish(&self) -> Result<Zeroizing<Vec<u8>>, StreamError> {
        let (read, needed) = (self.read(), self.needed());
        if read < needed {
            return Err(StreamError::TooFew { read, needed, missing: needed - read });
        }
        let own = self.contents.range(..self.first.parts);
        let own: Vec<(usize, &[u8])> =
            own.map(|(number, content)| (usize::from(*number), content.as_slice())).collect();
        let parity = self.contents.range(self.first.parts..).map(|(number, content)| {
            (usize::from(*number) - usize::from(self.first.parts), content.as_slice())
        });
        let restored = if own.len() == needed {
            BTreeMap::new()
        } else {
            reed_solomon_simd::decode(needed, usize::from(self.first.parity), own.clone(), parity)
                .map_err(|error| StreamError::Code(error.to_string()))?
                .into_iter()
                .collect()
        };
        let mut message = Zeroizing::new(Vec::with_capacity(needed * self.first.content.len()));
        let own: BTreeMap<usize, &[u8]> = own.into_iter().collect();
        for number in 0..needed {
            match (own.get(&number), restored.get(&number)) {
                (Some(content), _) => message.extend(*content),
                (None, Some(content)) => message.extend(content.iter()),
                (None, None) => return Err(StreamError::Forged),
            }
        }
        message.truncate(usize::try_from(self.first.message_bytes).unwrap_or(usize::MAX));
        if id(&message) == self.first.id { Ok(message) } else { Err(StreamError::Forged) }
    }
}
