//! People with a browser: pages, forms, cookies, static files from the cache.

use serde_json::json;

use super::{country, popular, quantity, wanted};
use crate::{
    call::{Call, encoded},
    catalogue::{PASSWORD, Product},
    visitor::Visitor,
};

const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
];

const CSS: &str = "/static/shop.css";

pub(super) async fn window_shopper(visitor: &mut Visitor) -> Option<()> {
    arrive(visitor).await?;
    for _ in 0..visitor.random.between(1, 3) {
        look_at_product(visitor).await?;
    }
    let word = wanted(&mut visitor.random);
    visitor.call(Call::new("GET /search", format!("/search?q={}", encoded(word))).page("found</p>")).await?;
    let code = *visitor.random.pick(&["de", "en"]);
    let language = Call::new("GET /lang/{code}", format!("/lang/{code}"));
    visitor.call(language.redirect("/").sets_cookies(&["lang"])).await?;
    visitor.call(Call::new("GET /", "/").page(format!("<html lang=\"{code}\">"))).await?;
    visitor.call(Call::new("GET /imprint", "/imprint").page("Leipzig")).await?;
    Some(())
}

pub(super) async fn buyer(visitor: &mut Visitor) -> Option<()> {
    arrive(visitor).await?;
    let dropped = put_into_cart(visitor).await?;
    let mut kept = put_into_cart(visitor).await?;
    while kept.id == dropped.id {
        kept = put_into_cart(visitor).await?;
    }
    let id = dropped.id.to_string();
    visitor
        .call(Call::new("POST /cart/remove", "/cart/remove").form(&[("product_id", &id)]).redirect("/cart"))
        .await?;
    visitor.call(Call::new("GET /cart", "/cart").page(link(kept))).await?;
    visitor.call(Call::new("GET /checkout", "/checkout").redirect("/login")).await?;
    let customer = visitor.random.pick(&visitor.shop.customers);
    log_in(visitor, &customer.email).await?;
    visitor.call(Call::new("GET /account", "/account").page(&customer.email)).await?;
    visitor.call(Call::new("GET /checkout", "/checkout").page(link(kept))).await?;
    let order_id = order(visitor, &customer.country).await?;
    visitor.call(Call::new("GET /account/orders", "/account/orders").page("Your orders")).await?;
    let path = format!("/account/orders/{order_id}");
    visitor.call(Call::new("GET /account/orders/{id}", path).page(format!("Order no. {order_id}"))).await?;
    visitor.call(Call::new("POST /logout", "/logout").form(&[]).redirect("/")).await?;
    visitor.call(Call::new("GET /account", "/account").redirect("/login")).await?;
    Some(())
}

pub(super) async fn new_customer(visitor: &mut Visitor) -> Option<()> {
    arrive(visitor).await?;
    visitor.call(Call::new("GET /register", "/register").page("name=\"csrf\"")).await?;
    let email = visitor.new_address();
    let fields = [("name", "Nora Neumann"), ("email", &email), ("password", PASSWORD)];
    visitor.call(Call::new("POST /register", "/register").form(&fields).redirect("/account")).await?;
    visitor.call(Call::new("GET /account", "/account").page(&email)).await?;
    visitor.call(Call::new("GET /contact", "/contact").page("textarea")).await?;
    let fields = [("email", email.as_str()), ("text", "Do you still have the blue teapot? Grüße, Nora")];
    visitor.call(Call::new("POST /contact", "/contact").form(&fields).redirect("/contact")).await?;
    let refused = Call::new("POST /contact", "/contact").form(&[("email", "nobody"), ("text", "")]);
    visitor.call(refused.status(422).page("please")).await?;
    let letter = Call::new("POST /api/newsletter", "/api/newsletter").send_json(&json!({ "email": email }));
    visitor.call(letter.status(201).json([("/email", email.into()), ("/subscribed", true.into())])).await?;
    Some(())
}

