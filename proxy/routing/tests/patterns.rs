//! The pattern language, its canonical text, and what is said about each mistake.

use std::fmt::Write;

use proptest::prelude::*;
use starve_routing::{HostPattern, Methods, Parameter, ParameterType, Pattern, SEGMENTS_MAX, Segment};

fn parse(text: &str) -> Pattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn canonical(text: &str) -> String {
    parse(text).to_string()
}

#[test]
fn a_pattern_has_methods_host_and_segments() {
    let pattern = parse("GET,PURGE //*.Shop.Example/v{major:int}/files/{name}.json/{rest*}");
    assert_eq!(*pattern.methods(), Methods::These(vec!["GET".to_owned(), "PURGE".to_owned()]));
    assert_eq!(pattern.host(), Some(&HostPattern::Wildcard("shop.example".to_owned())));
    let version = Parameter {
        prefix: "v".to_owned(),
        name: "major".to_owned(),
        kind: Some(ParameterType::Int),
        suffix: String::new(),
    };
    assert_eq!(pattern.segments()[0], Segment::Parameter(version));
    assert_eq!(pattern.segments()[3], Segment::Rest { name: "rest".to_owned() });
    assert_eq!(pattern.parameter_names().collect::<Vec<_>>(), ["major", "name", "rest"]);
    assert_eq!(pattern.path_template(), "/v{major:int}/files/{name}.json/{rest*}");
    assert!(!pattern.is_literal());
    assert!(parse("* /").is_literal());
}

#[test]
fn the_text_is_brought_to_one_spelling() {
    assert_eq!(canonical("  GET \t //SHOP.example/%61%2f%c3%a9  "), "GET //shop.example/a%2F%C3%A9");
    assert_eq!(canonical("* //[::1]/"), "* //[::1]/");
    assert_eq!(canonical("GET /a//b/"), "GET /a//b/");
    assert_eq!(canonical("GET /v1/rooms/!x:y@z/~me"), "GET /v1/rooms/!x:y@z/~me");
}

#[test]
fn the_rest_may_be_empty_but_its_slash_is_needed() {
    let pattern = parse("GET /reports/{rest*}");
    assert!(pattern.matches_path("/reports/"));
    assert!(pattern.matches_path("/reports/a/b"));
    assert!(!pattern.matches_path("/reports"));
    assert_eq!(pattern.params("/reports/a/b").value("rest"), Some("a/b"));
    assert_eq!(pattern.params("/reports/").value("rest"), Some(""));
    assert!(parse("GET /{all*}").matches_path("/"));
}

#[test]
fn a_value_is_never_empty_and_never_has_a_slash() {
    let pattern = parse("GET /files/{name}.json");
    assert!(pattern.matches_path("/files/a.json"));
    assert!(pattern.matches_path("/files/.json.json"));
    for path in
        ["/files/.json", "/files/a.xml", "/files/a/b.json", "/files/a.json/", "/files//a.json", "/files"]
    {
        assert!(!pattern.matches_path(path), "{path}");
    }
}

#[test]
fn slashes_count() {
    assert!(!parse("GET /a").matches_path("/a/"));
    assert!(!parse("GET /a/").matches_path("/a"));
    assert!(!parse("GET /a/b").matches_path("/a//b"));
    assert!(parse("GET /a//b").matches_path("/a//b"));
}

