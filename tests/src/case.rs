//! Cases of operations: what is ordered, one order after the other, and what has to become of each.
//!
//! A case is written as it happens, runs on the model and on engines of several shapes, one of them opened again, and fails where an
//! outcome isn't the one that was said or where any two of them differ in anything.

use crate::compare::{Shape, difference, on_engine, on_model};
use crate::language::word;
use crate::program::{Program, Step};
use crate::world::{named, unsigned};
use nostro::{
    Amount, AssetId, AssetPolicy, AssetTerms, Operation, Outcome, RegisterAsset, RejectionCode, Time, Transaction,
    Transfer,
};
use std::collections::BTreeMap;

/// What has to become of a transaction.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Applied,
    Rejected(RejectionCode, u16, Option<u64>),
}

/// A case in the making.
#[derive(Debug)]
pub struct Case {
    steps: Vec<Step>,
    expected: Vec<Expected>,
    time: Time,
    next: BTreeMap<char, u64>,
}

impl Default for Case {
    fn default() -> Self {
        Self::new()
    }
}

impl Case {
    /// A ledger with nothing in it, at a time of 1,000 ms.
    #[must_use]
    pub const fn new() -> Self {
        Self { steps: Vec::new(), expected: Vec::new(), time: Time(1_000), next: BTreeMap::new() }
    }

    /// The same with asset 0, which I issues without limit or policy, and what holders got of it: `A=5 B=3`.
    ///
    /// # Panics
    /// If that isn't what the text says.
    #[must_use]
    pub fn with_money(balances: &str) -> Self {
        let mut case = Self::new();
        case.ok('I', asset("EUR", AssetPolicy::default(), AssetTerms::default()));
        for word in balances.split_whitespace() {
            let (holder, amount) = word.split_once('=').expect("a balance like A=5");
            let holder = holder.chars().next().expect("a letter");
            case.ok('I', pay(holder, amount.parse().expect("a number"), 0));
        }
        case
    }

    /// What follows happens at this block time.
    pub const fn at(&mut self, time: u64) -> &mut Self {
        self.time = Time(time);
        self
    }

    /// Orders that apply.
    pub fn ok(&mut self, account: char, order: impl Into<Operation>) -> &mut Self {
        self.all(account, "", vec![(account, order.into())], Expected::Applied)
    }

    /// The same, signed by keys of these letters.
    pub fn ok_by(&mut self, account: char, keys: &str, order: impl Into<Operation>) -> &mut Self {
        self.all(account, keys, vec![(account, order.into())], Expected::Applied)
    }

    /// Orders that are rejected, signed by keys of these letters.
    pub fn no_by(
        &mut self,
        account: char,
        keys: &str,
        order: impl Into<Operation>,
        code: RejectionCode,
        detail: u64,
    ) -> &mut Self {
        self.all(account, keys, vec![(account, order.into())], Expected::Rejected(code, 0, Some(detail)))
    }

    /// Orders that are rejected.
    pub fn no(&mut self, account: char, order: impl Into<Operation>, code: RejectionCode, detail: u64) -> &mut Self {
        self.all(account, "", vec![(account, order.into())], Expected::Rejected(code, 0, Some(detail)))
    }

    /// What an account orders in another's place, signed for both by keys of these letters.
    pub fn ok_for(&mut self, agent: char, keys: &str, owner: char, order: impl Into<Operation>) -> &mut Self {
        self.signed(agent, &[(agent, keys), (owner, keys)], vec![(owner, order.into())], Expected::Applied)
    }

    /// The same, rejected.
    pub fn no_for(
        &mut self,
        agent: char,
        keys: &str,
        owner: char,
        order: impl Into<Operation>,
        (code, detail): (RejectionCode, u64),
    ) -> &mut Self {
        let expected = Expected::Rejected(code, 0, Some(detail));
        self.signed(agent, &[(agent, keys), (owner, keys)], vec![(owner, order.into())], expected)
    }

