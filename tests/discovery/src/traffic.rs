//! Traffic after an interface description: its endpoints with Zipf popularity, and what comes along with it.

use fastrand::Rng;

use crate::interface::{Endpoint, Segment};
use crate::values::{Values, Zipf};

pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    /// Which endpoint it is a call of; `None` for what no endpoint answers.
    pub(crate) endpoint: Option<usize>,
}

pub(crate) struct Traffic<'a> {
    endpoints: &'a [Endpoint],
    popular: Vec<usize>,
    zipf: Zipf,
    values: Values,
    pub(crate) rng: Rng,
}

/// Answered although no description mentions it.
pub(crate) const HEALTH: &str = "/healthz";

impl<'a> Traffic<'a> {
    pub(crate) fn new(endpoints: &'a [Endpoint], seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut popular: Vec<_> = (0..endpoints.len()).collect();
        rng.shuffle(&mut popular);
        Self { endpoints, popular, zipf: Zipf::new(endpoints.len(), 1.0), values: Values::new(), rng }
    }

    pub(crate) fn next(&mut self) -> Sent {
        match self.rng.u8(0..100) {
            0..5 => self.scan(),
            5..7 => {
                let sent = self.call();
                Sent { method: "OPTIONS".to_owned(), status: 204, endpoint: None, ..sent }
            }
            7 => {
                let sent = self.call();
                Sent { method: "HEAD".to_owned(), status: 200, endpoint: None, ..sent }
            }
            8 => Sent { method: "GET".to_owned(), path: HEALTH.to_owned(), status: 200, endpoint: None },
            _ => self.call(),
        }
    }

    fn call(&mut self) -> Sent {
        let number = self.popular[self.zipf.draw(&mut self.rng)];
        let endpoint = &self.endpoints[number];
        let mut path = String::new();
        for segment in &endpoint.segments {
            path.push('/');
            match segment {
                Segment::Word(word) => path.push_str(word),
                Segment::Value { before, parameter, after } => {
                    path.push_str(before);
                    path.push_str(&self.values.draw(parameter, &mut self.rng));
                    // A second parameter in one segment: `{base}...{head}`.
                    let mut after = after.as_str();
                    while let Some((text, rest)) = after.split_once('{') {
                        path.push_str(text);
                        path.push_str(&self.values.draw(parameter, &mut self.rng));
                        after = rest.split_once('}').map_or("", |(_, rest)| rest);
                    }
                    path.push_str(after);
                }
            }
        }
        let status = match self.rng.u8(0..100) {
            0..2 => 401,
            2..3 => 403,
            3..6 => 404,
            6..7 => 422,
            7 => 500,
            8..12 => 304,
            12..16 => 201,
            _ => 200,
        };
        Sent { method: endpoint.method.clone(), path, status, endpoint: Some(number) }
    }

    /// A scanner: well-known paths and made-up ones, some below real ones; a firewall refuses a third.
    fn scan(&mut self) -> Sent {
        const KNOWN: [&str; 20] = [
            "/.env",
            "/wp-login.php",
            "/wp-admin/setup-config.php",
            "/.git/config",
            "/phpmyadmin/index.php",
            "/admin/config.php",
            "/cgi-bin/luci",
            "/actuator/env",
            "/server-status",
            "/vendor/phpunit/phpunit.xsd",
            "/api/.env",
            "/config.json",
            "/backup.zip",
            "/solr/admin/info/system",
            "/boaform/admin/formLogin",
            "/owa/auth/logon.aspx",
            "/HNAP1/",
            "/manager/html",
            "/console/",
            "/telescope/requests",
        ];
        let rng = &mut self.rng;
        let junk = |rng: &mut Rng| -> String { (0..rng.usize(3..12)).map(|_| rng.lowercase()).collect() };
        let path = match rng.u8(0..4) {
            0 | 1 => KNOWN[rng.usize(..KNOWN.len())].to_owned(),
            2 => format!("/{}/{}.php", junk(rng), junk(rng)),
            _ => {
                let endpoint = &self.endpoints[rng.usize(..self.endpoints.len())];
                match endpoint.segments.first() {
                    Some(Segment::Word(word)) => format!("/{word}/{}.php", junk(rng)),
                    _ => format!("/{}", junk(rng)),
                }
            }
        };
        let method = if rng.u8(0..5) == 0 { "POST" } else { "GET" };
        let status = if rng.u8(0..3) == 0 { 403 } else { 404 };
        Sent { method: method.to_owned(), path, status, endpoint: None }
    }
}
