//! An account's record, and the side tables for what few accounts have.

use super::changed::ChangedBalances;
use super::chunks::Chunks;
use super::index::Slot;
use super::load::Unloadable;
use super::pages::{Pages, SharedPages};
use super::window::{Use, Window};
use crate::types::{Address, Amount, AssetId};
use crate::wire::Reader;

/// What an account holds of one asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Free to be spent.
    pub available: Amount,
    /// Reserved.
    pub held: Amount,
}

impl Balance {
    const ZERO: Self = Self { available: Amount::ZERO, held: Amount::ZERO };

    /// Both together: a part of what is issued.
    #[inline]
    pub(super) const fn all(self) -> Amount {
        Amount(self.available.0.wrapping_add(self.held.0))
    }
}

/// An account with one asset and one lane, which is what most have. Further ones stand in side tables.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Account {
    pub(super) address: Address,
    /// Replay window of lane 0.
    window: Window,
    /// Balance in `asset`.
    balance: Balance,
    /// The first asset the account ever held; `NO_ASSET` before that.
    asset: AssetId,
    /// 1 + place in the table of further balances; 0 = none.
    balances: u32,
    /// 1 + place in the table of further lanes; 0 = none.
    lanes: u32,
    _reserved: u32,
}

// With the index this leaves an account well below its budget of 128 bytes.
const _: () = assert!(size_of::<Account>() == 96);

/// Never registered.
pub(super) const NO_ASSET: AssetId = AssetId(u32::MAX);

impl Default for Account {
    fn default() -> Self {
        Self::new(Address::default())
    }
}

impl Account {
    const fn new(address: Address) -> Self {
        let window = Window { top: 0, bits: 0 };
        Self { address, window, balance: Balance::ZERO, asset: NO_ASSET, balances: 0, lanes: 0, _reserved: 0 }
    }
}

/// Accounts per page, 24 KB: large enough that ten million are shared in a few milliseconds, small enough that one is copied in
/// three microseconds and the copies of a busy time spread out.
const ACCOUNT_PAGE_BITS: u32 = 8;
const SIDE_PAGE_BITS: u32 = 8;

/// How many lanes an account may open beside lane 0.
const FURTHER_LANES_MAX: usize = 63;

/// Anyone can pay an account in any number of assets.
#[derive(Clone, Debug, Default)]
struct FurtherBalances {
    balances: Chunks<AssetId, Balance>,
    /// How many of them aren't zero.
    filled: u32,
}

impl FurtherBalances {
    fn set(&mut self, asset: AssetId, balance: Balance) {
        let before = self.balances.insert(asset, balance).unwrap_or_default();
        let is_filled = |balance| u32::from(balance != Balance::ZERO);
        self.filled = self.filled.saturating_add(is_filled(balance)).saturating_sub(is_filled(before));
    }
}

/// Up to so many holdings the effects of a block say all of them, beyond it only what has changed. Otherwise whoever pays somebody
/// in a million assets would make every later block with that account slow.
const EFFECTS_HOLDINGS_MAX: u32 = 64;

type FurtherLanes = Vec<(u16, Window)>;

/// All accounts by slot, with their side tables. An entry of a side table is sorted by asset or by lane.
///
/// What a rejected transaction has opened of a side table stays there empty; whether it does can't be seen from outside.
#[derive(Debug)]
pub(super) struct Accounts {
    records: Pages<Account, ACCOUNT_PAGE_BITS>,
    balances: Pages<FurtherBalances, SIDE_PAGE_BITS>,
    lanes: Pages<FurtherLanes, SIDE_PAGE_BITS>,
}

/// The account can't open a further lane.
pub(super) struct LanesFull;

impl Accounts {
    pub(super) const fn new() -> Self {
        Self { records: Pages::new(), balances: Pages::new(), lanes: Pages::new() }
    }

    pub(super) const fn len(&self) -> u32 {
        self.records.len()
    }

