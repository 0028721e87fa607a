//! Shamir's scheme with SLIP-0039's digest, one level of it: making shares, and finding out which
//! of them belong together.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::gf256::{Point, interpolate};
use crate::random::{Random, RandomError};
use crate::secret::same_bytes;

/// Where the polynomial is the secret.
pub(crate) const SECRET_X: u8 = 255;
/// Where it is the digest with its random key.
const DIGEST_X: u8 = 254;
const DIGEST_BYTES: usize = 4;

/// Bytes of one place of the polynomial.
pub(crate) type Values = Zeroizing<Vec<u8>>;

/// The first four bytes of HMAC-SHA256 of the secret under the random rest of the digest's place.
fn digest_holds(digest_place: &[u8], secret: &[u8]) -> bool {
    let Some((digest, key)) = digest_place.split_at_checked(DIGEST_BYTES) else {
        return false;
    };
    same_bytes(digest, &digest_of(key, secret))
}

pub(crate) fn digest_of(key: &[u8], secret: &[u8]) -> [u8; DIGEST_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), secret);
    let mut digest = [0; DIGEST_BYTES];
    for (byte, of_tag) in digest.iter_mut().zip(tag.as_ref()) {
        *byte = *of_tag;
    }
    digest
}

/// `count` shares of which `threshold` give the secret. With a threshold of 1 each is the secret.
///
/// Threshold and count were checked by the policy.
pub(crate) fn make_shares(
    threshold: u8,
    count: u8,
    secret: &[u8],
    random: &mut dyn Random,
) -> Result<Vec<Values>, RandomError> {
    if threshold == 1 {
        return Ok((0..count).map(|_| Zeroizing::new(secret.to_vec())).collect());
    }
    let drawn_count = threshold.saturating_sub(2);
    let mut shares = Vec::with_capacity(usize::from(count));
    for _ in 0..drawn_count {
        let mut values = Zeroizing::new(vec![0; secret.len()]);
        random.fill(&mut values)?;
        shares.push(values);
    }
    let mut digest_place = Zeroizing::new(vec![0; secret.len()]);
    random.fill(&mut digest_place)?;
    let (digest, key) = digest_place.split_at_mut(DIGEST_BYTES.min(secret.len()));
    for (byte, of_digest) in digest.iter_mut().zip(digest_of(key, secret)) {
        *byte = of_digest;
    }
    let later: Vec<Values> = {
        let mut points: Vec<Point<'_>> =
            (0..).zip(&shares).map(|(x, values): (u8, &Values)| Point { x, y: values }).collect();
        points.push(Point { x: DIGEST_X, y: &digest_place });
        points.push(Point { x: SECRET_X, y: secret });
        (drawn_count..count).map(|x| interpolate(&points, x)).collect()
    };
    shares.extend(later);
    Ok(shares)
}

/// What points of one level say together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Solution {
    /// All agree, and the digest holds.
    Sound(Values),
    /// One choice passes the digest; these points (indices) are not on its polynomial.
    Outliers(Vec<usize>),
    /// No choice passes the digest.
    None,
    /// So many different choices do.
    Several(usize),
}

/// Finds the secret of points of which `threshold`, at least 2, determine the polynomial.
///
/// There are at least `threshold` points, at different places and of equal length: the caller has
/// checked it.
pub(crate) fn solve(points: &[Point<'_>], threshold: u8) -> Solution {
    try_choices(None, points, usize::from(threshold))
}

/// As [`solve`], among the polynomials through a further point that is known to be good; one point
/// less is needed.
pub(crate) fn solve_through(known: Point<'_>, points: &[Point<'_>], threshold: u8) -> Solution {
    try_choices(Some(known), points, usize::from(threshold).saturating_sub(1))
}

