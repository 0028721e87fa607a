//! The header of Basic authentication (RFC 7617), and the encoding it needs.

use http::HeaderValue;

use crate::credential::Credential;
use crate::settings::SettingsError;

pub(crate) fn basic(credential: &Credential) -> Result<HeaderValue, SettingsError> {
    if credential.id.contains(':') {
        return Err(SettingsError::Client("a user's name cannot have a colon in it".to_owned()));
    }
    let pair = format!("{}:{}", credential.id, credential.secret.as_str());
    let mut value = HeaderValue::try_from(format!("Basic {}", base64(pair.as_bytes())))
        .map_err(|error| SettingsError::Client(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 4648, section 4.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_its_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
