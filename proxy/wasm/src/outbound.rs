//! Calls from a guest to other servers: to those that its configuration names, over plain HTTP/1.1, and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Scheme, Uri};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::WasmError;
use crate::limits::{CHUNK_BYTES_MAX, OUTBOUND_CALLS_MAX};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// HTTP's own port, for an entry or a request without one.
const DEFAULT_PORT: u16 = 80;

/// The servers that a function may call.
#[derive(Debug, PartialEq)]
pub(crate) struct Allowed(Vec<Server>);

#[derive(Debug, PartialEq)]
struct Server {
    /// In lower case.
    host: String,
    port: u16,
}

pub(crate) fn parse(function: &str, entries: &[String]) -> Result<Allowed, WasmError> {
    let servers = entries.iter().map(|entry| {
        let authority = entry.parse::<Authority>().ok();
        authority
            .as_ref()
            .and_then(server)
            .ok_or_else(|| WasmError::Outbound { function: function.to_owned(), entry: entry.clone() })
    });
    Ok(Allowed(servers.collect::<Result<_, _>>()?))
}

/// Nothing for an authority with user information or with a port that is none.
fn server(authority: &Authority) -> Option<Server> {
    let rest = authority.as_str().strip_prefix(authority.host())?;
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None if rest.is_empty() => DEFAULT_PORT,
        None => return None,
    };
    let host = authority.host().to_ascii_lowercase();
    if host.is_empty() { None } else { Some(Server { host, port }) }
}

/// One call's way out.
pub(crate) struct Hooks {
    function: Arc<str>,
    allowed: Arc<Allowed>,
    permits: Arc<Semaphore>,
}

impl Hooks {
    pub(crate) fn new(function: Arc<str>, allowed: Arc<Allowed>) -> Self {
        Self { function, allowed, permits: Arc::new(Semaphore::new(OUTBOUND_CALLS_MAX)) }
    }

    fn permitted(&self, target: &Uri) -> Result<Server, Error> {
        let server = target.authority().and_then(server).ok_or(Error::HttpRequestUriInvalid)?;
        if !self.allowed.0.contains(&server) {
            let function = &*self.function;
            tracing::warn!(function, host = server.host, port = server.port, "outbound call denied");
            return Err(Error::HttpRequestDenied);
        }
        if target.scheme() != Some(&Scheme::HTTP) {
            return Err(Error::InternalError(Some("outbound calls go over http:// only".to_owned())));
        }
        Ok(server)
    }
}

type Pending<T> = Box<dyn Future<Output = Result<T, Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Pending<()>,
    ) -> Pending<(http::Response<WasiBody>, Pending<()>)> {
        let server = self.permitted(request.uri());
        let permits = Arc::clone(&self.permits);
        Box::new(async move {
            let server = server?;
            let permit = permits.acquire_owned().await.map_err(|_| Error::ConnectionLimitReached)?;
            let (response, connection) = send(&server, request, options.unwrap_or_default()).await?;
            let rest: Pending<()> = Box::new(async move {
                let _permit = permit;
                connection.await
            });
            Ok((response, rest))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES_MAX
    }
}

type Connection = AbortOnDropJoinHandle<Result<(), Error>>;

/// One connection for one request; how long all of it may take is the call's own deadline.
async fn send(
    server: &Server,
    mut request: http::Request<WasiBody>,
    options: RequestOptions,
) -> Result<(http::Response<WasiBody>, Connection), Error> {
    let connect = TcpStream::connect((server.host.trim_matches(['[', ']']), server.port));
    let wait = options.connect_timeout.map_or(CONNECT_TIMEOUT, |wait| wait.min(CONNECT_TIMEOUT));
    let stream =
        timeout(wait, connect).await.map_err(|_| Error::ConnectionTimeout)?.map_err(Error::Connect)?;
    stream.set_nodelay(true).map_err(Error::Connect)?;

    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection: Connection = spawn(async move { connection.await.map_err(Into::into) });
    *request.uri_mut() = origin_form(request.uri());
    let response = sender.send_request(request);
    let response = match options.first_byte_timeout {
        Some(wait) => timeout(wait, response).await.map_err(|_| Error::HttpResponseTimeout)?,
        None => response.await,
    }?;
    Ok((response.map(|body| body.map_err(Into::into).boxed_unsync()), connection))
}

fn origin_form(target: &Uri) -> Uri {
    target.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str]) -> Result<Allowed, WasmError> {
        parse("f", &entries.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    fn permits(entry: &str, target: &str) -> bool {
        let hooks = Hooks::new("f".into(), Arc::new(allowed(&[entry]).unwrap()));
        hooks.permitted(&target.parse().unwrap()).is_ok()
    }

    #[test]
    fn a_host_without_a_port_is_allowed_on_its_usual_port_only() {
        assert!(permits("api.example", "http://api.example/x"));
        assert!(permits("api.example", "http://API.example:80/x"));
        assert!(!permits("api.example", "http://api.example:8080/x"));
        assert!(permits("api.example:8080", "http://api.example:8080/x"));
        assert!(!permits("api.example:8080", "http://api.example/x"));
    }

    #[test]
    fn another_host_is_denied_however_it_is_dressed_up() {
        assert!(!permits("api.example", "http://evil.example/"));
        assert!(!permits("api.example", "http://api.example@evil.example/"));
        assert!(!permits("api.example", "http://evil@api.example/"));
        assert!(!permits("api.example", "http://sub.api.example/"));
    }

    #[test]
    fn an_ipv6_address_is_a_host() {
        assert!(permits("[::1]:8080", "http://[::1]:8080/"));
        assert!(!permits("[::1]:8080", "http://[::2]:8080/"));
    }

    #[test]
    fn https_is_refused_even_where_the_host_is_allowed() {
        let hooks = Hooks::new("f".into(), Arc::new(allowed(&["api.example"]).unwrap()));
        let error = hooks.permitted(&Uri::from_static("https://api.example/")).unwrap_err();
        assert!(error.to_string().contains("http:// only"), "{error}");
    }

    #[test]
    fn an_entry_that_is_no_host_is_an_error() {
        for entry in ["", "http://a", "a/b", "user@a", "a:port", "a:99999", "a b", ":80"] {
            assert!(allowed(&[entry]).is_err(), "{entry:?} was taken");
        }
    }
}
