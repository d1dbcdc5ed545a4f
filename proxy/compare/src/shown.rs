//! Values as a person may see them.
//!
//! Invariant: a [`Shown`] is made here and nowhere else, and never holds a text of an answer, except words from
//! a protocol's own vocabulary. Numbers, booleans and null are shown unless they stand under a name that tells
//! of a secret, or look like the number of a payment card.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

use crate::time;

/// The secret under which values are hashed before they are stored: equal values can be told to be equal, but
/// not be guessed by whoever reads the store without the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey(pub u128);

/// A value, redacted: `19.99`, `null`, `text(12)#0f3a91c4`, `array(3)`, `absent`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shown(Cow<'static, str>);

impl Shown {
    pub(crate) const ABSENT: Self = Self(Cow::Borrowed("absent"));
    pub(crate) const PRESENT: Self = Self(Cow::Borrowed("present"));
    pub(crate) const NULL: Self = Self(Cow::Borrowed("null"));

    /// A word that this crate or a protocol chose, never one that an application did.
    pub(crate) fn word(word: impl Into<Cow<'static, str>>) -> Self {
        Self(word.into())
    }

    pub(crate) fn text(value: &[u8], key: HashKey) -> Self {
        let form = match value {
            value if is_uuid(value) => "uuid",
            value if time::Moment::parse(value).is_some() => "time",
            _ => "text",
        };
        let characters = value.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        Self(format!("{form}({characters})#{:08x}", key.hash(value)).into())
    }

    /// `literal` as it stands in the document, digits and all.
    pub(crate) fn number(literal: &[u8], sensitive: bool, key: HashKey) -> Self {
        let shown = std::str::from_utf8(literal).ok().filter(|text| text.len() <= 40);
        match shown {
            Some(text) if !sensitive && !looks_like_a_card(literal) => Self(text.to_owned().into()),
            _ => Self(format!("number({})#{:08x}", literal.len(), key.hash(literal)).into()),
        }
    }

    pub(crate) fn boolean(value: bool, sensitive: bool) -> Self {
        Self::word(match (sensitive, value) {
            (true, _) => "boolean",
            (false, true) => "true",
            (false, false) => "false",
        })
    }

    pub(crate) fn array(length: usize) -> Self {
        Self(format!("array({length})").into())
    }

    pub(crate) fn object(members: usize) -> Self {
        Self(format!("object({members})").into())
    }

    pub(crate) fn bytes(length: u64, hash: u64, key: HashKey) -> Self {
        Self(format!("bytes({length})#{:08x}", key.hash(&hash.to_be_bytes())).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HashKey {
    fn hash(self, value: &[u8]) -> u32 {
        let mut hasher = SipHasher24::new_with_key(&self.0.to_be_bytes());
        hasher.write(value);
        hasher.finish() as u32
    }
}

/// A key must not reach a log by way of a struct that holds it.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// Whether a member or header of this name holds what must not be shown, not even as a number.
pub(crate) fn is_sensitive(name: &[u8]) -> bool {
    let letters: Vec<u8> =
        name.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    let holds = |part: &str| letters.windows(part.len()).any(|window| window == part.as_bytes());
    SENSITIVE_PARTS.iter().any(|part| holds(part))
        || words(name).any(|word| SENSITIVE_WORDS.contains(&&*word))
}

/// Long enough to mean the same wherever they stand in a name.
const SENSITIVE_PARTS: [&str; 33] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "token",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authoriz",
    "cookie",
    "session",
    "card",
    "iban",
    "accountnumber",
    "accountno",
    "routingnumber",
    "sortcode",
    "socialsecurity",
    "insurance",
    "taxid",
    "passport",
    "licen",
    "mail",
    "phone",
    "mobile",
    "birth",
    "salary",
    "income",
    "latitude",
    "longitude",
    "biometric",
];

/// Too short for that: `pin` stands in `shipping`.
const SENSITIVE_WORDS: [&str; 20] = [
    "pass", "pwd", "pw", "pin", "tan", "otp", "mfa", "totp", "cvv", "cvc", "csc", "pan", "ssn", "sin", "nin",
    "bic", "dob", "fax", "auth", "jwt",
];

/// The words of `api_key`, `apiKey`, `API-KEY2`, in lower case.
fn words(name: &[u8]) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut before = b'_';
    for &byte in name {
        let starts_word = byte.is_ascii_uppercase() && before.is_ascii_lowercase();
        if starts_word || !byte.is_ascii_alphabetic() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (byte.is_ascii_alphabetic(), words.last_mut()) {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
        before = byte;
    }
    words.into_iter().filter(|word| !word.is_empty())
}

/// 13 to 19 digits with a valid check digit (ISO/IEC 7812-1).
fn looks_like_a_card(literal: &[u8]) -> bool {
    let digits = literal.iter().rev().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'));
    let count = digits.clone().count();
    let sum: u32 = digits
        .enumerate()
        .map(|(n, digit)| if n % 2 == 0 { digit } else { digit * 2 % 10 + digit / 5 })
        .sum();
    (13..=19).contains(&count) && sum.is_multiple_of(10)
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(n, byte)| match n {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: HashKey = HashKey(7);

    #[test]
    fn a_text_is_shown_as_form_length_and_hash() {
        let shown = Shown::text("Müller".as_bytes(), KEY);
        assert!(shown.as_str().starts_with("text(6)#"), "{shown}");
        assert_eq!(shown.as_str().len(), "text(6)#".len() + 8);
        assert!(Shown::text(b"0b5f8f0e-5d2b-4c8e-9f7a-3a9f2d1c0b7e", KEY).as_str().starts_with("uuid(36)#"));
        assert!(Shown::text(b"2026-01-02T03:04:05Z", KEY).as_str().starts_with("time(20)#"));
    }

    #[test]
    fn the_hash_depends_on_value_and_key() {
        assert_eq!(Shown::text(b"a", KEY), Shown::text(b"a", KEY));
        assert_ne!(Shown::text(b"a", KEY), Shown::text(b"b", KEY));
        assert_ne!(Shown::text(b"a", KEY), Shown::text(b"a", HashKey(8)));
    }

    #[test]
    fn the_key_is_not_printed() {
        assert!(!format!("{:?}", HashKey(123_456_789)).contains("123"));
    }

    #[test]
    fn a_number_is_shown_unless_it_is_secret() {
        assert_eq!(Shown::number(b"-19.90", false, KEY).as_str(), "-19.90");
        assert_eq!(Shown::number(b"4111111111111112", false, KEY).as_str(), "4111111111111112");
        for (literal, sensitive) in
            [(&b"4111111111111111"[..], false), (b"378282246310005", false), (b"1234", true)]
        {
            let shown = Shown::number(literal, sensitive, KEY);
            assert!(shown.as_str().starts_with("number("), "{shown}");
        }
        assert!(Shown::number(&[b'1'; 41], false, KEY).as_str().starts_with("number(41)#"));
    }

    #[test]
    fn sensitive_names_are_found_in_every_spelling() {
        for name in [
            "password",
            "user_password",
            "userPassword",
            "PASSWORD",
            "apiKey",
            "api-key",
            "accessToken",
            "card_number",
            "iban",
            "e-mail",
            "emailAddress",
            "phone2",
            "pin",
            "cardPIN",
            "SSN",
            "dateOfBirth",
            "x-auth-token",
            "CVC",
        ] {
            assert!(is_sensitive(name.as_bytes()), "{name}");
        }
        for name in
            ["shipping", "price", "spinning", "status", "distance", "span", "tank", "using", "company", "id"]
        {
            assert!(!is_sensitive(name.as_bytes()), "{name}");
        }
    }
}
