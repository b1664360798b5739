//! An account's record, the side entries of what few accounts have, and their canonical bytes.

use super::addresses::Cell;
use super::balance::Balance;
use super::further::FurtherBalances;
use super::load::Unloadable;
use super::window::{Use, Window};
use crate::types::{Address, Amount, AssetId};
use crate::wire::Reader;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// An account with one asset and one lane, which is what most have, in one cache line. Its address, which never changes, stands in a
/// table of its own; further balances and lanes in side tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// Replay window of lane 0.
    pub(super) window: Window,
    /// Balance in `asset`.
    pub(super) balance: Balance,
    /// The first asset the account ever held; `NO_ASSET` before that.
    pub(super) asset: AssetId,
    /// 1 + place in the table of further balances; 0 = none.
    pub(super) balances: u32,
    /// 1 + place in the table of further lanes; 0 = none.
    pub(super) lanes: u32,
    /// The last block that has changed it.
    pub(super) changed: LastChange,
}

/// Tells the present block from all before it, as far as accounts remember those: not its height. A multiple of four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockMark(u32);

impl BlockMark {
    /// No account remembers one that comes before it.
    pub(super) const FIRST: Self = Self(Self::STEP);

    #[cfg(test)]
    pub(super) const LAST: Self = Self(u32::MAX - (Self::STEP - 1));

    const STEP: u32 = 4;

    /// The mark of the block before.
    pub(super) const fn before(self) -> Self {
        Self(self.0.saturating_sub(Self::STEP))
    }

    /// The mark of the next block; `None` if there are no more.
    pub(super) fn next(self) -> Option<Self> {
        self.0.checked_add(Self::STEP).map(Self)
    }
}

/// The last block that has changed an account, and which of its balances it has changed: its first one, any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LastChange(u32);

impl LastChange {
    const FIRST: u32 = 1;
    const FURTHER: u32 = 2;

    /// A block has changed it, none of its balances.
    #[inline]
    pub(super) const fn touched(self, block: BlockMark) -> Self {
        if self.block().0 == block.0 { self } else { Self(block.0) }
    }

    /// A block has changed its first balance.
    #[inline]
    pub(super) const fn paid(self, block: BlockMark) -> Self {
        Self(self.touched(block).0 | Self::FIRST)
    }

    /// A block has changed a balance that isn't its first.
    #[inline]
    pub(super) const fn paid_further(self, block: BlockMark) -> Self {
        Self(self.touched(block).0 | Self::FURTHER)
    }

    /// Whether this block has changed its first balance.
    #[inline]
    pub(super) const fn is_paid(self, block: BlockMark) -> bool {
        self.block().0 == block.0 && self.0 & Self::FIRST != 0
    }

    /// Whether this block has changed a balance that isn't its first.
    #[inline]
    pub(super) const fn is_paid_further(self, block: BlockMark) -> bool {
        self.block().0 == block.0 && self.0 & Self::FURTHER != 0
    }

    #[inline]
    pub(super) const fn block(self) -> BlockMark {
        BlockMark(self.0 & !(Self::FIRST | Self::FURTHER))
    }
}

/// Never registered.
pub(super) const NO_ASSET: AssetId = AssetId(u32::MAX);

impl Default for Account {
    fn default() -> Self {
        Self {
            window: Window { top: 0, bits: 0 },
            balance: Balance::ZERO,
            asset: NO_ASSET,
            balances: 0,
            lanes: 0,
            changed: LastChange::default(),
        }
    }
}

/// An account where its one writer and those who read beside it find it: in words that are each written whole.
///
/// The word that says when it changed is written before all others, and read after them. So whoever reads of a block that is over can tell
/// whether what he has read is of that block or an earlier one (Boehm 2012, "Can seqlocks get along with programming language memory
/// models?").
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct AccountCell([AtomicU64; 8]);

// With its address and the index this leaves an account below its budget of 128 bytes.
const _: () = assert!(size_of::<AccountCell>() == 64);

