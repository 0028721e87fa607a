//! A value taken apart into its fields, by the text that `derive(Debug)` gives it: every type of an
//! event has one, and a field that is added later is compared without a line here.

/// The fields of a value: path and text, in order. A tuple of one value counts as that value, so
/// that `price: Ticks(5)` is one field. A text that is none of `derive(Debug)` is one field.
pub(super) fn fields(debug: &str) -> Vec<(String, String)> {
    let mut parser = Parser { rest: debug, fields: Vec::new() };
    match parser.value("") {
        Some(()) if parser.rest.is_empty() => parser.fields,
        _ => vec![(String::new(), debug.to_owned())],
    }
}

struct Parser<'a> {
    rest: &'a str,
    fields: Vec<(String, String)>,
}

impl Parser<'_> {
    /// Takes a value; `None` if the text is not of the expected form.
    fn value(&mut self, path: &str) -> Option<()> {
        let start = self.rest;
        let name = self.name()?;
        let name = name.trim_end().to_owned();
        match self.rest.chars().next() {
            Some('{') => {
                self.push(join(path, "type"), &name);
                self.group('{', '}', |parser, _| {
                    let colon = parser.rest.find(": ")?;
                    let inner = join(path, &parser.rest[..colon]);
                    parser.rest = &parser.rest[colon + 2..];
                    parser.value(&inner)
                })
            }
            Some('(') => {
                let before = self.fields.len();
                let mut count = 0;
                self.group('(', ')', |parser, index| {
                    count = index + 1;
                    parser.value(&join(path, &index.to_string()))
                })?;
                let is_flat = self.fields.len() == before + 1;
                if count == 1 && is_flat {
                    self.fields.truncate(before);
                    let text = &start[..start.len() - self.rest.len()];
                    self.push(path.to_owned(), text);
                }
                Some(())
            }
            Some('[') => {
                let mut count = 0;
                let at = self.fields.len();
                self.group('[', ']', |parser, index| {
                    count = index + 1;
                    parser.value(&join(path, &index.to_string()))
                })?;
                self.fields.insert(at, (join(path, "length"), count.to_string()));
                Some(())
            }
            _ => {
                self.push(path.to_owned(), &name);
                Some(())
            }
        }
    }

    /// Everything up to a bracket, a separator or the end: a name, a number, a quoted text.
    fn name(&mut self) -> Option<String> {
        let mut quoted = None;
        let mut escaped = false;
        let mut end = self.rest.len();
        for (at, letter) in self.rest.char_indices() {
            match (quoted, letter) {
                _ if escaped => escaped = false,
                (Some(_), '\\') => escaped = true,
                (Some(quote), _) if letter == quote => quoted = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quoted = Some(letter),
                (None, '{' | '}' | '(' | ')' | '[' | ']' | ',') => {
                    end = at;
                    break;
                }
                (None, _) => {}
            }
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        quoted.is_none().then(|| name.to_owned())
    }

    fn group(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> Option<()> {
        self.rest = self.rest.strip_prefix(open)?;
        for index in 0.. {
            self.rest = self.rest.trim_start_matches([' ', ',']);
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return Some(());
            }
            if self.rest.starts_with("..") || self.rest.is_empty() {
                return None;
            }
            item(self, index)?;
            // Between a value and the bracket of `{ a: 1 }` stands a space.
            self.rest = self.rest.trim_start_matches(' ');
        }
        None
    }

    fn push(&mut self, path: String, text: &str) {
        self.fields.push((path, text.trim_end().to_owned()));
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "only shown")]
    enum Shown {
        Unit,
        One(u64),
        Pair(i32, Option<u8>),
        Named { text: String, list: Vec<u8>, inner: Box<Shown>, empty: Vec<u8>, ten: [u8; 2] },
    }

    fn shown(value: &Shown) -> Vec<(String, String)> {
        fields(&format!("{value:?}"))
    }

    fn pair(path: &str, text: &str) -> (String, String) {
        (path.to_owned(), text.to_owned())
    }

    #[test]
    fn every_form_of_a_derived_text_is_taken_apart() {
        assert_eq!(shown(&Shown::Unit), [pair("", "Unit")]);
        assert_eq!(shown(&Shown::One(7)), [pair("", "One(7)")]);
        assert_eq!(shown(&Shown::Pair(-1, Some(2))), [pair("0", "-1"), pair("1", "Some(2)")]);
        let named = Shown::Named {
            text: "brackets } ) ] , \" ' and: more".to_owned(),
            list: vec![1, 2],
            inner: Box::new(Shown::Pair(3, None)),
            empty: Vec::new(),
            ten: [8, 9],
        };
        let expected = [
            pair("type", "Named"),
            pair("text", "\"brackets } ) ] , \\\" ' and: more\""),
            pair("list.length", "2"),
            pair("list.0", "1"),
            pair("list.1", "2"),
            pair("inner.0", "3"),
            pair("inner.1", "None"),
            pair("empty.length", "0"),
            pair("ten.length", "2"),
            pair("ten.0", "8"),
            pair("ten.1", "9"),
        ];
        assert_eq!(shown(&named), expected);
    }

    #[test]
    fn another_text_is_one_field() {
        for text in ["{ half", "\"open", "Name { a: 1, .. }", ""] {
            assert_eq!(fields(text), [pair("", text)]);
        }
    }
}
