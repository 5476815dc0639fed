//! Keys and keyed permutations: the only sources of chance in the order.

use blake2b_simd::{Params, State};

/// Rounds of the Feistel network; four already pass the bigram test, six leave a margin.
const ROUNDS: u32 = 6;

/// An 8-byte digest of fields. Each is preceded by its length, so that no two lists of fields are
/// the same bytes. BLAKE2b, which Python's own library also has.
#[derive(Clone, Debug)]
pub struct Digest(State);

impl Digest {
    /// Starts with a tag that keeps digests of different meaning apart.
    pub fn new(tag: &str) -> Self {
        Self(Params::new().hash_length(8).to_state()).field(tag.as_bytes())
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        self
    }

    /// The digest.
    pub fn bytes(&self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.0.finalize().as_bytes());
        bytes
    }
}

/// A 64-bit key out of a tag and numbers. A seed and an epoch are two fields, never a sum: no two
/// seeds share an epoch.
pub fn key(tag: &str, numbers: &[u64]) -> u64 {
    let digest =
        numbers.iter().fold(Digest::new(tag), |digest, number| digest.field(&number.to_le_bytes()));
    u64::from_le_bytes(digest.bytes())
}

/// Position `i` of a keyed permutation of `0..n`: a Feistel network on the least even number of
/// bits, walked until it lands below `n`.
pub fn permute(i: u64, n: u64, key: u64) -> u64 {
    permute_rounds(i, n, key, ROUNDS)
}

fn permute_rounds(i: u64, n: u64, key: u64, rounds: u32) -> u64 {
    if n <= 1 {
        return 0;
    }
    let bits = u64::BITS - (n - 1).leading_zeros();
    let half = bits.div_ceil(2);
    let mask = (1u64 << half) - 1;
    let mut x = i;
    loop {
        let (mut left, mut right) = (x >> half, x & mask);
        for round in 0..rounds {
            (left, right) = (right, left ^ (mix(right, key, round) & mask));
        }
        x = left << half | right;
        if x < n {
            return x;
        }
    }
}

/// The round function: the finaliser of SplitMix64 (Steele et al. 2014) over value, key and round.
fn mix(value: u64, key: u64, round: u32) -> u64 {
    let constant = u64::from(round).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut z = value ^ key.rotate_left(round * 11) ^ constant;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutes_every_size() {
        let powers = (9..18).flat_map(|k| [(1u64 << k) - 1, 1 << k, (1 << k) + 1]);
        for n in (1..300).chain(powers) {
            let mut seen = vec![false; n as usize];
            for i in 0..n {
                let j = permute(i, n, 7) as usize;
                assert!(!std::mem::replace(&mut seen[j], true), "n={n}: {j} twice");
            }
        }
    }

    #[test]
    fn large_sizes_stay_inside() {
        for n in [(1u64 << 49) + 1, (1 << 50) + 1, (1 << 53) + 1] {
            for i in [0, 1, n / 2, n - 2, n - 1] {
                assert!(permute(i, n, 3) < n);
            }
        }
    }

    #[test]
    fn fields_are_length_prefixed() {
        let digest = |a: &[u8], b: &[u8]| Digest::new("test").field(a).field(b).bytes();
        assert_ne!(digest(b"ab", b"c"), digest(b"a", b"bc"));
        assert_ne!(key("a", &[1, 2]), key("a", &[2, 1]));
        assert_ne!(key("a", &[1]), key("b", &[1]));
    }

    /// Chi-square of 16 x 16 bins of (image of i, image of i + 1), the mean of eight keys.
    fn bigrams(n: u64, rounds: u32) -> f64 {
        let one = |seed| {
            let key = key("bigram", &[seed]);
            let bin = |i| (permute_rounds(i, n, key, rounds) * 16 / n) as usize;
            let mut counts = [0u64; 256];
            (0..n - 1).for_each(|i| counts[bin(i) * 16 + bin(i + 1)] += 1);
            let expected = (n - 1) as f64 / 256.0;
            counts.iter().map(|&c| (c as f64 - expected).powi(2) / expected).sum::<f64>()
        };
        (0..8).map(one).sum::<f64>() / 8.0
    }

    #[test]
    fn neighbours_part_like_chance() {
        // 255 degrees of freedom, less those that equal row and column sums take: 225. The mean of
        // eight has a standard deviation of 7.5; five of them either way.
        for n in [4_096, 4_097, 5_003, 16_384, 65_537, 100_003] {
            let chi_square = bigrams(n, ROUNDS);
            assert!((187.0..263.0).contains(&chi_square), "n={n}: {chi_square}");
        }
        assert!(bigrams(4_096, 2) > 400.0, "the test cannot tell two rounds from six");
    }
}
