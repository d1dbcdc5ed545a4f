//! What frameworks print, in their own form, and what becomes of it.

use proptest::prelude::*;
use starve_discovery::inventory::{ENDPOINTS_MAX, Format, Inventory, Listing, Options, read, sample_path};
use starve_routing::{Pattern, PlainRequest};

fn listing(format: Format, text: &str) -> Listing {
    read(format, text, &Options::default()).unwrap_or_else(|error| panic!("{error}; {}", error.help))
}

fn patterns(listing: &Listing) -> Vec<String> {
    let line = |pattern: &Pattern, also: &[Pattern]| {
        let also: String = also.iter().map(|also| format!(" = {}", also.path_template())).collect();
        format!("{pattern}{also}")
    };
    listing.endpoints.iter().map(|endpoint| line(&endpoint.pattern, &endpoint.also)).collect()
}

fn notes(listing: &Listing) -> Vec<(usize, &str, bool)> {
    listing.notes.iter().map(|note| (note.line, note.place.as_str(), note.left_out)).collect()
}

#[test]
fn rails_tables() {
    let rails = listing(Format::Rails, include_str!("fixtures/rails.txt"));
    assert_eq!(
        patterns(&rails),
        [
            "GET /",
            "GET /products = /products.{format}",
            "POST /products = /products.{format}",
            "GET /products/{id}",
            "PATCH /products/{id}",
            "PUT /products/{id}",
            "GET /archive = /archive.{format}",
            "GET /archive/{year}",
            "GET /archive/{year}/{month}",
            "GET,POST /search = /search.{format}",
            "GET /files/{path*}",
            "* /legacy/soap = /legacy/soap.{format}",
            "* /sidekiq/{path*} = /sidekiq",
            "GET /rails/active_storage/disk/{encoded_key}/{filename*}",
            "GET /blog/articles = /blog/articles.{format}",
            "POST /blog/articles = /blog/articles.{format}",
            "GET /blog/articles/{id}/comments = /blog/articles/{id}/comments.{format}",
        ]
    );
    assert!(rails.notes.is_empty(), "{:?}", rails.notes);
    assert_eq!(rails.endpoints[1].line, 3);
}

#[test]
fn rails_expanded() {
    let rails = listing(Format::Rails, include_str!("fixtures/rails-expanded.txt"));
    assert_eq!(
        patterns(&rails),
        ["GET /orders = /orders.{format}", "DELETE /orders/{id}", "GET /admin/stats = /admin/stats.{format}"]
    );
}

#[test]
fn openapi_with_servers_references_and_extensions() {
    let openapi = listing(Format::OpenApi, include_str!("fixtures/openapi.yaml"));
    let mut found = patterns(&openapi);
    found.sort();
    assert_eq!(
        found,
        [
            "DELETE /shop/v2/orders/{orderId}",
            "GET /reporting/reports",
            "GET /shop/v2/compare/{base_head}",
            "GET /shop/v2/orders/{orderId}",
            "POST /shop/v2/shared",
            "PUT /shop/v2/orders/{orderId}/lines/{orderId2}",
        ]
    );
    let mut notes = notes(&openapi);
    notes.sort_unstable();
    assert_eq!(
        notes,
        [
            (24, "/broken → $ref #/components/pathItems/Sharde", true),
            (25, "/elsewhere → $ref ./elsewhere.yaml", true),
        ]
    );
    let line = openapi.endpoints.iter().find(|endpoint| endpoint.pattern.to_string().ends_with("shared"));
    assert_eq!(line.map(|endpoint| endpoint.line), Some(23));
    let elsewhere = Options { prefix: Some("/x".to_owned()) };
    let openapi = read(Format::OpenApi, include_str!("fixtures/openapi.yaml"), &elsewhere).unwrap();
    assert!(patterns(&openapi).contains(&"GET /x/reports".to_owned()));
}

#[test]
fn swagger_2_in_json() {
    let swagger = listing(Format::OpenApi, include_str!("fixtures/swagger.json"));
    assert_eq!(
        patterns(&swagger),
        ["GET /api/customers", "POST /api/customers", "GET /api/customers/{id}", "POST /api/customers/{id}"]
    );
    assert_eq!(swagger.endpoints[2].line, 12);
}

#[test]
fn spring_mappings() {
    let spring = listing(Format::Spring, include_str!("fixtures/spring.json"));
    assert_eq!(
        patterns(&spring),
        [
            "GET /orders/{id:int}",
            "GET /api/orders/{id:int}",
            "* /files/{path*}",
            "GET /skus/{sku}/label",
            "* /webjars/{rest*}",
            "GET /ingredients",
            "POST /carts/{cart}/items",
        ]
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
    );
    assert_eq!(spring.own_rows, 2);
    assert!(spring.notes.iter().any(|note| note.place == "/**" && note.left_out), "{:?}", spring.notes);
}

