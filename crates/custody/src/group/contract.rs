//! A signature as a contract takes it: `contracts/src/GroupSignature.sol`.

use k256::elliptic_curve::sec1::ToSec1Point;

use super::fault::Refusal;
use super::record::Record;
use super::suite::Curve;

/// Key and signature of a group on secp256k1, in words of 256 bits, big-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractForm {
    /// Abscissa of the group's key.
    pub key_x: [u8; 32],
    /// 0 if the ordinate of the group's key is even, 1 if it is odd.
    pub key_parity: u8,
    /// Abscissa of R.
    pub r_x: [u8; 32],
    /// Ordinate of R, which the contract cannot find cheaply by itself.
    pub r_y: [u8; 32],
    /// The scalar z.
    pub z: [u8; 32],
}

impl ContractForm {
    /// The contract's form of a good signature; `None` for a key that no contract verifies.
    ///
    /// # Errors
    /// [`Refusal::Signature`] if it is not by this key over this message.
    pub fn new(record: &Record, message: &[u8], signature: &[u8]) -> Result<Option<Self>, Refusal> {
        record.verify(message, signature)?;
        Ok(if record.curve == Curve::Secp256k1 { Self::of(record, signature) } else { None })
    }

    fn of(record: &Record, signature: &[u8]) -> Option<Self> {
        let (tag, key_x) = record.group_key.split_first()?;
        let (r, z) = signature.split_at_checked(33)?;
        let point = k256::PublicKey::from_sec1_bytes(r).ok()?.to_sec1_point(false);
        Some(Self {
            key_x: key_x.try_into().ok()?,
            key_parity: tag & 1,
            r_x: point.x()?.as_slice().try_into().ok()?,
            r_y: point.y()?.as_slice().try_into().ok()?,
            z: z.try_into().ok()?,
        })
    }
}
