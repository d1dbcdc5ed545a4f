//! Who a client has shown to be by its certificate is told to the server behind, by nobody but the proxy.

use e2e::{Origin, Proxy, Site, program};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Writes a certificate for the server, an authority, and a client's certificate; the last as a field's value.
fn keys(site: &Site) -> String {
    let own = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    site.write("c.pem", own.cert.pem());
    site.write("k.pem", own.signing_key.serialize_pem());
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    site.write("ca.pem", authority.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["client".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    site.write("client.pem", client.pem());
    site.write("client.key", key.serialize_pem());
    // PEM is base 64 between two lines.
    let text = client.pem();
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    format!(":{}:", lines.collect::<String>())
}

fn proxy(origin: &Origin, tls: &str, more: &str) -> (Proxy, String) {
    let site = Site::exactly(&format!(
        "listen:\n  - 127.0.0.1:0\n  - address: 127.0.0.1:0\n    tls:\n      client-ca: ca.pem\n      \
         client-auth: optional\n      {tls}\n      certificates: [{{ certificate: c.pem, key: k.pem }}]\n\
         admin: 127.0.0.1:0\nworkers: 1\nlegacy: {}\n{more}",
        origin.url()
    ));
    let value = keys(&site);
    (site.run(), value)
}

/// Calls over TLS, with or without a certificate.
#[track_caller]
fn call(proxy: &Proxy, version: &str, with_certificate: bool, fields: &[&str]) {
    let port = proxy.tls_address().port();
    let file = |name: &str| proxy.site().path(name).display().to_string();
    let mut arguments: Vec<String> =
        ["-sSf", "--max-time", "20", version, "-o", "/dev/null"].map(str::to_owned).into();
    arguments.extend(["--cacert".to_owned(), file("c.pem")]);
    arguments.extend(["--resolve".to_owned(), format!("shop.example:{port}:127.0.0.1")]);
    if with_certificate {
        arguments.extend(["--cert".to_owned(), file("client.pem"), "--key".to_owned(), file("client.key")]);
    }
    for field in fields {
        arguments.extend(["-H".to_owned(), (*field).to_owned()]);
    }
    arguments.push(format!("https://shop.example:{port}/a"));
    program("curl", &arguments).ok();
}

const FORGED: [&str; 3] = ["X-Client-Cert: :Zm9y:", "Client-Cert: :Zm9y:", "Client-Cert-Chain: :Zm9y:"];
const NAMES: [&str; 3] = ["x-client-cert", "client-cert", "client-cert-chain"];

/// What the origin was told last.
fn told(origin: &Origin) -> [Option<String>; 3] {
    let seen = origin.seen().pop().unwrap();
    NAMES.map(|name| seen.head.field(name).map(str::to_owned))
}

#[test]
fn the_server_behind_is_shown_a_verified_certificate_and_no_other() {
    let origin = Origin::named("legacy");
    let (proxy, value) = proxy(&origin, "client-cert-header: X-Client-Cert", "");
    for version in ["--http1.1", "--http2"] {
        for fields in [&[][..], &FORGED] {
            call(&proxy, version, true, fields);
            assert_eq!(told(&origin), [Some(value.clone()), None, None], "{version} {fields:?}");
            call(&proxy, version, false, fields);
            assert_eq!(told(&origin), [None, None, None], "{version} {fields:?}");
        }
    }
    // The plain listener knows no certificates, and believes nobody about one.
    let fields: Vec<(&str, &str)> = FORGED.iter().filter_map(|field| field.split_once(": ")).collect();
    proxy.client().call("GET", "/a", &fields, b"");
    assert_eq!(told(&origin), [None, None, None]);
}

#[test]
fn without_a_field_nothing_is_shown_and_a_trusted_proxy_s_word_is_kept() {
    let origin = Origin::named("legacy");
    let (proxy, _) = proxy(&origin, "min-version: 1.2", "trusted-proxies: [127.0.0.1]\n");
    call(&proxy, "--http2", true, &[]);
    assert_eq!(told(&origin), [None, None, None]);
    call(&proxy, "--http2", true, &FORGED);
    assert_eq!(told(&origin), [(); 3].map(|()| Some(":Zm9y:".to_owned())));
}
