//! Whole answers compared, layer by layer, as the proxy does it.

#![expect(clippy::unwrap_used, reason = "the helpers of tests stand outside of them")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use starve_compare::{
    Answer, Body, Call, Capture, Comparison, HashKey, Kind, Layer, Note, Rules, Verdict, compare,
};

const KEY: HashKey = HashKey(0x5eed);
const GET: Call<'_> = Call { method: "GET", path: "/products", own_hosts: &["shop.example"] };

fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    let headers = vec![("content-type".to_owned(), content_type.as_bytes().to_vec())];
    Answer { status, headers, body: Body::of(body) }
}

fn json(body: impl Into<Vec<u8>>) -> Answer {
    answer(200, "application/json", body)
}

fn compared(legacy: &Answer, function: &Answer) -> Comparison {
    compare(&GET, legacy, function, &Rules::default(), KEY)
}

fn with_rules(legacy: &str, function: &str, ignore: &[&str], unordered: &[&str]) -> Comparison {
    let paths = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let rules = Rules { ignore: paths(ignore), unordered: paths(unordered), ignore_headers: Vec::new() };
    compare(&GET, &json(legacy), &json(function), &rules, KEY)
}

/// Each difference on a line, of two JSON bodies.
fn differences(legacy: &str, function: &str) -> Vec<String> {
    lines(&compared(&json(legacy), &json(function)))
}

