//! What an account holds, said to readers.

use super::{Amount, AssetId};

/// What an account holds of one asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Of which asset.
    pub asset: AssetId,
    /// Free to be spent.
    pub available: Amount,
    /// Reserved.
    pub held: Amount,
}
