use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// `METHOD[,METHOD] [//host]/path`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
}

/// What is wrong with a pattern and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// Bytes of the pattern's text.
    pub span: Range<usize>,
    pub message: String,
    /// What was expected instead, for the diagnostic's help line.
    pub expected: String,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { text: text.to_owned() })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `when:` of a route: what headers and query must hold beside method, host and path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Predicates {
    /// Lower-case field names.
    pub headers: Vec<(String, ValueMatch)>,
    pub query: Vec<(String, ValueMatch)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueMatch {
    /// `*`: there, with whatever value.
    Any,
    Exact(String),
}