    /// Several orders in one transaction, each with its source, that apply together.
    pub fn together(&mut self, account: char, orders: Vec<(char, Operation)>) -> &mut Self {
        self.all(account, "", orders, Expected::Applied)
    }

    /// The same, rejected because of the order at this place.
    pub fn not_together(
        &mut self,
        account: char,
        orders: Vec<(char, Operation)>,
        code: RejectionCode,
        place: u16,
    ) -> &mut Self {
        self.all(account, "", orders, Expected::Rejected(code, place, None))
    }

    fn all(&mut self, account: char, keys: &str, orders: Vec<(char, Operation)>, expected: Expected) -> &mut Self {
        self.signed(account, &[(account, keys)], orders, expected)
    }

    fn signed(
        &mut self,
        account: char,
        keys: &[(char, &str)],
        orders: Vec<(char, Operation)>,
        expected: Expected,
    ) -> &mut Self {
        let next = self.next.entry(account).or_default();
        let mut builder = Transaction::builder(named(account)).sequence(*next);
        *next += 1;
        for &(signer, keys) in keys {
            for key in keys.chars() {
                builder = builder.signed_by(named(signer), named(key));
            }
        }
        for (source, order) in orders {
            builder = builder.operation(named(source), order);
        }
        let transaction = unsigned(builder.build().expect("a well-formed order"));
        self.steps.push(Step { time: self.time, transaction });
        self.expected.push(expected);
        self
    }

    /// The codes that it expects.
    pub fn codes(&self) -> impl Iterator<Item = RejectionCode> {
        self.expected.iter().filter_map(|expected| match expected {
            Expected::Applied => None,
            Expected::Rejected(code, ..) => Some(*code),
        })
    }

    /// Its transactions.
    #[must_use]
    pub fn program(&self) -> Program {
        Program { steps: self.steps.clone() }
    }

    /// Runs it.
    ///
    /// # Panics
    /// If something isn't as was said, or differs between the model and an engine.
    pub fn run(&self) {
        let program = self.program();
        let model = on_model(&program, None);
        for (place, (expected, (_, found))) in self.expected.iter().zip(&model.outcomes).enumerate() {
            let agrees = match (expected, found) {
                (Expected::Applied, Outcome::Applied) => true,
                (Expected::Rejected(code, place, detail), Outcome::Rejected(no)) => {
                    no.code == *code && no.operation == *place && detail.is_none_or(|detail| detail == no.detail)
                }
                _ => false,
            };
            let step = &self.steps[place].transaction;
            assert!(agrees, "step {place}, {step:?}: expected {expected:?}, found {}", word(found));
        }
        for (block_transactions_max, reopens) in [(1, true), (3, false), (16_384, false)] {
            let shape = Shape { block_transactions_max, reopens, ..Shape::PLAIN };
            if let Some(what) = difference(&program, &model, &on_engine(&program, shape)) {
                panic!("{what}\n{shape:?}\n{program:?}");
            }
        }
    }
}

/// An order to register an asset without limit.
///
/// # Panics
/// If it can't have this code.
#[must_use]
pub fn asset(code: &str, policy: AssetPolicy, terms: AssetTerms) -> RegisterAsset {
    let terms = (terms != AssetTerms::default()).then(|| Box::new(terms));
    let plain = RegisterAsset::plain(code.parse().expect("a code"), 2, Amount::MAX);
    RegisterAsset { policy, terms, ..plain }
}

/// The same as an update of one that was registered before.
///
/// # Panics
/// If it can't have this code.
#[must_use]
pub fn update(code: &str, supply: u128, policy: AssetPolicy, terms: AssetTerms) -> RegisterAsset {
    RegisterAsset { scale: 0, maximum_supply: Amount(supply), is_update: true, ..asset(code, policy, terms) }
}

/// An order to pay a letter.
#[must_use]
pub fn pay(payee: char, amount: u128, asset: u32) -> Transfer {
    Transfer { payee: named(payee), asset: AssetId(asset), amount: Amount(amount), ..Transfer::default() }
}
