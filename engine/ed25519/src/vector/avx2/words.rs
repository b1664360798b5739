//! Eight words of 64 bits, for hashing.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi64, _mm256_and_si256, _mm256_andnot_si256, _mm256_or_si256,
    _mm256_set1_epi64x, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sll_epi64,
    _mm256_srl_epi64, _mm256_xor_si256,
};

use super::{Avx2, load, store};
use crate::vector::{LANES, Words};

/// Eight words. Only made from an [`Avx2`] or from others.
#[derive(Clone, Copy)]
pub(crate) struct Words4x2([__m256i; 2]);

/// The same expression of both halves.
macro_rules! halves {
    ($($value:ident),+ => $body:expr) => {
        instructions!(Words4x2([
            {
                $(let $value = $value.0[0];)+
                $body
            },
            {
                $(let $value = $value.0[1];)+
                $body
            },
        ]))
    };
}

#[inline]
#[target_feature(enable = "avx2")]
fn reverse_bytes(words: __m256i) -> __m256i {
    let order = _mm256_setr_epi8(
        7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8,
    );
    _mm256_shuffle_epi8(words, order)
}

impl Words for Words4x2 {
    type Machine = Avx2;

    #[inline(always)]
    fn splat(_: Avx2, word: u64) -> Self {
        instructions!(Self([_mm256_set1_epi64x(word.cast_signed()); 2]))
    }

    #[inline(always)]
    fn load_blocks(_: Avx2, blocks: &[[u8; 128]; LANES]) -> [Self; 16] {
        #[inline(never)]
        #[target_feature(enable = "avx2")]
        fn compiled(blocks: &[[u8; 128]; LANES]) -> [Words4x2; 16] {
            let mut words = [Words4x2([_mm256_setzero_si256(); 2]); 16];
            for (half, blocks) in blocks.as_chunks::<4>().0.iter().enumerate() {
                for (group, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    let mut rows = [[0; 4]; 4];
                    for (row, block) in rows.iter_mut().zip(blocks) {
                        if let Some(bytes) = block.as_chunks::<32>().0.get(group) {
                            *row = crate::vector::signers::words(bytes);
                        }
                    }
                    let [a, b, c, d] = rows.each_ref();
                    for (words, loaded) in words.iter_mut().zip(load([a, b, c, d])) {
                        words.0[half] = reverse_bytes(loaded);
                    }
                }
            }
            words
        }
        instructions!(compiled(blocks))
    }

    #[inline(always)]
    fn store_digests(state: [Self; 8]) -> [[u64; 8]; LANES] {
        #[inline(never)]
        #[target_feature(enable = "avx2")]
        fn compiled(state: &[Words4x2; 8]) -> [[u64; 8]; LANES] {
            let mut digests = [[0; 8]; LANES];
            for (half, digests) in digests.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                for (group, state) in state.as_chunks::<4>().0.iter().enumerate() {
                    let [a, b, c, d] = state;
                    let words = [
                        reverse_bytes(a.0[half]),
                        reverse_bytes(b.0[half]),
                        reverse_bytes(c.0[half]),
                        reverse_bytes(d.0[half]),
                    ];
                    let mut parts = [[0; 4]; 4];
                    let [a, b, c, d] = parts.each_mut();
                    store(words, [a, b, c, d]);
                    for (digest, part) in digests.iter_mut().zip(parts) {
                        if let Some(place) = digest.as_chunks_mut::<4>().0.get_mut(group) {
                            *place = part;
                        }
                    }
                }
            }
            digests
        }
        instructions!(compiled(&state))
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        let left = self;
        halves!(left, other => _mm256_add_epi64(left, other))
    }

    #[inline(always)]
    fn xor3(first: Self, second: Self, third: Self) -> Self {
        halves!(first, second, third => _mm256_xor_si256(_mm256_xor_si256(first, second), third))
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        let word = self;
        halves!(word => _mm256_or_si256(
            _mm256_srl_epi64(word, _mm_cvtsi32_si128(BITS)),
            _mm256_sll_epi64(word, _mm_cvtsi32_si128(64 - BITS)),
        ))
    }

    #[inline(always)]
    fn shift<const BITS: u32>(self) -> Self {
        let word = self;
        halves!(word => _mm256_srl_epi64(word, _mm_cvtsi32_si128(BITS.cast_signed())))
    }

    #[inline(always)]
    fn choose(by: Self, yes: Self, no: Self) -> Self {
        halves!(by, yes, no => _mm256_or_si256(_mm256_and_si256(by, yes), _mm256_andnot_si256(by, no)))
    }

    #[inline(always)]
    fn majority(first: Self, second: Self, third: Self) -> Self {
        halves!(first, second, third => _mm256_or_si256(
            _mm256_and_si256(first, second),
            _mm256_and_si256(third, _mm256_or_si256(first, second)),
        ))
    }
}