#[test]
fn django_urls_in_every_form() {
    let django = listing(Format::Django, include_str!("fixtures/django.txt"));
    assert_eq!(
        patterns(&django),
        [
            "* /",
            "* /admin/",
            "* /articles/{year:int}/{slug}/",
            "* /downloads/{name*}",
            "* /orders/{id:uuid}/",
            "* /api/users/{pk}/",
            "* /api/users.{format}/",
            "* /old/{year:int}/{rest*}",
            "* /{var}/{lang}-page/",
        ]
    );
    assert_eq!(notes(&django), [(10, "/(?:en|de)/only", true)]);
    let table = listing(Format::Django, include_str!("fixtures/django-table.txt"));
    assert_eq!(patterns(&table), ["* /cart/{id:int}/", "* /checkout"]);
    let verbose = listing(Format::Django, include_str!("fixtures/django-verbose.txt"));
    assert_eq!(patterns(&verbose), ["* /cart/{id:int}/"]);
    let aligned = "/cart/<int:id>/   shop.views.cart   cart   \n";
    assert_eq!(patterns(&listing(Format::Django, aligned)), ["* /cart/{id:int}/"]);
    let json =
        r#"[{"url": "/cart/<int:id>/", "module": "shop.views.cart", "name": "cart", "decorators": ""}]"#;
    assert_eq!(patterns(&listing(Format::Django, json)), ["* /cart/{id:int}/"]);
}

#[test]
fn flask_columns_are_told_by_their_head() {
    let flask = listing(Format::Flask, include_str!("fixtures/flask.txt"));
    assert_eq!(
        patterns(&flask),
        [
            "GET,POST /auth/login",
            "GET /items/{id:int}/{name}",
            "OPTIONS /ping",
            "GET /static/{filename*}",
            "DELETE /users/{id:uuid}",
        ]
    );
    let sorted = listing(Format::Flask, include_str!("fixtures/flask-sorted.txt"));
    assert_eq!(patterns(&sorted), ["GET //shop.local/", "GET //shop.local/static/{filename*}"]);
}

#[test]
fn laravel_routes() {
    let laravel = listing(Format::Laravel, include_str!("fixtures/laravel.json"));
    assert_eq!(
        patterns(&laravel),
        [
            "GET /",
            "GET /api/users/{user}",
            "PUT,PATCH /api/users/{user}",
            "GET /posts/{year}",
            "GET /posts/{year}/{month}",
            "* //*.shop.example/hook",
        ]
    );
    assert_eq!(notes(&laravel), [(6, "{fallbackPlaceholder}", true)]);
    assert_eq!(laravel.endpoints[1].line, 2);
}

#[test]
fn azure_proxies() {
    let azure = listing(Format::Azure, include_str!("fixtures/proxies.json"));
    let mut found = patterns(&azure);
    found.sort();
    assert_eq!(
        found,
        ["* /files/{rest*}", "GET /health", "GET,POST /api/orders", "GET,POST /api/orders/{id}"]
    );
    let mut notes = notes(&azure);
    notes.sort_unstable();
    assert_eq!(notes, [(16, "Off", true), (17, "NoRoute", true)]);
}

#[test]
fn plain_lines() {
    let plain = listing(Format::Routes, include_str!("fixtures/routes.txt"));
    assert_eq!(
        patterns(&plain),
        [
            "GET /orders/{id:int}",
            "POST,PUT /orders",
            "GET /users/{id}/avatar.{format}",
            "DELETE /files/{path*}",
            "* /any",
            "* /no-method",
            "GET /a/{n:int}/b",
            "GET //api.shop.example/v1/x",
            "GET /odd/{a_b}/{c*}",
        ]
    );
    assert_eq!(notes(&plain), [(11, "GET /{rest*}", true), (12, "nonsense", true)]);
}

#[test]
fn what_is_not_of_the_format_is_said_with_a_remedy() {
    let said = |format, text: &str| {
        let error = read(format, text, &Options::default()).unwrap_err();
        assert!(error.help.contains("wanted is"), "{}", error.help);
        error.to_string()
    };
    for format in Format::ALL {
        assert_eq!(said(format, "\n\n"), "the file is empty");
        assert_eq!(said(format, "\0\u{1}binary"), "the file is binary, not text");
        for other in ["<html><body>404</body></html>", "{\"a\": 1}", "[1, 2]", "hello\nworld\n"] {
            assert!(read(format, other, &Options::default()).is_err(), "{format} took {other}");
        }
    }
    let yaml = said(Format::OpenApi, "openapi: 3.0.0\npaths: [\n");
    assert!(yaml.starts_with("line ") && yaml.contains("no YAML"), "{yaml}");
    assert!(said(Format::Laravel, "[{\"uri\": }]").starts_with("line 1: no JSON: expected value"));
    assert_eq!(said(Format::OpenApi, "openapi: 3.0.0\n"), "the document has no `paths`");
}

