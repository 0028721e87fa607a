//! A process that looks through its own memory.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

/// Bytes that are looked for, kept in a form that the search itself does not find.
pub struct Needle {
    name: &'static str,
    masked: Vec<u8>,
}

const MASK: u8 = 0x5a;
/// Bytes of a needle that have to be found together: an allocator writes over the first bytes of
/// what is freed, so the end of a secret tells more than its beginning.
const WINDOW_BYTES: usize = 12;
const WINDOW_STEP: usize = 4;
const CHUNK_BYTES: usize = 1 << 20;

impl Needle {
    pub fn new(name: &'static str, secret: &[u8]) -> Self {
        assert!(secret.len() >= WINDOW_BYTES, "{name}: too short to be told from chance");
        Self { name, masked: secret.iter().map(|byte| byte ^ MASK).collect() }
    }

    fn windows(&self) -> impl Iterator<Item = &[u8]> {
        self.masked.windows(WINDOW_BYTES).step_by(WINDOW_STEP)
    }
}

fn is_at(memory: &[u8], window: &[u8]) -> bool {
    memory.iter().zip(window).all(|(byte, masked)| *byte == masked ^ MASK)
}

type Window = [u8; WINDOW_BYTES];
/// Windows of needles, masked, by their first bytes.
type ByFirst = [Vec<(&'static str, Window)>; 256];

/// Everything the search needs is allocated before: what was freed last is handed out first, and
/// the search must not write over what it is to find.
pub struct Search {
    memory: File,
    maps: String,
    chunk: Vec<u8>,
    by_first: ByFirst,
    found: Vec<&'static str>,
}

impl Search {
    pub fn new() -> Self {
        Self {
            memory: File::open("/proc/self/mem").unwrap(),
            maps: String::with_capacity(1 << 20),
            chunk: vec![0; CHUNK_BYTES],
            by_first: std::array::from_fn(|_| Vec::with_capacity(64)),
            found: Vec::with_capacity(1 << 10),
        }
    }

    /// Names of the needles that are in this process's memory, but for this thread's stack.
    pub fn found(mut self, needles: &[Needle]) -> Vec<&'static str> {
        File::open("/proc/self/maps").unwrap().read_to_string(&mut self.maps).unwrap();
        let maps = std::mem::take(&mut self.maps);
        for needle in needles {
            for window in needle.windows() {
                let window: Window = window.try_into().unwrap();
                self.by_first[usize::from(window[0])].push((needle.name, window));
            }
        }
        for place in maps.lines().filter_map(writable).filter(|place| !is_own_stack(*place)) {
            self.look_through(place);
        }
        self.found.sort_unstable();
        self.found.dedup();
        self.found
    }

    fn look_through(&mut self, (mut at, end): (u64, u64)) {
        while at < end {
            let wanted = usize::try_from(end - at).unwrap().min(CHUNK_BYTES);
            let read = self.memory.read_at(&mut self.chunk[..wanted], at).unwrap_or(0);
            if read == 0 {
                return;
            }
            for here in self.chunk[..read].windows(WINDOW_BYTES) {
                // Few windows begin with the byte that is here.
                for (name, window) in &self.by_first[usize::from(here[0] ^ MASK)] {
                    if is_at(here, window) {
                        self.found.push(name);
                    }
                }
            }
            // What was copied must not be found as if it were still there.
            self.chunk.fill(0);
            let overlap = if at + read as u64 == end { 0 } else { 2 * WINDOW_BYTES };
            at += (read - overlap.min(read - 1)) as u64;
        }
    }
}

/// Memory that can be written: heaps, arenas of threads, statics.
fn writable(line: &str) -> Option<(u64, u64)> {
    if !line.contains(" rw") || line.contains("[stack") {
        return None;
    }
    let (from, to) = line.split_whitespace().next()?.split_once('-')?;
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
}

/// Stacks of threads are ordinary mappings.
fn is_own_stack(place: (u64, u64)) -> bool {
    let here = 0_u8;
    let address = std::ptr::from_ref(&here).addr() as u64;
    (place.0..place.1).contains(&address)
}
