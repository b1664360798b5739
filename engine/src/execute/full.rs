//! A ledger that is full: what needs a further entry or a further asset is rejected with the code for that and leaves no trace; all else
//! goes on. In these tests as much is full as a test can fill.

use super::{Scratch, settle};
use crate::block::Block;
use crate::keys::Signature;
use crate::ops::{
    Authorize, ControlHolder, Grant, GrantAction, GrantTerms, Hold, HolderAction, OpenMarket, Operation, PlaceOrder,
    Put, PutAction, RegisterAsset, Settle, Transfer,
};
use crate::prepare::{PreparedBatch, prepare};
use crate::state::{Share, State};
use crate::transaction::Transaction;
use crate::types::{
    Address, Amount, AssetId, AssetPolicy, AssetTerms, AuthorityRules, Lifetime, Rejection, RejectionCode, Side, Time,
};

/// A state, and the sequence of the next transaction.
struct Full {
    state: State,
    scratch: Scratch,
    next: u64,
}

fn named(letter: char) -> Address {
    Address([u8::try_from(letter).unwrap(); 32])
}

impl Full {
    fn new() -> Self {
        Self { state: State::new().unwrap(), scratch: Scratch::default(), next: 0 }
    }

    /// What becomes of orders of one account in one transaction.
    fn order(&mut self, who: char, orders: impl IntoIterator<Item = Operation>) -> Option<Rejection> {
        self.next += 1;
        let builder = Transaction::builder(named(who)).sequence(self.next);
        let order = orders.into_iter().fold(builder, |builder, order| builder.operation(named(who), order));
        let order = order.build().unwrap().with_signatures(&[Signature([0; 64])]).unwrap();
        let mut prepared = PreparedBatch::default();
        prepare(&self.state.resolver(), order.bytes(), &mut prepared);
        let run = prepared.run(order.bytes(), 0..1);
        let block = Block::assemble(Time(1_000), 1, vec![run]);
        let settled = settle(&block, &mut self.state, &mut self.scratch);
        settled.rejections.first().map(|&(_, rejection)| rejection)
    }

    fn ok(&mut self, who: char, order: impl Into<Operation>) {
        assert_eq!(self.order(who, [order.into()]), None);
    }

    /// Orders that are rejected because of the last of them; nothing but the sequence changes.
    fn no(&mut self, who: char, orders: Vec<Operation>, code: RejectionCode, most: u32) {
        let place = u16::try_from(orders.len() - 1).unwrap();
        let what = format!("{:?}", orders.last().unwrap());
        // What else changed the account before doesn't matter; this uses the next sequence too.
        let before = self.holdings();
        let found = self.order(who, orders);
        assert_eq!(found, Some(Rejection::new(code, u64::from(most)).at(place)), "{what}");
        assert_eq!(self.holdings(), before, "{what}");
    }

    /// Everything but the sequences.
    fn holdings(&mut self) -> (Vec<Vec<u8>>, [u32; 3]) {
        let accounts = (0..self.state.counts()[0]).map(|slot| {
            let mut bytes = Vec::new();
            self.state.encode_account(crate::state::Slot(slot), &mut bytes);
            // Address and window stand before what it holds.
            bytes.split_off(48)
        });
        (accounts.collect(), self.state.counts())
    }
}

fn record(number: u32, action: PutAction) -> Operation {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_le_bytes());
    Put { action, key, ..Put::default() }.into()
}

fn pay(payee: char, amount: u128, asset: u32) -> Operation {
    Transfer { payee: named(payee), asset: AssetId(asset), amount: Amount(amount), ..Transfer::default() }.into()
}

fn asset(code: &str, policy: AssetPolicy, terms: Option<AssetTerms>) -> RegisterAsset {
    let plain = RegisterAsset::plain(code.parse().unwrap(), 0, Amount::MAX);
    RegisterAsset { policy, terms: terms.map(Box::new), ..plain }
}

fn hold(id: u64) -> Hold {
    Hold { id, amount: Amount(1), payees: vec![Share { payee: named('B'), parts: 1 }], ..Hold::default() }
}

