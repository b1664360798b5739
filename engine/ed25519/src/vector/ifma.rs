//! The machine with AVX-512 IFMA: eight 52-bit multiply-adds in one instruction.
//!
//! # Limbs
//!
//! Radix 2⁵¹, five limbs of 64 bits in five registers. The multiplier reads the low 52 bits of an operand and silently
//! ignores the rest, so the bounds below are what correctness rests on.
//!
//! | value | bound of a limb | why |
//! | --- | --- | --- |
//! | reduced | < 2⁵¹ + 2¹⁸ | one carry pass over limbs < 2⁶⁴: carries < 2¹³, the topmost times 19 |
//! | operand of a product | < 2⁵² | what the multiplier reads |
//! | product of reduced | < 2⁵⁹·¹ | `lo` < 2⁵², `hi` < 2⁵⁰·¹; at most 1 + 19·4 of `lo` and 2·19·5 of `hi` |
//! | product of operands | < 2⁶⁰·¹ | `lo`, `hi` < 2⁵²; the same counts: 267 |
//! | bias of a difference | 2⁶¹ − 2¹⁵ ≤ limb < 2⁶² | `2¹⁰·p`: above two products of reduced, whatever their value |
//! | sum | < 2⁶³ | four products and a bias |

#![expect(unsafe_code, reason = "vector instructions, behind the proof that the processor has them")]

use std::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_epi64, _mm512_and_si512, _mm512_castsi256_si512,
    _mm512_castsi512_si256, _mm512_cmpeq_epi64_mask, _mm512_extracti64x4_epi64, _mm512_inserti64x4, _mm512_loadu_si512,
    _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64, _mm512_mask_sub_epi64, _mm512_mullo_epi64,
    _mm512_or_si512, _mm512_permutex2var_epi64, _mm512_permutexvar_epi64, _mm512_ror_epi64, _mm512_set1_epi64,
    _mm512_setr_epi64, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i64x2, _mm512_slli_epi64,
    _mm512_srli_epi64, _mm512_sub_epi64, _mm512_ternarylogic_epi64, _mm512_test_epi64_mask, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};

use super::element::Element;
use super::{Field, LANES, Machine, NielsRow, PointRow, Words, Work};

/// Proof that the processor has AVX-512 with IFMA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ifma(());

impl Ifma {
    /// The proof, if this processor has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("bmi2");
        has.then_some(Self(()))
    }
}

impl Machine for Ifma {
    type Field = Field8;
    type Words = Words8;

    #[inline]
    fn run<W: Work<Self>>(self, work: W) -> W::Output {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512bw,avx512vl,bmi2")]
        fn compiled<W: Work<Ifma>>(machine: Ifma, work: W) -> W::Output {
            work.work(machine)
        }
        // SAFETY: `self` was made by `detect`, so the processor has every feature that `compiled` enables.
        unsafe { compiled(self, work) }
    }
}

/// Eight elements: limb `i` of all of them in register `i`. Only made from an [`Ifma`] or from another.
#[derive(Clone, Copy)]
pub(crate) struct Field8([__m512i; 5]);

/// Evaluates vector instructions, all of them arithmetic on registers.
///
/// The one argument for all of them: a `Field8` or an `Ifma` is at hand, so the processor has the instructions.
macro_rules! instructions {
    ($body:expr) => {{
        // SAFETY: the instructions need AVX-512 F, IFMA, DQ, BW and VL and nothing else: no memory is touched. Every
        // caller holds an `Ifma` or a `Field8`, which exist only where `Ifma::detect` found them all.
        unsafe { $body }
    }};
}

/// Five limbs, each by the same expression of its index.
///
/// In place of `array::from_fn` and `map`: a closure is a function of its own, compiled without the machine's instructions,
/// and what is inlined into it stays a call.
macro_rules! limbs {
    ($index:ident => $limb:expr) => {
        [
            limbs!(@ $index 0 $limb),
            limbs!(@ $index 1 $limb),
            limbs!(@ $index 2 $limb),
            limbs!(@ $index 3 $limb),
            limbs!(@ $index 4 $limb),
        ]
    };
    (@ $index:ident $value:literal $limb:expr) => {{
        const $index: usize = $value;
        $limb
    }};
}

/// The limbs of `2¹⁰·p`: what is added to a difference so that no limb is negative.
const BIAS: [i64; 5] = [
    ((1 << 51) - 19) << 10,
    ((1 << 51) - 1) << 10,
    ((1 << 51) - 1) << 10,
    ((1 << 51) - 1) << 10,
    ((1 << 51) - 1) << 10,
];

