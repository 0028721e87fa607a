//! Messages that a wallet of Ethereum signs for people: EIP-191, version `0x45` (`personal_sign`).
//!
//! The signature names no key. Whoever checks it recovers the key (SEC 1, 4.1.6), and compares its
//! address.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

use crate::address::{ethereum_of_point, keccak256, mixed_case};

/// Bytes of a signature: r, s, and which of the two keys signed.
pub const WALLET_SIGNATURE_BYTES: usize = 65;

/// An address of Ethereum: the last 20 bytes of Keccak-256 of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalletAddress(pub [u8; 20]);

impl WalletAddress {
    /// Reads `0x` and 40 hexadecimal digits. Digits of both cases have to be as EIP-55 has them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
        if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut address = [0; 20];
        for (byte, pair) in address.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        let address = Self(address);
        let small = digits.to_ascii_lowercase();
        let one_case = digits == small || digits == digits.to_ascii_uppercase();
        let right = address.to_string().strip_prefix("0x").is_some_and(|right| right == digits);
        (one_case || right).then_some(address)
    }
}

impl std::fmt::Display for WalletAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let small: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&mixed_case(&small))
    }
}

/// What a wallet hashes where people are asked to sign `message` (EIP-191).
#[must_use]
pub fn personal_hash(message: &[u8]) -> [u8; 32] {
    let before = format!("\x19Ethereum Signed Message:\n{}", message.len());
    keccak256(&[before.as_bytes(), message].concat())
}

/// The address whose key signed a hash. `None` for a signature that is none, and for its malleable
/// twin with a high s (EIP-2). The last byte is 0 or 1, or 27 or 28.
#[must_use]
pub fn signer(hash: &[u8; 32], signature: &[u8; WALLET_SIGNATURE_BYTES]) -> Option<WalletAddress> {
    let (scalars, last) = signature.split_at_checked(64)?;
    let parity = match last.first()? {
        0 | 27 => 0,
        1 | 28 => 1,
        _ => return None,
    };
    let scalars = Signature::from_slice(scalars).ok()?;
    if scalars.normalize_s() != scalars {
        return None;
    }
    let which = RecoveryId::from_byte(parity)?;
    let key = VerifyingKey::recover_from_prehash(hash, &scalars, which).ok()?;
    let point = key.to_sec1_point(false);
    ethereum_of_point(point.as_bytes()).and_then(|text| WalletAddress::parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that web3.js documents for `eth.accounts.sign('Some data', …)`.
    const HASH: &str = "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655";
    const SIGNATURE: &str = "b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd\
                             6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";
    const SIGNER: &str = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";
    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        let digits = 0..text.len() / 2;
        let all = digits.map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap());
        all.collect::<Vec<u8>>().try_into().unwrap()
    }

    #[test]
    fn the_documented_example_of_a_personal_message_names_its_signer() {
        let hash = personal_hash(b"Some data");
        assert_eq!(hash, bytes(HASH));
        assert_eq!(signer(&hash, &bytes(SIGNATURE)).unwrap().to_string(), SIGNER);
        let mut newer = bytes::<65>(SIGNATURE);
        newer[64] = 1;
        assert_eq!(signer(&hash, &newer).unwrap().to_string(), SIGNER);
    }

    #[test]
    fn a_changed_signature_or_message_names_nobody_or_somebody_else() {
        let hash = personal_hash(b"Some data");
        for at in 0..65 {
            let mut changed = bytes::<65>(SIGNATURE);
            changed[at] ^= 0x20;
            assert_ne!(signer(&hash, &changed).map(|one| one.to_string()), Some(SIGNER.into()));
        }
        let other = signer(&personal_hash(b"some data"), &bytes(SIGNATURE));
        assert_ne!(other.map(|one| one.to_string()), Some(SIGNER.into()));
        assert_eq!(signer(&hash, &[0; 65]), None);
    }

    #[test]
    fn the_twin_with_a_high_s_is_refused() {
        // n - s, with the other parity, is a signature of the same key.
        let (order, mut twin) = (bytes::<32>(ORDER), bytes::<65>(SIGNATURE));
        let mut borrow = 0_i16;
        for at in (0..32).rev() {
            let digit = i16::from(order[at]) - i16::from(twin[32 + at]) - borrow;
            borrow = i16::from(digit < 0);
            twin[32 + at] = u8::try_from(digit.rem_euclid(256)).unwrap();
        }
        twin[64] = 27;
        let hash = personal_hash(b"Some data");
        let scalars = Signature::from_slice(&twin[..64]).unwrap();
        let id = RecoveryId::from_byte(0).unwrap();
        let key = VerifyingKey::recover_from_prehash(&hash, &scalars, id);
        // Without the rule it would name the same signer.
        let point = key.unwrap().to_sec1_point(false);
        assert_eq!(ethereum_of_point(point.as_bytes()).unwrap(), SIGNER);
        assert_eq!(signer(&hash, &twin), None);
    }

    #[test]
    fn addresses_of_mixed_case_are_checked() {
        let parsed = WalletAddress::parse(SIGNER).unwrap();
        assert_eq!(parsed.to_string(), SIGNER);
        assert_eq!(WalletAddress::parse(&SIGNER.to_lowercase()), Some(parsed));
        for wrong in [
            "0x2c7536E3605D9C16a7a3D7b1898e529396a65C23",
            "2c7536E3605D9C16a7a3D7b1898e529396a65c23",
            "0x2c7536E3605D9C16a7a3D7b1898e529396a65c2",
            "0x2c7536E3605D9C16a7a3D7b1898e529396a65c2g",
            "0x+c7536e3605d9c16a7a3d7b1898e529396a65c23",
        ] {
            assert_eq!(WalletAddress::parse(wrong), None, "{wrong}");
        }
    }
}
