//! A server behind the proxy, scripted: it can behave, and it can misbehave down to the byte.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::wait::{DEADLINE, eventually};
use crate::wire::{Head, Reading, Wire, request_framing};

/// What becomes of the connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Keep,
    Close,
    /// A TCP reset instead of an orderly end.
    Reset,
}

/// A request as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub head: Head,
    /// What has been read of it.
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// The number of the connection, from 0.
    pub connection: usize,
}

type Script = dyn Fn(&mut Exchange<'_>) -> io::Result<After> + Send + Sync;

/// Listens on a free port until dropped.
pub struct Origin {
    address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    open: Mutex<HashMap<usize, TcpStream>>,
    connections: AtomicUsize,
    closing: AtomicBool,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Origin {
    /// Runs `script` for each request. An error of it closes the connection.
    pub fn start(script: impl Fn(&mut Exchange<'_>) -> io::Result<After> + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).unwrap()
    }

    /// As [`Origin::start`], at an address of the caller's choice.
    ///
    /// # Errors
    /// Somebody else listens there.
    pub fn start_at(
        address: SocketAddr,
        script: impl Fn(&mut Exchange<'_>) -> io::Result<After> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner {
            script: Box::new(script),
            seen: Mutex::default(),
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
        });
        let accepting = inner.clone();
        std::thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { address, inner })
    }

    /// Answers everything with 200 and the same body; the field `Server` tells who it was, since comparisons
    /// leave that out.
    pub fn named(name: &'static str) -> Self {
        Self::start(move |exchange| {
            exchange.read_body()?;
            exchange.answer(
                200,
                &[("server", name), ("content-type", "application/json")],
                br#"{"ok":true}"#,
            )?;
            Ok(After::Keep)
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// Requests whose head has arrived.
    pub fn count(&self) -> usize {
        self.inner.seen.lock().unwrap().len()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(SeqCst)
    }

    /// The requests, as soon as there are `n` of them.
    #[track_caller]
    pub fn wait_for(&self, n: usize) -> Vec<Seen> {
        eventually(&format!("{n} requests at the origin"), || match self.count() {
            count if count >= n => Ok(self.seen()),
            count => Err(format!("{count} requests")),
        })
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.inner.closing.store(true, SeqCst);
        // Wakes the thread that accepts; whether it still could is all the same.
        let _woken = TcpStream::connect(self.address);
        for (_, stream) in self.inner.open.lock().unwrap().drain() {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, inner: &Arc<Inner>) {
    while let Ok((stream, _)) = listener.accept() {
        if inner.closing.load(SeqCst) {
            return;
        }
        let number = inner.connections.fetch_add(1, SeqCst);
        inner.open.lock().unwrap().insert(number, stream.try_clone().unwrap());
        let inner = inner.clone();
        std::thread::spawn(move || serve(stream, number, &inner));
    }
}

fn serve(stream: TcpStream, number: usize, inner: &Inner) {
    stream.set_nodelay(true).unwrap();
    let mut wire = Wire::new(stream);
    while let Ok(Some(head)) = wire.head() {
        let index = {
            let mut seen = inner.seen.lock().unwrap();
            seen.push(Seen { head: head.clone(), connection: number, ..Seen::default() });
            seen.len() - 1
        };
        let reading = Reading::new(request_framing(&head));
        let mut exchange = Exchange { head, wire: &mut wire, reading, inner, index, number };
        match (inner.script)(&mut exchange) {
            Ok(After::Keep) if exchange.read_body().is_ok() => {}
            Ok(After::Reset) => {
                let linger = Some(Duration::ZERO);
                socket2::SockRef::from(wire.stream()).set_linger(linger).unwrap();
                break;
            }
            _ => break,
        }
    }
    // The clone that is kept for the end would hold the connection open.
    inner.open.lock().unwrap().remove(&number);
}

/// One request on its connection, in the hands of the script.
pub struct Exchange<'a> {
    pub head: Head,
    wire: &'a mut Wire,
    reading: Reading,
    inner: &'a Inner,
    index: usize,
    number: usize,
}

impl std::fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("head", &self.head).finish_non_exhaustive()
    }
}

impl Exchange<'_> {
    /// The request's place among all that this origin has got, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of the connection, from 0.
    pub fn connection(&self) -> usize {
        self.number
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        self.head.target().split('?').next().unwrap_or_default()
    }

    /// The next piece of the request's body, as it comes; empty at its end.
    pub fn read_piece(&mut self) -> io::Result<Vec<u8>> {
        let piece = self.wire.piece(&mut self.reading)?;
        let mut seen = self.inner.seen.lock().unwrap();
        seen[self.index].body.extend_from_slice(&piece);
        if self.reading.ended {
            seen[self.index].trailers = self.reading.trailers.clone();
        }
        Ok(piece)
    }

    /// Reads the request's body and forgets it: for bodies that are too large to keep.
    pub fn skim_piece(&mut self) -> io::Result<Vec<u8>> {
        self.wire.piece(&mut self.reading)
    }

    /// The whole of the request's body, or what is left of it.
    pub fn read_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while !self.reading.ended {
            body.extend_from_slice(&self.read_piece()?);
        }
        Ok(body)
    }

    /// What comes after a switch of protocols, as it comes; empty when the other end has closed.
    pub fn read_raw(&mut self) -> io::Result<Vec<u8>> {
        self.wire.raw()
    }

    /// Bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.reader.get_mut().write_all(bytes)
    }

    /// A whole answer with a `Content-Length`; its body is left out for HEAD, 204 and 304.
    pub fn answer(&mut self, status: u16, fields: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let mut text = format!("HTTP/1.1 {status} Scripted\r\n").into_bytes();
        for (name, value) in fields {
            text.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let has_content = !matches!(status, 204 | 304);
        if has_content {
            text.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        text.extend_from_slice(b"\r\n");
        if has_content && self.head.method() != "HEAD" {
            text.extend_from_slice(body);
        }
        self.write(&text)
    }

    /// Waits until the other end has closed or reset the connection.
    ///
    /// # Errors
    /// It did not within the deadline.
    pub fn wait_for_close(&mut self) -> io::Result<()> {
        self.wire.stream().set_read_timeout(Some(DEADLINE))?;
        loop {
            match io::Read::read(self.wire.reader.get_mut(), &mut [0; 4096]) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(error);
                }
                Err(_) => return Ok(()),
            }
        }
    }

    /// From now on a write that cannot go on for this long is an error: see [`stalled`].
    pub fn limit_writes(&mut self, longest: Duration) -> io::Result<()> {
        self.wire.stream().set_write_timeout(Some(longest))
    }
}

/// Whether a write failed because nobody reads at the other end.
pub fn stalled(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
