//! The `Plan`: a configuration that is valid, resolved and comparable. Nothing in it is text that still
//! has to be understood, every name in it exists, and every default is filled in.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use starve_compare::Rules;
use starve_migration::{Policy, StickyKey};
use starve_routing::{Pattern, Predicates};

use crate::changes::{Changes, FilesPlan, RespondPlan};
use crate::sunset::SunsetPlan;
use crate::upstream::{ServerPlan, UpstreamPlan};

/// The name of the default upstream, to which everything goes that no route matches.
pub const LEGACY: &str = "legacy";

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub listeners: Vec<ListenerPlan>,
    /// Worker threads; `None` is one per core.
    pub workers: Option<NonZeroUsize>,
    pub limits: LimitsPlan,
    /// Whose `X-Forwarded-*` and `Forwarded` are believed and passed on, and whose PROXY headers are.
    pub trusted_proxies: Vec<IpNet>,
    /// `None` when switched off with `admin: off`.
    pub admin: Option<AdminPlan>,
    pub ledger: LedgerPlan,
    pub callers: CallersPlan,
    /// By name; [`LEGACY`] is always there.
    pub upstreams: BTreeMap<String, Arc<UpstreamPlan>>,
    pub functions: BTreeMap<String, Arc<FunctionPlan>>,
    /// In the order of the file.
    pub routes: Vec<Arc<RoutePlan>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ListenerPlan {
    pub address: SocketAddr,
    pub tls: Option<TlsPlan>,
    /// `proxy-protocol: required`: each connection begins with a PROXY header, and only
    /// [`Plan::trusted_proxies`] may connect.
    pub proxy_protocol: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TlsPlan {
    /// Never empty.
    pub certificates: Vec<CertificatePlan>,
    pub min_version: TlsVersion,
    /// `None`: clients are not asked for a certificate.
    pub client_auth: Option<ClientAuthPlan>,
}

/// A version of TLS; those before 1.2 are not spoken (RFC 8996).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    #[default]
    V1_2,
    V1_3,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ClientAuthPlan {
    /// PEM; one of its certificates must have signed the client's. Already joined.
    pub ca: PathBuf,
    /// Whether a client without a certificate is turned away.
    pub required: bool,
    /// The field in which the server behind is shown the certificate (RFC 9440), in lower case.
    pub pass_as: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CertificatePlan {
    /// PEM, the leaf first; absolute or relative to the configuration file's folder, already joined.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// All limits of the data path; defaults and units in `docs/limits.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitsPlan {
    /// `head-timeout`: time for a whole request head.
    pub head_timeout: Duration,
    /// Bytes a second of a request's head; `None` is any.
    pub min_head_rate: Option<u64>,
    /// `head-bytes`: largest request head.
    pub head_bytes: usize,
    /// `uri-bytes`: longest request target.
    pub uri_bytes: usize,
    /// `body-bytes`: largest request body; `None` is unlimited.
    pub body_bytes: Option<u64>,
    /// `body-timeout`: longest silence inside a request body.
    pub body_timeout: Duration,
    /// `min-body-rate`: bytes a second that a request body must come with on average, from `body-timeout` after
    /// its beginning; `None` is any.
    pub min_body_rate: Option<u64>,
    /// `send-timeout`: how long a client may take nothing of an answer that waits for it.
    pub send_timeout: Duration,
    /// `connections`: open client connections over all listeners.
    pub connections: usize,
    /// `connections-per-address`: of those, from one IPv4 address or one IPv6 network of 64 bits; `None` is
    /// any. Connections of [`Plan::trusted_proxies`] do not count.
    pub connections_per_address: Option<usize>,
    /// `handshakes`: TLS handshakes at once over all listeners.
    pub handshakes: usize,
    /// `handshake-timeout`: time for a TLS handshake, waiting for its turn included.
    pub handshake_timeout: Duration,
    /// `http2-streams`: streams at once per HTTP/2 connection.
    pub http2_streams: u32,
    /// `http2-resets`: streams that a client may reset per HTTP/2 connection, beside one in eight of those it
    /// opened.
    pub http2_resets: u32,
    /// `http2-control-frames`: frames per second and HTTP/2 connection that carry no request, such as PING.
    pub http2_control_frames: u32,
    /// `http2-ping-interval`: silence after which an HTTP/2 client is asked whether it is there.
    pub http2_ping_interval: Duration,
    /// `http2-ping-timeout`: how long it may take to answer that.
    pub http2_ping_timeout: Duration,
    /// `in-flight`: requests being answered at once over all listeners.
    pub in_flight: usize,
    /// `idle-timeout`: how long an idle client connection is kept.
    pub idle_timeout: Duration,
    /// `drain-timeout`: how long a shutdown waits for requests in flight.
    pub drain_timeout: Duration,
    /// `shadow-queue`: copies waiting to be sent.
    pub shadow_queue: usize,
    /// `shadow-body-bytes`: largest body that is copied, and captured for comparison, per side.
    pub shadow_body_bytes: usize,
    /// `detached-writes`: calls that go on at once without their clients.
    pub detached_writes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AdminPlan {
    pub address: SocketAddr,
    /// Required on any address that is not loopback.
    pub token: Option<Secret>,
}

/// Whether and how callers are told apart.
#[derive(Clone, Debug, PartialEq)]
pub struct CallersPlan {
    /// False with `callers: off`.
    pub on: bool,
    /// What names a client; `None`: nothing does.
    pub id: Option<CallerId>,
}

impl Default for CallersPlan {
    fn default() -> Self {
        Self { on: true, id: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerId {
    /// `header:NAME`.
    Header(String),
    /// `jwt:CLAIM`: a claim of the token in `Authorization: Bearer`, unverified.
    Jwt(String),
}

/// A text that never shows in logs or debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum LedgerPlan {
    /// `sqlite:FILE`, already joined with the configuration file's folder.
    Sqlite(PathBuf),
}

#[derive(Clone, Debug, PartialEq)]
pub struct FunctionPlan {
    pub name: String,
    pub host: FunctionHost,
    /// The whole call, from the first byte sent to the answer's head.
    pub timeout: Duration,
    /// Calls at once.
    pub concurrency: usize,
    /// Calls that may wait for their turn; one more is answered 503 with `Retry-After`.
    pub queue: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FunctionHost {
    Wasm {
        /// Joined with the configuration file's folder.
        file: PathBuf,
        memory_bytes: u64,
        /// Hosts (with an optional port) that the component may call; empty is none.
        outbound: Vec<String>,
    },
    Process {
        /// Program and arguments; never empty. A program with a slash is already joined with the
        /// configuration file's folder; arguments are as written.
        command: Vec<String>,
        /// `directory:`, else the configuration file's folder.
        working_dir: PathBuf,
        /// Further environment variables; never `PORT`.
        env: BTreeMap<String, String>,
        scale: ScalePlan,
    },
    Http {
        server: ServerPlan,
        /// A path that replaces the client's; `None` keeps it.
        path: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalePlan {
    pub min: usize,
    pub max: usize,
    /// An instance without calls for this long is stopped, down to `min`.
    pub idle: Duration,
    /// Time from spawning to the first accepted connection.
    pub start_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RoutePlan {
    /// The `name:` or else the `match` text in its canonical form: the label in metrics and reports.
    pub id: String,
    pub pattern: Pattern,
    pub when: Predicates,
    /// A name in [`Plan::upstreams`].
    pub upstream: String,
    /// A name in [`Plan::functions`]; there whenever the stage needs one.
    pub function: Option<String>,
    pub policy: Policy,
    pub sticky: StickyKey,
    /// Routes of one group split their users alike; the route's id where the file names none.
    pub group: String,
    pub compare: Rules,
    /// `fallback: legacy`: the monolith answers when the function fails before its first byte.
    pub fallback: bool,
    /// A folder in the function's place; there is no `function` then.
    pub files: Option<FilesPlan>,
    /// From the call to the head of the answer, of either side.
    pub timeout: Option<Duration>,
    /// `on-client-abort: finish`: a write goes on when its client leaves.
    pub finish_writes: bool,
    pub changes: Changes,
    /// The proxy's own answer; no side is asked.
    pub respond: Option<RespondPlan>,
    pub sunset: Option<SunsetPlan>,
    /// By what calls are counted beside the route, where one path serves many operations.
    pub operations: Option<OperationsPlan>,
    /// Line of the route in its file, from 1.
    pub line: usize,
}

/// `operations: graphql` or `json-rpc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationsPlan {
    GraphQl,
    JsonRpc,
}

impl fmt::Display for OperationsPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GraphQl => "graphql",
            Self::JsonRpc => "json-rpc",
        })
    }
}

impl Plan {
    pub fn legacy(&self) -> &Arc<UpstreamPlan> {
        &self.upstreams[LEGACY]
    }

    /// Whether this address is one of the trusted proxies.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// The route with this id.
    pub fn route(&self, id: &str) -> Option<&Arc<RoutePlan>> {
        self.routes.iter().find(|route| route.id == id)
    }
}

impl RoutePlan {
    /// Whether both say the same, wherever in their files they stand.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let moved = Self { line: other.line, ..self.clone() };
        moved == *other
    }
}

impl Default for LimitsPlan {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            head_bytes: 64 << 10,
            uri_bytes: 16 << 10,
            body_bytes: None,
            body_timeout: Duration::from_secs(60),
            min_body_rate: None,
            min_head_rate: None,
            send_timeout: Duration::from_secs(60),
            connections: 20_000,
            connections_per_address: None,
            handshakes: 1_024,
            handshake_timeout: Duration::from_secs(10),
            http2_streams: 128,
            http2_resets: 200,
            http2_control_frames: 1_000,
            http2_ping_interval: Duration::from_secs(30),
            http2_ping_timeout: Duration::from_secs(20),
            in_flight: 10_000,
            idle_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            shadow_queue: 1_024,
            shadow_body_bytes: 1 << 20,
            detached_writes: 1_000,
        }
    }
}

impl Default for ScalePlan {
    fn default() -> Self {
        Self { min: 0, max: 1, idle: Duration::from_secs(60), start_timeout: Duration::from_secs(10) }
    }
}

/// Where the proxy listens when the file does not say.
pub const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Where the admin pages are when the file does not say.
pub const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);
