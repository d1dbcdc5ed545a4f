//! What an HTTP/2 client's frames cost us beside what they ask for (RFC 9113 §10.5).
//!
//! The HTTP library answers each PING and SETTINGS, opens a stream for each HEADERS, and tears it down for each
//! RST_STREAM. All are cheap to send and none is bounded by flow control, so they are counted here as their headers
//! pass (CVE-2023-44487 "rapid reset", CVE-2019-9512 "ping flood", CVE-2019-9515 "settings flood", CVE-2019-9518 "empty
//! frames", CVE-2024-27316 "continuation flood").
//!
//! Sans-io, the time is an argument. Invariant: the same frames count the same however their bytes are cut.

/// What has been sent too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    Resets,
    ControlFrames,
}

/// The beginning of a client's bytes (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;
const HEADER_BYTES: usize = 9;
/// For each so many streams that it opens, a client may reset one more.
const STREAMS_PER_RESET: u32 = 8;
/// For each frame that carries something, either way, a client may send so many that carry nothing: it has to make
/// room for what it reads (WINDOW_UPDATE), and measures the way (PING).
const CONTROL_FRAMES_PER_CONTENT: u32 = 10;
const WINDOW_MS: u64 = 1_000;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

/// Finds the headers of frames in one direction of a connection.
#[derive(Debug)]
pub(crate) struct FrameScan {
    header: [u8; HEADER_BYTES],
    /// Bytes of the header that have come.
    have: usize,
    /// Bytes until the next header.
    skip: usize,
}

impl FrameScan {
    pub(crate) fn of_client() -> Self {
        Self { skip: PREFACE_BYTES, ..Self::of_server() }
    }

    pub(crate) fn of_server() -> Self {
        Self { header: [0; HEADER_BYTES], have: 0, skip: 0 }
    }

    /// Whether all that has passed were whole frames.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.have == 0 && self.skip == 0
    }

    /// Whether the payload of the last frame has passed.
    fn is_payload_done(&self) -> bool {
        self.skip == 0
    }

    fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        *bytes = &bytes[skipped..];
        let part = (HEADER_BYTES - self.have).min(bytes.len());
        if part == 0 {
            return None;
        }
        self.header[self.have..self.have + part].copy_from_slice(&bytes[..part]);
        self.have += part;
        *bytes = &bytes[part..];
        if self.have < HEADER_BYTES {
            return None;
        }
        self.have = 0;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.header;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        self.skip = usize::try_from(length).unwrap_or(usize::MAX);
        Some(Frame { length, kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff })
    }
}

/// A request's head, or its trailers, of which something has come and something has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) since_ms: u64,
    /// What has come of it.
    pub(crate) bytes: usize,
    is_last_frame: bool,
}

/// What a connection may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameLimits {
    pub(crate) resets: u32,
    pub(crate) control_frames: u32,
}

/// The account of one connection.
#[derive(Debug)]
pub(crate) struct Account {
    limits: FrameLimits,
    from_client: FrameScan,
    to_client: FrameScan,
    opened: u32,
    resets: u32,
    /// The highest stream that the client has opened.
    last_stream: u32,
    /// When the second that is counted began.
    since_ms: u64,
    control: u32,
    content: u32,
    head: Option<Head>,
}

