//! Asking the processor to bring a value closer before it is needed.
#![allow(unsafe_code, reason = "the one instruction behind this has no safe form")]

/// Brings the first and the last cache line of `value` closer, which may be the same. A hint: changes nothing but time.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let first = std::ptr::from_ref(value).cast::<i8>();
        let last = first.wrapping_add(size_of::<T>().saturating_sub(1));
        // SAFETY: prefetching reads nothing and can't fault whatever the address is; these two lie in a live value.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(first);
            if size_of::<T>() > align_of::<T>() || size_of::<T>() > 64 {
                _mm_prefetch::<_MM_HINT_T0>(last);
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
