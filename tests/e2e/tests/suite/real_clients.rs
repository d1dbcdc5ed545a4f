//! Clients and servers as people use them: curl, a WebSocket library, gRPC.

use std::io;

use e2e::{After, Done, Exchange, Origin, Proxy, Service, Site, eventually, program, script};

/// A proxy with a plain and a TLS listener, and the certificate's file.
fn proxy(legacy: &str, routes: &str) -> (Proxy, String) {
    let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    let site = Site::exactly(&format!(
        "listen:\n  - 127.0.0.1:0\n  - address: 127.0.0.1:0\n    tls: {{ certificates: [{{ certificate: c.pem, \
         key: k.pem }}] }}\nadmin: 127.0.0.1:0\nworkers: 2\nlegacy: {legacy}\nroutes:\n{routes}"
    ));
    site.write("c.pem", made.cert.pem());
    site.write("k.pem", made.signing_key.serialize_pem());
    let certificate = site.path("c.pem").display().to_string();
    (site.run(), certificate)
}

#[track_caller]
fn is_ok(done: Done) {
    assert_eq!((done.code, done.stdout.trim()), (Some(0), "ok"), "{}", done.stderr);
}

#[track_caller]
fn are_counted(proxy: &Proxy, route: &str, calls: f64) {
    eventually("all calls to be counted", || match proxy.metrics().calls_of(route, "legacy") {
        counted if counted == calls => Ok(()),
        other => Err(other.to_string()),
    });
    assert_eq!(proxy.metrics().get("starve_in_flight_requests", &[]), Some(0.0));
}

fn content() -> Vec<u8> {
    (0..100_000_u32).map(|at| (at % 251) as u8).collect()
}

