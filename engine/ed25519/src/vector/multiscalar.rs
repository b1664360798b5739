//! `Σ xᵢ·Pᵢ` over thousands of points, by buckets (Pippenger), eight lanes wide over independent points.
//!
//! # How
//!
//! Scalars are cut into windows of equal width, give or take one bit, and each window into signed digits. In each
//! window the points are sorted by the size of their digit: a bucket is the sum of the points whose digit is `±b`. Buckets are
//! ordered by length and dealt to the lanes, so that eight accumulators stay in registers and only the incoming
//! points are fetched and transposed. `Σ b·bucket_b` is a running sum, each lane over an eighth of the buckets;
//! what the lanes' different offsets weigh is put right once, at the very end.
//!
//! # Scalars
//!
//! *Short* ones are below 2¹²⁷ and take `windows` windows over bits 0..128. *Long* ones are below 2²⁵⁴ and take twice as many,
//! the same widths again over bits 128..256. The topmost window of either takes no sign, and its digit never passes
//! half its range: the bit above it is free.

#![expect(clippy::cast_possible_truncation, reason = "a batch has at most 2¹³ items, and rows for thrice as many")]

use super::point::{Niels, Points};
use super::prefetch::prefetch;
use super::{Field, LANES, Machine, NielsRow, PointRow, Work};
use crate::scalar::Scalar;

/// The row of the neutral element; every table of rows begins with it.
pub(crate) const IDENTITY_INDEX: u32 = 0;

/// Bits that the windows of a short scalar cover.
const SHORT_BITS: u32 = 128;

/// The widest window; digits and their signs fit 16 bits.
const WIDTH_MAX: u32 = 13;

/// Numbers of 128 bits, their lower words apart from their upper ones: so a window of many is cut at once.
#[derive(Debug, Default)]
struct Numbers {
    low: Vec<u64>,
    high: Vec<u64>,
}

impl Numbers {
    fn clear(&mut self) {
        self.low.clear();
        self.high.clear();
    }

    #[inline(always)]
    fn push(&mut self, low: u64, high: u64) {
        self.low.push(low);
        self.high.push(high);
    }
}

/// Points with their scalars.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    short_rows: Vec<u32>,
    short_scalars: Numbers,
    long_rows: Vec<u32>,
    /// The lower and the upper halves.
    long_scalars: [Numbers; 2],
}

impl Terms {
    /// Forgets all terms.
    pub(crate) fn clear(&mut self) {
        self.short_rows.clear();
        self.short_scalars.clear();
        self.long_rows.clear();
        self.long_scalars.iter_mut().for_each(Numbers::clear);
    }

    /// Adds a term whose scalar is below 2¹²⁷.
    #[inline(always)]
    pub(crate) fn push_short(&mut self, row: u32, scalar: u128) {
        debug_assert!(scalar >> 127 == 0);
        self.short_rows.push(row);
        self.short_scalars.push(scalar as u64, (scalar >> 64) as u64);
    }

    /// Adds a term whose scalar is below 2²⁵⁴.
    pub(crate) fn push_long(&mut self, row: u32, scalar: &Scalar) {
        let [first, second, third, fourth] = *scalar;
        debug_assert!(fourth >> 62 == 0);
        let [low, high] = &mut self.long_scalars;
        self.long_rows.push(row);
        low.push(first, second);
        high.push(third, fourth);
    }

    /// Makes the digits unsigned: adds half a window's range to each window but the topmost.
    #[inline(always)]
    fn bias(&mut self, windows: &Windows) {
        let short = windows.bias();
        let words = |bias: u128| (bias as u64, (bias >> 64) as u64);
        let Numbers { low, high } = &mut self.short_scalars;
        for (low, high) in low.iter_mut().zip(high) {
            add_to(low, high, words(short), false);
        }
        // Over 256 bits the window at the top of the lower half is not the topmost.
        let (lower, upper) = (words(short | (1 << (SHORT_BITS - 1))), words(short));
        let [Numbers { low: first, high: second }, Numbers { low: third, high: fourth }] = &mut self.long_scalars;
        for ((first, second), (third, fourth)) in first.iter_mut().zip(second).zip(third.iter_mut().zip(fourth)) {
            let carry = add_to(first, second, lower, false);
            add_to(third, fourth, upper, carry);
        }
    }
}

