//! Which queries make up which step: a pure function of the seed, the epoch and the step.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What becomes of a last batch that is not full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tail {
    /// It is left out.
    Drop,
    /// It is filled up with repeated queries of weight 0.
    Pad,
    /// It is delivered short.
    Partial,
}

/// One row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The query's position in the user's list.
    pub query: usize,
    /// Whether the row only fills up the batch.
    pub padded: bool,
}

/// The order of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The number of queries.
    pub n: usize,
    /// Rows a batch.
    pub batch: usize,
    /// A seed to shuffle by; `None` is the list's own order.
    pub seed: Option<u64>,
    /// What becomes of a last batch that is not full.
    pub tail: Tail,
}

impl Order {
    /// Checks that there is something to order.
    pub fn validate(&self) -> Result<()> {
        if self.n == 0 {
            return Err(Error::invalid_input("the list of queries is empty"));
        }
        if self.batch == 0 {
            return Err(Error::invalid_input("batch_size must be at least 1"));
        }
        if self.steps() == 0 {
            return Err(Error::invalid_input(format!(
                "{} queries do not fill a batch of {} and tail=\"drop\" leaves the rest out; \
                 take a smaller batch_size, or tail=\"pad\"",
                self.n, self.batch
            )));
        }
        Ok(())
    }

    /// The number of steps an epoch.
    pub fn steps(&self) -> usize {
        match self.tail {
            Tail::Drop => self.n / self.batch,
            Tail::Pad | Tail::Partial => self.n.div_ceil(self.batch),
        }
    }

    /// The rows of a step.
    pub fn step(&self, epoch: u64, step: usize) -> Vec<Slot> {
        let key = self.seed.map(|seed| key("order", &[seed, epoch]));
        let slot = |position: usize| {
            let wrapped = position % self.n;
            let query = key.map_or(wrapped, |key| permute(wrapped, self.n, key));
            Slot { query, padded: position >= self.n }
        };
        let start = step * self.batch;
        let end = match self.tail {
            Tail::Partial => (start + self.batch).min(self.n),
            Tail::Drop | Tail::Pad => start + self.batch,
        };
        (start..end).map(slot).collect()
    }
}

/// A 64-bit key out of a tag and numbers; BLAKE3 over length-prefixed fields, so that no two seeds
/// share an epoch (a seed is never added to an epoch).
fn key(tag: &str, fields: &[u64]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(tag.len() as u64).to_le_bytes()).update(tag.as_bytes());
    for field in fields {
        hasher.update(&8u64.to_le_bytes()).update(&field.to_le_bytes());
    }
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Rounds of the Feistel network; four already pass the bigram test, six leave a margin.
const ROUNDS: u64 = 6;

/// Position `i` of a keyed permutation of `0..n`: a Feistel network on the least even number of
/// bits, walked until it lands below `n`.
fn permute(i: usize, n: usize, key: u64) -> usize {
    if n <= 1 {
        return 0;
    }
    let bits = usize::BITS - (n - 1).leading_zeros();
    let half = bits.div_ceil(2);
    let mask = (1u64 << half) - 1;
    let mut x = i as u64;
    loop {
        let (mut left, mut right) = (x >> half, x & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ (mix(right, key, round) & mask));
        }
        x = left << half | right;
        if x < n as u64 {
            return x as usize;
        }
    }
}

/// The round function: the finaliser of SplitMix64 (Steele et al. 2014) over value, key and round.
fn mix(value: u64, key: u64, round: u64) -> u64 {
    let mut z =
        value ^ key.rotate_left(round as u32 * 11) ^ round.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n: usize, batch: usize, seed: Option<u64>, tail: Tail) -> Order {
        Order { n, batch, seed, tail }
    }

    fn epoch(order: &Order, epoch: u64) -> Vec<usize> {
        (0..order.steps()).flat_map(|s| order.step(epoch, s)).map(|slot| slot.query).collect()
    }

    #[test]
    fn permutes_every_size() {
        for n in (1..300).chain((9..18).flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1])) {
            let mut seen = vec![false; n];
            for i in 0..n {
                let j = permute(i, n, 7);
                assert!(!std::mem::replace(&mut seen[j], true), "n={n}: {j} twice");
            }
        }
    }

    #[test]
    fn seeds_and_epochs_do_not_collide() {
        let (one, two) =
            (order(1000, 10, Some(1), Tail::Drop), order(1000, 10, Some(2), Tail::Drop));
        assert_ne!(epoch(&one, 1), epoch(&two, 0));
        assert_ne!(epoch(&one, 0), epoch(&one, 1));
        assert_eq!(epoch(&one, 3), epoch(&one, 3));
    }

    #[test]
    fn tails() {
        assert_eq!(epoch(&order(7, 3, None, Tail::Drop), 0), [0, 1, 2, 3, 4, 5]);
        assert_eq!(epoch(&order(7, 3, None, Tail::Partial), 0), [0, 1, 2, 3, 4, 5, 6]);
        let padded = order(7, 3, None, Tail::Pad);
        assert_eq!(epoch(&padded, 0), [0, 1, 2, 3, 4, 5, 6, 0, 1]);
        let flags: Vec<bool> = padded.step(0, 2).iter().map(|s| s.padded).collect();
        assert_eq!(flags, [false, true, true]);
        assert!(order(2, 3, None, Tail::Drop).validate().is_err());
        assert!(order(2, 3, None, Tail::Pad).validate().is_ok());
    }
}