/// What curl is given to do, by path.
fn curls_origin(exchange: &mut Exchange<'_>) -> io::Result<After> {
    let path = exchange.path().to_owned();
    match path.as_str() {
        "/file" => match exchange.head.field("range") {
            Some("bytes=100-199") => {
                exchange.answer(206, &[("content-range", "bytes 100-199/100000")], &content()[100..200])?;
            }
            _ => exchange.answer(200, &[("accept-ranges", "bytes")], &content())?,
        },
        "/upload" => {
            if exchange.head.field("expect") == Some("100-continue") {
                exchange.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body = exchange.read_body()?;
            let is_whole = body.len() == 3_000_000 && body.iter().all(|byte| *byte == b'u');
            exchange.answer(200, &[], if is_whole { b"whole" } else { b"broken" })?;
        }
        "/refused" => {
            exchange.answer(401, &[], b"who are you?")?;
            return Ok(After::Close);
        }
        "/trailers" => exchange.write(
            b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ntrailer: x-sum\r\n\
              transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n",
        )?,
        "/cut" => {
            exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")?;
            return Ok(After::Close);
        }
        _ => exchange.answer(404, &[], b"")?,
    }
    Ok(After::Keep)
}

/// A way to call with curl: its options, the address with its scheme, and the version that must come of it.
type Way<'a> = (Vec<&'a str>, String, &'a str);

fn curl(way: &Way<'_>, path: &str, options: &[&str]) -> Done {
    let url = format!("{}{path}", way.1);
    program("curl", &[&["-sS", "--max-time", "20"], &way.0[..], options, &[&url]].concat())
}

#[test]
fn curl_in_every_version() {
    let origin = Origin::start(curls_origin);
    let (proxy, certificate) = proxy(&origin.url(), "  - match: '* /{path}'\n");
    let (plain, tls) = (proxy.address().port(), proxy.tls_address().port());
    let resolve = [plain, tls].map(|port| format!("shop.example:{port}:127.0.0.1"));
    let common = ["--resolve", &resolve[0], "--resolve", &resolve[1], "--cacert", &certificate];
    let (http, https) = (format!("http://shop.example:{plain}"), format!("https://shop.example:{tls}"));
    let way = |option, url: &String, version| ([&common[..], &[option]].concat(), url.clone(), version);
    let ways = [
        way("--http1.0", &http, "1.1"),
        way("--http1.1", &http, "1.1"),
        // Asks for h2c by upgrade, which is obsolete: the answer is HTTP/1.1.
        way("--http2", &http, "1.1"),
        way("--http2-prior-knowledge", &http, "2"),
        way("--http1.1", &https, "1.1"),
        way("--http2", &https, "2"),
    ];
    let folder = proxy.site().folder().to_owned();
    let (upload, download) = (folder.join("upload"), folder.join("download"));
    std::fs::write(&upload, vec![b'u'; 3_000_000]).unwrap();
    let (upload, download) = (upload.to_str().unwrap(), download.to_str().unwrap());
    let calls_per_way = 7;
    for way in &ways {
        let name = format!("{:?} {}", way.0.last(), way.1);
        let is_old = way.0.contains(&"--http1.0");

        let got = curl(way, "/file", &["-o", download, "-w", "%{http_code} %{http_version}"]).ok();
        assert_eq!(got.stdout, format!("200 {}", way.2), "{name}");
        assert!(std::fs::read(download).unwrap() == content(), "{name}");

        let part = curl(way, "/file", &["-r", "100-199", "-o", download, "-w", "%{http_code}"]).ok();
        assert_eq!(part.stdout, "206", "{name}");
        assert!(std::fs::read(download).unwrap() == content()[100..200], "{name}");

        let head = curl(way, "/file", &["-I"]).ok().stdout.to_ascii_lowercase();
        assert!(
            head.contains("content-length: 100000") && head.contains("accept-ranges: bytes"),
            "{name}: {head}"
        );

        let sent = curl(way, "/upload", &["-T", upload, "-H", "Expect: 100-continue"]).ok();
        assert_eq!(sent.stdout, "whole", "{name}");

        let refused = curl(way, "/refused", &["-T", upload, "-w", " %{http_code}"]);
        // Told over HTTP/2 that no more of its upload is wanted, an older curl forgets the answer it has got (92).
        if !(way.2 == "2" && refused.code == Some(92)) {
            assert_eq!(refused.ok().stdout, "who are you? 401", "{name}");
        }

        let trailers = curl(way, "/trailers", &["-i"]).ok().stdout;
        assert!(trailers.contains("hello"), "{name}: {trailers}");
        // HTTP/1.0 has neither chunks nor interim answers.
        assert_eq!(trailers.contains("x-sum: 42"), !is_old, "{name}: {trailers}");
        assert_eq!(
            trailers.contains(" 103") && trailers.contains("link: </a.css>"),
            !is_old,
            "{name}: {trailers}"
        );

        let cut = curl(way, "/cut", &[]);
        assert!(cut.code.is_some_and(|code| code != 0), "{name}: {cut:?}");
    }
    are_counted(&proxy, "* /{path}", (ways.len() * calls_per_way) as f64);
}

#[test]
fn a_websocket_library() {
    let server = Service::start("websocket_echo.py", &[]);
    let (proxy, certificate) = proxy(
        &format!("http://127.0.0.1:{}", server.port()),
        "  - match: GET /chat\n  - match: GET /plain\n    stage: retired\n",
    );
    let plain = proxy.address().port().to_string();
    is_ok(script("websocket_calls.py", &["ws://shop.example", &plain]));
    let tls = proxy.tls_address().port().to_string();
    is_ok(script("websocket_calls.py", &["wss://shop.example", &tls, &certificate]));
    are_counted(&proxy, "GET /chat", 2.0);
}

#[test]
fn grpc_with_and_without_tls() {
    let server = Service::start("grpc_service.py", &[]);
    let (proxy, certificate) =
        proxy(&format!("h2c://127.0.0.1:{}", server.port()), "  - match: POST /shop.Test/{method}\n");
    is_ok(script("grpc_calls.py", &[&proxy.address().port().to_string()]));
    is_ok(script("grpc_calls.py", &[&proxy.tls_address().port().to_string(), &certificate]));
    are_counted(&proxy, "POST /shop.Test/{method}", 2.0 * 12.0);
}
