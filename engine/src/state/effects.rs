//! The accounts that a block has changed, as bytes in order: what the effects of a block begin with.
//!
//! ```text
//! slot u32, address [32], lane 0: top u64, bits u64,
//! number of further lanes u32, each: lane u16, top u64, bits u64, ascending,
//! number of balances that the block has changed u32, each: asset u32, available u128, held u128, ascending, zeros included
//! ```
//!
//! What an account holds beside, the block hasn't changed, so that it stands in the effects of the block that has. So a block's effects are
//! as long as what happened in it, however many assets its accounts have been paid in before.
//!
//! The first logs have another last line: all that the account holds; of more than 64 holdings their number, then those that the block has
//! changed. Whoever compares with a header takes either.

use super::account::{Account, AccountCell, BlockMark, PLAIN_BYTES};
use super::accounts::Accounts;
use super::addresses::Cell;
use super::changed::ChangedBalance;
use super::layout::Place;
use super::prefetch::prefetch;
use super::shard::Shard;
use super::{Balance, Slot, State};
use crate::types::AssetId;

/// Records are brought closer so many ahead.
const AHEAD: usize = 48;

/// Bytes of most accounts: the slot, then the same as the record of an account that has nothing else.
const PLAIN: usize = 4 + PLAIN_BYTES;

impl State {
    /// Gives the accounts that the block has changed, ascending, whatever was in `slots` before, and forgets them.
    pub(crate) fn drain_changed_accounts(&mut self, slots: &mut Vec<Slot>) {
        slots.clear();
        self.accounts.drain_changed(|slot| slots.push(slot));
    }

    /// Ends a block: what it has changed has been told.
    pub(crate) fn end_block(&mut self) {
        self.accounts.end_block();
    }

    /// Writes some of those accounts into `out`, whatever was there before.
    pub(crate) fn encode_changed_accounts(&self, slots: &[Slot], out: &mut Vec<u8>) {
        let mut writer = Writer { out, end: 0 };
        let block = self.accounts.block();
        let reading = || Reading::new(&self.accounts);
        let (mut here, mut nearer, mut near, mut far) = (reading(), reading(), reading(), reading());
        let has_further = self.accounts.has_further_changed();
        for (place, &slot) in slots.iter().enumerate() {
            if let Some((cell, address)) = slots.get(place + AHEAD).and_then(|&slot| far.at(slot)) {
                prefetch(cell);
                prefetch(address);
            }
            if has_further
                && let Some((cell, _)) = slots.get(place + AHEAD / 2).and_then(|&slot| near.at(slot))
                && cell.changed().is_paid_further(block)
            {
                near.shard.iter().for_each(|shard| shard.prefetch_further_of(&cell.get()));
            }
            if has_further
                && let Some(&slot) = slots.get(place + AHEAD / 4)
                && let Some((cell, _)) = nearer.at(slot)
                && cell.changed().is_paid_further(block)
            {
                nearer.bring_further(slot, &cell.get());
            }
            let Some((cell, address)) = here.at(slot) else { continue };
            let account = cell.get();
            match (account.changed.is_paid(block), account.changed.is_paid_further(block), account.lanes) {
                (true, false, 0) => writer.plain(slot, &account, address),
                (_, is_paid_further, _) => {
                    let further = if is_paid_further { here.further(slot) } else { &[] };
                    writer.long(slot, &account, address, block, (here.shard, further));
                }
            }
        }
        let end = writer.end;
        out.truncate(end);
    }

    /// The same as the first logs have it, appended.
    pub(crate) fn encode_changed_holders(&self, slots: &[Slot], out: &mut Vec<u8>) {
        let block = self.accounts.block();
        let mut here = Reading::new(&self.accounts);
        for &slot in slots {
            let Some((cell, address)) = here.at(slot) else { continue };
            let account = cell.get();
            let first = account.changed.is_paid(block).then_some(account.asset);
            let further = if account.changed.is_paid_further(block) { here.further(slot) } else { &[] };
            let further = further.iter().map(|balance| balance.asset());
            let changed = first.into_iter().chain(further).collect();
            out.extend_from_slice(&slot.0.to_le_bytes());
            if let Some(shard) = here.shard {
                shard.record_of(account).encode_for_first_logs(address, changed, out);
            }
        }
    }
}

