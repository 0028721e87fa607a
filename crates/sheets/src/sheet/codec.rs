//! Bytes of symbols: big-endian numbers, and text behind its length.

use zeroize::Zeroizing;

/// Reads from the front; nothing once something was missing.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn four(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let count = self.byte()?;
        let bytes = self.take(usize::from(count))?;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }
}

/// Numbers of so many bits one after the other, the last byte filled up with zeros.
pub(super) fn pack(numbers: &[u16], bits: usize, bytes: &mut Vec<u8>) {
    let (mut waiting, mut waiting_bits) = (Zeroizing::new(0_u32), 0);
    for number in numbers {
        *waiting = *waiting << bits | u32::from(*number);
        waiting_bits += bits;
        while waiting_bits >= 8 {
            waiting_bits -= 8;
            let [.., byte] = (*waiting >> waiting_bits).to_be_bytes();
            bytes.push(byte);
        }
        *waiting &= (1 << waiting_bits) - 1;
    }
    if waiting_bits > 0 {
        let [.., byte] = (*waiting << (8 - waiting_bits)).to_be_bytes();
        bytes.push(byte);
    }
}

/// The reverse: so many numbers; what fills up the last byte has to be zero.
pub(super) fn unpack(bytes: &[u8], bits: usize, count: usize) -> Option<Zeroizing<Vec<u16>>> {
    if bytes.len() != (bits * count).div_ceil(8) {
        return None;
    }
    let mut numbers = Zeroizing::new(Vec::with_capacity(count));
    let (mut waiting, mut waiting_bits) = (Zeroizing::new(0_u32), 0);
    for byte in bytes {
        *waiting = *waiting << 8 | u32::from(*byte);
        waiting_bits += 8;
        if waiting_bits >= bits && numbers.len() < count {
            waiting_bits -= bits;
            let [.., high, low] = (*waiting >> waiting_bits).to_be_bytes();
            numbers.push(u16::from_be_bytes([high, low]));
            *waiting &= (1 << waiting_bits) - 1;
        }
    }
    (*waiting == 0 && numbers.len() == count).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_their_bits() {
        for count in [0, 1, 4, 20, 33] {
            let numbers: Vec<u16> = (0..count).map(|at| (at * 331 + 1023) % 1024).collect();
            let mut bytes = Vec::new();
            pack(&numbers, 10, &mut bytes);
            assert_eq!(bytes.len(), (numbers.len() * 10).div_ceil(8));
            assert_eq!(*unpack(&bytes, 10, numbers.len()).unwrap(), numbers);
            assert_eq!(unpack(&bytes, 10, numbers.len() + 4), None);
        }
    }

    #[test]
    fn filling_that_is_not_zero_is_refused() {
        assert!(unpack(&[0xff, 0xc0], 10, 1).is_some());
        assert!(unpack(&[0xff, 0xc1], 10, 1).is_none());
    }
}
