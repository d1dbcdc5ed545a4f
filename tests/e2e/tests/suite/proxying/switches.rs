//! Connections that switch to another protocol, as WebSocket does.

use e2e::{After, Origin, eventually};
use rustix::process::Signal;

use super::{before, before_with};

const ASKING: [(&str, &str); 3] =
    [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "a2V5")];

/// Agrees to the switch and sends back all that comes.
fn echo() -> Origin {
    Origin::start(|exchange| {
        exchange.write(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
              sec-websocket-accept: YWNjZXB0\r\n\r\nhello",
        )?;
        loop {
            let bytes = exchange.read_raw()?;
            if bytes.is_empty() {
                return Ok(After::Close);
            }
            exchange.write(&bytes)?;
        }
    })
}

#[test]
fn a_websocket_passes_in_both_directions() {
    let origin = echo();
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.begin("GET", "/a", &ASKING, b"");
    let answer = client.head("GET");
    assert_eq!((answer.status, answer.field("upgrade")), (101, Some("websocket")));
    assert!(answer.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")));
    assert_eq!(answer.field("sec-websocket-accept"), Some("YWNjZXB0"));
    assert_eq!(client.raw().unwrap(), b"hello");
    for message in [&b"\x81\x05frame"[..], b"\0\r\n\r\n\n GET / HTTP/1.1"] {
        client.send(message);
        let mut back = Vec::new();
        while back.len() < message.len() {
            back.extend_from_slice(&client.raw().unwrap());
        }
        assert_eq!(back, message, "no byte of another protocol is looked at");
    }
    let head = &origin.seen()[0].head;
    assert_eq!((head.field("upgrade"), head.field("sec-websocket-key")), (Some("websocket"), Some("a2V5")));
    assert_eq!(proxy.metrics().get("starve_in_flight_requests", &[]), Some(1.0));
    client.finish();
    assert_eq!(client.raw().unwrap(), b"", "the end of one side is the end of the other");
    eventually("the call to be counted", || match proxy.metrics().calls_of("* /a", "legacy") {
        1.0 => Ok(()),
        other => Err(other.to_string()),
    });
}

#[test]
fn http_2_by_upgrade_is_not_asked_for_in_whatever_company() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    for protocols in ["h2c", "websocket, h2c", "H2C , websocket"] {
        let fields = [("connection", "Upgrade"), ("upgrade", protocols), ("http2-settings", "AAMAAABk")];
        assert_eq!(proxy.client().call("GET", "/a", &fields, b"").status, 200);
    }
    let seen = origin.seen();
    assert_eq!(seen.len(), 3);
    for seen in seen {
        assert_eq!((seen.head.field("upgrade"), seen.head.field("http2-settings")), (None, None));
    }
}

#[test]
fn a_switch_to_what_was_not_asked_for_is_an_error() {
    let origin = Origin::start(|exchange| {
        exchange.write(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\nhello",
        )?;
        Ok(After::Close)
    });
    let proxy = before(&origin);
    assert_eq!(proxy.client().call("GET", "/a", &ASKING, b"").status, 502);
}

#[test]
fn an_origin_that_does_not_switch_answers_as_usual() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.call("GET", "/a", &ASKING, b"");
        assert_eq!((answer.status, answer.server()), (200, "legacy"));
    }
    assert_eq!(client.get("/a").status, 200);
}

#[test]
fn a_switch_that_nobody_asked_for_is_502() {
    let origin = echo();
    let proxy = before(&origin);
    let answer = proxy.get("/a");
    assert_eq!(answer.status, 502, "{:?}", answer.head);
}

#[test]
fn open_tunnels_end_with_the_drain() {
    let origin = echo();
    let mut proxy = before_with(&origin, "limits: { drain-timeout: 500ms }\n");
    let mut client = proxy.client();
    client.begin("GET", "/a", &ASKING, b"");
    assert_eq!(client.head("GET").status, 101);
    proxy.signal(Signal::TERM);
    let stopped = proxy.ended();
    assert_eq!(stopped.status.code(), Some(0), "{}", stopped.log);
    assert!(stopped.took < std::time::Duration::from_secs(10), "{:?}", stopped.took);
    assert_eq!(proxy.site().report().calls("* /a"), (1, 0, 0), "it was a call all the same");
}