    pub(super) fn push(&mut self, address: &Address) -> Option<Slot> {
        // The largest slot is the index's mark for a free place.
        if self.records.len() == u32::MAX - 1 {
            return None;
        }
        self.records.push(Account::new(*address)).map(Slot)
    }

    /// Takes the newest account away, and what it has in the side table of balances. (It has used no sequence, so it has no lanes.)
    pub(super) fn pop(&mut self) {
        let newest = self.records.len().checked_sub(1).and_then(|slot| self.records.get(slot));
        if let Some(place) = newest.and_then(|account| account.balances.checked_sub(1)) {
            if place.checked_add(1) == Some(self.balances.len()) {
                self.balances.pop();
            } else if let Some(balances) = self.balances.get_mut(place) {
                *balances = FurtherBalances::default();
            }
        }
        self.records.pop();
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&Account> {
        self.records.get(slot.0)
    }

    #[inline]
    pub(super) fn balance(&self, slot: Slot, asset: AssetId) -> Balance {
        balance(self.get(slot), asset, |place| self.balances.get(place))
    }

    #[inline]
    pub(super) fn set_balance(&mut self, slot: Slot, asset: AssetId, balance: Balance) {
        let Some(account) = self.records.get_mut(slot.0) else { return };
        if account.asset == asset {
            account.balance = balance;
        } else if account.asset == NO_ASSET {
            (account.asset, account.balance) = (asset, balance);
        } else {
            self.set_further_balance(slot, asset, balance);
        }
    }

    fn set_further_balance(&mut self, slot: Slot, asset: AssetId, balance: Balance) {
        let Some(account) = self.records.get_mut(slot.0) else { return };
        let place = open_side_entry(&mut account.balances, &mut self.balances);
        if let Some(balances) = place.and_then(|place| self.balances.get_mut(place)) {
            balances.set(asset, balance);
        }
    }

    /// What the window of a lane says of a sequence, and which window it is.
    #[inline]
    pub(super) fn check_sequence(&self, slot: Slot, lane: u16, sequence: u64) -> Result<(Window, Use), LanesFull> {
        let Some(account) = self.get(slot) else { return Err(LanesFull) };
        let window = if lane == 0 {
            account.window
        } else {
            let lanes = side_entry(account.lanes, |place| self.lanes.get(place));
            match lanes.binary_search_by_key(&lane, |&(lane, _)| lane) {
                Ok(found) => lanes[found].1,
                Err(_) if lanes.len() >= FURTHER_LANES_MAX => return Err(LanesFull),
                Err(_) => Window::default(),
            }
        };
        Ok((window, window.check(sequence)))
    }

    #[inline]
    pub(super) fn set_window(&mut self, slot: Slot, lane: u16, window: Window) {
        let Some(account) = self.records.get_mut(slot.0) else { return };
        if lane == 0 {
            account.window = window;
            return;
        }
        let place = open_side_entry(&mut account.lanes, &mut self.lanes);
        let Some(lanes) = place.and_then(|place| self.lanes.get_mut(place)) else { return };
        match lanes.binary_search_by_key(&lane, |&(lane, _)| lane) {
            Ok(found) => lanes[found].1 = window,
            Err(at) => lanes.insert(at, (lane, window)),
        }
    }

    /// Canonical bytes of an account, appended: what the digests are made of.
    pub(super) fn encode(&self, slot: Slot, out: &mut Vec<u8>) {
        encode(self.get(slot), |place| self.balances.get(place), |place| self.lanes.get(place), out);
    }

    /// Reads an account back from the bytes that [`encode`](Self::encode) has made, and gives it the next slot.
    #[inline]
    pub(super) fn push_encoded(&mut self, reader: &mut Reader<'_>) -> Result<(Slot, Address), Unloadable> {
        let mut account = Account::new(Address(reader.array()?));
        account.window = Window { top: reader.u64()?, bits: reader.u64()? };
        let further = reader.u32()?;
        if further > 0 {
            let lanes = decode_list(reader, further, |reader| {
                Ok((reader.u16()?, Window { top: reader.u64()?, bits: reader.u64()? }))
            })?;
            if lanes.len() > FURTHER_LANES_MAX || lanes.first().is_some_and(|&(lane, _)| lane == 0) {
                return Err(Unloadable::new("further lanes", "at most 63, none of them 0", format!("{lanes:?}")));
            }
            account.lanes =
                self.lanes.push(lanes).and_then(|place| place.checked_add(1)).ok_or_else(Unloadable::full)?;
        }
        let held = reader.u32()?;
        if held > 0 {
            (account.asset, account.balance) = decode_holding(reader)?;
        }
        if held > 1 {
            let first = account.asset;
            let rest = decode_list(reader, held - 1, decode_holding)?;
            if rest.first().is_some_and(|&(asset, _)| asset <= first) {
                return Err(Unloadable::new("holdings", "ascending assets", format!("{first:?} first of them")));
            }
            let mut balances = FurtherBalances::default();
            rest.into_iter().for_each(|(asset, balance)| balances.set(asset, balance));
            let place = self.balances.push(balances).and_then(|place| place.checked_add(1));
            account.balances = place.ok_or_else(Unloadable::full)?;
        }
        let address = account.address;
        let slot = self.push(&address).ok_or_else(Unloadable::full)?;
        if let Some(record) = self.records.get_mut(slot.0) {
            *record = account;
        }
        Ok((slot, address))
    }

    /// What the effects of a block say of an account it changed: its canonical bytes; of one with many holdings their number, then
    /// those alone that the block changed, zeros included.
    pub(super) fn encode_changed(&self, slot: Slot, changed: &mut ChangedBalances, out: &mut Vec<u8>) {
        let Some(account) = self.get(slot) else { return };
        let further = account.balances.checked_sub(1).and_then(|place| self.balances.get(place));
        let filled = further.map_or(0, |further| further.filled);
        let filled = filled.saturating_add(u32::from(account.balance != Balance::ZERO));
        if filled <= EFFECTS_HOLDINGS_MAX {
            return self.encode(slot, out);
        }
        encode_windows(account, |place| self.lanes.get(place), out);
        out.extend_from_slice(&filled.to_le_bytes());
        encode_holdings(changed.of(slot).map(|asset| (asset, self.balance(slot, asset))), out);
    }

    pub(super) fn share(&mut self) -> SharedAccounts {
        SharedAccounts { records: self.records.share(), balances: self.balances.share(), lanes: self.lanes.share() }
    }
}

/// What a reader keeps of [`Accounts`].
#[derive(Clone, Debug)]
pub(super) struct SharedAccounts {
    records: SharedPages<Account, ACCOUNT_PAGE_BITS>,
    balances: SharedPages<FurtherBalances, SIDE_PAGE_BITS>,
    lanes: SharedPages<FurtherLanes, SIDE_PAGE_BITS>,
}

impl SharedAccounts {
    pub(super) const fn len(&self) -> u32 {
        self.records.len()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Account> {
        self.records.get(slot.0)
    }

    /// Lets go of the records below a slot as far as they are whole pages.
    pub(super) fn release_below(&mut self, slot: Slot) {
        self.records.release_below(slot.0);
    }

    pub(super) fn balance(&self, slot: Slot, asset: AssetId) -> Balance {
        balance(self.get(slot), asset, |place| self.balances.get(place))
    }

    /// Everything the account ever held, by ascending asset, zeros left out.
    pub(super) fn balances(&self, slot: Slot) -> Vec<(AssetId, Balance)> {
        holdings(self.get(slot), |place| self.balances.get(place)).collect()
    }

    /// Highest sequence of a lane; `None` if none was used.
    pub(super) fn sequence(&self, slot: Slot, lane: u16) -> Option<u64> {
        let account = self.get(slot)?;
        let lanes = side_entry(account.lanes, |place| self.lanes.get(place));
        let window = if lane == 0 {
            account.window
        } else {
            lanes[lanes.binary_search_by_key(&lane, |&(lane, _)| lane).ok()?].1
        };
        (window.bits != 0).then_some(window.top)
    }

    pub(super) fn encode(&self, slot: Slot, out: &mut Vec<u8>) {
        encode(self.get(slot), |place| self.balances.get(place), |place| self.lanes.get(place), out);
    }
}

/// Place of a record's side entry, opened if it has none.
fn open_side_entry<T: Clone + Default, const BITS: u32>(link: &mut u32, table: &mut Pages<T, BITS>) -> Option<u32> {
    if *link == 0 {
        *link = table.push(T::default())?.checked_add(1)?;
    }
    link.checked_sub(1)
}

#[inline]
fn side_entry<'a, T>(link: u32, get: impl FnOnce(u32) -> Option<&'a Vec<T>>) -> &'a [T] {
    link.checked_sub(1).and_then(get).map(Vec::as_slice).unwrap_or_default()
}

