//! [`BloomFilter`]: rules out absent fingerprints with one cache-line read.
//!
//! A split-block Bloom filter: a fingerprint sets one bit in each of the eight words of one block.
//! With 16 bits a fingerprint about one lookup in 400 of an absent fingerprint is a false positive.

use crate::dedup::index::Fingerprint;

#[derive(Debug)]
pub(super) struct BloomFilter {
    blocks: Box<[Block]>,
}

type Block = [u64; 8];

impl BloomFilter {
    pub(super) fn of(fingerprints: impl ExactSizeIterator<Item = Fingerprint>) -> Self {
        let blocks = fingerprints.len().div_ceil(FINGERPRINTS_PER_BLOCK).max(1);
        let mut filter = Self {
            blocks: vec![[0; 8]; blocks].into_boxed_slice(),
        };
        for fingerprint in fingerprints {
            let block = filter.block_index(fingerprint);
            for (word, bit) in filter.blocks[block].iter_mut().zip(bits(fingerprint)) {
                *word |= bit;
            }
        }
        filter
    }

    pub(super) fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        let block = &self.blocks[self.block_index(fingerprint)];
        block
            .iter()
            .zip(bits(fingerprint))
            .all(|(word, bit)| word & bit != 0)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.blocks
            .iter()
            .flatten()
            .flat_map(|word| word.to_le_bytes())
            .collect()
    }

    /// `None` for bytes that are not a filter.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let words: Vec<u64> = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        let (blocks, rest) = words.as_chunks::<8>();
        let is_whole = !blocks.is_empty() && rest.is_empty() && bytes.len() == blocks.len() * 64;
        is_whole.then(|| Self {
            blocks: blocks.into(),
        })
    }

    fn block_index(&self, fingerprint: Fingerprint) -> usize {
        let high = fingerprint.0 >> 32;
        ((high * self.blocks.len() as u64) >> 32) as usize
    }
}

fn bits(fingerprint: Fingerprint) -> impl Iterator<Item = u64> {
    let low = fingerprint.0 as u32;
    SALTS
        .iter()
        .map(move |salt| 1 << (low.wrapping_mul(*salt) >> 26))
}

const FINGERPRINTS_PER_BLOCK: usize = 32;

/// Odd factors, one for each word, that spread the same 32 bits differently.
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Spreads small numbers over 64 bits, as SHA-256 does for real fingerprints.
    fn fingerprint(number: u64) -> Fingerprint {
        let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Fingerprint(mixed ^ (mixed >> 31))
    }

    #[test]
    fn there_are_no_false_negatives_and_few_false_positives() {
        let held = 20_000_u64;
        let members: Vec<_> = (0..held).map(fingerprint).collect();
        let built = BloomFilter::of(members.iter().copied());
        let filter = BloomFilter::from_bytes(&built.to_bytes()).expect("its own bytes");
        assert!(members.iter().all(|member| filter.may_contain(*member)));
        let wrong = (held..held * 6)
            .filter(|number| filter.may_contain(fingerprint(*number)))
            .count();
        assert!(
            wrong < 1000,
            "{wrong} of 100,000 absent fingerprints taken for present"
        );
    }

    #[test]
    fn other_bytes_are_refused() {
        for len in [0, 1, 8, 63, 65, 72] {
            assert!(BloomFilter::from_bytes(&vec![0; len]).is_none(), "{len}");
        }
    }
}
