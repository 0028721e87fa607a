//! What a node answers, read (RFC 8259): only what this site asks for, bounded in depth.

/// Deeper than any answer of a node.
const DEPTH_MAX: usize = 16;

/// A value; numbers that are not whole and positive are of no use here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Other,
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The one value that `text` holds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut at = Reader { rest: text };
        let value = at.value(DEPTH_MAX)?;
        at.space();
        at.rest.is_empty().then_some(value)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(at, _)| at == name).map(|(_, at)| at),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The items of a list; nothing is an empty one.
    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, sign: &str) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(sign)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        let depth = depth.checked_sub(1)?;
        self.space();
        match self.rest.chars().next()? {
            '{' => self
                .many("{", "}", |at| {
                    let name = at.text()?;
                    at.take(":")?;
                    Some((name, at.value(depth)?))
                })
                .map(Json::Object),
            '[' => self.many("[", "]", |at| at.value(depth)).map(Json::List),
            '"' => self.text().map(Json::Text),
            _ => self.word(),
        }
    }

    fn many<T>(
        &mut self,
        open: &str,
        close: &str,
        mut one: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.take(open)?;
        let mut found = Vec::new();
        if self.take(close).is_some() {
            return Some(found);
        }
        loop {
            found.push(one(self)?);
            if self.take(",").is_none() {
                self.take(close)?;
                return Some(found);
            }
        }
    }

    /// A number, or one of the three words.
    fn word(&mut self) -> Option<Json> {
        let ends = |letter: char| ",]} \t\r\n".contains(letter);
        let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        let number =
            |letter: char| letter.is_ascii_digit() || ['-', '+', '.', 'e', 'E'].contains(&letter);
        let known = ["true", "false", "null"].contains(&word);
        if word.is_empty() || !(known || word.chars().all(number)) {
            return None;
        }
        self.rest = rest;
        Some(word.parse().map_or(Json::Other, Json::Number))
    }

    fn text(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut text = String::new();
        let mut letters = self.rest.char_indices();
        loop {
            let (at, letter) = letters.next()?;
            match letter {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                '\\' => match letters.next()?.1 {
                    'u' => {
                        let digits: String = letters.by_ref().take(4).map(|(_, at)| at).collect();
                        let code = u32::from_str_radix(&digits, 16).ok()?;
                        // Halves of pairs stand in messages alone.
                        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    'b' | 'f' => text.push(' '),
                    plain @ ('"' | '\\' | '/') => text.push(plain),
                    _ => return None,
                },
                letter if letter < ' ' => return None,
                letter => text.push(letter),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_answer_is_read() {
        let said = Json::parse(
            " {\"Entries\":[{\"Name\":\"a \\u00e9\\n\\\"\",\"Type\":0,\"Size\":300000,\"x\":-1.5}],\
             \"Mode\":null,\"ok\":true,\"none\":[ ],\"empty\":{}}\n",
        )
        .unwrap();
        let entry = &said.field("Entries").unwrap().items()[0];
        assert_eq!(entry.field("Name").unwrap().text(), Some("a é\n\""));
        assert_eq!(entry.field("Size").unwrap().number(), Some(300_000));
        assert_eq!(entry.field("x"), Some(&Json::Other));
        assert_eq!(said.field("Mode"), Some(&Json::Other));
        assert!(said.field("none").unwrap().items().is_empty());
        assert_eq!(said.field("nowhere"), None);
    }

    #[test]
    fn what_is_not_json_is_nothing_at_all() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{\"a\"}", "[1,]", "\"a", "\"\\x\"", "nul", "1 2", "<html>", &deep] {
            assert_eq!(Json::parse(text), None, "{:.20}", text);
        }
    }
}
