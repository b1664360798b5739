//! Random orders beside payments: policies of assets, holders, records, requirements. Few keys, few values, so that they meet.

use super::{Emphasis, Maker};
use crate::world::{address, key};
use nostro::{
    Address, Amend, Amount, AssetId, AssetPolicy, AssetTerms, AuthorityKey, AuthorityRules, Authorize, Channel,
    Comparison, ControlHolder, Grant, GrantAction, GrantKind, GrantName, GrantTerms, Hold, HolderAction, Lifetime,
    MarketId, OpenMarket, Operation, PlaceOrder, Predicate, Put, PutAction, RecordKind, RegisterAsset, Require,
    SelfTrade, Settle, Share, Side, Signature, Time, TransactionBuilder, Transfer,
};
use sha2::{Digest as _, Sha256};

const KINDS: [RecordKind; 5] =
    [RecordKind::Attestation, RecordKind::Anchor, RecordKind::Rate, RecordKind::Data, RecordKind::Identity];
const COMPARISONS: [Comparison; 6] = [
    Comparison::Less,
    Comparison::AtMost,
    Comparison::Equal,
    Comparison::Unequal,
    Comparison::AtLeast,
    Comparison::More,
];
const ACTIONS: [HolderAction; 7] = [
    HolderAction::Authorize,
    HolderAction::Authorize,
    HolderAction::Authorize,
    HolderAction::Deauthorize,
    HolderAction::Freeze,
    HolderAction::Unfreeze,
    HolderAction::ClawBack,
];

impl Maker {
    /// Something else than a payment, now and then.
    pub(super) fn further(&mut self, source: usize) -> Option<Operation> {
        let often = match self.emphasis {
            Emphasis::Policies | Emphasis::Records | Emphasis::Promises => 55,
            Emphasis::Markets => 75,
            Emphasis::Keys => 35,
            Emphasis::Contention => 30,
            _ => 4,
        };
        // Issuers have nothing of their own to set aside; others need what they pay out.
        let issues = self.is(Emphasis::Promises) && super::ISSUERS.contains(&source) && self.random.chance(80);
        if issues || !self.random.chance(often) {
            return None;
        }
        let (policies, records, promises) = match self.emphasis {
            Emphasis::Policies => (50, 70, 90),
            Emphasis::Promises => (5, 10, 97),
            Emphasis::Markets => (5, 8, 10),
            Emphasis::Keys => (2, 12, 22),
            Emphasis::Contention => (5, 10, 75),
            _ => (15, 60, 75),
        };
        Some(match self.random.below(100) {
            n if n < policies => self.control(source),
            n if n < records => self.put().into(),
            n if n < promises => match self.random.below(10) {
                0..4 => self.hold(source).into(),
                4..7 => self.settle(source).into(),
                _ => self.grant(source).into(),
            },
            n if n < 98 && self.is(Emphasis::Markets) || n < promises + 10 && !self.is(Emphasis::Keys) => {
                self.trading(source)
            }
            n if n < 96 && self.is(Emphasis::Keys) => self.authorize(source).into(),
            _ => Require { predicate: self.predicate(1) }.into(),
        })
    }

    fn someone(&mut self) -> Address {
        address(self.letter())
    }

    /// One of few keys.
    fn key(&mut self) -> [u8; 32] {
        [u8::try_from(self.random.below(2)).expect("a byte"); 32]
    }

    fn soon(&mut self) -> Time {
        Time((self.time + self.random.below(6)).saturating_sub(1).max(1))
    }

    fn any_asset(&mut self) -> AssetId {
        let assets = self.model.assets().len() as u64;
        AssetId(u32::try_from(self.random.below(assets + 1)).expect("few assets"))
    }

