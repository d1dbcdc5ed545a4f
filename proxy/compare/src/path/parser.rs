//! Text to [`FieldPath`], with an error that says what was expected where.

use std::str::FromStr;

use super::{FieldPath, Selector, Step, is_plain_character};
use crate::limits::FIELD_PATH_STEPS;

/// Why a text is not a field path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a field path: expected {expected} at column {column}, found {found}")]
pub struct FieldPathError {
    text: String,
    column: usize,
    expected: &'static str,
    found: String,
}

impl FieldPathError {
    /// Where the text stops making sense: characters from the start, beginning with 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What would have made sense there.
    pub fn expected(&self) -> &'static str {
        self.expected
    }
}

impl FromStr for FieldPath {
    type Err = FieldPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A report says where in an answer a path begins; copied from there it means the same.
        let path = text.strip_prefix("body:").filter(|path| path.starts_with('$')).unwrap_or(text);
        Parser { text: path, rest: path }.path()
    }
}

const A_STEP: &str = "`.name`, `['name']`, `[*]`, `[0]`, `{*}` or `..name`";

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn path(mut self) -> Result<FieldPath, FieldPathError> {
        if !self.skip("$") {
            return Err(self.expected("`$`, the document,"));
        }
        let mut steps = Vec::new();
        while !self.rest.is_empty() {
            if steps.len() == FIELD_PATH_STEPS {
                return Err(self.expected("no more than 63 steps, the end"));
            }
            steps.push(self.step()?);
        }
        Ok(FieldPath { steps: steps.into() })
    }

    fn step(&mut self) -> Result<Step, FieldPathError> {
        let anywhere = self.skip("..");
        let dotted = anywhere || self.skip(".");
        let selector = match self.peek() {
            Some('[') => self.bracket()?,
            Some('{') => self.any_member()?,
            Some('*') if dotted => {
                self.skip("*");
                Selector::Any
            }
            _ if dotted => self.plain_name()?,
            _ => return Err(self.expected(A_STEP)),
        };
        Ok(Step { anywhere, selector })
    }

    fn plain_name(&mut self) -> Result<Selector, FieldPathError> {
        let end = self.rest.find(|c| !is_plain_character(c)).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.expected("a name"));
        }
        let (name, rest) = self.rest.split_at(end);
        if rest.starts_with(|c: char| !matches!(c, '.' | '[' | '{')) {
            self.rest = rest;
            return Err(self.expected("the end of the name (quote others: `['a name']`)"));
        }
        self.rest = rest;
        Ok(Selector::Name(name.into()))
    }

    fn any_member(&mut self) -> Result<Selector, FieldPathError> {
        if self.skip("{*}") { Ok(Selector::AnyMember) } else { Err(self.expected("`{*}`")) }
    }

    fn bracket(&mut self) -> Result<Selector, FieldPathError> {
        self.skip("[");
        let selector = match self.peek() {
            Some('*') => {
                self.skip("*");
                Selector::AnyElement
            }
            Some(quote @ ('\'' | '"')) => Selector::Name(self.quoted(quote)?.into()),
            _ => self.index()?,
        };
        if self.skip("]") { Ok(selector) } else { Err(self.expected("`]`")) }
    }

    fn index(&mut self) -> Result<Selector, FieldPathError> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        let index = digits.parse().map_err(|_| self.expected("`*`, an index or a quoted name"))?;
        self.rest = rest;
        Ok(Selector::Index(index))
    }

    fn quoted(&mut self, quote: char) -> Result<String, FieldPathError> {
        self.take();
        let mut name = String::new();
        loop {
            match self.peek() {
                Some(c) if c == quote => {
                    self.take();
                    return Ok(name);
                }
                Some('\\') => name.push(self.escape()?),
                Some(c) => {
                    self.take();
                    name.push(c);
                }
                None => return Err(self.expected("the closing quote")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, FieldPathError> {
        self.take();
        let c = match self.peek() {
            Some(c @ ('\'' | '"' | '\\' | '/')) => c,
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                self.take();
                return self.unicode();
            }
            _ => return Err(self.expected("an escape: `\\'`, `\\\\`, `\\n`, `\\u0041`, …")),
        };
        self.take();
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, FieldPathError> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let character =
            digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        let character = character.ok_or_else(|| self.expected("four hexadecimal digits of a character"))?;
        self.rest = &self.rest[4..];
        Ok(character)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) {
        let mut rest = self.rest.chars();
        rest.next();
        self.rest = rest.as_str();
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expected(&self, expected: &'static str) -> FieldPathError {
        let read = &self.text[..self.text.len() - self.rest.len()];
        let found = self.peek().map_or_else(|| "the end".to_owned(), |c| format!("`{c}`"));
        FieldPathError { text: self.text.to_owned(), column: read.chars().count() + 1, expected, found }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_reads_and_writes_back() {
        for text in [
            "$",
            "$.a",
            "$.a.b-c._d.@type.$ref.größe",
            "$..updated_at",
            "$.items[*].id",
            "$.items[0].id",
            "$.by_id{*}.price",
            "$.*",
            "$..*",
            "$..[*]",
            "$..{*}",
            "$['a b']['']",
            "$..['it\\'s']",
            "$['\\u0000\\\\']",
        ] {
            assert_eq!(text.parse::<FieldPath>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_spellings_mean_the_same() {
        for (written, meant) in [
            ("$['a']", "$.a"),
            ("$[\"a\"]", "$.a"),
            ("$.map.{*}", "$.map{*}"),
            ("$.list.[*]", "$.list[*]"),
            ("$['\\u0041']", "$.A"),
            ("$[\"it's\"]", "$['it\\'s']"),
        ] {
            assert_eq!(written.parse::<FieldPath>(), meant.parse::<FieldPath>());
        }
    }

    #[test]
    fn an_error_says_what_was_expected_and_where() {
        for (text, column, expected) in [
            ("", 1, "`$`, the document,"),
            ("items", 1, "`$`, the document,"),
            ("$items", 2, A_STEP),
            ("$.", 3, "a name"),
            ("$.a..", 6, "a name"),
            ("$.a b", 4, "the end of the name (quote others: `['a name']`)"),
            ("$[", 3, "`*`, an index or a quoted name"),
            ("$[-1]", 3, "`*`, an index or a quoted name"),
            ("$[99999999999999999999]", 3, "`*`, an index or a quoted name"),
            ("$['a", 5, "the closing quote"),
            ("$['a'", 6, "`]`"),
            ("$['\\q']", 5, "an escape: `\\'`, `\\\\`, `\\n`, `\\u0041`, …"),
            ("$['\\ud800']", 6, "four hexadecimal digits of a character"),
            ("$['\\u00']", 6, "four hexadecimal digits of a character"),
            ("$.größe{x}", 8, "`{*}`"),
        ] {
            let error = text.parse::<FieldPath>().unwrap_err();
            assert_eq!((error.column(), error.expected()), (column, expected), "{error}");
        }
        let error = "items.id".parse::<FieldPath>().unwrap_err().to_string();
        assert_eq!(
            error,
            "`items.id` is not a field path: expected `$`, the document, at column 1, found `i`"
        );
    }

    #[test]
    fn a_path_of_too_many_steps_is_refused() {
        assert!(format!("${}", ".a".repeat(FIELD_PATH_STEPS)).parse::<FieldPath>().is_ok());
        assert!(format!("${}", ".a".repeat(FIELD_PATH_STEPS + 1)).parse::<FieldPath>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(names in prop::collection::vec(any::<String>(), 0..5), deep in any::<bool>()) {
            let steps = names.iter().map(|name| Step { anywhere: deep, selector: Selector::Name(name.as_str().into()) });
            let path = FieldPath { steps: steps.collect() };
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\$[.a*\\[\\]{}'\\\\u0\"é]{0,20}") {
            if let Ok(path) = text.parse::<FieldPath>() {
                prop_assert_eq!(path.to_string().parse(), Ok(path));
            }
        }
    }
}