#[test]
fn a_reference_to_itself_ends() {
    let text = "openapi: 3.0.0\npaths:\n  /a: { $ref: '#/paths/~1a' }\n  /b: { get: {} }\n";
    let openapi = listing(Format::OpenApi, text);
    assert_eq!((patterns(&openapi), openapi.notes.len()), (vec!["GET /b".to_owned()], 1));
}

#[test]
fn as_many_endpoints_as_allowed_and_no_more() {
    let lines = |n: usize| -> String { (0..n).map(|n| format!("GET /shop/{n}/items/{{id}}\n")).collect() };
    // A fifth of them in the table: an unoptimised build takes its time.
    let plain = listing(Format::Routes, &lines(ENDPOINTS_MAX / 5));
    let table = Inventory::build(plain.endpoints.into_iter().map(|one| (one.pattern, one.also)), &[]);
    assert_eq!(table.len(), ENDPOINTS_MAX / 5);
    assert_eq!(table.find(&PlainRequest::new("GET", "/shop/19999/items/7")), Some(19_999));
    let error = read(Format::Routes, &lines(ENDPOINTS_MAX + 1), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("more than 100000"), "{error}");
}

#[test]
fn the_table_holds_each_endpoint_once_and_none_that_is_configured() {
    let parse = |text: &str| text.parse::<Pattern>().unwrap();
    let listed = [
        (parse("GET /a/{id}"), vec![parse("GET /a/{id}/x.{format}")]),
        (parse("GET,POST /a/{other}"), vec![]),
        (parse("GET /configured/{x}"), vec![]),
        (parse("* /any/{path*}"), vec![]),
        (parse("GET /files/{path}"), vec![]),
    ];
    let table = Inventory::build(listed, &[&parse("GET /configured/{y}")]);
    let names: Vec<_> = table.endpoints().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["GET /a/{id}", "GET,POST /a/{other}", "* /any/{path*}", "GET /files/{path}"]);
    let find = |method: &str, path: &str| table.find(&PlainRequest::new(method, path));
    assert_eq!(find("GET", "/a/7"), Some(0));
    assert_eq!(find("HEAD", "/a/7"), Some(0));
    assert_eq!(find("GET", "/a/7/x.pdf"), Some(0));
    assert_eq!(find("POST", "/a/7"), Some(1));
    assert_eq!(find("PURGE", "/any/a/b"), Some(2));
    assert_eq!(find("GET", "/configured/7"), None);
    assert_eq!(table.find_template("GET", "/a/{int}"), Some(0));
    assert_eq!(table.find_template("DELETE", "/a/{int}"), None);
    assert_eq!(table.find_pattern(&parse("GET,POST /a/{b}")), [0, 1]);
    let files = &table.endpoints()[3];
    assert!(Inventory::is_below(files, &sample_path("/files/{word}/{word}")));
    assert!(!Inventory::is_below(files, &sample_path("/files/{word}")));
    assert!(!Inventory::is_below(files, &sample_path("/else/{word}/{word}")));
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_fail_otherwise_than_it_says(
        text in r#"[ -~\n\t]{0,400}|(GET|/|\{|\}|:id|\*|\(|\)|<int:a>|\?|\n|"|--|\||\\d|\[|\]|\^|\.| ){0,80}"#
    ) {
        for format in Format::ALL {
            if let Ok(listing) = read(format, &text, &Options::default()) {
                for endpoint in &listing.endpoints {
                    let again: Pattern = endpoint.pattern.to_string().parse().unwrap();
                    prop_assert_eq!(&again, &endpoint.pattern);
                }
                let listed = listing.endpoints.into_iter().map(|one| (one.pattern, one.also));
                Inventory::build(listed, &[]);
            }
        }
    }
}

#[test]
fn azure_proxies_as_entries_for_routes_yaml() {
    let (yaml, notes) =
        starve_discovery::inventory::proxies_to_routes(include_str!("fixtures/proxies.json")).unwrap();
    let expected = r#"upstreams:
  "files-backend": "https://files.example.net"
  "orders-backend": "https://orders.azurewebsites.net"
routes:
  - match: "* /files/{rest*}"
    name: "Files"
    legacy: "files-backend"
    rewrite: "/{rest}"
  - match: "GET /health"
    name: "Mock"
    respond:
      status: 200
      headers:
        "Content-Type": "application/json"
      body: "{\"ok\":true}"
  - match: "GET,POST /api/orders"
    name: "Orders"
    legacy: "orders-backend"
    rewrite: "/api/v2/orders"
"#;
    assert!(yaml.starts_with(expected), "{yaml}");
    assert!(yaml.contains("        \"X-Tenant\": \"{request.headers.Tenant}\"\n"), "{yaml}");
    assert!(yaml.contains("      remove: [\"Server\"]\n"), "{yaml}");
    let said: Vec<_> = notes.iter().map(|note| note.place.as_str()).collect();
    assert_eq!(said, ["NoRoute", "Off", "Orders", "Orders"]);
}
