//! State roots: made beside the commit every so many blocks, and carried by headers of later blocks.
//!
//! The execute thread gives the state away at every height that a [`RootInterval`] says, with what has changed since the last time; a thread
//! of its own follows the changes in its trees and puts the root on a board, where the commit thread finds it when the first header
//! that carries it is sealed, some blocks later. Which root a header carries is a function of its height and the ledger's genesis alone;
//! a root that isn't there yet is waited for. Replay has such a thread of its own, makes the same roots, and compares.
//!
//! Where roots are seldom, the thread reads what has changed from accounts that their owner goes on changing, and from what he saves of
//! them before. Where every block has one, that would be nearly all of it: there the owner gives the leaves themselves.

use crate::proof::BalanceProof;
use crate::state::{ChangedNodes, Kept, Leaves, RootParts, StateRecords, StateSnapshot, StateTree};
use crate::stats::{Stage, Stats};
use crate::types::{Address, Digest, Height, RootInterval};
use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Roots kept beside the one that headers carry now, the next, and those that a checkpoint names: where roots are made after every
/// block the commit thread and a checkpoint may be so many blocks behind.
const BLOCKS_BEHIND_MAX: u32 = 65_536;

/// Roots by the height of their state.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    interval: RootInterval,
    known: BTreeMap<Height, Digest>,
}

impl Roots {
    /// Those of a ledger without blocks.
    pub(crate) fn new(interval: RootInterval) -> Self {
        Self { interval, known: BTreeMap::from([(Height(0), RootParts::default().root())]) }
    }

    /// Those that a ledger at this height has to know: the newest and the one before.
    pub(crate) fn at(interval: RootInterval, height: Height, [newest, before]: [Digest; 2]) -> Self {
        let newest_height = interval.newest_at(height);
        let before = interval.before(newest_height).map(|height| (height, before));
        Self { interval, known: before.into_iter().chain([(newest_height, newest)]).collect() }
    }

    pub(crate) const fn interval(&self) -> RootInterval {
        self.interval
    }

    pub(crate) fn insert(&mut self, height: Height, root: Digest) {
        self.known.insert(height, root);
        let kept = 4_usize.saturating_add((BLOCKS_BEHIND_MAX / self.interval.blocks()) as usize);
        while self.known.len() > kept {
            self.known.pop_first();
        }
    }

    /// What the header of a height carries; `None` if that root isn't known.
    pub(crate) fn carried(&self, height: Height) -> Option<Digest> {
        match self.interval.carried_by(height) {
            None => Some(Digest::default()),
            Some(state) => self.known.get(&state).copied(),
        }
    }

    /// The newest at a height and the one before, zeros if there is none; `None` if they aren't known.
    fn newest_two(&self, height: Height) -> Option<[Digest; 2]> {
        let newest = self.interval.newest_at(height);
        let before = self.interval.before(newest);
        let before = before.map_or(Some(Digest::default()), |before| self.known.get(&before).copied());
        Some([*self.known.get(&newest)?, before?])
    }

    /// Whether a root that isn't known won't be any more: it is older than all that are.
    fn has_forgotten(&self, height: Height) -> bool {
        self.known.first_key_value().is_some_and(|(&oldest, _)| height < oldest)
    }

    /// The same of the newest at a height or the one before.
    fn has_forgotten_before(&self, height: Height) -> bool {
        let newest = self.interval.newest_at(height);
        self.has_forgotten(self.interval.before(newest).unwrap_or(newest))
    }
}

/// Up to so many blocks between two roots all levels of the trees are kept: then most groups of accounts have few changes.
const ALL_KEPT_MAX: u32 = 16;

/// How much of the trees is kept where roots are made so often.
pub(crate) const fn kept(interval: RootInterval) -> Kept {
    if interval.blocks() <= ALL_KEPT_MAX { Kept::All } else { Kept::Groups }
}

/// Whether every block has a root, so that what it has changed is given as leaves.
pub(crate) const fn every_block(interval: RootInterval) -> bool {
    interval.blocks() == 1
}

/// A state whose root is to be made.
#[derive(Debug)]
pub(crate) struct Job {
    pub height: Height,
    /// What has changed since the last one.
    pub changed: Changed,
    /// The state with its index, if balances are to be proved.
    pub snapshot: Option<StateSnapshot>,
}

/// What has changed since the root before.
#[derive(Debug)]
pub(crate) enum Changed {
    /// To be read from the state.
    Nodes(StateRecords, ChangedNodes),
    /// By one block.
    Leaves(Leaves),
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
        let ahead = |slot| self.tree.prefetch_path(self.snapshot.records(), slot);
        let slot = self.snapshot.slot(account, ahead)?;
        let RootParts { accounts, assets, entries, asset_root, entry_root, .. } = self.tree.parts();
        let (record, path) = self.tree.account_path(self.snapshot.records(), slot);
        Some(BalanceProof { slot, accounts, assets, asset_root, entries, entry_root, record, path })
    }
}