#[inline]
fn balance<'a>(
    account: Option<&Account>,
    asset: AssetId,
    further: impl FnOnce(u32) -> Option<&'a FurtherBalances>,
) -> Balance {
    let Some(account) = account else { return Balance::ZERO };
    if account.asset == asset {
        return account.balance;
    }
    let further = account.balances.checked_sub(1).and_then(further);
    further.and_then(|further| further.balances.get(asset)).copied().unwrap_or_default()
}

/// What an account holds by ascending asset, zeros left out.
fn holdings<'a>(
    account: Option<&Account>,
    further: impl FnOnce(u32) -> Option<&'a FurtherBalances>,
) -> impl Iterator<Item = (AssetId, Balance)> {
    let first = account.map(|account| (account.asset, account.balance));
    let rest = account.and_then(|account| account.balances.checked_sub(1)).and_then(further);
    let rest = move || rest.into_iter().flat_map(|further| further.balances.iter());
    let is_before = move |&(asset, _): &(AssetId, Balance)| first.is_some_and(|(first, _)| asset < first);
    let all = rest().take_while(is_before).chain(first).chain(rest().skip_while(is_before));
    all.filter(|&(_, balance)| balance != Balance::ZERO)
}

#[inline]
fn decode_holding(reader: &mut Reader<'_>) -> Result<(AssetId, Balance), Unloadable> {
    let asset = AssetId(reader.u32()?);
    let balance = Balance { available: Amount(reader.u128()?), held: Amount(reader.u128()?) };
    if balance == Balance::ZERO || asset == NO_ASSET {
        return Err(Unloadable::new("a holding", "some of an asset", format!("none of {asset:?}")));
    }
    Ok((asset, balance))
}