/// The limbs of `2·p`, against which a reduced element is negated for multiplication.
const TWICE_P: [i64; 5] = [(1 << 52) - 38, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2];

/// The same word in every lane.
#[inline(always)]
fn all(word: i64) -> __m512i {
    instructions!(_mm512_set1_epi64(word))
}

/// The same number in every lane, with the compiler kept from knowing it: it would replace a multiplication by
/// it with shifts and additions, which are slower.
#[inline]
#[target_feature(enable = "avx512f")]
fn unknown(word: i64) -> __m512i {
    let mut word = _mm512_set1_epi64(word);
    // SAFETY: an empty sequence of instructions, which leaves the register as it is.
    unsafe { std::arch::asm!("/* {0} */", inout(zmm_reg) word, options(pure, nomem, nostack, preserves_flags)) };
    word
}

#[inline(always)]
fn add(left: __m512i, right: __m512i) -> __m512i {
    instructions!(_mm512_add_epi64(left, right))
}

#[inline(always)]
fn and(left: __m512i, right: __m512i) -> __m512i {
    instructions!(_mm512_and_si512(left, right))
}

/// `into + low 52 bits of left · right`.
#[inline(always)]
fn low(into: __m512i, left: __m512i, right: __m512i) -> __m512i {
    instructions!(_mm512_madd52lo_epu64(into, left, right))
}

/// `into + left · right / 2⁵²`.
#[inline(always)]
fn high(into: __m512i, left: __m512i, right: __m512i) -> __m512i {
    instructions!(_mm512_madd52hi_epu64(into, left, right))
}

#[inline(always)]
fn shift_right<const BITS: u32>(word: __m512i) -> __m512i {
    instructions!(_mm512_srli_epi64::<BITS>(word))
}

/// Adds products to a column, one after another: the high or the low half of each.
macro_rules! multiply_add {
    ($half:ident, $into:expr; $($left:ident $right:ident),+) => {{
        let column = $into;
        $(let column = $half(column, $left, $right);)+
        column
    }};
}

#[inline(always)]
fn twice(word: __m512i) -> __m512i {
    add(word, word)
}

/// Folds ten columns of weight 2⁵¹ⁱ to five: 2²⁵⁵ is 19. Columns that are halves are taken twice in passing.
#[inline(always)]
fn fold(columns: [__m512i; 10], halves: [bool; 5]) -> [__m512i; 5] {
    let (once, twice) = instructions!((unknown(19), unknown(38)));
    limbs!(I => {
        let factor = if halves[I] { twice } else { once };
        add(columns[I], instructions!(_mm512_mullo_epi64(columns[I + 5], factor)))
    })
}

/// Four words of one row and four of another.
///
/// # Safety
///
/// Both pointers are valid for reading 32 bytes. The processor has AVX-512.
#[inline(always)]
unsafe fn load_pair(first: *const u64, second: *const u64) -> __m512i {
    // SAFETY: the caller vouches for the pointers and for the instructions; the loads need no alignment.
    unsafe {
        let low = _mm512_castsi256_si512(_mm256_loadu_si256(first.cast()));
        _mm512_inserti64x4::<1>(low, _mm256_loadu_si256(second.cast()))
    }
}

/// Words `4·group..4·group + 4` of eight rows, each word of all rows in one register.
///
/// # Safety
///
/// Every pointer is valid for reading 32 bytes. The processor has AVX-512.
#[inline(always)]
unsafe fn transpose_in(rows: [*const u64; LANES]) -> [__m512i; 4] {
    // SAFETY: the caller vouches for the pointers and for the instructions; the loads need no alignment.
    unsafe {
        let (a, b) = (load_pair(rows[0], rows[2]), load_pair(rows[1], rows[3]));
        let (c, d) = (load_pair(rows[4], rows[6]), load_pair(rows[5], rows[7]));
        let (ab_even, ab_odd) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        let (cd_even, cd_odd) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
        [
            _mm512_shuffle_i64x2::<0b10_00_10_00>(ab_even, cd_even),
            _mm512_shuffle_i64x2::<0b10_00_10_00>(ab_odd, cd_odd),
            _mm512_shuffle_i64x2::<0b11_01_11_01>(ab_even, cd_even),
            _mm512_shuffle_i64x2::<0b11_01_11_01>(ab_odd, cd_odd),
        ]
    }
}

