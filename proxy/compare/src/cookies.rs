//! `Set-Cookie`: by the cookie's name and attributes (RFC 6265, section 4.1). A value is made anew for every
//! client; whether it is empty is all that counts of it.

use std::collections::BTreeMap;

use crate::answer::Answer;
use crate::difference::{Findings, Kind};
use crate::limits::TIME_TOLERANCE_SECONDS;
use crate::path::name_is_data;
use crate::shown::Shown;
use crate::time;
use crate::verdict::Layer;

pub(crate) fn compare(legacy: &Answer, function: &Answer, findings: &mut Findings) {
    let [legacy, mut function] = [legacy, function].map(cookies);
    for (name, legacy) in legacy {
        let path = path(&name);
        match function.remove(&name) {
            Some(function) => compare_attributes(&path, legacy, function, findings),
            None => findings.add(Layer::Headers, &path, Kind::Missing, [Shown::PRESENT, Shown::ABSENT], None),
        }
    }
    for name in function.keys() {
        findings.add(Layer::Headers, &path(name), Kind::Extra, [Shown::ABSENT, Shown::PRESENT], None);
    }
}

/// Attribute names in lower case, with `value` for whether there is one.
type Attributes = BTreeMap<String, String>;

/// The cookies of an answer by name. Of two cookies of one name the last counts, as it does for a browser.
fn cookies(answer: &Answer) -> BTreeMap<String, Attributes> {
    answer.values("set-cookie").map(|line| parse(&String::from_utf8_lossy(line))).collect()
}

fn parse(line: &str) -> (String, Attributes) {
    let mut parts = line.split(';').map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.trim(), value.trim())
    });
    let (name, value) = parts.next().unwrap_or_default();
    let content = if value.trim_matches('"').is_empty() { "empty" } else { "set" };
    let attributes = parts
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .map(|(name, value)| match &*name {
            "samesite" => (name, value.to_ascii_lowercase()),
            "domain" => (name, value.trim_start_matches('.').to_ascii_lowercase()),
            _ => (name, value.to_owned()),
        })
        .chain([("value".to_owned(), content.to_owned())]);
    (name.to_owned(), attributes.collect())
}

/// Some frameworks put a hash into a cookie's name.
fn path(name: &str) -> String {
    let name = if name_is_data(name.as_bytes()) { "{*}" } else { name };
    format!("header:set-cookie:{name}")
}

fn compare_attributes(path: &str, mut legacy: Attributes, mut function: Attributes, findings: &mut Findings) {
    let mut names: Vec<String> = legacy.keys().chain(function.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (legacy, function) = (legacy.remove(&name), function.remove(&name));
        let kind = match (&legacy, &function) {
            (Some(legacy), Some(function)) if legacy == function => continue,
            (Some(legacy), Some(function)) if is_close(&name, legacy, function) => {
                findings.tolerated.times += 1;
                continue;
            }
            (Some(_), Some(_)) => Kind::Value,
            (Some(_), None) => Kind::Missing,
            (None, _) => Kind::Extra,
        };
        let shown = [legacy, function].map(|value| shown(&name, value, findings));
        findings.add(Layer::Headers, &format!("{path}:{name}"), kind, shown, None);
    }
}

fn is_close(attribute: &str, legacy: &str, function: &str) -> bool {
    match attribute {
        "expires" => time::are_close(legacy.as_bytes(), function.as_bytes()),
        "max-age" => match (legacy.parse::<i64>(), function.parse::<i64>()) {
            (Ok(legacy), Ok(function)) => {
                // Zero and less means: delete. One second more does not.
                (legacy > 0) == (function > 0) && legacy.abs_diff(function) <= TIME_TOLERANCE_SECONDS as u64
            }
            _ => false,
        },
        _ => false,
    }
}

fn shown(attribute: &str, value: Option<String>, findings: &Findings) -> Shown {
    match value {
        None => Shown::ABSENT,
        Some(value) if value.is_empty() => Shown::PRESENT,
        Some(value) => match attribute {
            "value" | "samesite" | "max-age" | "expires" if value.len() <= 40 => Shown::word(value),
            _ => Shown::text(value.as_bytes(), findings.key),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HashKey, Verdict};

    fn differing(legacy: &[&str], function: &[&str]) -> Vec<String> {
        let [legacy, function] = [legacy, function].map(|lines| Answer {
            headers: lines.iter().map(|line| ("set-cookie".to_owned(), line.as_bytes().to_vec())).collect(),
            ..Answer::default()
        });
        let mut findings = Findings::new(HashKey(1));
        compare(&legacy, &function, &mut findings);
        findings.into_comparison(Verdict::Equal).differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_and_the_order_of_attributes_do_not_count() {
        assert_eq!(
            differing(
                &["session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600", "a=1"],
                &["a=2", "session=xyz; samesite=lax; max-age=3599; HTTPONLY; path=/"]
            ),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_lost_protection_is_named() {
        assert_eq!(
            differing(
                &["session=abc; HttpOnly; Secure; SameSite=Strict"],
                &["session=abc; Secure; SameSite=None"]
            ),
            [
                "header:set-cookie:session:httponly: missing: legacy present, function absent",
                "header:set-cookie:session:samesite: value: legacy strict, function none",
            ]
        );
    }

    #[test]
    fn a_missing_and_an_extra_cookie_are_named() {
        assert_eq!(
            differing(&["a=1"], &["b=1"]),
            [
                "header:set-cookie:a: missing: legacy present, function absent",
                "header:set-cookie:b: extra: legacy absent, function present",
            ]
        );
    }

    #[test]
    fn deleting_a_cookie_is_not_setting_it() {
        assert_eq!(
            differing(&["a=; Max-Age=0"], &["a=1; Max-Age=3"]),
            [
                "header:set-cookie:a:max-age: value: legacy 0, function 3",
                "header:set-cookie:a:value: value: legacy empty, function set",
            ]
        );
    }

    #[test]
    fn a_hash_in_a_cookies_name_does_not_make_a_path() {
        let found = differing(&["SESS49960de5880e8c687434170f6476605b=1"], &[]);
        assert_eq!(found, ["header:set-cookie:{*}: missing: legacy present, function absent"]);
    }
}
