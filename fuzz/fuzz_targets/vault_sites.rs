//! Five sites with objects overwritten, cut, swapped and deleted: reading the catalog, verifying
//! and restoring never panic, and whatever is restored is what was saved.
#![no_main]

use evenkeel_vault::{
    Catalog, IdKey, Lineage, ObjectInfo, Opener, OsRandom, PointInput, RecoveryIdentity,
    RootPublicKey, Site, SiteClass, SiteError, SiteErrorKind, Verify, Writer, WriterKey,
    WriterOptions, verify,
};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

const DOMAIN: &str = "state";
const TAIL: &[u8] = b"entries 0 to 9";

type Objects = BTreeMap<String, Vec<u8>>;

struct Memory {
    name: String,
    objects: Mutex<Objects>,
}

impl Memory {
    fn error(&self, action: &'static str, key: &str, kind: SiteErrorKind) -> SiteError {
        let site = self.name.clone();
        let (key, detail) = (key.to_owned(), format!("{kind:?}"));
        SiteError { site, action, key, kind, detail }
    }

    fn objects(&self) -> std::sync::MutexGuard<'_, Objects> {
        self.objects.lock().expect("no thread panicked")
    }
}

impl Site for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn class(&self) -> SiteClass {
        SiteClass::Mutable
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), SiteError> {
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Err(self.error("put", key, SiteErrorKind::Exists));
        }
        objects.insert(key.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        let found = self.objects().get(key).cloned();
        found.ok_or_else(|| self.error("get", key, SiteErrorKind::NotFound))
    }

    fn get_range(&self, key: &str, offset: u64, length: u64) -> Result<Vec<u8>, SiteError> {
        let bytes = self.get(key)?;
        let range = usize::try_from(offset).ok().zip(usize::try_from(offset + length).ok());
        let part = range.and_then(|(from, to)| bytes.get(from..to)).map(<[u8]>::to_vec);
        part.ok_or_else(|| self.error("get", key, SiteErrorKind::Misread))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError> {
        let objects = self.objects();
        let inside = objects.iter().filter(|(key, _)| key.starts_with(prefix));
        let info = |(key, bytes): (&String, &Vec<u8>)| ObjectInfo {
            key: key.clone(),
            length_bytes: bytes.len() as u64,
        };
        Ok(inside.map(info).collect())
    }

    fn used_bytes(&self) -> Result<u64, SiteError> {
        Ok(self.objects().values().map(|bytes| bytes.len() as u64).sum())
    }

    fn free_bytes(&self) -> Result<Option<u64>, SiteError> {
        Ok(None)
    }
}

/// Bytes that do not compress, the same in every run.
fn noise(length: u64) -> Vec<u8> {
    let mixed = |at: u64| at.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    (0..length).map(|at| mixed(mixed(at)).to_le_bytes()[0]).collect()
}

struct Whole {
    sites: Vec<Objects>,
    root: RootPublicKey,
    recovery: RecoveryIdentity,
    sources: BTreeMap<String, Vec<u8>>,
}

/// One lineage with a tail and a recovery point, large enough for a pack. Its keys are new in every
/// run, but patches by offset mean the same in all of them.
static WHOLE: LazyLock<Whole> = LazyLock::new(|| {
    let recovery = RecoveryIdentity::generate(DOMAIN, &mut OsRandom).expect("an identity");
    let key = WriterKey::generate(&mut OsRandom).expect("a key");
    let lineage = Lineage::parse(&"5a".repeat(16)).expect("a lineage");
    let certificate = recovery.certify(lineage, None, key.public(), 1).expect("a certificate");
    let memories: Vec<Arc<Memory>> = (0..5)
        .map(|at| Arc::new(Memory { name: format!("site-{at}"), objects: Mutex::default() }))
        .collect();
    let sites = memories.iter().map(|memory| memory.clone() as Arc<dyn Site>).collect();
    let root = recovery.root_public();
    let id_key = IdKey::from_bytes(&[3; 32]);
    let options = WriterOptions::new(vec![recovery.recipient()]);
    let mut writer =
        Writer::open(sites, &root, certificate, key, id_key, options, Box::new(OsRandom))
            .expect("a writer");
    writer.append_tail(0, 9, TAIL, &[], 2).expect("a tail");
    let sources = BTreeMap::from([
        ("journal".to_owned(), b"small".repeat(9)),
        ("snapshot".to_owned(), noise(90_000)),
    ]);
    let mut streams: Vec<(String, &[u8])> =
        sources.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())).collect();
    let input = PointInput {
        position: 9,
        time_ns: 3,
        roots: Vec::new(),
        sources: streams.iter_mut().map(|(name, bytes)| (name.clone(), bytes as _)).collect(),
        self_contained: true,
    };
    writer.append_point(input).expect("a point");
    let sites = memories.iter().map(|memory| memory.objects().clone()).collect();
    Whole { sites, root, recovery, sources }
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut contents = WHOLE.sites.clone();
    damage(&mut contents, bytes);
    let sites: Vec<Arc<dyn Site>> = contents
        .into_iter()
        .enumerate()
        .map(|(at, objects)| Memory { name: format!("site-{at}"), objects: Mutex::new(objects) })
        .map(|memory| Arc::new(memory) as Arc<dyn Site>)
        .collect();
    let Ok(catalog) = Catalog::load(&sites, DOMAIN, &WHOLE.root, None) else {
        return;
    };
    let catalog = Arc::new(catalog);
    let _ = verify(&catalog, Verify::Ciphertext);
    let Ok(opener) = Opener::new(catalog.clone(), WHOLE.recovery.identity().clone()) else {
        return;
    };
    for point in catalog.points() {
        for (name, expected) in &WHOLE.sources {
            let mut restored = Vec::new();
            if opener.read_source(point.id, name, &mut restored).is_ok() {
                assert!(restored == *expected, "{name} came back as something else");
            }
        }
    }
    for lineage in catalog.lineages() {
        for tail in catalog.tails_after(lineage.lineage, None) {
            if let Ok(payload) = opener.read_tail(&tail) {
                assert!(payload == TAIL, "the tail came back as something else");
            }
        }
    }
});

/// Patches `site, object, way, offset (3 bytes), length, bytes…`.
fn damage(sites: &mut [Objects], mut patches: &[u8]) {
    while let [site, object, way, a, b, c, length, rest @ ..] = patches {
        let count = sites.len();
        let objects = &mut sites[usize::from(*site) % count];
        let keys: Vec<String> = objects.keys().cloned().collect();
        if keys.is_empty() {
            return;
        }
        let key = &keys[usize::from(*object) % keys.len()];
        let taken = usize::from(*length).min(rest.len());
        let offset = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        let content = objects.get_mut(key).expect("a key of this site");
        let offset = offset % (content.len() + 1);
        match way % 4 {
            0 => {
                let end = (offset + taken).min(content.len());
                content[offset..end].copy_from_slice(&rest[..end - offset]);
            }
            1 => content.truncate(offset),
            2 => drop(objects.remove(key)),
            _ => {
                let other = keys[usize::from(*a) % keys.len()].clone();
                let swapped = objects[&other].clone();
                objects.insert(key.clone(), swapped);
            }
        }
        patches = &rest[taken..];
    }
}
