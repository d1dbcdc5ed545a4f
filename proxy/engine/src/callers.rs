//! Who calls: what a request says of its client, cheap enough to be asked of every call.
//!
//! A worker hashes and passes on; the control thread adds up. Invariant: nothing that may be personal leaves the
//! worker but as a keyed hash, and a worker never waits: what does not fit is dropped and counted.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use crossbeam_utils::CachePadded;
use http::HeaderMap;
use http::header::{AUTHORIZATION, REFERER, USER_AGENT};
use ipnet::IpNet;
use serde_json::Value;
use starve_callers::{CallerKey, Distinct, Family, Top};
use starve_config::{CallerId, CallersPlan};
use starve_discovery::Template;
use starve_ledger::{Caller, CallerCount, CallerKind};

/// Texts remembered per worker and header, by a hash of them.
const REMEMBERED: usize = 256;
/// Calls that wait per worker, from one collection (a second) to the next.
const WAITING_MAX: usize = 100_000;
/// New referers that wait with them.
const NAMES_WAITING_MAX: usize = 4_096;
/// Routes whose callers are added up at a time, from one writing (ten seconds) to the next.
const ROUTES_MAX: usize = 4_096;
/// Names of referers that are remembered.
const NAMES_MAX: usize = 16_384;
const REFERER_BYTES_MAX: usize = 512;

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// The family of the client that sent a request.
pub(crate) fn family(headers: &HeaderMap) -> Family {
    let Some(text) = headers.get(USER_AGENT) else { return Family::NONE };
    MEMORY.with_borrow_mut(|memory| memory.agents.family(text.as_bytes()))
}

/// What was found for texts that clients send again and again: finding it out takes a microsecond or more. Each
/// hash has its place, and the newest text is in it.
struct Remembered<T> {
    places: Vec<Option<(u64, T)>>,
    hash: RandomState,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { places: Vec::new(), hash: RandomState::new() }
    }
}

impl<T: Copy> Remembered<T> {
    /// The hash is keyed with chance and has 64 bits: that two texts share it does not happen.
    fn get(&mut self, text: &[u8], find: impl FnOnce(&[u8]) -> T) -> T {
        if self.places.is_empty() {
            self.places.resize(REMEMBERED, None);
        }
        let hash = self.hash.hash_one(text);
        // The remainder is below the number of places.
        let place = &mut self.places[(hash % REMEMBERED as u64) as usize];
        match place {
            Some((known, found)) if *known == hash => *found,
            _ => {
                let found = find(text);
                *place = Some((hash, found));
                found
            }
        }
    }
}

/// The same for user agents, which every call has: texts that are no secret are compared themselves, for half of the
/// instructions that the keyed hash takes.
#[derive(Default)]
struct Agents(Vec<Option<(Box<[u8]>, Family)>>);

/// Longer user agents are looked at anew each time.
const AGENT_BYTES_MAX: usize = 512;

impl Agents {
    fn family(&mut self, text: &[u8]) -> Family {
        if text.len() > AGENT_BYTES_MAX {
            return Family::of(text);
        }
        if self.0.is_empty() {
            self.0.resize(REMEMBERED, None);
        }
        let place = &mut self.0[Self::place(text)];
        match place {
            Some((known, family)) if **known == *text => *family,
            _ => {
                let family = Family::of(text);
                *place = Some((text.into(), family));
                family
            }
        }
    }

    /// Versions of one browser differ at the end.
    fn place(text: &[u8]) -> usize {
        let end = text.last_chunk::<8>().map_or(0, |end| u64::from_le_bytes(*end));
        let mixed = (end ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The remainder is below the number of places.
        ((mixed >> 32) % REMEMBERED as u64) as usize
    }
}

#[derive(Default)]
struct Memory {
    agents: Agents,
    referers: Remembered<u64>,
    tokens: Remembered<u64>,
}

/// Who made one call. 0 is nobody in particular.
#[derive(Clone, Copy, Debug)]
struct Seen {
    route: u32,
    family: Family,
    client: u64,
    referer: u64,
    network: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    seen: Vec<Seen>,
    /// Referers that were not remembered.
    names: Vec<(u64, String)>,
}

/// A list per worker, as in [`crate::observations`].
#[derive(Debug)]
pub(crate) struct Callers {
    plan: CallersPlan,
    key: CallerKey,
    workers: Box<[CachePadded<Mutex<Waiting>>]>,
    dropped: AtomicU64,
}

impl Callers {
    pub(crate) fn new(plan: CallersPlan, key: CallerKey, workers: usize) -> Self {
        let workers = (0..workers).map(|_| CachePadded::default()).collect();
        Self { plan, key, workers, dropped: AtomicU64::new(0) }
    }

