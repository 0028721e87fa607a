//! Exact integers of any size, written for the tests alone: schoolbook, and nothing but what the
//! definitions need (no division).

use std::cmp::Ordering;
use std::ops::{Add, Mul, Neg, Sub};

/// Sign and magnitude, least significant digit first, base 2^32, no leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Big {
    negative: bool,
    digits: Vec<u32>,
}

impl Big {
    fn new(negative: bool, mut digits: Vec<u32>) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Self { negative: negative && !digits.is_empty(), digits }
    }

    pub fn power_of_ten(exponent: u32) -> Self {
        (0..exponent).fold(Self::from(1), |power, _| power * Self::from(10))
    }

    pub fn abs(&self) -> Self {
        Self::new(false, self.digits.clone())
    }

    pub fn is_negative(&self) -> bool {
        self.negative
    }

    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    pub fn is_even(&self) -> bool {
        self.digits.first().is_none_or(|digit| digit % 2 == 0)
    }
}

impl From<i128> for Big {
    fn from(value: i128) -> Self {
        let magnitude = value.unsigned_abs();
        let digits = (0..4).map(|place| low(magnitude >> (32 * place))).collect();
        Self::new(value < 0, digits)
    }
}

/// The lowest digit.
fn low(value: u128) -> u32 {
    u32::try_from(value & u128::from(u32::MAX)).expect("32 bits")
}

fn compare(a: &[u32], b: &[u32]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

/// `a − b` for `a ≥ b`.
fn subtract(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut borrow = 0;
    let digits = a.iter().enumerate().map(|(place, digit)| {
        let taken = i64::from(*digit) - i64::from(b.get(place).copied().unwrap_or(0)) - borrow;
        borrow = i64::from(taken < 0);
        low((taken + (borrow << 32)).unsigned_abs().into())
    });
    digits.collect()
}

fn sum(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut carry = 0;
    let digit = |digits: &[u32], place: usize| u64::from(digits.get(place).copied().unwrap_or(0));
    let places = 0..=a.len().max(b.len());
    let digits = places.map(|place| {
        let total = digit(a, place) + digit(b, place) + carry;
        carry = total >> 32;
        low(total.into())
    });
    digits.collect()
}

impl Add for Big {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        if self.negative == other.negative {
            return Self::new(self.negative, sum(&self.digits, &other.digits));
        }
        match compare(&self.digits, &other.digits) {
            Ordering::Less => Self::new(other.negative, subtract(&other.digits, &self.digits)),
            _ => Self::new(self.negative, subtract(&self.digits, &other.digits)),
        }
    }
}

impl Neg for Big {
    type Output = Self;
    fn neg(self) -> Self {
        Self::new(!self.negative, self.digits)
    }
}

impl Sub for Big {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Big {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let mut digits = vec![0u32; self.digits.len() + other.digits.len()];
        for (first, a) in self.digits.iter().enumerate() {
            let mut carry = 0u64;
            for (second, b) in other.digits.iter().enumerate() {
                let place = &mut digits[first + second];
                let total = u64::from(*a) * u64::from(*b) + u64::from(*place) + carry;
                *place = low(total.into());
                carry = total >> 32;
            }
            digits[first + other.digits.len()] = low(carry.into());
        }
        Self::new(self.negative != other.negative, digits)
    }
}

impl PartialOrd for Big {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Big {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => compare(&self.digits, &other.digits),
            (true, true) => compare(&other.digits, &self.digits),
        }
    }
}

#[test]
fn small_numbers_agree_with_the_machine() {
    let samples = [-7_000_000_000i128, -65_536, -3, -1, 0, 1, 2, 255, 4_294_967_296, 1 << 60];
    for a in samples {
        for b in samples {
            let (x, y) = (Big::from(a), Big::from(b));
            assert_eq!(x.cmp(&y), a.cmp(&b));
            assert_eq!(x.clone() + y.clone(), Big::from(a + b));
            assert_eq!(x.clone() - y.clone(), Big::from(a - b));
            assert_eq!(x.clone() * y, Big::from(a * b));
            assert_eq!(x.is_even(), a % 2 == 0);
        }
    }
    let square = Big::from(i128::MAX) * Big::from(i128::MAX);
    let expected = Big::from(i128::MAX) * Big::from(i128::MAX - 1) + Big::from(i128::MAX);
    assert_eq!(square, expected);
}
