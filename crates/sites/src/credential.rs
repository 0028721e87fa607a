//! A site's credentials: named by reference, read when needed, never printed.

use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::settings::SettingsError;

/// More than any credential file has.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where a credential is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// An environment variable that holds `id:secret`.
    Variable(String),
    /// A file only its owner may read, with lines `id = …` and `secret = …` (also under the names
    /// that S3 tools use: `aws_access_key_id`, `aws_secret_access_key`).
    File(PathBuf),
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

/// An access key or user name, and its secret.
#[derive(Clone)]
pub struct Credential {
    /// Who asks; public.
    pub id: String,
    /// What proves it.
    pub(crate) secret: Zeroizing<String>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Credential {
    /// A credential that is already in memory.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: Zeroizing::new(secret.into()) }
    }

    /// Reads it from where it is kept.
    ///
    /// # Errors
    /// [`SettingsError::Credential`] if it is not there, not readable by its owner alone, or not
    /// a credential. No message holds any part of what was read.
    pub fn load(source: &CredentialSource) -> Result<Self, SettingsError> {
        let fail = |why: &str| SettingsError::Credential {
            source_name: source.to_string(),
            why: why.to_owned(),
        };
        let text = match source {
            CredentialSource::Variable(name) => {
                let value = std::env::var(name).map_err(|_| fail("is not set, or is not text"))?;
                let value = Zeroizing::new(value);
                let (id, secret) =
                    value.split_once(':').ok_or_else(|| fail("does not read `id:secret`"))?;
                return checked(id, secret).ok_or_else(|| fail("has an empty id or secret"));
            }
            CredentialSource::File(path) => {
                let file = fs::File::open(path).map_err(|error| fail(&error.to_string()))?;
                let about = file.metadata().map_err(|error| fail(&error.to_string()))?;
                if about.mode() & 0o077 != 0 {
                    return Err(fail(
                        "may be read by others than its owner; type `chmod 600` on it",
                    ));
                }
                let mut text = Zeroizing::new(String::new());
                file.take(FILE_BYTES_MAX)
                    .read_to_string(&mut text)
                    .map_err(|error| fail(&error.to_string()))?;
                text
            }
        };
        let find = |names: &[&str]| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| names.contains(&name.trim()))
                .map(|(_, value)| value.trim().trim_matches('"'))
        };
        let id = find(&["id", "user", "access_key_id", "aws_access_key_id"]);
        let secret = find(&["secret", "password", "secret_access_key", "aws_secret_access_key"]);
        match (id, secret) {
            (Some(id), Some(secret)) => {
                checked(id, secret).ok_or_else(|| fail("has an empty id or secret"))
            }
            _ => Err(fail("has no lines `id = …` and `secret = …`")),
        }
    }
}

fn checked(id: &str, secret: &str) -> Option<Credential> {
    (!id.is_empty() && !secret.is_empty()).then(|| Credential::new(id, secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, CredentialSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credential");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, CredentialSource::File(path))
    }

    #[test]
    fn a_file_is_read_in_our_words_and_in_those_of_s3_tools() {
        for text in [
            "id = me\nsecret = \"hush\"\n",
            "[default]\naws_access_key_id=me\naws_secret_access_key=hush\n",
            "user = me\npassword = hush",
        ] {
            let (_folder, source) = file(text, 0o600);
            let credential = Credential::load(&source).unwrap();
            assert_eq!((credential.id.as_str(), credential.secret.as_str()), ("me", "hush"));
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_what_to_type() {
        let (_folder, source) = file("id = me\nsecret = hush", 0o640);
        let error = Credential::load(&source).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn no_message_and_no_debugging_text_shows_the_secret() {
        let (_folder, source) = file("id = me\nsecrets = hush", 0o600);
        let error = Credential::load(&source).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"));
        assert!(!format!("{:?}", Credential::new("me", "hush")).contains("hush"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let source = CredentialSource::Variable("EVENKEEL_TEST_NOT_SET".to_owned());
        let error = Credential::load(&source).unwrap_err().to_string();
        assert!(error.contains("EVENKEEL_TEST_NOT_SET"), "{error}");
    }
}
