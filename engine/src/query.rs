//! Reading: snapshots of the state, and blocks from the log.

use crate::block::Transactions;
use crate::boundary::Executing;
use crate::error::ReadError;
use crate::execute::outcomes_digest;
use crate::ledger::Ledger;
use crate::log::{LogReader, Record, Records};
use crate::merkle::Levels;
use crate::proof::{TransactionProof, transaction_tree};
use crate::replay::{Body, ReplayError, decode_rejections};
use crate::state::{
    Asset, AuthorityState, Balance, GrantState, HoldState, HolderState, MarketState, OrderState, Record as PutRecord,
    StateSnapshot,
};
use crate::transaction::TransactionRef;
use crate::types::{
    Address, Amount, AssetCode, AssetId, AssetTerms, BlockHeader, Digest, EVENT_BYTES, Event, Height, Holding,
    MarketId, Outcome, REJECTION_BYTES, RecordKind, Rejection, Side, Time, TransactionId,
};
use std::time::{Duration, Instant};

/// The state after a durable block. It stays as it is while the engine goes on; reading takes no lock, from any thread.
///
/// While one is alive, pages of the state that change are copied once each, so don't keep it longer than you need.
#[derive(Clone, Debug)]
pub struct Snapshot {
    executing: Executing,
    ledger: Ledger,
}

impl Snapshot {
    pub(crate) const fn new(executing: Executing, ledger: Ledger) -> Self {
        Self { executing, ledger }
    }

    const fn state(&self) -> &StateSnapshot {
        &self.executing.state
    }

