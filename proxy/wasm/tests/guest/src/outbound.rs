//! Calls another server: `/outbound?http://127.0.0.1:8080/path`.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, IncomingResponse, OutgoingRequest, ResponseOutparam, Scheme};

use crate::answer::answer;

pub fn fetch(url: &str, out: ResponseOutparam) {
    match send(url) {
        Ok(response) => answer(out, response.status(), &text(&response)),
        Err(error) => answer(out, 502, &format!("{error:?}")),
    }
}

fn send(url: &str) -> Result<IncomingResponse, ErrorCode> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&if scheme == "https" { Scheme::Https } else { Scheme::Http })).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(&format!("/{path}"))).unwrap();
    let response = outgoing_handler::handle(request, None)?;
    response.subscribe().block();
    response.get().unwrap().unwrap()
}

fn text(response: &IncomingResponse) -> String {
    let body = response.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut bytes = Vec::new();
    while let Ok(piece) = stream.blocking_read(65_536) {
        bytes.extend(piece);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
