//! What has changed since the last state root, collected for whoever makes the next one.

use crate::roots::{Changed, every_block, kept};
use crate::state::{ChangedNodes, Kept, Leaves, Slot, SlotSet, State};
use crate::types::RootInterval;

/// Which of the three trees something belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Account,
    Asset,
    Entry,
}

/// What has changed: the nodes of the trees that lie above it; or the leaves themselves, where roots are made after every block.
#[derive(Debug, Default)]
pub(super) struct Unrooted {
    kept: Kept,
    every_block: bool,
    nodes: [SlotSet; 3],
    /// Those of the next root, once the trees have followed everything else.
    leaves: Option<Leaves>,
    spare: Vec<Leaves>,
    /// Of one account, for a moment.
    record: Vec<u8>,
}

impl Unrooted {
    pub(super) fn new(interval: RootInterval) -> Self {
        Self { kept: kept(interval), every_block: every_block(interval), ..Self::default() }
    }

    /// Enters an asset or an entry by its number and its canonical bytes.
    pub(super) fn enter(&mut self, kind: Kind, number: u32, canonical: &[u8]) {
        match &mut self.leaves {
            None => self.nodes[kind as usize].insert(self.kept.node_of(number)),
            Some(Leaves { accounts, assets, entries, .. }) => {
                [accounts, assets, entries][kind as usize].push(number, canonical);
            }
        }
    }

    /// Enters accounts, by ascending slot.
    pub(super) fn enter_accounts(&mut self, slots: &[Slot], state: &State) {
        match &mut self.leaves {
            None => {
                let mut last = None;
                for node in slots.iter().map(|slot| self.kept.node_of(slot.0)) {
                    if last.replace(node) != Some(node) {
                        self.nodes[Kind::Account as usize].insert(node);
                    }
                }
            }
            Some(leaves) => {
                for &slot in slots {
                    self.record.clear();
                    state.encode_account(slot, &mut self.record);
                    leaves.accounts.push(slot.0, &self.record);
                }
            }
        }
    }

    /// What has changed since this was last asked; the first time that doesn't matter, since the trees follow everything.
    pub(super) fn take(&mut self, state: &mut State) -> Changed {
        let next = self.every_block.then(|| self.spare.pop().unwrap_or_default());
        if let Some(mut leaves) = std::mem::replace(&mut self.leaves, next) {
            leaves.counts = state.counts();
            return Changed::Leaves(leaves);
        }
        let mut changed = ChangedNodes::default();
        let [accounts, assets, entries] = &mut self.nodes;
        accounts.drain(|node| changed.accounts.push(node));
        assets.drain(|node| changed.assets.push(node));
        entries.drain(|node| changed.entries.push(node));
        Changed::Nodes(state.share_records(), changed)
    }

    /// Takes memory back.
    pub(super) fn reuse(&mut self, mut leaves: Leaves) {
        leaves.clear();
        self.spare.push(leaves);
    }
}