/// Adds to a number of two words; gives what is carried out of it.
#[inline(always)]
fn add_to(low: &mut u64, high: &mut u64, (first, second): (u64, u64), carried: bool) -> bool {
    let carry;
    (*low, carry) = low.carrying_add(first, carried);
    let out;
    (*high, out) = high.carrying_add(second, carry);
    out
}

/// Memory that a multiplication needs and the next can use again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The digit of each term: its size twice, plus one if negative.
    digits: Vec<u16>,
    /// Points in each bucket, by size of digit.
    lengths: Vec<u32>,
    /// Where each bucket's next point goes.
    cursors: Vec<u32>,
    /// Buckets by falling length.
    order: Vec<u16>,
    /// Rows twice, plus one if negative: of eight buckets at a time, one of each in turn.
    entries: Vec<u32>,
    buckets: Vec<PointRow>,
}

/// How 128 bits are cut.
#[derive(Clone, Copy, Debug)]
struct Windows {
    count: u32,
}

impl Windows {
    /// The cut that costs least for so many terms: each window pays for its terms and for its buckets.
    fn for_terms(short: usize, long: usize) -> Self {
        let cost = |count: u32| {
            let windows = Self { count };
            let buckets: u64 = (0..count).map(|window| 1 << (windows.width(window) - 1)).sum();
            let halves = if long > 0 { 2 } else { 1 };
            // Half-nanoseconds a term and a bucket, as measured.
            u64::from(count) * (short as u64 + long as u64 * 2) * 24 + halves * buckets * 90
        };
        let narrowest = SHORT_BITS.div_ceil(WIDTH_MAX);
        let count = (narrowest..=32).min_by_key(|count| cost(*count)).unwrap_or(narrowest);
        Self { count }
    }

    /// Bits of a window; the wider ones come first.
    fn width(self, window: u32) -> u32 {
        SHORT_BITS / self.count + u32::from(window % self.count < SHORT_BITS % self.count)
    }

    /// The lowest bit of a window.
    fn start(self, window: u32) -> u32 {
        let (half, window) = (window / self.count, window % self.count);
        half * SHORT_BITS + window * (SHORT_BITS / self.count) + window.min(SHORT_BITS % self.count)
    }

    /// Half the range of every window but the topmost.
    fn bias(self) -> u128 {
        (0..self.count - 1).fold(0, |bias, window| bias | 1 << (self.start(window) + self.width(window) - 1))
    }
}

/// The sum of all terms.
pub(crate) struct MultiScalar<'a> {
    /// The rows that the terms name.
    pub(crate) rows: &'a [NielsRow],
    /// The terms; used up.
    pub(crate) terms: &'a mut Terms,
    pub(crate) scratch: &'a mut Scratch,
}

impl<M: Machine> Work<M> for MultiScalar<'_> {
    type Output = PointRow;

    #[inline(always)]
    fn work(self, machine: M) -> PointRow {
        let Self { rows, terms, scratch } = self;
        let windows = Windows::for_terms(terms.short_rows.len(), terms.long_rows.len());
        terms.bias(&windows);
        let count = if terms.long_rows.is_empty() { windows.count } else { 2 * windows.count };
        let narrow = windows.width(windows.count - 1);
        let mut total = LaneSums::identity(machine);
        for window in (0..count).rev() {
            let width = windows.width(window);
            if window + 1 < count {
                total = total.double_times(width);
            }
            scratch.sort(terms, windows, window);
            scratch.fill_buckets(machine, rows);
            let mut sums = scratch.sum_buckets::<M>(machine, 1 << (width - 1));
            if width > narrow {
                // Its eighths are twice as long.
                sums.offsets = sums.offsets.double();
            }
            total = total.plus(machine, sums);
        }
        total.joined(machine, (1 << (narrow - 1)) / LANES as u32)
    }
}

