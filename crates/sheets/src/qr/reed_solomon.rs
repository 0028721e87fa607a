//! One block of codewords: errors and losses corrected (Berlekamp–Massey with erasures, Forney).

use super::field::{evaluate, inverse, mul, power, product};

/// Corrects a block in place, the check codewords last; `lost` are indices of codewords that are
/// known to be worthless. Gives how many codewords were wrong, or nothing if too many are.
pub(crate) fn correct(block: &mut [u8], check: usize, lost: &[usize]) -> Option<usize> {
    if lost.len() > check || block.len() > 255 || check >= block.len() {
        return None;
    }
    let syndromes = syndromes(block, check);
    if syndromes.iter().all(|syndrome| *syndrome == 0) {
        return Some(0);
    }
    let locator = locator(&syndromes, block.len(), lost)?;
    let degree = locator.len() - 1;
    let evaluator = product(&syndromes, &locator, check);
    let slope: Vec<u8> = locator
        .iter()
        .enumerate()
        .skip(1)
        .map(|(at, coefficient)| if at % 2 == 1 { *coefficient } else { 0 })
        .collect();
    let (mut roots, mut wrong) = (0, 0);
    let last = block.len() - 1;
    for (at, codeword) in block.iter_mut().enumerate() {
        let place = power(last - at);
        let back = inverse(place);
        if evaluate(&locator, back) != 0 {
            continue;
        }
        roots += 1;
        let below = evaluate(&slope, back);
        if below == 0 {
            return None;
        }
        let error = mul(place, mul(evaluate(&evaluator, back), inverse(below)));
        wrong += usize::from(error != 0);
        *codeword ^= error;
    }
    let holds = self::syndromes(block, check).iter().all(|syndrome| *syndrome == 0);
    (roots == degree && holds).then_some(wrong)
}

fn syndromes(block: &[u8], check: usize) -> Vec<u8> {
    let value = |at: u8| block.iter().fold(0, |value, codeword| mul(value, at) ^ codeword);
    (0..check).map(|root| value(power(root))).collect()
}

/// The polynomial whose roots say which codewords are wrong.
fn locator(syndromes: &[u8], codewords: usize, lost: &[usize]) -> Option<Vec<u8>> {
    let check = syndromes.len();
    let room = check + 2;
    let mut locator = vec![1];
    for at in lost {
        let place = power(codewords.checked_sub(at + 1)?);
        locator = product(&locator, &[1, place], locator.len() + 1);
    }
    locator.resize(room, 0);
    let mut before = locator.clone();
    let mut degree = lost.len();
    for step in lost.len()..check {
        let known = syndromes.iter().take(step + 1).rev();
        let gap = locator.iter().zip(known).fold(0, |sum, (left, right)| sum ^ mul(*left, *right));
        before.insert(0, 0);
        before.truncate(room);
        if gap == 0 {
            continue;
        }
        let next: Vec<u8> =
            locator.iter().zip(&before).map(|(own, other)| own ^ mul(gap, *other)).collect();
        if 2 * degree <= step + lost.len() {
            degree = step + 1 + lost.len() - degree;
            let scale = inverse(gap);
            before = locator.iter().map(|own| mul(*own, scale)).collect();
        }
        locator = next;
    }
    let top = locator.iter().rposition(|coefficient| *coefficient != 0)?;
    locator.truncate(top + 1);
    (top == degree).then_some(locator)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of zeros is a codeword of every code.
    fn spoiled(errors: &[(usize, u8)]) -> Vec<u8> {
        let mut block = vec![0; 43];
        for (at, value) in errors {
            block[*at] = *value;
        }
        block
    }

    #[test]
    fn half_as_many_errors_as_check_codewords_are_corrected() {
        let errors: Vec<(usize, u8)> = (0..14).map(|at| (at * 3, 17 + at as u8)).collect();
        let mut block = spoiled(&errors);
        assert_eq!(correct(&mut block, 28, &[]), Some(14));
        assert_eq!(block, spoiled(&[]));
    }

    #[test]
    fn as_many_losses_as_check_codewords_are_corrected() {
        let errors: Vec<(usize, u8)> = (0..28).map(|at| (at, 200 - at as u8)).collect();
        let lost: Vec<usize> = (0..28).collect();
        let mut block = spoiled(&errors);
        assert_eq!(correct(&mut block, 28, &lost), Some(28));
        assert_eq!(block, spoiled(&[]));
    }

    #[test]
    fn losses_and_errors_share_the_check_codewords() {
        for losses in 0..=28 {
            let errors = (28 - losses) / 2;
            let wrong: Vec<(usize, u8)> =
                (0..losses + errors).map(|at| (at, 3 + at as u8)).collect();
            let lost: Vec<usize> = (0..losses).collect();
            let mut block = spoiled(&wrong);
            assert_eq!(correct(&mut block, 28, &lost), Some(losses + errors), "{losses} lost");
            assert_eq!(block, spoiled(&[]), "{losses} lost");
        }
    }

    #[test]
    fn a_lost_codeword_that_was_right_is_not_counted() {
        let mut block = spoiled(&[(5, 9)]);
        assert_eq!(correct(&mut block, 28, &[5, 6, 7]), Some(1));
    }

    #[test]
    fn too_many_errors_are_refused_or_give_another_codeword_never_a_panic() {
        let errors: Vec<(usize, u8)> = (0..20).map(|at| (at * 2, 40 + at as u8)).collect();
        assert_eq!(correct(&mut spoiled(&errors), 28, &[]), None);
        assert_eq!(correct(&mut spoiled(&errors), 28, &[42; 3]), None);
        assert_eq!(correct(&mut spoiled(&errors), 28, &[99]), None);
    }
}
