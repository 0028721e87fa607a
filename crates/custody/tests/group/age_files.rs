//! Files of age, made and read by the crate `age` alone.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use age_core::format::FileKey as AgeFileKey;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use evenkeel_custody::group::decrypt::{FileKey, Stanza};

/// Encrypts to these recipients, each `age1…`.
pub fn encrypt(recipients: &[&str], plain: &[u8]) -> Vec<u8> {
    let parsed: Vec<age::x25519::Recipient> =
        recipients.iter().map(|text| text.parse().unwrap()).collect();
    let each = parsed.iter().map(|one| one as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(each).unwrap();
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap();
    file
}

/// The X25519 stanzas of a file's header, by the text of the format.
pub fn stanzas(file: &[u8]) -> Vec<Stanza> {
    let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
    let decode = |text: &[u8]| -> [u8; 32] {
        BASE64_STANDARD_NO_PAD.decode(text).unwrap().try_into().unwrap()
    };
    let pairs = lines.windows(2).take_while(|pair| !pair[0].starts_with(b"---"));
    let ours = pairs.filter_map(|pair| Some((pair[0].strip_prefix(b"-> X25519 ")?, pair[1])));
    ours.map(|(share, body)| Stanza { share: decode(share), body: decode(body) }).collect()
}

struct Keys<'a>(&'a BTreeMap<Stanza, FileKey>);

impl age::Identity for Keys<'_> {
    fn unwrap_stanza(
        &self,
        stanza: &age_core::format::Stanza,
    ) -> Option<Result<AgeFileKey, age::DecryptError>> {
        let share = BASE64_STANDARD_NO_PAD.decode(stanza.args.first()?).ok()?;
        let body = stanza.body.clone().try_into().ok()?;
        let key = self.0.get(&Stanza { share: share.try_into().ok()?, body })?;
        Some(Ok(AgeFileKey::init_with_mut(|into| into.copy_from_slice(key.as_slice()))))
    }
}

/// Opens a file with file keys.
pub fn decrypt(file: &[u8], keys: &BTreeMap<Stanza, FileKey>) -> Vec<u8> {
    let decryptor = age::Decryptor::new(file).unwrap();
    let mut reader = decryptor.decrypt(std::iter::once(&Keys(keys) as _)).unwrap();
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).unwrap();
    plain
}
