//! What an answer says about whether the route exists.

/// What one call shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Something answered.
    Exists,
    /// Something refused; it may as well be a firewall in front of nothing.
    Refused,
    /// Nothing is there, or nobody can tell.
    Nothing,
}

impl Evidence {
    /// `OPTIONS` and `HEAD` show nothing: many servers answer them for any path.
    pub(crate) fn of(method: &str, status: u16, login_redirect: bool) -> Self {
        match status {
            _ if matches!(method, "OPTIONS" | "HEAD") => Self::Nothing,
            // The upgrade to a WebSocket.
            101 | 200..=299 => Self::Exists,
            300..=399 if login_redirect => Self::Refused,
            300..=399 => Self::Exists,
            400 | 401 | 403 | 409 | 422 | 429 => Self::Refused,
            _ => Self::Nothing,
        }
    }
}

/// Whether the `Location` of a redirect leads to a login: applications send there whatever path is asked for.
pub fn is_login(location: &str) -> bool {
    const WORDS: [&str; 10] =
        ["login", "log-in", "log_in", "signin", "sign-in", "sign_in", "auth", "sso", "saml", "oauth2"];
    let path = location.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    path.split('/').any(|segment| {
        let name = segment.split('.').next().unwrap_or_default();
        WORDS.iter().any(|word| name.eq_ignore_ascii_case(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_its_own_shows_a_route() {
        for status in [101, 200, 204, 206, 301, 302, 304] {
            assert_eq!(Evidence::of("GET", status, false), Evidence::Exists, "{status}");
        }
        for status in [400, 401, 403, 409, 422, 429] {
            assert_eq!(Evidence::of("POST", status, false), Evidence::Refused, "{status}");
        }
        for status in [0, 100, 404, 405, 410, 500, 502, 999] {
            assert_eq!(Evidence::of("GET", status, false), Evidence::Nothing, "{status}");
        }
        assert_eq!(Evidence::of("GET", 302, true), Evidence::Refused);
        assert_eq!(Evidence::of("HEAD", 200, false), Evidence::Nothing);
        assert_eq!(Evidence::of("OPTIONS", 204, false), Evidence::Nothing);
    }

    #[test]
    fn a_login_is_known_by_its_path() {
        for location in [
            "/login",
            "/users/sign_in?next=/a",
            "https://login.example/",
            "/Login.aspx",
            "https://sso.shop.example/x",
        ] {
            assert!(is_login(location), "{location}");
        }
        for location in ["/products/7", "/loginhelp", "/a?next=/login", "https://shop.example/orders", ""] {
            assert!(!is_login(location), "{location}");
        }
    }
}
