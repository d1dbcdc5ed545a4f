//! The smallest gateway that speaks HTTP/2 in front of the shop. Not a proxy to learn from: it buffers everything.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, Version, body::Incoming, client::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use starve_traffic::Target;
use tokio::net::{TcpListener, TcpStream};

/// What the gateway does to a whole answer before it goes back.
pub(crate) type Tamper = fn(&mut Response<Bytes>);

/// Accept HTTP/1.1 and HTTP/2 on a free port until the runtime ends.
pub(crate) async fn gateway(shop: &Target, tamper: Tamper) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let shop = shop.authority().to_owned();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let shop = shop.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| pass_on(shop.clone(), request, tamper));
                // The driver closes its connections when a visit ends: no event.
                let _ =
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    format!("http://{address}").parse().unwrap()
}

async fn pass_on(
    shop: String,
    request: Request<Incoming>,
    tamper: Tamper,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut head, body) = request.into_parts();
    if head.version == Version::HTTP_2 {
        let authority = head.uri.authority().unwrap().as_str().parse().unwrap();
        head.headers.insert("host", authority);
        head.version = Version::HTTP_11;
    }
    head.headers.remove("transfer-encoding");
    head.headers.remove("content-length");
    head.uri = head.uri.path_and_query().unwrap().as_str().parse().unwrap();
    let body = Full::new(body.collect().await.unwrap().to_bytes());

    let stream = TcpStream::connect(shop).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(Request::from_parts(head, body)).await.unwrap();

    let (mut head, body) = answer.into_parts();
    head.headers.remove("transfer-encoding");
    head.headers.remove("connection");
    let mut answer = Response::from_parts(head, body.collect().await.unwrap().to_bytes());
    tamper(&mut answer);
    Ok(answer.map(Full::new))
}
