//! A client of HTTP/2 that sends exactly the frames it is told to, well-behaved or not (RFC 9113).

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::wait::DEADLINE;

pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// `GET http://a/` in HPACK, from the static table but for the host (RFC 7541).
pub const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];

#[derive(Debug)]
pub struct RawHttp2(TcpStream);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl RawHttp2 {
    /// Connects and says hello, with these settings.
    #[track_caller]
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let mut client = Self(stream);
        client.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        client.send(&Self::frame(SETTINGS, 0, 0, &settings)).unwrap();
        client
    }

    pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// # Errors
    /// The other end has closed.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The next frame; `None` at the end of the connection, however it came.
    ///
    /// # Panics
    /// Nothing came in time.
    #[track_caller]
    pub fn frame_or_end(&mut self) -> Option<RawFrame> {
        let mut header = [0; 9];
        self.read(&mut header)?;
        let [l0, l1, l2, kind, flags, stream @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, l0, l1, l2]) as usize];
        self.read(&mut payload)?;
        Some(RawFrame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    #[track_caller]
    fn read(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self.0.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("nothing came in time")
            }
            Err(_ended) => None,
        }
    }

    /// Reads on to the end of the connection; the reason that the last GOAWAY gave.
    #[track_caller]
    pub fn goodbye(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some(frame) = self.frame_or_end() {
            if frame.kind == GOAWAY {
                reason =
                    frame.payload.get(4..8).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes);
            }
        }
        reason
    }
}
