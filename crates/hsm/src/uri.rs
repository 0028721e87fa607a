//! How a token and a key in it are named: PKCS#11 URIs (RFC 7512).

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// What a URI names. Parts that are not given match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uri {
    /// `token`: the token's label.
    pub token: Option<String>,
    /// `serial`
    pub serial: Option<String>,
    /// `manufacturer`
    pub manufacturer: Option<String>,
    /// `model`
    pub model: Option<String>,
    /// `object`: the key's label.
    pub object: Option<String>,
    /// `id`: the key's `CKA_ID`.
    pub id: Option<Vec<u8>>,
    /// `module-path`
    pub module: Option<String>,
    /// `pin-source`: a reference, never the PIN itself.
    pub pin_source: Option<String>,
}

const SCHEME: &str = "pkcs11:";

impl Uri {
    /// Whether it names this token.
    #[must_use]
    pub fn fits_token(&self, label: &str, serial: &str, maker: &str, model: &str) -> bool {
        let fits = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        fits(&self.token, label)
            && fits(&self.serial, serial)
            && fits(&self.manufacturer, maker)
            && fits(&self.model, model)
    }

    /// Whether it names this key of its token.
    #[must_use]
    pub fn fits_key(&self, label: &str, id: &[u8]) -> bool {
        self.object.as_deref().is_none_or(|wanted| wanted == label)
            && self.id.as_deref().is_none_or(|wanted| wanted == id)
    }

    /// The token, for messages.
    #[must_use]
    pub fn token_name(&self) -> String {
        let parts = [&self.token, &self.serial];
        let named: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        if named.is_empty() { "any".to_owned() } else { named.join(" ") }
    }
}

impl FromStr for Uri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: String| {
            Error::Usage(format!(
                "not a PKCS#11 URI: {why}; one looks like \
                 pkcs11:token=LABEL;object=KEY?module-path=FILE&pin-source=file:FILE"
            ))
        };
        let rest = text
            .trim()
            .strip_prefix(SCHEME)
            .ok_or_else(|| refuse(format!("it does not begin with {SCHEME}")))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let parts = path.split(';').chain(query.split('&')).filter(|part| !part.is_empty());
        for part in parts {
            let (name, value) =
                part.split_once('=').ok_or_else(|| refuse(format!("`{part}` has no value")))?;
            let bytes = decode(value).ok_or_else(|| refuse(format!("`{name}` is damaged")))?;
            if name == "id" {
                set(&mut uri.id, bytes).ok_or_else(|| refuse("`id` stands twice".to_owned()))?;
                continue;
            }
            let value = String::from_utf8(bytes)
                .map_err(|_| refuse(format!("`{name}` is no text (UTF-8)")))?;
            let field = match name {
                "token" => &mut uri.token,
                "serial" => &mut uri.serial,
                "manufacturer" => &mut uri.manufacturer,
                "model" => &mut uri.model,
                "object" => &mut uri.object,
                "module-path" => &mut uri.module,
                "pin-source" => &mut uri.pin_source,
                "pin-value" => {
                    return Err(refuse(
                        "a PIN does not belong into it (pin-value); name where it is kept with \
                         pin-source"
                            .to_owned(),
                    ));
                }
                "type" if value == "private" || value == "secret-key" => continue,
                _ => return Err(refuse(format!("`{name}` is not understood"))),
            };
            set(field, value).ok_or_else(|| refuse(format!("`{name}` stands twice")))?;
        }
        Ok(uri)
    }
}

fn set<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut letters = text.bytes();
    while let Some(letter) = letters.next() {
        if letter != b'%' {
            bytes.push(letter);
            continue;
        }
        let mut digit = || char::from(letters.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    Some(bytes)
}

/// Everything but what RFC 3986 leaves alone, and the few that stay legible in a path.
fn encode(f: &mut fmt::Formatter<'_>, bytes: &[u8], all: bool) -> fmt::Result {
    for byte in bytes {
        let plain = byte.is_ascii_alphanumeric() || b"-._~/:".contains(byte);
        if plain && !all {
            write!(f, "{}", char::from(*byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        let mut separator = "";
        let path = [
            ("token", &self.token),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("serial", &self.serial),
            ("object", &self.object),
        ];
        for (name, value) in path {
            if let Some(value) = value {
                write!(f, "{separator}{name}=")?;
                encode(f, value.as_bytes(), false)?;
                separator = ";";
            }
        }
        if let Some(id) = &self.id {
            write!(f, "{separator}id=")?;
            encode(f, id, true)?;
        }
        separator = "?";
        for (name, value) in [("module-path", &self.module), ("pin-source", &self.pin_source)] {
            if let Some(value) = value {
                write!(f, "{separator}{name}=")?;
                encode(f, value.as_bytes(), false)?;
                separator = "&";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_reads_back_as_it_was_written() {
        let uri = Uri {
            token: Some("The desk; in Zürich".to_owned()),
            serial: Some("DECC0401".to_owned()),
            manufacturer: None,
            model: None,
            object: Some("writer=1".to_owned()),
            id: Some(vec![0, 255, 16]),
            module: Some("/usr/lib/softhsm/libsofthsm2.so".to_owned()),
            pin_source: Some("command:pass show pin & more?".to_owned()),
        };
        let text = uri.to_string();
        assert_eq!(text.parse::<Uri>().unwrap(), uri, "{text}");
        assert!(text.contains("object=writer%3D1;id=%00%FF%10?module-path=/usr/lib"), "{text}");
    }

    #[test]
    fn the_example_of_rfc_7512_is_read_and_a_pin_in_a_uri_is_refused() {
        let uri: Uri = "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20\
                        Oil,%20Inc.;model=1.0;object=my-certificate;id=%69%95%3E%5C%F4%BD%EC%91;\
                        serial=?pin-source=file:/etc/token_pin"
            .parse()
            .unwrap();
        assert_eq!(uri.token.as_deref(), Some("The Software PKCS#11 Softtoken"));
        assert_eq!(uri.manufacturer.as_deref(), Some("Snake Oil, Inc."));
        assert_eq!(uri.serial.as_deref(), Some(""));
        assert_eq!(uri.pin_source.as_deref(), Some("file:/etc/token_pin"));
        for (bad, why) in [
            ("token=a", "begin"),
            ("pkcs11:token=a?pin-value=1234", "pin-source"),
            ("pkcs11:token=a;token=b", "twice"),
            ("pkcs11:token=%4", "damaged"),
            ("pkcs11:tokne=a", "not understood"),
            ("pkcs11:token", "no value"),
            ("pkcs11:token=%FF", "UTF-8"),
        ] {
            let refused = bad.parse::<Uri>().unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
            assert!(!refused.contains("1234"), "{refused}");
        }
    }
}