fn try_choices(known: Option<Point<'_>>, points: &[Point<'_>], take: usize) -> Solution {
    let mut agreeing: Vec<Vec<bool>> = Vec::new();
    let mut secret = None;
    let mut choice: Vec<usize> = (0..take).collect();
    loop {
        let chosen: Vec<Point<'_>> =
            choice.iter().filter_map(|index| points.get(*index).copied()).chain(known).collect();
        let candidate = interpolate(&chosen, SECRET_X);
        if digest_holds(&interpolate(&chosen, DIGEST_X), &candidate) {
            let agree: Vec<bool> = points
                .iter()
                .map(|point| same_bytes(&interpolate(&chosen, point.x), point.y))
                .collect();
            if agree.iter().all(|agrees| *agrees) {
                return Solution::Sound(candidate);
            }
            // Choices on one polynomial agree with the same points.
            if !agreeing.contains(&agree) {
                agreeing.push(agree);
                secret = Some(candidate);
            }
        }
        if !next_choice(&mut choice, points.len()) {
            break;
        }
    }
    match (agreeing.as_slice(), secret) {
        ([agree], Some(_)) => {
            let outliers = agree.iter().enumerate().filter(|(_, agrees)| !**agrees);
            Solution::Outliers(outliers.map(|(index, _)| index).collect())
        }
        ([], _) => Solution::None,
        (several, _) => Solution::Several(several.len()),
    }
}

/// The next choice of as many out of `count`, in lexical order; false after the last.
fn next_choice(choice: &mut [usize], count: usize) -> bool {
    let mut limit = count;
    for position in (0..choice.len()).rev() {
        let Some(index) = choice.get(position).copied() else { return false };
        if index + 1 < limit {
            for (step, place) in choice.iter_mut().skip(position).enumerate() {
                *place = index + 1 + step;
            }
            return true;
        }
        limit = index;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(u8);

    impl Random for Counter {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomError> {
            for byte in bytes {
                self.0 = self.0.wrapping_mul(167).wrapping_add(13);
                *byte = self.0;
            }
            Ok(())
        }
    }

    fn shares(threshold: u8, count: u8) -> Vec<Values> {
        make_shares(threshold, count, &[0x42; 16], &mut Counter(1)).unwrap()
    }

    fn points(shares: &[Values]) -> Vec<Point<'_>> {
        (0..).zip(shares).map(|(x, y): (u8, &Values)| Point { x, y }).collect()
    }

    #[test]
    fn any_quorum_and_any_larger_choice_gives_the_secret() {
        for threshold in 2..=5 {
            let shares = shares(threshold, 6);
            let points = points(&shares);
            for first in 0..=6 - usize::from(threshold) {
                let sound = Solution::Sound(Zeroizing::new(vec![0x42; 16]));
                let some = &points[first..first + usize::from(threshold)];
                assert_eq!(solve(some, threshold), sound);
                assert_eq!(solve(&points[..], threshold), sound);
            }
        }
    }

    #[test]
    fn a_changed_share_is_named_if_one_is_to_spare_and_only_refused_if_not() {
        for culprit in 0..4 {
            let mut shares = shares(3, 4);
            shares[culprit][5] ^= 1;
            assert_eq!(solve(&points(&shares), 3), Solution::Outliers(vec![culprit]));
        }
        let mut shares = shares(3, 3);
        shares[1][0] ^= 0x80;
        assert_eq!(solve(&points(&shares), 3), Solution::None);
    }

    #[test]
    fn a_forged_quorum_beside_a_good_one_is_seen_as_two() {
        let mut all = shares(2, 4);
        let forged = make_shares(2, 4, &[0x43; 16], &mut Counter(9)).unwrap();
        all[2] = forged[2].clone();
        all[3] = forged[3].clone();
        assert_eq!(solve(&points(&all), 2), Solution::Several(2));
    }

    #[test]
    fn choices_are_all_there_are_each_once() {
        let mut choice = vec![0, 1, 2];
        let mut all = vec![choice.clone()];
        while next_choice(&mut choice, 6) {
            all.push(choice.clone());
        }
        let mut sorted = all.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!((all.len(), sorted), (20, all));
    }
}
