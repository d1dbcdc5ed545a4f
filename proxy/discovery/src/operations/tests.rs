use proptest::prelude::*;

use super::*;

fn names(protocol: Protocol, pieces: &[&[u8]]) -> Vec<String> {
    let mut peek = Peek::new(protocol, Some("application/json; charset=utf-8"));
    pieces.iter().for_each(|piece| peek.data(piece));
    peek.names().into_iter().map(Cow::into_owned).collect()
}

fn graphql(body: &str) -> Vec<String> {
    names(Protocol::GraphQl, &[body.as_bytes()])
}

fn rpc(body: &str) -> Vec<String> {
    names(Protocol::JsonRpc, &[body.as_bytes()])
}

#[test]
fn a_graphql_call_is_named_by_its_operation_name_else_by_its_first_operation() {
    for (body, name) in [
        (r#"{"query":"query A { a } query B { b }","operationName":"B"}"#, "B"),
        (r#"{"operationName":null,"query":"query A { a }"}"#, "A"),
        (r#"{"operationName":"","query":"mutation\n  Save($x: Int) { a }"}"#, "Save"),
        (r#"{"query":"{ a }","variables":{"operationName":"No"}}"#, ANONYMOUS),
        (r#"{"variables":[{"query":"x"},"y",1.5e-3,true],"query":"subscription \u0053 { a }"}"#, "S"),
        (r#"{"extensions":{"persistedQuery":{"sha256Hash":"ecf4"}},"operationName":"Kept"}"#, "Kept"),
        (r#"{"extensions":{"persistedQuery":{"sha256Hash":"ecf4"}}}"#, UNREADABLE),
        (r#"{"operationName":"with space"}"#, OTHER),
        (r#"{"operationName":"caf\u00e9"}"#, OTHER),
        ("not json", UNREADABLE),
        ("", UNREADABLE),
        ("[]", UNREADABLE),
        ("7", UNREADABLE),
        (r#"{"operationName":["A"]}"#, UNREADABLE),
        (r#"{"query":"query A { a }"]"#, UNREADABLE),
    ] {
        assert_eq!(graphql(body), [name], "{body}");
    }
    assert_eq!(graphql(&format!(r#"{{"operationName":"{}"}}"#, "n".repeat(101))), [OTHER]);
}

#[test]
fn every_call_of_a_batch_is_named() {
    let batch = r#" [ {"jsonrpc":"2.0","method":"eth_call","params":[{"method":"no"}],"id":1},
        {"method":"user.get","id":2}, {"id":3}, 4, {"method":"eth_call"} ] "#;
    assert_eq!(rpc(batch), ["eth_call", "user.get", UNREADABLE, "eth_call"]);
    let long = format!("[{}]", vec![r#"{"method":"a"}"#; 1_000].join(","));
    let found = rpc(&long);
    assert_eq!(found.len(), 2 * BATCH_MAX);
    assert_eq!((found[BATCH_MAX - 1].as_str(), found[BATCH_MAX].as_str()), ("a", OTHER));
    assert_eq!(rpc(r#"{"method":"one","params":"#), ["one"]);
}

#[test]
fn no_more_is_looked_at_than_is_needed_or_allowed() {
    let mut peek = Peek::new(Protocol::GraphQl, None);
    peek.data(br#"{"operationName":"Upload","variables":{"file":""#);
    assert!(peek.is_done());
    assert_eq!(peek.names(), ["Upload"]);
    // The name stands behind too much else: the first operation of the query is taken.
    let large = "x".repeat(PEEK_BYTES_MAX);
    let behind = format!(r#"{{"query":"query First {{ a }}","variables":"{large}","operationName":"B"}}"#);
    assert_eq!(graphql(&behind), ["First"]);
    assert_eq!(graphql(&format!(r#"{{"variables":"{large}","operationName":"B"}}"#)), [UNREADABLE]);
    assert_eq!(rpc(&"[".repeat(100)), [UNREADABLE]);
}

#[test]
fn a_query_string_and_a_bare_document_are_read_too() {
    let of_query = |query: &str| Peek::of_query(Protocol::GraphQl, query).names();
    assert_eq!(of_query("query=query+GetUser%7Ba%7D&variables=%7B%7D"), ["GetUser"]);
    assert_eq!(of_query("operationName=B&query=x"), ["B"]);
    assert_eq!(of_query("id=7"), [UNREADABLE]);
    assert_eq!(Peek::of_query(Protocol::JsonRpc, "method=a.b&id=1").names(), ["a.b"]);
    let mut peek = Peek::new(Protocol::GraphQl, Some("application/graphql"));
    peek.data(b"query Who");
    peek.data(b"le { a }");
    assert_eq!(peek.names(), ["Whole"]);
}

proptest! {
    #[test]
    fn where_the_pieces_are_cut_changes_nothing(cuts in proptest::collection::vec(0_usize..200, 0..6), which in 0..4) {
        let body = [
            r#"[{"method":"a\u002eb","x":"\\\""},{"params":{"a":[1,{}]},"method":"c"}]"#,
            r#"{"query":"query Q { a(b: \"c\") }","operationName": null, "variables": {"a": [[], {}]}}"#,
            r#"{"a":1,"query":"fragment F on T { a } mutation M { a }"}"#,
            r#"{"method":"broken"#,
        ][which as usize].as_bytes();
        for protocol in [Protocol::GraphQl, Protocol::JsonRpc] {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&body[from..cut]);
                from = cut;
            }
            pieces.push(&body[from..]);
            prop_assert_eq!(names(protocol, &pieces), names(protocol, &[body]));
        }
    }

    #[test]
    fn where_it_is_cut_changes_nothing_of_what_is_broken(
        front in "[\\[\\]{}:,\\\\\" 0a]{0,8}",
        key in prop::sample::select(vec!["method", "operationName", "query", "a"]),
        value in "[a-z{ ]{0,6}",
        behind in "[\\[\\]{}:,\\\\\" 0a]{0,8}",
        size in 1_usize..9,
    ) {
        for front in [front.as_str(), "{", "[{"] {
            let body = format!("{front}\"{key}\":\"{value}\"{behind}");
            for protocol in [Protocol::GraphQl, Protocol::JsonRpc] {
                let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
                prop_assert_eq!(names(protocol, &pieces), names(protocol, &[body.as_bytes()]), "{}", body);
            }
        }
    }

    #[test]
    fn whatever_comes_there_is_a_name_and_it_is_bounded(pieces in proptest::collection::vec(".{0,60}", 0..8)) {
        for protocol in [Protocol::GraphQl, Protocol::JsonRpc] {
            let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            let names = names(protocol, &pieces);
            prop_assert!(!names.is_empty() && names.len() <= 2 * BATCH_MAX);
            prop_assert!(names.iter().all(|name| name.len() <= NAME_BYTES_MAX && !name.contains('#')));
        }
    }
}
