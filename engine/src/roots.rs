//! State roots: made beside the commit every so many blocks, and carried by headers of later blocks.
//!
//! The execute thread gives the state at every [`ROOT_INTERVAL`](BlockHeader::ROOT_INTERVAL)-th height away with what has changed since the
//! last time; a thread of its own follows the changes in its trees and puts the root on a board, where the commit thread finds it when
//! the first header that carries it is sealed, [`ROOT_DELAY`](BlockHeader::ROOT_DELAY) blocks later. Which root a header carries is a function of its height alone;
//! a root that isn't there yet is waited for. Replay makes the same roots in line and compares.

use crate::proof::BalanceProof;
use crate::state::{ChangedGroups, RootParts, StateRecords, StateSnapshot, StateTree};
use crate::stats::{Stage, Stats};
use crate::types::{Address, BlockHeader, Digest, Height};
use crossbeam::channel::Receiver;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Roots kept: the one that headers carry now, the next, and those that a checkpoint names.
const KEPT: usize = 4;

/// Roots by the height of their state.
#[derive(Clone, Debug)]
pub(crate) struct Roots(BTreeMap<Height, Digest>);

impl Roots {
    /// Those of a ledger without blocks.
    pub(crate) fn new() -> Self {
        Self(BTreeMap::from([(Height(0), RootParts::default().root())]))
    }

    /// The height of the newest root at or below a height.
    pub(crate) const fn height_at(height: Height) -> Height {
        Height(height.0 / BlockHeader::ROOT_INTERVAL * BlockHeader::ROOT_INTERVAL)
    }

    /// Those that a ledger at this height has to know: the newest and the one before.
    pub(crate) fn at(height: Height, [newest, before]: [Digest; 2]) -> Self {
        let newest_height = Self::height_at(height);
        let before_height = newest_height.0.checked_sub(BlockHeader::ROOT_INTERVAL).map(Height);
        let before = before_height.map(|height| (height, before));
        Self(before.into_iter().chain([(newest_height, newest)]).collect())
    }

    pub(crate) fn insert(&mut self, height: Height, root: Digest) {
        self.0.insert(height, root);
        while self.0.len() > KEPT {
            self.0.pop_first();
        }
    }

    /// What the header of a height carries; `None` if that root isn't known.
    pub(crate) fn carried(&self, height: Height) -> Option<Digest> {
        match BlockHeader::state_height_at(height) {
            None => Some(Digest::default()),
            Some(state) => self.0.get(&state).copied(),
        }
    }
}

/// Whether a root is made of the state after this block.
pub(crate) const fn is_due(height: Height) -> bool {
    height.0.is_multiple_of(BlockHeader::ROOT_INTERVAL)
}

/// A state whose root is to be made.
#[derive(Debug)]
pub(crate) struct Job {
    pub height: Height,
    pub records: StateRecords,
    /// The same with its index, if balances are to be proved.
    pub snapshot: Option<StateSnapshot>,
    /// What has changed since the last one.
    pub changed: ChangedGroups,
}

/// A state with its trees: what proofs of balances are taken from.
#[derive(Debug)]
pub(crate) struct Rooted {
    pub height: Height,
    pub snapshot: StateSnapshot,
    pub tree: StateTree,
}

impl Rooted {
    /// The proof of what an account holds in this state; `None` if it hasn't come into being.
    pub(crate) fn prove(&self, account: &Address) -> Option<BalanceProof> {
        let slot = self.snapshot.slot(account)?;
        let RootParts { accounts, assets, entries, asset_root, entry_root, .. } = self.tree.parts();
        let (record, path) = self.tree.account_path(self.snapshot.records(), slot);
        Some(BalanceProof { slot, accounts, assets, asset_root, entries, entry_root, record, path })
    }
}

/// Where roots are put and looked for.
#[derive(Debug)]
pub(crate) struct RootBoard {
    roots: Mutex<(Roots, bool)>,
    changed: Condvar,
    rooted: Mutex<Option<Arc<Rooted>>>,
}

impl RootBoard {
    pub(crate) fn new(roots: Roots) -> Self {
        Self { roots: Mutex::new((roots, false)), changed: Condvar::new(), rooted: Mutex::default() }
    }

    /// Waits for what the header of a height carries; `None` if it will never be known.
    pub(crate) fn carried(&self, height: Height) -> Option<Digest> {
        self.wait(|roots| roots.carried(height))
    }

    /// Waits for the newest root at a height, and gives the one before too; zeros if there is none.
    pub(crate) fn newest_two(&self, height: Height) -> Option<[Digest; 2]> {
        let newest = Roots::height_at(height);
        let before = newest.0.checked_sub(BlockHeader::ROOT_INTERVAL).map(Height);
        self.wait(|Roots(roots)| {
            let before = before.map_or(Some(Digest::default()), |before| roots.get(&before).copied());
            Some([*roots.get(&newest)?, before?])
        })
    }

    fn wait<T>(&self, find: impl Fn(&Roots) -> Option<T>) -> Option<T> {
        let mut roots = self.roots.lock();
        loop {
            let found = find(&roots.0);
            if found.is_some() || roots.1 {
                return found;
            }
            self.changed.wait(&mut roots);
        }
    }

    /// The newest state that balances can be proved from.
    pub(crate) fn rooted(&self) -> Option<Arc<Rooted>> {
        self.rooted.lock().clone()
    }
}

/// Says that no more roots will come, however its thread ends.
struct Closing<'a>(&'a RootBoard);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.roots.lock().1 = true;
        self.0.changed.notify_all();
    }
}

/// The thread: makes every root it is given a state for.
pub(crate) fn run(mut tree: StateTree, jobs: &Receiver<Job>, board: &RootBoard, stats: &Stats) {
    let _closing = Closing(board);
    while let Ok(Job { height, records, snapshot, changed }) = jobs.recv() {
        let meter = stats.meter();
        let root = tree.update(&records, &changed).root();
        stats.record(Stage::Root, meter, 0);
        board.roots.lock().0.insert(height, root);
        board.changed.notify_all();
        if let Some(snapshot) = snapshot {
            *board.rooted.lock() = Some(Arc::new(Rooted { height, snapshot, tree: tree.clone() }));
        }
    }
}
