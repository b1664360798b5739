//! The fields of the vectors as operations.

use super::{address, bytes, list, number, text};
use nostro::{
    Amend, Amount, AssetId, AssetPolicy, AssetTerms, AuthorityKey, AuthorityRules, Authorize, Comparison,
    ControlHolder, Grant, GrantAction, GrantKind, GrantName, GrantTerms, Hold, HolderAction, Lifetime, MarketId,
    OpenMarket, Operation, PlaceOrder, Predicate, Put, PutAction, RecordKind, RegisterAsset, Require, SelfTrade,
    Settle, Share, Side, Signature, Time, Transfer,
};
use serde_json::Value;

/// What a word stands for.
fn word<T: Copy>(value: &Value, name: &str, words: &[(&str, T)]) -> T {
    let found = text(value, name);
    let known = words.iter().find(|(word, _)| *word == found);
    known.unwrap_or_else(|| panic!("{name}: a word this test doesn't know: {found}")).1
}

/// A field that may not be there.
fn optional<T>(value: &Value, name: &str, read: impl FnOnce(&Value, &str) -> T) -> Option<T> {
    (!value[name].is_null()).then(|| read(value, name))
}

fn flag(value: &Value, name: &str) -> bool {
    value[name].as_bool().unwrap_or(false)
}

/// A number that is 0 where it isn't there.
fn or_zero<T: TryFrom<u128> + Default>(value: &Value, name: &str) -> T {
    optional(value, name, number).unwrap_or_default()
}

fn time(value: &Value, name: &str) -> Option<Time> {
    Some(Time(or_zero(value, name))).filter(|&time| time != Time(0))
}

fn array(value: &Value, name: &str) -> [u8; 32] {
    bytes(text(value, name)).try_into().unwrap_or_else(|_| panic!("{name}: expected 32 bytes"))
}

fn or_zeros(value: &Value, name: &str) -> [u8; 32] {
    optional(value, name, array).unwrap_or_default()
}

const KINDS: [(&str, RecordKind); 5] = [
    ("attestation", RecordKind::Attestation),
    ("anchor", RecordKind::Anchor),
    ("rate", RecordKind::Rate),
    ("data", RecordKind::Data),
    ("identity", RecordKind::Identity),
];

const COMPARISONS: [(&str, Comparison); 6] = [
    ("<", Comparison::Less),
    ("<=", Comparison::AtMost),
    ("=", Comparison::Equal),
    ("!=", Comparison::Unequal),
    (">=", Comparison::AtLeast),
    (">", Comparison::More),
];

fn predicate(value: &Value) -> Predicate {
    let of = || list(value, "of").iter().map(predicate).collect::<Vec<Predicate>>();
    let compares = || word(value, "compares", &COMPARISONS);
    match text(value, "node") {
        "True" => Predicate::always(),
        "After" => Predicate::after(Time(number(value, "time"))),
        "Before" => Predicate::before(Time(number(value, "time"))),
        "HashLock" => Predicate::hash_lock(array(value, "hash")),
        "Signed" => Predicate::signed(address(value, "account")),
        "AnyOf" => Predicate::any_of(number(value, "count"), &of()),
        "Attested" => Predicate::attested(address(value, "subject"), array(value, "schema"), address(value, "issuer")),
        "Balance" => {
            let (account, asset) = (address(value, "account"), AssetId(number(value, "asset")));
            Predicate::balance(account, asset, compares(), Amount(number(value, "amount")))
        }
        "Rate" => {
            let (pair, issuer) = (array(value, "pair"), address(value, "issuer"));
            Predicate::rate(pair, issuer, compares(), number(value, "value"), number(value, "age"))
        }
        "Record" => {
            let (owner, kind) = (address(value, "owner"), word(value, "kind", &KINDS));
            Predicate::record(owner, kind, array(value, "key"), compares(), array(value, "hash"))
        }
        "And" => of()[0].and(&of()[1]),
        "Or" => of()[0].or(&of()[1]),
        "Not" => of()[0].negated(),
        other => panic!("a node this test doesn't know: {other}"),
    }
}