    fn control(&mut self, source: usize) -> Operation {
        if self.random.chance(15) {
            let code = self.random.pick(&super::CODES).parse().expect("a code");
            let supply = *self.random.pick(&[0, 20, 1_000, u128::MAX]);
            let order = self.with_policy(&RegisterAsset::plain(code, 0, Amount(supply)));
            return RegisterAsset { is_update: true, ..order }.into();
        }
        let own = |place: u32| self.model.assets().get(usize::try_from(place).ok()?).map(|asset| asset.issuer);
        let assets: Vec<u32> = (0..u32::try_from(self.model.assets().len()).expect("few assets"))
            .filter(|&place| own(place) == Some(address(source)))
            .collect();
        let asset = if assets.is_empty() { self.any_asset() } else { AssetId(*self.random.pick(&assets)) };
        let action = *self.random.pick(&ACTIONS);
        let claws = action == HolderAction::ClawBack;
        let amount = Amount(if claws { u128::from(self.random.below(5)) } else { 0 });
        let holder = self.someone();
        ControlHolder { asset, holder, action, amount, up_to: claws && self.random.chance(50) }.into()
    }

    pub(super) fn with_policy(&mut self, plain: &RegisterAsset) -> RegisterAsset {
        let bits = [
            AssetPolicy::AUTHORIZATION,
            AssetPolicy::FREEZABLE,
            AssetPolicy::FREEZABLE,
            AssetPolicy::CLAWBACK,
            AssetPolicy::NON_TRANSFERABLE,
            AssetPolicy::CREDENTIAL,
            AssetPolicy::FEE,
            AssetPolicy::FEE,
            AssetPolicy::EXPIRES,
            AssetPolicy::METADATA,
            AssetPolicy::MUTABLE,
        ];
        let mut policy = AssetPolicy::default();
        if self.random.chance(30) {
            // Most others keep people from paying at all.
            policy = AssetPolicy::FEE;
        } else {
            for _ in 0..self.random.below(4) {
                policy = policy.with(*self.random.pick(&bits));
            }
        }
        let mut terms = AssetTerms::default();
        if policy.has(AssetPolicy::CREDENTIAL) {
            (terms.schema, terms.attester) = (self.key(), self.someone());
        }
        if policy.has(AssetPolicy::FEE) {
            terms.fee_account = self.someone();
            terms.fee_basis_points = *self.random.pick(&[1, 2_500, 2_500, 5_000, 10_000]);
            terms.fee_maximum = Amount(*self.random.pick(&[0, 0, 1, 3]));
        }
        if policy.has(AssetPolicy::EXPIRES) {
            terms.expiry = Time(self.soon().0 + 5);
        }
        if policy.has(AssetPolicy::METADATA) {
            terms.metadata = [1 + self.key()[0]; 32];
        }
        let terms = (terms != AssetTerms::default()).then(|| Box::new(terms));
        RegisterAsset { policy, terms, ..plain.clone() }
    }

    /// Few ids, so that they meet.
    fn id(&mut self) -> u64 {
        self.random.below(3)
    }

    /// Whether a payment is up to what there is, by which grant it is made, and in which asset then.
    pub(super) fn rules(&mut self, source: usize, asset: AssetId) -> (bool, Option<GrantName>, AssetId) {
        let often = if self.is(Emphasis::Promises) { 50 } else { 3 };
        if !self.random.chance(often) {
            return (self.random.chance(5), None, asset);
        }
        let own: Vec<_> = self.grants.iter().filter(|(_, _, to, _)| *to == address(source)).copied().collect();
        if own.is_empty() || self.random.chance(10) {
            return (false, Some(GrantName { owner: self.someone(), id: self.id() }), asset);
        }
        let (owner, id, _, granted) = *self.random.pick(&own);
        let asset = if self.random.chance(90) { granted } else { asset };
        (self.random.chance(30), Some(GrantName { owner, id }), asset)
    }

    /// One that the source has some of, if there is one.
    fn own_asset(&mut self, source: usize) -> AssetId {
        let assets = u32::try_from(self.model.assets().len()).expect("few assets");
        let has = |&asset: &AssetId| self.model.balance(&address(source), asset) > 0;
        let own: Vec<AssetId> = (0..assets).map(AssetId).filter(has).collect();
        if own.is_empty() || self.random.chance(5) { self.any_asset() } else { *self.random.pick(&own) }
    }

