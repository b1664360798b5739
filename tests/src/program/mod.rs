//! Programs: transactions with the block times asked for them, random ones biased to where things go wrong.
//!
//! Few accounts with balances near zero, chains of payments in one block, cycles of several signers, sequences used before or
//! just outside the window, more lanes than there may be, validity that ends around now, supplies at their limits.

mod orders;
mod trading;

use crate::language;
use crate::model::Model;
use crate::random::Random;
use crate::world::{address, ledger, sign, unsigned};
use nostro::{
    Address, Amount, AssetId, AuthorityRules, Operation, RegisterAsset, Time, Transaction, TransactionBuilder, Transfer,
};
use std::fmt;

/// A transaction with the block time asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The block time asked for.
    pub time: Time,
    /// What is ordered.
    pub transaction: Transaction,
}

/// Transactions in the order of their submission.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Program {
    /// One after the other.
    pub steps: Vec<Step>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut time = None;
        for step in &self.steps {
            if time != Some(step.time) {
                write!(f, "\n  T={}", step.time.0)?;
                time = Some(step.time);
            }
            write!(f, " {}", language::show(&step.transaction.as_ref()))?;
        }
        Ok(())
    }
}

/// Letters that take part.
const ACCOUNTS: u64 = 9;
/// The letters that issue most assets: `I` and, sometimes, `A`.
const ISSUERS: [usize; 2] = [8, 0];
const CODES: [&str; 4] = ["EUR", "USD", "X", "twelve.chars"];

/// What a program has most of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Emphasis {
    Payments,
    Chains,
    Lanes,
    Sequences,
    Times,
    Supply,
    Signers,
    Policies,
    Records,
    Promises,
    Markets,
    Keys,
    /// Of payments between accounts with little, and a bit of everything that takes from them or pays them.
    Contention,
}

const EMPHASES: [Emphasis; 12] = [
    Emphasis::Payments,
    Emphasis::Chains,
    Emphasis::Lanes,
    Emphasis::Sequences,
    Emphasis::Times,
    Emphasis::Supply,
    Emphasis::Signers,
    Emphasis::Policies,
    Emphasis::Records,
    Emphasis::Promises,
    Emphasis::Markets,
    Emphasis::Keys,
];

impl Program {
    /// The program of a seed; with true signatures if asked for, else with none that hold.
    #[must_use]
    pub fn random(seed: u64, signed: bool) -> Self {
        let mut random = Random::new(seed);
        let emphasis = *random.pick(&EMPHASES);
        Self::with(random, emphasis, signed)
    }

    /// One of a seed in which much depends on order although most are payments that needn't.
    #[must_use]
    pub fn contended(seed: u64) -> Self {
        Self::with(Random::new(seed), Emphasis::Contention, false)
    }

    fn with(mut random: Random, emphasis: Emphasis, signed: bool) -> Self {
        // It takes many transactions to open all lanes of an account.
        let length = if emphasis == Emphasis::Lanes { 250 } else { [20, 60, 150, 250][random.index(4)] };
        let mut maker = Maker {
            random,
            emphasis,
            model: Model::default(),
            time: 1_000,
            signed,
            hand: 0,
            holds: vec![],
            grants: vec![],
            rules: vec![],
            agents: vec![],
            acts_for: vec![],
        };
        Self { steps: (0..length).map(|n| maker.step(n)).collect() }
    }
}

struct Maker {
    random: Random,
    emphasis: Emphasis,
    /// Where the ledger stands, so that amounts can be chosen around balances.
    model: Model,
    time: u64,
    signed: bool,
    /// Who was paid last: the one to pay next in a chain.
    hand: usize,
    /// Holds that were ordered: whose, and which.
    holds: Vec<(Address, u64)>,
    /// Grants that were ordered: whose, which, to whom, of which asset.
    grants: Vec<(Address, u64, Address, AssetId)>,
    /// Grants to act that were ordered: whose, and to whom.
    agents: Vec<(usize, usize)>,
    /// In whose place the account of the transaction at hand acts.
    acts_for: Vec<usize>,
    /// Rules that were ordered: by whom, and which.
    rules: Vec<(usize, AuthorityRules)>,
}

