//! Which operation of an interface a call is for, where one path serves many: GraphQL and JSON-RPC.
//!
//! A [`Peek`] reads a request's body as it passes by, piece by piece, and remembers no more of it than the names that it
//! looks for. Invariant: at most [`PEEK_BYTES_MAX`] bytes are looked at, and whatever they hold, nothing fails: what
//! cannot be read is [`UNREADABLE`].

mod graphql;
mod json;

use std::borrow::Cow;

use json::{Json, Message};

/// So many bytes of a body are looked at.
pub const PEEK_BYTES_MAX: usize = 64 * 1024;
/// So many operations of one batch are told apart; further ones are [`OTHER`].
pub const BATCH_MAX: usize = 32;
/// Longer names are [`OTHER`].
pub const NAME_BYTES_MAX: usize = 100;

/// A GraphQL operation without a name.
pub const ANONYMOUS: &str = "(anonymous)";
/// No operation could be read: another format, too large, broken off, or none in it.
pub const UNREADABLE: &str = "(unreadable)";
/// Names that are not told apart.
pub const OTHER: &str = "(other)";

/// How operations are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `operationName`, else the name of the first operation of `query`.
    GraphQl,
    /// `method` of JSON-RPC 1 and 2.
    JsonRpc,
}

/// One request's body on its way.
#[derive(Debug)]
pub struct Peek {
    protocol: Protocol,
    names: Vec<Cow<'static, str>>,
    looked_at: usize,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Json(Json),
    /// The body is a GraphQL document.
    Document(Vec<u8>),
    /// Nothing more is to be learnt from it.
    Done,
}

impl Peek {
    /// For a body of this media type; without one it is taken for JSON.
    pub fn new(protocol: Protocol, content_type: Option<&str>) -> Self {
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let body = match media_type {
            "application/graphql" if protocol == Protocol::GraphQl => Body::Document(Vec::new()),
            _ => Body::Json(Json::default()),
        };
        Self { protocol, names: Vec::new(), looked_at: 0, body }
    }

    /// Of a call whose operation stands in the query of its target, as GraphQL over GET has it.
    pub fn of_query(protocol: Protocol, query: &str) -> Self {
        let mut message = Message::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let Some(part) = message.part(name.as_bytes()) {
                part.extend_decoded(value);
            }
        }
        let mut peek = Self { protocol, names: Vec::new(), looked_at: 0, body: Body::Done };
        peek.take(&message);
        peek
    }

    /// Whether more of the body would change nothing.
    pub fn is_done(&self) -> bool {
        matches!(self.body, Body::Done)
    }

    /// The next piece of the body.
    pub fn data(&mut self, bytes: &[u8]) {
        if self.is_done() {
            return;
        }
        let left = PEEK_BYTES_MAX - self.looked_at;
        let piece = &bytes[..bytes.len().min(left)];
        self.looked_at += piece.len();
        let mut body = std::mem::replace(&mut self.body, Body::Done);
        match &mut body {
            Body::Json(json) => {
                let protocol = self.protocol;
                // What one message needs is known before its end, such as before large variables.
                let enough = |message: &Message| name(protocol, message, false).is_some();
                let ended = json.read(piece, &enough, &mut |message| self.take(message));
                if ended || self.looked_at == PEEK_BYTES_MAX {
                    self.end(&body);
                } else {
                    self.body = body;
                }
            }
            Body::Document(text) => {
                text.extend_from_slice(piece);
                if self.looked_at == PEEK_BYTES_MAX {
                    self.end(&body);
                } else {
                    self.body = body;
                }
            }
            Body::Done => {}
        }
    }

    /// The operations that were found; never none.
    pub fn names(mut self) -> Vec<Cow<'static, str>> {
        let body = std::mem::replace(&mut self.body, Body::Done);
        self.end(&body);
        if self.names.is_empty() {
            self.names.push(Cow::Borrowed(UNREADABLE));
        }
        self.names
    }

    /// The body has ended, or no more of it is looked at.
    fn end(&mut self, body: &Body) {
        match body {
            Body::Json(json) => {
                if let Some(message) = json.open() {
                    self.take(message);
                }
            }
            Body::Document(text) => {
                let name = graphql::first_operation(text).map_or(Cow::Borrowed(UNREADABLE), bounded);
                self.push(name);
            }
            Body::Done => {}
        }
    }

    fn take(&mut self, message: &Message) {
        let name = name(self.protocol, message, true).unwrap_or(Cow::Borrowed(UNREADABLE));
        self.push(name);
    }

    fn push(&mut self, name: Cow<'static, str>) {
        match self.names.len() {
            0..BATCH_MAX => self.names.push(name),
            // Counted, but not told apart.
            _ if self.names.len() < 2 * BATCH_MAX => self.names.push(Cow::Borrowed(OTHER)),
            _ => {}
        }
    }
}

/// What a message is for; `None` where nothing in it says so. `whole`: nothing more of it is coming.
fn name(protocol: Protocol, message: &Message, whole: bool) -> Option<Cow<'static, str>> {
    let part = match protocol {
        Protocol::JsonRpc => &message.method,
        Protocol::GraphQl => &message.operation_name,
    };
    if let Some(text) = part.text() {
        return Some(bounded(text));
    }
    if protocol == Protocol::JsonRpc || !whole {
        return None;
    }
    graphql::first_operation(message.query.beginning()?).map(bounded)
}

/// A name as it may be counted: printable, without `#`, of some length.
fn bounded(name: &[u8]) -> Cow<'static, str> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#' && *byte != b'(';
    match std::str::from_utf8(name) {
        Ok("") => Cow::Borrowed(ANONYMOUS),
        Ok(text) if text.len() <= NAME_BYTES_MAX && text.as_bytes().iter().all(is_plain) => {
            Cow::Owned(text.to_owned())
        }
        _ => Cow::Borrowed(OTHER),
    }
}

#[cfg(test)]
mod tests;