/// Reads entries that ascend by their first part. Reserves no more than what bytes there are can fill.
fn decode_list<K: Ord + Copy + std::fmt::Debug, V>(
    reader: &mut Reader<'_>,
    count: u32,
    decode: impl Fn(&mut Reader<'_>) -> Result<(K, V), Unloadable>,
) -> Result<Vec<(K, V)>, Unloadable> {
    let mut list: Vec<(K, V)> = Vec::with_capacity(count.min(16) as usize);
    for _ in 0..count {
        let (key, value) = decode(reader)?;
        if let Some(&(before, _)) = list.last().filter(|(before, _)| *before >= key) {
            return Err(Unloadable::new("a list", "ascending entries", format!("{key:?} behind {before:?}")));
        }
        list.push((key, value));
    }
    Ok(list)
}

/// ```text
/// address [32], lane 0: top u64, bits u64,
/// number of further lanes u32, each: lane u16, top u64, bits u64, ascending,
/// number of holdings that aren't zero u32, each: asset u32, available u128, held u128, ascending
/// ```
fn encode<'a>(
    account: Option<&'a Account>,
    balances: impl FnOnce(u32) -> Option<&'a FurtherBalances>,
    lanes: impl FnOnce(u32) -> Option<&'a FurtherLanes>,
    out: &mut Vec<u8>,
) {
    let Some(record) = account else { return };
    encode_windows(record, lanes, out);
    encode_holdings(holdings(account, balances), out);
}

