//! What the configuration is going to know and this version does not: an error instead of silence.
//!
//! Whoever builds one of these deletes its line here.

/// Keys, with what their mapping describes ([`crate::keys::Shape::what`]).
const KEYS: &[(&str, &str)] = &[
    ("a function", "js"),
    ("a function", "azure"),
    ("a function", "lambda"),
    ("a function", "triggers"),
    ("a function", "inputs"),
    ("a function", "outputs"),
    ("`defaults`", "guard"),
    ("a route", "guard"),
    ("the file", "triggers"),
    ("the file", "files"),
];

/// Words that a setting is going to know: its key and the beginning of its value.
const VALUES: &[(&str, &str)] = &[("sticky", "jwt:"), ("ledger", "postgres:"), ("ledger", "postgresql:")];

pub(crate) fn is_key(what: &str, key: &str) -> bool {
    KEYS.contains(&(what, key))
}

/// The beginning of a value that is not supported. Only that much may be shown: the rest of an address can
/// hold a password.
pub(crate) fn value(key: &str, value: &str) -> Option<&'static str> {
    VALUES.iter().find(|(of, beginning)| *of == key && value.starts_with(beginning)).map(|(_, word)| *word)
}

pub(crate) fn message(what: &str) -> String {
    format!("`{what}` is not supported by this version of starve")
}