fn transfer(value: &Value) -> Transfer {
    Transfer {
        payee: address(value, "payee"),
        asset: AssetId(number(value, "asset")),
        amount: Amount(number(value, "amount")),
        reference: number(value, "reference"),
        code: number(value, "code"),
        up_to: flag(value, "up_to"),
        grant: optional(value, "grant", |value, name| GrantName {
            owner: address(&value[name], "owner"),
            id: number(&value[name], "id"),
        }),
    }
}

fn register_asset(value: &Value) -> RegisterAsset {
    let terms = |value: &Value, name: &str| {
        let terms = &value[name];
        Box::new(AssetTerms {
            schema: or_zeros(terms, "schema"),
            attester: optional(terms, "attester", address).unwrap_or_default(),
            fee_account: optional(terms, "fee_account", address).unwrap_or_default(),
            fee_maximum: Amount(or_zero(terms, "fee_maximum")),
            fee_basis_points: or_zero(terms, "fee"),
            expiry: Time(or_zero(terms, "expiry")),
            metadata: or_zeros(terms, "metadata"),
        })
    };
    RegisterAsset {
        code: text(value, "asset_code").parse().expect("an asset code"),
        scale: number(value, "scale"),
        maximum_supply: Amount(number(value, "maximum_supply")),
        policy: AssetPolicy(or_zero(value, "policy")),
        terms: optional(value, "terms", terms),
        is_update: flag(value, "update"),
    }
}

fn control_holder(value: &Value) -> ControlHolder {
    let actions = [
        ("authorize", HolderAction::Authorize),
        ("deauthorize", HolderAction::Deauthorize),
        ("freeze", HolderAction::Freeze),
        ("unfreeze", HolderAction::Unfreeze),
        ("claw back", HolderAction::ClawBack),
    ];
    ControlHolder {
        asset: AssetId(number(value, "asset")),
        holder: address(value, "holder"),
        action: word(value, "action", &actions),
        amount: Amount(number(value, "amount")),
        up_to: flag(value, "up_to"),
    }
}

fn put(value: &Value) -> Put {
    let actions = [
        ("create", PutAction::Create),
        ("write", PutAction::Write),
        ("revoke", PutAction::Revoke),
        ("remove", PutAction::Remove),
    ];
    Put {
        action: word(value, "action", &actions),
        kind: word(value, "kind", &KINDS),
        key: array(value, "key"),
        subject: optional(value, "subject", address),
        owner: optional(value, "owner", address),
        hash: or_zeros(value, "hash"),
        expiry: time(value, "expiry"),
        value: optional(value, "value", |value, name| bytes(text(value, name))).unwrap_or_default(),
    }
}

fn hold(value: &Value) -> Hold {
    let share = |value: &Value| Share { payee: address(value, "payee"), parts: number(value, "parts") };
    Hold {
        id: number(value, "id"),
        asset: AssetId(number(value, "asset")),
        amount: Amount(number(value, "amount")),
        payees: list(value, "payees").iter().map(share).collect(),
        release: predicate(&value["release"]),
        cancel: predicate(&value["cancel"]),
        arbiter: optional(value, "arbiter", address),
        expiry: time(value, "expiry"),
        releases_at_expiry: flag(value, "releases_at_expiry"),
        voucher_key: optional(value, "voucher_key", address),
    }
}

fn settle(value: &Value) -> Settle {
    Settle {
        owner: address(value, "owner"),
        id: number(value, "id"),
        cancels: flag(value, "cancels"),
        amount: Amount(number(value, "amount")),
        preimage: optional(value, "preimage", |value, name| bytes(text(value, name))),
        voucher: optional(value, "voucher", |value, name| {
            Signature(bytes(text(value, name)).try_into().expect("64 bytes"))
        }),
    }
}

fn grant(value: &Value) -> Grant {
    let actions = [("create", GrantAction::Create), ("revoke", GrantAction::Revoke), ("remove", GrantAction::Remove)];
    let action = word(value, "action", &actions);
    let terms = || {
        Box::new(GrantTerms {
            kind: word(
                value,
                "kind",
                &[("spend", GrantKind::Spend), ("access", GrantKind::Access), ("act", GrantKind::Act)],
            ),
            to: address(value, "to"),
            asset: AssetId(or_zero(value, "asset")),
            payee: optional(value, "payee", address),
            cap: Amount(or_zero(value, "cap")),
            period_ms: or_zero(value, "period"),
            period_cap: Amount(or_zero(value, "period_cap")),
            rate: Amount(or_zero(value, "rate")),
            start: Time(or_zero(value, "start")),
            end: time(value, "end"),
            subject: or_zeros(value, "subject"),
            predicate: predicate(&value["predicate"]),
            scope: or_zero(value, "scope"),
        })
    };
    Grant { action, id: number(value, "id"), terms: (action == GrantAction::Create).then(terms) }
}

