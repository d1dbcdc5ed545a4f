use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// Why a call has no answer of its own. The kind alone decides the status and the `Proxy-Status` type
/// (RFC 9209 §2.3); the source is for the log, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is ambiguous or malformed: 400.
    BadRequest,
    /// The request's body is larger than the limit: 413.
    BodyTooLarge,
    /// The request target is longer than the limit: 414.
    TargetTooLong,
    /// The request's head has more bytes or fields than the limit: 431.
    HeadTooLarge,
    /// The request, or its body, came too slowly: 408.
    RequestTimeout,
    /// A major version of HTTP that is not spoken here: 505.
    VersionUnsupported,
    /// A method that this proxy does not serve (CONNECT): 501.
    MethodUnsupported,
    /// An expectation that cannot be met: 417.
    ExpectationFailed,
    /// The route is retired: 410.
    Gone,
    /// The route is switched off for a while, on purpose: 410.
    Brownout,
    /// Too much in flight, or too many calls waiting: 503 with `Retry-After`.
    Overloaded,
    /// No server of the upstream accepts connections: 502.
    Connect,
    /// A connection did not stand in time: 504.
    ConnectTimeout,
    /// The server closed before its answer was complete: 502.
    Incomplete,
    /// The answer is not valid HTTP: 502.
    Protocol,
    /// The answer's head did not come in time: 504.
    ResponseTimeout,
    /// The client's body broke off; there is nobody left to answer.
    ClientGone,
    /// The function did not start: 503.
    FunctionStart,
    /// The function broke off (crash, trap, memory limit): 502.
    FunctionFailed,
    /// The function ran over its time: 504.
    FunctionTimeout,
}

impl ErrorKind {
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::ClientGone => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::VersionUnsupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::MethodUnsupported => StatusCode::NOT_IMPLEMENTED,
            Self::ExpectationFailed => StatusCode::EXPECTATION_FAILED,
            Self::Gone | Self::Brownout => StatusCode::GONE,
            Self::Overloaded | Self::FunctionStart => StatusCode::SERVICE_UNAVAILABLE,
            Self::Connect | Self::Incomplete | Self::Protocol | Self::FunctionFailed => {
                StatusCode::BAD_GATEWAY
            }
            Self::ConnectTimeout | Self::ResponseTimeout | Self::FunctionTimeout => {
                StatusCode::GATEWAY_TIMEOUT
            }
        }
    }

    /// The error type of RFC 9209 §2.3 (registry "HTTP Proxy Error Types").
    pub fn proxy_status(self) -> &'static str {
        match self {
            Self::BadRequest
            | Self::ExpectationFailed
            | Self::MethodUnsupported
            | Self::VersionUnsupported
            | Self::RequestTimeout
            | Self::ClientGone => "http_request_error",
            Self::BodyTooLarge | Self::TargetTooLong | Self::HeadTooLarge | Self::Gone | Self::Brownout => {
                "http_request_denied"
            }
            Self::Overloaded => "connection_limit_reached",
            Self::Connect => "connection_refused",
            Self::ConnectTimeout => "connection_timeout",
            Self::Incomplete => "http_response_incomplete",
            Self::Protocol => "http_protocol_error",
            Self::ResponseTimeout | Self::FunctionTimeout => "http_response_timeout",
            Self::FunctionStart | Self::FunctionFailed => "destination_unavailable",
        }
    }

    /// What the client is told; holds nothing of the inside.
    pub fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request is malformed or ambiguous",
            Self::BodyTooLarge => "The request body is too large",
            Self::TargetTooLong => "The request target is too long",
            Self::HeadTooLarge => "The request head is too large",
            Self::RequestTimeout => "The request did not come in time",
            Self::VersionUnsupported => "This version of HTTP is not supported",
            Self::MethodUnsupported => "The method is not supported",
            Self::ExpectationFailed => "The expectation cannot be met",
            Self::Gone => "This endpoint has been retired",
            Self::Brownout => "This endpoint is going to be retired and is switched off for a while",
            Self::Overloaded => "Too many requests at once",
            Self::Connect => "The server behind the proxy cannot be reached",
            Self::ConnectTimeout => "The server behind the proxy does not accept connections",
            Self::Incomplete => "The server behind the proxy broke off its answer",
            Self::Protocol => "The server behind the proxy did not answer in valid HTTP",
            Self::ResponseTimeout => "The server behind the proxy did not answer in time",
            Self::ClientGone => "The request broke off",
            Self::FunctionStart => "The function behind this endpoint does not start",
            Self::FunctionFailed => "The function behind this endpoint failed",
            Self::FunctionTimeout => "The function behind this endpoint did not answer in time",
        }
    }

    /// Whether the fault lies with the client, and so says nothing about the side that would have answered.
    pub fn is_clients_fault(self) -> bool {
        self.status().is_client_error() || matches!(self, Self::MethodUnsupported | Self::VersionUnsupported)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BodyTooLarge => "body_too_large",
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::VersionUnsupported => "version_unsupported",
            Self::MethodUnsupported => "method_unsupported",
            Self::ExpectationFailed => "expectation_failed",
            Self::Gone => "gone",
            Self::Brownout => "brownout",
            Self::Overloaded => "overloaded",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Incomplete => "incomplete",
            Self::Protocol => "protocol",
            Self::ResponseTimeout => "response_timeout",
            Self::ClientGone => "client_gone",
            Self::FunctionStart => "function_start",
            Self::FunctionFailed => "function_failed",
            Self::FunctionTimeout => "function_timeout",
        }
    }
}

/// A call that has no answer of its own.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    retry_after: Option<Duration>,
    unsent: Option<Box<crate::Request>>,
}

impl Error {
    /// `context` names the operation and the object, for the log.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None, retry_after: None, unsent: None }
    }

    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// How long the client should wait before it tries again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Hands the request back: not one byte of it was sent, so that it may go elsewhere whatever its method.
    #[must_use]
    pub fn with_unsent(mut self, request: crate::Request) -> Self {
        self.unsent = Some(Box::new(request));
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The request, when it was never sent.
    pub fn take_unsent(&mut self) -> Option<crate::Request> {
        self.unsent.take().map(|request| *request)
    }

    /// The message with all its causes on one line, for the log.
    pub fn chain(&self) -> String {
        let mut text = self.context.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