    /// The ledger.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The last block in it; 0 if there is none.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.executing.height
    }

    /// The time of that block.
    #[must_use]
    pub const fn time(&self) -> Time {
        self.executing.time
    }

    /// Transactions in all blocks so far, rejected ones included.
    #[must_use]
    pub const fn transaction_count(&self) -> u64 {
        self.executing.transactions
    }

    /// What an account can spend of an asset; zero for an account or an asset that doesn't exist.
    #[must_use]
    pub fn balance(&self, account: &Address, asset: AssetId) -> Amount {
        self.state().balance(account, asset).available
    }

    /// Everything an account holds, by ascending asset.
    #[must_use]
    pub fn holdings(&self, account: &Address) -> Vec<Holding> {
        holdings(self.state().balances(account))
    }

    /// Whether the account has come into being: was paid or has signed.
    #[must_use]
    pub fn contains(&self, account: &Address) -> bool {
        self.state().contains(account)
    }

    /// The highest sequence an account has used on a lane; `None` if none. The next free one is above it.
    #[must_use]
    pub fn sequence(&self, account: &Address, lane: u16) -> Option<u64> {
        self.state().sequence(account, lane)
    }

    /// How many accounts there are.
    #[must_use]
    pub const fn account_count(&self) -> u32 {
        self.state().account_count()
    }

    /// Every account, in the order they came into being, with what it holds.
    pub fn accounts(&self) -> impl Iterator<Item = (Address, Vec<Holding>)> {
        self.state().accounts().zip(0..).map(|(address, n)| (address, holdings(self.state().balances_at(n))))
    }

    /// What is known of an asset.
    #[must_use]
    pub fn asset(&self, asset: AssetId) -> Option<Asset> {
        self.state().asset(asset)
    }

    /// The number an issuer's asset was given.
    #[must_use]
    pub fn find_asset(&self, issuer: &Address, code: AssetCode) -> Option<AssetId> {
        self.state().find_asset(issuer, code)
    }

    /// The terms of an asset; zeros where it has none.
    #[must_use]
    pub fn asset_terms(&self, asset: AssetId) -> AssetTerms {
        self.state().asset_terms(asset)
    }

    /// What the issuer of an asset has said of a holder.
    #[must_use]
    pub fn holder_state(&self, asset: AssetId, holder: &Address) -> HolderState {
        self.state().holder_state(asset, holder)
    }

    /// A record, if it is there: also one that is revoked, or over and not yet taken away.
    #[must_use]
    pub fn record(
        &self,
        owner: &Address,
        kind: RecordKind,
        key: &[u8; 32],
        subject: Option<&Address>,
    ) -> Option<&PutRecord> {
        self.state().record(owner, kind, key, subject)
    }

    /// Places in the table of entries (records, states of holders, terms of assets), free ones included.
    #[must_use]
    pub const fn entry_count(&self) -> u32 {
        self.state().entry_count()
    }

    /// Every record, by number. Reads all entries.
    pub fn records(&self) -> impl Iterator<Item = &PutRecord> {
        self.state().records_put()
    }

    /// A hold, if it is there: also one that is over and not yet settled.
    #[must_use]
    pub fn hold(&self, owner: &Address, id: u64) -> Option<HoldState> {
        self.state().hold(owner, id)
    }

    /// Every hold, by number. Reads all entries.
    pub fn holds(&self) -> impl Iterator<Item = HoldState> {
        self.state().holds()
    }

    /// A grant, if it is there: also one that was taken back, or is over and not yet gone.
    #[must_use]
    pub fn grant(&self, owner: &Address, id: u64) -> Option<&GrantState> {
        self.state().grant(owner, id)
    }

    /// Every grant, by number. Reads all entries.
    pub fn grants(&self) -> impl Iterator<Item = &GrantState> {
        self.state().grants()
    }

    /// The rules of an account that has some of its own; `None` is the key of its address.
    #[must_use]
    pub fn authority(&self, account: &Address) -> Option<&AuthorityState> {
        self.state().authority(account)
    }

    /// A market by its number.
    #[must_use]
    pub fn market(&self, market: MarketId) -> Option<&MarketState> {
        self.state().market(market.0)
    }

    /// The number of an operator's market.
    #[must_use]
    pub fn find_market(&self, operator: &Address, base: AssetId, quote: AssetId) -> Option<MarketId> {
        self.state().find_market(operator, base, quote).map(MarketId)
    }

    /// An order that waits: also one that is over and not yet gone.
    #[must_use]
    pub fn order(&self, owner: &Address, id: u64) -> Option<&OrderState> {
        self.state().order(owner, id)
    }

    /// Every order that waits, by number. Reads all entries.
    pub fn orders(&self) -> impl Iterator<Item = &OrderState> {
        self.state().orders()
    }

    /// What waits on a side of a market: the best prices, each with how many lots wait at it, at most so many. Reads the
    /// orders at those prices.
    #[must_use]
    pub fn depth(&self, market: MarketId, side: Side, levels: usize) -> Vec<(u64, u128)> {
        self.state().depth(market, side).take(levels).collect()
    }

    /// Every asset by ascending number.
    pub fn assets(&self) -> impl Iterator<Item = (AssetId, Asset)> {
        (0..self.state().asset_count()).map(AssetId).filter_map(|id| Some((id, self.asset(id)?)))
    }

    /// The state digest: the same for the same transactions, however they were cut into blocks, on whatever machine. Reads
    /// everything: costs about a tenth of a second per million accounts.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.state().digest()
    }
}

fn holdings(balances: Vec<(AssetId, Balance)>) -> Vec<Holding> {
    let holding =
        |(asset, balance): (AssetId, Balance)| Holding { asset, available: balance.available, held: balance.held };
    balances.into_iter().map(holding).collect()
}

/// A block as it lies in the log.
#[derive(Clone, Debug)]
pub struct BlockRef<'a> {
    header: BlockHeader,
    hash: Digest,
    transactions: &'a [u8],
    rejections: Vec<(u32, Rejection)>,
    events: &'a [u8],
}