/// The converse of [`transpose_in`].
///
/// # Safety
///
/// Every pointer is valid for writing 32 bytes. The processor has AVX-512.
#[inline(always)]
unsafe fn transpose_out(words: [__m512i; 4], rows: [*mut u64; LANES]) {
    // SAFETY: the caller vouches for the pointers and for the instructions; the stores need no alignment.
    unsafe {
        let first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
        let second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
        let (even_01, odd_01) = (_mm512_unpacklo_epi64(words[0], words[1]), _mm512_unpackhi_epi64(words[0], words[1]));
        let (even_23, odd_23) = (_mm512_unpacklo_epi64(words[2], words[3]), _mm512_unpackhi_epi64(words[2], words[3]));
        store_pair(_mm512_permutex2var_epi64(even_01, first, even_23), rows[0], rows[2]);
        store_pair(_mm512_permutex2var_epi64(odd_01, first, odd_23), rows[1], rows[3]);
        store_pair(_mm512_permutex2var_epi64(even_01, second, even_23), rows[4], rows[6]);
        store_pair(_mm512_permutex2var_epi64(odd_01, second, odd_23), rows[5], rows[7]);
    }
}

/// Four words to one place and four to another.
///
/// # Safety
///
/// Both pointers are valid for writing 32 bytes. The processor has AVX-512.
#[inline(always)]
unsafe fn store_pair(words: __m512i, first: *mut u64, second: *mut u64) {
    // SAFETY: the caller vouches for the pointers and for the instructions; the stores need no alignment.
    unsafe {
        _mm256_storeu_si256(first.cast(), _mm512_castsi512_si256(words));
        _mm256_storeu_si256(second.cast(), _mm512_extracti64x4_epi64::<1>(words));
    }
}

/// One carry through all limbs in turn, the topmost into the lowest.
#[inline(always)]
fn carry_in_turn([a, b, c, d, e]: [__m512i; 5]) -> [__m512i; 5] {
    let mask = all((1 << 51) - 1);
    let b = add(b, shift_right::<51>(a));
    let c = add(c, shift_right::<51>(b));
    let d = add(d, shift_right::<51>(c));
    let e = add(e, shift_right::<51>(d));
    [low(and(a, mask), shift_right::<51>(e), all(19)), and(b, mask), and(c, mask), and(d, mask), and(e, mask)]
}

impl Field for Field8 {
    type Machine = Ifma;
    type Wide = [__m512i; 5];

    #[inline(always)]
    fn splat(_: Ifma, element: &Element) -> Self {
        Self(limbs!(I => all(element.0[I].cast_signed())))
    }

    #[inline(always)]
    fn load_encodings(_: Ifma, encodings: [&[u8; 32]; LANES]) -> (Self, u8) {
        // SAFETY: each pointer is that of 32 bytes; the `Ifma` proves the instructions.
        let words = unsafe { transpose_in(encodings.map(|encoding| encoding.as_ptr().cast())) };
        instructions!({
            let mask = all((1 << 51) - 1);
            let limbs = [
                words[0],
                _mm512_or_si512(_mm512_srli_epi64::<51>(words[0]), _mm512_slli_epi64::<13>(words[1])),
                _mm512_or_si512(_mm512_srli_epi64::<38>(words[1]), _mm512_slli_epi64::<26>(words[2])),
                _mm512_or_si512(_mm512_srli_epi64::<25>(words[2]), _mm512_slli_epi64::<39>(words[3])),
                _mm512_srli_epi64::<12>(words[3]),
            ];
            let signs = _mm512_test_epi64_mask(words[3], all(i64::MIN));
            (Self(limbs!(I => and(limbs[I], mask))), signs)
        })
    }

    #[inline(always)]
    fn load_niels(_: Ifma, rows: [&NielsRow; LANES]) -> [Self; 3] {
        // SAFETY: 32 bytes from words 0, 4, 8 and 12 lie in a row of 16 words; the `Ifma` proves the instructions.
        let ([a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, _]) = unsafe {
            (
                transpose_in(rows.map(|row| row.0.as_ptr())),
                transpose_in(rows.map(|row| row.0.as_ptr().add(4))),
                transpose_in(rows.map(|row| row.0.as_ptr().add(8))),
                transpose_in(rows.map(|row| row.0.as_ptr().add(12))),
            )
        };
        [Self([a, b, c, d, e]), Self([f, g, h, i, j]), Self([k, l, m, n, o])]
    }