#[test]
fn values_are_slices_of_the_path() {
    let pattern = parse("GET /shops/{shop}/v{n:int}.{format}".replace(".{format}", "").as_str());
    let path = "/shops/caf%C3%A9/v12";
    let params = pattern.params(path);
    assert_eq!(params.iter().collect::<Vec<_>>(), [("shop", "caf%C3%A9"), ("n", "12")]);
    assert_eq!(params.value("none"), None);
    assert_eq!(format!("{params:?}"), r#"{"shop": "caf%C3%A9", "n": "12"}"#);
}

#[test]
fn a_pattern_may_have_so_many_segments_and_no_more() {
    let path = "/a".repeat(SEGMENTS_MAX);
    assert_eq!(parse(&format!("GET {path}")).segments().len(), SEGMENTS_MAX);
    let error = format!("GET {path}/b/c").parse::<Pattern>().unwrap_err();
    assert_eq!(error.message, "the path has 66 segments");
    assert_eq!(error.span, 5 + path.len()..8 + path.len());
}

#[test]
fn every_mistake_is_named_where_it_stands() {
    let mistakes = [
        "",
        "   ",
        "/products",
        "GET",
        "GET products",
        "GET http://shop.example/products",
        "get /products",
        "GET, POST /products",
        "GET,,POST /products",
        "GET,GET /products",
        "GET,* /products",
        "GTE /products",
        "DELTE /products",
        "G:T /products",
        "GET /my products",
        "GET //shop.example",
        "GET ///products",
        "GET //shop.example:8080/",
        "GET //user@shop.example/",
        "GET //{tenant}.shop.example/",
        "GET //shop.*.example/",
        "GET //*shop.example/",
        "GET //*/",
        "GET //shop..example/",
        "GET //shop.example./",
        "GET //bücher.example/",
        "GET //[::1/",
        "GET /search?q={q}",
        "GET /search#top",
        "GET /products/{id:integer}",
        "GET /products/{id:uid}",
        "GET /products/{id:[0-9]+}",
        "GET /products/{id:}",
        "GET /products/{}",
        "GET /products/{:int}",
        "GET /products/{id?}",
        "GET /products/{9lives}",
        "GET /products/{a.b}",
        "GET /products/{id",
        "GET /products/id}",
        "GET /products/{id}}",
        "GET /products/{{id}",
        "GET /products/{id}-{size}",
        "GET /{id}/parts/{id}",
        "GET /{rest*}/parts",
        "GET /{rest*:int}",
        "GET /{rest:int*}",
        "GET /{*rest}",
        "GET /files-{rest*}",
        "GET /files/*",
        "GET /users/:id",
        "GET /users/:%69d",
        "GET /users/<id>",
        "GET /a/../b",
        "GET /a/%2e%2e/b",
        "GET /a/..;x/b",
        "GET /100%",
        "GET /a%00b",
        "GET /café",
        "GET /a|b",
        "GET /a\\b",
    ];
    let mut report = String::new();
    for text in mistakes {
        let error = text.parse::<Pattern>().map(|pattern| panic!("{pattern} is accepted")).unwrap_err();
        assert!(text.get(error.span.clone()).is_some(), "{text}: {:?}", error.span);
        let indent = text[..error.span.start].chars().count();
        let width = text[error.span.clone()].chars().count().max(1);
        writeln!(report, "{text}\n{}{}", " ".repeat(indent), "^".repeat(width)).unwrap();
        writeln!(report, "  {}\n  expected {}\n", error.message, error.expected).unwrap();
    }
    insta::assert_snapshot!(report);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn the_canonical_text_is_the_same_pattern(
        methods in "\\*|GET|GET,POST",
        host in "(//(\\*\\.)?[a-zA-Z]{1,3}(\\.[a-z0-9]{1,3}){0,2})?",
        segments in proptest::collection::vec("[a-z.~:@%2Ffe]{0,4}(\\{x@(:int|:date|:slug)?\\})?[a-z.]{0,3}", 1..5),
    ) {
        let path: Vec<_> = segments.iter().enumerate().map(|(n, text)| text.replace("x@", &format!("x{n}"))).collect();
        let text = format!("{methods} {host}/{}", path.join("/"));
        if let Ok(pattern) = text.parse::<Pattern>() {
            prop_assert_eq!(&parse(&pattern.to_string()), &pattern);
            prop_assert_eq!(parse(&pattern.to_string()).to_string(), pattern.to_string());
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_every_span_is_inside(text in "(GET |\\* |)[/{}a-zé*:.,%?# ]{0,20}") {
        if let Err(error) = text.parse::<Pattern>() {
            prop_assert!(text.get(error.span.clone()).is_some());
            prop_assert!(!error.message.is_empty() && !error.expected.is_empty());
        }
    }

    #[test]
    fn a_literal_pattern_matches_its_own_normalised_path(path in "(/[a-z.%2Ff~;]{0,5}){1,4}") {
        if let (Ok(pattern), Ok(normal)) = (format!("GET {path}").parse::<Pattern>(), starve_routing::normalise_path(&path)) {
            // Without a host in front, two slashes would begin one.
            prop_assume!(pattern.host().is_none());
            prop_assert!(pattern.matches_path(&normal), "{} {}", pattern, normal);
        }
    }
}
