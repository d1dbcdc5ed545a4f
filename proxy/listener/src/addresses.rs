//! How many connections each client address has open.
//!
//! An IPv6 client counts with its network of 64 bits, since one host has all the addresses of its network
//! (RFC 6177 §2). Invariant: an address without connections takes no memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So that workers that accept at the same time rarely meet.
const SHARDS: usize = 16;

/// The counts of all workers together.
#[derive(Debug)]
pub struct Addresses {
    max: usize,
    shards: [Mutex<HashMap<u64, usize>>; SHARDS],
}

/// A connection in the count; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct AddressPlace {
    addresses: Arc<Addresses>,
    key: u64,
}

impl Addresses {
    /// `max` is the number of connections that one address may have.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, shards: std::array::from_fn(|_| Mutex::default()) })
    }

    /// `None` when the address has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<AddressPlace> {
        let key = key(address);
        let mut shard = self.shard(key);
        let count = shard.entry(key).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        drop(shard);
        Some(AddressPlace { addresses: self.clone(), key })
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, usize>> {
        // Neighbours differ in the low bits of what is counted: those of IPv4, the subnet's of IPv6.
        let index = usize::try_from(key % SHARDS as u64).unwrap_or_default();
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut shard = self.addresses.shard(self.key);
        if let Some(count) = shard.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&self.key);
            }
        }
    }
}

/// An IPv4 address, or the network of an IPv6 one. The two do not meet: a number below 2^32 would be a network
/// in ::/32, where no host is.
fn key(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_as_many_connections_as_it_may_and_leaves_nothing_behind() {
        let addresses = Addresses::new(2);
        let first = addresses.enter(ip("192.0.2.1")).unwrap();
        let _second = addresses.enter(ip("::ffff:192.0.2.1")).unwrap();
        assert!(addresses.enter(ip("192.0.2.1")).is_none());
        assert!(addresses.enter(ip("192.0.2.2")).is_some());
        drop(first);
        assert!(addresses.enter(ip("192.0.2.1")).is_some());
        let left: usize = addresses.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert_eq!(left, 1);
    }

    #[test]
    fn a_network_of_64_bits_counts_as_one() {
        let addresses = Addresses::new(1);
        let _first = addresses.enter(ip("2001:db8:0:1::1")).unwrap();
        assert!(addresses.enter(ip("2001:db8:0:1:ffff::9")).is_none());
        assert!(addresses.enter(ip("2001:db8:0:2::1")).is_some());
    }
}
