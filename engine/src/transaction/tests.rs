use super::*;
use crate::keys::{KeyPair, Signature};
use crate::ops::{
    Amend, Authorize, ControlHolder, Grant, GrantAction, GrantName, GrantTerms, Hold, HolderAction, OPERATIONS,
    OpenMarket, PlaceOrder, Predicate, Put, PutAction, RegisterAsset, Require, Settle,
};
use crate::state::Share;
use crate::types::{
    Amount, AssetCode, AssetId, AssetPolicy, AssetTerms, AuthorityKey, AuthorityRules, Comparison, GrantKind, Lifetime,
    MarketId, RecordKind, Side,
};
use std::collections::BTreeSet;

/// Bytes that look random and are the same every time.
struct Source(blake3::OutputReader);

impl Source {
    fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    /// A number that is often at one of its ends.
    fn number(&mut self) -> u128 {
        let number = u128::from_le_bytes(self.array());
        match number % 5 {
            0 => 0,
            1 => u128::MAX,
            2 => number >> 100,
            _ => number,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_le_bytes(self.array())) % end
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn put(&mut self) -> Put {
        let kinds = [RecordKind::Attestation, RecordKind::Anchor, RecordKind::Rate, RecordKind::Data];
        let kind = kinds[self.below(4)];
        let actions = [PutAction::Create, PutAction::Write, PutAction::Revoke, PutAction::Remove];
        let action = actions[self.below(4)];
        let subject = (kind == RecordKind::Attestation || self.flag()).then(|| Address(self.array()));
        let owner = self.flag().then(|| Address(self.array()));
        let bare = Put { action, kind, key: self.array(), subject, owner, ..Put::default() };
        if matches!(action, PutAction::Revoke | PutAction::Remove) {
            return bare;
        }
        let length = if kind == RecordKind::Rate { 16 } else { self.below(257) };
        let expiry = Some(self.number() as u64).filter(|&time| time != 0).map(Time);
        Put { hash: self.array(), expiry, value: vec![self.number() as u8; length], ..bare }
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn predicate(&mut self, depth: usize) -> Predicate {
        let comparisons = [Comparison::Less, Comparison::AtMost, Comparison::Equal, Comparison::More];
        let comparison = comparisons[self.below(4)];
        match self.below(if depth < 3 { 13 } else { 9 }) {
            0 => Predicate::always(),
            1 => Predicate::after(Time(self.number() as u64)),
            2 => Predicate::before(Time(self.number() as u64)),
            3 => Predicate::hash_lock(self.array()),
            4 => Predicate::signed(Address(self.array())),
            5 => Predicate::attested(Address(self.array()), self.array(), Address(self.array())),
            6 => Predicate::balance(Address(self.array()), AssetId(7), comparison, Amount(self.number())),
            7 => Predicate::rate(self.array(), Address(self.array()), comparison, self.number(), self.number() as u64),
            8 => {
                let kind = RecordKind::Anchor;
                Predicate::record(Address(self.array()), kind, self.array(), Comparison::Unequal, self.array())
            }
            9 => {
                let all: Vec<Predicate> = (0..=self.below(3)).map(|_| self.predicate(depth + 2)).collect();
                Predicate::any_of(1 + self.below(all.len()) as u8, &all)
            }
            10 => self.predicate(depth + 1).and(&self.predicate(depth + 1)),
            11 => self.predicate(depth + 1).or(&self.predicate(depth + 1)),
            _ => self.predicate(depth + 1).negated(),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn promise(&mut self) -> Operation {
        if self.flag() {
            let cancels = self.flag();
            let amount = Amount(if cancels { 0 } else { self.number() });
            let preimage = self.flag().then(|| vec![7; self.below(65)]);
            let brings = amount != Amount::ZERO && self.flag();
            let voucher = brings.then(|| Signature(self.array()));
            return Settle { owner: Address(self.array()), id: 9, cancels, amount, preimage, voucher }.into();
        }
        let share = |source: &mut Self| Share { payee: Address(source.array()), parts: 1 + source.below(9) as u32 };
        let expiry = Some(self.number() as u64).filter(|&time| time != 0).map(Time);
        Hold {
            id: self.number() as u64,
            asset: AssetId(self.number() as u32),
            amount: Amount(self.number()),
            payees: (0..=self.below(4)).map(|_| share(self)).collect(),
            release: self.predicate(3),
            cancel: self.predicate(3),
            arbiter: self.flag().then(|| Address(self.array())),
            expiry,
            releases_at_expiry: expiry.is_some() && self.flag(),
            voucher_key: self.flag().then(|| Address(self.array())),
        }
        .into()
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn grant(&mut self) -> Grant {
        let id = self.number() as u64;
        if self.flag() {
            let action = if self.flag() { GrantAction::Revoke } else { GrantAction::Remove };
            return Grant { action, id, terms: None };
        }
        let (to, predicate) = (Address(self.array()), self.predicate(2));
        let bare = GrantTerms {
            to,
            start: Time(self.number() as u64),
            end: Some(Time(9)),
            predicate,
            ..GrantTerms::default()
        };
        if self.below(3) == 0 {
            let cap = Amount(self.number());
            let asset = AssetId(if cap == Amount::ZERO { 0 } else { 3 });
            let terms = GrantTerms { kind: GrantKind::Act, scope: 2 << self.below(5), asset, cap, ..bare };
            let id = GrantTerms::acting_id(&terms.to);
            return Grant { action: GrantAction::Create, id, terms: Some(Box::new(terms)) };
        }
        let terms = if self.flag() {
            GrantTerms { kind: GrantKind::Access, subject: self.array(), ..bare }
        } else {
            let period_cap = Amount(self.number());
            let period_ms = if period_cap == Amount::ZERO { 0 } else { 1 + self.below(9) as u64 };
            let payee = self.flag().then(|| Address(self.array()));
            let (cap, rate) = (Amount(self.number()), Amount(self.number()));
            GrantTerms { asset: AssetId(3), payee, cap, period_ms, period_cap, rate, ..bare }
        };
        Grant { action: GrantAction::Create, id, terms: Some(Box::new(terms)) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn trading(&mut self) -> Operation {
        let number = |source: &mut Self| 1 + source.below(60_000) as u64;
        match self.below(5) {
            0 => {
                let fee_basis_points = self.below(10_001) as u16;
                let fee_account = (fee_basis_points > 0).then(|| Address(self.array()));
                let (lot, tick) = (number(self), number(self));
                OpenMarket { base: AssetId(1), quote: AssetId(2), lot, tick, fee_basis_points, fee_account }.into()
            }
            1 => Amend::Cancel((0..=self.below(64)).map(|n| n as u64).collect()).into(),
            2 => Amend::CancelAll(MarketId(self.number() as u32)).into(),
            3 => Amend::Change { id: self.number() as u64, price: number(self), quantity: number(self) }.into(),
            _ => {
                let budget = Amount(if self.flag() { 0 } else { 1 + self.below(9) as u128 });
                let takes = budget != Amount::ZERO;
                let lifetime = if takes { Lifetime::Budget } else { Lifetime::PostOnly };
                let side = if takes || self.flag() { Side::Buy } else { Side::Sell };
                let expiry = (!takes && self.flag()).then_some(Time(7));
                let (price, quantity) = (number(self), number(self));
                let market = MarketId(self.number() as u32);
                PlaceOrder { market, id: 3, side, price, quantity, lifetime, expiry, budget, ..PlaceOrder::default() }
                    .into()
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn authorize(&mut self) -> Authorize {
        if self.below(4) == 0 {
            return Authorize::Object;
        }
        let key = |source: &mut Self| AuthorityKey {
            key: Address(source.array()),
            weight: 1 + source.below(255) as u8,
            scope: source.number() as u32,
            expiry: source.flag().then_some(Time(9)),
        };
        let mut keys: Vec<AuthorityKey> = (0..=self.below(16)).map(|_| key(self)).collect();
        keys.sort_by_key(|key| key.key);
        let mut recovery_keys: Vec<Address> = (0..self.below(9)).map(|_| Address(self.array())).collect();
        recovery_keys.sort_unstable();
        let quorum = recovery_keys.len().min(3) as u8;
        let delay_ms = if quorum == 0 { 0 } else { self.number() as u64 };
        let (low, medium, high) = (1, 2, 3);
        let (is_closed, needs_memo) = (self.flag(), self.flag());
        let rules = AuthorityRules { keys, low, medium, high, recovery_keys, quorum, delay_ms, is_closed, needs_memo };
        if self.flag() { Authorize::Set(rules) } else { Authorize::Recover(rules) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn asset(&mut self, code: AssetCode, scale: u8) -> RegisterAsset {
        let policy = AssetPolicy(self.number() as u16 & 0x1ff);
        let mut terms = AssetTerms::default();
        if policy.has(AssetPolicy::CREDENTIAL) {
            (terms.schema, terms.attester) = (self.array(), Address(self.array()));
        }
        if policy.has(AssetPolicy::FEE) {
            (terms.fee_account, terms.fee_maximum) = (Address(self.array()), Amount(self.number()));
            terms.fee_basis_points = 1 + self.below(10_000) as u16;
        }
        if policy.has(AssetPolicy::EXPIRES) {
            terms.expiry = Time(1 + self.below(9) as u64);
        }
        if policy.has(AssetPolicy::METADATA) {
            terms.metadata = self.array();
        }
        let terms = policy.has_any(AssetPolicy::WITH_TERMS).then(|| Box::new(terms));
        let is_update = self.flag();
        let scale = if is_update { 0 } else { scale };
        RegisterAsset { code, scale, maximum_supply: Amount(self.number()), policy, terms, is_update }
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn control(&mut self) -> ControlHolder {
        let actions = [HolderAction::Authorize, HolderAction::Freeze, HolderAction::ClawBack];
        let action = actions[self.below(3)];
        let claws = action == HolderAction::ClawBack;
        let amount = Amount(if claws { self.number() } else { 0 });
        let asset = AssetId(self.number() as u32);
        ControlHolder { asset, holder: Address(self.array()), action, amount, up_to: claws && self.flag() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn operation(&mut self) -> Operation {
        match self.below(16) {
            14 => return self.trading(),
            15 => return self.authorize().into(),
            12 => return self.promise(),
            13 => return self.grant().into(),
            0 => return self.put().into(),
            1 => return self.control().into(),
            2 => return Require { predicate: self.predicate(1) }.into(),
            _ => {}
        }
        if self.below(4) == 0 {
            let mut code = String::new();
            for _ in 0..=self.below(12) {
                let letters = b"ABCXYZabcxyz0189._-";
                code.push(char::from(letters[self.below(letters.len())]));
            }
            let (code, scale) = (code.parse().unwrap(), self.below(31) as u8);
            if self.flag() {
                return self.asset(code, scale).into();
            }
            return RegisterAsset::plain(code, scale, Amount(self.number())).into();
        }
        self.transfer()
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn transfer(&mut self) -> Operation {
        let owner = Address(self.array());
        let grant = (self.below(4) == 0).then_some(GrantName { owner, id: 5 });
        Operation::Transfer(Transfer {
            up_to: self.flag(),
            grant,
            payee: Address(self.array()),
            asset: AssetId(self.number() as u32),
            amount: Amount(self.number()),
            reference: self.number() as u64,
            code: self.number() as u32,
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn transaction(&mut self) -> (TransactionBuilder, Transaction) {
        let people: Vec<Address> = (0..=self.below(16)).map(|_| Address(self.array())).collect();
        let mut builder = Transaction::builder(people[0])
            .lane(self.number() as u16)
            .sequence(self.number() as u64)
            .valid_until(Time(self.number() as u64));
        // As many as there may be have room only if they are short.
        let most = self.below(20) == 0;
        for _ in 0..if most { 256 } else { 1 + self.below(6) } {
            let source = people[self.below(people.len())];
            let operation = if most { self.transfer() } else { self.operation() };
            builder = builder.operation(source, operation);
        }
        if self.below(4) == 0 {
            for _ in 0..=self.below(3) {
                // Only those from whom something is taken become signers.
                builder = builder.signed_by(people[0], Address(self.array()));
            }
        }
        let unsigned = builder.clone().build().unwrap();
        let signatures: Vec<Signature> = unsigned.signers().map(|_| Signature(self.array())).collect();
        let transaction = unsigned.with_signatures(&signatures).unwrap();
        (builder, transaction)
    }
}

/// What the accessors say, made into a transaction again.
fn rebuilt(transaction: &TransactionRef<'_>) -> Transaction {
    let signers: Vec<Address> = transaction.signers().collect();
    let mut builder = Transaction::builder(transaction.account())
        .lane(transaction.lane())
        .sequence(transaction.sequence())
        .valid_until(transaction.valid_until().unwrap_or_default());
    for (source, operation) in transaction.operations() {
        builder = builder.operation(signers[usize::from(source)], operation);
    }
    for (place, key) in transaction.signed_keys() {
        builder = builder.signed_by(signers[usize::from(place)], key);
    }
    let signatures: Vec<Signature> = transaction.signatures().map(|signature| Signature(*signature)).collect();
    builder.build().unwrap().with_signatures(&signatures).unwrap()
}

fn address(n: u8) -> Address {
    KeyPair::from_seed(&[n; 32]).address()
}

fn ledger() -> Ledger {
    Ledger::new("transaction tests").unwrap()
}

/// One transaction of each shape: a transfer, an asset, two signers.
fn shapes() -> Vec<Transaction> {
    let (bank, ann, ben) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]), KeyPair::from_seed(&[3; 32]));
    let transfer = Transaction::builder(ann.address()).transfer(ben.address(), AssetId(1), Amount(1000)).lane(3);
    let asset = Transaction::builder(bank.address()).register_asset("EUR".parse().unwrap(), 2, Amount::MAX).sequence(9);
    let both = Transaction::builder(ann.address())
        .transfer(ben.address(), AssetId(1), Amount(7))
        .transfer_from(ben.address(), ann.address(), AssetId(2), Amount(8))
        .valid_until(Time(1_000_000));
    let keys = [&bank, &ann, &ben];
    [transfer, asset, both].map(|builder| builder.build().unwrap().sign(&ledger(), &keys).unwrap()).into()
}

#[test]
fn a_transfer_with_one_signature_is_192_bytes() {
    assert_eq!(shapes()[0].bytes().len(), 192);
    assert_eq!(shapes()[0].as_ref().body().len(), 128);
}

#[test]
fn decoding_and_encoding_are_each_others_inverse() {
    for seed in 0..500 {
        let (builder, transaction) = Source::new(seed).transaction();
        let decoded = Transaction::decode(transaction.bytes()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(decoded, transaction, "seed {seed}");
        let seen = decoded.as_ref();
        assert_eq!(rebuilt(&seen), transaction, "seed {seed}");

        assert_eq!(seen.account(), builder.account, "seed {seed}");
        assert_eq!((seen.lane(), seen.sequence()), (builder.lane, builder.sequence), "seed {seed}");
        assert_eq!(seen.valid_until(), builder.valid_until.filter(|time| time.0 != 0), "seed {seed}");
        let signers: Vec<Address> = seen.signers().collect();
        assert_eq!(signers.len(), usize::from(seen.signer_count()), "seed {seed}");
        assert_eq!(usize::from(seen.signature_count()), seen.signatures().count(), "seed {seed}");
        let operations: Vec<(Address, Operation)> =
            seen.operations().map(|(source, operation)| (signers[usize::from(source)], operation)).collect();
        assert_eq!(operations, builder.operations, "seed {seed}");
        assert_eq!(operations.len(), usize::from(seen.operation_count()), "seed {seed}");
    }
}

#[test]
fn transactions_back_to_back_come_apart_where_they_were_put_together() {
    let mut source = Source::new(1);
    let all: Vec<Transaction> = (0..40).map(|_| source.transaction().1).collect();
    let run: Vec<u8> = all.iter().flat_map(Transaction::bytes).copied().collect();
    let (mut decoded, mut walked) = (run.as_slice(), run.as_slice());
    for transaction in &all {
        let (first, rest) = TransactionRef::decode_prefix(decoded).unwrap();
        assert_eq!(first.to_owned(), *transaction);
        decoded = rest;
        let (first, rest) = TransactionRef::next_checked(walked).unwrap();
        assert_eq!(first.to_owned(), *transaction);
        walked = rest;
    }
    assert!(decoded.is_empty() && TransactionRef::next_checked(walked).is_none());
}

#[test]
fn every_truncation_is_refused_as_one() {
    let mut source = Source::new(2);
    let mut all = shapes();
    all.extend((0..10).map(|_| source.transaction().1));
    for transaction in all {
        for length in 0..transaction.bytes().len() {
            let refused = Transaction::decode(&transaction.bytes()[..length]).unwrap_err();
            assert!(matches!(refused, Malformed::Truncated { .. }), "{length} bytes: {refused}");
        }
    }
}

#[test]
fn anything_behind_the_end_is_refused() {
    for transaction in shapes() {
        for extra in 1..=8 {
            let mut bytes = transaction.bytes().to_vec();
            bytes.resize(bytes.len() + extra, 0);
            let expected = transaction.bytes().len();
            let refused = Err(Malformed::Trailing { expected, found: bytes.len() });
            assert_eq!(Transaction::decode(&bytes), refused);
        }
    }
}

/// Nothing is ignored: a changed byte is refused, or makes another order with another id, or another signature under the same.
#[test]
fn every_changed_byte_is_refused_or_makes_another_transaction() {
    let ledger = ledger();
    for transaction in shapes() {
        let body_bytes = transaction.body_bytes;
        let mut ids = BTreeSet::from([transaction.id(&ledger)]);
        let (mut refused, mut other) = (0, 0);
        for place in 0..transaction.bytes().len() {
            for change in 1..=u8::MAX {
                let mut bytes = transaction.bytes().to_vec();
                bytes[place] ^= change;
                let Ok(changed) = Transaction::decode(&bytes) else {
                    assert!(place < body_bytes, "signatures are any bytes");
                    refused += 1;
                    continue;
                };
                assert_eq!(changed.bytes(), bytes, "byte {place} ^ {change}: nothing is mended");
                assert_eq!(rebuilt(&changed.as_ref()), changed, "byte {place} ^ {change}: nothing is ignored");
                if place < body_bytes {
                    assert!(ids.insert(changed.id(&ledger)), "byte {place} ^ {change}: a second order with one id");
                } else {
                    assert_eq!(changed.id(&ledger), transaction.id(&ledger), "signatures are no part of the id");
                }
                other += 1;
            }
        }
        assert!(refused > 255 * 10 && other > 255 * 100, "{refused} refused, {other} not");
    }
}

#[test]
fn random_changes_never_break_the_rule_of_one_encoding() {
    let mut source = Source::new(3);
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut bytes = small(&mut source);
        for _ in 0..=source.below(3) {
            let place = source.below(bytes.len());
            bytes[place] = source.array::<1>()[0];
        }
        if let Ok((transaction, rest)) = TransactionRef::decode_prefix(&bytes) {
            assert_eq!(rebuilt(&transaction).bytes(), transaction.bytes());
            assert_eq!(transaction.bytes().len() + rest.len(), bytes.len());
            accepted += 1;
        }
    }
    assert!(accepted > 1000, "{accepted}");
}

/// A small random transaction's bytes.
fn small(source: &mut Source) -> Vec<u8> {
    let (account, operation) = (Address(source.array()), source.operation());
    let built = Transaction::builder(account).operation(account, operation).build().unwrap();
    built.with_signatures(&[Signature(source.array())]).unwrap().bytes().to_vec()
}

#[test]
fn one_order_has_another_id_on_another_ledger() {
    let transaction = &shapes()[0];
    let other = Ledger::new("transaction tests 2").unwrap();
    assert_ne!(transaction.id(&ledger()), transaction.id(&other));
}

#[test]
fn the_message_is_the_tag_and_the_id() {
    let unsigned = Transaction::builder(address(1)).transfer(address(2), AssetId(0), Amount(1)).build().unwrap();
    let message = unsigned.message(&ledger());
    assert_eq!(&message[..15], b"nostro 1 signed");
    assert_eq!(message[15..], unsigned.id(&ledger()).0);
}

#[test]
fn signers_are_sorted_and_each_is_named_once() {
    let unsigned = Transaction::builder(address(9))
        .transfer_from(address(3), address(9), AssetId(0), Amount(1))
        .transfer_from(address(1), address(9), AssetId(0), Amount(2))
        .transfer_from(address(9), address(1), AssetId(0), Amount(3))
        .transfer_from(address(3), address(1), AssetId(0), Amount(4))
        .build()
        .unwrap();
    let signers: Vec<Address> = unsigned.signers().collect();
    let mut further = [address(1), address(3)];
    further.sort_unstable();
    assert_eq!(signers, [address(9), further[0], further[1]]);
}

#[test]
fn time_zero_stands_for_unbounded() {
    let build = |builder: TransactionBuilder| {
        builder.transfer(address(2), AssetId(0), Amount(1)).build().unwrap().0.bytes().to_vec()
    };
    let builder = Transaction::builder(address(1));
    assert_eq!(build(builder.clone().valid_until(Time(0))), build(builder));
}

mod limits {
    use super::*;

    fn transfers(count: u16) -> TransactionBuilder {
        (0..count).fold(Transaction::builder(address(1)), |builder, n| {
            builder.transfer(address(2), AssetId(0), Amount(u128::from(n)))
        })
    }

    fn signers(count: u8) -> TransactionBuilder {
        (1..count)
            .fold(transfers(1), |builder, n| builder.transfer_from(address(100 + n), address(1), AssetId(0), Amount(1)))
    }

    /// What the builder says.
    fn check(builder: TransactionBuilder, expected: &str) {
        let told = builder
            .build()
            .map_or_else(|error| error.to_string(), |unsigned| format!("{} bytes", unsigned.0.bytes().len()));
        assert_eq!(told, expected);
    }

    #[test]
    fn operations() {
        check(transfers(0), "102 operations at offset 2: expected 1 to 256, found 0");
        check(transfers(1), "192 bytes");
        check(transfers(256), "18552 bytes");
        check(transfers(257), "102 operations at offset 2: expected 1 to 256, found 257");
        check(transfers(u16::MAX), "102 operations at offset 2: expected 1 to 256, found 65535");
    }

    #[test]
    fn signers_up_to_sixteen() {
        check(signers(16), "2712 bytes");
        check(signers(17), "102 signers at offset 1: expected 1 to 16, found 17");
    }

    #[test]
    fn the_longest_transaction_is_as_long_as_said() {
        let put = |builder: TransactionBuilder, bytes| builder.put(Put { value: vec![1; bytes], ..Put::default() });
        let almost = (0..87).fold(signers(16), |builder, _| put(builder, 256));
        check(put(almost.clone(), 40), &format!("{TRANSACTION_BYTES_MAX} bytes"));
        check(put(almost, 41), "102 words at offset 4: expected at most 4096, found 4097");
        assert!(OPERATIONS.iter().all(|kind| kind.bytes_max <= TRANSACTION_BYTES_MAX / 16), "any operation fits");
    }

    #[test]
    fn fields() {
        let code = "EUR".parse().unwrap();
        let register = |scale| Transaction::builder(address(1)).register_asset(code, scale, Amount(1));
        check(register(30), "160 bytes");
        check(register(31), "102 scale at offset 60: expected 0 to 30, found 31");
        let low = Address([0; 32]);
        let pay = |payer, payee| Transaction::builder(address(1)).transfer_from(payer, payee, AssetId(0), Amount(1));
        let told = |offset| {
            format!(
                "105 address at offset {offset}: expected a key, found a point of low order, for which anyone can sign"
            )
        };
        check(pay(address(1), low), &told(96));
        check(pay(low, address(1)), &told(56));
        check(Transaction::builder(low).transfer(address(1), AssetId(0), Amount(1)), &told(24));
    }
}

#[test]
fn signatures_are_counted_and_missing_keys_are_named() {
    let (ann, ben, cid) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]), KeyPair::from_seed(&[3; 32]));
    let unsigned = Transaction::builder(ann.address())
        .transfer_from(ben.address(), ann.address(), AssetId(0), Amount(1))
        .build()
        .unwrap();
    let ledger = ledger();
    let missing = |signer: &KeyPair| Err(SignError::KeyMissing { signer: signer.address() });
    assert_eq!(unsigned.clone().sign(&ledger, &[]), missing(&ann));
    assert_eq!(unsigned.clone().sign(&ledger, &[&ann, &cid]), missing(&ben));
    assert_eq!(unsigned.clone().sign(&ledger, &[&ben]), missing(&ann));
    for found in [0, 1, 3] {
        let signatures = vec![Signature([0; 64]); found];
        let error = SignError::Count { expected: 2, found };
        assert_eq!(unsigned.clone().with_signatures(&signatures), Err(error));
    }
    let signed = unsigned.clone().sign(&ledger, &[&cid, &ben, &ann, &ben]).unwrap();
    let message = unsigned.message(&ledger);
    assert_eq!(unsigned.with_signatures(&[ann.sign(&message), ben.sign(&message)]), Ok(signed));
}
