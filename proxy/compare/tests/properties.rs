//! What holds for every pair of answers.

use proptest::prelude::*;
use serde_json::{Map, Value};
use starve_compare::{Answer, Body, Call, Comparison, HashKey, Rules, Verdict, compare};

const GET: Call<'_> = Call { method: "GET", path: "/", own_hosts: &[] };

fn answer(body: impl Into<Vec<u8>>) -> Answer {
    let headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
    Answer { status: 200, headers, body: Body::of(body) }
}

fn compared(legacy: &str, function: &str) -> Comparison {
    compare(&GET, &answer(legacy), &answer(function), &Rules::default(), HashKey(1))
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        "[a-zé\"\\\\\n]{0,8}".prop_map(Value::from),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,3}|id|name", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The same document, with the members of every object the other way round and white space between.
fn backwards(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            out.push_str("{ ");
            for (n, (key, value)) in members.iter().rev().enumerate() {
                out.push_str(if n == 0 { "" } else { " ,\n" });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(" : ");
                backwards(value, out);
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for (n, value) in elements.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                backwards(value, out);
            }
            out.push_str(" ]");
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// Every place that is no array or object, as a JSON pointer.
fn leaves(value: &Value, here: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| leaves(value, &format!("{here}/{key}"), found));
        }
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(n, value)| leaves(value, &format!("{here}/{n}"), found));
        }
        _ => found.push(here.to_owned()),
    }
}

/// A pointer as a reported path.
fn reported(pointer: &str) -> String {
    let steps = pointer.split('/').skip(1).map(|step| match step.parse::<usize>() {
        Ok(_) => "[*]".to_owned(),
        Err(_) => format!(".{step}"),
    });
    format!("body:${}", steps.collect::<String>())
}

proptest! {
    #[test]
    fn a_document_equals_itself_however_it_is_written(document in document()) {
        let mut other = String::new();
        backwards(&document, &mut other);
        let found = compared(&document.to_string(), &other);
        prop_assert_eq!(found.verdict, Verdict::Equal, "{:?}", found.differences);
    }

    #[test]
    fn one_changed_leaf_is_exactly_one_path(
        elements in prop::collection::vec(document(), 1..5),
        choice in any::<prop::sample::Index>(),
    ) {
        let document = Value::from(Map::from_iter([("root".to_owned(), Value::from(elements))]));
        let mut found = Vec::new();
        leaves(&document, "", &mut found);
        prop_assume!(!found.is_empty());
        let pointer = choice.get(&found);
        let mut changed = document.clone();
        *changed.pointer_mut(pointer).unwrap() = Value::from("something else, ÜBERALL");
        let found = compared(&document.to_string(), &changed.to_string());
        let paths: Vec<_> = found.differences.iter().map(|difference| difference.path.as_str()).collect();
        prop_assert_eq!(paths, [reported(pointer)]);
        prop_assert!(found.verdict.is_different());
    }

    #[test]
    fn both_directions_agree_whether_something_differs(legacy in document(), function in document()) {
        let (legacy, function) = (legacy.to_string(), function.to_string());
        let there = compared(&legacy, &function);
        let back = compared(&function, &legacy);
        prop_assert_eq!(there.verdict, back.verdict);
        prop_assert_eq!(there.verdict.is_different(), !there.differences.is_empty());
    }

    #[test]
    fn no_bytes_make_it_panic(
        legacy in any::<Vec<u8>>(),
        function in any::<Vec<u8>>(),
        headers in prop::collection::vec(
            (
                "content-type|content-encoding|location|set-cookie|vary|x-a",
                prop_oneof![
                    any::<Vec<u8>>(),
                    "gzip|deflate|br|application/json|text/html|a=b; Max-Age=1|http://a/../b|[;=, \"a]{0,9}"
                        .prop_map(String::into_bytes),
                ],
            ),
            0..6,
        ),
        split in 0_usize..6,
        status in prop_oneof![Just(200_u16), any::<u16>()],
        path in "/?[a/.?]{0,6}",
    ) {
        let split = split.min(headers.len());
        let (one, other) = headers.split_at(split);
        let legacy = Answer { status, headers: one.to_vec(), body: Body::of(legacy) };
        let function = Answer { status: 200, headers: other.to_vec(), body: Body::of(function) };
        let call = Call { path: &path, ..GET };
        compare(&call, &legacy, &function, &Rules::default(), HashKey(1));
        let same = compare(&call, &legacy, &legacy, &Rules::default(), HashKey(1));
        prop_assert!(same.differences.is_empty());
    }

    #[test]
    fn no_text_of_an_answer_is_ever_shown(
        secrets in prop::collection::vec("Qx[a-zA-Z0-9]{6,20}", 6),
        numbers in prop::collection::vec(any::<i16>(), 2),
    ) {
        let [a, b, c, d, e, f] = &secrets[..] else { unreachable!() };
        let body = |one: &str, other: &str, number: i16| {
            format!(r#"{{"name":"{one}","list":["{other}",{{"id":"{one}"}},{number}],"{number}":"{other}","m":{{"{one}@x":1}}}}"#)
        };
        let mut legacy = answer(body(a, b, numbers[0]));
        let mut function = answer(body(c, d, numbers[1]));
        for (answer, secret, other) in [(&mut legacy, e, f), (&mut function, f, e)] {
            answer.headers.push(("x-customer".to_owned(), secret.clone().into_bytes()));
            answer.headers.push(("location".to_owned(), format!("/{secret}?{other}").into_bytes()));
            answer.headers.push(("set-cookie".to_owned(), format!("session={secret}; Path=/{other}").into_bytes()));
        }
        let text = |content: &str| Answer { status: 200, headers: Vec::new(), body: Body::of(content) };
        for found in [
            compare(&GET, &legacy, &function, &Rules::default(), HashKey(1)),
            compare(&GET, &text(a), &text(b), &Rules::default(), HashKey(1)),
            compare(&GET, &legacy, &text(b), &Rules::default(), HashKey(1)),
        ] {
            let everything = format!("{found:?} {}", serde_json::to_string(&found.differences).unwrap());
            for secret in &secrets {
                prop_assume!(a != c && b != d && e != f);
                prop_assert!(!found.differences.is_empty());
                prop_assert!(!everything.contains(secret.as_str()), "{} in {}", secret, everything);
            }
        }
    }
}
