//! Which of the fields that concern a proxy a head has: one look at each name that is there, instead of a look-up
//! for each that might be.

use http::header::{HeaderMap, HeaderName};

/// A set of the fields below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present(u32);

pub const CONNECTION: u32 = 1;
pub const KEEP_ALIVE: u32 = 1 << 1;
pub const PROXY_CONNECTION: u32 = 1 << 2;
pub const TE: u32 = 1 << 3;
pub const UPGRADE: u32 = 1 << 4;
pub const TRANSFER_ENCODING: u32 = 1 << 5;
pub const CONTENT_LENGTH: u32 = 1 << 6;
pub const EXPECT: u32 = 1 << 7;
pub const COOKIE: u32 = 1 << 8;
pub const FORWARDED: u32 = 1 << 9;
pub const X_FORWARDED_FOR: u32 = 1 << 10;
pub const X_FORWARDED_PROTO: u32 = 1 << 11;
pub const X_FORWARDED_HOST: u32 = 1 << 12;
pub const SHADOW_MARK: u32 = 1 << 13;
pub const CLIENT_CERT: u32 = 1 << 14;
pub const CLIENT_CERT_CHAIN: u32 = 1 << 15;
/// A name as long as one by which clients could claim something, with an underscore in it.
pub const UNDERSCORED: u32 = 1 << 16;

impl Present {
    pub fn of(headers: &HeaderMap) -> Self {
        Self(headers.keys().map(bit).fold(0, |all, one| all | one))
    }

    pub fn has(self, any: u32) -> bool {
        self.0 & any != 0
    }
}

/// By the length first: most names are done with one comparison of numbers.
fn bit(name: &HeaderName) -> u32 {
    let name = name.as_str();
    let is = |field: &str, bit: u32| if name == field { bit } else { 0 };
    let underscored = || if name.contains('_') { UNDERSCORED } else { 0 };
    match name.len() {
        2 => is("te", TE),
        6 => is("cookie", COOKIE) | is("expect", EXPECT),
        7 => is("upgrade", UPGRADE),
        9 => is("forwarded", FORWARDED),
        10 => is("connection", CONNECTION) | is("keep-alive", KEEP_ALIVE),
        11 => is("client-cert", CLIENT_CERT) | underscored(),
        14 => is("content-length", CONTENT_LENGTH),
        15 => is("x-forwarded-for", X_FORWARDED_FOR) | is("x-starve-shadow", SHADOW_MARK) | underscored(),
        16 => {
            is("x-forwarded-host", X_FORWARDED_HOST)
                | is("proxy-connection", PROXY_CONNECTION)
                | underscored()
        }
        17 => {
            is("x-forwarded-proto", X_FORWARDED_PROTO)
                | is("transfer-encoding", TRANSFER_ENCODING)
                | is("client-cert-chain", CLIENT_CERT_CHAIN)
                | underscored()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    #[test]
    fn each_field_is_known_by_its_name() {
        let names = [
            ("connection", CONNECTION),
            ("keep-alive", KEEP_ALIVE),
            ("proxy-connection", PROXY_CONNECTION),
            ("te", TE),
            ("upgrade", UPGRADE),
            ("transfer-encoding", TRANSFER_ENCODING),
            ("content-length", CONTENT_LENGTH),
            ("expect", EXPECT),
            ("cookie", COOKIE),
            ("forwarded", FORWARDED),
            ("x-forwarded-for", X_FORWARDED_FOR),
            ("x-forwarded-proto", X_FORWARDED_PROTO),
            ("x-forwarded-host", X_FORWARDED_HOST),
            ("x-starve-shadow", SHADOW_MARK),
            ("client-cert", CLIENT_CERT),
            ("client-cert-chain", CLIENT_CERT_CHAIN),
            ("accept", 0),
            ("x-forwarded-fox", 0),
            ("x_forwarded-for", UNDERSCORED),
            ("a_b", 0),
        ];
        for (name, bit) in names {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("x"));
            assert_eq!(Present::of(&headers), Present(bit), "{name}");
        }
    }
}
