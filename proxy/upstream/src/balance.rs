//! Which server gets a request.

use std::hash::Hasher as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use siphasher::sip::SipHasher13;
use starve_config::{Affinity, Balance};
use starve_migration::cookie;

/// The way to balance, and whose turn it is.
#[derive(Debug)]
pub(crate) struct Balancer {
    balance: Balance,
    turn: AtomicUsize,
    /// A fixed number of each server, from its address alone.
    numbers: Box<[u64]>,
}

impl Balancer {
    pub(crate) fn new(balance: Balance, names: impl Iterator<Item = String>) -> Self {
        let numbers = names.map(|name| hash(name.as_bytes())).collect();
        Self { balance, turn: AtomicUsize::new(0), numbers }
    }

    /// The number of the user who sends a request, where that decides.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Option<u64> {
        let Balance::Sticky(affinity) = &self.balance else { return None };
        let named = match affinity {
            Affinity::Address => None,
            Affinity::Cookie(name) => {
                headers.get_all(COOKIE).iter().find_map(|field| cookie(field.as_bytes(), name))
            }
            Affinity::Header(name) => headers.get(name.as_str()).map(HeaderValue::as_bytes),
        };
        Some(hash(named.filter(|value| !value.is_empty()).unwrap_or_else(|| address(headers))))
    }

    /// One of the servers that may be taken.
    pub(crate) fn pick(
        &self,
        user: Option<u64>,
        load: impl Fn(usize) -> usize,
        may: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let count = self.numbers.len();
        let candidates = || (0..count).filter(|at| may(*at));
        match (&self.balance, user) {
            // Rendezvous hashing (Thaler and Ravishankar 1998): each user ranks all servers, so that one that
            // goes moves its own users and nobody else.
            (Balance::Sticky(_), Some(user)) => candidates().max_by_key(|at| mix(user ^ self.numbers[*at])),
            (Balance::RoundRobin | Balance::Sticky(_), _) => {
                let many = candidates().count();
                let turn = self.turn.fetch_add(1, Relaxed).checked_rem(many)?;
                candidates().nth(turn)
            }
            (Balance::LeastRequests, _) => {
                // Equal ones take turns.
                let turn = self.turn.fetch_add(1, Relaxed);
                let from_there = (0..count).map(|step| turn.wrapping_add(step) % count);
                from_there.filter(|at| may(*at)).min_by_key(|at| load(*at))
            }
        }
    }
}

/// The client's own address: the first in `X-Forwarded-For`, which the proxy has set or a trusted one before
/// it.
fn address(headers: &HeaderMap) -> &[u8] {
    let field = headers.get("x-forwarded-for").map(HeaderValue::as_bytes).unwrap_or_default();
    field.split(|byte| *byte == b',').next().unwrap_or_default().trim_ascii()
}

/// The same in every process and release, so that several proxies send a user to the same server.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x7374_6172_7665_2d75, 0x7073_7472_6561_6d73);
    hasher.write(bytes);
    hasher.finish()
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn balancer(balance: Balance, count: usize) -> Balancer {
        Balancer::new(balance, (0..count).map(|at| format!("http://10.0.0.{at}")))
    }

    fn sticky(count: usize) -> Balancer {
        balancer(Balance::Sticky(Affinity::Address), count)
    }

    #[test]
    fn round_robin_spreads_evenly_over_those_that_may_be_taken() {
        let balancer = balancer(Balance::RoundRobin, 4);
        let mut hits = [0; 4];
        for _ in 0..300 {
            hits[balancer.pick(None, |_| 0, |at| at != 2).unwrap()] += 1;
        }
        assert_eq!(hits, [100, 100, 0, 100]);
        assert_eq!(balancer.pick(None, |_| 0, |_| false), None);
    }

    #[test]
    fn least_requests_takes_the_idlest_and_equal_ones_in_turn() {
        let balancer = balancer(Balance::LeastRequests, 3);
        let loads = [4, 2, 2];
        let picks: Vec<_> = (0..6).map(|_| balancer.pick(None, |at| loads[at], |_| true).unwrap()).collect();
        assert!(picks.contains(&1) && picks.contains(&2) && !picks.contains(&0), "{picks:?}");
    }

    #[test]
    fn users_are_spread_over_all_servers() {
        let balancer = sticky(5);
        let mut hits = [0; 5];
        for user in 0..10_000_u32 {
            let user = Some(hash(&user.to_le_bytes()));
            hits[balancer.pick(user, |_| 0, |_| true).unwrap()] += 1;
        }
        assert!(hits.iter().all(|hits| (1_800..2_200).contains(hits)), "{hits:?}");
    }

    #[test]
    fn a_user_is_known_by_the_key_and_else_by_the_address() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1, 10.0.0.1"));
        let by_cookie = balancer(Balance::Sticky(Affinity::Cookie("session".to_owned())), 2);
        assert_eq!(by_cookie.user(&headers), Some(hash(b"192.0.2.1")));
        headers.insert(COOKIE, HeaderValue::from_static("a=b; session=ann"));
        assert_eq!(by_cookie.user(&headers), Some(hash(b"ann")));
        assert_eq!(sticky(2).user(&headers), Some(hash(b"192.0.2.1")));
        assert_eq!(balancer(Balance::RoundRobin, 2).user(&headers), None);
    }

    proptest! {
        #[test]
        fn a_server_that_goes_moves_only_its_own_users(user: u64, gone in 0usize..7) {
            let balancer = sticky(7);
            let before = balancer.pick(Some(user), |_| 0, |_| true).unwrap();
            let after = balancer.pick(Some(user), |_| 0, |at| at != gone).unwrap();
            prop_assert_ne!(after, gone);
            prop_assert!(before == gone || after == before);
        }
    }
}
