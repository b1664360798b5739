//! The naive model ledger: what the engine promises, said as plainly as it can be said.
//!
//! Transactions apply one by one. Money is a map, a replay window the set of all sequences ever used, and a transaction that is
//! rejected gives back a copy of everything from before. Slow, and short enough to be believed.

mod authority;
mod entries;
mod markets;
mod predicate;
mod promises;

use entries::Table;
use nostro::{
    Address, Amount, Asset, AssetId, AssetPolicy, Digest, Event, Happening, Holding, Operation, Outcome, RegisterAsset,
    Rejection, RejectionCode, Time, TransactionRef, Transfer,
};
use std::collections::{BTreeMap, BTreeSet};

/// How far below the highest sequence one may still be used.
const WINDOW: u64 = 64;
/// Lanes per account.
const LANES_MAX: usize = 64;

/// A mistake put into the model on purpose, to see that the comparison notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A rejected transaction keeps what its earlier operations did.
    RejectedKeepsChanges,
    /// A rejected transaction leaves behind the accounts that it opened.
    RejectedKeepsAccounts,
    /// A rejected transaction doesn't use its sequence up.
    SequenceOfRejectedIsFree,
    /// The last block time of a transaction is already too late.
    ExpiresTooEarly,
    /// An expired transaction doesn't use its sequence up.
    SequenceOfExpiredIsFree,
    /// The replay window remembers one sequence more.
    WindowTooWide,
    /// A window that moves far forgets what it saw.
    WindowForgets,
    /// An account may open 65 lanes.
    LanesTooMany,
    /// A transfer may not take the last of a balance.
    LastUnitStays,
    /// A maximum supply can be passed by one.
    SupplyTooLarge,
    /// A burn leaves what is issued as it was.
    BurnForgotten,
    /// An account that only signs further doesn't pay: the first signer does.
    FirstSignerPays,
    /// A payment to oneself is taken for a payment.
    SelfTransferApplies,
    /// Two issuers can't use one code.
    CodesAreGlobal,
    /// The rejection names the operation after the one that was rejected.
    OperationOffByOne,
    /// Time goes backwards when it is asked to.
    TimeGoesBackwards,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::RejectedKeepsChanges,
        Self::RejectedKeepsAccounts,
        Self::SequenceOfRejectedIsFree,
        Self::ExpiresTooEarly,
        Self::SequenceOfExpiredIsFree,
        Self::WindowTooWide,
        Self::WindowForgets,
        Self::LanesTooMany,
        Self::LastUnitStays,
        Self::SupplyTooLarge,
        Self::BurnForgotten,
        Self::FirstSignerPays,
        Self::SelfTransferApplies,
        Self::CodesAreGlobal,
        Self::OperationOffByOne,
        Self::TimeGoesBackwards,
    ];
}

#[derive(Clone, Debug, Default)]
struct Account {
    /// Every sequence ever used, by lane, but for those that are long out of reach.
    used: BTreeMap<u16, BTreeSet<u64>>,
    /// Never holds a zero.
    balances: BTreeMap<AssetId, u128>,
    /// What was set aside. Never holds a zero.
    held: BTreeMap<AssetId, u128>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// In the order they came into being.
    order: Vec<Address>,
    accounts: BTreeMap<Address, Account>,
    assets: Vec<Asset>,
    table: Table,
    /// Fees that were taken and not told of yet.
    fees: Vec<(Address, AssetId, u128)>,
}

impl State {
    fn open(&mut self, address: Address) -> &mut Account {
        if !self.accounts.contains_key(&address) {
            self.order.push(address);
        }
        self.accounts.entry(address).or_default()
    }

    fn balance(&self, address: &Address, asset: AssetId) -> u128 {
        self.accounts.get(address).and_then(|account| account.balances.get(&asset)).copied().unwrap_or(0)
    }

    fn held(&self, address: &Address, asset: AssetId) -> u128 {
        self.accounts.get(address).and_then(|account| account.held.get(&asset)).copied().unwrap_or(0)
    }

    fn set_held(&mut self, address: Address, asset: AssetId, held: u128) {
        let all = &mut self.open(address).held;
        if held == 0 {
            all.remove(&asset)
        } else {
            all.insert(asset, held)
        };
    }

    fn set_balance(&mut self, address: Address, asset: AssetId, balance: u128) {
        let balances = &mut self.open(address).balances;
        if balance == 0 {
            balances.remove(&asset)
        } else {
            balances.insert(asset, balance)
        };
    }
}

