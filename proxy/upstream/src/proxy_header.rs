//! The PROXY protocol towards servers: who the client is, in front of everything else on a connection.
//!
//! Written after "The PROXY protocol, versions 1 & 2" (haproxy.org, 2020), sections 2.1 and 2.2.

use std::net::{IpAddr, SocketAddr};

use starve_config::ProxyProtocol;
use starve_http::ClientConnection;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The header for a connection on behalf of a client; without one the proxy speaks for itself.
pub(crate) fn proxy_header(version: ProxyProtocol, client: Option<ClientConnection>) -> Vec<u8> {
    let pair = client.map(|client| same_family(client.peer, client.local));
    match version {
        ProxyProtocol::V1 => text(pair),
        ProxyProtocol::V2 => binary(pair),
    }
}

/// Both addresses of one family, as the protocol wants them.
fn same_family(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (plain(source), plain(destination));
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    (mapped(source), mapped(destination))
}

fn text(pair: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let Some((source, destination)) = pair else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

fn binary(pair: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some((source, destination)) = pair else {
        // LOCAL, unspecified, nothing behind it.
        header.extend([0x20, 0x00, 0, 0]);
        return header;
    };
    let mut addresses = Vec::new();
    for ip in [source.ip(), destination.ip()] {
        match ip {
            IpAddr::V4(ip) => addresses.extend(ip.octets()),
            IpAddr::V6(ip) => addresses.extend(ip.octets()),
        }
    }
    for port in [source.port(), destination.port()] {
        addresses.extend(port.to_be_bytes());
    }
    let family = if source.is_ipv4() { 0x11 } else { 0x21 };
    // PROXY; TCP over IPv4 or IPv6; 12 or 36 bytes behind it.
    header.extend([0x21, family, 0, if source.is_ipv4() { 12 } else { 36 }]);
    header.extend(addresses);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, local: &str) -> Option<ClientConnection> {
        Some(ClientConnection { peer: peer.parse().unwrap(), local: local.parse().unwrap() })
    }

    #[test]
    fn the_first_version_is_a_line() {
        let line = |client| String::from_utf8(proxy_header(ProxyProtocol::V1, client)).unwrap();
        assert_eq!(
            line(client("192.0.2.1:56324", "198.51.100.7:443")),
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
        );
        assert_eq!(line(client("[2001:db8::1]:1", "[::1]:80")), "PROXY TCP6 2001:db8::1 ::1 1 80\r\n");
        assert_eq!(
            line(client("[::ffff:192.0.2.1]:1", "127.0.0.1:80")),
            "PROXY TCP4 192.0.2.1 127.0.0.1 1 80\r\n"
        );
        assert_eq!(
            line(client("[2001:db8::1]:1", "127.0.0.1:80")),
            "PROXY TCP6 2001:db8::1 ::ffff:127.0.0.1 1 80\r\n"
        );
        assert_eq!(line(None), "PROXY UNKNOWN\r\n");
    }

    #[test]
    fn the_second_version_is_binary() {
        let header = proxy_header(ProxyProtocol::V2, client("192.0.2.1:258", "198.51.100.7:443"));
        assert_eq!(header[..12], SIGNATURE);
        let rest = [0x21, 0x11, 0, 12, 192, 0, 2, 1, 198, 51, 100, 7, 1, 2, 1, 187];
        assert_eq!(header[12..], rest);
        let header = proxy_header(ProxyProtocol::V2, client("[::1]:1", "[::1]:80"));
        assert_eq!((&header[12..16], header.len()), (&[0x21, 0x21, 0, 36][..], 16 + 36));
        assert_eq!(proxy_header(ProxyProtocol::V2, None)[12..], [0x20, 0, 0, 0]);
    }
}