impl Default for AccountCell {
    fn default() -> Self {
        let cell = Self(Default::default());
        cell.set(&Account::default());
        cell
    }
}

impl Clone for AccountCell {
    fn clone(&self) -> Self {
        let cell = Self(Default::default());
        cell.set(&self.get());
        cell
    }
}

impl AccountCell {
    #[inline(always)]
    fn word(&self, place: usize) -> u64 {
        self.0[place].load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn amount(&self, place: usize) -> Amount {
        Amount(u128::from(self.word(place)) | u128::from(self.word(place + 1)) << 64)
    }

    #[inline(always)]
    fn set_amount(&self, place: usize, amount: Amount) {
        self.0[place].store(low(amount), Ordering::Relaxed);
        self.0[place + 1].store(high(amount), Ordering::Relaxed);
    }

    /// The account, for its writer, or where nobody writes.
    #[inline(always)]
    pub(super) fn get(&self) -> Account {
        let (asset, balances) = halves(self.word(6));
        let (lanes, changed) = halves(self.word(7));
        Account {
            window: self.window(),
            balance: self.balance(),
            asset: AssetId(asset),
            balances,
            lanes,
            changed: LastChange(changed),
        }
    }

    /// Its first asset.
    #[inline(always)]
    pub(super) fn asset(&self) -> AssetId {
        AssetId(halves(self.word(6)).0)
    }

    #[inline(always)]
    pub(super) fn window(&self) -> Window {
        Window { top: self.word(0), bits: self.word(1) }
    }

    /// What it can spend of its first asset.
    #[inline(always)]
    pub(super) fn available(&self) -> Amount {
        self.amount(2)
    }

    /// The account beside its writer, if it hasn't changed since a block that is over.
    #[inline]
    pub(super) fn get_unchanged(&self, since: BlockMark) -> Option<Account> {
        let account = self.get();
        // What was read before is no newer than what the next line reads.
        fence(Ordering::Acquire);
        // Who reads a newer mark here finds what was saved before it was set.
        let (_, changed) = halves(self.0[7].load(Ordering::Acquire));
        (LastChange(changed).block() <= since).then_some(account)
    }

    /// When it has changed, for its writer; a hint for others.
    #[inline(always)]
    pub(super) fn changed(&self) -> LastChange {
        LastChange(halves(self.word(7)).1)
    }

    /// Says when it is changed, before it is: only its owner does this and what follows.
    #[inline(always)]
    pub(super) fn mark(&self, changed: LastChange) {
        self.mark_with(halves(self.word(7)).0, changed);
    }

    #[inline(always)]
    fn mark_with(&self, lanes: u32, changed: LastChange) {
        // Who reads this finds what the owner has saved before.
        self.0[7].store(whole(lanes, changed.0), Ordering::Release);
        // Who reads anything that is written from here on finds that.
        fence(Ordering::Release);
    }

    #[inline(always)]
    pub(super) fn set_window(&self, window: Window) {
        self.0[0].store(window.top, Ordering::Relaxed);
        self.0[1].store(window.bits, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn set_available(&self, available: Amount) {
        self.set_amount(2, available);
    }

    /// What it has of its first asset.
    #[inline(always)]
    pub(super) fn balance(&self) -> Balance {
        Balance { available: self.available(), held: self.amount(4) }
    }

    #[inline(always)]
    pub(super) fn set_balance(&self, Balance { available, held }: Balance) {
        self.set_available(available);
        self.set_amount(4, held);
    }

    #[inline(always)]
    pub(super) fn set_asset(&self, asset: AssetId) {
        self.0[6].store(whole(asset.0, halves(self.word(6)).1), Ordering::Relaxed);
    }

    /// All of it, its mark first.
    #[inline]
    pub(super) fn set(&self, account: &Account) {
        let Account { window, balance, asset, balances, lanes, changed } = *account;
        self.mark_with(lanes, changed);
        self.set_window(window);
        self.set_balance(balance);
        self.0[6].store(whole(asset.0, balances), Ordering::Relaxed);
    }
}

#[inline(always)]
const fn whole(first: u32, second: u32) -> u64 {
    first as u64 | (second as u64) << 32
}

/// What `whole` was made of.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the halves of a word")]
const fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the half of an amount")]
const fn low(amount: Amount) -> u64 {
    amount.0 as u64
}

#[inline(always)]
const fn high(amount: Amount) -> u64 {
    (amount.0 >> 64) as u64
}

/// Canonical bytes of what most accounts are.
pub(super) const PLAIN_BYTES: usize = 92;

impl Account {
    /// Whether it is what most accounts are: something of one asset, and one lane.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        (self.balances | self.lanes) == 0 && self.balance != Balance::ZERO
    }

    /// Writes the canonical bytes of one that is, whatever was there before.
    #[inline]
    pub(super) fn write_plain(&self, address: &Cell, bytes: &mut [u8; PLAIN_BYTES]) {
        address.write(&mut bytes[..32]);
        bytes[32..40].copy_from_slice(&self.window.top.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.window.bits.to_le_bytes());
        // No further lane, one holding.
        bytes[48..56].copy_from_slice(&(1_u64 << 32).to_le_bytes());
        bytes[56..60].copy_from_slice(&self.asset.0.to_le_bytes());
        bytes[60..76].copy_from_slice(&self.balance.available.0.to_le_bytes());
        bytes[76..].copy_from_slice(&self.balance.held.0.to_le_bytes());
    }
}

/// How many lanes an account may open beside lane 0.
const FURTHER_LANES_MAX: usize = 63;

/// Windows of further lanes, by ascending lane.
pub(super) type FurtherLanes = Vec<(u16, Window)>;

/// The account can't open a further lane.
pub(super) struct LanesFull;

/// Everything of one account but its address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) account: Account,
    pub(super) further: Option<&'a FurtherBalances>,
    pub(super) lanes: &'a [(u16, Window)],
}

impl<'a> Record<'a> {
    #[inline]
    pub(super) fn balance(&self, asset: AssetId) -> Balance {
        if self.account.asset == asset {
            return self.account.balance;
        }
        self.further.map(|further| further.get(asset)).unwrap_or_default()
    }

