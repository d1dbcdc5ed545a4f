//! Which segments of a path are values, told by their form alone.
//!
//! A value is taken for one at first sight. So only forms count that hardly any word of an interface has: what
//! is merged by mistake hides an endpoint, what is missed is only one more line.

use starve_routing::ParameterType;

use crate::words::{is_code, is_version_word};

/// A longer segment is not looked at: it is a value, and no word.
pub(crate) const WORD_BYTES_MAX: usize = 128;

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// 1 to 19 digits.
    Int,
    /// `-3`, `12.5`.
    Decimal,
    Uuid,
    /// 16 or more hexadecimal digits: object ids, hashes.
    Hex,
    Date,
    Ulid,
    Email,
    Ipv4,
    /// `1.2.3`.
    Version,
    /// `en-US`, `pt_BR`.
    Locale,
    /// Prefix and value, word and number, generated names, long numbers, UUIDs in braces.
    Id,
    /// Letters of both cases and digits, mixed as no word is.
    Token,
    /// `de`, `US`: a country or a language.
    Code,
    /// `photo.png`: of a kind that is uploaded, not of one that an application is made of.
    File,
    /// Holds an escaped slash.
    Path,
    /// Longer than any word.
    Long,
}

impl Kind {
    /// The name in a placeholder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Decimal => "decimal",
            Self::Uuid => "uuid",
            Self::Hex => "hex",
            Self::Date => "date",
            Self::Ulid => "ulid",
            Self::Email => "email",
            Self::Ipv4 => "ip",
            Self::Version => "version",
            Self::Locale => "locale",
            Self::Id => "id",
            Self::Token => "token",
            Self::Code => "code",
            Self::File => "file",
            Self::Path => "path",
            Self::Long => "long",
        }
    }

    /// The kind with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The type that a pattern has for it.
    pub(crate) fn parameter_type(self) -> Option<ParameterType> {
        match self {
            Self::Int => Some(ParameterType::Int),
            Self::Uuid => Some(ParameterType::Uuid),
            Self::Hex => Some(ParameterType::Hex),
            Self::Date => Some(ParameterType::Date),
            _ => None,
        }
    }

    /// Whether one value is enough to take it for one. A form that a word of an interface may have too (a date, a
    /// number, a version) needs a second value at the same place.
    pub(crate) fn at_once(self) -> bool {
        matches!(
            self,
            Self::Uuid | Self::Hex | Self::Ulid | Self::Email | Self::Token | Self::Path | Self::Long
        )
    }

    /// Whether a person could be known by such a value, or something opened with it: it is shown to nobody.
    pub(crate) fn is_private(self) -> bool {
        matches!(
            self,
            Self::Email
                | Self::Token
                | Self::Path
                | Self::Long
                | Self::Ipv4
                | Self::Hex
                | Self::Uuid
                | Self::Ulid
                | Self::Id
        )
    }

    /// How many different values of this form at one place show that they are values.
    pub(crate) fn values_needed(self) -> usize {
        match self {
            Self::Code => 3,
            Self::File => 5,
            kind if kind.at_once() => 1,
            _ => 2,
        }
    }

    /// `None` for a word. `before` is the segment in front, `None` for the first one, which names an area of the
    /// application and is a value only where nothing else is possible.
    pub(crate) fn of(segment: &str, before: Option<&str>) -> Option<Self> {
        if segment.len() > WORD_BYTES_MAX {
            return Some(Self::Long);
        }
        let sorts = sorts_of(segment);
        // Nearly all segments are words of small letters.
        if sorts == LOWER && segment.len() > 2 || is_vocabulary(segment, sorts) {
            return None;
        }
        let fits = |form: &Form| sorts & form.needs == form.needs && (form.has_form)(segment);
        let kind = FORMS.iter().find(|form| fits(form))?.kind;
        let clear =
            matches!(kind, Self::Int | Self::Uuid | Self::Hex | Self::Ulid | Self::Email | Self::Token);
        match before {
            None => clear.then_some(kind),
            // `/api/1.0/…` is the version of the interface.
            Some("api" | "rest") if matches!(kind, Self::Decimal | Self::Version | Self::Date) => None,
            Some(_) => Some(kind),
        }
    }
}