fn lines(comparison: &Comparison) -> Vec<String> {
    comparison.differences.iter().map(|difference| difference.to_string()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const NOTHING: [&str; 0] = [];

#[test]
fn the_first_layer_that_differs_is_the_verdict() {
    let mut legacy = answer(302, "text/html; charset=utf-8", "a");
    legacy.headers.push(("location".to_owned(), b"/a".to_vec()));
    let verdict = |change: &dyn Fn(&mut Answer)| {
        let mut function = legacy.clone();
        change(&mut function);
        compared(&legacy, &function).verdict
    };
    assert_eq!(verdict(&|_| {}), Verdict::Equal);
    assert_eq!(verdict(&|answer| answer.status = 200), Verdict::Different(Layer::StatusClass));
    assert_eq!(verdict(&|answer| answer.status = 303), Verdict::Different(Layer::Status));
    assert_eq!(verdict(&|answer| answer.headers[1].1 = b"/b".to_vec()), Verdict::Different(Layer::Redirect));
    assert_eq!(
        verdict(&|answer| answer.headers[0].1 = b"text/plain".to_vec()),
        Verdict::Different(Layer::Headers)
    );
    assert_eq!(verdict(&|answer| answer.body = Body::of("b")), Verdict::Different(Layer::Body));
    assert_eq!(
        verdict(&|answer| {
            answer.headers[1].1 = b"/b".to_vec();
            answer.body = Body::of("b");
        }),
        Verdict::Different(Layer::Redirect)
    );
}

#[test]
fn differences_of_later_layers_are_listed_too() {
    let found = compared(&json("{\"a\":1}"), &answer(201, "text/plain", "{\"a\":2}"));
    assert_eq!(found.verdict, Verdict::Different(Layer::Status));
    assert_eq!(
        lines(&found),
        [
            "status: value: legacy 200, function 201",
            "header:content-type: value: legacy application/json, function text/plain",
            "body:$.a: value: legacy 1, function 2",
        ]
    );
}

#[test]
fn an_error_page_is_not_compared_with_a_product() {
    let found = compared(&json("{\"a\":1}"), &answer(404, "text/html", "not found"));
    assert_eq!(lines(&found), ["status: value: legacy 200, function 404"]);
}

#[test]
fn two_failures_are_not_an_equal_answer() {
    let failure = answer(500, "text/plain", "x");
    assert_eq!(compared(&failure, &failure).verdict, Verdict::BothFailed);
    assert_eq!(compared(&failure, &answer(503, "text/plain", "y")).verdict, Verdict::BothFailed);
    assert_eq!(compared(&failure, &json("{}")).verdict, Verdict::Different(Layer::StatusClass));
    assert_eq!(compared(&answer(404, "a/b", "x"), &answer(404, "a/b", "x")).verdict, Verdict::Equal);
}

#[test]
fn answers_without_a_body_are_equal_whatever_was_captured() {
    for status in [204, 205, 304] {
        assert_eq!(compared(&answer(status, "a/b", "x"), &answer(status, "a/b", "")).verdict, Verdict::Equal);
    }
    let head = Call { method: "HEAD", ..GET };
    assert_eq!(compare(&head, &json("{}"), &json(""), &Rules::default(), KEY).verdict, Verdict::Equal);
    assert_eq!(
        compared(&answer(206, "a/b", "x"), &answer(206, "a/b", "")).verdict,
        Verdict::Different(Layer::Body)
    );
}

#[test]
fn bodies_beyond_the_capture_are_equal_by_hash_or_too_large() {
    let captured = |bytes: &[u8]| {
        let mut capture = Capture::new(4);
        capture.push(bytes);
        Answer { body: capture.finish(), ..answer(200, "text/plain", "") }
    };
    assert_eq!(compared(&captured(b"abcdefg"), &captured(b"abcdefg")).verdict, Verdict::Equal);
    assert_eq!(compared(&captured(b"abcdefg"), &captured(b"abcdefh")).verdict, Verdict::TooLarge);
    assert_eq!(compared(&captured(b"abcdefg"), &captured(b"abcd")).verdict, Verdict::TooLarge);
}

#[test]
fn streams_and_upgrades_are_not_comparable() {
    for content_type in
        ["text/event-stream; charset=utf-8", "application/grpc+proto", "multipart/x-mixed-replace"]
    {
        let found = compared(&answer(200, content_type, "a"), &answer(200, content_type, "b"));
        assert_eq!(found.verdict, Verdict::NotComparable);
    }
    assert_eq!(compared(&answer(101, "a/b", ""), &answer(101, "a/b", "")).verdict, Verdict::NotComparable);
    let stream = answer(200, "text/event-stream", "a");
    assert_eq!(compared(&stream, &json("{}")).verdict, Verdict::Different(Layer::Headers));
}

#[test]
fn the_content_coding_does_not_count() {
    let plain = json("{\"a\":1}");
    let mut packed = json(gzip(b"{\"a\": 1.0}"));
    packed.headers.push(("content-encoding".to_owned(), b"gzip".to_vec()));
    assert_eq!(compared(&plain, &packed).verdict, Verdict::Equal);

    let mislabelled = json(packed.body.bytes.clone());
    assert!(compared(&packed, &mislabelled).verdict.is_different());

    let mut damaged = packed.clone();
    damaged.body = Body::of("no gzip at all");
    assert_eq!(lines(&compared(&plain, &damaged)), ["body: encoding: legacy readable, function damaged"]);

    let mut bomb = packed;
    bomb.body = Body::of(gzip(&vec![b' '; 30_000_000]));
    assert_eq!(compared(&plain, &bomb).verdict, Verdict::TooLarge);
}

#[test]
fn json_is_compared_by_meaning() {
    for (legacy, function) in [
        (r#"{"a":1,"b":[true,null]}"#, "\u{FEFF}{ \"b\" : [true, null],\r\n \"a\" : 1.0 }\n"),
        (r#"{"a":"\u00fc\/"}"#, r#"{"a":"ü/"}"#),
        (r#"[12345678901234567890123, 0.00005]"#, r#"[12345678901234567890123.0, 0.5e-4]"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":1, "a":2}"#),
        ("{\"a\":1}\n{\"a\":2}\n", "{\"a\":1.0}\r\n{\"a\":2}"),
    ] {
        assert_eq!(differences(legacy, function), NOTHING, "{legacy}");
    }
}

#[test]
fn every_kind_of_difference_has_its_path() {
    for (legacy, function, expected) in [
        (r#"{"a":{"b":1}}"#, r#"{"a":{"b":2}}"#, "body:$.a.b: value: legacy 1, function 2"),
        (r#"{"a":true}"#, r#"{"a":false}"#, "body:$.a: value: legacy true, function false"),
        (r#"{"a":[1]}"#, r#"{"a":null}"#, "body:$.a: type: legacy array(1), function null"),
        (r#"{"a":{"x":1}}"#, r#"{}"#, "body:$.a: missing: legacy object(1), function absent"),
        (r#"{}"#, r#"{"a":7}"#, "body:$.a: extra: legacy absent, function 7"),
        (r#"{"a":[1,2,3]}"#, r#"{"a":[3,1,2]}"#, "body:$.a: order: legacy array(3), function array(3)"),
        (r#"{"a":[1,2,3]}"#, r#"{"a":[1,3]}"#, "body:$.a: size: legacy array(3), function array(2)"),
        (r#"{"a":1,"a":1}"#, r#"{"a":1}"#, "body:$.a: duplicate_key: legacy 2 times, function 1 times"),
        (
            "[12345678901234567890123]",
            "[12345678901234567890124]",
            "body:$[*]: value: legacy 12345678901234567890123, function 12345678901234567890124",
        ),
        (r#"{"a b":1}"#, r#"{"a b":2}"#, "body:$['a b']: value: legacy 1, function 2"),
        (r#"{"42":1}"#, r#"{"42":2}"#, "body:${*}: value: legacy 1, function 2"),
        ("{\"a\":1}\n{\"a\":2}", "{\"a\":1}\n{\"a\":3}", "body:$[*].a: value: legacy 2, function 3"),
    ] {
        assert_eq!(differences(legacy, function), [expected]);
    }
}

#[test]
fn what_a_person_wants_to_know_is_noted() {
    for (legacy, function, note) in [
        (r#"{"a":"19.90"}"#, r#"{"a":19.9}"#, Note::NumberAsText),
        (r#"{"a":null}"#, "{}", Note::NullOrMissing),
        (r#"{"a":""}"#, r#"{"a":null}"#, Note::EmptyOrMissing),
        ("{}", r#"{"a":""}"#, Note::EmptyOrMissing),
        (r#"{"a":"ÄB"}"#, r#"{"a":"äb"}"#, Note::CaseOnly),
        (r#"{"a":"a b"}"#, r#"{"a":"ab "}"#, Note::WhiteSpaceOnly),
        (r#"{"a":"2026-01-02T03:04:05Z"}"#, r#"{"a":"2026-01-02T04:04:05.000+01:00"}"#, Note::SameInstant),
    ] {
        assert_eq!(compared(&json(legacy), &json(function)).differences[0].note, Some(note), "{legacy}");
    }
}

#[test]
fn what_was_tolerated_is_counted() {
    let found = compared(
        &json(r#"{"at":["2026-01-02T03:04:05Z","2026-01-02T03:04:05Z"],"n":1}"#),
        &json(r#"{"at":["2026-01-02T03:04:06Z","2026-01-02T03:04:09Z"],"n":1.0}"#),
    );
    assert_eq!(found.verdict, Verdict::Equal);
    assert_eq!((found.tolerated.times, found.tolerated.number_notations), (2, 1));

    let beside_a_difference = compared(
        &json(r#"[{"at":"2026-01-02T03:04:05Z","x":1}]"#),
        &json(r#"[{"at":"2026-01-02T03:04:06Z","x":2}]"#),
    );
    assert_eq!(beside_a_difference.tolerated.times, 1);
}

#[test]
fn elements_are_aligned_by_their_id() {
    let legacy = r#"[{"id":1,"p":1},{"id":2,"p":2},{"id":3,"p":3},{"id":4,"p":4}]"#;
    assert_eq!(
        differences(legacy, r#"[{"id":1,"p":9},{"id":3,"p":3},{"id":4,"p":9},{"id":5,"p":5}]"#),
        [
            "body:$[*].p: value: legacy 1, function 9 (2 times)",
            "body:$[*]: missing: legacy object(2), function absent",
            "body:$[*]: extra: legacy absent, function object(2)",
        ]
    );
    assert_eq!(
        differences(legacy, r#"[{"id":4,"p":4},{"id":2,"p":2},{"id":3,"p":3},{"id":1,"p":1}]"#),
        ["body:$: order: legacy array(4), function array(4)"]
    );
}

#[test]
fn ids_made_anew_for_every_answer_do_not_align() {
    let found = differences(r#"[{"id":1,"p":1},{"id":2,"p":2}]"#, r#"[{"id":8,"p":1},{"id":9,"p":2}]"#);
    assert_eq!(found, ["body:$[*].id: value: legacy 1, function 8 (2 times)"]);
    let mostly_new =
        differences(r#"[{"id":1},{"id":2},{"id":3},{"id":4}]"#, r#"[{"id":5},{"id":6},{"id":7},{"id":1}]"#);
    assert_eq!(mostly_new, ["body:$[*].id: value: legacy 1, function 5 (4 times)"]);
}

#[test]
fn ids_that_are_ignored_do_not_align() {
    let by_index = with_rules(
        r#"[{"id":1,"p":1},{"id":2,"p":2}]"#,
        r#"[{"id":2,"p":8},{"id":1,"p":9}]"#,
        &["$..id"],
        &[],
    );
    assert_eq!(lines(&by_index), ["body:$[*].p: value: legacy 1, function 8 (2 times)"]);
    let ignored = with_rules(
        r#"[{"id":1,"p":1},{"id":2,"p":2}]"#,
        r#"[{"id":2,"p":2},{"id":1,"p":1}]"#,
        &["$..id"],
        &["$"],
    );
    assert_eq!(ignored.verdict, Verdict::Equal);
}

#[test]
fn an_ignored_place_is_not_looked_into() {
    for (legacy, function, ignore) in [
        (r#"{"a":{"t":1},"b":[{"t":1}]}"#, r#"{"a":{"t":2},"b":[{}]}"#, "$..t"),
        (r#"{"a":{"t":1}}"#, r#"{"a":[]}"#, "$.a"),
        (r#"{"a":1,"a":2}"#, r#"{"a":3}"#, "$.a"),
        (r#"{"a":1}"#, "no json", "$"),
        (r#"{"m":{"17":{"v":1}}}"#, r#"{"m":{"17":{"v":2}}}"#, "$.m{*}.v"),
        (r#"[[1,2],[3,4]]"#, r#"[[9,2],[9,4]]"#, "$[*][0]"),
    ] {
        assert_eq!(with_rules(legacy, function, &[ignore], &[]).verdict, Verdict::Equal, "{ignore}");
    }
    let one_member = with_rules(r#"{"a":{"t":1,"u":1}}"#, r#"{"a":{"t":2,"u":2}}"#, &["$.a.t"], &[]);
    assert_eq!(lines(&one_member), ["body:$.a.u: value: legacy 1, function 2"]);
    let one_element = with_rules("[1,2,3,4]", "[9,5,8,4]", &["$[1]"], &[]);
    assert_eq!(lines(&one_element), ["body:$[*]: value: legacy 1, function 9 (2 times)"]);
}

#[test]
fn an_unordered_array_is_compared_as_a_multiset() {
    let equal =
        |legacy, function| with_rules(legacy, function, &["$..t"], &["$..tags"]).verdict == Verdict::Equal;
    assert!(equal(r#"{"tags":["a","b","b"]}"#, r#"{"tags":["b","a","b"]}"#));
    assert!(!equal(r#"{"tags":["a","b","b"]}"#, r#"{"tags":["b","a","a"]}"#));
    assert!(equal(r#"{"tags":[{"x":1,"t":1},{"x":2,"t":2}]}"#, r#"{"tags":[{"t":9,"x":2.0},{"x":1}]}"#));
    assert!(equal(r#"[{"tags":[1,2]},{"tags":[[3,4],1]}]"#, r#"[{"tags":[2,1]},{"tags":[1,[3,4]]}]"#));
    let nested = r#"{"tags":[{"x":1,"t":1,"tags":[1,2]},{"x":2,"t":1,"tags":[3,4]}]}"#;
    assert!(equal(nested, r#"{"tags":[{"x":2,"t":1,"tags":[4,3]},{"x":1,"t":1,"tags":[2,1]}]}"#));
    assert!(equal(nested, r#"{"tags":[{"x":2,"tags":[3,4]},{"x":1,"tags":[1,2]}]}"#));
    assert!(!equal(r#"[{"other":[1,2]}]"#, r#"[{"other":[2,1]}]"#));
    let found = with_rules(r#"["a",1,"b",2]"#, r#"["b",3,"a"]"#, &[], &["$"]);
    assert_eq!(
        lines(&found),
        ["body:$: size: legacy array(4), function array(3)", "body:$[*]: value: legacy 1, function 3"]
    );
}

#[test]
fn one_broken_field_in_a_long_list_hides_no_other() {
    let list = |price: u32, last: u32| {
        let items: Vec<String> = (0..1000).map(|id| format!("{{\"id\":{id},\"price\":{price}}}")).collect();
        format!("{{\"items\":[{}],\"total\":{last}}}", items.join(","))
    };
    assert_eq!(
        differences(&list(1, 1), &list(2, 2)),
        [
            "body:$.items[*].price: value: legacy 1, function 2 (1000 times)",
            "body:$.total: value: legacy 1, function 2",
        ]
    );
}

#[test]
fn the_list_of_differences_is_bounded_and_the_rest_counted() {
    // Below the size from which an object counts as a map.
    let group = |group: char, value: u32| {
        let members: Vec<String> = ('a'..='t').map(|name| format!("\"{name}\":{value}")).collect();
        format!("\"{group}\":{{{}}}", members.join(","))
    };
    let document =
        |value| format!("{{{}}}", ('a'..='e').map(|name| group(name, value)).collect::<Vec<_>>().join(","));
    let found = compared(&json(document(1)), &json(document(2)));
    assert_eq!((found.differences.len(), found.unlisted), (64, 36));
}

#[test]
fn an_object_used_as_a_map_is_one_path() {
    let map = |value: u32| {
        let members: Vec<String> = ('a'..='z')
            .flat_map(|one| ('a'..='c').map(move |other| format!("\"{one}{other}\":{{\"n\":{value}}}")))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(differences(&map(1), &map(2)), ["body:${*}.n: value: legacy 1, function 2 (78 times)"]);
}

#[test]
fn a_reported_path_is_a_rule_that_ignores_the_place() {
    for (legacy, function) in [
        (r#"{"a b":[{"x":1}]}"#, r#"{"a b":[{"x":2}]}"#),
        (r#"{"m":{"2026-01-02":[1]}}"#, r#"{"m":{"2026-01-02":[2]}}"#),
        (r#"{"it's":1}"#, r#"{"it's":2}"#),
    ] {
        let found = compared(&json(legacy), &json(function));
        let path = found.differences[0].path.strip_prefix("body:").unwrap();
        assert_eq!(with_rules(legacy, function, &[path], &[]).verdict, Verdict::Equal, "{path}");
    }
}

#[test]
fn json_is_found_where_it_is_declared_as_something_else() {
    let html = |body: &str| answer(200, "text/html", body);
    assert_eq!(compared(&html(r#"{"a":1,"b":2}"#), &html(r#"{"b":2,"a":1}"#)).verdict, Verdict::Equal);
    assert_eq!(lines(&compared(&html("[1]"), &html("[2]"))), ["body:$[*]: value: legacy 1, function 2"]);
    let api = |body: &str| answer(200, "application/problem+json", body);
    assert_eq!(compared(&api("{\"a\": 1}"), &api("{\"a\":1}")).verdict, Verdict::Equal);
}

#[test]
fn json_on_one_side_only_is_a_difference_of_type() {
    let found = compared(&json("{}"), &json("<html>"));
    assert_eq!((found.differences[0].kind, found.differences[0].path.as_str()), (Kind::Type, "body"));
}

#[test]
fn text_is_compared_by_lines_without_the_white_space_at_their_ends() {
    let html = |body: &str| answer(200, "text/html", body);
    assert_eq!(compared(&html("<p>  \r\n</p>\n\n"), &html("<p>\n</p>")).verdict, Verdict::Equal);
    assert_eq!(
        lines(&compared(&html("a\nb\nc\nd"), &html("a\nx\nc\ny"))),
        [
            "body:text: value: legacy 4 lines, 2 differ, first at line 2, function 4 lines, 2 differ, first at line 2"
        ]
    );
    assert_eq!(compared(&html("a"), &html("a\nb")).differences[0].kind, Kind::Size);
}

#[test]
fn other_bytes_are_compared_by_length_and_hash() {
    let image = |body: &[u8]| answer(200, "image/png", body);
    let found = compared(&image(b"\x89\0a"), &image(b"\x89\0b"));
    assert_eq!((found.differences[0].kind, found.differences[0].path.as_str()), (Kind::Value, "body:bytes"));
    assert!(found.differences[0].legacy.as_str().starts_with("bytes(3)#"));
    assert_eq!(compared(&image(b"\x89\0a"), &image(b"\x89\0")).differences[0].kind, Kind::Size);
}

#[test]
fn what_is_too_deep_or_too_wide_gets_the_verdict_budget() {
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(compared(&json(deep("1")), &json(deep("2"))).verdict, Verdict::Budget);
    assert_eq!(compared(&json(deep("1")), &json(deep("1"))).verdict, Verdict::Equal);
    let wide = |last: u32| format!("[{}{last}]", "0,".repeat(250_000));
    assert_eq!(compared(&json(wide(1)), &json(wide(2))).verdict, Verdict::Budget);
}

#[test]
fn an_alignment_that_takes_too_long_gets_the_verdict_budget() {
    let numbers: Vec<String> = (2..1500).map(|number| number.to_string()).collect();
    let backwards: Vec<&str> = numbers.iter().rev().map(String::as_str).collect();
    let (numbers, backwards) = (numbers.join(","), backwards.join(","));
    // Every level must be hashed to find the one element that differs: the level below.
    let legacy = (0..120).fold("0".to_owned(), |inner, _| format!("[{inner},{numbers}]"));
    let function = (0..120).fold("1".to_owned(), |inner, _| format!("[{backwards},{inner}]"));
    assert_eq!(with_rules(&legacy, &function, &[], &["$", "$..*"]).verdict, Verdict::Budget);
}

#[test]
fn long_arrays_in_any_disorder_stay_within_the_budget() {
    let list = |numbers: &mut dyn Iterator<Item = u32>| {
        let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
        json(format!("[{}]", numbers.join(",")))
    };
    let legacy = list(&mut (0..100_000));
    let reversed = compared(&legacy, &list(&mut (0..100_000).rev()));
    assert_eq!(lines(&reversed), ["body:$: order: legacy array(100000), function array(100000)"]);
    let shifted = compared(&legacy, &list(&mut (1..100_001)));
    assert_eq!(lines(&shifted), ["body:$[*]: value: legacy 0, function 1 (100000 times)"]);
    let shorter = compared(&legacy, &list(&mut (0..100_000).filter(|number| *number != 50_000)));
    assert_eq!(lines(&shorter), ["body:$: size: legacy array(100000), function array(99999)"]);
}

#[test]
fn arrays_nested_as_deep_as_allowed_end_within_the_budget() {
    // Each level has an equal head to be set aside and an unequal rest to be compared: the costliest shape.
    let nested = |inner: &str| {
        let head = "[1,2,3,4,5,6,7,8],".repeat(20);
        (0..120).fold(inner.to_owned(), |document, _| format!("[{head}{document},{head}0]"))
    };
    let found = compared(&json(nested("1")), &json(nested("2")));
    assert_eq!(found.differences.len(), 1);
    assert_eq!(found.verdict, Verdict::Different(Layer::Body));
}

#[test]
fn secrets_are_not_shown_even_as_numbers() {
    let found = compared(
        &json(r#"{"card":{"number":1234},"user":{"pin":4321},"ok":4111111111111111}"#),
        &json(r#"{"card":{"number":9876},"user":{"pin":6789},"ok":5500005555555559}"#),
    );
    let text = lines(&found).join("\n");
    assert_eq!(found.differences.len(), 3);
    for secret in ["1234", "4321", "4111", "9876", "6789", "5500"] {
        assert!(!text.split([' ', ',', '\n']).any(|word| word == secret), "{text}");
    }
    assert!(text.contains("number(4)#") && text.contains("number(16)#"), "{text}");
}