/// The front page and what belongs to it; the style sheet is asked for again, as a cache does.
async fn arrive(visitor: &mut Visitor) -> Option<()> {
    let agent = *visitor.random.pick(&BROWSERS);
    visitor.always("user-agent", agent);
    visitor.always("accept-encoding", "gzip");
    visitor.always("accept-language", "de-DE,de;q=0.9,en;q=0.7");
    visitor.call(Call::new("GET /", "/").page("Welcome")).await?;
    let style = visitor.call(file(CSS, "text/css; charset=utf-8").has_header("etag")).await?;
    let others = vec![
        file("/static/shop.js", "text/javascript; charset=utf-8"),
        file("/static/logo.png", "image/png"),
        Call::new("GET /favicon.ico", "/favicon.ico").content_type("image/x-icon"),
    ];
    visitor.call_all(others).await?;
    if visitor.random.percent(50) {
        let tag = style.headers.get("etag")?.to_str().ok()?;
        visitor
            .call(file(CSS, "text/css; charset=utf-8").header("if-none-match", tag).status(304).empty())
            .await?;
        let part = file("/static/logo.png", "image/png").header("range", "bytes=0-99").status(206).bytes(100);
        visitor.call(part.has_header("content-range")).await?;
    }
    Some(())
}

/// From a category to a product, whose script asks for the price of several.
async fn look_at_product(visitor: &mut Visitor) -> Option<&'static Product> {
    let product = popular(visitor);
    let category = format!("/category/{}", product.category);
    visitor.call(Call::new("GET /category/{slug}", category).page(link(product))).await?;
    let page = Call::new("GET /product/{slug}", format!("/product/{}", product.slug));
    visitor.call(page.page(format!("name=\"product_id\" value=\"{}\"", product.id))).await?;
    let (quantity, country) = (quantity(&mut visitor.random), country(&mut visitor.random));
    let path = format!("/api/products/{}/price?quantity={quantity}&country={country}", product.id);
    let price = Call::new("GET /api/products/{id}/price", path).header("accept", "*/*").json([
        ("/product_id", product.id.into()),
        ("/quantity", quantity.into()),
        ("/country", country.into()),
    ]);
    visitor.call(price).await?;
    Some(product)
}

async fn put_into_cart(visitor: &mut Visitor) -> Option<&'static Product> {
    let product = look_at_product(visitor).await?;
    let (id, quantity) = (product.id.to_string(), quantity(&mut visitor.random).to_string());
    let add = Call::new("POST /cart/add", "/cart/add").form(&[("product_id", &id), ("quantity", &quantity)]);
    visitor.call(add.redirect("/cart")).await?;
    visitor.call(Call::new("GET /cart", "/cart").page(link(product))).await?;
    Some(product)
}

pub(super) async fn log_in(visitor: &mut Visitor, email: &str) -> Option<()> {
    visitor.call(Call::new("GET /login", "/login").page("name=\"csrf\"")).await?;
    if visitor.random.percent(15) {
        let wrong = Call::new("POST /login", "/login").form(&[("email", email), ("password", "winter-snow")]);
        visitor.call(wrong.status(403).page("wrong")).await?;
    }
    let landing = if email == crate::catalogue::STAFF { "/admin" } else { "/account" };
    let fields = [("email", email), ("password", PASSWORD)];
    let login = Call::new("POST /login", "/login").form(&fields).redirect(landing);
    visitor.call(login.sets_cookies(&["session", "lang", "csrf"])).await?;
    Some(())
}

async fn order(visitor: &mut Visitor, country: &str) -> Option<u64> {
    let csrf = visitor.cookie("csrf").to_owned();
    let fields = [("country", country), ("csrf", csrf.as_str())];
    let call = Call::new("POST /checkout", "/checkout").form(&fields).redirect("/checkout/thanks/");
    let answer = visitor.call(call).await?;
    let location = answer.headers.get("location")?.to_str().ok()?;
    let order_id = location.rsplit('/').next()?.parse().ok()?;
    let thanks = Call::new("GET /checkout/thanks/{id}", format!("/checkout/thanks/{order_id}"));
    visitor.call(thanks.page(format!("Your order {order_id} "))).await?;
    Some(order_id)
}

fn file(path: &str, content_type: &'static str) -> Call {
    Call::new("GET /static/{path*}", path).content_type(content_type)
}

fn link(product: &Product) -> String {
    format!("href=\"/product/{}\"", product.slug)
}