    fn hold(&mut self, source: usize) -> Hold {
        let mut payees: Vec<Share> = Vec::new();
        for _ in 0..=self.random.below(3) {
            let payee = self.someone();
            if payees.iter().all(|share| share.payee != payee) {
                let parts = *self.random.pick(&[1, 1, 2, 7, u32::MAX]);
                payees.push(Share { payee, parts });
            }
        }
        let voucher_key = self.random.chance(25).then(|| self.someone());
        // A channel stays open a while, so that several vouchers are drawn.
        let expiry = self.random.chance(if voucher_key.is_some() { 15 } else { 70 }).then(|| self.soon());
        let (asset, id) = (self.own_asset(source), self.id());
        self.holds.push((address(source), id));
        Hold {
            id,
            asset,
            amount: Amount(self.amount(&address(source), asset)),
            payees,
            release: if voucher_key.is_some() || self.random.chance(30) {
                Predicate::always()
            } else {
                self.predicate(2)
            },
            cancel: self.predicate(2),
            arbiter: self.random.chance(30).then(|| self.someone()),
            expiry,
            releases_at_expiry: expiry.is_some() && self.random.chance(50),
            voucher_key,
        }
    }

    fn settle(&mut self, source: usize) -> Settle {
        let late = self.holds.len().saturating_sub(8);
        let (owner, id) = match self.holds.get(late..) {
            Some(late) if !late.is_empty() && self.random.chance(90) => *self.random.pick(late),
            _ => (address(source), self.id()),
        };
        // Mostly by somebody who is paid.
        let is_its = |(owner, id): &&(Address, u64)| {
            let hold = self.model.hold(*owner, *id);
            hold.is_some_and(|(_, hold)| hold.payees.iter().any(|share| share.payee == address(source)))
        };
        let its = self.holds.iter().rev().find(is_its).copied();
        let (owner, id) = its.filter(|_| self.random.chance(60)).unwrap_or((owner, id));
        let cancels = self.random.chance(30);
        let channel = self.model.hold(owner, id).and_then(|(_, hold)| hold.channel);
        let most = if channel.is_some() { 4 } else { 9 };
        let drawn = channel.map_or(0, |channel| channel.drawn.0).min(5);
        let amount = if drawn > 0 && self.random.chance(40) { drawn } else { u128::from(self.random.below(most)) };
        let amount = Amount(if cancels { 0 } else { amount });
        let preimage = self.random.chance(40).then(|| vec![1; 1 + self.random.index(2)]);
        let brings = amount.0 > 0 && self.random.chance(if channel.is_some() { 85 } else { 4 });
        let voucher = brings.then(|| self.voucher(owner, id, channel.unwrap_or_default(), amount));
        Settle { owner, id, cancels, amount, preimage, voucher }
    }

    /// Mostly a good one.
    fn voucher(&mut self, owner: Address, id: u64, channel: Channel, amount: Amount) -> Signature {
        let known = (0..26).find(|&letter| address(letter) == channel.key).filter(|_| self.random.chance(93));
        let letter = known.unwrap_or_else(|| self.letter());
        let opened = Time(channel.opened.0 + u64::from(self.random.chance(3)));
        key(letter).sign(&Settle::voucher_message(&owner, id, opened, amount))
    }

    /// Names the keys that sign, now and then: mostly those that have to.
    pub(super) fn keys(&mut self, mut builder: TransactionBuilder, account: usize) -> TransactionBuilder {
        if !self.is(Emphasis::Keys) || self.random.chance(10) {
            return builder;
        }
        for owner in std::mem::take(&mut self.acts_for) {
            if owner != account && self.random.chance(92) {
                builder = builder.signed_by(address(owner), address(account));
            }
        }
        if self.random.chance(17) {
            return builder;
        }
        let known = self.rules.iter().rev().find(|(of, _)| *of == account).map(|(_, rules)| rules.clone());
        let Some(rules) = known else {
            return if self.random.chance(5) { builder.signed_by(address(account), self.someone()) } else { builder };
        };
        let recovers = self.random.chance(35);
        let mut keys: Vec<Address> = rules.keys.iter().map(|key| key.key).collect();
        if recovers {
            keys.clone_from(&rules.recovery_keys);
        }
        keys.retain(|_| self.random.chance(75));
        if self.random.chance(5) {
            keys.push(self.someone());
        }
        for key in keys {
            builder = builder.signed_by(address(account), key);
        }
        builder
    }