const ALL: [Kind; 16] = [
    Kind::Int,
    Kind::Decimal,
    Kind::Uuid,
    Kind::Hex,
    Kind::Date,
    Kind::Ulid,
    Kind::Email,
    Kind::Ipv4,
    Kind::Version,
    Kind::Locale,
    Kind::Id,
    Kind::Token,
    Kind::Code,
    Kind::File,
    Kind::Path,
    Kind::Long,
];

/// Forms that values of one place have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u32);

impl Kinds {
    pub(crate) fn add(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u32;
    }

    pub(crate) fn add_all(&mut self, others: Self) {
        self.0 |= others.0;
    }

    pub(crate) fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }

    /// The name of the kind if there is one alone, else of a value of any form.
    pub(crate) fn name(self) -> &'static str {
        let mut kinds = ALL.into_iter().filter(|kind| self.has(*kind));
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => kind.name(),
            _ => Kind::Id.name(),
        }
    }
}

struct Form {
    kind: Kind,
    /// The sorts of characters without which no text has this form: they are known before it is looked for.
    needs: u8,
    has_form: fn(&str) -> bool,
}

const LOWER: u8 = 1;
const UPPER: u8 = 2;
const DIGIT: u8 = 4;
const DOT: u8 = 8;
/// `-` and `_`.
const JOINT: u8 = 16;
/// Everything else, `%` and `@` among it.
const MARK: u8 = 32;

/// Which sorts of characters a text has.
fn sorts_of(text: &str) -> u8 {
    let sort = |byte| match byte {
        b'a'..=b'z' => LOWER,
        b'A'..=b'Z' => UPPER,
        b'0'..=b'9' => DIGIT,
        b'.' => DOT,
        b'-' | b'_' => JOINT,
        _ => MARK,
    };
    text.bytes().fold(0, |sorts, byte| sorts | sort(byte))
}

const fn form(kind: Kind, needs: u8, has_form: fn(&str) -> bool) -> Form {
    Form { kind, needs, has_form }
}

/// The first that fits.
const FORMS: [Form; 18] = [
    form(Kind::Int, DIGIT, |text| ParameterType::Int.accepts(text)),
    form(Kind::Uuid, JOINT, |text| ParameterType::Uuid.accepts(text)),
    form(Kind::Hex, DIGIT, is_long_hex),
    form(Kind::Date, DIGIT | JOINT, |text| ParameterType::Date.accepts(text)),
    form(Kind::Ulid, DIGIT, is_ulid),
    form(Kind::Email, MARK | DOT, is_email),
    form(Kind::Ipv4, DIGIT | DOT, |text| text.parse::<std::net::Ipv4Addr>().is_ok()),
    form(Kind::Decimal, DIGIT, is_decimal),
    form(Kind::Version, DIGIT | DOT, is_version),
    form(Kind::Path, MARK, |text| text.contains("%2F")),
    form(Kind::Code, 0, is_code),
    form(Kind::Locale, LOWER | JOINT, is_locale),
    form(Kind::Date, DIGIT, is_time),
    form(Kind::Token, DIGIT | UPPER | LOWER, is_long_token),
    form(Kind::Id, 0, is_id),
    form(Kind::Token, DIGIT | UPPER | LOWER, is_token),
    form(Kind::Hex, DIGIT | LOWER, is_short_hex),
    form(Kind::File, DOT, is_file),
];

/// Words that are never values, whatever form they have: `v1`, `oauth2`, `utf-8`.
fn is_vocabulary(text: &str, sorts: u8) -> bool {
    const WORDS: [&str; 18] = [
        "2fa", "base64", "covid-19", "h264", "http2", "ipv4", "ipv6", "log4j", "md5", "mp3", "mp4", "oauth1",
        "oauth2", "s3", "sha-256", "sha256", "utf-8", "web3",
    ];
    // All of them have a digit.
    sorts & DIGIT != 0 && (is_version_word(text) || WORDS.iter().any(|word| word.eq_ignore_ascii_case(text)))
}

