//! The admin address of a running proxy, as a client sees it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use starve_engine::ConfigFile;
use tokio::net::TcpStream;

use crate::arguments::Global;
use crate::output::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A reload compiles components; reports read a year of counts.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// A report on an inventory of 100,000 endpoints has some 100 MB.
const ANSWER_BYTES_MAX: usize = 512 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Admin {
    address: String,
    token: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// Nothing listens there: no proxy runs.
    NotRunning {
        address: String,
        reason: String,
    },
    Failed(String),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotRunning { address, reason } => Self::new(format!(
                "no proxy answers at {address} ({reason}); start one with `starve run`, or name its admin \
                 address with --admin"
            )),
            ClientError::Failed(reason) => Self::new(reason),
        }
    }
}

impl Admin {
    /// The address from the command line or the environment, else the one in the configuration file.
    pub(crate) fn of(global: &Global) -> Result<Self, Failure> {
        let token = global.admin_token.clone();
        if let Some(address) = &global.admin {
            let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
            return Ok(Self { address, token });
        }
        let read = ConfigFile::new(&global.config).read()?;
        let Some(admin) = &read.plan.admin else {
            return Err(Failure::new("the configuration has `admin: off`: there is no address to talk to"));
        };
        let token = token.or_else(|| admin.token.as_ref().map(|token| token.0.clone()));
        Ok(Self { address: reachable(admin.address).to_string(), token })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.call(Method::GET, path, String::new())
    }

    pub(crate) fn post(&self, path: &str, body: &impl serde::Serialize) -> Result<Answer, ClientError> {
        let body = serde_json::to_string(body).map_err(|error| ClientError::Failed(error.to_string()))?;
        self.call(Method::POST, path, body)
    }

    fn call(&self, method: Method, path: &str, body: String) -> Result<Answer, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ClientError::Failed(error.to_string()))?;
        runtime.block_on(async {
            let call = self.exchange(method, path, body);
            let timeout = || ClientError::Failed(format!("{} does not answer", self.address));
            tokio::time::timeout(ANSWER_TIMEOUT, call).await.unwrap_or_else(|_| Err(timeout()))
        })
    }

    async fn exchange(&self, method: Method, path: &str, body: String) -> Result<Answer, ClientError> {
        let not_running = |reason: String| ClientError::NotRunning { address: self.address.clone(), reason };
        let failed = |error: &dyn std::error::Error| {
            ClientError::Failed(format!("{}: {}", self.address, crate::output::chain(error)))
        };
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address)).await;
        let stream = connecting
            .map_err(|_| not_running("no connection in 2 s".to_owned()))?
            .map_err(|error| not_running(error.to_string()))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        // Ends with the exchange, at the latest with the runtime.
        tokio::spawn(async move {
            let _outcome = connection.await;
        });
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::<Bytes>::from(body)).map_err(|error| failed(&error))?;
        let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| failed(&*error))?.to_bytes();
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl Answer {
    /// The body of a good answer.
    pub(crate) fn ok(self) -> Result<String, Failure> {
        if self.status.is_success() { Ok(self.body) } else { Err(Failure::new(self.problem())) }
    }

    /// What a problem document (RFC 9457) says.
    fn problem(&self) -> String {
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        let text = |key: &str| document.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        text("detail").or_else(|| text("title")).unwrap_or_else(|| format!("status {}", self.status))
    }
}

/// An address to listen on everywhere is reached on this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}
