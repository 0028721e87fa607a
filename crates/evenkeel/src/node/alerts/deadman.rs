//! The dead man's switch: an address that is asked for after every drill that proved everything
//! within what is promised. Whoever keeps it raises the alarm when it stays silent, so it also
//! covers a machine that is off, a daemon that does not run, and a drill that never ends.

use super::{address, certificates, host_of, http};
use crate::config::AlertsConfig;
use crate::documents::{DrillDocument, Outcome};

/// Asks for the address if the drill counts; whether it was asked.
///
/// # Errors
/// In words: what is missing, and that nothing else is wrong.
pub(in super::super) fn ping_if_proven(
    config: &AlertsConfig,
    drill: &DrillDocument,
) -> Result<bool, String> {
    let counts = drill.result == Outcome::Ok
        && drill.level.proves_restore()
        && drill.within_objectives
        && !drill.sources.is_empty();
    if !counts {
        return Ok(false);
    }
    let failed = |why: String| {
        format!(
            "the drill is proven, and the dead man's switch was not told: {why}; it will raise an \
             alarm if this goes on"
        )
    };
    let Some(url) =
        address(&config.deadman_url, config.deadman_url_file.as_deref()).map_err(failed)?
    else {
        return Ok(false);
    };
    let request = http::Request { url: &url, json: None, certificates: certificates(config) };
    http::send(&request).map_err(|why| failed(format!("{}: {why}", host_of(&url))))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::http::tests::Server;
    use super::*;
    use crate::documents::{DrillLevel, SourceProofDocument};

    fn proven() -> DrillDocument {
        DrillDocument {
            result: Outcome::Ok,
            level: DrillLevel::D3,
            within_objectives: true,
            sources: vec![SourceProofDocument::default()],
            ..DrillDocument::default()
        }
    }

    #[test]
    fn only_a_restore_that_was_proven_within_its_objectives_feeds_the_switch() {
        let server = Server::start(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"]);
        let config = AlertsConfig { deadman_url: server.url("/ping/7"), ..AlertsConfig::default() };
        let others = [
            DrillDocument { result: Outcome::Failed, ..proven() },
            DrillDocument { result: Outcome::Unproven, ..proven() },
            DrillDocument { level: DrillLevel::D1, ..proven() },
            DrillDocument { level: DrillLevel::D2, ..proven() },
            DrillDocument { within_objectives: false, ..proven() },
            DrillDocument { sources: Vec::new(), ..proven() },
        ];
        for other in others {
            assert_eq!(ping_if_proven(&config, &other), Ok(false));
        }
        assert_eq!(ping_if_proven(&config, &proven()), Ok(true));
        let asked = server.ended();
        assert_eq!(asked.len(), 1);
        assert!(asked[0].starts_with("GET /ping/7 HTTP/1.1\r\n"), "{asked:?}");
        assert_eq!(ping_if_proven(&AlertsConfig::default(), &proven()), Ok(false));
    }

    #[test]
    fn a_switch_that_cannot_be_told_is_named_without_what_is_secret_in_its_address() {
        let server = Server::start(&["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]);
        let config =
            AlertsConfig { deadman_url: server.url("/secret-token"), ..AlertsConfig::default() };
        let why = ping_if_proven(&config, &proven()).unwrap_err();
        assert!(why.contains("404") && why.contains("127.0.0.1"), "{why}");
        assert!(!why.contains("secret-token"), "{why}");
        server.ended();
        let why = ping_if_proven(&config, &proven()).unwrap_err();
        assert!(why.contains("the drill is proven"), "{why}");
    }
}