    #[inline(always)]
    fn store_niels([first, second, third]: [Self; 3]) -> [NielsRow; LANES] {
        let ([a, b, c, d, e], [f, g, h, i, j], [k, l, m, n, o]) = (first.0, second.0, third.0);
        let zero = instructions!(_mm512_setzero_si512());
        let mut rows = [NielsRow([0; 16]); LANES];
        // SAFETY: 32 bytes from words 0, 4, 8 and 12 lie in a row of 16 words, and the eight rows are distinct; the
        // coordinates prove the instructions.
        unsafe {
            transpose_out([a, b, c, d], rows.each_mut().map(|row| row.0.as_mut_ptr()));
            transpose_out([e, f, g, h], rows.each_mut().map(|row| row.0.as_mut_ptr().add(4)));
            transpose_out([i, j, k, l], rows.each_mut().map(|row| row.0.as_mut_ptr().add(8)));
            transpose_out([m, n, o, zero], rows.each_mut().map(|row| row.0.as_mut_ptr().add(12)));
        }
        rows
    }

    #[inline(always)]
    fn load_points(_: Ifma, rows: [&PointRow; LANES]) -> [Self; 4] {
        // SAFETY: 32 bytes from words 0, 4, 8, 12 and 16 lie in a row of 20 words; the `Ifma` proves the instructions.
        let ([a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p], [q, r, s, t]) = unsafe {
            (
                transpose_in(rows.map(|row| row.0.as_ptr())),
                transpose_in(rows.map(|row| row.0.as_ptr().add(4))),
                transpose_in(rows.map(|row| row.0.as_ptr().add(8))),
                transpose_in(rows.map(|row| row.0.as_ptr().add(12))),
                transpose_in(rows.map(|row| row.0.as_ptr().add(16))),
            )
        };
        [Self([a, b, c, d, e]), Self([f, g, h, i, j]), Self([k, l, m, n, o]), Self([p, q, r, s, t])]
    }

    #[inline(always)]
    fn store_points([first, second, third, fourth]: [Self; 4]) -> [PointRow; LANES] {
        let ([a, b, c, d, e], [f, g, h, i, j]) = (first.0, second.0);
        let ([k, l, m, n, o], [p, q, r, s, t]) = (third.0, fourth.0);
        let mut rows = [PointRow([0; 20]); LANES];
        // SAFETY: 32 bytes from words 0, 4, 8, 12 and 16 lie in a row of 20 words, and the eight rows are distinct; the
        // coordinates prove the instructions.
        unsafe {
            transpose_out([a, b, c, d], rows.each_mut().map(|row| row.0.as_mut_ptr()));
            transpose_out([e, f, g, h], rows.each_mut().map(|row| row.0.as_mut_ptr().add(4)));
            transpose_out([i, j, k, l], rows.each_mut().map(|row| row.0.as_mut_ptr().add(8)));
            transpose_out([m, n, o, p], rows.each_mut().map(|row| row.0.as_mut_ptr().add(12)));
            transpose_out([q, r, s, t], rows.each_mut().map(|row| row.0.as_mut_ptr().add(16)));
        }
        rows
    }

    #[inline(always)]
    fn multiply_wide(self, other: Self) -> Self::Wide {
        let zero = instructions!(_mm512_setzero_si512());
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        // The high halves weigh twice what their place says: 2⁵² of a radix of 2⁵¹.
        let h1 = twice(multiply_add!(high, zero; a0 b0));
        let h2 = twice(multiply_add!(high, zero; a0 b1, a1 b0));
        let h3 = twice(multiply_add!(high, zero; a0 b2, a1 b1, a2 b0));
        let h4 = twice(multiply_add!(high, zero; a0 b3, a1 b2, a2 b1, a3 b0));
        let h5 = twice(multiply_add!(high, zero; a0 b4, a1 b3, a2 b2, a3 b1, a4 b0));
        let h6 = twice(multiply_add!(high, zero; a1 b4, a2 b3, a3 b2, a4 b1));
        let h7 = twice(multiply_add!(high, zero; a2 b4, a3 b3, a4 b2));
        let h8 = twice(multiply_add!(high, zero; a3 b4, a4 b3));
        let h9 = multiply_add!(high, zero; a4 b4);
        let columns = [
            multiply_add!(low, zero; a0 b0),
            multiply_add!(low, h1; a0 b1, a1 b0),
            multiply_add!(low, h2; a0 b2, a1 b1, a2 b0),
            multiply_add!(low, h3; a0 b3, a1 b2, a2 b1, a3 b0),
            multiply_add!(low, h4; a0 b4, a1 b3, a2 b2, a3 b1, a4 b0),
            multiply_add!(low, h5; a1 b4, a2 b3, a3 b2, a4 b1),
            multiply_add!(low, h6; a2 b4, a3 b3, a4 b2),
            multiply_add!(low, h7; a3 b4, a4 b3),
            multiply_add!(low, h8; a4 b4),
            h9,
        ];
        fold(columns, [false, false, false, false, true])
    }

