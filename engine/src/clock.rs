//! The one place where time comes in.

use crate::types::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the machine's clock says. A clock before 1970 counts as 1970.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