fn encode_windows<'a>(record: &Account, lanes: impl FnOnce(u32) -> Option<&'a FurtherLanes>, out: &mut Vec<u8>) {
    out.extend_from_slice(&record.address.0);
    out.extend_from_slice(&record.window.top.to_le_bytes());
    out.extend_from_slice(&record.window.bits.to_le_bytes());
    let lanes = side_entry(record.lanes, lanes);
    out.extend_from_slice(&u32::try_from(lanes.len()).unwrap_or(u32::MAX).to_le_bytes());
    for (lane, window) in lanes {
        out.extend_from_slice(&lane.to_le_bytes());
        out.extend_from_slice(&window.top.to_le_bytes());
        out.extend_from_slice(&window.bits.to_le_bytes());
    }
}

/// Their number, then each.
fn encode_holdings(holdings: impl Iterator<Item = (AssetId, Balance)>, out: &mut Vec<u8>) {
    let count_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count = 0_u32;
    for (asset, balance) in holdings {
        out.extend_from_slice(&asset.0.to_le_bytes());
        out.extend_from_slice(&balance.available.0.to_le_bytes());
        out.extend_from_slice(&balance.held.0.to_le_bytes());
        count = count.saturating_add(1);
    }
    out[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coins(n: u128) -> Balance {
        Balance { available: Amount(n), held: Amount::ZERO }
    }

    #[test]
    fn whoever_pays_somebody_in_a_hundred_thousand_assets_makes_no_later_block_large() {
        let (mut accounts, mut changed, mut effects) = (Accounts::new(), ChangedBalances::default(), Vec::new());
        let slot = accounts.push(&Address([7; 32])).unwrap();
        // The highest number first, so that each goes before all others.
        (0..100_000).rev().for_each(|asset| accounts.set_balance(slot, AssetId(asset), coins(1)));
        for asset in [5, 99_999, 70_000, 5] {
            accounts.set_balance(slot, AssetId(asset), if asset == 70_000 { Balance::ZERO } else { coins(2) });
            changed.enter(slot, AssetId(asset));
        }
        accounts.encode_changed(slot, &mut changed, &mut effects);
        let head = 32 + 16 + 4;
        assert_eq!(effects.len(), head + 4 + 4 + 3 * 36);
        assert_eq!(effects[head..head + 8], [99_999_u32.to_le_bytes(), 3_u32.to_le_bytes()].concat());
        assert_eq!(effects[head + 8..head + 12], 5_u32.to_le_bytes());
        assert_eq!(effects[head + 8 + 36..head + 12 + 36], 70_000_u32.to_le_bytes());
        // The record itself has all of them.
        let mut record = Vec::new();
        accounts.encode(slot, &mut record);
        assert_eq!(record.len(), head + 4 + 99_999 * 36);
        assert_eq!(accounts.share().balances(slot).len(), 99_999);
    }

    #[test]
    fn an_account_that_is_taken_back_leaves_nothing_in_the_side_table() {
        let mut accounts = Accounts::new();
        let payer = accounts.push(&Address([1; 32])).unwrap();
        for round in 0..100 {
            let payee = accounts.push(&Address([2; 32])).unwrap();
            for asset in 0..3 {
                accounts.set_balance(payee, AssetId(asset), coins(1));
            }
            if round == 50 {
                (0..3).for_each(|asset| accounts.set_balance(payer, AssetId(asset), coins(1)));
            }
            accounts.pop();
        }
        assert!(accounts.balances.len() <= 2, "{} entries", accounts.balances.len());
        assert_eq!(accounts.share().balances(payer).len(), 3);
    }
}