    /// What the account holds by ascending asset, zeros left out.
    pub(super) fn holdings(&self) -> impl Iterator<Item = (AssetId, Balance)> + use<'a> {
        let first = (self.account.asset, self.account.balance);
        let further = self.further;
        let rest = move || further.into_iter().flat_map(FurtherBalances::iter);
        let is_before = move |&(asset, _): &(AssetId, Balance)| asset < first.0;
        let all = rest().take_while(is_before).chain([first]).chain(rest().skip_while(is_before));
        all.filter(|&(_, balance)| balance != Balance::ZERO)
    }

    /// The window of a lane; `None` if no transaction has opened it.
    #[inline]
    pub(super) fn window(&self, lane: u16) -> Option<Window> {
        if lane == 0 {
            return Some(self.account.window);
        }
        let found = self.lanes.binary_search_by_key(&lane, |&(lane, _)| lane).ok()?;
        self.lanes.get(found).map(|&(_, window)| window)
    }

    /// What the window of a lane says of a sequence, and which window it is.
    #[inline]
    pub(super) fn check_sequence(&self, lane: u16, sequence: u64) -> Result<(Window, Use), LanesFull> {
        let window = match self.window(lane) {
            Some(window) => window,
            None if self.lanes.len() >= FURTHER_LANES_MAX => return Err(LanesFull),
            None => Window::default(),
        };
        Ok((window, window.check(sequence)))
    }