impl<'a> BlockRef<'a> {
    pub(crate) fn new(header: BlockHeader, hash: Digest, body: &'a [u8]) -> Result<Self, ReplayError> {
        let Body { transactions, rejections, events } = Body::decode(&header, body)?;
        Ok(Self { header, hash, transactions, rejections, events })
    }

    /// Its header.
    #[must_use]
    pub const fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// Its hash, which the next block names.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// Its rejections by ascending position.
    pub(crate) fn rejections(&self) -> &[(u32, Rejection)] {
        &self.rejections
    }

    /// Its transactions in order, with what became of each.
    pub fn transactions(&self) -> impl Iterator<Item = (TransactionRef<'a>, Outcome)> {
        let mut rejections = self.rejections.iter().peekable();
        Transactions(self.transactions).zip(0_u32..).map(move |(transaction, position)| {
            let rejection = rejections.next_if(|&&(place, _)| place == position);
            (transaction, rejection.map_or(Outcome::Applied, |&(_, rejection)| Outcome::Rejected(rejection)))
        })
    }

    /// What happened to accounts in it beside what its transactions say, in order: trades of orders that waited, money out of holds,
    /// what came back because its time had come.
    pub fn events(&self) -> impl Iterator<Item = Event> + use<'a> {
        self.events.as_chunks::<EVENT_BYTES>().0.iter().filter_map(Event::decode)
    }

    /// The bytes of its transactions, back to back.
    #[must_use]
    pub const fn encoded_transactions(&self) -> &'a [u8] {
        self.transactions
    }
}

/// A durable block that keeps its bytes readable, where they lie in the log, for as long as it lives.
#[derive(Clone, Debug)]
pub struct StoredBlock {
    header: BlockHeader,
    record: Record,
}

impl StoredBlock {
    pub(crate) fn new(record: Record) -> Self {
        let stored = record.header();
        let header = BlockHeader::from_log(stored.height, stored.previous, stored.body_hash, &stored.meta);
        Self { header, record }
    }

    /// Its header.
    #[must_use]
    pub const fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// Its hash, which the next block names.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest(*self.record.hash())
    }

    /// The block itself. Costs a walk over its transactions.
    ///
    /// # Errors
    /// [`ReadError`] if its bytes aren't what a ledger writes.
    pub fn view(&self) -> Result<BlockRef<'_>, ReadError> {
        let height = self.header.height;
        let block = BlockRef::new(self.header, self.hash(), self.record.body());
        block.map_err(|problem| ReadError { height, reason: problem.to_string() })
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.record.body()
    }

    /// Its transactions, without a look into them: of a block whose body was hashed, so that it is as it was written.
    pub(crate) fn walk_transactions(&self) -> impl Iterator<Item = TransactionRef<'_>> {
        Transactions(self.body()).take(self.header.count as usize)
    }

    /// Its transactions and its events, in the same way.
    pub(crate) fn walk(&self) -> Option<(impl Iterator<Item = TransactionRef<'_>>, impl Iterator<Item = Event>)> {
        let bytes = self.walk_transactions().map(|transaction| transaction.bytes().len()).sum();
        let rejected = (self.header.rejected as usize).checked_mul(REJECTION_BYTES)?;
        let events = self.body().get(bytes..self.body().len().checked_sub(rejected)?)?;
        Some((self.walk_transactions(), events.as_chunks::<EVENT_BYTES>().0.iter().filter_map(Event::decode)))
    }

    /// The transactions at ascending positions, with what became of each, of a block whose body nobody has hashed. The outcomes are as the header
    /// says; whether a transaction is the one that was meant tells its id. `None` if anything isn't as it was written. Costs a step to each
    /// transaction and a hash of the rejections.
    pub(crate) fn pick(&self, positions: &[u32]) -> Option<Vec<(TransactionRef<'_>, Outcome)>> {
        let Self { header, .. } = self;
        let rejected = (header.rejected as usize).checked_mul(REJECTION_BYTES)?;
        let (transactions, rejections) = self.body().split_at_checked(self.body().len().checked_sub(rejected)?)?;
        let rejections = decode_rejections(header, rejections).ok()?;
        if outcomes_digest(header.count, &rejections) != header.outcomes {
            return None;
        }
        let (mut rest, mut next) = (Transactions(transactions), 0);
        let mut picked = Vec::with_capacity(positions.len());
        for &position in positions {
            let transaction = rest.nth(position.checked_sub(next)? as usize)?;
            next = position.checked_add(1).filter(|&next| next <= header.count)?;
            let rejection = rejections.binary_search_by_key(&position, |&(place, _)| place).ok();
            let rejection = rejection.and_then(|place| rejections.get(place));
            picked.push((transaction, rejection.map_or(Outcome::Applied, |&(_, no)| Outcome::Rejected(no))));
        }
        Some(picked)
    }

    /// Prepares proofs for the block's transactions. Costs a hash of each.
    ///
    /// # Errors
    /// [`ReadError`] if its bytes aren't what a ledger writes.
    pub fn prover(&self, ledger: &Ledger) -> Result<BlockProver, ReadError> {
        let view = self.view()?;
        let (transactions, outcomes): (Vec<TransactionRef<'_>>, Vec<Outcome>) = view.transactions().unzip();
        let mut ids = Vec::with_capacity(transactions.len());
        ledger.transaction_ids(transactions.iter().map(TransactionRef::body), &mut ids);
        let tree = transaction_tree(ids.iter(), view.rejections());
        Ok(BlockProver { transactions: ids.into_iter().zip(outcomes).collect(), tree })
    }
}

