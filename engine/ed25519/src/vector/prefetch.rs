//! Asking for memory ahead of its use.

#![expect(unsafe_code, reason = "one instruction that changes nothing but time")]

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// Bytes that a processor fetches at a time.
const LINE: usize = 64;

/// Asks for every line of something that will be needed soon.
#[inline(always)]
pub(crate) fn prefetch<T>(item: &T) {
    for line in 0..size_of::<T>().div_ceil(LINE) {
        // SAFETY: the line begins within the item, and a prefetch reads nothing that the program could see. Every x86-64
        // processor has the instruction.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast::<i8>().add(line * LINE)) };
    }
}
