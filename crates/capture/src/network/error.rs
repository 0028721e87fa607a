//! What is wrong with a document, where, and what to do.

use thiserror::Error;

/// How alike two names have to be (0 to 1, Jaro–Winkler) for one to be suggested for the other.
const ALIKE: f64 = 0.72;

/// A document that is refused whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct DocumentError {
    /// 1-based line; 1 if the whole document is meant.
    pub line: usize,
    /// What is wrong, in a sentence that shows no secret.
    pub message: String,
    /// What to do.
    pub next: Vec<String>,
}

impl DocumentError {
    pub(super) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into(), next: Vec::new() }
    }

    pub(super) fn next(mut self, what: impl Into<String>) -> Self {
        self.next.push(what.into());
        self
    }

    /// What the reader of TOML says, with the nearest right name where a name is unknown.
    pub(super) fn of_toml(error: &toml::de::Error, text: &str) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let message = error.message();
        for (prefix, what) in
            [("unknown field ", "unknown key"), ("unknown variant ", "unknown word")]
        {
            let Some(name) = quoted_after(message, prefix) else { continue };
            let expected = expected(message);
            let said = Self::new(line, format!("{what} `{name}`"));
            return match nearest(name, &expected) {
                Some(near) => said.next(format!("did you mean `{near}`?")),
                None => said.next(format!("known here: {}", expected.join(", "))),
            };
        }
        // A value that is no TOML may be a secret: the reader's message does not repeat it.
        Self::new(line, message.trim().replace('\n', "; "))
            .next("docs/network.md shows every key with an example")
    }
}

/// The candidate most like `name`, if one is like it at all.
pub(super) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let alike = |candidate: &str| {
        let shortened = name.split('_').all(|word| candidate.split('_').any(|it| it == word));
        let alike = strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase());
        if shortened { alike.max(0.9) } else { alike }
    };
    candidates
        .iter()
        .map(|candidate| (alike(candidate), *candidate))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn quoted_after<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    message.strip_prefix(prefix)?.strip_prefix('`')?.split('`').next()
}

/// Every name in backquotes behind "expected".
fn expected(message: &str) -> Vec<&str> {
    let list = message.split_once(", expected ").map_or("", |(_, list)| list);
    list.split('`').skip(1).step_by(2).collect()
}
