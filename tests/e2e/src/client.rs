//! A client that sends exactly the bytes it is given and reads exactly what comes.

use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::wait::DEADLINE;
use crate::wire::{Head, Reading, Wire, answer_framing};

/// How an answer's body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Complete,
    /// The connection ended, or was reset, before the body did.
    CutOff,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: Head,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    pub end: End,
    /// The statuses of the interim answers before it.
    pub interim: Vec<u16>,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Who answered, as [`crate::Origin::named`] says it.
    pub fn server(&self) -> &str {
        self.field("server").unwrap_or("nobody")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }
}

/// One HTTP/1.1 connection.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
    reading: Option<Reading>,
}

impl Client {
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("no connection to {address}: {error}"))
    }

    /// # Errors
    /// Nobody listens there.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { wire: Wire::new(stream), reading: None })
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("cannot send: {error}"));
    }

    /// # Errors
    /// The other end has closed.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Sends a request without a body and reads its answer.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Answer {
        self.call("GET", target, &[], b"")
    }

    /// Sends a whole request and reads its answer.
    #[track_caller]
    pub fn call(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        self.begin(method, target, fields, body);
        self.answer(method)
    }

    /// Sends a whole request.
    #[track_caller]
    pub fn begin(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) {
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str("host: shop.example\r\n");
        }
        for (name, value) in fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        self.send([text.as_bytes(), body].concat());
    }

    /// Reads a whole answer.
    #[track_caller]
    pub fn answer(&mut self, method: &str) -> Answer {
        self.try_answer(method).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Reads a whole answer, or as much of its body as comes.
    ///
    /// # Errors
    /// There is no head.
    pub fn try_answer(&mut self, method: &str) -> io::Result<Answer> {
        let mut answer = self.try_head(method)?;
        loop {
            match self.piece() {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => answer.body.extend_from_slice(&piece),
                Err(error) if is_silence(&error) => return Err(error),
                Err(_) => {
                    answer.end = End::CutOff;
                    break;
                }
            }
        }
        answer.trailers = self.reading.take().map(|reading| reading.trailers).unwrap_or_default();
        Ok(answer)
    }

    /// Reads the head of an answer; its body is left for [`Client::piece`].
    #[track_caller]
    pub fn head(&mut self, method: &str) -> Answer {
        self.try_head(method).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    fn try_head(&mut self, method: &str) -> io::Result<Answer> {
        let mut interim = Vec::new();
        loop {
            let nothing = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended");
            let head = self.wire.head()?.ok_or_else(nothing)?;
            let status = head.line.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status: u16 = status.ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("no status: {}", head.line))
            })?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(status);
                continue;
            }
            self.reading = Some(Reading::new(answer_framing(method, status, &head)));
            let (body, trailers) = (Vec::new(), Vec::new());
            return Ok(Answer { status, head, body, trailers, end: End::Complete, interim });
        }
    }

    /// The status of the next interim answer, such as 100.
    #[track_caller]
    pub fn interim(&mut self) -> u16 {
        let head = self.wire.head().unwrap().expect("an interim answer");
        head.line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap()
    }

    /// The next piece of the answer's body, as it comes; empty at its end.
    ///
    /// # Errors
    /// It was cut off, or nothing came in time.
    pub fn piece(&mut self) -> io::Result<Vec<u8>> {
        let reading = self.reading.as_mut().expect("a head was read before");
        self.wire.piece(reading)
    }

    /// What comes after a switch of protocols, as it comes; empty when the other end has closed.
    ///
    /// # Errors
    /// Nothing came in time.
    pub fn raw(&mut self) -> io::Result<Vec<u8>> {
        self.wire.raw()
    }

    /// Whether the other end closes without another byte.
    ///
    /// # Errors
    /// It says something, or does nothing until the deadline.
    pub fn wait_for_close(&mut self) -> io::Result<()> {
        match io::Read::read(&mut self.wire.reader, &mut [0; 1]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(io::Error::other("more bytes instead of the end")),
            Err(error) if is_silence(&error) => Err(error),
            Err(_reset) => Ok(()),
        }
    }

    /// All that comes until the other end closes, or until it is silent for `patience`.
    pub fn drain(&mut self, patience: Duration) -> Vec<u8> {
        self.wire.stream().set_read_timeout(Some(patience)).unwrap();
        let mut all = Vec::new();
        let _ended = io::Read::read_to_end(&mut self.wire.reader, &mut all);
        self.wire.stream().set_read_timeout(Some(DEADLINE)).unwrap();
        all
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        self.wire.stream().shutdown(Shutdown::Write).unwrap();
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