fn place_order(value: &Value) -> PlaceOrder {
    let lifetimes = [
        ("good till cancelled", Lifetime::GoodTillCancelled),
        ("immediate or cancel", Lifetime::ImmediateOrCancel),
        ("fill or kill", Lifetime::FillOrKill),
        ("post only", Lifetime::PostOnly),
        ("budget", Lifetime::Budget),
    ];
    let self_trades = [
        ("cancel waiting", SelfTrade::CancelWaiting),
        ("cancel taking", SelfTrade::CancelTaking),
        ("reject", SelfTrade::Reject),
    ];
    PlaceOrder {
        market: MarketId(number(value, "market")),
        id: number(value, "id"),
        side: word(value, "side", &[("buy", Side::Buy), ("sell", Side::Sell)]),
        price: number(value, "price"),
        quantity: number(value, "quantity"),
        lifetime: word(value, "lifetime", &lifetimes),
        self_trade: word(value, "self_trade", &self_trades),
        expiry: time(value, "expiry"),
        budget: Amount(or_zero(value, "budget")),
    }
}

fn amend(value: &Value) -> Amend {
    match text(value, "action") {
        "cancel" => {
            let ids = list(value, "ids").iter().map(|id| id.as_str().and_then(|id| id.parse().ok()).expect("an id"));
            Amend::Cancel(ids.collect())
        }
        "cancel all" => Amend::CancelAll(MarketId(number(value, "market"))),
        "change" => Amend::Change {
            id: number(value, "id"),
            price: number(value, "price"),
            quantity: number(value, "quantity"),
        },
        other => panic!("an action this test doesn't know: {other}"),
    }
}

fn authorize(value: &Value) -> Authorize {
    let action = text(value, "action");
    if action == "object" {
        return Authorize::Object;
    }
    let key = |value: &Value| AuthorityKey {
        key: address(value, "key"),
        weight: number(value, "weight"),
        scope: number(value, "scope"),
        expiry: time(value, "expiry"),
    };
    let recovery = |value: &Value, name: &str| {
        list(value, name).iter().map(|key| key.as_str().and_then(|key| key.parse().ok()).expect("a key")).collect()
    };
    let rules = AuthorityRules {
        keys: list(value, "keys").iter().map(key).collect(),
        low: number(value, "low"),
        medium: number(value, "medium"),
        high: number(value, "high"),
        recovery_keys: optional(value, "recovery_keys", recovery).unwrap_or_default(),
        quorum: or_zero(value, "quorum"),
        delay_ms: or_zero(value, "delay"),
        is_closed: flag(value, "closed"),
        needs_memo: flag(value, "memo_required"),
    };
    if action == "set" { Authorize::Set(rules) } else { Authorize::Recover(rules) }
}

fn open_market(value: &Value) -> OpenMarket {
    OpenMarket {
        base: AssetId(number(value, "base")),
        quote: AssetId(number(value, "quote")),
        lot: number(value, "lot"),
        tick: number(value, "tick"),
        fee_basis_points: number(value, "fee"),
        fee_account: optional(value, "fee_account", address),
    }
}

/// What a vector orders.
pub(super) fn operation(value: &Value) -> Operation {
    match text(value, "operation") {
        "Transfer" => transfer(value).into(),
        "RegisterAsset" => register_asset(value).into(),
        "ControlHolder" => control_holder(value).into(),
        "Put" => put(value).into(),
        "Hold" => hold(value).into(),
        "Settle" => settle(value).into(),
        "Grant" => grant(value).into(),
        "PlaceOrder" => place_order(value).into(),
        "Amend" => amend(value).into(),
        "Authorize" => authorize(value).into(),
        "Require" => Require { predicate: predicate(&value["predicate"]) }.into(),
        "OpenMarket" => open_market(value).into(),
        other => panic!("an operation this test doesn't know: {other}"),
    }
}
