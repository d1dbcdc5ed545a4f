//! The shop's mobile app, and a page of another origin: JSON, bearer tokens, one call for every little thing.

use serde_json::{Value, json};

use super::{country, parsed, popular, quantity, wanted};
use crate::{
    call::{Call, encoded},
    catalogue::{Customer, PASSWORD, Product},
    visitor::Visitor,
};

const APPS: [&str; 3] = [
    "KettleTwine/3.4.1 (Android 14; Pixel 7)",
    "KettleTwine/3.4.0 (iOS 17.5; iPhone14,5)",
    "KettleTwine/2.9.7 (Android 9)",
];

/// Lists first, then every product of the list by itself: what an app does that was written against a fast office line.
pub(super) async fn browses(visitor: &mut Visitor) -> Option<()> {
    open(visitor);
    visitor.call(Call::new("GET /api/version", "/api/version").json([("/api", 2.into())])).await?;
    visitor.call(Call::new("GET /api/categories", "/api/categories").json([])).await?;
    visitor.call(Call::new("GET /api/recommendations", "/api/recommendations").json([])).await?;
    let chosen = popular(visitor);
    let list = format!("/api/products?category={}&per_page=15", chosen.category);
    visitor
        .call(Call::new("GET /api/products", list).json([("/total", 15.into()), ("/page", 1.into())]))
        .await?;
    let details = (0..visitor.random.between(2, 5)).map(|_| product(popular(visitor))).collect();
    visitor.call_all(details).await?;
    look_closely(visitor, chosen).await?;
    search(visitor).await
}

pub(super) async fn buys(visitor: &mut Visitor) -> Option<()> {
    open(visitor);
    let customer = log_in(visitor).await?;
    let me = Call::new("GET /api/customers/me", "/api/customers/me");
    visitor.call(me.json([("/email", customer.email.as_str().into())])).await?;
    let chosen = popular(visitor);
    fill_cart(visitor, chosen).await?;
    let path = format!("/api/shipping/quote?country={}&weight_g=1200&express=0", customer.country);
    let quote = Call::new("GET /api/shipping/quote", path);
    visitor
        .call(quote.json([("/country", customer.country.as_str().into()), ("/express", false.into())]))
        .await?;
    let coupon =
        Call::new("POST /api/coupons/check", "/api/coupons/check").send_json(&json!({"code": "autumn10"}));
    visitor.call(coupon.json([("/percent", 10.into()), ("/valid", true.into())])).await?;
    order(visitor, chosen, customer).await?;
    keep_house(visitor, chosen, customer).await
}

/// A page on another origin: the browser asks first (CORS).
pub(super) async fn other_origin(visitor: &mut Visitor) -> Option<()> {
    visitor.always("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0");
    visitor.always("origin", "https://blog.example");
    let chosen = popular(visitor);
    let path = format!("/api/products/{}/reviews", chosen.id);
    let asked = Call::new("OPTIONS /api/products/{id}/reviews", &path)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    visitor.call(asked.status(204).empty().has_header("access-control-allow-methods")).await?;
    visitor.call(product(chosen)).await?;
    let about = [("/product_id", chosen.id.into())];
    visitor.call(Call::new("GET /api/products/{id}/reviews", &path).json(about)).await?;
    let review = json!({"stars": visitor.random.between(3, 5), "text": "As it should be.", "author": "Blog"});
    let write = Call::new("POST /api/products/{id}/reviews", &path).send_json(&review);
    visitor.call(write.status(201).json([("/product_id", chosen.id.into())])).await?;
    let empty = Call::new("POST /api/products/{id}/reviews", &path).send_json(&json!({"stars": 9}));
    visitor.call(empty.status(422).json([])).await?;
    Some(())
}

/// Follows the stock for a second.
pub(super) async fn listens(visitor: &mut Visitor) -> Option<()> {
    open(visitor);
    let count = visitor.random.between(3, 5);
    let path = if count == 5 { "/api/events".to_owned() } else { format!("/api/events?count={count}") };
    visitor
        .call(Call::new("GET /api/events", path).header("accept", "text/event-stream").events(count))
        .await?;
    Some(())
}

fn open(visitor: &mut Visitor) {
    let app = *visitor.random.pick(&APPS);
    visitor.always("user-agent", app);
    visitor.always("accept", "application/json");
}

pub(super) fn product(product: &Product) -> Call {
    Call::new("GET /api/products/{id}", format!("/api/products/{}", product.id)).json([
        ("/id", product.id.into()),
        ("/slug", product.slug.as_str().into()),
        ("/name", product.name.as_str().into()),
        ("/price_cents", product.price_cents.into()),
    ])
}

async fn look_closely(visitor: &mut Visitor, chosen: &Product) -> Option<()> {
    visitor.call(product(chosen)).await?;
    let about = [("/product_id", Value::from(chosen.id))];
    let path = format!("/api/products/{}", chosen.id);
    visitor
        .call(Call::new("GET /api/products/{id}/stock", format!("{path}/stock")).json(about.clone()))
        .await?;
    visitor
        .call(Call::new("GET /api/products/{id}/related", format!("{path}/related")).json(about.clone()))
        .await?;
    visitor.call(Call::new("GET /api/products/{id}/reviews", format!("{path}/reviews")).json(about)).await?;
    let (quantity, country) = (quantity(&mut visitor.random), country(&mut visitor.random));
    let price = format!("{path}/price?quantity={quantity}&country={country}");
    let expected = [("/product_id", chosen.id.into()), ("/quantity", quantity.into())];
    visitor.call(Call::new("GET /api/products/{id}/price", price).json(expected)).await?;
    Some(())
}

