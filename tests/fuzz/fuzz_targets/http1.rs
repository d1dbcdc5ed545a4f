//! A whole connection of any bytes, through the real server: nothing panics, and what is handed on is framed.

#![no_main]

use bytes::BytesMut;
use http_body_util::BodyExt as _;
use libfuzzer_sys::fuzz_target;
use starve_http::Body;
use starve_http1::{Draining, Limits, serve};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

const LIMITS: Limits = Limits {
    head_bytes: 8_192,
    head_timeout: Duration::from_secs(5),
    idle_timeout: Duration::from_secs(5),
    body_timeout: Duration::from_secs(5),
    body_rate_min: None,
    head_rate_min: None,
    send_timeout: Duration::from_secs(5),
};

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        // Room for all answers: nobody reads them.
        let (mut client, server) = tokio::io::duplex(8 << 20);
        client.write_all(data).await.expect("room for the input");
        client.shutdown().await.expect("an end");
        let answer = |request: http::Request<Body>| -> starve_http1::Answer<Body> {
            assert!(!request.headers().contains_key("transfer-encoding") || !request.headers().contains_key("content-length"));
            assert!(request.uri().to_string().find('#').is_none());
            Box::pin(async move {
                let content = request.into_body().collect().await;
                let length = content.map_or(0, |content| content.to_bytes().len());
                Ok(http::Response::new(Body::from(length.to_string())))
            })
        };
        let draining = Draining { has_begun: || false, closes_idle: || false };
        serve(server, BytesMut::new(), &LIMITS, answer, draining, |_| {}).await;
    });
});