impl Scratch {
    /// Sorts the terms of a window by the size of their digit, into `entries`.
    #[inline(always)]
    fn sort(&mut self, terms: &Terms, windows: Windows, window: u32) {
        let width = windows.width(window);
        let buckets = 1_usize << (width - 1);
        self.digits.clear();
        self.lengths.clear();
        self.lengths.resize(buckets + 1, 0);
        let start = windows.start(window) % SHORT_BITS;
        let short = window < windows.count;
        let [lower, upper] = &terms.long_scalars;
        if short {
            self.cut(&terms.short_scalars, start, width, window + 1 == windows.count);
        }
        self.cut(if short { lower } else { upper }, start, width, window + 1 == 2 * windows.count);
        self.count();
        self.deal(buckets);
        let short_rows: &[u32] = if short { &terms.short_rows } else { &[] };
        for (digit, row) in self.digits.iter().zip(short_rows.iter().chain(&terms.long_rows)) {
            if let Some(cursor) = self.cursors.get_mut(usize::from(digit >> 1)) {
                if let Some(entry) = self.entries.get_mut(*cursor as usize) {
                    *entry = row << 1 | u32::from(digit & 1);
                }
                *cursor += LANES as u32;
            }
        }
    }

    /// Appends the digits of a window. Without a branch or a look-up, so that it is many at a time.
    #[inline(always)]
    fn cut(&mut self, numbers: &Numbers, start: u32, width: u32, topmost: bool) {
        let mask = (1_u64 << width) - 1;
        let half = if topmost { 0 } else { 1_i32 << (width - 1) };
        let digit = |bits: u64| {
            let digit = (bits & mask) as i32 - half;
            (digit.unsigned_abs() << 1 | digit.cast_unsigned() >> 31) as u16 // at most 2¹³ + 1, by the widest window
        };
        let done = self.digits.len();
        self.digits.resize(done + numbers.low.len(), 0);
        let Some(digits) = self.digits.get_mut(done..) else { return };
        if start + width <= u64::BITS {
            for (place, low) in digits.iter_mut().zip(&numbers.low) {
                *place = digit(low >> start);
            }
        } else if let Some(start) = start.checked_sub(u64::BITS) {
            for (place, high) in digits.iter_mut().zip(&numbers.high) {
                *place = digit(high >> start);
            }
        } else {
            for (place, (low, high)) in digits.iter_mut().zip(numbers.low.iter().zip(&numbers.high)) {
                *place = digit(low >> start | high << (u64::BITS - start));
            }
        }
    }

    /// Counts the digits of each size.
    #[inline(always)]
    fn count(&mut self) {
        for digit in &self.digits {
            if let Some(length) = self.lengths.get_mut(usize::from(digit >> 1)) {
                *length += 1;
            }
        }
    }