    /// Canonical bytes, appended: what the digests are made of.
    ///
    /// ```text
    /// address [32], lane 0: top u64, bits u64,
    /// number of further lanes u32, each: lane u16, top u64, bits u64, ascending,
    /// number of holdings that aren't zero u32, each: asset u32, available u128, held u128, ascending
    /// ```
    #[inline]
    pub(super) fn encode(&self, address: &Cell, out: &mut Vec<u8>) {
        if !self.account.is_plain() {
            return self.encode_long(address, out);
        }
        // In one piece, written where it stays.
        let start = out.len();
        out.resize(start.saturating_add(PLAIN_BYTES), 0);
        if let Some(bytes) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
            self.account.write_plain(address, bytes);
        }
    }

    #[cold]
    fn encode_long(&self, address: &Cell, out: &mut Vec<u8>) {
        self.encode_windows(address, out);
        encode_holdings(self.holdings(), out);
    }

    /// How many holdings it has.
    pub(super) fn filled(&self) -> u32 {
        let further = self.further.map_or(0, FurtherBalances::filled);
        further.saturating_add(u32::from(self.account.balance != Balance::ZERO))
    }

    /// What the effects of a block in the first logs say of an account it changed: its canonical bytes; of one with many holdings their number,
    /// then those of these assets alone, zeros included.
    pub(super) fn encode_for_first_logs(&self, address: &Cell, mut changed: Vec<AssetId>, out: &mut Vec<u8>) {
        /// Up to so many all are said.
        const HOLDINGS_MAX: u32 = 64;
        let filled = self.filled();
        if filled <= HOLDINGS_MAX {
            return self.encode(address, out);
        }
        changed.sort_unstable();
        changed.dedup();
        self.encode_windows(address, out);
        out.extend_from_slice(&filled.to_le_bytes());
        encode_holdings(changed.into_iter().map(|asset| (asset, self.balance(asset))), out);
    }

    fn encode_windows(&self, address: &Cell, out: &mut Vec<u8>) {
        out.extend_from_slice(&address.get().0);
        out.extend_from_slice(&self.account.window.top.to_le_bytes());
        out.extend_from_slice(&self.account.window.bits.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.lanes.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (lane, window) in self.lanes {
            out.extend_from_slice(&lane.to_le_bytes());
            out.extend_from_slice(&window.top.to_le_bytes());
            out.extend_from_slice(&window.bits.to_le_bytes());
        }
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

/// An account as read back from its canonical bytes.
pub(super) struct Decoded {
    pub(super) address: Address,
    pub(super) account: Account,
    pub(super) further: Option<FurtherBalances>,
    pub(super) lanes: Option<FurtherLanes>,
}

impl Decoded {
    /// Reads what [`Record::encode`] has made.
    #[inline]
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Unloadable> {
        let address = Address(reader.array()?);
        let window = Window { top: reader.u64()?, bits: reader.u64()? };
        let mut decoded =
            Self { address, account: Account { window, ..Account::default() }, further: None, lanes: None };
        let further = reader.u32()?;
        if further > 0 {
            let lanes = decode_list(reader, further, |reader| {
                Ok((reader.u16()?, Window { top: reader.u64()?, bits: reader.u64()? }))
            })?;
            if lanes.len() > FURTHER_LANES_MAX || lanes.first().is_some_and(|&(lane, _)| lane == 0) {
                return Err(Unloadable::new("further lanes", "at most 63, none of them 0", format!("{lanes:?}")));
            }
            decoded.lanes = Some(lanes);
        }
        let held = reader.u32()?;
        if held > 0 {
            (decoded.account.asset, decoded.account.balance) = decode_holding(reader)?;
        }
        if held > 1 {
            let first = decoded.account.asset;
            let rest = decode_list(reader, held - 1, decode_holding)?;
            if rest.first().is_some_and(|&(asset, _)| asset <= first) {
                return Err(Unloadable::new("holdings", "ascending assets", format!("{first:?} first of them")));
            }
            let mut balances = FurtherBalances::default();
            rest.into_iter().for_each(|(asset, balance)| balances.set(asset, balance));
            decoded.further = Some(balances);
        }
        Ok(decoded)
    }
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
