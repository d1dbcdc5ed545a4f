//! The PROXY protocol, versions 1 and 2: who a connection through a load balancer comes from (HAProxy's
//! `doc/proxy-protocol.txt`, sections 2.1 and 2.2).
//!
//! Sans-io: bytes as far as they have come go in, a header, the wish for more, or a fault comes out. Invariant:
//! whether bytes are a header, and where it ends, does not depend on what follows, nor on how they are cut.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line of version 1, its end included.
const LINE_BYTES_MAX: usize = 107;
const LINE_START: &[u8] = b"PROXY ";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;
/// The longest header of version 2 that is taken. The addresses are 216 bytes at the most; the rest are further
/// fields, which are skipped.
pub const HEADER_BYTES_MAX: usize = 4_096;

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Its bytes; what follows is the client's.
    pub length: usize,
    /// The client; `None` where the sender speaks for itself (LOCAL), or for a client without an IP address
    /// (UNKNOWN, UNSPEC, a unix socket): the connection's own address counts then.
    pub client: Option<SocketAddr>,
}

/// Why the bytes are no header that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderFault {
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    #[error("the PROXY header is malformed")]
    Malformed,
    #[error("the PROXY header is too long")]
    TooLong,
}

use ProxyHeaderFault::{Malformed, Missing, TooLong};

/// The header at the beginning of `bytes`; `None` while its end has not come.
///
/// # Errors
/// Whatever may follow, this is not a header that is understood.
pub fn parse_proxy_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderFault> {
    if begins_like(bytes, SIGNATURE) {
        return binary(bytes);
    }
    if begins_like(bytes, LINE_START) {
        return line(bytes);
    }
    Err(Missing)
}

/// Whether both are the same as far as both go.
fn begins_like(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(byte, expected)| byte == expected)
}

fn line(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderFault> {
    // As far as a line's end may begin.
    let there = &bytes[..bytes.len().min(LINE_BYTES_MAX - 1)];
    let Some(end) = there.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        // No room for a line's end is left.
        return if there.len() + 2 > LINE_BYTES_MAX { Err(TooLong) } else { Ok(None) };
    };
    match &bytes[end..] {
        [b'\r', b'\n', ..] => {
            let text = std::str::from_utf8(&bytes[LINE_START.len()..end]).map_err(|_| Malformed)?;
            Ok(Some(ProxyHeader { length: end + 2, client: client_of(text)? }))
        }
        [b'\r'] => Ok(None),
        _ => Err(Malformed),
    }
}

/// What stands behind `PROXY `.
fn client_of(text: &str) -> Result<Option<SocketAddr>, ProxyHeaderFault> {
    let mut words = text.split(' ');
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        // Whatever follows is to be ignored.
        return Ok(None);
    }
    let mut word = || words.next().ok_or(Malformed);
    let (source, destination) = (word()?, word()?);
    let (port, destination_port) = (word()?, word()?);
    let address = |text: &str| -> Result<IpAddr, ProxyHeaderFault> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| Malformed),
            "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| Malformed),
            _ => Err(Malformed),
        }
    };
    let client = SocketAddr::new(address(source)?, port_of(port)?);
    // Not needed, but a sender that gets these wrong gets the others wrong as well.
    address(destination)?;
    port_of(destination_port)?;
    if words.next().is_some() {
        return Err(Malformed);
    }
    Ok(Some(client))
}

fn port_of(text: &str) -> Result<u16, ProxyHeaderFault> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(Malformed)
}

