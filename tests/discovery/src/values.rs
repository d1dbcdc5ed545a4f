//! Values for parameters, as real clients send them.
//!
//! Each parameter has a pool of values from which calls draw with Zipf's law: few are asked for often, many once.
//! Parameters of one name share their pool, as the owners of one interface do.

use std::collections::HashMap;

use fastrand::Rng;

use crate::interface::Parameter;

pub(crate) struct Values {
    pools: HashMap<(String, String), Pool>,
}

struct Pool {
    values: Vec<String>,
    zipf: Zipf,
}

/// Ranks by Zipf's law with exponent `s`.
pub(crate) struct Zipf {
    sums: Vec<f64>,
}

impl Zipf {
    pub(crate) fn new(count: usize, s: f64) -> Self {
        let mut sum = 0.0;
        let rank = |n: usize| {
            sum += 1.0 / (n as f64 + 1.0).powf(s);
            sum
        };
        Self { sums: (0..count).map(rank).collect() }
    }

    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        let point = rng.f64() * self.sums.last().copied().unwrap_or_default();
        self.sums.partition_point(|sum| *sum < point).min(self.sums.len() - 1)
    }
}

impl Values {
    pub(crate) fn new() -> Self {
        Self { pools: HashMap::new() }
    }

    pub(crate) fn draw(&mut self, parameter: &Parameter, rng: &mut Rng) -> String {
        // A bare `id` is another thing at each place; `owner` is the same everywhere.
        let bare = matches!(
            parameter.name.to_lowercase().as_str(),
            "id" | "name" | "key" | "slug" | "uuid" | "code"
        );
        let of = if bare { parameter.of.clone() } else { String::new() };
        let pool =
            self.pools.entry((parameter.name.clone(), of)).or_insert_with(|| Pool::new(parameter, rng));
        pool.values[pool.zipf.draw(rng)].clone()
    }
}

impl Pool {
    fn new(parameter: &Parameter, rng: &mut Rng) -> Self {
        let mut values: Vec<String> = if parameter.choices.is_empty() {
            let form = form(parameter, rng);
            let count = form.count(rng);
            (0..count).map(|_| form.value(parameter, rng)).collect()
        } else {
            parameter.choices.iter().map(|choice| escaped(choice)).collect()
        };
        values.sort_unstable();
        values.dedup();
        rng.shuffle(&mut values);
        let zipf = Zipf::new(values.len(), 0.9);
        Self { values, zipf }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Int,
    Uuid,
    Hex24,
    Token,
    Prefixed,
    Sha,
    Date,
    DateTime,
    Year,
    Month,
    Email,
    Login,
    Project,
    Words,
    Word,
    Branch,
    File,
    Locale,
    Country,
    Language,
    Currency,
    Version,
    Ip,
    Host,
    Phone,
    LikeExample,
}

fn form(parameter: &Parameter, rng: &mut Rng) -> Form {
    let name = parameter.name.to_lowercase().replace(['-', '_', '.'], "");
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let ends = |words: &[&str]| words.iter().any(|word| name.ends_with(word));
    match parameter.format.as_str() {
        "uuid" => return Form::Uuid,
        "date" => return Form::Date,
        "date-time" => return Form::DateTime,
        "int32" | "int64" => return Form::Int,
        "email" => return Form::Email,
        "ipv4" => return Form::Ip,
        _ => {}
    }
    if ends(&["year"]) {
        return Form::Year;
    }
    if name == "month" || name == "day" || name == "week" {
        return Form::Month;
    }
    if matches!(parameter.kind.as_str(), "integer" | "number") {
        return Form::Int;
    }
    if parameter.example.as_ref().is_some_and(|example| is_shape(example)) {
        return Form::LikeExample;
    }
    if has(&["uuid", "guid"]) {
        return Form::Uuid;
    }
    if has(&["sha", "commit", "digest", "checksum", "hash"]) {
        return Form::Sha;
    }
    if ends(&["date"]) {
        return Form::Date;
    }
    if has(&["email"]) {
        return Form::Email;
    }
    if has(&["branch"]) || name == "ref" || name == "tag" {
        return Form::Branch;
    }
    if has(&["locale"]) {
        return Form::Locale;
    }
    if has(&["lang"]) {
        return Form::Language;
    }
    if has(&["country"]) {
        return Form::Country;
    }
    if has(&["currency"]) {
        return Form::Currency;
    }
    if ends(&["version"]) {
        return Form::Version;
    }
    if name == "ip" || has(&["ipaddress"]) {
        return Form::Ip;
    }
    if has(&["domain", "hostname"]) {
        return Form::Host;
    }
    if has(&["phone"]) {
        return Form::Phone;
    }
    if has(&["path", "file"]) && !ends(&["id"]) {
        return Form::File;
    }
    if has(&["repo", "project", "package"]) && !ends(&["id"]) {
        return Form::Project;
    }
    if has(&["owner", "user", "login", "org", "team", "account", "assignee", "member"])
        && !ends(&["id", "sid", "key"])
    {
        return Form::Login;
    }
    if ends(&["id", "ids", "sid", "key", "token", "number", "no"]) || name.is_empty() {
        if parameter.text.contains("uuid") {
            return Form::Uuid;
        }
        return *[Form::Int, Form::Uuid, Form::Hex24, Form::Token, Form::Prefixed]
            .get(rng.usize(..5))
            .unwrap_or(&Form::Int);
    }
    if ends(&["code", "type", "status", "kind", "category", "format", "action", "event"]) {
        return Form::Word;
    }
    Form::Words
}

/// Whether an example shows by its form what the values look like: more than a word.
fn is_shape(example: &str) -> bool {
    let digits = example.bytes().filter(u8::is_ascii_digit).count();
    digits >= 2
        && example.len() >= 3
        && example.len() <= 80
        && !example.contains(['/', ' ', '{', '?', '#', '%'])
}

impl Form {
    /// How many different values there are.
    fn count(self, rng: &mut Rng) -> usize {
        match self {
            Self::Year => 8,
            Self::Month => 12,
            Self::Word => rng.usize(6..40),
            Self::Locale | Self::Language | Self::Country | Self::Currency => 25,
            Self::Version => 30,
            Self::Words => *[40, 150, 600, 2_000].get(rng.usize(..4)).unwrap_or(&40),
            Self::Branch => 300,
            Self::Login | Self::Project | Self::File => rng.usize(200..3_000),
            _ => rng.usize(300..20_000),
        }
    }