impl Account {
    pub(crate) fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            from_client: FrameScan::of_client(),
            to_client: FrameScan::of_server(),
            opened: 0,
            resets: 0,
            last_stream: 0,
            since_ms: 0,
            control: 0,
            content: 0,
            head: None,
        }
    }

    /// Notes what the client has sent.
    pub(crate) fn received(&mut self, mut bytes: &[u8], now_ms: u64) -> Result<(), Flood> {
        if now_ms.saturating_sub(self.since_ms) >= WINDOW_MS {
            (self.since_ms, self.control, self.content) = (now_ms, 0, 0);
        }
        loop {
            let before = bytes.len();
            let frame = self.from_client.next(&mut bytes);
            self.follow_head(before - bytes.len(), frame, now_ms);
            match frame {
                Some(frame) => self.note(frame)?,
                None => return Ok(()),
            }
        }
    }

    /// The head that is still to come to its end.
    pub(crate) fn head(&self) -> Option<Head> {
        self.head
    }

    /// So many bytes have passed, and behind them, where there is one, the header of the next frame.
    fn follow_head(&mut self, passed: usize, next: Option<Frame>, now_ms: u64) {
        if let Some(head) = &mut self.head {
            head.bytes += passed;
            if head.is_last_frame && (next.is_some() || self.from_client.is_payload_done()) {
                self.head = None;
            }
        }
        if let Some(Frame { kind: HEADERS | CONTINUATION, flags, .. }) = next {
            let head = self.head.get_or_insert(Head { since_ms: now_ms, bytes: 0, is_last_frame: false });
            head.is_last_frame = flags & END_HEADERS != 0;
        }
    }

    fn note(&mut self, frame: Frame) -> Result<(), Flood> {
        match frame.kind {
            HEADERS if frame.stream > self.last_stream => {
                self.last_stream = frame.stream;
                self.opened = self.opened.saturating_add(1);
                self.content = self.content.saturating_add(1);
            }
            DATA if frame.length > 0 || frame.flags & END_STREAM != 0 => {
                self.content = self.content.saturating_add(1);
            }
            RST_STREAM => {
                self.resets = self.resets.saturating_add(1);
                if self.resets > self.limits.resets.saturating_add(self.opened / STREAMS_PER_RESET) {
                    return Err(Flood::Resets);
                }
            }
            _ => {
                self.control = self.control.saturating_add(1);
                let content = self.content.saturating_mul(CONTROL_FRAMES_PER_CONTENT);
                if self.control > self.limits.control_frames.saturating_add(content) {
                    return Err(Flood::ControlFrames);
                }
            }
        }
        Ok(())
    }

    /// Notes what was sent to the client.
    pub(crate) fn sent(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.to_client.next(&mut bytes) {
            self.content = self.content.saturating_add(u32::from(frame.kind == DATA));
        }
    }

    /// The frame that ends the connection, where one can be sent now: GOAWAY with ENHANCE_YOUR_CALM
    /// (RFC 9113 §6.8, §7).
    pub(crate) fn goaway(&self) -> Option<[u8; 17]> {
        let [s0, s1, s2, s3] = self.last_stream.to_be_bytes();
        let frame = [0, 0, 8, 7, 0, 0, 0, 0, 0, s0, s1, s2, s3, 0, 0, 0, 11];
        self.to_client.is_between_frames().then_some(frame)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: FrameLimits = FrameLimits { resets: 10, control_frames: 20 };
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
    }

    fn account() -> Account {
        let mut account = Account::new(LIMITS);
        account.received(&[b'x'; PREFACE_BYTES], 0).unwrap();
        account
    }

    /// How many of these frames are taken.
    fn taken(account: &mut Account, frames: impl Iterator<Item = Vec<u8>>) -> (usize, Option<Flood>) {
        let mut taken = 0;
        for frame in frames {
            if let Err(flood) = account.received(&frame, 0) {
                return (taken, Some(flood));
            }
            taken += 1;
        }
        (taken, None)
    }

    #[test]
    fn resets_have_a_budget_that_honest_use_earns() {
        let rapid =
            (0..).flat_map(|n| [frame(HEADERS, 2 * n + 1, b"head"), frame(RST_STREAM, 2 * n + 1, &[0; 4])]);
        let (frames, flood) = taken(&mut account(), rapid.take(10_000));
        assert_eq!((frames, flood), (23, Some(Flood::Resets)), "11 streams and resets, one earned");

        // A page that is left now and then: one stream of ten.
        let honest = (0..10_000_u32).flat_map(|n| {
            let mut frames = vec![frame(HEADERS, 2 * n + 1, b"head")];
            frames.extend((n % 10 == 9).then(|| frame(RST_STREAM, 2 * n + 1, &[0; 4])));
            frames
        });
        assert_eq!(taken(&mut account(), honest).1, None);
    }

    #[test]
    fn frames_that_carry_nothing_are_bounded_in_time() {
        for (kind, payload) in [(PING, 8), (4, 0), (2, 5), (WINDOW_UPDATE, 4), (9, 0), (DATA, 0), (0xfa, 3)] {
            let flood = std::iter::repeat(frame(kind, 0, &vec![0; payload]));
            assert_eq!(taken(&mut account(), flood), (20, Some(Flood::ControlFrames)), "{kind}");
        }
        let mut patient = account();
        for second in 0..100 {
            for _ in 0..20 {
                patient.received(&frame(PING, 0, &[0; 8]), second * WINDOW_MS).unwrap();
            }
        }
    }

    #[test]
    fn whoever_reads_much_may_make_much_room() {
        let mut reader = account();
        for _ in 0..1_000 {
            reader.sent(&frame(DATA, 1, &[0; 100]));
            for _ in 0..10 {
                reader.received(&frame(WINDOW_UPDATE, 0, &[0; 4]), 0).unwrap();
            }
        }
    }

    #[test]
    fn a_head_is_under_way_from_its_first_frame_to_the_last_byte_of_its_last() {
        let flagged = |kind: u8, flags: u8, payload: &[u8]| {
            let mut frame = frame(kind, 1, payload);
            frame[4] = flags;
            frame
        };
        let begun = |account: &Account| account.head().map(|head| (head.since_ms, head.bytes));
        let mut account = account();
        account.received(&flagged(HEADERS, END_HEADERS, b"head"), 1).unwrap();
        assert_eq!(begun(&account), None, "it came whole");
        let cut = flagged(HEADERS, END_HEADERS, b"head");
        account.received(&cut[..11], 2).unwrap();
        assert_eq!(begun(&account), Some((2, 2)));
        account.received(&cut[11..12], 3).unwrap();
        assert_eq!(begun(&account), Some((2, 3)), "it goes on, and is no younger");
        // The rest, and the beginning of one in two frames.
        let next = flagged(HEADERS, 0, b"first");
        account.received(&[&cut[12..], &next[..]].concat(), 4).unwrap();
        assert_eq!(begun(&account).map(|(since, _)| since), Some(4));
        account.received(&flagged(CONTINUATION, 0, b""), 5).unwrap();
        account.received(&flagged(CONTINUATION, END_HEADERS, b"last")[..12], 6).unwrap();
        assert_eq!(begun(&account).map(|(since, _)| since), Some(4));
        account.received(b"t", 7).unwrap();
        assert_eq!(begun(&account), None);
        account.received(&frame(DATA, 1, b"content")[..10], 8).unwrap();
        assert_eq!(begun(&account), None, "content has limits of its own");
    }

    #[test]
    fn goodbye_is_said_between_frames_only() {
        let mut account = account();
        account.received(&frame(HEADERS, 7, b"head"), 0).unwrap();
        let data = frame(DATA, 7, &[0; 10]);
        account.sent(&data[..12]);
        assert_eq!(account.goaway(), None);
        account.sent(&data[12..]);
        assert_eq!(account.goaway().unwrap(), [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 11]);
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_changes_nothing(
            frames in proptest::collection::vec((0_u8..12, 0_u32..40, 0_usize..30), 0..80),
            cuts in proptest::collection::vec(0_usize..3_000, 0..60),
        ) {
            let bytes: Vec<u8> = [b"x".repeat(PREFACE_BYTES)]
                .into_iter()
                .chain(frames.iter().map(|(kind, stream, length)| frame(*kind, *stream, &vec![7; *length])))
                .flatten()
                .collect();
            let mut whole = Account::new(LIMITS);
            let expected = whole.received(&bytes, 0);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let (mut pieces, mut from, mut seen) = (Account::new(LIMITS), 0, Ok(()));
            for cut in cuts.into_iter().chain([bytes.len()]) {
                seen = seen.and(pieces.received(&bytes[from..cut], 0));
                if seen.is_err() {
                    break;
                }
                from = cut;
            }
            prop_assert_eq!(seen, expected);
            prop_assert_eq!((pieces.resets, pieces.opened), (whole.resets, whole.opened));
            if seen.is_ok() {
                prop_assert_eq!(pieces.head(), whole.head());
            }
        }
    }
}
