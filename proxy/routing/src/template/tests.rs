use proptest::prelude::*;

use super::*;
use crate::PlainRequest;

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

fn parsed(text: &str, of: &Pattern) -> Template {
    Template::parse(text, Scope { pattern: Some(of), response: false }).unwrap()
}

fn rendered(text: &str, place: Place, of: &str, request: &PlainRequest) -> String {
    let of = pattern(of);
    let bytes = parsed(text, &of).render(place, Context { request, pattern: &of, response: None });
    String::from_utf8(bytes).unwrap()
}

fn rewritten(to: &str, of: &str, target: &str) -> Result<String, crate::PathError> {
    let of = pattern(of);
    let request = PlainRequest::parse("GET", target).unwrap().with_header("x-tenant", "a/../b c");
    let rewrite = Rewrite::parse(to, Some(&of)).unwrap();
    rewrite.target(Context { request: &request, pattern: &of, response: None })
}

#[test]
fn a_path_is_rewritten_with_the_parameters_as_they_were_sent() {
    for (to, of, target, expected) in [
        ("/v2/orders/{id}", "GET /orders/{id}", "/orders/7", "/v2/orders/7"),
        ("/v2/orders/{id}", "GET /orders/{id}", "/orders/7?a=1&a=2", "/v2/orders/7?a=1&a=2"),
        ("/v2/orders/{id}?full=1", "GET /orders/{id}", "/orders/7?a=1", "/v2/orders/7?full=1"),
        ("/v2/orders/{id}?", "GET /orders/{id}", "/orders/7?a=1", "/v2/orders/7?"),
        ("/c/{name}", "GET /{name}", "/caf%c3%a9%2Fx", "/c/caf%C3%A9%2Fx"),
        ("/app/{rest*}", "GET /shop/{rest*}", "/shop/a//b/", "/app/a//b/"),
        ("/app/{rest}", "GET /shop/{rest*}", "/shop/", "/app/"),
        ("/{b}/{a}", "GET /{a}/{b}", "/1/2", "/2/1"),
        (
            "/s?q={name}&l={request.query.lang}",
            "GET /{name}",
            "/a&b=c?x=1&lang=%C3%A9+d",
            "/s?q=a%26b%3Dc&l=%C3%A9+d",
        ),
        ("/s?none={request.query.none}.", "GET /{name}", "/a", "/s?none=."),
    ] {
        assert_eq!(rewritten(to, of, target).unwrap(), expected, "{to}");
    }
}

#[test]
fn no_value_climbs_out_of_the_rewritten_path() {
    assert!(rewritten("/api/{n}/x", "GET /v{n}", "/v..").is_err());
    assert!(rewritten("/t/{request.query.t}/o", "GET /o", "/o?t=..").is_err());
    assert!(rewritten("/t/{request.query.t}/o", "GET /o", "/o?t=%2e%2e%2fx").is_err());
    assert!(rewritten("/t/{request.headers.x-tenant}/o", "GET /o", "/o").is_err());
    assert_eq!(rewritten("/t/{request.query.t}/o", "GET /o", "/o?t=a%2Fb").unwrap(), "/t/a%2Fb/o?t=a%2Fb");
}

#[test]
fn a_rewrite_is_turned_round_where_each_parameter_stands_once() {
    let cases = [
        ("/v2/orders/{id}", "GET /orders/{id:int}", "/v2/orders/7", Some("/orders/7")),
        ("/v2/orders/{id}", "GET /orders/{id:int}", "/v2/orders/seven", None),
        ("/v2/orders/{id}", "GET /orders/{id:int}", "/login", None),
        ("/app/{rest*}", "GET /shop/{rest*}", "/app/a/b", Some("/shop/a/b")),
        ("/app/{rest*}", "GET /shop/{rest*}", "/app", None),
        ("/{b}/{a}.html", "GET /{a}/{b}", "/2/1.html", Some("/1/2")),
        ("/fixed", "GET /{a}", "/fixed", None),
        ("/{a}/{a}", "GET /{a}", "/1/1", None),
        ("/x/{request.query.a}", "GET /x", "/x/1", None),
        ("/login?next=1", "GET /sign-in", "/login", Some("/sign-in")),
    ];
    for (to, of, path, public) in cases {
        let of = pattern(of);
        let rewrite = Rewrite::parse(to, Some(&of)).unwrap();
        assert_eq!(rewrite.public_path(path, &of).as_deref(), public, "{to} {path}");
    }
}