/// Of one case: `AC5ef8…` is a prefix and its value.
fn is_long_hex(text: &str) -> bool {
    let both_cases = text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_lowercase());
    text.len() >= 16
        && ParameterType::Hex.accepts(text)
        && has_digit(text)
        && !all_digits(text)
        && !both_cases
}

/// 26 characters of Crockford's base 32, the first at most 7; a timestamp makes it begin with digits.
fn is_ulid(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() && !b"ILOU".contains(&byte.to_ascii_uppercase());
    text.len() == 26
        && matches!(text.as_bytes()[0], b'0'..=b'7')
        && text.bytes().all(letter)
        && !all_digits(text)
}

fn is_email(text: &str) -> bool {
    let parts = text.split_once('@').or_else(|| text.split_once("%40"));
    parts.is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.contains('@')
            && domain.split('.').count() >= 2
            && domain.split('.').all(|label| !label.is_empty() && label.bytes().all(is_label))
    })
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn is_decimal(text: &str) -> bool {
    let number = text.strip_prefix('-').unwrap_or(text);
    match number.split_once('.') {
        Some((whole, part)) => all_digits(whole) && all_digits(part),
        None => number.len() < text.len() && all_digits(number),
    }
}

fn is_version(text: &str) -> bool {
    let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.');
    numbers.clone().count() >= 3 && numbers.all(|number| number.len() <= 5 && all_digits(number))
}

/// `en-US`, `pt_BR`, `pt-br`, `zh-Hans`, `es-419`.
fn is_locale(text: &str) -> bool {
    let Some((language, region)) = text.split_once(['-', '_']) else { return false };
    let region_fits = match region.as_bytes() {
        [a, b] => a.is_ascii_uppercase() && b.is_ascii_uppercase() || is_code(language) && is_code(region),
        [a, rest @ ..] if rest.len() == 3 && a.is_ascii_uppercase() => {
            rest.iter().all(u8::is_ascii_lowercase)
        }
        digits => digits.len() == 3 && digits.iter().all(u8::is_ascii_digit),
    };
    language.len() == 2 && language.bytes().all(|byte| byte.is_ascii_lowercase()) && region_fits
}

/// `2026-11`, `2026-11-20T10:00:00Z`, `20261120T1000`: a month, or a day and a time.
fn is_time(text: &str) -> bool {
    let digits_at = |text: &str, count: usize| text.len() == count && all_digits(text);
    match text.split_once(['T', 't']) {
        Some((day, time)) => {
            (ParameterType::Date.accepts(day) || digits_at(day, 8))
                && time.starts_with(|c: char| c.is_ascii_digit())
        }
        None => text.split_once('-').is_some_and(|(year, month)| {
            digits_at(year, 4) && digits_at(month, 2) && year.starts_with(['1', '2'])
        }),
    }
}

/// Base64url of 20 or more: both cases and a digit.
fn is_long_token(text: &str) -> bool {
    let has = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'=' | b'.');
    let words = text.split(['-', '_', '.']).filter(|word| word.len() >= 20).count();
    text.len() >= 20
        && text.bytes().all(allowed)
        && words >= 1
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
}

/// Seven or more, as short hashes are written, with letters and several digits among them.
fn is_short_hex(text: &str) -> bool {
    (7..16).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        && digit_runs(text) >= 2
}

fn is_id(text: &str) -> bool {
    let sorts = sorts_of(text);
    // A word, or several with joints between them.
    if sorts & !(LOWER | JOINT) == 0 {
        return false;
    }
    let has = |sort: u8| sorts & sort != 0;
    has(DIGIT) && is_numbered(text)
        || has(DIGIT | MARK) && is_several(text)
        || has(DOT) && is_address(text)
        || has(MARK) && is_braced_uuid(text)
        || has(UPPER) && is_capitals_and_hex(text)
}