impl Maker {
    fn is(&self, emphasis: Emphasis) -> bool {
        self.emphasis == emphasis
    }

    fn step(&mut self, n: usize) -> Step {
        self.pass_time();
        let account = self.payer(n);
        let builder = self.header(Transaction::builder(address(account)), account);
        let builder = self.operations(builder, account, n);
        let builder = self.keys(builder, account);
        let order = builder.build().expect("a program holds well-formed transactions");
        let transaction = if self.signed { sign(order, &ledger()) } else { unsigned(order) };
        let time = Time(self.time);
        self.model.apply(&transaction.as_ref(), time);
        Step { time, transaction }
    }

    fn pass_time(&mut self) {
        let often = match self.emphasis {
            Emphasis::Times => 30,
            Emphasis::Policies | Emphasis::Records | Emphasis::Promises | Emphasis::Markets | Emphasis::Keys => 20,
            _ => 3,
        };
        if self.random.chance(often) {
            // Back too: the engine must not follow.
            self.time = (self.time + self.random.below(5)).saturating_sub(1);
        }
    }

    fn letter(&mut self) -> usize {
        // The first letters take part more often.
        let (one, other) = (self.random.below(ACCOUNTS), self.random.below(ACCOUNTS));
        usize::try_from(one.min(other)).expect("a letter")
    }

    fn payer(&mut self, n: usize) -> usize {
        let issuing = match self.emphasis {
            Emphasis::Supply => 60,
            Emphasis::Markets if n < 40 => 50,
            Emphasis::Promises | Emphasis::Keys if n < 40 => 40,
            _ => 15,
        };
        if n < 4 || self.random.chance(issuing) {
            return *self.random.pick(&ISSUERS);
        }
        match self.emphasis {
            Emphasis::Chains if self.random.chance(80) => self.hand,
            Emphasis::Lanes if self.random.chance(90) => 1,
            Emphasis::Contention if self.random.chance(50) => self.hand,
            _ => self.letter(),
        }
    }

    fn header(&mut self, builder: TransactionBuilder, account: usize) -> TransactionBuilder {
        let lane = self.lane();
        let builder = builder.lane(lane).sequence(self.sequence(account, lane));
        let soon = if self.is(Emphasis::Times) { 50 } else { 5 };
        if !self.random.chance(soon) {
            return builder;
        }
        builder.valid_until(Time((self.time + self.random.below(4)).saturating_sub(2).max(1)))
    }

    fn lane(&mut self) -> u16 {
        let lanes = if self.is(Emphasis::Lanes) { 70 } else { 3 };
        match self.random.below(100) {
            0..90 if self.is(Emphasis::Contention) => 0,
            0..60 if !self.is(Emphasis::Lanes) => 0,
            60 => u16::MAX,
            _ => u16::try_from(self.random.below(lanes)).expect("a lane"),
        }
    }

    fn sequence(&mut self, account: usize, lane: u16) -> u64 {
        let Some(top) = self.model.sequence(&address(account), lane) else {
            return *self.random.pick(&[0, 0, 0, 1, 64, 1_000]);
        };
        let odd = if self.is(Emphasis::Sequences) { 60 } else { 8 };
        if !self.random.chance(odd) {
            return top.saturating_add(1);
        }
        match self.random.below(100) {
            0..20 => top,
            20..40 => top.saturating_sub(self.random.below(10)),
            40..60 => top.saturating_sub(62 + self.random.below(4)),
            60..80 => top.saturating_add(self.random.below(8)),
            80..98 => top.saturating_add(62 + self.random.below(4)),
            _ => u64::MAX - self.random.below(3),
        }
    }

