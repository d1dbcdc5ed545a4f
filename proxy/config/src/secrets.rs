//! Which parts of a document are secret: tokens, what functions get in their environment, and passwords in
//! addresses.
//!
//! Excerpts go to logs, pages and terminals, so whole values are named here, whatever kind they are of.

use crate::document::Span;
use crate::yaml::{Kind, Node};

/// The values of keys called `token` or like a field that holds a secret, and all below `env`, wherever they stand: a key at a wrong
/// place is as secret as one at its own.
pub(crate) fn in_tree(text: &str, root: &Node) -> Vec<Span> {
    let mut secrets = passwords(text);
    collect(root, false, &mut secrets);
    secrets
}

/// The same for a text that is not YAML: all behind the word on its line.
pub(crate) fn in_text(text: &str) -> Vec<Span> {
    let mut secrets = passwords(text);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        let word = ["token", "env"].iter().filter_map(|word| Some(line.find(word)? + word.len())).min();
        if let Some(behind) = word {
            secrets.push(Span::new((start + behind).min(end), end));
        }
        start += line.len();
    }
    secrets
}

/// What stands between `://` and `@`.
fn passwords(text: &str) -> Vec<Span> {
    text.match_indices("://")
        .filter_map(|(at, slashes)| {
            let start = at + slashes.len();
            let ends = |c: char| c == '@' || c == '/' || c.is_whitespace();
            let length = text[start..].find(ends)?;
            text[start + length..].starts_with('@').then(|| Span::new(start, start + length))
        })
        .collect()
}

/// Also fields that a route sets and that let a call in somewhere.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let whole = ["env", "cookie", "set-cookie", "authorization", "proxy-authorization"];
    let part = ["token", "secret", "password", "api-key", "apikey"];
    whole.contains(&&*key) || part.iter().any(|part| key.contains(part))
}

fn collect(node: &Node, secret: bool, secrets: &mut Vec<Span>) {
    match &node.kind {
        Kind::Scalar(_) if secret => secrets.push(node.span),
        Kind::Scalar(_) => {}
        Kind::Sequence(items) => items.iter().for_each(|item| collect(item, secret, secrets)),
        Kind::Mapping(mapping) => {
            for entry in &mapping.entries {
                let secret = secret || is_secret(&entry.key);
                collect(&entry.value, secret, secrets);
            }
        }
    }
}