fn is_numbered(text: &str) -> bool {
    all_digits(text) || is_words_and_number(text) || is_prefixed(text) || is_generated_name(text)
}

/// `1,2,3`; a telephone number; text that had to be escaped.
fn is_several(text: &str) -> bool {
    let number = |part: &str| ParameterType::Int.accepts(part) || is_decimal(part);
    let list = text.contains(',') && text.split(',').all(number);
    let phone = text.strip_prefix('+').or_else(|| text.strip_prefix("%2B")).is_some_and(all_digits);
    let escaped = text.contains("%20") || text.contains('{');
    list || phone || escaped
}

/// `shop.example.com`, by endings that no file has.
fn is_address(text: &str) -> bool {
    const ENDINGS: [&str; 9] = ["com", "org", "net", "io", "dev", "example", "test", "co", "edu"];
    text.rsplit_once('.').is_some_and(|(front, ending)| {
        ENDINGS.contains(&ending)
            && !front.is_empty()
            && front.split('.').all(|label| !label.is_empty() && label.bytes().all(is_label))
    })
}

/// By endings of documents and media; those of pages and scripts name endpoints: `/orders/list.php`.
fn is_file(text: &str) -> bool {
    const ENDINGS: [&str; 36] = [
        "avi", "bmp", "bz2", "doc", "docx", "eps", "gif", "gz", "heic", "iso", "jpeg", "jpg", "log", "md",
        "mov", "mp3", "mp4", "odt", "ogg", "png", "ppt", "pptx", "rar", "rtf", "svg", "tar", "tgz", "tif",
        "tiff", "txt", "wav", "webm", "webp", "xls", "xlsx", "zip",
    ];
    text.rsplit_once('.').is_some_and(|(front, ending)| {
        !front.is_empty() && ENDINGS.contains(&ending.to_ascii_lowercase().as_str())
    })
}

fn is_braced_uuid(text: &str) -> bool {
    let inner = text.strip_prefix("%7B").and_then(|text| text.strip_suffix("%7D"));
    inner.is_some_and(|inner| ParameterType::Uuid.accepts(inner))
}

/// Two capitals and 32 hexadecimal digits.
fn is_capitals_and_hex(text: &str) -> bool {
    text.split_at_checked(2).is_some_and(|(front, hex)| {
        front.bytes().all(|byte| byte.is_ascii_uppercase())
            && hex.len() == 32
            && ParameterType::Hex.accepts(hex)
    })
}

/// `order_123`, `PROJ-77`, `blue-shirt-4711`.
fn is_words_and_number(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once(['-', '_']) else { return false };
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    all_digits(number) && words.split(['-', '_']).all(word)
}

/// `cus_9s6XKzkNRiz8i3`: letters, then eight or more letters and digits, not one word and its number.
fn is_prefixed(text: &str) -> bool {
    let Some((prefix, value)) = text.split_once(['-', '_']) else { return false };
    let letters = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_alphabetic());
    let alphanumeric = value.len() >= 8 && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    letters && alphanumeric && has_digit(value)
}