/// Makes proofs for the transactions of one block. Holds some 110 bytes for each.
#[derive(Clone, Debug)]
pub struct BlockProver {
    transactions: Vec<(TransactionId, Outcome)>,
    tree: Levels,
}

impl BlockProver {
    /// The proof for the transaction at a position; `None` past the block's end. Costs well below a microsecond.
    #[must_use]
    pub fn prove(&self, position: u32) -> Option<TransactionProof> {
        let &(transaction, outcome) = self.transactions.get(position as usize)?;
        Some(TransactionProof { transaction, position, outcome, path: self.tree.path(position as usize) })
    }
}

/// Durable blocks in order: the change feed. Ends at the tip, and can be asked again when more is durable.
pub struct Blocks {
    reader: LogReader,
    records: Records,
    next: Height,
    /// Whether it has said that its next block was retired.
    told: bool,
}

impl Blocks {
    pub(crate) fn new(reader: LogReader, from: Height) -> Self {
        let next = Height(from.0.max(1));
        Self { records: reader.records_from(next.0), reader, next, told: false }
    }

    /// The height of the block that comes next.
    #[must_use]
    pub const fn next_height(&self) -> Height {
        self.next
    }

    /// The next block, waited for if it isn't durable yet; `None` when the time is up or the engine has stopped at the tip.
    pub fn next_within(&mut self, time: Duration) -> Option<Result<StoredBlock, ReadError>> {
        let deadline = Instant::now().checked_add(time);
        loop {
            if let Some(block) = self.next() {
                return Some(block);
            }
            let left = deadline.map_or(time, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() || self.reader.wait_beyond(self.next.0.saturating_sub(1), left) < self.next.0 {
                return None;
            }
        }
    }
}

impl Iterator for Blocks {
    type Item = Result<StoredBlock, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let height = self.next;
        let Some(record) = self.records.next() else {
            let first = self.reader.first_height();
            if height.0 >= first || self.told {
                return None;
            }
            self.told = true;
            let reason = format!("expected one from height {first} on, where the log begins: those below were retired");
            return Some(Err(ReadError { height, reason }));
        };
        self.next = height.next();
        Some(record.map_err(|problem| ReadError { height, reason: problem.to_string() }).map(StoredBlock::new))
    }
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blocks(next: {})", self.next)
    }
}
