//! The table of assets.

use super::account::NO_ASSET;
use super::chunks::Chunks;
use super::load::Unloadable;
use super::pages::{Pages, SharedPages};
use crate::arena::Arena;
use crate::types::{Address, Amount, AssetCode, AssetId, AssetPolicy, Rejection, RejectionCode};
use crate::wire::Reader;

/// As many as have a number. Tests can fill fewer.
pub(crate) const ASSETS_MAX: u32 = if cfg!(test) { 1 << 16 } else { NO_ASSET.0 };

/// What is known of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Who issues it.
    pub issuer: Address,
    /// Its short name, unique per issuer.
    pub code: AssetCode,
    /// How many decimal places its smallest unit is away from a whole. 0 to 30.
    pub scale: u8,
    /// The most that may be issued at one time.
    pub maximum_supply: Amount,
    /// How much is issued now: what all holders have together.
    pub issued: Amount,
    /// What the issuer may do, and what holding it asks for.
    pub policy: AssetPolicy,
}

/// Set in the byte of the scale when a policy stands behind the record.
const HAS_POLICY: u8 = 0x80;

impl Asset {
    /// What is issued after a mint.
    pub(crate) fn issued_after(&self, amount: Amount) -> Result<Amount, Rejection> {
        let room = Amount(self.maximum_supply.0.saturating_sub(self.issued.0));
        match amount.0.checked_sub(room.0) {
            None | Some(0) => {
                self.issued.plus(amount).map_err(|_| Rejection::new(RejectionCode::SupplyExceeded, u64::MAX))
            }
            Some(beyond) => {
                Err(Rejection::new(RejectionCode::SupplyExceeded, u64::try_from(beyond).unwrap_or(u64::MAX)))
            }
        }
    }

    /// Whether anything has to be looked at before it is paid.
    #[inline]
    pub(crate) const fn has_policy(&self) -> bool {
        self.policy.0 != 0
    }

    /// Canonical bytes, appended: issuer, code, scale, maximum supply, issued; behind them the policy if there is one, which the
    /// highest bit of the scale says.
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.issuer.0);
        out.extend_from_slice(self.code.field());
        let has_policy = if self.has_policy() { HAS_POLICY } else { 0 };
        out.extend_from_slice(&[self.scale | has_policy]);
        out.extend_from_slice(&self.maximum_supply.0.to_le_bytes());
        out.extend_from_slice(&self.issued.0.to_le_bytes());
        if self.has_policy() {
            out.extend_from_slice(&self.policy.0.to_le_bytes());
        }
    }
}

impl Asset {
    /// Reads back what [`encode`](Self::encode) has written.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Unloadable> {
        let issuer = Address(reader.array()?);
        let field = reader.array()?;
        let code = AssetCode::from_field(field)
            .ok_or_else(|| Unloadable::new("an asset's code", "a code", format!("{field:02x?}")))?;
        let scale = reader.u8()?;
        let (maximum_supply, issued) = (Amount(reader.u128()?), Amount(reader.u128()?));
        let policy = AssetPolicy(if scale & HAS_POLICY == 0 { 0 } else { reader.u16()? });
        if (scale & HAS_POLICY != 0) != (policy.0 != 0) {
            return Err(Unloadable::new("an asset's policy", "a policy where the scale says so", "none".to_owned()));
        }
        Ok(Self { issuer, code, scale: scale & !HAS_POLICY, maximum_supply, issued, policy })
    }
}

const PAGE_BITS: u32 = 6;
type ByCode = Chunks<(Address, AssetCode), AssetId>;

#[derive(Debug)]
pub(super) struct Assets {
    // An `Option` only because a page is filled with defaults; every place below the length is `Some`.
    records: Pages<Option<Asset>, PAGE_BITS>,
    by_code: ByCode,
}

impl Assets {
    pub(super) fn new(arena: Arena) -> Self {
        Self { records: Pages::new(arena), by_code: ByCode::default() }
    }

    pub(super) const fn len(&self) -> u32 {
        self.records.len()
    }

    #[inline]
    pub(super) fn get(&self, asset: AssetId) -> Option<&Asset> {
        self.records.get(asset.0)?.as_ref()
    }

    pub(super) fn find(&self, issuer: &Address, code: AssetCode) -> Option<AssetId> {
        self.by_code.get((*issuer, code)).copied()
    }

    pub(super) fn push(&mut self, asset: Asset) -> Option<AssetId> {
        if self.records.len() == ASSETS_MAX {
            return None;
        }
        let id = self.records.push(Some(asset)).map(AssetId)?;
        self.by_code.insert((asset.issuer, asset.code), id);
        Some(id)
    }

    /// Reads an asset back from its canonical bytes, and gives it the next number.
    pub(super) fn push_encoded(&mut self, reader: &mut Reader<'_>) -> Result<(), Unloadable> {
        let asset = Asset::decode(reader)?;
        if let Some(known) = self.find(&asset.issuer, asset.code) {
            return Err(Unloadable::new("an asset", "a code its issuer hasn't used", format!("that of {known:?}")));
        }
        self.push(asset).map(drop).ok_or_else(Unloadable::full)
    }

    /// Takes the newest asset away.
    pub(super) fn pop(&mut self) {
        let newest = self.records.len().checked_sub(1).and_then(|last| self.get(AssetId(last)).copied());
        if let Some(asset) = newest {
            self.by_code.remove((asset.issuer, asset.code));
            self.records.pop();
        }
    }

    /// Changes what may change of an asset: not its issuer and code.
    pub(super) fn set(&mut self, asset: AssetId, after: Asset) {
        if let Some(Some(record)) = self.records.get_mut(asset.0) {
            *record = after;
        }
    }

    pub(super) fn set_issued(&mut self, asset: AssetId, issued: Amount) {
        if let Some(Some(record)) = self.records.get_mut(asset.0) {
            record.issued = issued;
        }
    }

    pub(super) fn encode(&self, asset: AssetId, out: &mut Vec<u8>) {
        if let Some(record) = self.get(asset) {
            record.encode(out);
        }
    }

    pub(super) fn share(&mut self) -> SharedAssets {
        SharedAssets { records: self.records.share(), by_code: self.by_code.clone() }
    }
}

/// What a reader keeps of [`Assets`].
#[derive(Clone, Debug)]
pub(super) struct SharedAssets {
    records: SharedPages<Option<Asset>, PAGE_BITS>,
    by_code: ByCode,
}

impl SharedAssets {
    pub(super) const fn len(&self) -> u32 {
        self.records.len()
    }

    pub(super) fn get(&self, asset: AssetId) -> Option<&Asset> {
        if asset.0 < self.records.len() { self.records.get(asset.0)?.as_ref() } else { None }
    }

    pub(super) fn find(&self, issuer: &Address, code: AssetCode) -> Option<AssetId> {
        self.by_code.get((*issuer, code)).copied()
    }

    pub(super) fn encode(&self, asset: AssetId, out: &mut Vec<u8>) {
        if let Some(record) = self.get(asset) {
            record.encode(out);
        }
    }
}
