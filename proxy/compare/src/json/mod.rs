//! JSON by meaning: key order, escapes, white space and the notation of numbers do not count.
//!
//! An own reader, because the comparison must see what others hide: duplicate keys, numbers beyond a double,
//! lone surrogates; and must not build more than its budget allows.

mod arrays;
mod hash;
mod number;
mod reader;
mod walk;

use std::borrow::Cow;

pub(crate) use reader::{BYTE_ORDER_MARK, parse};
pub(crate) use walk::compare;

/// A document, borrowing from its text where nothing had to be unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// The literal as written.
    Number(&'a [u8]),
    /// UTF-8, or what the sender took for it; lone surrogates in the manner of WTF-8.
    Text(Cow<'a, [u8]>),
    Array(Vec<Value<'a>>),
    /// As written: in order, duplicates included.
    Object(Vec<Member<'a>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    pub(crate) key: Cow<'a, [u8]>,
    pub(crate) value: Value<'a>,
}

/// Why a body is not a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    NotJson,
    /// More values, or more of them within one another, than the limits allow.
    TooLarge,
}
