//! `proxies.json` as entries for routes.yaml: routes, and the servers behind them as upstreams.
//!
//! Application settings (`%NAME%`) and variables are carried over as far as routes.yaml has them; what it has not is a
//! comment beside the entry and a [`Note`].

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::azure::{self, Proxy};
use super::{Format, Note, Unreadable, document};

/// Entries for routes.yaml: `upstreams:` and `routes:`.
///
/// # Errors
/// The text is no `proxies.json`.
pub fn proxies_to_routes(text: &str) -> Result<(String, Vec<Note>), Unreadable> {
    let root = document::json(Format::Azure, text)?;
    let mut conversion = Conversion::default();
    for found in azure::proxies(text, &root)? {
        match found {
            Ok(proxy) if proxy.disabled => {
                conversion.note(&proxy, "is disabled: it answered 404; left out", true);
            }
            Ok(proxy) => conversion.proxy(&proxy),
            Err((name, message)) => conversion.notes.push(Note {
                line: 0,
                place: name.to_owned(),
                message: message.to_owned(),
                left_out: true,
            }),
        }
    }
    Ok(conversion.finish())
}

#[derive(Default)]
struct Conversion {
    /// Name by origin.
    upstreams: BTreeMap<String, String>,
    routes: String,
    notes: Vec<Note>,
}

impl Conversion {
    fn note(&mut self, proxy: &Proxy<'_>, message: &str, left_out: bool) {
        let place = proxy.name.to_owned();
        self.notes.push(Note { line: proxy.line, place, message: message.to_owned(), left_out });
    }

    fn proxy(&mut self, proxy: &Proxy<'_>) {
        let methods = if proxy.methods.is_empty() {
            "*".to_owned()
        } else {
            proxy.methods.join(",").to_ascii_uppercase()
        };
        let overrides = |key: &str| proxy.definition.get(key).and_then(Value::as_object);
        let backend = proxy.definition.get("backendUri").and_then(Value::as_str);
        for path in azure::paths(proxy.route) {
            let pattern = format!("{methods} {}", path.text(""));
            let _written = writeln!(self.routes, "  - match: {}", quoted(&pattern));
            let _written = writeln!(self.routes, "    name: {}", quoted(&self.name(proxy, &pattern)));
            match backend {
                None => self.respond(proxy, overrides("responseOverrides")),
                Some(backend) => {
                    self.backend(proxy, backend, &path.text(""));
                    self.request(proxy, overrides("requestOverrides"));
                    self.response(proxy, overrides("responseOverrides"));
                }
            }
        }
    }

    /// An optional parameter makes two routes of a proxy; the second one is told apart by its path.
    fn name(&self, proxy: &Proxy<'_>, pattern: &str) -> String {
        let taken = self.routes.contains(&format!("    name: {}\n", quoted(proxy.name)));
        if taken { format!("{} {pattern}", proxy.name) } else { proxy.name.to_owned() }
    }

    fn backend(&mut self, proxy: &Proxy<'_>, backend: &str, path: &str) {
        let Some((scheme, rest)) = backend.split_once("://") else {
            return self.note(proxy, "has a `backendUri` that is no address; set `legacy:` by hand", false);
        };
        let (host, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if host.contains(['{', '%']) {
            self.note(proxy, "chooses its server by a variable or setting; set `legacy:` by hand", false);
        } else if host == "localhost" {
            self.note(proxy, "calls a function of its own app; set `function:` by hand", false);
        } else {
            let wanted = format!("{}-{}", proxy.name.to_ascii_lowercase().replace(' ', "-"), "backend");
            let name = self.upstreams.entry(format!("{scheme}://{host}")).or_insert(wanted).clone();
            let _written = writeln!(self.routes, "    legacy: {}", quoted(&name));
        }
        let target = target.split('?').next().unwrap_or_default();
        let rewritten = without_absent(&variables(if target.is_empty() { "/" } else { target }), path);
        if rewritten != path.replace("*}", "}").replace(":int}", "}").replace(":uuid}", "}") {
            let _written = writeln!(self.routes, "    rewrite: {}", quoted(&rewritten));
        }
    }

    fn request(&mut self, proxy: &Proxy<'_>, overrides: Option<&Map<String, Value>>) {
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for (key, value) in overrides.into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match key.strip_prefix("backend.request.headers.") {
                Some(name) if text.is_empty() => remove.push(name.to_owned()),
                Some(name) => set.push((name.to_owned(), variables(&text))),
                None => self.note(proxy, &format!("sets `{key}`, which is not carried over"), false),
            }
        }
        self.changes("request", &set, &remove, None);
    }

