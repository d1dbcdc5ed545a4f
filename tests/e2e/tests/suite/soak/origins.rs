//! Servers that fail in every way there is, each call by its number.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use e2e::{After, Exchange, Origin, eventually};
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};

/// The content that belongs to a call.
pub(super) fn expected(id: u64) -> Vec<u8> {
    let length = 200 + (id * 7_919 % 20_000) as usize;
    (0..length).map(|at| (at as u64 * 31 + id) as u8).collect()
}

/// A number that looks like chance.
fn chance(id: u64, of: u64) -> u64 {
    let mixed = (id ^ 0x9e37_79b9).wrapping_mul(0x2545_f491_4f6c_dd1d);
    (mixed >> 33) % of
}

/// A server of HTTP/1.1 that can die and come back at the same address.
pub(super) struct Faulty {
    address: SocketAddr,
    running: Mutex<Option<Origin>>,
    writes: Arc<Mutex<Vec<u64>>>,
}

impl Faulty {
    pub(super) fn start() -> Self {
        let writes = Arc::default();
        let origin = Origin::start(script(&writes));
        Self { address: origin.address(), running: Mutex::new(Some(origin)), writes }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Dies, or comes back.
    pub(super) fn toggle(&self) {
        let mut running = self.running.lock().unwrap();
        *running = match running.take() {
            Some(_dies) => None,
            None => Some(eventually("the address to be free", || {
                Origin::start_at(self.address, script(&self.writes)).map_err(|error| error.to_string())
            })),
        };
    }

    /// The writes that came whole.
    pub(super) fn writes(&self) -> Vec<u64> {
        self.writes.lock().unwrap().clone()
    }
}

fn script(
    writes: &Arc<Mutex<Vec<u64>>>,
) -> impl Fn(&mut Exchange<'_>) -> io::Result<After> + Send + Sync + 'static {
    let writes = writes.clone();
    move |exchange| {
        let id = exchange.path().rsplit('/').next().and_then(|id| id.parse().ok()).unwrap_or_default();
        let body = exchange.read_body()?;
        if exchange.head.method() == "POST" {
            assert!(body == expected(id), "write {id} came in pieces that do not belong together");
            writes.lock().unwrap().push(id);
        }
        let content = expected(id);
        let half = content.len() / 2;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", content.len());
        match chance(id, 16) {
            // The close is not announced: whoever uses the connection again finds it dead.
            0 | 1 => {
                exchange.answer(200, &[], &content)?;
                return Ok(After::Close);
            }
            2 => {
                exchange.write(head.as_bytes())?;
                exchange.write(&content[..half])?;
                return Ok(After::Reset);
            }
            3 => {
                exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n")?;
                exchange.write(&content[..50])?;
                return Ok(After::Close);
            }
            4 => return Ok(After::Close),
            5 => return Ok(After::Reset),
            6 => {
                exchange.write(b"HTTP/1.1 200 OK\r\ncont")?;
                return Ok(After::Close);
            }
            7 => {
                exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                for piece in content.chunks(1_000) {
                    exchange.write(format!("{:x}\r\n", piece.len()).as_bytes())?;
                    exchange.write(piece)?;
                    exchange.write(b"\r\n")?;
                }
                exchange.write(b"0\r\n\r\n")?;
            }
            _ => exchange.answer(200, &[], &content)?,
        }
        Ok(After::Keep)
    }
}

/// A server of HTTP/2 whose streams and connections fail.
pub(super) struct FaultyHttp2 {
    address: SocketAddr,
    writes: Arc<Mutex<Vec<u64>>>,
}

impl FaultyHttp2 {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let writes = Arc::<Mutex<Vec<u64>>>::default();
        let noted = writes.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, noted.clone()));
            }
        });
        Self { address, writes }
    }

    pub(super) fn url(&self) -> String {
        format!("h2c://{}", self.address)
    }

    pub(super) fn writes(&self) -> Vec<u64> {
        self.writes.lock().unwrap().clone()
    }
}

async fn serve(stream: tokio::net::TcpStream, writes: Arc<Mutex<Vec<u64>>>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut answers = tokio::task::JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let id = request.uri().path().rsplit('/').next().and_then(|id| id.parse().ok()).unwrap_or_default();
        // Now and then the whole connection goes, with all that is on it.
        if chance(id, 50) == 0 {
            return;
        }
        if chance(id, 50) == 1 {
            connection.graceful_shutdown();
        }
        answers.spawn(answer(request, respond, id, writes.clone()));
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    id: u64,
    writes: Arc<Mutex<Vec<u64>>>,
) -> Result<(), h2::Error> {
    let is_write = request.method() == "POST";
    let mut body = request.into_body();
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    if is_write {
        assert!(all == expected(id), "write {id} came in pieces that do not belong together");
        writes.lock().unwrap().push(id);
    }
    if chance(id, 16) == 0 {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    }
    let mut stream = respond.send_response(Response::new(()), false)?;
    let mut content = Bytes::from(expected(id));
    if chance(id, 16) < 4 {
        content.truncate(content.len() / 2);
    }
    while !content.is_empty() {
        stream.reserve_capacity(content.len());
        let Some(room) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return Ok(()) };
        stream.send_data(content.split_to(room?.min(content.len())), false)?;
    }
    match chance(id, 16) {
        1 => stream.send_reset(Reason::INTERNAL_ERROR),
        2 => stream.send_reset(Reason::NO_ERROR),
        3 => stream.send_reset(Reason::CANCEL),
        4 => {
            let sum = HeaderValue::from_static("42");
            stream.send_trailers(HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), sum)]))?;
        }
        _ => stream.send_data(Bytes::new(), true)?,
    }
    Ok(())
}
