//! The people behind the counter: their login, their lists, their uploads.

use super::{browser::log_in, popular};
use crate::{call::Call, catalogue::STAFF, payload::Payload, visitor::Visitor};

const BOUNDARY: &str = "----shop7MA4YWxkTrZu0gW";

pub(super) async fn works(visitor: &mut Visitor) -> Option<()> {
    visitor.always("user-agent", "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko");
    visitor.always("accept-encoding", "gzip");
    visitor.call(Call::new("GET /admin", "/admin").redirect("/login")).await?;
    log_in(visitor, STAFF).await?;
    visitor.call(Call::new("GET /admin", "/admin").page("Staff")).await?;
    visitor.call(Call::new("GET /admin/orders", "/admin/orders").page("Status")).await?;
    visitor.call(Call::new("GET /admin/products", "/admin/products").page("multipart/form-data")).await?;
    send_picture(visitor).await?;
    import(visitor).await?;
    let month = visitor.random.between(1, 6);
    let report = Call::new("GET /reports/{year}/{month}", format!("/reports/2026/{month}"));
    visitor.call(report.page(format!("Report 2026-{month:02}"))).await?;
    Some(())
}

async fn send_picture(visitor: &mut Visitor) -> Option<()> {
    let id = popular(visitor).id;
    let size = visitor.random.between(2_000, 120_000);
    let picture = visitor.random.bytes(size);
    let form = multipart(visitor.cookie("csrf"), "picture", &format!("{id}.png"), "image/png", &picture);
    let path = format!("/admin/products/{id}/picture");
    let call = Call::new("POST /admin/products/{id}/picture", path).multipart(Payload::whole(form), BOUNDARY);
    visitor.call(call.redirect("/admin/products")).await?;
    Some(())
}

async fn import(visitor: &mut Visitor) -> Option<()> {
    let rows: String = (1..=300).map(|row| format!("KT{row:05};Thing no. {row};{}\r\n", row * 25)).collect();
    let file = format!("sku;name;price\r\n{rows}");
    let form = multipart(visitor.cookie("csrf"), "file", "prices.csv", "text/csv", file.as_bytes());
    let call =
        Call::new("POST /admin/import", "/admin/import").multipart(Payload::streamed(form, 4096), BOUNDARY);
    visitor.call(call.page("300 of 300 rows are good")).await?;
    Some(())
}

fn multipart(csrf: &str, name: &str, file_name: &str, content_type: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
         Content-Type: {content_type}\r\n\r\n"
    );
    [head.as_bytes(), content, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}
