//! Hashes of values that are equal whenever the values are, under the same rules. Only a tolerance in time has
//! no hash: two close moments hash apart.

use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

use super::number::Decimal;
use super::walk::{Walk, Walked};
use super::{Member, Value};
use crate::path::Segment;

impl<'v> Walk<'_, 'v> {
    pub(super) fn hash(&mut self, value: &'v Value<'v>) -> Walked<u64> {
        self.spend(1)?;
        if self.ignored.hits() {
            return Ok(0);
        }
        match value {
            Value::Array(elements) => self.hash_array(elements),
            Value::Object(members) => self.hash_object(members),
            scalar => Ok(hash_scalar(scalar)),
        }
    }

    fn hash_array(&mut self, elements: &'v [Value<'v>]) -> Walked<u64> {
        let unordered = self.unordered.hits();
        let (mut hasher, mut sum) = (tagged(b'['), 0_u64);
        for (index, element) in elements.iter().enumerate() {
            let hash = self.inside(Segment::Element(index), |walk| walk.hash(element))?;
            sum = sum.wrapping_add(hash);
            if !unordered {
                hasher.write_u64(hash);
            }
        }
        hasher.write_u64(sum);
        hasher.write_usize(elements.len());
        Ok(hasher.finish())
    }

    fn hash_object(&mut self, members: &'v [Member<'v>]) -> Walked<u64> {
        // A sum: the order of members does not count.
        let mut sum = 0_u64;
        for Member { key, value } in members {
            let segment = Segment::Member { key, map: false };
            let hash = self.inside(segment, |walk| match walk.ignored.hits() {
                true => Ok(None),
                false => walk.hash(value).map(Some),
            })?;
            if let Some(hash) = hash {
                let mut hasher = tagged(b':');
                hasher.write(key);
                hasher.write_u64(hash);
                sum = sum.wrapping_add(hasher.finish());
            }
        }
        let mut hasher = tagged(b'{');
        hasher.write_u64(sum);
        Ok(hasher.finish())
    }
}

/// Of everything but an array or object.
pub(super) fn hash_scalar(value: &Value<'_>) -> u64 {
    let mut hasher = match value {
        Value::Null => tagged(b'n'),
        Value::Bool(value) => tagged(if *value { b't' } else { b'f' }),
        Value::Number(_) => tagged(b'0'),
        Value::Text(_) => tagged(b'"'),
        Value::Array(_) | Value::Object(_) => tagged(b'?'),
    };
    match value {
        Value::Number(literal) => match Decimal::parse(literal) {
            Some(decimal) => decimal.hash(&mut hasher),
            None => hasher.write(literal),
        },
        Value::Text(text) => hasher.write(text),
        _ => {}
    }
    hasher.finish()
}

fn tagged(tag: u8) -> SipHasher13 {
    let mut hasher = SipHasher13::new();
    hasher.write_u8(tag);
    hasher
}