/// Completions while typing, then the search, sometimes its second page.
async fn search(visitor: &mut Visitor) -> Option<()> {
    let word = wanted(&mut visitor.random);
    for length in 2..=word.chars().count().min(4) {
        let typed: String = word.chars().take(length).collect();
        let path = format!("/api/search/suggest?q={}", encoded(&typed));
        visitor.call(Call::new("GET /api/search/suggest", path).json([("/query", typed.into())])).await?;
    }
    let pages = if visitor.random.percent(30) { 2 } else { 1 };
    for page in 1..=pages {
        let path = format!("/api/search?q={}&page={page}&per_page=10", encoded(word));
        let expected = [("/query", word.into()), ("/page", page.into()), ("/per_page", 10.into())];
        visitor.call(Call::new("GET /api/search", path).json(expected)).await?;
    }
    Some(())
}

async fn log_in(visitor: &mut Visitor) -> Option<&'static Customer> {
    let customer = visitor.random.pick(&visitor.shop.customers);
    visitor.call(Call::new("GET /api/orders", "/api/orders").error(401, "login required")).await?;
    let login = json!({"email": customer.email, "password": PASSWORD});
    let call = Call::new("POST /api/auth/login", "/api/auth/login").send_json(&login);
    let answer = visitor.call(call.json_with("/token")).await?;
    let token = parsed(&answer.body)?.get("token")?.as_str()?.to_owned();
    visitor.always("authorization", format!("Bearer {token}"));
    Some(customer)
}

async fn fill_cart(visitor: &mut Visitor, chosen: &Product) -> Option<()> {
    let first = [("/items/0/product_id", Value::from(chosen.id))];
    let add = json!({"product_id": chosen.id, "quantity": 1});
    let call = Call::new("POST /api/cart/items", "/api/cart/items").send_json(&add);
    visitor.call(call.status(201).json(first.clone())).await?;
    let path = format!("/api/cart/items/{}", chosen.id);
    let change = Call::new("PUT /api/cart/items/{id}", &path).send_json(&json!({"quantity": 3}));
    visitor.call(change.json([("/items/0/quantity", 3.into())])).await?;
    visitor.call(Call::new("GET /api/cart", "/api/cart").json(first)).await?;
    visitor.call(Call::new("DELETE /api/cart/items/{id}", path).json([("/items", json!([]))])).await?;
    Some(())
}

async fn order(visitor: &mut Visitor, chosen: &Product, customer: &Customer) -> Option<()> {
    let quantity = quantity(&mut visitor.random);
    let wanted =
        json!({"country": customer.country, "items": [{"product_id": chosen.id, "quantity": quantity}]});
    let call = Call::new("POST /api/orders", "/api/orders").send_json(&wanted).status(201);
    let call = call.location("/api/orders/").json([
        ("/status", "new".into()),
        ("/lines/0/product_id", chosen.id.into()),
        ("/lines/0/quantity", quantity.into()),
    ]);
    let answer = visitor.call(call).await?;
    let id = parsed(&answer.body)?.get("id")?.clone();
    visitor.call(Call::new("GET /api/orders", "/api/orders").json([])).await?;
    let path = format!("/api/orders/{id}");
    visitor.call(Call::new("GET /api/orders/{id}", &path).json([("/id", id.clone())])).await?;
    let invoice = Call::new("GET /api/orders/{id}/invoice", format!("{path}/invoice"));
    visitor.call(invoice.json([("/order_id", id.clone())])).await?;
    let cancel = Call::new("POST /api/orders/{id}/cancel", format!("{path}/cancel"));
    visitor.call(cancel.json([("/id", id), ("/status", "cancelled".into())])).await?;
    visitor.call(Call::new("GET /api/orders/{id}", "/api/orders/987654").error(404, "no such order")).await?;
    Some(())
}

/// Wishlist, addresses, the customer's own data. Another visit by the same customer may run beside this one, so the
/// values written are always the same for a customer.
async fn keep_house(visitor: &mut Visitor, chosen: &Product, customer: &Customer) -> Option<()> {
    let path = format!("/api/wishlist/{}", chosen.id);
    visitor.call(Call::new("PUT /api/wishlist/{id}", &path).json([])).await?;
    visitor.call(Call::new("GET /api/wishlist", "/api/wishlist").json([])).await?;
    visitor.call(Call::new("DELETE /api/wishlist/{id}", &path).json([])).await?;
    let address = json!({"street": "Lindenweg 4", "city": "Weimar", "country": customer.country});
    let addresses = "/api/customers/me/addresses";
    let add = Call::new("POST /api/customers/me/addresses", addresses).send_json(&address);
    visitor.call(add.status(201).json([("/city", "Weimar".into())])).await?;
    visitor.call(Call::new("GET /api/customers/me/addresses", addresses).json([])).await?;
    let phone = format!("0341 55{:04}", customer.email.len());
    let change =
        Call::new("PATCH /api/customers/me", "/api/customers/me").send_json(&json!({"phone": phone}));
    let own = [("/phone", phone.into()), ("/email", customer.email.as_str().into())];
    visitor.call(change.json(own)).await?;
    Some(())
}
