//! Other companies' programs, known by `X-Client-Id`: feeds, quotes, exports, uploads.

use serde_json::Value;

use super::{app, country, parsed, popular};
use crate::{call::Call, payload::Payload, visitor::Visitor};

const PARTNERS: [&str; 3] = ["hearth-and-home", "price-watch", "parcel-hub"];

/// Keeps its own copy of the shop up to date, and quotes shipping for it.
pub(super) async fn by_day(visitor: &mut Visitor) -> Option<()> {
    introduce(visitor, "partner-sync/1.8 (python-requests/2.31)");
    for page in 1..=2 {
        let path = format!("/api/products?page={page}&per_page=50");
        visitor.call(Call::new("GET /api/products", path).json([("/total", 120.into())])).await?;
    }
    let wanted = popular(visitor);
    visitor.call(app::product(wanted)).await?;
    let category = Call::new("GET /api/categories/{slug}", format!("/api/categories/{}", wanted.category));
    visitor.call(category.json([("/slug", wanted.category.as_str().into())])).await?;
    for _ in 0..visitor.random.between(2, 5) {
        let id = popular(visitor).id;
        let stock = Call::new("GET /api/products/{id}/stock", format!("/api/products/{id}/stock"));
        visitor.call(stock.json([("/product_id", id.into())])).await?;
    }
    for _ in 0..visitor.random.between(1, 4) {
        quote(visitor).await?;
    }
    visitor
        .call(Call::new("GET /api/tax-rates", "/api/tax-rates").json([("/rates/DE/standard", 19.into())]))
        .await?;
    visitor.call(Call::new("GET /api/currencies", "/api/currencies").json([("/base", "EUR".into())])).await?;
    visitor.call(Call::new("GET /api/stores", "/api/stores").json([("/stores/0/id", 1.into())])).await?;
    mistakes(visitor).await
}

/// The slow and large things that run when nobody looks.
pub(super) async fn by_night(visitor: &mut Visitor) -> Option<()> {
    introduce(visitor, "erp-export/0.3");
    let export = Call::new("GET /api/exports/orders.csv", "/api/exports/orders.csv");
    visitor.call(export.lines("text/csv; charset=utf-8", 401)).await?;
    let month = visitor.random.between(1, 12);
    let report = Call::new("GET /reports/{year}/{month}", format!("/reports/2025/{month}"));
    visitor.call(report.page(format!("Report 2025-{month:02}"))).await?;
    visitor.call(Call::new("GET /api/stats", "/api/stats").json([("/products", 120.into())])).await?;
    Some(())
}

/// A file whose length nobody says beforehand, and one that waits for 100-continue.
pub(super) async fn uploads(visitor: &mut Visitor) -> Option<()> {
    introduce(visitor, "curl/8.5.0");
    let size = visitor.random.between(20_000, 300_000);
    let bytes = visitor.random.bytes(size);
    let arrived = [("/size", Value::from(size))];
    let streamed = Call::new("POST /api/uploads", "/api/uploads")
        .body("application/octet-stream", Payload::streamed(bytes.clone(), 16 * 1024));
    let first = visitor.call(streamed.status(201).json(arrived.clone())).await?;
    let whole = Call::new("POST /api/uploads", "/api/uploads")
        .body("application/octet-stream", Payload::whole(bytes))
        .header("expect", "100-continue");
    // Twice the same bytes: the same hash, or something was lost on the way.
    let hash = parsed(&first.body)?.get("sha256")?.clone();
    let [size] = arrived;
    visitor.call(whole.status(201).json([size, ("/sha256", hash)])).await?;
    Some(())
}

fn introduce(visitor: &mut Visitor, agent: &str) {
    let partner = *visitor.random.pick(&PARTNERS);
    visitor.always("user-agent", agent);
    visitor.always("x-client-id", partner);
    visitor.always("accept", "application/json");
}

async fn quote(visitor: &mut Visitor) -> Option<()> {
    let (country, weight_g) = (country(&mut visitor.random), visitor.random.between(50, 12_000));
    let express = visitor.random.percent(20);
    let path = format!(
        "/api/shipping/quote?country={}&weight_g={weight_g}&express={}",
        country.to_lowercase(),
        u8::from(express)
    );
    let expected =
        [("/country", country.into()), ("/weight_g", weight_g.into()), ("/express", express.into())];
    visitor.call(Call::new("GET /api/shipping/quote", path).json(expected)).await?;
    Some(())
}

/// Programs of others call with nonsense now and then, and the right answer is the right error.
async fn mistakes(visitor: &mut Visitor) -> Option<()> {
    let mistake = visitor.random.below(7);
    let call = match mistake {
        0 => Call::new("GET /api/products/{id}", "/api/products/98765").error(404, "no such product"),
        1 => Call::new("GET /api/products/{id}", "/api/products/teapot").error(400, "bad product id"),
        2 => Call::new("GET /api/search", "/api/search?q=tea&page=0").error(400, "bad page"),
        3 => Call::new("GET /api/shipping/quote", "/api/shipping/quote?country=XX&weight_g=100")
            .error(422, "unknown country"),
        4 => Call::new("GET /api/shipping/quote", "/api/shipping/quote?country=DE&weight_g=40000")
            .error(422, "bad weight"),
        5 => Call::new("GET /api/products/{id}/price", "/api/products/4/price?quantity=0")
            .error(422, "bad quantity"),
        _ => Call::new("DELETE /api/products", "/api/products").error(405, "method not allowed"),
    };
    visitor.call(call).await?;
    Some(())
}
