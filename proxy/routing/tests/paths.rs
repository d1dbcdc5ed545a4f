//! The normaliser's promises for any path at all.

use proptest::prelude::*;
use starve_routing::normalise_path;

/// Texts full of what the normaliser looks at.
fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("/"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%2F"),
        Just("%2f"),
        Just("%5c"),
        Just(";"),
        Just("a"),
        Just("%61"),
        Just("%C3"),
        Just("%c3"),
        Just("%"),
        Just("%00"),
        Just("|"),
        Just("%7c"),
        Just(":"),
        Just("%25"),
        Just("2e"),
        Just("~"),
        Just("%3b"),
    ];
    prop_oneof![
        8 => proptest::collection::vec(part, 0..12).prop_map(|parts| format!("/{}", parts.concat())),
        1 => any::<String>(),
    ]
}

/// RFC 3986 section 5.2.4, read literally: buffers in, buffers out.
fn remove_dot_segments(path: &str) -> String {
    let (mut input, mut output) = (path.to_owned(), String::new());
    while !input.is_empty() {
        if input.starts_with("/./") || input == "/." {
            input.replace_range(..(input.len().min(3)), "/");
        } else if input.starts_with("/../") || input == "/.." {
            input.replace_range(..(input.len().min(4)), "/");
            output.truncate(output.rfind('/').unwrap_or(0));
        } else {
            let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
            output.push_str(&input[..end]);
            input.drain(..end);
        }
    }
    output
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn a_normalised_path_is_its_own_normal_form_and_borrowed(path in path()) {
        if let Ok(normal) = normalise_path(&path) {
            let again = normalise_path(&normal);
            prop_assert!(matches!(&again, Ok(std::borrow::Cow::Borrowed(text)) if *text == normal), "{:?}", again);
        }
    }

    #[test]
    fn a_normalised_path_has_no_dot_segment_and_no_needless_escape(path in path()) {
        if let Ok(normal) = normalise_path(&path) {
            prop_assert!(normal.starts_with('/'));
            prop_assert!(normal.split('/').all(|segment| segment != "." && segment != ".."));
            let bytes = normal.as_bytes();
            for at in (0..bytes.len()).filter(|at| bytes[*at] == b'%') {
                let digits = std::str::from_utf8(&bytes[at + 1..at + 3]).unwrap();
                prop_assert_eq!(digits.to_uppercase(), digits);
                let byte = u8::from_str_radix(digits, 16).unwrap();
                prop_assert!(byte != 0 && !byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte));
            }
        }
    }

    #[test]
    fn dot_segments_are_removed_as_the_rfc_does(segments in proptest::collection::vec("a|b|\\.|\\.\\.|", 1..8)) {
        let path = format!("/{}", segments.join("/"));
        if let Ok(normal) = normalise_path(&path) {
            prop_assert_eq!(normal, remove_dot_segments(&path));
        }
    }

    #[test]
    fn spelling_an_unreserved_character_as_escape_changes_nothing(path in path(), place in any::<prop::sample::Index>()) {
        let unreserved: Vec<usize> = path
            .bytes()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_alphanumeric() || b"-._~".contains(byte))
            .map(|(at, _)| at)
            .collect();
        prop_assume!(!unreserved.is_empty() && normalise_path(&path).is_ok());
        let at = *place.get(&unreserved);
        // The digits of an escape are not characters of the path.
        prop_assume!(!path[at.saturating_sub(2)..at].contains('%'));
        let spelled = format!("{}%{:02x}{}", &path[..at], path.as_bytes()[at], &path[at + 1..]);
        prop_assert_eq!(normalise_path(&spelled).ok(), normalise_path(&path).ok());
    }
}
