//! Who calls: what a request says of its client, cheap enough to be asked of every call.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, RandomState};

use http::HeaderMap;
use http::header::USER_AGENT;
use starve_callers::Family;

/// User agents remembered per worker, by a hash of their text.
const REMEMBERED: usize = 256;
/// Longer ones are looked at every time.
const REMEMBERED_BYTES_MAX: usize = 512;

thread_local! {
    static AGENTS: RefCell<Agents> = RefCell::new(Agents::default());
}

/// The family of the client that sent a request.
pub(crate) fn family(headers: &HeaderMap) -> Family {
    match headers.get(USER_AGENT) {
        None => Family::NONE,
        Some(text) => AGENTS.with_borrow_mut(|agents| agents.family(text.as_bytes())),
    }
}

/// What user agents were found to be: looking through the whole list takes a microsecond or two, and clients
/// send the same text again and again. A place for each hash; the newest text has it.
#[derive(Default)]
struct Agents {
    places: Vec<Option<(Box<[u8]>, Family)>>,
    hash: RandomState,
}

impl Agents {
    fn family(&mut self, text: &[u8]) -> Family {
        if text.len() > REMEMBERED_BYTES_MAX {
            return Family::of(text);
        }
        if self.places.is_empty() {
            self.places.resize(REMEMBERED, None);
        }
        // The remainder is below the number of places.
        let place = &mut self.places[(self.hash.hash_one(text) % REMEMBERED as u64) as usize];
        match place {
            Some((known, family)) if **known == *text => *family,
            _ => {
                let family = Family::of(text);
                *place = Some((text.into(), family));
                family
            }
        }
    }
}
