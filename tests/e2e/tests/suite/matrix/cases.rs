//! What is asked, what the origin does, and what must come of it: the same for every way in and out.

use super::{In, Out};

/// What a client sends and when it leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) upload: Upload,
    pub(super) leave: Option<Leave>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    None,
    /// So many bytes, said beforehand.
    Length(usize),
    /// So many bytes, not said beforehand; with trailers.
    Streamed(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// With half of the request's body sent.
    Uploading,
    /// With the first bytes of the answer read.
    Downloading,
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The connection is closed.
    Close,
    /// The stream is reset with this code; HTTP/2 alone.
    Reset(h2::Reason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leave {
    pub(super) when: When,
    pub(super) by: By,
}

/// What the origin does with a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Reads it and answers.
    Answer(u16, Content),
    /// Answers at once, and is done with the connection or the stream.
    AnswerEarly(u16),
    /// Reads it, and breaks off.
    Break(At, How),
    /// Reads nothing until it is told to, then all of it, and answers.
    Hesitate,
    /// Answers without an end, until the other side leaves.
    Endless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Nothing,
    Length(usize),
    /// Chunks or frames; with trailers.
    Streamed(usize),
    /// Without a length or chunks, up to the end of the connection; HTTP/1 alone.
    UntilClose(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    BeforeHead,
    InsideHead,
    /// Inside content of a said length.
    InsideLength,
    /// Inside a chunk, or a DATA frame.
    InsideChunk,
    /// Between two chunks, or DATA frames.
    BetweenChunks,
    /// Inside content that has neither; HTTP/1 alone.
    UntilClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Close,
    Reset,
    /// Nothing more comes.
    Silence,
    /// The stream is reset with this code; HTTP/2 alone.
    Stream(h2::Reason),
}

/// What a client must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sees {
    /// A whole answer with so much content, with trailers or without.
    Whole(u16, usize, bool),
    /// The proxy's own word.
    Error(u16),
    /// An answer that is plainly not whole.
    Cut,
    /// It has left.
    Nothing,
}

/// What the origin must have seen of the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrives {
    Whole(usize),
    /// Plainly not whole.
    Broken,
    /// All the same.
    Any,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) ask: Ask,
    pub(super) act: Act,
    pub(super) sees: Sees,
    pub(super) arrives: Arrives,
    /// How the call is counted.
    pub(super) code: &'static str,
}

const SOME: usize = 1_000;
/// Larger than what a pair of sockets holds, and so than what can be under way unread.
pub(super) const LARGE: usize = 24 << 20;

const fn ask(method: &'static str, upload: Upload) -> Ask {
    Ask { method, upload, leave: None }
}

const GET: Ask = ask("GET", Upload::None);

const fn leaving(method: &'static str, upload: Upload, when: When, by: By) -> Ask {
    Ask { method, upload, leave: Some(Leave { when, by }) }
}

const fn answered(name: &'static str, ask: Ask, act: Act, sees: Sees, arrives: Arrives) -> Case {
    let code = match sees {
        Sees::Whole(300..=399, ..) => "3xx",
        Sees::Whole(400..=499, ..) => "4xx",
        _ => "2xx",
    };
    Case { name, ask, act, sees, arrives, code }
}

const fn broken(name: &'static str, at: At, how: How, sees: Sees) -> Case {
    let code = if matches!(sees, Sees::Error(_)) { "5xx" } else { "none" };
    Case { name, ask: GET, act: Act::Break(at, how), sees, arrives: Arrives::Whole(0), code }
}

const fn left_uploading(name: &'static str, upload: Upload, by: By) -> Case {
    let ask = leaving("POST", upload, When::Uploading, by);
    let act = Act::Answer(200, Content::Length(SOME));
    // The proxy's own 400 may be on its way to a client that has gone.
    Case { name, ask, act, sees: Sees::Nothing, arrives: Arrives::Broken, code: "" }
}

const fn left_downloading(name: &'static str, by: By) -> Case {
    let ask = leaving("GET", Upload::None, When::Downloading, by);
    Case { name, ask, act: Act::Endless, sees: Sees::Nothing, arrives: Arrives::Whole(0), code: "2xx" }
}

