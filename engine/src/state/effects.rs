//! The accounts that a block has changed, as canonical bytes in order: what the effects of a block begin with.

use super::account::{Account, AccountCell, PLAIN_BYTES};
use super::accounts::Accounts;
use super::addresses::Cell;
use super::changed::ChangedBalance;
use super::layout::Place;
use super::prefetch::prefetch;
use super::shard::Shard;
use super::{Slot, State};

/// Records are brought closer so many ahead.
const AHEAD: usize = 48;

/// Bytes of most accounts: the slot and the record.
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

    /// Writes some of those accounts into `out`, whatever was there before: slot, then record.
    pub(crate) fn encode_changed_accounts(&self, slots: &[Slot], out: &mut Vec<u8>) {
        let mut writer = Writer { out, end: 0, long: Vec::new() };
        let (mut here, mut ahead) = (Reading::new(&self.accounts), Reading::new(&self.accounts));
        let mut further: Option<Vec<ChangedBalance>> = None;
        for (place, &slot) in slots.iter().enumerate() {
            if let Some((cell, address)) = slots.get(place + AHEAD).and_then(|&slot| ahead.at(slot)) {
                prefetch(cell);
                prefetch(address);
            }
            if further.is_some() {
                slots.get(place + AHEAD / 2).iter().for_each(|&&slot| self.accounts.prefetch_further(slot));
            }
            let Some((cell, address)) = here.at(slot) else { continue };
            let account = cell.get();
            if account.is_plain() {
                writer.plain(slot, &account, address);
                continue;
            }
            writer.long(|out| {
                // Hardly any block has anyone who asks.
                let further = further.get_or_insert_with(|| self.accounts.further_changed());
                let changed = || self.accounts.changed_assets(&account, slot, further);
                out.extend_from_slice(&slot.0.to_le_bytes());
                if let Some(shard) = here.shard {
                    shard.record_of(account).encode_changed(address, changed, out);
                }
            });
        }
        let end = writer.end;
        out.truncate(end);
    }
}

/// Accounts by ascending slot: what is known of a page serves all on it.
struct Reading<'a> {
    accounts: &'a Accounts,
    page: Option<u32>,
    shard: Option<&'a Shard>,
    accounts_of_page: &'a [AccountCell],
    /// The same of a segment of addresses.
    segment: Option<u32>,
    cells: &'a [Cell],
}

impl<'a> Reading<'a> {
    const fn new(accounts: &'a Accounts) -> Self {
        Self { accounts, page: None, shard: None, accounts_of_page: &[], segment: None, cells: &[] }
    }

    #[inline]
    fn at(&mut self, slot: Slot) -> Option<(&'a AccountCell, &'a Cell)> {
        let layout = self.accounts.layout();
        let page = layout.page(slot);
        if self.page != Some(page) {
            let Place { shard, page: own, .. } = layout.place_of_page(page);
            self.page = Some(page);
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
}

/// Writes over what there was in a buffer, which spares filling it with zeros first.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
    /// An account that isn't what most are, before it has a place.
    long: Vec<u8>,
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

    fn long(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.long.clear();
        write(&mut self.long);
        self.make_room(self.long.len());
        let end = self.end.saturating_add(self.long.len());
        if let Some(bytes) = self.out.get_mut(self.end..end) {
            bytes.copy_from_slice(&self.long);
            self.end = end;
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

    const HEAD: usize = 4 + 32 + 16 + 4;

    /// A block that changes some balances of an account: what its effects say.
    fn effects(state: &mut State, slot: Slot, changes: &[(u32, u128)]) -> Vec<u8> {
        for &(asset, amount) in changes {
            let balance = Balance { available: Amount(amount), held: Amount::ZERO };
            state.accounts.set_balance(slot, AssetId(asset), balance);
            state.accounts.mark_balance(slot, AssetId(asset));
        }
        let (mut slots, mut effects) = (Vec::new(), vec![0xff; 50]);
        state.drain_changed_accounts(&mut slots);
        state.encode_changed_accounts(&slots, &mut effects);
        state.end_block();
        assert_eq!(slots, [slot]);
        effects
    }

    fn assets(effects: &[u8]) -> Vec<u32> {
        // Behind the number of all holdings that of those which follow.
        let holdings = effects[HEAD + 8..].chunks(36);
        holdings.map(|holding| u32::from_le_bytes(*holding.first_chunk().unwrap())).collect()
    }

    #[test]
    fn whoever_pays_somebody_in_a_hundred_thousand_assets_makes_no_later_block_large() {
        let mut state = State::new().unwrap();
        let slot = state.accounts.push(&Address([7; 32])).unwrap();
        // The highest number first, so that each goes before all others.
        let all: Vec<(u32, u128)> = (0..100_000).rev().map(|asset| (asset, 1)).collect();
        assert_eq!(assets(&effects(&mut state, slot, &all)).len(), 100_000);
        let few = effects(&mut state, slot, &[(5, 2), (99_999, 2), (70_000, 0), (5, 2)]);
        assert_eq!(few[HEAD..HEAD + 4], 99_999_u32.to_le_bytes());
        assert_eq!(assets(&few), [5, 70_000, 99_999]);
        // The first asset the account ever had is named only when it has changed.
        assert_eq!(assets(&effects(&mut state, slot, &[(5, 3)])), [5]);
        assert_eq!(assets(&effects(&mut state, slot, &[(99_999, 3)])), [99_999]);
        // The record itself has all of them.
        let mut record = Vec::new();
        state.accounts.encode(slot, &mut record);
        assert_eq!(record.len(), HEAD + 99_999 * 36);
        assert_eq!(state.accounts.share().balances(slot).len(), 99_999);
    }

    #[test]
    fn plain_accounts_and_long_ones_stand_in_order_whatever_the_buffer_held_before() {
        let mut state = State::new().unwrap();
        let slots: Vec<Slot> = (0..3_000_u32)
            .map(|n| {
                let mut address = [3; 32];
                address[..4].copy_from_slice(&n.to_le_bytes());
                state.accounts.push(&Address(address)).unwrap()
            })
            .collect();
        let (mut found, mut effects) = (Vec::new(), vec![0xff; 700_000]);
        for round in 1..4_u32 {
            let mut expected = Vec::new();
            for &slot in slots.iter().filter(|slot| slot.0 % (7 * round) == 0) {
                let balance = Balance { available: Amount(u128::from(round)), held: Amount::ZERO };
                // Every third has two.
                (0..=u32::from(slot.0 % 3 == 0)).for_each(|asset| {
                    state.accounts.set_balance(slot, AssetId(asset), balance);
                    state.accounts.mark_balance(slot, AssetId(asset));
                });
                expected.extend_from_slice(&slot.0.to_le_bytes());
                state.accounts.encode(slot, &mut expected);
            }
            state.drain_changed_accounts(&mut found);
            state.encode_changed_accounts(&found, &mut effects);
            state.end_block();
            assert!(effects == expected, "round {round}: {} bytes", effects.len());
            effects.extend_from_slice(&[0xff; 300_000]);
        }
    }
}