    fn authorize(&mut self, source: usize) -> Authorize {
        if self.random.chance(15) {
            return Authorize::Object;
        }
        let mut keys: Vec<AuthorityKey> = Vec::new();
        for _ in 0..=self.random.below(3) {
            let key = if self.random.chance(40) { address(source) } else { self.someone() };
            if keys.iter().all(|known| known.key != key) {
                keys.push(AuthorityKey {
                    key,
                    weight: *self.random.pick(&[1, 1, 2, 255]),
                    scope: *self.random.pick(&[0, 0, 0, 1 << 1, 1 << 10, 0x7fe]),
                    expiry: self.random.chance(20).then(|| self.soon()),
                });
            }
        }
        keys.sort_by_key(|key| key.key);
        let mut recovery_keys: Vec<Address> = (0..self.random.below(3)).map(|_| self.someone()).collect();
        recovery_keys.sort_unstable();
        recovery_keys.dedup();
        let quorum = if recovery_keys.is_empty() { 0 } else { 1 + self.random.index(recovery_keys.len()) };
        let low = 1 + u8::try_from(self.random.below(2)).expect("few");
        let medium = low + u8::try_from(self.random.below(2)).expect("few");
        let rules = AuthorityRules {
            keys,
            low,
            medium,
            high: medium + u8::try_from(self.random.below(2)).expect("few"),
            delay_ms: if quorum > 0 { self.random.below(4) } else { 0 },
            recovery_keys,
            quorum: u8::try_from(quorum).expect("few"),
            is_closed: self.random.chance(8),
            needs_memo: self.random.chance(15),
        };
        let rules = if self.random.chance(10) { AuthorityRules::of_address(address(source)) } else { rules };
        if self.random.chance(40) {
            return Authorize::Recover(rules);
        }
        self.rules.push((source, rules.clone()));
        Authorize::Set(rules)
    }