/// Where roots are put and looked for.
#[derive(Debug)]
pub(crate) struct RootBoard {
    interval: RootInterval,
    roots: Mutex<(Roots, bool)>,
    changed: Condvar,
    /// The newest two, ascending: no durable header may carry the root of the newest yet.
    rooted: Mutex<Vec<Arc<Rooted>>>,
    /// Memory of leaves that were followed.
    spare: Mutex<Option<Leaves>>,
}

impl RootBoard {
    pub(crate) fn new(roots: Roots) -> Self {
        Self {
            interval: roots.interval(),
            roots: Mutex::new((roots, false)),
            changed: Condvar::new(),
            rooted: Mutex::default(),
            spare: Mutex::default(),
        }
    }

    /// Memory of leaves that were followed, if there is some.
    pub(crate) fn take_spare(&self) -> Option<Leaves> {
        self.spare.lock().take()
    }

    /// Waits for what the header of a height carries; `None` if it will never be known.
    pub(crate) fn carried(&self, height: Height) -> Option<Digest> {
        self.wait(|roots| match roots.carried(height) {
            None if roots.interval.carried_by(height).is_some_and(|state| roots.has_forgotten(state)) => Some(None),
            root => root.map(Some),
        })
        .flatten()
    }

    /// Waits for the newest root at a height, and gives the one before too, zeros if there is none; `None` if they will never be known, or
    /// not any more.
    pub(crate) fn newest_two(&self, height: Height) -> Option<[Digest; 2]> {
        self.wait(|roots| match roots.newest_two(height) {
            None if roots.has_forgotten_before(height) => Some(None),
            two => two.map(Some),
        })
        .flatten()
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

    /// Says that no more roots will come.
    pub(crate) fn close(&self) {
        self.roots.lock().1 = true;
        self.changed.notify_all();
    }

    /// How often they come.
    pub(crate) const fn interval(&self) -> RootInterval {
        self.interval
    }

    /// The newest state that balances can be proved from when this height is durable, with the height of the first header that carries its
    /// root. Older ones are let go of.
    pub(crate) fn rooted(&self, durable: Height) -> Option<(Height, Arc<Rooted>)> {
        let delay = self.interval.delay();
        let header = |rooted: &Arc<Rooted>| Height(rooted.height.0.saturating_add(delay));
        let mut all = self.rooted.lock();
        let newest = all.iter().rposition(|rooted| header(rooted) <= durable)?;
        all.drain(..newest);
        all.first().map(|rooted| (header(rooted), rooted.clone()))
    }
}

/// Says that no more roots will come if its thread panics.
struct Closing<'a>(&'a RootBoard);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

/// The thread: makes every root it is given a state for, and gives its trees back for the next such thread.
pub(crate) fn run(mut tree: StateTree, jobs: &Receiver<Job>, board: &RootBoard, stats: &Stats) -> StateTree {
    let _closing = Closing(board);
    while let Ok(Job { height, changed, snapshot }) = jobs.recv() {
        let meter = stats.meter();
        let root = match changed {
            Changed::Nodes(mut records, nodes) => tree.update(&mut records, &nodes).root(),
            Changed::Leaves(mut leaves) => {
                let root = tree.follow(&mut leaves).root();
                *board.spare.lock() = Some(leaves);
                root
            }
        };
        stats.record(Stage::Root, meter, 0);
        if let Some(snapshot) = snapshot {
            let newest = Arc::new(Rooted { height, snapshot, tree: tree.share() });
            let mut rooted = board.rooted.lock();
            let older = rooted.len().saturating_sub(1);
            rooted.drain(..older);
            rooted.push(newest);
        }
        // Last, so that a state can be proved from as soon as a header carries its root.
        board.roots.lock().0.insert(height, root);
        board.changed.notify_all();
    }
    tree
}

/// The thread beside a replay.
#[derive(Debug)]
pub(crate) struct RootsBeside {
    board: Arc<RootBoard>,
    /// One root being made, and one waiting.
    jobs: Sender<Job>,
    thread: JoinHandle<StateTree>,
}

impl RootsBeside {
    /// Starts it with roots that are known, for a state whose trees aren't made yet.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub(crate) fn start(roots: Roots) -> io::Result<Self> {
        let (jobs, jobs_out) = bounded(1);
        let board = Arc::new(RootBoard::new(roots));
        let (own, tree) = (board.clone(), StateTree::new(kept(board.interval)));
        let thread = std::thread::Builder::new()
            .name("nostro-root".to_owned())
            .spawn(move || run(tree, &jobs_out, &own, &Stats::default()))?;
        Ok(Self { board, jobs, thread })
    }

    /// Waits for what the header of a height carries; `None` if it will never be known. Every state that is due below it must have been
    /// given.
    pub(crate) fn carried(&self, height: Height) -> Option<Digest> {
        self.board.carried(height)
    }

    /// Gives a state whose root is due.
    pub(crate) fn give(&self, job: Job) {
        // If nobody takes it any more, nobody finds its root either.
        let _ = self.jobs.send(job);
    }

    /// Where its roots are to be found.
    pub(crate) const fn board(&self) -> &Arc<RootBoard> {
        &self.board
    }

    /// Waits until all roots are made that states were given for; gives the trees.
    ///
    /// # Panics
    /// If the thread has.
    pub(crate) fn finish(self) -> StateTree {
        drop(self.jobs);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