pub(super) const CASES: &[Case] = &[
    // Every kind of body.
    answered(
        "nothing",
        GET,
        Act::Answer(200, Content::Length(0)),
        Sees::Whole(200, 0, false),
        Arrives::Whole(0),
    ),
    answered(
        "a length",
        GET,
        Act::Answer(200, Content::Length(SOME)),
        Sees::Whole(200, SOME, false),
        Arrives::Whole(0),
    ),
    answered(
        "a stream with trailers",
        GET,
        Act::Answer(200, Content::Streamed(SOME)),
        Sees::Whole(200, SOME, true),
        Arrives::Whole(0),
    ),
    answered(
        "an empty stream",
        GET,
        Act::Answer(200, Content::Streamed(0)),
        Sees::Whole(200, 0, true),
        Arrives::Whole(0),
    ),
    answered(
        "until the close",
        GET,
        Act::Answer(200, Content::UntilClose(SOME)),
        Sees::Whole(200, SOME, false),
        Arrives::Whole(0),
    ),
    answered(
        "HEAD",
        ask("HEAD", Upload::None),
        Act::Answer(200, Content::Length(SOME)),
        Sees::Whole(200, 0, false),
        Arrives::Whole(0),
    ),
    answered(
        "HEAD of a stream",
        ask("HEAD", Upload::None),
        Act::Answer(200, Content::Nothing),
        Sees::Whole(200, 0, false),
        Arrives::Whole(0),
    ),
    answered(
        "204",
        ask("DELETE", Upload::None),
        Act::Answer(204, Content::Nothing),
        Sees::Whole(204, 0, false),
        Arrives::Whole(0),
    ),
    answered("304", GET, Act::Answer(304, Content::Nothing), Sees::Whole(304, 0, false), Arrives::Whole(0)),
    answered(
        "206",
        GET,
        Act::Answer(206, Content::Length(SOME)),
        Sees::Whole(206, SOME, false),
        Arrives::Whole(0),
    ),
    answered(
        "404",
        GET,
        Act::Answer(404, Content::Length(SOME)),
        Sees::Whole(404, SOME, false),
        Arrives::Whole(0),
    ),
    answered(
        "upload with a length",
        ask("POST", Upload::Length(SOME)),
        Act::Answer(201, Content::Length(SOME)),
        Sees::Whole(201, SOME, false),
        Arrives::Whole(SOME),
    ),
    answered(
        "upload of nothing",
        ask("POST", Upload::Length(0)),
        Act::Answer(200, Content::Length(SOME)),
        Sees::Whole(200, SOME, false),
        Arrives::Whole(0),
    ),
    answered(
        "upload with trailers",
        ask("PUT", Upload::Streamed(SOME)),
        Act::Answer(200, Content::Streamed(SOME)),
        Sees::Whole(200, SOME, true),
        Arrives::Whole(SOME),
    ),
    answered(
        "large download",
        GET,
        Act::Answer(200, Content::Length(LARGE)),
        Sees::Whole(200, LARGE, false),
        Arrives::Whole(0),
    ),
    answered(
        "large download of a stream",
        GET,
        Act::Answer(200, Content::Streamed(LARGE)),
        Sees::Whole(200, LARGE, true),
        Arrives::Whole(0),
    ),
    answered(
        "large upload",
        ask("PUT", Upload::Length(LARGE)),
        Act::Hesitate,
        Sees::Whole(200, 0, false),
        Arrives::Whole(LARGE),
    ),
    answered(
        "large upload of a stream",
        ask("POST", Upload::Streamed(LARGE)),
        Act::Hesitate,
        Sees::Whole(200, 0, false),
        Arrives::Whole(LARGE),
    ),
    answered(
        "early answer to a length",
        ask("POST", Upload::Length(SOME << 8)),
        Act::AnswerEarly(413),
        Sees::Whole(413, SOME, false),
        Arrives::Any,
    ),
    answered(
        "early answer to a stream",
        ask("POST", Upload::Streamed(SOME << 8)),
        Act::AnswerEarly(401),
        Sees::Whole(401, SOME, false),
        Arrives::Any,
    ),
    // Every way to fail.
    broken("close before the head", At::BeforeHead, How::Close, Sees::Error(502)),
    broken("reset before the head", At::BeforeHead, How::Reset, Sees::Error(502)),
    broken("silence before the head", At::BeforeHead, How::Silence, Sees::Error(504)),
    broken(
        "stream reset before the head",
        At::BeforeHead,
        How::Stream(h2::Reason::INTERNAL_ERROR),
        Sees::Error(502),
    ),
    broken(
        "stream given up before the head",
        At::BeforeHead,
        How::Stream(h2::Reason::NO_ERROR),
        Sees::Error(502),
    ),
    broken("close inside the head", At::InsideHead, How::Close, Sees::Error(502)),
    broken("reset inside the head", At::InsideHead, How::Reset, Sees::Error(502)),
    broken("silence inside the head", At::InsideHead, How::Silence, Sees::Error(504)),
    broken("close inside a length", At::InsideLength, How::Close, Sees::Cut),
    broken("reset inside a length", At::InsideLength, How::Reset, Sees::Cut),
    broken("silence inside a length", At::InsideLength, How::Silence, Sees::Cut),
    broken("close inside a chunk", At::InsideChunk, How::Close, Sees::Cut),
    broken("reset inside a chunk", At::InsideChunk, How::Reset, Sees::Cut),
    broken("silence inside a chunk", At::InsideChunk, How::Silence, Sees::Cut),
    broken("close between chunks", At::BetweenChunks, How::Close, Sees::Cut),
    broken("reset between chunks", At::BetweenChunks, How::Reset, Sees::Cut),
    broken("silence between chunks", At::BetweenChunks, How::Silence, Sees::Cut),
    broken("reset before the end is told", At::UntilClose, How::Reset, Sees::Cut),
    broken("close without the goodbye of TLS", At::UntilClose, How::Close, Sees::Cut),
    broken("silence before the end is told", At::UntilClose, How::Silence, Sees::Cut),
    broken(
        "stream reset inside a length",
        At::InsideLength,
        How::Stream(h2::Reason::INTERNAL_ERROR),
        Sees::Cut,
    ),
    broken(
        "stream reset between chunks",
        At::BetweenChunks,
        How::Stream(h2::Reason::INTERNAL_ERROR),
        Sees::Cut,
    ),
    broken("stream cancelled between chunks", At::BetweenChunks, How::Stream(h2::Reason::CANCEL), Sees::Cut),
    broken("stream given up between chunks", At::BetweenChunks, How::Stream(h2::Reason::NO_ERROR), Sees::Cut),
    // Every way to leave.
    left_uploading("leaves inside a length", Upload::Length(SOME), By::Close),
    left_uploading("leaves inside a stream", Upload::Streamed(SOME), By::Close),
    left_uploading("cancels inside a length", Upload::Length(SOME), By::Reset(h2::Reason::CANCEL)),
    left_uploading("cancels inside a stream", Upload::Streamed(SOME), By::Reset(h2::Reason::CANCEL)),
    left_uploading(
        "gives up a stream without an error",
        Upload::Streamed(SOME),
        By::Reset(h2::Reason::NO_ERROR),
    ),
    left_downloading("leaves inside an answer", By::Close),
    left_downloading("cancels an answer", By::Reset(h2::Reason::CANCEL)),
];

impl Case {
    /// Whether it can be played this way in and out.
    pub(super) fn is_for(&self, way_in: In, out: Out) -> bool {
        let is_by_stream = matches!(self.ask.leave, Some(Leave { by: By::Reset(_), .. }));
        let goes_out = match self.act {
            Act::Break(_, How::Stream(_)) => out.is_http2(),
            // To the reader of a unix socket a reset is an end, and without TLS an end is an end.
            Act::Break(At::UntilClose, How::Close) => out == Out::Http1Tls,
            Act::Break(At::UntilClose, How::Reset) => !out.is_http2() && out != Out::Unix,
            Act::Break(At::UntilClose, _) | Act::Answer(_, Content::UntilClose(_)) => !out.is_http2(),
            _ => true,
        };
        goes_out && (way_in.is_http2() || !is_by_stream)
    }

    /// Whether the proxy's patience with the origin is to be short.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.act, Act::Break(_, How::Silence))
    }
}