#[test]
fn where_no_entry_is_free_what_needs_one_is_rejected_and_all_else_goes_on() {
    let most = crate::state::ENTRIES_MAX;
    let mut full = Full::new();
    full.ok('I', asset("EUR", AssetPolicy::FREEZABLE, None));
    full.ok('I', asset("USD", AssetPolicy::default(), None));
    full.ok('I', asset("YEN", AssetPolicy::default(), None));
    full.ok('I', pay('A', 50, 0));
    full.ok('I', pay('A', 50, 1));
    full.ok('M', OpenMarket { quote: AssetId(1), lot: 1, tick: 1, ..OpenMarket::default() });
    let records = most - 1;
    for first in (0..records).step_by(200) {
        let some = (first..records.min(first + 200)).map(|number| record(number, PutAction::Create));
        assert_eq!(full.order('R', some), None);
    }
    assert_eq!(full.state.counts()[2], most);

    let order = PlaceOrder { side: Side::Sell, price: 1, quantity: 1, ..PlaceOrder::default() };
    let market = OpenMarket { base: AssetId(1), quote: AssetId(2), lot: 1, tick: 1, ..OpenMarket::default() };
    let metadata = AssetTerms { metadata: [1; 32], ..AssetTerms::default() };
    let terms = GrantTerms { to: named('B'), cap: Amount(1), ..GrantTerms::default() };
    let grant = Grant { action: GrantAction::Create, id: 1, terms: Some(Box::new(terms)) };
    let rules = AuthorityRules { needs_memo: true, ..AuthorityRules::of_address(named('A')) };
    let needy: [(char, Operation); 8] = [
        ('A', record(0, PutAction::Create)),
        ('A', hold(1).into()),
        ('A', grant.into()),
        ('A', order.into()),
        ('A', Authorize::Set(rules).into()),
        ('M', market.into()),
        ('I', ControlHolder { holder: named('A'), action: HolderAction::Freeze, ..ControlHolder::default() }.into()),
        ('I', asset("XAU", AssetPolicy::METADATA, Some(metadata)).into()),
    ];
    for (who, order) in &needy {
        full.no(*who, vec![order.clone()], RejectionCode::TooManyEntries, most);
    }
    // What came before it in its transaction is undone.
    full.no('A', vec![pay('C', 40, 0), hold(1).into()], RejectionCode::TooManyEntries, most);
    // What needs no entry goes on, an order that doesn't wait too.
    full.ok('A', PlaceOrder { lifetime: Lifetime::ImmediateOrCancel, ..order });
    full.ok('I', asset("XAG", AssetPolicy::default(), None));
    full.ok('R', record(0, PutAction::Write));
    // A place that gets free is somebody's again.
    for ((who, order), gone) in needy.into_iter().zip(100..) {
        let settles = matches!(order, Operation::Hold(_));
        full.ok('R', record(gone, PutAction::Remove));
        full.ok(who, order);
        full.no('R', vec![record(gone, PutAction::Create)], RejectionCode::TooManyEntries, most);
        if settles {
            full.ok('A', Settle { owner: named('A'), id: 1, ..Settle::default() });
            full.ok('R', record(gone, PutAction::Create));
        }
        assert_eq!(full.state.counts()[2], most);
    }
}

#[test]
fn where_no_number_is_left_an_asset_is_rejected_and_all_else_goes_on() {
    let most = crate::state::ASSETS_MAX;
    let mut full = Full::new();
    for first in (0..most).step_by(200) {
        let some =
            (first..most.min(first + 200)).map(|number| asset(&format!("X{number}"), AssetPolicy::default(), None));
        assert_eq!(full.order('I', some.map(Operation::from)), None);
    }
    full.ok('I', pay('J', 1, 0));
    let further = || asset("ONEMORE", AssetPolicy::default(), None).into();
    full.no('I', vec![further()], RejectionCode::TooManyAssets, most);
    full.no('J', vec![further()], RejectionCode::TooManyAssets, most);
    full.no('I', vec![pay('J', 5, 5), further()], RejectionCode::TooManyAssets, most);
    // A code that is taken comes first.
    let known = RejectionCode::AssetExists;
    full.no('I', vec![asset("X7", AssetPolicy::default(), None).into()], known, 7);
    full.ok('I', pay('J', 50, most - 1));
    full.ok(
        'I',
        RegisterAsset { is_update: true, maximum_supply: Amount(60), ..asset("X7", AssetPolicy::default(), None) },
    );
}