    /// Calls whose callers were not noted because too many waited.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Notes who calls. `client` is the client's own address.
    pub(crate) fn note(
        &self,
        worker: usize,
        route: u32,
        headers: &HeaderMap,
        family: Family,
        client: IpAddr,
    ) {
        if !self.plan.on {
            return;
        }
        let mut waiting = self.workers[worker].lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.seen.len() >= WAITING_MAX {
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        let seen = MEMORY.with_borrow_mut(|memory| Seen {
            route,
            family,
            client: self.client(headers, &mut memory.tokens),
            referer: self.referer(headers, &mut memory.referers, &mut waiting.names),
            network: network(client),
        });
        waiting.seen.push(seen);
    }

    fn client(&self, headers: &HeaderMap, tokens: &mut Remembered<u64>) -> u64 {
        match &self.plan.id {
            None => 0,
            Some(CallerId::Header(name)) => match headers.get(name.as_str()) {
                Some(value) if !value.is_empty() => self.key.hash(value.as_bytes()),
                _ => 0,
            },
            Some(CallerId::Jwt(claim)) => headers.get(AUTHORIZATION).map_or(0, |value| {
                let claimed =
                    |token: &[u8]| jwt_claim(token, claim).map_or(0, |text| self.key.hash(text.as_bytes()));
                tokens.get(value.as_bytes(), claimed)
            }),
        }
    }

    /// The template of the page that a call came from, without its query; with its host when that is another.
    fn referer(
        &self,
        headers: &HeaderMap,
        remembered: &mut Remembered<u64>,
        names: &mut Vec<(u64, String)>,
    ) -> u64 {
        let Some(value) = headers.get(REFERER).filter(|value| value.len() <= REFERER_BYTES_MAX) else {
            return 0;
        };
        let own_host = headers.get(http::header::HOST).map(|host| host.as_bytes());
        remembered.get(value.as_bytes(), |text| {
            let Some(template) = referer_template(text, own_host) else { return 0 };
            let id = self.key.hash(template.as_bytes());
            if names.len() < NAMES_WAITING_MAX {
                names.push((id, template));
            }
            id
        })
    }
}

/// `/products/{int}`, or `shop.example/products/{int}` from another host.
fn referer_template(referer: &[u8], own_host: Option<&[u8]>) -> Option<String> {
    let uri: http::Uri = std::str::from_utf8(referer).ok()?.parse().ok()?;
    let template = Template::of("GET", uri.path()).path().to_owned();
    match uri.authority() {
        Some(authority) if own_host != Some(authority.as_str().as_bytes()) => {
            Some(format!("{}{template}", authority.host().to_ascii_lowercase()))
        }
        _ => Some(template),
    }
}

/// A claim of the token in `Bearer TOKEN` (RFC 7519), unverified: for telling callers apart, not for letting
/// them in.
fn jwt_claim(authorization: &[u8], claim: &str) -> Option<String> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    let payload = token.trim_ascii().split(|byte| *byte == b'.').nth(1)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    match claims.get(claim)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The client's own address: the last one in `X-Forwarded-For` that is none of the trusted proxies'. It was
/// completed by [`starve_http::hygiene`], so its last entry is the peer.
pub(crate) fn client(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().rev().filter_map(|field| field.to_str().ok());
    let addresses = forwarded.flat_map(|field| field.rsplit(',')).map(|text| text.trim().parse::<IpAddr>());
    addresses
        .map_while(Result::ok)
        .find(|address| !is_trusted(address))
        .map_or(peer, |address| address.to_canonical())
}

const V4: u64 = 4 << 56;
const V6: u64 = 6 << 56;

/// The /24 or /48 that an address is in, as a number.
fn network(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => V4 | u64::from(address.to_bits() & 0xFFFF_FF00),
        // The upper 48 of 128 bits.
        IpAddr::V6(address) => V6 | (address.to_bits() >> 80) as u64,
    }
}

fn network_name(network: u64) -> String {
    match network & V6 == V6 {
        // Below 32 bits.
        false => format!("{}/24", std::net::Ipv4Addr::from_bits(network as u32)),
        true => format!("{}/48", std::net::Ipv6Addr::from_bits(u128::from(network & !V6) << 80)),
    }
}

/// Adds up who called, from one writing to the next. Lives on the control thread.
#[derive(Debug, Default)]
pub(crate) struct Summing {
    routes: HashMap<u32, [(Top, Distinct); CallerKind::ALL.len()]>,
    names: HashMap<u64, String>,
    taken: Vec<Seen>,
}

impl Summing {
    /// Takes what the workers have noted.
    pub(crate) fn collect(&mut self, callers: &Callers) {
        for worker in &callers.workers {
            let mut waiting = worker.lock().unwrap_or_else(PoisonError::into_inner);
            // The worker goes on with room that is already there.
            std::mem::swap(&mut waiting.seen, &mut self.taken);
            let names = std::mem::take(&mut waiting.names);
            drop(waiting);
            if self.names.len() + names.len() > NAMES_MAX {
                self.names.clear();
            }
            self.names.extend(names);
            self.add_taken(callers);
        }
    }

