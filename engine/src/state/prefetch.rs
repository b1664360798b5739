//! Asking the processor to bring a value closer before it is needed.
#![allow(unsafe_code, reason = "the one instruction behind this has no safe form")]

/// Brings the first cache line of `value` closer. A hint: changes nothing but time.
#[inline(always)]
pub(super) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: prefetching reads nothing and can't fault whatever the address is, and this one is that of a live reference.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
