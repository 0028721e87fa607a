//! The write-ahead log of a database: any bytes give a prefix of chained transactions or nothing.
#![no_main]

use evenkeel_capture::sqlite::wal::{WalChain, WalHeader, checksum, decode};

/// A log whose header and checksums are right, so that the fuzzer gets behind them.
fn signed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = bytes.split_first()?;
    let big_endian = first & 1 == 1;
    let page_bytes = 512_usize << (first >> 1 & 1);
    let mut log = Vec::new();
    let magic = 0x377f_0682 + u32::from(big_endian);
    let page_word = u32::try_from(page_bytes).expect("small");
    for word in [magic, 3_007_000, page_word, 0, 1, 2] {
        log.extend_from_slice(&word.to_be_bytes());
    }
    let mut sum = checksum(big_endian, [0, 0], &log);
    log.extend(sum.iter().flat_map(|word| word.to_be_bytes()));
    for chunk in rest.chunks(10) {
        let mut head = [0; 8];
        head[..chunk.len().min(8)].copy_from_slice(&chunk[..chunk.len().min(8)]);
        let data = vec![chunk.first().copied().unwrap_or(0); page_bytes];
        sum = checksum(big_endian, checksum(big_endian, sum, &head), &data);
        log.extend_from_slice(&head);
        log.extend([1, 2, sum[0], sum[1]].iter().flat_map(|word: &u32| word.to_be_bytes()));
        log.extend_from_slice(&data);
        if chunk.len() == 10 && chunk[9] == 255 {
            let at = log.len() - 1 - usize::from(chunk[8]);
            log[at] ^= 1;
        }
    }
    Some(log)
}

fn check(log: &[u8]) {
    let Ok(decoded) = decode(log) else { return };
    let header = WalHeader::decode(log).expect("the header was read");
    let mut chain = WalChain::begin(header);
    for transaction in &decoded.transactions {
        for (at, (page, data)) in transaction.pages.iter().enumerate() {
            let offset = header.frame_offset(chain.place().frame + 1);
            let frame = chain.accept(&log[usize::try_from(offset).expect("small")..]);
            let frame = frame.expect("a frame of a transaction continues the chain");
            assert_eq!((frame.page, frame.data), (*page, *data));
            assert_eq!(frame.commit_pages.is_some(), at + 1 == transaction.pages.len());
        }
        assert_eq!(chain.place(), transaction.end);
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    if let Some(log) = signed(bytes) {
        check(&log);
    }
});