/// `name-7d4f8b5c9-x2x4z`, as orchestrators call what they start.
fn is_generated_name(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let (Some(last), Some(hash), Some(_)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let random = |part: &str| {
        has_digit(part) && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    last.len() == 5 && (8..=10).contains(&hash.len()) && random(hash) && random(last)
}

/// Both cases, and digits in two places or a change at every other character: `getOrdersV2` and `oauth2Callback` are
/// words.
fn is_token(text: &str) -> bool {
    let has = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    text.len() >= 8
        && text.bytes().all(allowed)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && (digit_runs(text) >= 2 || has(u8::is_ascii_digit) && changes(text) * 20 >= (text.len() - 1) * 9)
}

/// How often the next character is of another sort: small, capital, digit, mark.
fn changes(text: &str) -> usize {
    let sort = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    text.as_bytes().windows(2).filter(|pair| sort(pair[0]) != sort(pair[1])).count()
}

fn digit_runs(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).count()
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_their_form() {
        for (value, kind) in [
            ("4711", Kind::Int),
            ("00000000000000000000001", Kind::Id),
            ("-3", Kind::Decimal),
            ("12.50", Kind::Decimal),
            ("0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff", Kind::Uuid),
            ("%7B0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff%7D", Kind::Id),
            ("507f1f77bcf86cd799439011", Kind::Hex),
            ("2026-11-20", Kind::Date),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", Kind::Ulid),
            ("jo@shop.example", Kind::Email),
            ("jo%40shop.example", Kind::Email),
            ("10.0.0.7", Kind::Ipv4),
            ("1.2.3", Kind::Version),
            ("en-US", Kind::Locale),
            ("pt-br", Kind::Locale),
            ("de", Kind::Code),
            ("US", Kind::Code),
            ("2026-11-20T10:00:00Z", Kind::Date),
            ("a1b2c3d", Kind::Hex),
            ("v4.12.1", Kind::Version),
            ("1,2,3", Kind::Id),
            ("shop.example.com", Kind::Id),
            ("V1lQo80iqmDx", Kind::Token),
            ("group%2Fproject", Kind::Path),
            ("order_123", Kind::Id),
            ("PROJ-77", Kind::Id),
            ("blue-shirt-4711", Kind::Id),
            ("cus_9s6XKzkNRiz8i3", Kind::Id),
            ("AC5ef8732a3c49700934481addd5ce1659", Kind::Token),
            ("web-7d4f8b5c9-x2x4z", Kind::Id),
            ("dQw4w9WgXcQ", Kind::Token),
            ("eyJhbGciOiJIUzI1NiIs_3x", Kind::Token),
            ("photo.PNG", Kind::File),
        ] {
            assert_eq!(Kind::of(value, Some("things")), Some(kind), "{value}");
        }
        assert_eq!(Kind::of(&"a".repeat(129), Some("things")), Some(Kind::Long));
    }

    #[test]
    fn words_are_no_values() {
        for word in [
            "",
            "api",
            "v1",
            "V2",
            "v1.1",
            "v2beta1",
            "me",
            "search",
            "new",
            "edit",
            "health",
            "login",
            "oauth2",
            "2fa",
            "sha-256",
            "utf-8",
            "getOrdersV2",
            "oauth2Callback",
            "OAuth2",
            "AddOnResults",
            "order-items",
            "order_items",
            "wp-admin",
            "index.html",
            "list.php",
            ".well-known",
            "@me",
            "a:b",
            "deadbeefdeadbeef",
            "ISO-codes",
            "3d-models",
            "Orders",
            "ORDERS",
            "line-items-2x",
        ] {
            assert_eq!(Kind::of(word, Some("things")), None, "{word}");
        }
    }

    #[test]
    fn the_first_segment_is_a_value_only_where_nothing_else_is_possible() {
        for word in ["2010-04-01", "1.0", "en-US", "covid-21", "step_1", "robots.txt"] {
            assert_eq!(Kind::of(word, None), None, "{word}");
        }
        assert_eq!(Kind::of("4711", None), Some(Kind::Int));
        assert_eq!(Kind::of("0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff", None), Some(Kind::Uuid));
    }

    #[test]
    fn the_version_of_an_interface_stays() {
        assert_eq!(Kind::of("1.0", Some("api")), None);
        assert_eq!(Kind::of("2010-04-01", Some("api")), None);
        assert_eq!(Kind::of("4711", Some("api")), Some(Kind::Int));
    }

    #[test]
    fn a_kind_is_found_by_its_name() {
        for form in FORMS {
            assert_eq!(Kind::named(form.kind.name()), Some(form.kind));
        }
        assert_eq!(Kind::named("long"), Some(Kind::Long));
        assert_eq!(Kind::named("word"), None);
    }
}
