//! JSON (RFC 8259) piece by piece: the few texts of a message that say what it is for, and nothing else.

/// So much of a query is kept, to find its first operation in.
const QUERY_BYTES_MAX: usize = 4_096;
/// Objects and arrays inside one another.
const DEPTH_MAX: u32 = 64;
const KEY_BYTES_MAX: usize = 16;

/// A text of a message.
#[derive(Debug, Default)]
pub(super) struct Part {
    bytes: Vec<u8>,
    max: usize,
    is_whole: bool,
    is_cut: bool,
}

impl Part {
    fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    /// The text, if it was there and not too long.
    pub(super) fn text(&self) -> Option<&[u8]> {
        (self.is_whole && !self.bytes.is_empty()).then_some(&self.bytes)
    }

    /// As much of it as was kept.
    pub(super) fn beginning(&self) -> Option<&[u8]> {
        (!self.bytes.is_empty()).then_some(&self.bytes)
    }

    fn restart(&mut self) {
        *self = Self::new(self.max);
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() < self.max {
            self.bytes.push(byte);
        } else {
            self.is_cut = true;
        }
    }

    /// A value of a query string (`application/x-www-form-urlencoded`).
    pub(super) fn extend_decoded(&mut self, value: &str) {
        let mut rest = value.as_bytes();
        while let Some((byte, tail)) = rest.split_first() {
            rest = tail;
            let escaped = || {
                let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
                u8::from_str_radix(digits, 16).ok()
            };
            match byte {
                b'+' => self.push(b' '),
                b'%' => match escaped() {
                    Some(byte) => {
                        self.push(byte);
                        rest = &tail[2..];
                    }
                    None => self.push(b'%'),
                },
                byte => self.push(*byte),
            }
        }
        self.is_whole = true;
    }
}

/// What a message says of itself.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) operation_name: Part,
    pub(super) query: Part,
    pub(super) method: Part,
}

impl Default for Message {
    fn default() -> Self {
        // One byte more than a name may have, so that a longer one is known for that.
        let name = || Part::new(super::NAME_BYTES_MAX + 1);
        Self { operation_name: name(), query: Part::new(QUERY_BYTES_MAX), method: name() }
    }
}