fn binary(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderFault> {
    let version_and_command = bytes.get(12).copied();
    if version_and_command.is_some_and(|byte| !matches!(byte, 0x20 | 0x21)) {
        return Err(Malformed);
    }
    let family = bytes.get(13).copied();
    if family.is_some_and(|byte| !matches!(byte, UNSPEC | TCP4 | TCP6 | UNIX)) {
        return Err(Malformed);
    }
    let (Some(family), Some(&[high, low])) =
        (family, bytes.get(14..FIXED_BYTES).and_then(|two| two.first_chunk()))
    else {
        return Ok(None);
    };
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > HEADER_BYTES_MAX {
        return Err(TooLong);
    }
    let is_local = version_and_command == Some(0x20);
    let addresses = match family {
        TCP4 => 12,
        TCP6 => 36,
        UNIX => 216,
        _ => 0,
    };
    if !is_local && length < FIXED_BYTES + addresses {
        return Err(Malformed);
    }
    let Some(rest) = bytes.get(FIXED_BYTES..length) else { return Ok(None) };
    let client = if is_local { None } else { address_of(family, rest) };
    Ok(Some(ProxyHeader { length, client }))
}

const UNSPEC: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX: u8 = 0x31;

/// Source address, destination address, source port, destination port.
fn address_of(family: u8, rest: &[u8]) -> Option<SocketAddr> {
    let port = |at: usize| Some(u16::from_be_bytes(*rest.get(at..)?.first_chunk()?));
    match family {
        TCP4 => Some(SocketAddr::new(Ipv4Addr::from(*rest.first_chunk::<4>()?).into(), port(8)?)),
        TCP6 => Some(SocketAddr::new(Ipv6Addr::from(*rest.first_chunk::<16>()?).into(), port(32)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(bytes: &[u8]) -> Result<Option<SocketAddr>, ProxyHeaderFault> {
        parse_proxy_header(bytes).map(|header| {
            let header = header.expect("whole");
            assert_eq!(header.length, bytes.len());
            header.client
        })
    }

    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, rest].concat()
    }

    #[test]
    fn the_first_version_names_the_client() {
        let four = whole(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n");
        assert_eq!(four, Ok(Some("192.0.2.7:56324".parse().unwrap())));
        let six = whole(b"PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n");
        assert_eq!(six, Ok(Some("[2001:db8::7]:1".parse().unwrap())));
        assert_eq!(whole(b"PROXY UNKNOWN\r\n"), Ok(None));
        assert_eq!(whole(b"PROXY UNKNOWN ffff::1 whatever\r\n"), Ok(None));
    }

    #[test]
    fn the_second_version_names_the_client_and_further_fields_are_skipped() {
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 1, 187];
        assert_eq!(whole(&second(1, TCP4, &four)), Ok(Some("192.0.2.7:56324".parse().unwrap())));
        let with_fields = [&four[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        assert_eq!(whole(&second(1, TCP4, &with_fields)), Ok(Some("192.0.2.7:56324".parse().unwrap())));
        let mut six = [0; 36];
        (six[0], six[15], six[33]) = (0x20, 7, 80);
        assert_eq!(whole(&second(1, TCP6, &six)), Ok(Some("[2000::7]:80".parse().unwrap())));
        assert_eq!(whole(&second(1, UNIX, &[b'/'; 216])), Ok(None));
        assert_eq!(whole(&second(1, UNSPEC, b"")), Ok(None));
        assert_eq!(whole(&second(1, UNSPEC, b"anything")), Ok(None));
        assert_eq!(whole(&second(0, TCP4, b"short")), Ok(None), "LOCAL: the addresses do not count");
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for (why, bytes, fault) in [
            ("HTTP", &b"GET / HTTP/1.1\r\n"[..], Missing),
            ("HTTP/2", b"PRI * HTTP/2.0\r\n", Missing),
            ("TLS", b"\x16\x03\x01", Missing),
            ("an empty line", b"\r\nGET", Missing),
            ("a bare line feed", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", Malformed),
            ("a bare carriage return", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx", Malformed),
            ("a family that does not fit", b"PROXY TCP4 ::1 ::1 1 2\r\n", Malformed),
            ("an unknown family", b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", Malformed),
            ("two spaces", b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", Malformed),
            ("a space at the end", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", Malformed),
            ("a part missing", b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", Malformed),
            ("a leading zero", b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", Malformed),
            ("a port with a sign", b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", Malformed),
            ("a port beyond all ports", b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", Malformed),
        ] {
            assert_eq!(parse_proxy_header(bytes), Err(fault), "{why}");
        }
        for (why, command, family, rest) in [
            ("an unknown command", 2, TCP4, &[0; 12][..]),
            ("datagrams", 1, 0x12, &[0; 12]),
            ("an unknown family", 1, 0x41, &[0; 12]),
            ("a stream of nothing", 1, 0x01, &[0; 12]),
            ("short IPv4 addresses", 1, TCP4, &[0; 11]),
            ("short IPv6 addresses", 1, TCP6, &[0; 35]),
            ("a short path", 1, UNIX, &[0; 215]),
        ] {
            assert_eq!(parse_proxy_header(&second(command, family, rest)), Err(Malformed), "{why}");
        }
        let mut other_version = second(1, TCP4, &[0; 12]);
        other_version[12] = 0x11;
        assert_eq!(parse_proxy_header(&other_version), Err(Malformed));
    }

    #[test]
    fn both_versions_have_a_longest_header() {
        let line =
            |length: usize| [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; length - 16], b"\r\n".to_vec()].concat();
        assert_eq!(whole(&line(LINE_BYTES_MAX)), Ok(None));
        assert_eq!(parse_proxy_header(&line(LINE_BYTES_MAX + 1)), Err(TooLong));
        let endless = [b"PROXY ".to_vec(), vec![b'x'; 100]].concat();
        assert_eq!(parse_proxy_header(&endless), Err(TooLong));
        assert_eq!(parse_proxy_header(&[&endless[..], b"\n"].concat()), Err(TooLong), "decided before");
        assert_eq!(whole(&second(1, UNSPEC, &vec![0; HEADER_BYTES_MAX - 16])), Ok(None));
        assert_eq!(parse_proxy_header(&second(1, UNSPEC, &vec![0; HEADER_BYTES_MAX - 15])), Err(TooLong));
    }

    fn header() -> impl Strategy<Value = (Vec<u8>, Option<SocketAddr>)> {
        let line = any::<(Ipv4Addr, u16)>().prop_map(|(client, port)| {
            let text = format!("PROXY TCP4 {client} 127.0.0.1 {port} 80\r\n");
            (text.into_bytes(), Some(SocketAddr::from((client, port))))
        });
        let line_6 = any::<(Ipv6Addr, u16)>().prop_map(|(client, port)| {
            let text = format!("PROXY TCP6 {client} ::1 {port} 80\r\n");
            (text.into_bytes(), Some(SocketAddr::from((client, port))))
        });
        let fields = || proptest::collection::vec(any::<u8>(), 0..300);
        let binary = (any::<(Ipv4Addr, u16)>(), fields()).prop_map(|((client, port), fields)| {
            let [high, low] = port.to_be_bytes();
            let rest = [&client.octets()[..], &[127, 0, 0, 1, high, low, 0, 80], &fields].concat();
            (second(1, TCP4, &rest), Some(SocketAddr::from((client, port))))
        });
        let binary_6 = (any::<(Ipv6Addr, u16)>(), fields()).prop_map(|((client, port), fields)| {
            let rest = [&client.octets()[..], &[0; 16], &port.to_be_bytes(), &[0, 80], &fields].concat();
            (second(1, TCP6, &rest), Some(SocketAddr::from((client, port))))
        });
        let local = fields().prop_map(|rest| (second(0, UNSPEC, &rest), None));
        prop_oneof![line, line_6, binary, binary_6, local]
    }

    proptest! {
        #[test]
        fn a_header_is_whole_with_its_last_byte_and_ends_there((bytes, client) in header(), behind in proptest::collection::vec(any::<u8>(), 0..40)) {
            for cut in 0..bytes.len() {
                prop_assert_eq!(parse_proxy_header(&bytes[..cut]), Ok(None), "cut at {}", cut);
            }
            let expected = Ok(Some(ProxyHeader { length: bytes.len(), client }));
            prop_assert_eq!(parse_proxy_header(&[bytes, behind].concat()), expected);
        }

        #[test]
        fn what_was_decided_once_is_not_decided_otherwise_later(start in 0..4_usize, tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let start: &[u8] = [&b""[..], b"PROXY ", b"PROXY TCP4 1.2.3.4 ", SIGNATURE][start];
            let bytes = [start, &tail].concat();
            let mut decided = None;
            for end in 0..=bytes.len() {
                let now = parse_proxy_header(&bytes[..end]);
                if let Some(before) = decided {
                    prop_assert_eq!(now, before);
                } else if now != Ok(None) {
                    decided = Some(now);
                }
            }
            if let Ok(Some(header)) = parse_proxy_header(&bytes) {
                prop_assert!(header.length <= bytes.len().min(HEADER_BYTES_MAX));
            }
        }
    }
}