    /// Few prices and few ids, so that orders meet.
    fn trading(&mut self, source: usize) -> Operation {
        let open = self.model.markets();
        let any = MarketId(u32::try_from(self.random.below(3)).expect("few"));
        let (market, [base, quote]) = if open.is_empty() || self.random.chance(4) {
            (any, [AssetId(0), AssetId(1)])
        } else {
            *self.random.pick(&open)
        };
        // Issuers have nothing to trade with.
        let issues = super::ISSUERS.contains(&source) && self.random.chance(85);
        // Without a market there is nothing to do but to open one.
        let opening = if open.is_empty() { 50 } else { 6 };
        match if issues { 99 } else { self.random.below(100) } {
            n if n < opening => {
                let base = if self.random.chance(90) { AssetId(0) } else { self.any_asset() };
                let quote = if self.random.chance(90) { AssetId(base.0 + 1) } else { AssetId(base.0 + 2) };
                let fee_basis_points = *self.random.pick(&[0, 0, 1_000, 10_000]);
                let fee_account = (fee_basis_points > 0).then(|| self.someone());
                let (lot, tick) = (1 + self.random.below(2), *self.random.pick(&[1, 1, 1, 2, 2, 2, u64::MAX]));
                OpenMarket { base, quote, lot, tick, fee_basis_points, fee_account }.into()
            }
            ..70 => {
                // Mostly one it can afford.
                let has = |asset| self.model.balance(&address(source), asset) > 0;
                let side = match (has(base), has(quote)) {
                    (true, false) => Side::Sell,
                    (false, true) => Side::Buy,
                    _ => *self.random.pick(&[Side::Buy, Side::Sell]),
                };
                let lifetime = *self.random.pick(&[
                    Lifetime::GoodTillCancelled,
                    Lifetime::GoodTillCancelled,
                    Lifetime::GoodTillCancelled,
                    Lifetime::PostOnly,
                    Lifetime::ImmediateOrCancel,
                    Lifetime::FillOrKill,
                    Lifetime::Budget,
                ]);
                let lifetime =
                    if side == Side::Sell && lifetime == Lifetime::Budget { Lifetime::FillOrKill } else { lifetime };
                let waits = matches!(lifetime, Lifetime::GoodTillCancelled | Lifetime::PostOnly);
                let budget = if lifetime == Lifetime::Budget { 1 + u128::from(self.random.below(9)) } else { 0 };
                PlaceOrder {
                    market,
                    id: self.random.below(6),
                    side,
                    price: *self.random.pick(&[1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, u64::MAX]),
                    quantity: *self.random.pick(&[1, 1, 1, 1, 2, 2, 3, 4, 5, u64::MAX]),
                    lifetime,
                    self_trade: *self.random.pick(&[
                        SelfTrade::CancelWaiting,
                        SelfTrade::CancelTaking,
                        SelfTrade::Reject,
                    ]),
                    expiry: (waits && self.random.chance(30)).then(|| self.soon()),
                    budget: Amount(budget),
                }
                .into()
            }
            70..76 => Amend::Cancel((0..=self.random.below(2)).map(|_| self.random.below(6)).collect()).into(),
            76..79 => Amend::CancelAll(market).into(),
            79..86 => {
                let (price, quantity) = (1 + self.random.below(4), 1 + self.random.below(4));
                Amend::Change { id: self.random.below(6), price, quantity }.into()
            }
            // Money to trade with.
            _ => {
                let issued = |id: &u32| {
                    self.model.assets().get(*id as usize).is_some_and(|asset| asset.issuer == address(source))
                };
                let own: Vec<u32> = (0..2).filter(issued).collect();
                let any = u32::from(self.random.chance(50));
                let asset = AssetId(if own.is_empty() { any } else { *self.random.pick(&own) });
                let amount = 20 + self.random.below(40);
                let amount = Amount(u128::from(amount));
                Transfer { payee: self.someone(), asset, amount, ..Transfer::default() }.into()
            }
        }
    }

    fn grant(&mut self, source: usize) -> Grant {
        let (id, action) = (self.id(), *self.random.pick(&[GrantAction::Revoke, GrantAction::Remove]));
        if self.random.chance(25) {
            let own: Vec<u64> =
                self.grants.iter().filter(|(owner, ..)| *owner == address(source)).map(|&(_, id, ..)| id).collect();
            let id = if own.is_empty() { id } else { *self.random.pick(&own) };
            return Grant { action, id, terms: None };
        }
        let (to, end) = (self.someone(), self.random.chance(50).then(|| self.soon()));
        let start = if self.random.chance(50) { Time(0) } else { self.soon() };
        let predicate = if self.random.chance(60) { Predicate::always() } else { self.predicate(2) };
        let bare = GrantTerms { to, start, end, predicate, ..GrantTerms::default() };
        if self.is(Emphasis::Keys) {
            return self.grant_to_act(source, bare);
        }
        let terms = if self.random.chance(10) {
            GrantTerms { kind: GrantKind::Access, subject: self.key(), ..bare }
        } else {
            let period_ms = *self.random.pick(&[0, 0, 1, 3]);
            let period_cap = Amount(if period_ms == 0 { 0 } else { 1 + u128::from(self.random.below(3)) });
            GrantTerms {
                asset: self.own_asset(source),
                payee: self.random.chance(20).then(|| self.someone()),
                cap: Amount(*self.random.pick(&[0, 0, 1, 5, u128::MAX])),
                period_ms,
                period_cap,
                rate: Amount(*self.random.pick(&[0, 0, 999, 1_500, u128::MAX])),
                ..bare
            }
        };
        self.grants.push((address(source), id, to, terms.asset));
        Grant { action: GrantAction::Create, id, terms: Some(Box::new(terms)) }
    }