/// Accounts by ascending slot: what is known of a page serves all on it.
struct Reading<'a> {
    accounts: &'a Accounts,
    page: Option<u32>,
    shard: Option<&'a Shard>,
    accounts_of_page: &'a [AccountCell],
    /// Balances that have changed of the page's accounts from the one that was asked for last on, and those behind.
    changed: Option<&'a [ChangedBalance]>,
    /// The same of a segment of addresses.
    segment: Option<u32>,
    cells: &'a [Cell],
}

impl<'a> Reading<'a> {
    const fn new(accounts: &'a Accounts) -> Self {
        Self { accounts, page: None, shard: None, accounts_of_page: &[], changed: None, segment: None, cells: &[] }
    }

    #[inline]
    fn at(&mut self, slot: Slot) -> Option<(&'a AccountCell, &'a Cell)> {
        let layout = self.accounts.layout();
        let page = layout.page(slot);
        if self.page != Some(page) {
            let Place { shard, page: own, .. } = layout.place_of_page(page);
            (self.page, self.changed) = (Some(page), None);
            self.shard = self.accounts.shard(shard);
            self.accounts_of_page = self.shard.map(|shard| shard.page(own)).unwrap_or_default();
        }
        let (segment, place) = super::addresses::segment_of(slot);
        if self.segment != Some(segment) {
            self.segment = Some(segment);
            self.cells = self.accounts.addresses().segment(segment);
        }
        Some((self.accounts_of_page.get(layout.offset(slot))?, self.cells.get(place)?))
    }

    /// Brings those closer, when what is in place of them is at hand.
    #[inline]
    fn bring_further(&mut self, slot: Slot, account: &Account) {
        let changed = self.further(slot);
        if let Some(shard) = self.shard {
            changed.iter().for_each(|balance| shard.prefetch_further_at(account, balance.asset()));
        }
    }

    /// Which further balances of the account at hand have changed.
    fn further(&mut self, slot: Slot) -> &'a [ChangedBalance] {
        let all = match (self.changed, self.shard) {
            (Some(all), _) => all,
            (None, Some(shard)) => shard.changed.balances_from(slot),
            (None, None) => &[],
        };
        let start = all.iter().take_while(|balance| balance.slot() < slot).count();
        let own = all[start..].iter().take_while(|balance| balance.slot() == slot).count();
        let (own, behind) = all[start..].split_at(own);
        self.changed = Some(behind);
        own
    }
}

