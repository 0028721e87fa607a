//! What tells one key from another and is no secret: extended public keys and first addresses.
//!
//! Recorded when a key is split, it is what a recovery is compared with: a wrong passphrase, or a
//! seed made another way, gives another fingerprint.

use crate::address;
use crate::bip32::{Error, ExtendedPrivate, ExtendedPublic, Path};

/// Addresses per account.
const ADDRESSES: u32 = 2;

/// How a key of an account is written as an address.
type Encoding = fn(&ExtendedPublic) -> String;

/// The accounts that are recorded: name, path, and the kind of its addresses.
const ACCOUNTS: [(&str, &str, Encoding); 3] = [
    ("ethereum", "m/44'/60'/0'", address::ethereum),
    ("bitcoin-segwit", "m/84'/0'/0'", address::bitcoin_segwit),
    ("bitcoin-legacy", "m/44'/0'/0'", address::bitcoin_legacy),
];

/// The fingerprint of one seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The first four bytes of the master key's hash.
    pub master: [u8; 4],
    /// Accounts with their keys and addresses.
    pub accounts: Vec<Account>,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `ethereum`, `bitcoin-segwit` or `bitcoin-legacy`.
    pub name: &'static str,
    /// Where it is in the tree.
    pub path: Path,
    /// Its extended public key: whoever has it sees all addresses, and cannot spend.
    pub xpub: String,
    /// Its first receiving addresses, with their paths.
    pub addresses: Vec<(Path, String)>,
}

impl Fingerprint {
    /// The fingerprint of a BIP-32 seed of 16 to 64 bytes.
    ///
    /// # Errors
    /// As [`ExtendedPrivate::master`] and [`ExtendedPrivate::derive`].
    pub fn of_seed(seed: &[u8]) -> Result<Self, Error> {
        let master = ExtendedPrivate::master(seed)?;
        let mut accounts = Vec::with_capacity(ACCOUNTS.len());
        for (name, path, address) in ACCOUNTS {
            let path: Path = path.parse()?;
            let public = master.derive(&path)?.public()?;
            let receiving = public.child(0)?;
            let mut addresses = Vec::new();
            for number in 0..ADDRESSES {
                addresses.push((path.join(0).join(number), address(&receiving.child(number)?)));
            }
            accounts.push(Account { name, path, xpub: public.to_text(), addresses });
        }
        Ok(Self { master: master.public()?.fingerprint(), accounts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_of_the_seed_changes_everything() {
        let (one, other) =
            (Fingerprint::of_seed(&[1; 16]).unwrap(), Fingerprint::of_seed(&[3; 16]).unwrap());
        assert_ne!(one.master, other.master);
        for (one, other) in one.accounts.iter().zip(&other.accounts) {
            assert_ne!(one.xpub, other.xpub);
            assert_ne!(one.addresses, other.addresses);
        }
        assert_eq!(one.accounts[0].addresses[1].0.to_string(), "m/44'/60'/0'/0/1");
    }
}
