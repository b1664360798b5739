//! Asking the processor to bring a value closer before it is needed.
#![allow(unsafe_code, reason = "the one instruction behind this has no safe form")]

/// Brings the cache lines of `value` into the second cache, of a long one the first, the one behind it and the last. A hint: changes nothing but
/// time.
///
/// Not into the first: that one can wait for a dozen lines at a time, the second for four dozen, and memory is slow enough for all of them.
/// Sixty-four lines ahead, a random line of 64 MB took 9 ns this way and 14 ns the other, and 20 ns sixteen lines ahead.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let first = std::ptr::from_ref(value).cast::<i8>();
        let last = first.wrapping_add(size_of::<T>().saturating_sub(1));
        // SAFETY: prefetching reads nothing and can't fault whatever the address is; these lie in a live value.
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(first);
            if size_of::<T>() > align_of::<T>() || size_of::<T>() > 64 {
                _mm_prefetch::<_MM_HINT_T1>(last);
            }
            if size_of::<T>() > 128 {
                _mm_prefetch::<_MM_HINT_T1>(first.wrapping_add(64));
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
