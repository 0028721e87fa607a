//! Patterns that leave files out: `*`, `?` and `[…]` within a name, `**` across folders.
//!
//! A pattern that begins with `/` is held against the whole path, any other against its end; one
//! that ends with `/` fits folders only. A folder that fits is left out with all that is in it.

use super::error::{Error, Result};
use super::path::parts;

/// Patterns; a path that fits one of them is left out.
#[derive(Debug, Clone, Default)]
pub struct Globs(Vec<Glob>);

#[derive(Debug, Clone)]
struct Glob {
    parts: Vec<Part>,
    folders_only: bool,
}

#[derive(Debug, Clone)]
enum Part {
    /// Any number of components.
    Any,
    Name(Vec<Token>),
}

#[derive(Debug, Clone)]
enum Token {
    Byte(u8),
    One,
    Many,
    Set { negated: bool, ranges: Vec<(u8, u8)> },
}

impl Globs {
    /// Reads patterns.
    ///
    /// # Errors
    /// [`Error::Pattern`].
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self> {
        patterns.iter().map(|pattern| Glob::new(pattern.as_ref())).collect::<Result<_>>().map(Self)
    }

    /// Whether a path is left out.
    #[must_use]
    pub fn fits(&self, path: &[u8], is_folder: bool) -> bool {
        let names: Vec<&[u8]> = parts(path).collect();
        let fits = |glob: &Glob| (is_folder || !glob.folders_only) && matches(&glob.parts, &names);
        self.0.iter().any(fits)
    }
}

impl Glob {
    fn new(pattern: &str) -> Result<Self> {
        let wrong = |detail| Error::Pattern { pattern: pattern.to_owned(), detail };
        let mut found = Vec::new();
        if !pattern.starts_with('/') {
            found.push(Part::Any);
        }
        for name in parts(pattern.as_bytes()) {
            found.push(match name {
                b"**" => Part::Any,
                b"." | b".." => return Err(wrong("`.` and `..` stand in no stored path")),
                name => Part::Name(tokens(name).map_err(wrong)?),
            });
        }
        if !found.iter().any(|part| matches!(part, Part::Name(_))) {
            return Err(wrong("it would leave out everything or nothing"));
        }
        Ok(Self { parts: found, folders_only: pattern.ends_with('/') })
    }
}

fn tokens(name: &[u8]) -> Result<Vec<Token>, &'static str> {
    let mut found = Vec::new();
    let mut rest = name;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        found.push(match first {
            b'*' => Token::Many,
            b'?' => Token::One,
            b'\\' => {
                let (byte, behind) = rest.split_first().ok_or("nothing follows the `\\`")?;
                rest = behind;
                Token::Byte(*byte)
            }
            b'[' => {
                let end = rest.iter().skip(1).position(|byte| *byte == b']');
                let end = end.ok_or("a `[` without its `]`")? + 1;
                let (set, behind) = rest.split_at(end);
                rest = &behind[1..];
                set_of(set)
            }
            byte => Token::Byte(*byte),
        });
    }
    Ok(found)
}

fn set_of(set: &[u8]) -> Token {
    let negated = matches!(set.first(), Some(b'!' | b'^')) && set.len() > 1;
    let mut rest = if negated { &set[1..] } else { set };
    let mut ranges = Vec::new();
    loop {
        match rest {
            [first, b'-', last, behind @ ..] => {
                ranges.push((*first, *last));
                rest = behind;
            }
            [one, behind @ ..] => {
                ranges.push((*one, *one));
                rest = behind;
            }
            [] => return Token::Set { negated, ranges },
        }
    }
}

fn matches(parts: &[Part], names: &[&[u8]]) -> bool {
    match parts.split_first() {
        None => names.is_empty(),
        Some((Part::Any, rest)) => (0..=names.len()).any(|skip| matches(rest, &names[skip..])),
        Some((Part::Name(tokens), rest)) => names
            .split_first()
            .is_some_and(|(name, behind)| fits(tokens, name) && matches(rest, behind)),
    }
}

/// One name against its tokens; the last `*` seen is the only one that may take more, so that the
/// time is bounded by the product of the lengths.
fn fits(tokens: &[Token], name: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match tokens.get(token) {
            Some(Token::Many) => {
                star = Some((token + 1, at));
                token += 1;
            }
            Some(one) if fits_byte(one, name[at]) => {
                token += 1;
                at += 1;
            }
            _ => match &mut star {
                Some((behind, taken)) => {
                    *taken += 1;
                    (token, at) = (*behind, *taken);
                }
                None => return false,
            },
        }
    }
    tokens[token..].iter().all(|token| matches!(token, Token::Many))
}

fn fits_byte(token: &Token, byte: u8) -> bool {
    match token {
        Token::Byte(own) => *own == byte,
        Token::One | Token::Many => true,
        Token::Set { negated, ranges } => {
            ranges.iter().any(|(first, last)| (*first..=*last).contains(&byte)) != *negated
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, path: &str) -> bool {
        Globs::new(&[pattern]).unwrap().fits(path.as_bytes(), false)
    }

    #[test]
    fn a_name_fits_anywhere_and_a_rooted_pattern_only_at_the_root() {
        assert!(fits("*.log", "/var/x/a.log") && fits("*.log", "a.log"));
        assert!(!fits("*.log", "/var/a.log.1") && !fits("/*.log", "/var/a.log"));
        assert!(fits("/var/*/a.log", "/var/x/a.log") && !fits("/var/*/a.log", "/var/a.log"));
        assert!(fits("/var/**/a.log", "/var/a.log") && fits("/var/**/a.log", "/var/x/y/a.log"));
        assert!(fits("x/a.log", "/var/x/a.log") && !fits("x/a.log", "/var/xx/a.log"));
    }

    #[test]
    fn sets_marks_and_escapes_work_as_in_a_shell() {
        assert!(fits("a?c", "abc") && !fits("a?c", "ac"));
        assert!(fits("[a-c]x", "bx") && !fits("[!a-c]x", "bx") && fits("[]x]", "]"));
        assert!(fits("\\*", "*") && !fits("\\*", "a"));
        assert!(fits("a*b*c", "axxbyyc") && !fits("a*b*c", "axxbyy"));
    }

    #[test]
    fn a_pattern_for_folders_leaves_files_alone() {
        let globs = Globs::new(&["cache/"]).unwrap();
        assert!(globs.fits(b"/x/cache", true) && !globs.fits(b"/x/cache", false));
    }

    #[test]
    fn patterns_that_cannot_be_are_refused_with_the_reason() {
        for wrong in ["", "/", "**", "[a", "a\\", "../x"] {
            assert!(Globs::new(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        assert!(!fits(&"*a".repeat(100), &"a".repeat(99)));
    }
}