    fn value(self, parameter: &Parameter, rng: &mut Rng) -> String {
        match self {
            Self::Int => {
                let digits = rng.u32(1..8);
                rng.u64(1..10_u64.pow(digits)).to_string()
            }
            Self::Uuid => {
                let hex = text(rng, b"0123456789abcdef", 32);
                format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
            }
            Self::Hex24 => text(rng, b"0123456789abcdef", 24),
            Self::Token => text(rng, ALPHANUMERIC, 12),
            Self::Prefixed => {
                let front: String = parameter.of.chars().filter(char::is_ascii_alphabetic).take(3).collect();
                format!("{}_{}", if front.is_empty() { "id" } else { &front }, text(rng, ALPHANUMERIC, 14))
            }
            Self::Sha => text(rng, b"0123456789abcdef", 40),
            Self::Date => format!("20{:02}-{:02}-{:02}", rng.u8(18..27), rng.u8(1..13), rng.u8(1..29)),
            Self::DateTime => {
                format!("2026-{:02}-{:02}T{:02}:00:00Z", rng.u8(1..13), rng.u8(1..29), rng.u8(0..24))
            }
            Self::Year => rng.u16(2018..2027).to_string(),
            Self::Month => rng.u8(1..13).to_string(),
            Self::Email => format!("{}@{}.example", login(rng), word(rng)),
            Self::Login => login(rng),
            Self::Project => project(rng),
            Self::Words => {
                let count = rng.usize(1..4);
                (0..count).map(|_| word(rng)).collect::<Vec<_>>().join(if rng.bool() { "-" } else { "_" })
            }
            Self::Word => word(rng),
            Self::Branch => match rng.u8(0..10) {
                0 => "main".to_owned(),
                1 => "develop".to_owned(),
                2..5 => format!("feature%2F{}", project(rng)),
                5 => format!("v{}.{}.{}", rng.u8(0..9), rng.u8(0..20), rng.u8(0..9)),
                _ => project(rng),
            },
            Self::File => match rng.u8(0..4) {
                0 => format!("{}.{}", project(rng), rng.choice(["md", "txt", "rs", "json"]).unwrap_or("md")),
                1 => format!("src%2F{}%2F{}.js", word(rng), word(rng)),
                _ => format!("{}.png", project(rng)),
            },
            Self::Locale => {
                format!("{}-{}", two(rng, LANGUAGES), two(rng, LANGUAGES).to_uppercase())
            }
            Self::Language => two(rng, LANGUAGES),
            Self::Country => two(rng, LANGUAGES).to_uppercase(),
            Self::Currency => text(rng, b"ABCDEFGHIJKLMNOPRSTUZ", 3),
            Self::Version => format!("{}.{}.{}", rng.u8(0..5), rng.u8(0..20), rng.u8(0..9)),
            Self::Ip => format!("10.{}.{}.{}", rng.u8(..), rng.u8(..), rng.u8(..)),
            Self::Host => {
                format!("{}.{}", project(rng), rng.choice(["com", "org", "io", "example"]).unwrap_or("com"))
            }
            Self::Phone => format!("%2B49{}", rng.u64(1_000_000_000..9_999_999_999)),
            Self::LikeExample => like(parameter.example.as_deref().unwrap_or("1"), rng),
        }
    }
}

/// Another text of the same form: digits stay digits, small letters small letters.
fn like(example: &str, rng: &mut Rng) -> String {
    let uuid = example.len() == 36 && example.split('-').count() == 5;
    let hex = uuid || example.len() >= 16 && example.bytes().all(|byte| byte.is_ascii_hexdigit());
    let kept = example.find(['_', '-']).filter(|at| *at <= 4 && !hex).map_or(0, |at| at + 1);
    let other = |(at, c): (usize, char)| match c {
        c if at < kept => c,
        '0'..='9' | 'a'..='f' if hex => char::from(text(rng, b"0123456789abcdef", 1).as_bytes()[0]),
        '0'..='9' => char::from(rng.u8(b'0'..=b'9')),
        'a'..='z' => char::from(rng.u8(b'a'..=b'z')),
        'A'..='Z' if at < 2 => c,
        'A'..='Z' => char::from(rng.u8(b'A'..=b'Z')),
        c => c,
    };
    let text: String = example.char_indices().map(other).collect();
    escaped(&text)
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F").replace(' ', "%20").replace('?', "%3F").replace('#', "%23")
}

fn login(rng: &mut Rng) -> String {
    match rng.u8(0..6) {
        0 => format!("{}{}", word(rng), rng.u16(1..100)),
        1 => format!("{}-{}", word(rng), word(rng)),
        2 => {
            let word = word(rng);
            word[..1].to_uppercase() + &word[1..]
        }
        _ => format!("{}{}", word(rng), word(rng)),
    }
}

fn project(rng: &mut Rng) -> String {
    match rng.u8(0..4) {
        0 => word(rng),
        1 => format!("{}_{}", word(rng), word(rng)),
        2 => format!("{}-{}-{}", word(rng), word(rng), word(rng)),
        _ => format!("{}-{}", word(rng), word(rng)),
    }
}

fn text(rng: &mut Rng, of: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(of[rng.usize(..of.len())])).collect()
}

