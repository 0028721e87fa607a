//! Which words somebody may have meant: for people to look at, never to be taken by themselves.

/// Up to three words of the list that somebody may have meant by what was typed: those that begin
/// with the same four letters, then those that are one or two slips of the pen away.
pub(crate) fn nearest(typed: &str, words: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let first: String = typed.chars().take(4).collect();
    let mut found: Vec<(usize, &str)> = words
        .filter_map(|word| {
            let same_start = first.chars().count() == 4 && word.starts_with(&first);
            let slips = if same_start { 0 } else { slips(typed, word) };
            (slips <= 2).then_some((slips, word))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, word)| word).take(3).collect()
}

/// Letters put in, left out, replaced or swapped with their neighbour between two words
/// (optimal string alignment); words that are much longer count as far away.
fn slips(typed: &str, word: &str) -> usize {
    let (typed, word): (Vec<char>, Vec<char>) = (typed.chars().collect(), word.chars().collect());
    if typed.len() > word.len() + 2 {
        return usize::MAX;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=word.len()).collect();
    for (row, letter) in typed.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in word.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let put_in = at(&last, column + 1).saturating_add(1);
            let left_out = at(&line, column).saturating_add(1);
            let replaced = at(&last, column).saturating_add(usize::from(letter != other));
            let mut best = put_in.min(left_out).min(replaced);
            let swapped = row > 0
                && column > 0
                && typed.get(row - 1) == Some(other)
                && word.get(column - 1) == Some(letter);
            if swapped {
                best = best.min(at(&before_last, column - 1).saturating_add(1));
            }
            line.push(best);
        }
        before_last = std::mem::replace(&mut last, line);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_of_neighbours_is_one_slip() {
        assert_eq!(slips("abdc", "abcd"), 1);
        assert_eq!(slips("abcd", "abcd"), 0);
        assert_eq!(slips("bcd", "abcd"), 1);
        assert_eq!(slips("xbcd", "abcd"), 1);
        assert_eq!(slips("axbxcd", "abcd"), 2);
    }
}