    fn add_taken(&mut self, callers: &Callers) {
        for seen in &self.taken {
            if self.routes.len() >= ROUTES_MAX && !self.routes.contains_key(&seen.route) {
                callers.dropped.fetch_add(1, Relaxed);
                continue;
            }
            let sums = self.routes.entry(seen.route).or_default();
            let agent = u64::from(seen.family.index()) + 1;
            for ((top, distinct), id) in sums.iter_mut().zip([seen.client, agent, seen.referer, seen.network])
            {
                if id != 0 {
                    top.add(id, 1);
                    // Networks and families are no hashes; their distinct numbers need one.
                    distinct.add(callers.key.hash(&id.to_le_bytes()));
                }
            }
        }
        self.taken.clear();
    }

    /// What was added up since the last time; `route` gives the id of a route's number.
    pub(crate) fn take(
        &mut self,
        at_unix_ms: u64,
        route: impl Fn(u32) -> Option<String>,
    ) -> Vec<CallerCount> {
        let mut counts = Vec::new();
        for (number, sums) in self.routes.drain() {
            let Some(route) = route(number) else { continue };
            for (kind, (top, different)) in CallerKind::ALL.into_iter().zip(sums) {
                if top.total() == 0 {
                    continue;
                }
                let callers = top.entries().iter().map(|entry| Caller {
                    id: entry.caller,
                    name: name(kind, entry.caller, &self.names),
                    calls: entry.count - entry.error,
                    error: entry.error,
                });
                let (calls, floor, top) = (top.total(), top.floor(), callers.collect());
                counts.push(CallerCount {
                    route: route.clone(),
                    kind,
                    calls,
                    floor,
                    top,
                    different,
                    at_unix_ms,
                });
            }
        }
        counts
    }
}

fn name(kind: CallerKind, id: u64, referers: &HashMap<u64, String>) -> String {
    let hashed = || format!("#{:012x}", id >> 16);
    match kind {
        CallerKind::Client => hashed(),
        CallerKind::Agent => Family::from_index((id - 1) as u8).name().to_owned(),
        CallerKind::Referer => referers.get(&id).cloned().unwrap_or_else(hashed),
        CallerKind::Network => network_name(id),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        fields.iter().map(field).collect()
    }

    fn callers(id: &str) -> Callers {
        let id = match id.split_once(':').unwrap() {
            ("header", name) => CallerId::Header(name.to_owned()),
            (_, claim) => CallerId::Jwt(claim.to_owned()),
        };
        Callers::new(CallersPlan { on: true, id: Some(id) }, CallerKey::new([3; 16]), 1)
    }

    fn summed(callers: &Callers) -> Vec<CallerCount> {
        let mut summing = Summing::default();
        summing.collect(callers);
        let mut counts = summing.take(5, |route| (route == 7).then(|| "r".to_owned()));
        counts.sort_by_key(|count| count.kind as u8);
        counts
    }

    #[test]
    fn each_kind_of_caller_is_added_up_and_what_may_be_personal_is_hashed() {
        let callers = callers("header:x-client-id");
        let fields = [
            ("user-agent", "curl/8"),
            ("x-client-id", "ann@shop.example"),
            ("referer", "http://shop.example/products/17?session=secret"),
            ("host", "shop.example"),
        ];
        for last in 0..3 {
            let head = headers(&fields);
            callers.note(0, 7, &head, family(&head), IpAddr::from([203, 0, 113, last]));
        }
        callers.note(0, 7, &headers(&[]), Family::NONE, "2001:db8:1:2::3".parse().unwrap());
        let counts = summed(&callers);
        let shown: Vec<Vec<_>> = counts
            .iter()
            .map(|count| {
                let mut top: Vec<_> = count.top.iter().map(|row| (row.name.as_str(), row.calls)).collect();
                top.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
                top
            })
            .collect();
        assert!(shown[0][0].0.starts_with('#') && shown[0][0].1 == 3, "{shown:?}");
        assert_eq!(shown[1], [("curl", 3), ("(none)", 1)]);
        assert_eq!(shown[2], [("/products/{int}", 3)]);
        assert_eq!(shown[3], [("203.0.113.0/24", 3), ("2001:db8:1::/48", 1)]);
        assert!(!format!("{counts:?}").contains("ann") && !format!("{counts:?}").contains("secret"));
    }

    #[test]
    fn a_claim_of_a_token_tells_callers_apart() {
        let callers = callers("jwt:sub");
        // {"sub":"ann"} and {"sub":7}, unsigned.
        for token in
            ["e30.eyJzdWIiOiJhbm4ifQ.x", "e30.eyJzdWIiOjd9.x", "e30.eyJzdWIiOiJhbm4ifQ.y", "no", "e30.!.x"]
        {
            let head = headers(&[("authorization", &format!("Bearer {token}"))]);
            callers.note(0, 7, &head, Family::NONE, IpAddr::from([127, 0, 0, 1]));
        }
        let counts = summed(&callers);
        assert_eq!(
            (counts[0].kind, counts[0].calls, counts[0].different.count()),
            (CallerKind::Client, 3, 2)
        );
    }

    #[test]
    fn user_agents_that_share_a_place_keep_their_families() {
        let (curl, wget) = (b"curl/8.0 (x) same end", b"Wget/1.0 (x) same end");
        assert_eq!(Agents::place(curl), Agents::place(wget));
        let long = [&b"curl/8.0 "[..], &[b'x'; AGENT_BYTES_MAX]].concat();
        let mut agents = Agents::default();
        for text in [&curl[..], wget, curl, wget, &long, b"", curl] {
            assert_eq!(agents.family(text), Family::of(text), "{}", text.escape_ascii());
        }
        assert_ne!(Family::of(curl), Family::of(wget));
        assert!(agents.0.iter().flatten().all(|(known, _)| known.len() <= AGENT_BYTES_MAX));
    }

    #[test]
    fn the_client_behind_trusted_proxies_is_the_one_they_name() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let head = headers(&[("x-forwarded-for", "6.6.6.6, 198.51.100.7, 10.0.0.2, 10.0.0.1")]);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(client(&head, address("10.0.0.1"), &trusted), address("198.51.100.7"));
        assert_eq!(client(&head, address("192.0.2.1"), &trusted), address("192.0.2.1"));
        assert_eq!(client(&headers(&[]), address("10.0.0.1"), &trusted), address("10.0.0.1"));
    }

    #[test]
    fn a_flood_is_dropped_and_counted() {
        let callers = callers("header:x-client-id");
        for n in 0..WAITING_MAX + 10 {
            let head = headers(&[("x-client-id", &n.to_string())]);
            callers.note(0, 7, &head, Family::NONE, IpAddr::from([127, 0, 0, 1]));
        }
        assert_eq!(callers.dropped(), 10);
        let counts = summed(&callers);
        assert_eq!((counts[0].calls, counts[0].top.len()), (WAITING_MAX as u64, starve_callers::TOP_MAX));
        let distinct = counts[0].different.count() as f64;
        assert!((distinct / WAITING_MAX as f64 - 1.0).abs() < 0.05, "{distinct}");
    }
}
