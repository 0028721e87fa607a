//! A file's tokens laid flat, with their lines: comments and strings can never be mistaken for
//! code, and the inside of macros is seen too.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What a token is, as far as the checks care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Ident(String),
    Punct(char),
    Open(char),
    Close(char),
    Float(String),
    Other,
}

/// A token and the line it begins on.
#[derive(Debug, Clone)]
pub struct Token {
    pub kind: Kind,
    pub line: usize,
}

impl Token {
    pub fn ident(&self) -> Option<&str> {
        match &self.kind {
            Kind::Ident(name) => Some(name),
            _ => None,
        }
    }

    pub fn is(&self, kind: &Kind) -> bool {
        self.kind == *kind
    }
}

/// Lays a token stream flat.
pub fn flatten(stream: TokenStream) -> Vec<Token> {
    let mut flat = Vec::new();
    push_all(stream, &mut flat);
    flat
}

fn push_all(stream: TokenStream, flat: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let kind = match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ('(', ')'),
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::None => (' ', ' '),
                };
                flat.push(Token { kind: Kind::Open(open), line });
                push_all(group.stream(), flat);
                flat.push(Token { kind: Kind::Close(close), line: group.span_close().end().line });
                continue;
            }
            TokenTree::Ident(ident) => Kind::Ident(ident.to_string()),
            TokenTree::Punct(punct) => Kind::Punct(punct.as_char()),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                match syn::Lit::new(literal) {
                    syn::Lit::Float(_) => Kind::Float(text),
                    _ => Kind::Other,
                }
            }
        };
        flat.push(Token { kind, line });
    }
}

/// The macro of one of these names that is called at `at`.
pub fn macro_call<'a>(tokens: &'a [Token], at: usize, names: &[&str]) -> Option<&'a str> {
    let name = tokens[at].ident().filter(|name| names.contains(name))?;
    let bang = tokens.get(at + 1)?.is(&Kind::Punct('!'));
    let open = matches!(tokens.get(at + 2)?.kind, Kind::Open(_));
    (bang && open).then_some(name)
}

/// Where the group that opens at `open` closes.
pub fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// A path such as `std::time::Instant`, with `use` groups written out.
#[derive(Debug, PartialEq, Eq)]
pub struct FoundPath {
    pub segments: Vec<String>,
    pub line: usize,
}

/// All paths of two or more segments.
pub fn paths(tokens: &[Token]) -> Vec<FoundPath> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].ident().is_some() && joined(tokens, at + 1) {
            at = path_from(tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Whether `::` stands at `at`.
fn joined(tokens: &[Token], at: usize) -> bool {
    let colon = |at: usize| tokens.get(at).is_some_and(|token| token.is(&Kind::Punct(':')));
    colon(at) && colon(at + 1)
}

/// Reads one path, or one branch of a `use` tree, and returns where it ends.
fn path_from(tokens: &[Token], begin: usize, above: &[String], out: &mut Vec<FoundPath>) -> usize {
    let mut segments = above.to_vec();
    let mut at = begin;
    let line = tokens[begin].line;
    while let Some(token) = tokens.get(at) {
        match &token.kind {
            Kind::Ident(name) => segments.push(name.clone()),
            Kind::Punct('*') => segments.push("*".to_owned()),
            Kind::Open('{') => {
                let end = closing(tokens, at).unwrap_or(tokens.len() - 1);
                let mut inner = at + 1;
                while inner < end {
                    match tokens[inner].kind {
                        Kind::Ident(_) | Kind::Punct('*') => {
                            inner = path_from(tokens, inner, &segments, out).max(inner + 1);
                        }
                        _ => inner += 1,
                    }
                }
                return end + 1;
            }
            // Turbofish or anything else: the path so far is what counts.
            _ => break,
        }
        at += 1;
        if !joined(tokens, at) {
            break;
        }
        at += 2;
    }
    if segments.len() > 1 || !above.is_empty() {
        out.push(FoundPath { segments, line });
    }
    at.max(begin + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(code: &str) -> Vec<Token> {
        flatten(code.parse().expect("tokens"))
    }

    #[test]
    fn use_groups_are_written_out_as_paths() {
        let code = "use std::{fs, net::{TcpStream, self}, time::*};\nlet x = a::b(c::<u8>::d);";
        let found: Vec<String> =
            paths(&flat(code)).into_iter().map(|path| path.segments.join("::")).collect();
        let expected = ["std::fs", "std::net::TcpStream", "std::net::self", "std::time::*", "a::b"];
        assert_eq!(found[..5], expected);
    }

    #[test]
    fn tokens_know_their_lines_and_strings_are_not_code() {
        let tokens = flat("fn a() {\n \"std::fs\";\n}\n// std::net\n");
        assert_eq!(tokens.last().map(|token| token.line), Some(3));
        assert!(paths(&tokens).is_empty());
    }
}