/// The model of a ledger.
#[derive(Clone, Debug, Default)]
pub struct Model {
    state: State,
    /// What has happened to accounts beside what transactions say, with the place of the transaction in all of the ledger.
    events: Vec<Event>,
    time: Time,
    /// Who has signed the transaction at hand.
    signers: Vec<Address>,
    /// The places of those in whose place its account acts.
    acting: Vec<usize>,
    /// How many transactions there were before it.
    count: u32,
    /// It, if it is reached, and its operation.
    at: (Option<u32>, u16),
    /// Orders that it has met.
    met: usize,
    bug: Option<Bug>,
    /// How many accounts there may be.
    accounts_max: Option<usize>,
}

fn no<T>(code: RejectionCode, detail: u64) -> Result<T, Rejection> {
    Err(Rejection { code, operation: 0, detail })
}

fn detail(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Model {
    /// An empty ledger with a mistake.
    #[must_use]
    pub fn with_bug(bug: Bug) -> Self {
        Self { bug: Some(bug), ..Self::default() }
    }

    /// An empty ledger that may have so many accounts.
    #[must_use]
    pub fn with_accounts_max(accounts_max: usize) -> Self {
        Self { accounts_max: Some(accounts_max), ..Self::default() }
    }

    /// Fails if there are more accounts than there may be.
    fn check_room(&self) -> Result<(), Rejection> {
        match self.accounts_max {
            Some(max) if self.state.order.len() > max => no(RejectionCode::TooManyAccounts, max as u64),
            _ => Ok(()),
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Applies one transaction in a block for which this time was asked. Time never goes backwards; gives the block's time too.
    pub fn apply(&mut self, transaction: &TransactionRef<'_>, asked: Time) -> (Time, Outcome) {
        let before = self.time;
        self.time = if self.has(Bug::TimeGoesBackwards) { asked } else { self.time.max(asked) };
        self.at = (None, 0);
        if self.time > before {
            self.sweep();
        }
        (self.at, self.met) = ((Some(self.count), 0), 0);
        self.count += 1;
        let outcome = match self.transact(transaction) {
            Ok(()) => Outcome::Applied,
            Err(rejection) => Outcome::Rejected(rejection),
        };
        (self.time, outcome)
    }

    fn transact(&mut self, transaction: &TransactionRef<'_>) -> Result<(), Rejection> {
        self.acting = self.check_signed(transaction)?;
        self.state.open(transaction.account());
        if let Err(full) = self.check_room() {
            // There was room before, so it has come just now.
            self.state.order.pop();
            self.state.accounts.remove(&transaction.account());
            return Err(full);
        }
        let untouched = self.bug.map(|_| self.state.clone());
        let fresh = self.use_sequence(transaction.account(), transaction.lane(), transaction.sequence());
        if let Some(last) = transaction.valid_until()
            && (self.time > last || self.has(Bug::ExpiresTooEarly) && self.time == last)
        {
            if let Some(untouched) = untouched.filter(|_| self.has(Bug::SequenceOfExpiredIsFree)) {
                self.state = untouched;
            }
            return no(RejectionCode::Expired, self.time.0);
        }
        fresh?;

        let (before, told) = (self.state.clone(), self.events.len());
        let signers: Vec<Address> = transaction.signers().collect();
        self.signers.clone_from(&signers);
        for (place, (source, operation)) in (0_u16..).zip(transaction.operations()) {
            self.at.1 = place;
            let source = if self.has(Bug::FirstSignerPays) { 0 } else { usize::from(source) };
            let done = if self.acting.contains(&source) {
                self.act(signers[0], signers[source], &operation)
            } else {
                self.operate(signers[source], &operation)
            };
            if let Err(rejection) = done.and_then(|()| self.check_room()) {
                self.roll_back(before, untouched);
                self.events.truncate(told);
                let off = u16::from(self.has(Bug::OperationOffByOne) && place > 0);
                return Err(Rejection { operation: place + off, ..rejection });
            }
        }
        Ok(())
    }

    fn roll_back(&mut self, before: State, untouched: Option<State>) {
        match (self.bug, untouched) {
            (Some(Bug::RejectedKeepsChanges), _) => (),
            (Some(Bug::SequenceOfRejectedIsFree), Some(untouched)) => self.state = untouched,
            (Some(Bug::RejectedKeepsAccounts), _) => {
                let opened = std::mem::replace(&mut self.state, before).order;
                for address in opened {
                    self.state.open(address);
                }
            }
            _ => self.state = before,
        }
    }

    fn use_sequence(&mut self, account: Address, lane: u16, sequence: u64) -> Result<(), Rejection> {
        let (wide, forgets) = (self.has(Bug::WindowTooWide), self.has(Bug::WindowForgets));
        let lanes_max = LANES_MAX + usize::from(self.has(Bug::LanesTooMany));
        let lanes = &mut self.state.open(account).used;
        // Lane 0 is always there.
        let further = lanes.keys().filter(|&&lane| lane != 0).count();
        if lane != 0 && !lanes.contains_key(&lane) && further + 1 >= lanes_max {
            return no(RejectionCode::TooManyLanes, LANES_MAX as u64);
        }
        let used = lanes.entry(lane).or_default();
        if let Some(&top) = used.last() {
            let below = top.saturating_sub(sequence);
            if below >= WINDOW + u64::from(wide) {
                return no(RejectionCode::OutOfWindow, top - (WINDOW - 1));
            }
            if used.contains(&sequence) {
                return no(RejectionCode::Duplicate, sequence);
            }
            if forgets && sequence.saturating_sub(top) > 1 {
                used.clear();
            }
        }
        used.insert(sequence);
        // What lies this far below can't matter any more, and would be copied with every transaction.
        let top = used.last().copied().unwrap_or(0);
        if used.len() > 140 {
            *used = used.split_off(&top.saturating_sub(70));
        }
        Ok(())
    }

    pub(super) fn operate(&mut self, source: Address, operation: &Operation) -> Result<(), Rejection> {
        match operation {
            Operation::Transfer(transfer) => self.pay(source, transfer),
            Operation::RegisterAsset(register) => self.register(source, register),
            Operation::ControlHolder(order) => self.control(source, order),
            Operation::Put(order) => self.put(source, order),
            Operation::Hold(order) => self.set_aside(source, order),
            Operation::Settle(order) => self.settle(source, order),
            Operation::Grant(order) => self.grant(source, order),
            Operation::Authorize(order) => self.authorize(source, order),
            Operation::OpenMarket(order) => self.open_market(source, order),
            Operation::PlaceOrder(order) => self.place(source, order),
            Operation::Amend(order) => self.amend(source, order),
            Operation::Require(order) => match self.holds(&order.predicate, None) {
                None => Ok(()),
                Some(node) => no(RejectionCode::RequirementUnmet, node),
            },
            other => panic!("the model knows no operation {other:?}"),
        }
    }

    /// Tells each account what it got in fees, asset by asset, as they first came.
    fn tell_fees(&mut self) {
        let fees = std::mem::take(&mut self.state.fees);
        for (place, &(account, asset, _)) in fees.iter().enumerate() {
            let same = |&&(whose, what, _): &&(Address, AssetId, u128)| (whose, what) == (account, asset);
            if fees.iter().take(place).all(|fee| !same(&fee)) {
                let amount = Amount(fees.iter().filter(same).map(|&(_, _, fee)| fee).sum());
                self.tell(account, Happening::Collected { asset, amount });
            }
        }
    }

    fn tell(&mut self, account: Address, what: Happening) {
        let (position, operation) = self.at;
        self.events.push(Event { position, operation, account, what });
    }

    /// What has happened to accounts beside what transactions say, each with the place of its transaction in the whole program.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    fn register(&mut self, issuer: Address, order: &RegisterAsset) -> Result<(), Rejection> {
        if order.is_update {
            return self.update(issuer, order);
        }
        let global = self.has(Bug::CodesAreGlobal);
        let same = |asset: &Asset| asset.code == order.code && (global || asset.issuer == issuer);
        if let Some(found) = self.state.assets.iter().position(same) {
            return no(RejectionCode::AssetExists, found as u64);
        }
        let RegisterAsset { code, scale, maximum_supply, policy, .. } = *order;
        let id = AssetId(u32::try_from(self.state.assets.len()).expect("few assets"));
        self.state.assets.push(Asset { issuer, code, scale, maximum_supply, issued: Amount(0), policy });
        self.set_terms(id, order);
        Ok(())
    }

    fn pay(&mut self, source: Address, order: &Transfer) -> Result<(), Rejection> {
        let Transfer { payee, asset: id, amount: Amount(ordered), up_to, grant, .. } = *order;
        let payer = grant.map_or(source, |grant| grant.owner);
        let place = usize::try_from(id.0).expect("32 bits");
        let Some(asset) = self.state.assets.get(place).copied() else {
            return no(RejectionCode::NoAsset, u64::from(id.0));
        };
        self.check_policy(&asset, id, payer, payee)?;
        if payer == payee && !self.has(Bug::SelfTransferApplies) {
            return no(RejectionCode::SelfTransfer, 0);
        }
        if ordered == 0 {
            return no(RejectionCode::ZeroAmount, 0);
        }
        let grant = grant.map(|name| self.may_spend(name, source, id, payee)).transpose()?;
        let (mint, burn) = (payer == asset.issuer, payee == asset.issuer);
        let terms = self.state.table.terms(id);
        let costs = asset.policy.has(AssetPolicy::FEE) && !mint && !burn && payer != terms.fee_account;
        let fee_of = |amount: u128| if costs { fee(&terms, amount) } else { 0 };
        let (room, balance) = (asset.maximum_supply.0.saturating_sub(asset.issued.0), self.state.balance(&payer, id));
        let mut amount = ordered;
        if up_to {
            let mut most = if mint { room } else { most_payable(balance, &fee_of) };
            if let Some((_, left, _)) = grant {
                most = most.min(left);
            }
            amount = ordered.min(most).max(1);
        }
        if let Some((_, left, code)) = grant
            && amount > left
        {
            return no(code, detail(amount - left));
        }
        let mut issued = asset.issued.0;
        if mint {
            if amount > room.saturating_add(u128::from(self.has(Bug::SupplyTooLarge))) {
                return no(RejectionCode::SupplyExceeded, detail(amount - room));
            }
            self.check_payee(payee, order.reference)?;
            issued = issued.wrapping_add(amount);
        } else {
            let fee = fee_of(amount);
            let Some(total) = amount.checked_add(fee) else {
                return no(RejectionCode::InsufficientFunds, detail(fee - balance.saturating_sub(amount)));
            };
            if balance < total || self.has(Bug::LastUnitStays) && balance == total {
                return no(RejectionCode::InsufficientFunds, detail(total - balance));
            }
            if !burn {
                self.check_payee(payee, order.reference)?;
            }
            self.state.set_balance(payer, id, balance - total);
            if fee > 0 && terms.fee_account == asset.issuer {
                issued -= fee;
            } else if fee > 0 {
                let collected = self.state.balance(&terms.fee_account, id);
                self.state.set_balance(terms.fee_account, id, collected + fee);
            }
            if fee > 0 {
                self.state.fees.push((terms.fee_account, id, fee));
            }
        }
        if burn {
            issued = if self.has(Bug::BurnForgotten) { issued } else { issued - amount };
        } else {
            let balance = self.state.balance(&payee, id);
            self.state.set_balance(payee, id, balance.wrapping_add(amount));
        }
        self.state.assets[place].issued = Amount(issued);
        if let Some((number, ..)) = grant {
            self.count_spent(number, amount);
        }
        if up_to {
            self.tell(payee, Happening::Sent { asset: id, amount: Amount(amount) });
        }
        self.tell_fees();
        Ok(())
    }

    /// Compares what there is of each asset with what is issued, and what accounts have set aside with what their holds and orders say.
    ///
    /// # Panics
    /// If they differ.
    pub fn assert_sound(&self) {
        let mut all = vec![0_u128; self.state.assets.len()];
        let mut held = self.table_holds();
        for (address, account) in &self.state.accounts {
            for (&id, &amount) in account.balances.iter().chain(&account.held) {
                all[usize::try_from(id.0).expect("32 bits")] += amount;
            }
            for (&id, &amount) in &account.held {
                assert_eq!(held.remove(&(*address, id)), Some(amount), "what {address} has set aside of {id}");
            }
        }
        assert!(held.is_empty(), "{held:?} is in holds and orders and nowhere set aside");
        for (asset, sum) in self.state.assets.iter().zip(all) {
            assert_eq!(asset.issued.0, sum, "{} of {}", asset.code, asset.issuer);
        }
    }

    /// What an account can spend.
    #[must_use]
    pub fn balance(&self, account: &Address, asset: AssetId) -> u128 {
        self.state.balance(account, asset)
    }

    /// Every account in the order they came into being, with what it holds.
    #[must_use]
    pub fn accounts(&self) -> Vec<(Address, Vec<Holding>)> {
        let holdings = |address: &Address| {
            let account = &self.state.accounts[address];
            let ids: BTreeSet<&AssetId> = account.balances.keys().chain(account.held.keys()).collect();
            let of = |all: &BTreeMap<AssetId, u128>, id: AssetId| Amount(all.get(&id).copied().unwrap_or(0));
            let holding = |&id: &AssetId| Holding {
                asset: id,
                available: of(&account.balances, id),
                held: of(&account.held, id),
            };
            ids.into_iter().map(holding).collect()
        };
        self.state.order.iter().map(|address| (*address, holdings(address))).collect()
    }

    /// Every asset by number.
    #[must_use]
    pub fn assets(&self) -> &[Asset] {
        &self.state.assets
    }

    /// The highest sequence an account has used on a lane.
    #[must_use]
    pub fn sequence(&self, account: &Address, lane: u16) -> Option<u64> {
        self.state.accounts.get(account)?.used.get(&lane)?.last().copied()
    }

    /// The state digest, written out as the documents lay it down.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&u32::try_from(self.state.order.len()).expect("few accounts").to_le_bytes());
        for address in &self.state.order {
            let account = &self.state.accounts[address];
            bytes.extend_from_slice(&address.0);
            bytes.extend_from_slice(&window(account.used.get(&0)));
            let further = || account.used.iter().filter(|&(&lane, used)| lane != 0 && !used.is_empty());
            bytes.extend_from_slice(&u32::try_from(further().count()).expect("few lanes").to_le_bytes());
            for (lane, used) in further() {
                bytes.extend_from_slice(&lane.to_le_bytes());
                bytes.extend_from_slice(&window(Some(used)));
            }
            let ids: BTreeSet<&AssetId> = account.balances.keys().chain(account.held.keys()).collect();
            bytes.extend_from_slice(&u32::try_from(ids.len()).expect("few assets").to_le_bytes());
            for id in ids {
                bytes.extend_from_slice(&id.0.to_le_bytes());
                for all in [&account.balances, &account.held] {
                    bytes.extend_from_slice(&all.get(id).copied().unwrap_or(0).to_le_bytes());
                }
            }
        }
        bytes.extend_from_slice(&u32::try_from(self.state.assets.len()).expect("few assets").to_le_bytes());
        for asset in &self.state.assets {
            let mut code = [0; 12];
            code[..asset.code.as_str().len()].copy_from_slice(asset.code.as_str().as_bytes());
            bytes.extend_from_slice(&asset.issuer.0);
            bytes.extend_from_slice(&code);
            bytes.push(if asset.policy.0 == 0 { asset.scale } else { asset.scale + 128 });
            bytes.extend_from_slice(&asset.maximum_supply.0.to_le_bytes());
            bytes.extend_from_slice(&asset.issued.0.to_le_bytes());
            if asset.policy.0 != 0 {
                bytes.extend_from_slice(&asset.policy.0.to_le_bytes());
            }
        }
        self.state.table.encode(&self.state.order, &mut bytes);
        Digest(blake3::derive_key("nostro 1 state", &bytes))
    }
}

/// Hundredths of a percent, rounded down, up to a maximum.
fn fee(terms: &nostro::AssetTerms, amount: u128) -> u128 {
    let points = u128::from(terms.fee_basis_points);
    let (whole, rest) = (amount / 10_000, amount % 10_000);
    let fee = (whole.checked_mul(points).expect("points are at most 10,000")) + rest * points / 10_000;
    if terms.fee_maximum.0 == 0 { fee } else { fee.min(terms.fee_maximum.0) }
}

/// The most of a balance that can be paid, together with what that costs.
fn most_payable(balance: u128, fee: &impl Fn(u128) -> u128) -> u128 {
    let fits = |amount: u128| amount.checked_add(fee(amount)).is_some_and(|total| total <= balance);
    // Bit by bit from the highest.
    (0..128).rev().fold(0, |amount, bit| if fits(amount | 1 << bit) { amount | 1 << bit } else { amount })
}

/// The highest sequence used and a bit for it and each of the 63 below.
fn window(used: Option<&BTreeSet<u64>>) -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Some(used) = used
        && let Some(&top) = used.last()
    {
        let bits = (0..WINDOW).filter(|&below| top.checked_sub(below).is_some_and(|one| used.contains(&one)));
        bytes[..8].copy_from_slice(&top.to_le_bytes());
        bytes[8..].copy_from_slice(&bits.fold(0_u64, |bits, below| bits | 1 << below).to_le_bytes());
    }
    bytes
}