    fn response(&mut self, proxy: &Proxy<'_>, overrides: Option<&Map<String, Value>>) {
        let (mut set, mut remove, mut status) = (Vec::new(), Vec::new(), None);
        for (key, value) in overrides.into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match key.strip_prefix("response.headers.") {
                Some(name) if text.is_empty() => remove.push(name.to_owned()),
                Some(name) => set.push((name.to_owned(), variables(&text))),
                None if key == "response.statusCode" => status = text.parse::<u16>().ok(),
                None => self.note(proxy, &format!("sets `{key}`, which is not carried over"), false),
            }
        }
        self.changes("response", &set, &remove, status);
    }

    fn changes(&mut self, what: &str, set: &[(String, String)], remove: &[String], status: Option<u16>) {
        if set.is_empty() && remove.is_empty() && status.is_none() {
            return;
        }
        let _written = writeln!(self.routes, "    {what}:");
        if let Some(status) = status {
            let _written = writeln!(self.routes, "      status: {status}");
        }
        self.fields("set", set);
        if !remove.is_empty() {
            let names: Vec<_> = remove.iter().map(|name| quoted(name)).collect();
            let _written = writeln!(self.routes, "      remove: [{}]", names.join(", "));
        }
    }

    fn fields(&mut self, key: &str, fields: &[(String, String)]) {
        if fields.is_empty() {
            return;
        }
        let _written = writeln!(self.routes, "      {key}:");
        for (name, value) in fields {
            let _written = writeln!(self.routes, "        {}: {}", quoted(name), quoted(value));
        }
    }

    /// A proxy without a backend answers by itself, with 200 where nothing else is said.
    fn respond(&mut self, proxy: &Proxy<'_>, overrides: Option<&Map<String, Value>>) {
        let (mut status, mut headers, mut body) = (200, Vec::new(), None);
        for (key, value) in overrides.into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match (key.as_str(), key.strip_prefix("response.headers.")) {
                ("response.statusCode", _) => status = text.parse().unwrap_or(200),
                ("response.body", _) => body = Some(text),
                (_, Some(name)) => headers.push((name.to_owned(), variables(&text))),
                _ => self.note(proxy, &format!("sets `{key}`, which is not carried over"), false),
            }
        }
        let _written = writeln!(self.routes, "    respond:\n      status: {status}");
        self.fields("headers", &headers);
        if let Some(body) = body {
            let _written = writeln!(self.routes, "      body: {}", quoted(&body));
        }
    }

    fn finish(self) -> (String, Vec<Note>) {
        let mut text = String::new();
        if !self.upstreams.is_empty() {
            text.push_str("upstreams:\n");
            for (origin, name) in &self.upstreams {
                let _written = writeln!(text, "  {}: {}", quoted(name), quoted(origin));
            }
        }
        text.push_str("routes:\n");
        text.push_str(&self.routes);
        (text, self.notes)
    }
}

/// `{request.querystring.X}` is `{request.query.X}` here, and settings are variables of the environment.
fn variables(text: &str) -> String {
    text.replace("{request.querystring.", "{request.query.")
        .replace("{backend.response.statusCode}", "{response.status}")
        .replace("{backend.response.headers.", "{response.headers.")
        .replace("{backend.request.headers.", "{request.headers.")
}

/// A parameter that this spelling of the path does not have is empty, and so is the segment it was.
fn without_absent(target: &str, path: &str) -> String {
    let is_there = |name: &str| ["}", ":", "*}"].iter().any(|end| path.contains(&format!("{{{name}{end}")));
    let segments = target.split('/').filter(|segment| {
        let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        name.is_none_or(|name| name.contains('.') || is_there(name))
    });
    let kept: Vec<_> = segments.collect();
    if kept.len() < 2 { "/".to_owned() } else { kept.join("/") }
}

/// A YAML scalar in double quotes: whatever it holds, it is this text.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}