impl Message {
    pub(super) fn part(&mut self, key: &[u8]) -> Option<&mut Part> {
        match key {
            b"operationName" => Some(&mut self.operation_name),
            b"query" => Some(&mut self.query),
            b"method" => Some(&mut self.method),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    /// A value, or the end of an empty array.
    First,
    /// A key, or the end of an empty object.
    FirstKey,
    Key,
    Colon,
    After,
    Text,
    Escape,
    Unicode {
        digits: u8,
        code: u32,
    },
    Literal,
    /// The value has ended, or it is no JSON.
    Done,
}

/// A reader in the middle of a text.
#[derive(Debug)]
pub(super) struct Json {
    state: State,
    /// What is open: a bit for each level, 1 for an object; the lowest is the innermost.
    open: u64,
    depth: u32,
    /// How deep messages stand: 1, or 2 in a batch.
    messages_at: u32,
    is_key: bool,
    key: [u8; KEY_BYTES_MAX],
    key_length: usize,
    message: Option<Message>,
}

impl Default for Json {
    fn default() -> Self {
        Self {
            state: State::Value,
            open: 0,
            depth: 0,
            messages_at: 1,
            is_key: false,
            key: [0; KEY_BYTES_MAX],
            key_length: 0,
            message: None,
        }
    }
}

impl Json {
    /// Reads a piece; `found` gets each message that ends in it. Returns whether nothing more is to be read: at the end, at
    /// what is no JSON, or as soon as there is `enough` of the only message.
    pub(super) fn read(
        &mut self,
        mut piece: &[u8],
        enough: &dyn Fn(&Message) -> bool,
        found: &mut dyn FnMut(&Message),
    ) -> bool {
        while let Some((byte, rest)) = piece.split_first() {
            if self.state == State::Text && !self.is_kept() {
                // Most of a body is text that nobody asks for.
                let end = memchr::memchr2(b'"', b'\\', piece).unwrap_or(piece.len());
                if end > 0 {
                    piece = &piece[end..];
                    continue;
                }
            }
            piece = rest;
            let before = std::mem::replace(&mut self.state, State::Done);
            self.state = self.step(before, *byte, found);
            let text_ended = (before, self.state) == (State::Text, State::After);
            if self.state == State::Done || text_ended && self.single().is_some_and(enough) {
                return true;
            }
        }
        false
    }

    /// The message that has begun and not ended.
    pub(super) fn open(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    /// The same, where it is the only one.
    fn single(&self) -> Option<&Message> {
        self.message.as_ref().filter(|_| self.messages_at == 1)
    }

    fn step(&mut self, state: State, byte: u8, found: &mut dyn FnMut(&Message)) -> State {
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match state {
            State::Value | State::First | State::FirstKey | State::Key | State::Colon | State::After
                if is_space =>
            {
                state
            }
            State::First if byte == b']' => self.close(byte, found),
            State::Value | State::First => self.value(byte),
            State::FirstKey if byte == b'}' => self.close(byte, found),
            State::FirstKey | State::Key if byte == b'"' => {
                (self.is_key, self.key_length) = (true, 0);
                State::Text
            }
            State::Colon if byte == b':' => State::Value,
            State::After => match byte {
                b',' if self.is_in_object() => State::Key,
                b',' if self.depth > 0 => State::Value,
                _ => self.close(byte, found),
            },
            State::Text => self.text(byte),
            State::Escape => match byte {
                b'u' => State::Unicode { digits: 0, code: 0 },
                b'b' | b'f' | b'n' | b'r' | b't' => self.keep(b' '),
                byte => self.keep(byte),
            },
            State::Unicode { digits, code } => match char::from(byte).to_digit(16) {
                Some(digit) if digits == 3 => {
                    // What is no ASCII makes the name one of the others, whatever it is.
                    self.keep(u8::try_from(code << 4 | digit).ok().filter(u8::is_ascii).unwrap_or(b'('))
                }
                Some(digit) => State::Unicode { digits: digits + 1, code: code << 4 | digit },
                None => self.give_up(),
            },
            State::Literal => match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'+' | b'-' => State::Literal,
                _ => self.step(State::After, byte, found),
            },
            State::FirstKey | State::Key | State::Colon | State::Done => self.give_up(),
        }
    }

    fn value(&mut self, byte: u8) -> State {
        match byte {
            b'{' | b'[' => self.open_one(byte == b'{'),
            b'"' => {
                self.is_key = false;
                // Of several values under one key the last one counts.
                if let Some(part) = self.wanted() {
                    part.restart();
                }
                State::Text
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' if self.depth > 0 => State::Literal,
            _ => self.give_up(),
        }
    }

    fn open_one(&mut self, is_object: bool) -> State {
        if self.depth == DEPTH_MAX {
            return self.give_up();
        }
        if self.depth == 0 && !is_object {
            self.messages_at = 2;
        }
        self.depth += 1;
        self.open = self.open << 1 | u64::from(is_object);
        if is_object && self.depth == self.messages_at {
            self.message = Some(Message::default());
        }
        if is_object { State::FirstKey } else { State::First }
    }

    fn close(&mut self, byte: u8, found: &mut dyn FnMut(&Message)) -> State {
        let fits = if self.is_in_object() { byte == b'}' } else { byte == b']' };
        if self.depth == 0 || !fits {
            return self.give_up();
        }
        if self.depth == self.messages_at
            && let Some(message) = self.message.take()
        {
            found(&message);
        }
        self.open >>= 1;
        self.depth -= 1;
        if self.depth == 0 { State::Done } else { State::After }
    }

    fn text(&mut self, byte: u8) -> State {
        match byte {
            b'"' if self.is_key => State::Colon,
            b'"' => {
                if let Some(part) = self.wanted() {
                    part.is_whole = true;
                }
                State::After
            }
            b'\\' => State::Escape,
            0..b' ' => self.give_up(),
            byte => self.keep(byte),
        }
    }

    /// Keeps a byte of a text, if anybody wants it.
    fn keep(&mut self, byte: u8) -> State {
        if self.is_key {
            // A longer key is none that is looked for.
            if let Some(place) = self.key.get_mut(self.key_length) {
                *place = byte;
            }
            self.key_length = (self.key_length + 1).min(KEY_BYTES_MAX + 1);
        } else if let Some(part) = self.wanted() {
            part.push(byte);
        }
        State::Text
    }

    fn is_kept(&mut self) -> bool {
        self.is_key || self.wanted().is_some_and(|part| !part.is_cut)
    }

    /// The part of the message to which the text that is being read belongs.
    fn wanted(&mut self) -> Option<&mut Part> {
        if self.depth != self.messages_at {
            return None;
        }
        let key = self.key.get(..self.key_length)?;
        self.message.as_mut()?.part(key)
    }

    fn is_in_object(&self) -> bool {
        self.depth > 0 && self.open & 1 == 1
    }

    fn give_up(&mut self) -> State {
        self.message = None;
        State::Done
    }
}
