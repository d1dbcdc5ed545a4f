//! Words that interfaces are made of.

/// Never values, wherever they stand, and no sign of what stands in front of them: every resource may have them.
/// Sorted.
const RESERVED: [&str; 96] = [
    "-",
    "@me",
    "_all",
    "_bulk",
    "_count",
    "_search",
    "about",
    "account",
    "activate",
    "add",
    "admin",
    "all",
    "api",
    "apis",
    "archive",
    "auth",
    "authorize",
    "batch",
    "bulk",
    "callback",
    "cancel",
    "config",
    "configuration",
    "confirm",
    "copy",
    "count",
    "create",
    "current",
    "dashboard",
    "default",
    "delete",
    "destroy",
    "details",
    "disable",
    "download",
    "edit",
    "enable",
    "export",
    "feed",
    "files",
    "filter",
    "find",
    "get",
    "graphql",
    "health",
    "healthz",
    "help",
    "history",
    "import",
    "index",
    "info",
    "internal",
    "latest",
    "list",
    "login",
    "logout",
    "logs",
    "me",
    "metrics",
    "mine",
    "move",
    "new",
    "oauth",
    "oauth2",
    "ping",
    "preview",
    "profile",
    "public",
    "query",
    "ready",
    "readyz",
    "refresh",
    "register",
    "remove",
    "reset",
    "rest",
    "restore",
    "search",
    "self",
    "session",
    "settings",
    "signin",
    "signup",
    "sso",
    "start",
    "static",
    "stats",
    "status",
    "stop",
    "summary",
    "test",
    "token",
    "update",
    "upload",
    "validate",
    "version",
];

/// Two letters that say a country or a language. Sorted.
const CODES: [&str; 72] = [
    "ae", "ar", "at", "au", "be", "bg", "br", "ca", "ch", "cl", "cn", "co", "cs", "cz", "da", "de", "dk",
    "ee", "el", "en", "es", "et", "eu", "fi", "fr", "gb", "gr", "he", "hi", "hk", "hr", "hu", "id", "ie",
    "il", "in", "is", "it", "ja", "jp", "ko", "kr", "lt", "lu", "lv", "mt", "mx", "my", "nl", "no", "nz",
    "pe", "ph", "pl", "pt", "ro", "ru", "se", "sg", "si", "sk", "sv", "th", "tr", "tw", "ua", "uk", "us",
    "vi", "vn", "za", "zh",
];

/// Whether this word is part of an interface wherever it stands.
pub(crate) fn is_reserved(word: &str) -> bool {
    is_version_word(word) || RESERVED.binary_search(&word).is_ok()
}

/// Whether what follows this word as the beginning of a path is still the beginning: `/api/v1/`.
pub(crate) fn is_front(word: &str) -> bool {
    matches!(word, "api" | "apis" | "rest" | "admin" | "internal" | "public") || is_version_word(word)
}

/// `v1`, `V2`, `v1.1`, `v2beta1`.
pub(crate) fn is_version_word(word: &str) -> bool {
    let Some(number) = word.strip_prefix(['v', 'V']) else { return false };
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (number, stage) = match number.find(|c: char| c.is_ascii_alphabetic() || c == '-') {
        Some(at) => number.split_at(at),
        None => (number, ""),
    };
    let numbers = match number.split_once('.') {
        Some((major, minor)) => digits(major) && digits(minor),
        None => digits(number),
    };
    let stage = stage.trim_start_matches('-').trim_end_matches(|c: char| c.is_ascii_digit());
    numbers && matches!(stage, "" | "alpha" | "beta" | "rc" | "p" | "preview")
}

/// `de`, `US`.
pub(crate) fn is_code(word: &str) -> bool {
    let bytes = word.as_bytes();
    match bytes {
        [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => true,
        [a, b] if a.is_ascii_lowercase() && b.is_ascii_lowercase() => CODES.binary_search(&word).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        assert!(RESERVED.is_sorted());
        assert!(CODES.is_sorted());
        assert!(is_reserved("search") && is_reserved("v2beta1") && !is_reserved("orders"));
        assert!(is_code("de") && is_code("XK") && !is_code("xk") && !is_code("De"));
    }
}
