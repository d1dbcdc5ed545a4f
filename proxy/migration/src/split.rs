//! The sticky split: which users are in a share, the same ones at every call and on every machine.

use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;

use siphasher::sip::SipHasher13;

use crate::Percent;

/// Where a user's key is read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StickyKey {
    /// The value of a cookie the application sets.
    Cookie(String),
    /// The value of a request header.
    Header(String),
    /// A cookie that the proxy sets itself.
    #[default]
    Own,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a sticky key: write cookie:NAME or header:NAME")]
pub struct StickyKeyError(String);

impl FromStr for StickyKey {
    type Err = StickyKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || StickyKeyError(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            return Err(wrong());
        }
        match kind {
            "cookie" => Ok(Self::Cookie(name.to_owned())),
            "header" => Ok(Self::Header(name.to_ascii_lowercase())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for StickyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Own => f.write_str("own cookie"),
        }
    }
}

/// What makes two splits independent of one another: routes with the same salt split their users alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(u64);

impl Salt {
    /// The salt of a group of routes. The same text gives the same salt in every process and release,
    /// so a restart moves nobody.
    pub fn of(group: &str) -> Self {
        let mut hasher = SipHasher13::new_with_keys(0x7374_6172_7665_2d67, 0x726f_7570_2d73_616c);
        hasher.write(group.as_bytes());
        Self(hasher.finish())
    }
}

/// A user's place in 0..10,000, fixed for a salt. Raising a share only ever adds users to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket(u16);

impl Bucket {
    pub fn of(salt: Salt, user: &[u8]) -> Self {
        let mut hasher = SipHasher13::new_with_keys(salt.0, 0x7374_6963_6b79);
        hasher.write(user);
        // Below 10,000, which fits.
        Self((hasher.finish() % 10_000) as u16)
    }

    pub fn is_in(self, share: Percent) -> bool {
        share.contains(self.0)
    }
}

/// The value of the first cookie of that name in a `Cookie` field value (RFC 6265 §5.4 leaves the
/// server to choose among equal names; the first is the one with the longest path).
pub fn cookie<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    field.split(|byte| *byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        (!value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_share_holds_about_its_percentage_of_users() {
        let salt = Salt::of("checkout");
        let share = Percent::new(5.0).unwrap();
        let inside =
            (0..100_000).filter(|user: &i32| Bucket::of(salt, &user.to_le_bytes()).is_in(share)).count();
        assert!((4_600..5_400).contains(&inside), "{inside} of 100,000 users are in 5 percent");
    }

    /// Kept for ever: another value would move every user of every running canary.
    #[test]
    fn the_bucket_of_a_user_is_the_same_in_every_release() {
        let buckets: Vec<u16> = ["ann", "bob", "cho"]
            .iter()
            .map(|user| Bucket::of(Salt::of("checkout"), user.as_bytes()).0)
            .collect();
        assert_eq!(buckets, BUCKETS_SINCE_0_1);
    }
    const BUCKETS_SINCE_0_1: [u16; 3] = [8810, 8031, 7537];

    #[test]
    fn finds_a_cookie_by_its_whole_name() {
        assert_eq!(cookie(b"xsession=1; session=2; session=3", "session"), Some(&b"2"[..]));
        assert_eq!(cookie(b"session=", "session"), None);
        assert_eq!(cookie(b"", "session"), None);
    }

    #[test]
    fn sticky_keys_are_read() {
        assert_eq!("cookie:session".parse(), Ok(StickyKey::Cookie("session".into())));
        assert_eq!("header:X-User".parse(), Ok(StickyKey::Header("x-user".into())));
        for wrong in ["session", "cookie:", "cookie:a b", "ip:client"] {
            assert!(wrong.parse::<StickyKey>().is_err(), "{wrong} was taken");
        }
    }

    proptest! {
        #[test]
        fn raising_the_share_moves_nobody_back(group: String, user: Vec<u8>, a in 0u16..=10_000, b in 0u16..=10_000) {
            let (low, high) = (a.min(b), a.max(b));
            let share = |hundredths: u16| Percent::new(f64::from(hundredths) / 100.0).unwrap();
            let bucket = Bucket::of(Salt::of(&group), &user);
            prop_assert!(!bucket.is_in(share(low)) || bucket.is_in(share(high)));
            prop_assert!(bucket.is_in(Percent::HUNDRED));
            prop_assert!(!bucket.is_in(Percent::ZERO));
        }
    }
}