    fn grant_to_act(&mut self, source: usize, bare: GrantTerms) -> Grant {
        let agent = self.letter();
        self.agents.push((source, agent));
        let limited = self.random.chance(50);
        let period_ms = if limited { *self.random.pick(&[0, 0, 3]) } else { 0 };
        let terms = GrantTerms {
            kind: GrantKind::Act,
            to: address(agent),
            scope: *self.random.pick(&[1 << 1, 1 << 1 | 1 << 5 | 1 << 6, 0x1b7e, 0x1b7e]),
            asset: if limited { self.own_asset(source) } else { AssetId(0) },
            cap: Amount(if limited { 1 + u128::from(self.random.below(9)) } else { 0 }),
            rate: Amount(if limited { *self.random.pick(&[0, 0, 1_500]) } else { 0 }),
            period_ms,
            period_cap: Amount(if period_ms > 0 { 1 + u128::from(self.random.below(3)) } else { 0 }),
            ..bare
        };
        let id = GrantTerms::acting_id(&terms.to);
        self.grants.push((address(source), id, terms.to, terms.asset));
        Grant { action: GrantAction::Create, id, terms: Some(Box::new(terms)) }
    }

    fn put(&mut self) -> Put {
        let kind = if self.random.chance(50) { RecordKind::Attestation } else { *self.random.pick(&KINDS) };
        let about = kind == RecordKind::Attestation || self.random.chance(10);
        let subject = about.then(|| self.someone());
        let owner = self.random.chance(8).then(|| self.someone());
        let key = self.key();
        let action = *self.random.pick(&[
            PutAction::Create,
            PutAction::Create,
            PutAction::Write,
            PutAction::Write,
            PutAction::Revoke,
            PutAction::Remove,
        ]);
        let bare = Put { action, kind, key, subject, owner, ..Put::default() };
        if matches!(action, PutAction::Revoke | PutAction::Remove) {
            return bare;
        }
        let expiry = self.random.chance(50).then(|| self.soon());
        let value = match kind {
            RecordKind::Rate => u128::from(self.random.below(4)).to_le_bytes().to_vec(),
            _ => vec![7; *self.random.pick(&[0, 1, 7, 8, 9, 255, 256])],
        };
        Put { hash: self.key(), expiry, value, ..bare }
    }

    pub(super) fn predicate(&mut self, depth: u64) -> Predicate {
        let comparison = *self.random.pick(&COMPARISONS);
        let branches = if depth < 3 { 14 } else { 9 };
        match self.random.below(branches) {
            0 => Predicate::always(),
            1 => Predicate::after(self.soon()),
            2 => Predicate::before(self.soon()),
            3 if self.random.chance(70) => Predicate::hash_lock(Sha256::digest([1]).into()),
            3 => Predicate::hash_lock(self.key()),
            4 => Predicate::signed(self.someone()),
            5 => Predicate::attested(self.someone(), self.key(), self.someone()),
            6 => {
                let amount = Amount(u128::from(self.random.below(5)));
                Predicate::balance(self.someone(), self.any_asset(), comparison, amount)
            }
            7 => {
                let (value, age) = (u128::from(self.random.below(4)), self.random.below(4));
                Predicate::rate(self.key(), self.someone(), comparison, value, age)
            }
            8 => {
                let comparison = if self.random.chance(50) { Comparison::Equal } else { Comparison::Unequal };
                Predicate::record(self.someone(), *self.random.pick(&KINDS), self.key(), comparison, self.key())
            }
            9 => {
                let all: Vec<Predicate> = (0..=self.random.below(3)).map(|_| self.predicate(depth + 2)).collect();
                Predicate::any_of(1 + u8::try_from(self.random.index(all.len())).expect("few"), &all)
            }
            10 | 11 => self.predicate(depth + 1).and(&self.predicate(depth + 1)),
            12 => self.predicate(depth + 1).or(&self.predicate(depth + 1)),
            _ => self.predicate(depth + 1).negated(),
        }
    }
}
