//! Forged lengths and counts must not make a reader allocate. This file is a test program of its
//! own, because it counts every allocation of the process.
#![expect(unsafe_code, reason = "an allocator that counts can only be written with it")]

use evenkeel_types::merkle::Frontier;
use evenkeel_types::{Canonical, Entry, Event, Reader, Symbol, Writer};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LARGEST_BYTES: Cell<usize> = const { Cell::new(0) };
    static TOTAL_BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Not `with`: at a thread's end its storage is gone already.
        let _ = LARGEST_BYTES.try_with(|cell| cell.set(cell.get().max(layout.size())));
        let _ = TOTAL_BYTES.try_with(|cell| cell.set(cell.get().saturating_add(layout.size())));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Largest and total allocation, in bytes, while `work` runs on this thread.
fn allocated(work: impl FnOnce()) -> (usize, usize) {
    LARGEST_BYTES.set(0);
    TOTAL_BYTES.set(0);
    work();
    (LARGEST_BYTES.get(), TOTAL_BYTES.get())
}

fn forged(count: u64, tail_bytes: usize) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u64(count);
    writer.fixed(&vec![0xff; tail_bytes]);
    writer.into_bytes()
}

#[test]
fn the_counter_counts() {
    let (largest, total) = allocated(|| drop(vec![0u8; 10_000]));
    assert!(largest >= 10_000 && total >= 10_000);
}

#[test]
fn a_forged_count_of_items_allocates_nothing() {
    for count in [1 << 20, 1 << 32, u64::MAX] {
        let bytes = forged(count, 16);
        let measured = allocated(|| assert!(Reader::new(&bytes).sequence::<Event>().is_err()));
        assert_eq!(measured, (0, 0));
    }
}

#[test]
fn a_count_that_the_input_could_hold_allocates_a_bounded_amount() {
    let bytes = forged(1_000_000, 1_000_000);
    let (largest, _) = allocated(|| assert!(Reader::new(&bytes).sequence::<Event>().is_err()));
    assert!(largest <= 4_096 * size_of::<Event>(), "{largest}");
}

#[test]
fn a_forged_length_of_bytes_allocates_nothing() {
    for length in [33, 1 << 40, u64::MAX] {
        let bytes = forged(length, 64);
        let measured = allocated(|| {
            assert!(Symbol::from_bytes(&bytes).is_err());
            assert!(Reader::new(&bytes).bytes(usize::MAX).is_err() || length == 33);
        });
        assert_eq!(measured, (0, 0), "{length}");
    }
}

#[test]
fn a_forged_leaf_count_allocates_no_more_than_the_bytes_there_are() {
    let bytes = forged(u64::MAX, 40);
    let (largest, _) = allocated(|| assert!(Frontier::from_bytes(&bytes).is_err()));
    assert!(largest <= 4 * 32, "{largest}");
}

#[test]
fn an_entry_of_garbage_allocates_nothing_beyond_a_symbol() {
    for tag in 0..=u8::MAX {
        let bytes = [&[1, 0, 0, 0, 0, tag][..], &[0xff; 4_096]].concat();
        let (largest, _) = allocated(|| assert!(Entry::from_bytes(&bytes).is_err()));
        assert!(largest <= Symbol::MAX_BYTES, "{tag}: {largest}");
    }
}
