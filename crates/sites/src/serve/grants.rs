//! Deletion by grant: the server looks at what lies in the bucket itself, and believes nobody.
//!
//! A plan and the words of its approvers are objects like any other. An object goes only if a plan
//! names it that enough of the bucket's own approvers have signed and none has cancelled, after
//! the delay by this machine's clock, counted from when the approvals were received here; and each
//! object once for each plan.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use evenkeel_types::Canonical;
use evenkeel_vault::{
    ApprovalRule, DeletionPlan, Matter, PlanId, Standing, Statement, check_object_name,
    parse_grant_key,
};

use super::shelf::{Refusal, Shelf, Wanted};

/// Folder of what was deleted by which plan; never listed, and nobody can write there.
const USED: &str = ".grants";
/// Longest statement.
const STATEMENT_BYTES_MAX: u64 = 4096;
/// Plans kept in memory.
const PLANS_MAX: usize = 4;
/// Grants looked at for one request.
const GRANTS_MAX: usize = 10_000;

/// What a plan has deleted: the name of each object, and the object that had it.
type Used = BTreeMap<String, String>;

#[derive(Debug, Clone)]
struct KnownPlan {
    plan: Arc<DeletionPlan>,
    used: Used,
}

/// The grants of one bucket.
#[derive(Debug)]
pub(crate) struct Grants {
    rule: ApprovalRule,
    known: Mutex<BTreeMap<PlanId, KnownPlan>>,
}

impl Grants {
    pub(crate) fn new(rule: ApprovalRule) -> Self {
        Self { rule, known: Mutex::default() }
    }

    /// Deletes an object if a grant allows it; one that is not there is success, if it is named.
    pub(crate) fn delete(&self, shelf: &Shelf, key: &str) -> Result<(), Refusal> {
        check_object_name(key).map_err(Refusal::Name)?;
        let (domain, _) = key.split_once('/').unwrap_or((key, ""));
        let now_ns = since_1970(SystemTime::now());
        // One deletion at a time: what was used is written before anything goes.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut why = "no grant that lies in this bucket names this object";
        for id in grants_of(shelf, domain)? {
            let standing = self.standing(shelf, domain, id, now_ns)?;
            if !standing.is_in_force() {
                continue;
            }
            let Some(plan) = known_plan(&mut known, shelf, domain, id)? else {
                continue;
            };
            if !plan.plan.names(key) {
                continue;
            }
            let Standing::Valid { .. } = standing else {
                why = "the grant's delay is not over, counted from when its approvals came here";
                continue;
            };
            let Some(about) = shelf.about(key)? else {
                return Ok(());
            };
            match plan.used.get(key) {
                Some(tag) if *tag != about.tag => {
                    why = "the grant was used for this object before";
                    continue;
                }
                Some(_) => {}
                None => {
                    note_used(shelf, id, key, &about.tag)?;
                    plan.used.insert(key.to_owned(), about.tag);
                }
            }
            return shelf.remove(key);
        }
        Err(Refusal::Kept(why))
    }

    fn standing(
        &self,
        shelf: &Shelf,
        domain: &str,
        id: PlanId,
        now_ns: u64,
    ) -> Result<Standing, Refusal> {
        let mut said = Vec::new();
        let matter = Matter::deletion(domain, id);
        let prefix = matter.prefix();
        for approver in self.rule.approvers() {
            for word in ["approve", "cancel"] {
                let key = format!("{prefix}{word}-{}", approver.digits());
                let Some((file, about)) = shelf.open_object(&key)? else {
                    continue;
                };
                let bytes = read_short(file, STATEMENT_BYTES_MAX)?;
                if let Ok(statement) = Statement::from_bytes(&bytes) {
                    said.push((statement, since_1970(about.written)));
                }
            }
        }
        Ok(self.rule.judge(&matter, &said, now_ns))
    }
}

fn grants_of(shelf: &Shelf, domain: &str) -> Result<Vec<PlanId>, Refusal> {
    let prefix = PlanId::domain_prefix(domain);
    let wanted = Wanted { prefix: &prefix, after: "", most: GRANTS_MAX, fold: true };
    let folders = shelf.list(&wanted)?.entries;
    let id =
        |(key, _): &(String, _)| parse_grant_key(domain, &format!("{key}plan")).map(|(id, _)| id);
    Ok(folders.iter().filter_map(id).collect())
}

fn known_plan<'a>(
    known: &'a mut BTreeMap<PlanId, KnownPlan>,
    shelf: &Shelf,
    domain: &str,
    id: PlanId,
) -> Result<Option<&'a mut KnownPlan>, Refusal> {
    if !known.contains_key(&id) {
        let Some((file, about)) = shelf.open_object(&id.plan_key(domain))? else {
            return Ok(None);
        };
        let bytes = read_short(file, about.length_bytes)?;
        let plan = DeletionPlan::from_bytes(&bytes).ok();
        let Some(plan) = plan.filter(|plan| plan.id() == id && plan.domain == domain) else {
            return Ok(None);
        };
        if known.len() >= PLANS_MAX {
            known.clear();
        }
        known.insert(id, KnownPlan { plan: Arc::new(plan), used: read_used(shelf, id)? });
    }
    Ok(known.get_mut(&id))
}

fn used_file(shelf: &Shelf, id: PlanId) -> PathBuf {
    shelf.root().join(USED).join(id.to_string())
}

/// Lines of a name and the tag of the object that had it. A last line that a crash cut short is
/// none: its object was not deleted yet.
fn read_used(shelf: &Shelf, id: PlanId) -> Result<Used, Refusal> {
    let text = match fs::read_to_string(used_file(shelf, id)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Used::new()),
        Err(error) => return Err(error.into()),
    };
    let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let pairs = whole.filter_map(|line| line.split_once(' '));
    Ok(pairs.map(|(key, tag)| (key.to_owned(), tag.to_owned())).collect())
}

fn note_used(shelf: &Shelf, id: PlanId, key: &str, tag: &str) -> Result<(), Refusal> {
    let path = used_file(shelf, id);
    let folder = shelf.root().join(USED);
    if !folder.is_dir() {
        fs::create_dir_all(&folder)?;
        File::open(shelf.root())?.sync_all()?;
    }
    let new = !path.exists();
    let mut file = File::options().create(true).append(true).read(true).open(&path)?;
    // After a line that a crash cut short, begin a new one.
    let mut last = *b"\n";
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let cut = last != *b"\n";
    let line = format!("{}{key} {tag}\n", if cut { "\n" } else { "" });
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    if new {
        File::open(&folder)?.sync_all()?;
    }
    Ok(())
}

fn read_short(file: File, length_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(length_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