#[test]
fn values_are_spelled_for_their_place() {
    let request = PlainRequest::parse("GET", "https://shop.example:8443/caf%C3%A9%0D%0Ax?q=%3Cb%3E%22+&q=2")
        .unwrap()
        .with_header("accept", "a")
        .with_header("accept", "b");
    let text = |template, place| rendered(template, place, "GET /{name}", &request);
    assert_eq!(text("{name}", Place::Field), "café%0D%0Ax");
    assert_eq!(text("{name}", Place::Text), "café\r\nx");
    assert_eq!(text("{request.query.q}", Place::Field), "<b>\" ");
    assert_eq!(text("{request.query.q}", Place::Markup), "&lt;b&gt;&quot; ");
    assert_eq!(text("{request.query.q}{name}", Place::Json), "\\u003cb>\\\" café\\u000d\\nx");
    assert_eq!(text("/a/{name}?x={request.query.q}", Place::Url), "/a/caf%C3%A9%0D%0Ax?x=%3Cb%3E%22+");
    assert_eq!(text("{request.headers.Accept}", Place::Field), "a, b");
    assert_eq!(
        text("{request.method} {request.host} {request.path}", Place::Field),
        "GET shop.example:8443 /caf%C3%A9%0D%0Ax".replace("%C3%A9", "é")
    );
    assert_eq!(text("{{{request.headers.none}}}", Place::Text), "{}");
}

#[test]
fn an_answer_is_spoken_of_where_there_is_one() {
    struct Teapot;
    impl Response for Teapot {
        fn status(&self) -> u16 {
            418
        }
        fn header_values(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
            if name == "location" {
                visit(b"/a?b=c");
            }
        }
    }
    let of = pattern("GET /a");
    let scope = Scope { pattern: Some(&of), response: true };
    let template = Template::parse("{response.status} {response.headers.Location}", scope).unwrap();
    assert!(!template.needs_request());
    let request = PlainRequest::new("GET", "/a");
    let context = Context { request: &request, pattern: &of, response: Some(&Teapot) };
    assert_eq!(template.render(Place::Url, context), b"418 /a?b=c");
}

#[test]
fn every_mistake_is_named_where_it_stands() {
    let of = pattern("GET /orders/{order-id:int}/{rest*}");
    let wrong = |text: &str| {
        let error = Template::parse(text, Scope { pattern: Some(&of), response: false }).unwrap_err();
        (text[error.span.clone()].to_owned(), error)
    };
    for (text, at) in [
        ("/{order_id}", "order_id"),
        ("/{order-id", "{order-id"),
        ("/a}", "}"),
        ("/{}", "{}"),
        ("/{order-id:int}", "order-id:int"),
        ("/{order-id*}", "order-id*"),
        ("/{request.header.x}", "request.header.x"),
        ("/{request.headers.a b}", "request.headers.a b"),
        ("/{request.query.}", "request.query."),
        ("/{response.status}", "response.status"),
        ("{\"a\": 1}", "\"a\": 1"),
    ] {
        assert_eq!(wrong(text).0, at, "{text}");
    }
    let (name, known) = wrong("/{order_id}").1.unknown.unwrap();
    assert_eq!(name, "order_id");
    assert!(known.contains(&"order-id".to_owned()));
    for path in ["v2", "http://x/y", "/a/../b", "/a b", "/a%2f", "/a#b", "/a?b c", "/a?é"] {
        assert!(Rewrite::parse(path, Some(&of)).is_err(), "{path}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_and_what_parses_displays_itself(text in "[a-z{}.:*/? é]{0,24}") {
        let of = pattern("GET /{a}/{rest*}");
        let scope = Scope { pattern: Some(&of), response: true };
        match Template::parse(&text, scope) {
            Ok(template) => prop_assert_eq!(Template::parse(&template.to_string(), scope).unwrap(), template),
            Err(error) => prop_assert!(text.get(error.span).is_some()),
        }
        if let Err(error) = Rewrite::parse(&text, Some(&of)) {
            prop_assert!(text.get(error.span).is_some());
        }
    }

    #[test]
    fn a_field_holds_no_control_character_whatever_was_sent(query in "\\PC{0,20}|(%[0-9a-fA-F]{2}){0,6}") {
        let of = pattern("GET /a");
        let request = PlainRequest { query: Some(format!("q={query}")), ..PlainRequest::new("GET", "/a") };
        let context = Context { request: &request, pattern: &of, response: None };
        let field = parsed("{request.query.q}", &of).render(Place::Field, context);
        prop_assert!(field.iter().all(|byte| (*byte >= b' ' && *byte != 0x7f) || *byte == b'\t'));
        let path = parsed("/{request.query.q}", &of).render(Place::Path, context);
        prop_assert!(path.iter().all(|byte| byte.is_ascii_graphic()));
    }
}
