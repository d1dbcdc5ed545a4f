//! The plan of an upstream: its servers, and how they are chosen, watched and reached.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamPlan {
    pub name: String,
    /// Never empty.
    pub servers: Vec<ServerPlan>,
    pub balance: Balance,
    pub timeouts: UpstreamTimeouts,
    pub host: HostPolicy,
    /// `None`: servers are not asked how they are.
    pub health: Option<HealthPlan>,
    pub ejection: EjectionPlan,
    pub retry: RetryPlan,
    pub limits: ServerLimits,
    pub tls: UpstreamTlsPlan,
    pub protocol: Protocol,
    /// Servers are told the client's address in front of each connection.
    pub proxy_protocol: Option<ProxyProtocol>,
}

impl UpstreamPlan {
    /// These servers, and the defaults for everything else.
    pub fn new(name: impl Into<String>, servers: Vec<ServerPlan>) -> Self {
        Self {
            name: name.into(),
            servers,
            balance: Balance::default(),
            timeouts: UpstreamTimeouts::default(),
            host: HostPolicy::Preserve,
            health: None,
            ejection: EjectionPlan::default(),
            retry: RetryPlan::default(),
            limits: ServerLimits::default(),
            tls: UpstreamTlsPlan::default(),
            protocol: Protocol::default(),
            proxy_protocol: None,
        }
    }
}

/// One server of an upstream. A host is in lower case, and an IPv6 address without its brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerPlan {
    /// `http://HOST[:PORT]`.
    Http { host: String, port: u16 },
    /// `https://HOST[:PORT]`, always verified.
    Https { host: String, port: u16 },
    /// `h2c://HOST[:PORT]`: HTTP/2 without TLS, by prior knowledge (RFC 9113 §3.3).
    H2c { host: String, port: u16 },
    /// `unix:/PATH`.
    Unix { path: PathBuf },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    #[default]
    LeastRequests,
    /// The same user goes to the same server as long as it is there.
    Sticky(Affinity),
}

/// What tells users apart for [`Balance::Sticky`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// The client's address, as the servers see it in `X-Forwarded-For`.
    #[default]
    Address,
    /// The value of a cookie; without it, the address.
    Cookie(String),
    /// The value of a header field, its name in lower case; without it, the address.
    Header(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// Until a connection stands (name look-up, TCP, TLS).
    pub connect: Duration,
    /// From the request being sent to the answer's head.
    pub first_byte: Duration,
    /// Longest silence inside a body, and how long an idle connection is kept in the pool.
    pub idle: Duration,
}

/// Which `Host` the server sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    /// The client's.
    Preserve,
    /// The server's own; the client's stands in `X-Forwarded-Host`.
    Target,
}

/// Servers are asked regularly, each over a connection of its own; 2xx and 3xx are good answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthPlan {
    /// Path and query.
    pub path: String,
    /// The `Host` of the question; the server's own where `None`.
    pub host: Option<String>,
    pub interval: Duration,
    /// From connecting to the head of the answer.
    pub timeout: Duration,
    /// Good answers in a row that bring a server back.
    pub healthy: u32,
    /// Bad ones in a row that take it out.
    pub unhealthy: u32,
}

/// Servers on which calls fail are left out for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionPlan {
    /// Failed calls in a row on one server, each without an answer in HTTP; `None` leaves none out.
    pub failures: Option<u32>,
    /// The first time; twice as long the next, and so on.
    pub time: Duration,
    /// The longest time.
    pub time_max: Duration,
}

/// How many requests may be sent to a further server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// Percent of the requests of the last seconds.
    pub budget: u32,
    /// So many per second in any case.
    pub per_second: u32,
}

/// What one server is spared; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Open connections to one server, idle ones included.
    pub connections: Option<usize>,
    /// Requests at once on one server.
    pub in_flight: Option<usize>,
    /// Requests that wait for a place, over all servers of the upstream.
    pub queue: usize,
    /// The longest wait.
    pub wait: Duration,
}

/// Files are PEM, joined with the configuration file's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTlsPlan {
    /// Who may have signed the servers' certificates, in place of the system's roots.
    pub ca: Option<PathBuf>,
    /// What the proxy shows for itself: certificate chain and key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name in SNI that the certificate must bear, in place of the server's host.
    pub server_name: Option<String>,
}

/// What is spoken over TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Http1,
    /// And nothing else.
    Http2,
    /// HTTP/2 where the server offers it (ALPN).
    Auto,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    V1,
    V2,
}

impl fmt::Display for ServerPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port, usual) = match self {
            Self::Http { host, port } => ("http", host, *port, 80),
            Self::Https { host, port } => ("https", host, *port, 443),
            Self::H2c { host, port } => ("h2c", host, *port, 80),
            Self::Unix { path } => return write!(f, "unix:{}", path.display()),
        };
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{host}{close}")?;
        if port != usual { write!(f, ":{port}") } else { Ok(()) }
    }
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(60),
        }
    }
}

impl HealthPlan {
    /// This path, and the defaults for everything else.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            host: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy: 2,
            unhealthy: 3,
        }
    }
}

impl Default for EjectionPlan {
    fn default() -> Self {
        Self { failures: Some(5), time: Duration::from_secs(10), time_max: Duration::from_secs(300) }
    }
}

impl Default for RetryPlan {
    fn default() -> Self {
        Self { budget: 20, per_second: 10 }
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { connections: None, in_flight: None, queue: 1_024, wait: Duration::from_secs(2) }
    }
}