    /// Orders the buckets by falling length and deals them to the lanes: the place of each bucket's first entry.
    #[inline(always)]
    fn deal(&mut self, buckets: usize) {
        const CLASSES: usize = 256;
        if let Some(length) = self.lengths.first_mut() {
            *length = 0; // digits of zero take no part
        }
        let mut places = [0_u32; CLASSES + 1];
        let class = |length: u32| CLASSES - 1 - (length as usize).min(CLASSES - 1);
        for length in &self.lengths {
            places[class(*length) + 1] += 1;
        }
        for index in 0..CLASSES {
            places[index + 1] += places[index];
        }
        self.order.clear();
        self.order.resize(buckets + 1, 0);
        for (bucket, length) in (0_u16..).zip(&self.lengths) {
            let place = &mut places[class(*length)];
            if let Some(slot) = self.order.get_mut(*place as usize) {
                *slot = bucket;
            }
            *place += 1;
        }
        // Those too long to have a class of their own are few.
        let longest = places[0] as usize;
        let lengths = &self.lengths;
        if let Some(longest) = self.order.get_mut(..longest) {
            longest.sort_unstable_by_key(|bucket| std::cmp::Reverse(lengths.get(usize::from(*bucket)).copied()));
        }
        self.cursors.clear();
        self.cursors.resize(buckets + 1, u32::MAX);
        let mut next = 0;
        for group in self.order.chunks(LANES) {
            let longest = group.first().and_then(|bucket| lengths.get(usize::from(*bucket))).copied().unwrap_or(0);
            for (lane, bucket) in (0..).zip(group) {
                if let Some(cursor) = self.cursors.get_mut(usize::from(*bucket)) {
                    *cursor = next + lane;
                }
            }
            next += longest * LANES as u32;
        }
        // Digits of zero go nowhere.
        if let Some(cursor) = self.cursors.first_mut() {
            *cursor = u32::MAX / 2;
        }
        self.entries.clear();
        self.entries.resize(next as usize, IDENTITY_INDEX << 1);
    }

    /// Adds up every bucket.
    #[inline(always)]
    fn fill_buckets<M: Machine>(&mut self, machine: M, rows: &[NielsRow]) {
        let Some(identity) = rows.get(IDENTITY_INDEX as usize) else { return };
        let nothing = Points::<M::Field>::identity(machine).store()[0];
        self.buckets.clear();
        self.buckets.resize(self.lengths.len(), nothing);
        // A step's rows are asked for while those before it are added: their places are as good as random.
        const AHEAD: usize = 2;
        let mut entries = self.entries.as_chunks::<LANES>().0.iter();
        let mut coming = self.entries.as_chunks::<LANES>().0.iter().skip(AHEAD);
        for group in self.order.chunks(LANES) {
            let longest = group.first().and_then(|bucket| self.lengths.get(usize::from(*bucket))).copied().unwrap_or(0);
            let Some(first) = entries.next().filter(|_| longest > 0) else { break };
            prefetch_rows(rows, coming.next());
            let mut sum = Points::from_niels(machine, fetch::<M>(machine, rows, identity, first));
            for step in entries.by_ref().take(longest as usize - 1) {
                prefetch_rows(rows, coming.next());
                sum = sum.plus_niels(fetch::<M>(machine, rows, identity, step));
            }
            for (bucket, row) in group.iter().zip(sum.store()) {
                if let Some(place) = self.buckets.get_mut(usize::from(*bucket)) {
                    *place = row;
                }
            }
        }
    }

    /// `Σ b·bucket_b`, each lane over an eighth of `buckets` buckets.
    #[inline(always)]
    fn sum_buckets<M: Machine>(&self, machine: M, buckets: usize) -> LaneSums<M::Field> {
        let eighth = buckets / LANES;
        let mut sums = LaneSums::identity(machine);
        let Some(nothing) = self.buckets.first() else { return sums };
        let mut offsets = sums.offsets.addends(machine);
        for index in (1..=eighth).rev() {
            let rows = std::array::from_fn(|lane| self.buckets.get(lane * eighth + index).unwrap_or(nothing));
            sums.offsets = Points::<M::Field>::load(machine, rows).plus(offsets);
            offsets = sums.offsets.addends(machine);
            sums.weighted = sums.weighted.plus(offsets);
        }
        sums
    }
}

/// Asks for the rows of eight entries.
#[inline(always)]
fn prefetch_rows(rows: &[NielsRow], entries: Option<&[u32; LANES]>) {
    for entry in entries.into_iter().flatten() {
        if let Some(row) = rows.get(*entry as usize >> 1) {
            prefetch(row);
        }
    }
}

