//! What somebody with the writer's access to a node's RPC could do.

use std::time::Instant;

use evenkeel_vault::{Site, SiteErrorKind};

use super::cid::Cid;
use super::rpc::Refused;
use super::{IpfsSettings, IpfsSite};
use crate::probe::{
    Attempt, FIRST, Finding, LARGE_BYTES, Outcome, SAMPLE_BYTES, SAMPLES, SECOND, rate, spread,
};
use crate::settings::SettingsError;

/// Tries a node: objects of its own under `probe/`, and nothing else.
///
/// # Errors
/// [`SettingsError`] if it cannot be reached with these settings; what it does is a finding.
pub fn probe_ipfs(settings: &IpfsSettings, nonce: u64) -> Result<Finding, SettingsError> {
    let alone = IpfsSettings { peers: Vec::new(), ..settings.clone() };
    let site = IpfsSite::new("probed", &alone)?;
    let mut finding = Finding::nothing();
    let look = Look { folder: format!("probe/{nonce:016x}"), site };
    if let Err(why) = look.look(&mut finding) {
        finding.detail = Some(why);
    }
    Ok(finding)
}

struct Look {
    site: IpfsSite,
    folder: String,
}

impl Look {
    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{}", self.site.root, self.key(name))
    }

    fn holds(&self, name: &str, content: &[u8]) -> bool {
        self.site.get(&self.key(name)).is_ok_and(|found| found == content)
    }

    fn look(&self, finding: &mut Finding) -> Result<(), String> {
        let site = &self.site;
        site.put(&self.key("object"), FIRST).map_err(|error| error.detail)?;
        finding.wrote = true;
        finding.read_after_write = self.holds("object", FIRST);
        self.measure(finding).map_err(|error| error.detail)?;
        let other = Cid::of(SECOND).to_string();
        let node = &site.node;
        node.add(SECOND).map_err(|refused| refused.why)?;
        let again = node.link(&other, &self.path("object"));
        let refused = again.is_err_and(|refused| refused.kind == SiteErrorKind::Exists);
        finding.conditional_put = refused && self.holds("object", FIRST);
        // A name is replaced by taking it away and giving it again.
        let replaced = node
            .unlink(&self.path("object"))
            .and_then(|()| node.link(&other, &self.path("object")));
        self.judge(finding, "overwrite", "object", &replaced);
        site.put(&self.key("victim"), FIRST).map_err(|error| error.detail)?;
        self.judge(finding, "delete", "victim", &node.unlink(&self.path("victim")));
        let unpinned = node.unpin(&Cid::of(FIRST).to_string());
        finding.attempts.push(Attempt {
            what: "unpin",
            outcome: outcome(&unpinned, true),
            said: words(&unpinned),
        });
        Ok(())
    }

    fn judge(
        &self,
        finding: &mut Finding,
        what: &'static str,
        name: &str,
        done: &Result<(), Refused>,
    ) {
        let kept = self.holds(name, FIRST);
        let outcome = if kept { outcome(done, false) } else { Outcome::Allowed };
        finding.attempts.push(Attempt { what, outcome, said: words(done) });
    }

    fn measure(&self, finding: &mut Finding) -> Result<(), evenkeel_vault::SiteError> {
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        for number in 0..SAMPLES {
            let name = format!("sample-{number}");
            let content: Vec<u8> =
                (0..SAMPLE_BYTES).map(|at| (at as u64 * 31 + number).to_le_bytes()[0]).collect();
            let begun = Instant::now();
            self.site.put(&self.key(&name), &content)?;
            writes.push(begun.elapsed());
            let begun = Instant::now();
            finding.read_after_write &= self.holds(&name, &content);
            reads.push(begun.elapsed());
        }
        finding.write = spread(writes);
        finding.read = spread(reads);
        let content = vec![0x5a; LARGE_BYTES];
        let begun = Instant::now();
        self.site.put(&self.key("large"), &content)?;
        finding.write_bytes_per_second = Some(rate(begun.elapsed()));
        let begun = Instant::now();
        finding.read_after_write &= self.holds("large", &content);
        finding.read_bytes_per_second = Some(rate(begun.elapsed()));
        Ok(())
    }
}

fn outcome(done: &Result<(), Refused>, counts_if_done: bool) -> Outcome {
    match done {
        Ok(()) if counts_if_done => Outcome::Allowed,
        Err(refused) if refused.kind == SiteErrorKind::Denied => Outcome::Refused,
        Err(refused) if refused.kind == SiteErrorKind::Unsupported => Outcome::NotOffered,
        _ => Outcome::Unclear,
    }
}

fn words(done: &Result<(), Refused>) -> String {
    match done {
        Ok(()) => "done".to_owned(),
        Err(refused) => refused.why.clone(),
    }
}