/// Writes over what there was in a buffer, which spares filling it with zeros first.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl Writer<'_> {
    #[inline]
    fn plain(&mut self, slot: Slot, account: &Account, address: &Cell) {
        self.make_room(PLAIN);
        let bytes = self.out.get_mut(self.end..).and_then(<[u8]>::first_chunk_mut::<PLAIN>);
        let Some((head, record)) = bytes.and_then(|bytes| bytes.split_first_chunk_mut::<4>()) else { return };
        *head = slot.0.to_le_bytes();
        if let Some(record) = record.first_chunk_mut() {
            account.write_plain(address, record);
        }
        self.end += PLAIN;
    }

    /// Any account, with those of its further balances that have changed.
    fn long(
        &mut self,
        slot: Slot,
        account: &Account,
        address: &Cell,
        block: BlockMark,
        (shard, changed): (Option<&Shard>, &[ChangedBalance]),
    ) {
        let Some(shard) = shard else { return };
        let record = shard.record_of(*account);
        self.put(&slot.0.to_le_bytes());
        self.make_room(32);
        self.out.get_mut(self.end..self.end + 32).into_iter().for_each(|bytes| address.write(bytes));
        self.end += 32;
        self.put(&account.window.top.to_le_bytes());
        self.put(&account.window.bits.to_le_bytes());
        self.put(&u32::try_from(record.lanes.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (lane, window) in record.lanes {
            self.put(&lane.to_le_bytes());
            self.put(&window.top.to_le_bytes());
            self.put(&window.bits.to_le_bytes());
        }
        let mut first = account.changed.is_paid(block).then_some((account.asset, account.balance));
        let count = changed.len() + usize::from(first.is_some());
        self.put(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        for asset in changed.iter().map(|balance| balance.asset()) {
            if let Some((own, balance)) = first.take_if(|&mut (own, _)| own < asset) {
                self.balance(own, balance);
            }
            self.balance(asset, record.balance(asset));
        }
        if let Some((own, balance)) = first {
            self.balance(own, balance);
        }
    }

    #[inline]
    fn balance(&mut self, asset: AssetId, Balance { available, held }: Balance) {
        let mut bytes = [0; 36];
        bytes[..4].copy_from_slice(&asset.0.to_le_bytes());
        bytes[4..20].copy_from_slice(&available.0.to_le_bytes());
        bytes[20..].copy_from_slice(&held.0.to_le_bytes());
        self.put(&bytes);
    }

    #[inline]
    fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.make_room(N);
        if let Some(place) = self.out.get_mut(self.end..).and_then(<[u8]>::first_chunk_mut) {
            *place = *bytes;
            self.end += N;
        }
    }

    #[inline]
    fn make_room(&mut self, bytes: usize) {
        /// Accounts that room is made for at once.
        const ROOM: usize = 1024 * PLAIN;
        let end = self.end.saturating_add(bytes);
        if self.out.len() < end {
            self.out.resize(end.saturating_add(ROOM), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Balance;
    use crate::types::{Address, Amount, AssetId};

    const HEAD: usize = 4 + 32 + 16 + 4 + 4;

    /// A block that changes some balances of an account: what its effects say.
    fn effects(state: &mut State, slot: Slot, changes: &[(u32, u128)]) -> Vec<u8> {
        for &(asset, amount) in changes {
            let balance = Balance { available: Amount(amount), held: Amount::ZERO };
            state.accounts.change_balance(slot, AssetId(asset), |_| balance).unwrap();
        }
        let (mut slots, mut effects) = (Vec::new(), vec![0xff; 50]);
        state.drain_changed_accounts(&mut slots);
        state.encode_changed_accounts(&slots, &mut effects);
        state.end_block();
        assert_eq!(slots, [slot]);
        effects
    }

    fn assets(effects: &[u8]) -> Vec<u32> {
        let (balances, rest) = effects[HEAD..].as_chunks::<36>();
        assert_eq!(
            (effects[HEAD - 4..HEAD].to_vec(), rest.len()),
            (u32::try_from(balances.len()).unwrap().to_le_bytes().to_vec(), 0)
        );
        balances.iter().map(|holding| u32::from_le_bytes(*holding.first_chunk().unwrap())).collect()
    }

    #[test]
    fn whoever_pays_somebody_in_a_hundred_thousand_assets_makes_no_later_block_large() {
        let mut state = State::new().unwrap();
        let slot = state.accounts.push(&Address([7; 32])).unwrap();
        // The highest number first, so that each goes before all others.
        let all: Vec<(u32, u128)> = (0..100_000).rev().map(|asset| (asset, 1)).collect();
        assert_eq!(assets(&effects(&mut state, slot, &all)).len(), 100_000);
        let few = effects(&mut state, slot, &[(5, 2), (99_999, 2), (70_000, 0), (5, 2)]);
        assert_eq!(assets(&few), [5, 70_000, 99_999]);
        // The first asset the account ever had is named only when it has changed.
        assert_eq!(assets(&effects(&mut state, slot, &[(5, 3)])), [5]);
        assert_eq!(assets(&effects(&mut state, slot, &[(99_999, 3)])), [99_999]);
        // The record itself has all of them.
        let mut record = Vec::new();
        state.accounts.encode(slot, &mut record);
        assert_eq!(record.len(), HEAD - 4 + 99_999 * 36);
        assert_eq!(state.accounts.share().balances(slot).len(), 99_999);
    }

    #[test]
    fn of_up_to_64_holdings_the_first_logs_say_all_and_of_more_their_number_and_what_has_changed() {
        for held in [1, 2, 63, 64, 65, 100] {
            let mut state = State::new().unwrap();
            let slot = state.accounts.push(&Address([7; 32])).unwrap();
            let change = |state: &mut State, asset, amount| {
                let balance = Balance { available: Amount(amount), held: Amount::ZERO };
                state.accounts.change_balance(slot, AssetId(asset), |_| balance).unwrap();
            };
            (0..held).rev().for_each(|asset| change(&mut state, asset, 1));
            state.end_block();
            let changed = if held > 1 { vec![0, held - 1] } else { vec![0] };
            changed.iter().rev().for_each(|&asset| change(&mut state, asset, 2));
            let (mut slots, mut bytes) = (Vec::new(), Vec::new());
            state.drain_changed_accounts(&mut slots);
            state.encode_changed_holders(&slots, &mut bytes);
            let mut record = slot.0.to_le_bytes().to_vec();
            state.accounts.encode(slot, &mut record);
            if held <= 64 {
                assert_eq!(bytes, record);
                continue;
            }
            assert_eq!((&bytes[..HEAD - 4], &bytes[HEAD - 4..HEAD]), (&record[..HEAD - 4], &held.to_le_bytes()[..]));
            let (balances, _) = bytes[HEAD + 4..].as_chunks::<36>();
            let assets = balances.iter().map(|holding| u32::from_le_bytes(*holding.first_chunk().unwrap()));
            assert_eq!((assets.collect::<Vec<_>>(), bytes.len()), (changed, HEAD + 4 + 2 * 36));
        }
    }

    #[test]
    fn plain_accounts_and_long_ones_stand_in_order_whatever_the_buffer_held_before_and_however_they_lie() {
        for (page_bits, shards) in [(10, 1), (3, 4), (0, 7)] {
            let mut state = State::with_layout(crate::state::Layout::new(shards, page_bits)).unwrap();
            let slots: Vec<Slot> = (0..3_000_u32)
                .map(|n| {
                    let mut address = [3; 32];
                    address[..4].copy_from_slice(&n.to_le_bytes());
                    state.accounts.push(&Address(address)).unwrap()
                })
                .collect();
            let (mut found, mut effects) = (Vec::new(), vec![0xff; 700_000]);
            for round in 1..5_u32 {
                let mut expected = Vec::new();
                for &slot in slots.iter().filter(|slot| slot.0 % (7 * round) == 0) {
                    let amount = Amount(u128::from(round));
                    let balance = Balance { available: amount, held: Amount::ZERO };
                    // Every third has two; the second of them first, another first or alone, and some but their windows.
                    let both: &[u32] = if slot.0.is_multiple_of(3) { &[1, 0] } else { &[0] };
                    let changed: &[u32] = match (slot.0 + round) % 4 {
                        0 => &[],
                        1 => &both[..1],
                        _ => both,
                    };
                    for &asset in changed {
                        state.accounts.change_balance(slot, AssetId(asset), |_| balance).unwrap();
                    }
                    let window = super::super::window::Window::default().with(u64::from(round));
                    let lane = u16::from(slot.0.is_multiple_of(5));
                    state.accounts.set_window(slot, lane, window);
                    state.accounts.mark(slot);
                    expected.extend_from_slice(&slot.0.to_le_bytes());
                    expected.extend_from_slice(&state.accounts.addresses().get(slot).unwrap().0);
                    let first = if lane == 0 { window } else { Default::default() };
                    expected.extend_from_slice(&first.top.to_le_bytes());
                    expected.extend_from_slice(&first.bits.to_le_bytes());
                    expected.extend_from_slice(&u32::from(lane).to_le_bytes());
                    if lane == 1 {
                        expected.extend_from_slice(&lane.to_le_bytes());
                        expected.extend_from_slice(&window.top.to_le_bytes());
                        expected.extend_from_slice(&window.bits.to_le_bytes());
                    }
                    expected.extend_from_slice(&u32::try_from(changed.len()).unwrap().to_le_bytes());
                    let mut changed = changed.to_vec();
                    changed.sort_unstable();
                    for asset in changed {
                        expected.extend_from_slice(&asset.to_le_bytes());
                        expected.extend_from_slice(&amount.0.to_le_bytes());
                        expected.extend_from_slice(&[0; 16]);
                    }
                }
                state.drain_changed_accounts(&mut found);
                state.encode_changed_accounts(&found, &mut effects);
                state.end_block();
                assert!(effects == expected, "{shards} shards, round {round}: {} bytes", effects.len());
                effects.extend_from_slice(&[0xff; 300_000]);
            }
        }
    }
}