    #[inline(always)]
    fn square_wide(self) -> Self::Wide {
        let zero = instructions!(_mm512_setzero_si512());
        let [a0, a1, a2, a3, a4] = self.0;
        // Of i < j: four times the high halves and twice the low ones; of squares twice the high and once the low.
        let c1 = twice(multiply_add!(low, high(zero, a0, a0); a0 a1));
        let c2 = twice(multiply_add!(low, twice(multiply_add!(high, zero; a0 a1)); a0 a2));
        let c3 = twice(multiply_add!(low, high(twice(multiply_add!(high, zero; a0 a2)), a1, a1); a0 a3, a1 a2));
        let c4 = twice(multiply_add!(low, twice(multiply_add!(high, zero; a0 a3, a1 a2)); a0 a4, a1 a3));
        let c5 = multiply_add!(low, high(twice(multiply_add!(high, zero; a0 a4, a1 a3)), a2, a2); a1 a4, a2 a3);
        let c6 = twice(multiply_add!(low, twice(multiply_add!(high, zero; a1 a4, a2 a3)); a2 a4));
        let c7 = multiply_add!(low, high(twice(multiply_add!(high, zero; a2 a4)), a3, a3); a3 a4);
        let c8 = twice(twice(multiply_add!(high, zero; a3 a4)));
        let c9 = high(zero, a4, a4);
        let columns =
            [low(zero, a0, a0), c1, low(c2, a1, a1), c3, low(c4, a2, a2), c5, low(c6, a3, a3), c7, low(c8, a4, a4), c9];
        fold(columns, [true, false, true, false, true])
    }

    #[inline(always)]
    fn widen(self) -> Self::Wide {
        self.0
    }

    #[inline(always)]
    fn wide_plus(left: Self::Wide, right: Self::Wide) -> Self::Wide {
        limbs!(I => add(left[I], right[I]))
    }

    #[inline(always)]
    fn wide_minus(left: Self::Wide, right: Self::Wide) -> Self::Wide {
        limbs!(I => add(left[I], instructions!(_mm512_sub_epi64(all(BIAS[I]), right[I]))))
    }

    #[inline(always)]
    fn reduce(wide: Self::Wide) -> Self {
        let mask = all((1 << 51) - 1);
        let kept = limbs!(I => and(wide[I], mask));
        let carried = limbs!(I => shift_right::<51>(wide[I]));
        Self([
            low(kept[0], carried[4], all(19)),
            add(kept[1], carried[0]),
            add(kept[2], carried[1]),
            add(kept[3], carried[2]),
            add(kept[4], carried[3]),
        ])
    }

    #[inline(always)]
    fn freeze(self) -> Self {
        // Below 2²⁵⁵ + 2⁶: the prime is in it once at most, and then adding 19 carries out of the top.
        let [a, b, c, d, e] = carry_in_turn(self.0);
        let carry = shift_right::<51>(add(a, all(19)));
        let carry = shift_right::<51>(add(b, carry));
        let carry = shift_right::<51>(add(c, carry));
        let carry = shift_right::<51>(add(d, carry));
        let carry = shift_right::<51>(add(e, carry));
        // Without that carry nothing leaves the top; with it, what leaves is dropped.
        let mask = all((1 << 51) - 1);
        let a = low(a, carry, all(19));
        let b = add(b, shift_right::<51>(a));
        let c = add(c, shift_right::<51>(b));
        let d = add(d, shift_right::<51>(c));
        let e = add(e, shift_right::<51>(d));
        Self([and(a, mask), and(b, mask), and(c, mask), and(d, mask), and(e, mask)])
    }

