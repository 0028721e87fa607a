//! Who has a sheet, where it lies, and when it was made: for people, given by the caller.

use super::codec::Reader;

/// No text of a label is longer.
pub const TEXT_BYTES_MAX: usize = 40;

/// What stands beside the words. No secret; each text may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Label {
    /// Who holds it.
    pub holder: String,
    /// Where it lies.
    pub place: String,
    /// When it was made, as the caller writes dates.
    pub date: String,
}

/// Why a label is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// It would not fit its line.
    #[error("{what} has {bytes} bytes; {TEXT_BYTES_MAX} fit on the sheet")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// Line ends and the like.
    #[error("{what} holds a character that cannot be printed")]
    Control {
        /// Which text.
        what: &'static str,
    },
}

impl Label {
    /// Whether it can be printed.
    ///
    /// # Errors
    /// Which text cannot.
    pub fn check(&self) -> Result<(), LabelError> {
        for (what, text) in
            [("the holder", &self.holder), ("the place", &self.place), ("the date", &self.date)]
        {
            if text.len() > TEXT_BYTES_MAX {
                return Err(LabelError::TooLong { what, bytes: text.len() });
            }
            if text.chars().any(char::is_control) {
                return Err(LabelError::Control { what });
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        for text in [&self.holder, &self.place, &self.date] {
            bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            bytes.extend(text.as_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let label = Self { holder: reader.text()?, place: reader.text()?, date: reader.text()? };
        label.check().ok()?;
        Some(label)
    }
}