    fn operations(&mut self, mut builder: TransactionBuilder, account: usize, n: usize) -> TransactionBuilder {
        let several = match self.emphasis {
            Emphasis::Signers => 80,
            Emphasis::Chains => 10,
            _ => 25,
        };
        let count = if self.random.chance(several) { 1 + self.random.below(5) } else { 1 };
        let mut source = account;
        self.acts_for.clear();
        for place in 0..count {
            // Somebody else pays, often the one who was just paid: a cycle.
            if place > 0 && self.random.chance(if self.is(Emphasis::Signers) { 70 } else { 20 }) {
                source = if self.random.chance(50) { self.hand } else { self.letter() };
            }
            let principals: Vec<usize> =
                self.agents.iter().filter(|(_, agent)| *agent == account).map(|&(owner, _)| owner).collect();
            if !principals.is_empty() && self.random.chance(70) {
                source = *self.random.pick(&principals);
                self.acts_for.push(source);
            }
            let operation = if n < 4 && place == 0 || self.random.chance(3) {
                self.registration()
            } else {
                self.further(source).unwrap_or_else(|| self.payment(source))
            };
            builder = builder.operation(address(source), operation);
        }
        builder
    }

    fn registration(&mut self) -> Operation {
        let supplies: &[u128] = if self.is(Emphasis::Markets) {
            &[u128::MAX]
        } else {
            &[0, 1, 20, 20, 1_000, u128::MAX - 1, u128::MAX, u128::MAX]
        };
        let maximum_supply = Amount(*self.random.pick(supplies));
        let code = self.random.pick(&CODES).parse().expect("a code");
        let plain = RegisterAsset::plain(code, 2, maximum_supply);
        let has_policy = self.is(Emphasis::Policies) || self.is(Emphasis::Markets) && self.random.chance(30);
        if has_policy { self.with_policy(&plain).into() } else { plain.into() }
    }

    fn payment(&mut self, source: usize) -> Operation {
        let payee = if self.random.chance(2) { source } else { self.letter() };
        let payee = if self.random.chance(10) { *self.random.pick(&ISSUERS) } else { payee };
        self.hand = payee;
        let assets = self.model.assets().len() as u64;
        let beyond = u64::from(self.random.chance(3));
        let asset = AssetId(u32::try_from(self.random.below((assets + beyond).max(1))).expect("few assets"));
        let asset = if self.random.chance(65) { self.payable(source).unwrap_or(asset) } else { asset };
        let amount = Amount(self.amount(&address(source), asset));
        let (reference, code) = (self.random.below(9), 7);
        let (up_to, grant, asset) = self.rules(source, asset);
        Transfer { payee: address(payee), asset, amount, reference, code, up_to, grant }.into()
    }

    /// One that the source issues or has some of, if there is one.
    fn payable(&mut self, source: usize) -> Option<AssetId> {
        let source = address(source);
        let all = (0_u32..).zip(self.model.assets());
        let can = |asset: AssetId, issuer: Address| issuer == source || self.model.balance(&source, asset) > 0;
        let own: Vec<AssetId> =
            all.filter(|&(id, asset)| can(AssetId(id), asset.issuer)).map(|(id, _)| AssetId(id)).collect();
        (!own.is_empty()).then(|| *self.random.pick(&own))
    }

    /// Around what the payer can pay.
    fn amount(&mut self, source: &Address, asset: AssetId) -> u128 {
        let known = usize::try_from(asset.0).ok().and_then(|place| self.model.assets().get(place).copied());
        let limit = match known {
            Some(known) if known.issuer == *source => known.maximum_supply.0 - known.issued.0,
            _ => self.model.balance(source, asset),
        };
        let edges = if self.is(Emphasis::Supply) { 50 } else { 30 };
        if !self.random.chance(edges) {
            return u128::from(self.random.below(7));
        }
        match self.random.below(8) {
            0..3 => limit,
            3 => limit.saturating_add(1),
            4 => limit.saturating_sub(1),
            5 => limit / 2,
            6 => limit.saturating_add(1 << 70),
            _ => u128::MAX,
        }
    }
}