    #[inline(always)]
    fn frozen_zeros(self) -> u8 {
        instructions!({
            let [a, b, c, d, e] = self.0;
            let any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)), e);
            _mm512_cmpeq_epi64_mask(any, _mm512_setzero_si512())
        })
    }

    #[inline(always)]
    fn frozen_odds(self) -> u8 {
        instructions!(_mm512_test_epi64_mask(self.0[0], all(1)))
    }

    #[inline(always)]
    fn replace_where(self, lanes: u8, chosen: Self) -> Self {
        Self(limbs!(I => instructions!(_mm512_mask_blend_epi64(lanes, self.0[I], chosen.0[I]))))
    }

    #[inline(always)]
    fn negate_where(self, lanes: u8) -> Self {
        Self(limbs!(I => instructions!(_mm512_mask_sub_epi64(self.0[I], lanes, all(TWICE_P[I]), self.0[I]))))
    }

    #[inline(always)]
    fn permute(self, from: [u8; LANES]) -> Self {
        let from = from.map(u64::from);
        // SAFETY: 64 bytes are read from an array of that size; `self` proves the instructions.
        let from = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
        Self(limbs!(I => instructions!(_mm512_permutexvar_epi64(from, self.0[I]))))
    }
}

/// Eight words. Only made from an [`Ifma`] or from others.
#[derive(Clone, Copy)]
pub(crate) struct Words8(__m512i);

/// The order of bytes that reverses each word.
const REVERSED: [u8; 64] = {
    let mut order = [0; 64];
    let mut index: u8 = 0;
    while index < 64 {
        order[index as usize] = index % 16 / 8 * 8 + 7 - index % 8;
        index += 1;
    }
    order
};

/// Reverses the bytes of each word.
#[inline(always)]
fn reverse_bytes(words: __m512i) -> __m512i {
    // SAFETY: 64 bytes are read from an array of that size; registers at hand prove the instructions.
    unsafe { _mm512_shuffle_epi8(words, _mm512_loadu_si512(REVERSED.as_ptr().cast())) }
}

impl Words for Words8 {
    type Machine = Ifma;

    #[inline(always)]
    fn splat(_: Ifma, word: u64) -> Self {
        Self(all(word.cast_signed()))
    }

    #[inline(always)]
    fn load_blocks(_: Ifma, blocks: &[[u8; 128]; LANES]) -> [Self; 16] {
        let mut words = [instructions!(_mm512_setzero_si512()); 16];
        for (group, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            // SAFETY: `group` is below 4, so 32 bytes from byte `32·group` lie in a block of 128; the `Ifma` proves the
            // instructions.
            *words = unsafe { transpose_in(blocks.each_ref().map(|block| block.as_ptr().add(32 * group).cast())) };
        }
        let mut reversed = [Self(words[0]); 16];
        for (reversed, words) in reversed.iter_mut().zip(words) {
            *reversed = Self(reverse_bytes(words));
        }
        reversed
    }

    #[inline(always)]
    fn store_digests(state: [Self; 8]) -> [[u64; 8]; LANES] {
        let mut words = [state[0].0; 8];
        for (words, state) in words.iter_mut().zip(state) {
            *words = reverse_bytes(state.0);
        }
        let mut digests = [[0; 8]; LANES];
        for (group, words) in words.as_chunks::<4>().0.iter().enumerate() {
            // SAFETY: `group` is below 2, so 32 bytes from word `4·group` lie in a digest of 8 words, and the eight
            // digests are distinct; the words prove the instructions.
            unsafe { transpose_out(*words, digests.each_mut().map(|digest| digest.as_mut_ptr().add(4 * group))) };
        }
        digests
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(add(self.0, other.0))
    }

    #[inline(always)]
    fn xor3(first: Self, second: Self, third: Self) -> Self {
        Self(instructions!(_mm512_ternarylogic_epi64::<0b1001_0110>(first.0, second.0, third.0)))
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        Self(instructions!(_mm512_ror_epi64::<BITS>(self.0)))
    }

    #[inline(always)]
    fn shift<const BITS: u32>(self) -> Self {
        Self(shift_right::<BITS>(self.0))
    }

    #[inline(always)]
    fn choose(by: Self, yes: Self, no: Self) -> Self {
        Self(instructions!(_mm512_ternarylogic_epi64::<0b1100_1010>(by.0, yes.0, no.0)))
    }

    #[inline(always)]
    fn majority(first: Self, second: Self, third: Self) -> Self {
        Self(instructions!(_mm512_ternarylogic_epi64::<0b1110_1000>(first.0, second.0, third.0)))
    }
}
