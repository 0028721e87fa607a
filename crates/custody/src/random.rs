//! Randomness, as a trait so that the caller says where it comes from.

/// A source of unpredictable bytes. Shares and keys come from it.
pub trait Random {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`RandomError`] if the source cannot give any; what was filled must not be used.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomError>;
}

/// The source of randomness failed, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the machine gives no random numbers: {0}; nothing was made")]
pub struct RandomError(pub String);
