//! The effective configuration, for people and programs. It holds no secret: secrets are in files
//! that it names.

use super::Config;
use crate::report::{Exit, Report, Result};

impl Config {
    /// The effective configuration as TOML, every path absolute.
    ///
    /// # Errors
    /// [`Exit::Failed`] if a value cannot be written as TOML (a path that is not UTF-8).
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| {
            Report::new(Exit::Failed, format!("cannot write the configuration as TOML: {error}"))
        })
    }

    /// The effective configuration as JSON: `{"message_type":"config","file":…,…}`.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub fn to_json(&self) -> Result<serde_json::Value> {
        let mut value = serde_json::to_value(self).map_err(|error| {
            Report::new(Exit::Failed, format!("cannot write the configuration as JSON: {error}"))
        })?;
        if let serde_json::Value::Object(fields) = &mut value {
            fields.insert("message_type".to_owned(), "config".into());
            fields.insert("file".to_owned(), self.file.display().to_string().into());
        }
        Ok(value)
    }
}
