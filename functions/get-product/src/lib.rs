//! `GET /api/products/{id}` of the shop as a `wasi:http` component: the first endpoint that left the monolith.
//!
//! The contract is the monolith's own, word for word (legacy-monolith/README.md). This file speaks WASI;
//! what is answered is decided in [`product`], which knows nothing of it and is tested on any machine.

mod product;

use product::Answer;
use wasip2::clocks::wall_clock;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::OutputStream;

wasip2::http::proxy::export!(GetProduct);

struct GetProduct;

impl Guest for GetProduct {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let method = request.method();
        let answer = match method {
            Method::Get | Method::Head => {
                let now = wall_clock::now();
                product::answer(&request.path_with_query().unwrap_or_default(), now.seconds, now.nanoseconds)
            }
            _ => Answer::method_not_allowed(),
        };
        match response(&answer) {
            Ok(head) if matches!(method, Method::Head) => ResponseOutparam::set(out, Ok(head)),
            Ok(head) => send(head, &answer.body, out),
            Err(message) => {
                ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some(message.to_owned()))));
            }
        }
    }
}

fn response(answer: &Answer) -> Result<OutgoingResponse, &'static str> {
    let length = answer.body.len().to_string();
    let mut fields = vec![
        ("content-type", "application/json; charset=utf-8"),
        ("cache-control", "no-store"),
        ("access-control-allow-origin", "*"),
        ("x-shop-version", "4.7.2"),
        ("content-length", &length),
    ];
    fields.extend(answer.allow.map(|methods| ("allow", methods)));
    let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let response = OutgoingResponse::new(Fields::from_list(&fields).map_err(|_| "a header was refused")?);
    response.set_status_code(answer.status).map_err(|()| "the status was refused")?;
    Ok(response)
}

/// The head goes out first and the body after it. When the client has gone meanwhile, nobody is left to be told.
fn send(head: OutgoingResponse, text: &str, out: ResponseOutparam) {
    let body = head.body();
    ResponseOutparam::set(out, Ok(head));
    let Ok(body) = body else { return };
    let written = body.write().is_ok_and(|stream| write(&stream, text.as_bytes()));
    if written {
        let _ = OutgoingBody::finish(body, None);
    }
}

/// A single write takes 4096 bytes at most, so says `blocking-write-and-flush`.
fn write(stream: &OutputStream, bytes: &[u8]) -> bool {
    bytes.chunks(4096).all(|chunk| stream.blocking_write_and_flush(chunk).is_ok())
}