/// The points of eight entries.
#[inline(always)]
fn fetch<M: Machine>(machine: M, rows: &[NielsRow], identity: &NielsRow, entries: &[u32; LANES]) -> Niels<M::Field> {
    let fetched = entries.map(|entry| rows.get(entry as usize >> 1).unwrap_or(identity));
    let mut negative = 0_u8;
    for (lane, entry) in entries.iter().enumerate() {
        negative |= u8::from(entry & 1 == 1) << lane;
    }
    Niels::load(machine, fetched).negate_where(negative)
}

/// In each lane `Σ i·bucket` with `i` counted from the lane's first bucket, and the plain sum that the lane's offset weighs.
#[derive(Clone, Copy)]
struct LaneSums<F> {
    weighted: Points<F>,
    offsets: Points<F>,
}

impl<F: Field> LaneSums<F> {
    #[inline(always)]
    fn identity(machine: F::Machine) -> Self {
        Self { weighted: Points::identity(machine), offsets: Points::identity(machine) }
    }

    #[inline(always)]
    fn double_times(self, n: u32) -> Self {
        let Self { mut weighted, mut offsets } = self;
        for _ in 1..n {
            weighted = weighted.double_without_t();
            offsets = offsets.double_without_t();
        }
        Self { weighted: weighted.double(), offsets: offsets.double() }
    }

    #[inline(always)]
    fn plus(self, machine: F::Machine, other: Self) -> Self {
        Self {
            weighted: self.weighted.plus(other.weighted.addends(machine)),
            offsets: self.offsets.plus(other.offsets.addends(machine)),
        }
    }

    /// `Σ weighted + lane·eighth·offsets` over the lanes; `eighth` is a power of two.
    #[inline(always)]
    fn joined(self, machine: F::Machine, eighth: u32) -> PointRow {
        let identity = Points::identity(machine);
        let mut offsets = self.offsets;
        let mut scaled = identity;
        for lanes in [0b1010_1010, 0b1100_1100, 0b1111_0000] {
            scaled = scaled.plus(identity.replace_where(lanes, offsets).addends(machine));
            offsets = offsets.double();
        }
        for _ in 0..eighth.trailing_zeros() {
            scaled = scaled.double();
        }
        let mut sum = self.weighted.plus(scaled.addends(machine));
        for order in [[4, 5, 6, 7, 0, 1, 2, 3], [2, 3, 0, 1, 6, 7, 4, 5], [1, 0, 3, 2, 5, 4, 7, 6]] {
            sum = sum.plus(sum.permute(order).addends(machine));
        }
        sum.store()[0]
    }
}

/// `whole − part`, of two sums.
pub(crate) struct Rest {
    pub(crate) whole: PointRow,
    pub(crate) part: PointRow,
}

impl<M: Machine> Work<M> for Rest {
    type Output = PointRow;

    #[inline(always)]
    fn work(self, machine: M) -> PointRow {
        let whole = Points::<M::Field>::load(machine, [&self.whole; LANES]);
        let part = Points::<M::Field>::load(machine, [&self.part; LANES]);
        whole.plus(part.addends(machine).negate_where(0xff)).store()[0]
    }
}

/// Whether eight times the sum is the identity.
pub(crate) struct Vanishes(pub(crate) PointRow);

impl<M: Machine> Work<M> for Vanishes {
    type Output = bool;

    #[inline(always)]
    fn work(self, machine: M) -> bool {
        Points::<M::Field>::load(machine, [&self.0; LANES]).vanishing() == 0xff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_bit_once() {
        for count in 10..=32 {
            let windows = Windows { count };
            let mut next = 0;
            for window in 0..2 * count {
                assert_eq!(windows.start(window), next);
                next += windows.width(window);
                assert!(windows.width(window) <= WIDTH_MAX && windows.width(window) >= 4);
            }
            assert_eq!(next, 2 * SHORT_BITS);
        }
    }
}