fn two(rng: &mut Rng, of: &[&str]) -> String {
    of[rng.usize(..of.len())].to_owned()
}

/// A word that people use, or that sounds like a name.
fn word(rng: &mut Rng) -> String {
    if rng.u8(0..3) == 0 {
        return WORDS[rng.usize(..WORDS.len())].to_owned();
    }
    let syllables = rng.usize(2..4);
    (0..syllables).map(|_| SYLLABLES[rng.usize(..SYLLABLES.len())]).collect()
}

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LANGUAGES: &[&str] = &[
    "de", "en", "fr", "es", "it", "nl", "pl", "pt", "ja", "ko", "ru", "sv", "da", "fi", "cs", "tr", "us",
    "gb", "br", "at", "ch", "be", "no", "mx", "ca",
];
const SYLLABLES: &[&str] = &[
    "ka", "lo", "mi", "ra", "ten", "so", "vel", "dor", "an", "be", "lin", "mar", "nu", "quo", "ris", "ta",
    "ul", "wen", "xi", "yo", "zan", "gre", "pha", "sti", "cor", "hal", "jen", "bru",
];
const WORDS: &[&str] = &[
    "alice", "bob", "carol", "dave", "octocat", "acme", "hello", "world", "blue", "red", "green", "shirt",
    "shoe", "demo", "web", "backend", "frontend", "docs", "tools", "core", "cloud", "data", "image",
    "server", "client", "mobile", "design", "linux", "rust", "python", "java", "garden", "river", "mountain",
    "coffee", "summer", "winter", "music", "video", "photo", "book", "market", "sales", "support", "billing",
    "reports", "main", "prod", "staging", "alpha", "beta", "gamma", "delta", "north", "south", "east",
    "west", "london", "berlin", "paris", "tokyo", "monthly", "weekly",
];
