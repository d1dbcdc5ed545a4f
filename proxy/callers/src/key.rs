use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// The secret with which whatever may be personal is hashed before it goes anywhere. Kept beside the ledger, so
/// that the same caller stays the same over restarts, and nobody else can try names against the hashes.
#[derive(Clone, Copy)]
pub struct CallerKey([u8; 16]);

impl CallerKey {
    pub fn new(secret: [u8; 16]) -> Self {
        Self(secret)
    }

    /// The same bytes give the same number as long as the key stays. Never 0, which callers use for "none".
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(bytes);
        hasher.finish().max(1)
    }
}

impl std::fmt::Debug for CallerKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CallerKey(…)")
    }
}
