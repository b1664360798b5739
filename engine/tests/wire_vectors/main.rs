//! The golden vectors of `docs/wire-vectors.json`, in both directions, and the page that explains them.
//!
//! The vectors were made by another implementation, written from `docs/wire.md`. They change only with the format's version.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod fields;

use fields::operation;
use nostro::{
    Address, Amount, AssetId, Engine, EngineConfig, KeyPair, Ledger, OPERATIONS, Operation, Refusal, Signature, Time,
    Transaction, WaitError,
};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../docs/wire-vectors.json");
const PAGE: &str = include_str!("../../../docs/wire.md");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).expect("the vectors are JSON")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value[name].as_array().unwrap_or_else(|| panic!("{name}: expected a list, found {}", value[name]));
    assert!(!list.is_empty(), "{name} is empty");
    list
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: expected text, found {}", value[name]))
}

/// A number, written as one or, if it may be large, as decimal text.
fn number<T: TryFrom<u128>>(value: &Value, name: &str) -> T {
    let field = &value[name];
    let number = field.as_u64().map(u128::from).or_else(|| field.as_str().and_then(|text| text.parse().ok()));
    number
        .and_then(|number| T::try_from(number).ok())
        .unwrap_or_else(|| panic!("{name}: expected a number in range, found {field}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "an odd number of digits: {hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn address(value: &Value, name: &str) -> Address {
    text(value, name).parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn keys(vectors: &Value) -> Vec<KeyPair> {
    let key = |value: &Value| {
        let seed = bytes(text(value, "seed")).try_into().expect("32 bytes");
        let key = KeyPair::from_seed(&seed);
        assert_eq!(key.address(), address(value, "address"));
        key
    };
    list(vectors, "keys").iter().map(key).collect()
}

#[test]
fn ledgers_have_the_ids_of_the_vectors() {
    for vector in list(&vectors(), "ledgers") {
        let ledger = Ledger::new(text(vector, "name")).unwrap();
        assert_eq!(ledger.id().to_string(), text(vector, "id"));
        let context = format!("nostro 1 transaction of ledger {}", ledger.id());
        assert_eq!(context, text(vector, "transaction_context"));
    }
}

#[test]
fn fields_become_the_bytes_of_the_vectors_and_bytes_the_fields() {
    let vectors = vectors();
    let keys = keys(&vectors);
    let keys: Vec<&KeyPair> = keys.iter().collect();
    for vector in list(&vectors, "transactions") {
        let name = text(vector, "name");
        let ledger = Ledger::new(text(vector, "ledger")).unwrap();
        let mut builder = Transaction::builder(address(vector, "account"))
            .lane(number(vector, "lane"))
            .sequence(number(vector, "sequence"))
            .valid_until(Time(number(vector, "valid_until")));
        for value in list(vector, "operations") {
            builder = builder.operation(address(value, "source"), operation(value));
        }
        // Those that are named are signed with in place of the signers'.
        for value in vector["keys"].as_array().into_iter().flatten() {
            builder = builder.signed_by(address(value, "signer"), address(value, "key"));
        }
        let unsigned = builder.build().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(unsigned.id(&ledger).to_string(), text(vector, "id"), "{name}: id");
        assert_eq!(hex(&unsigned.message(&ledger)), text(vector, "message"), "{name}: message");
        let built = unsigned.sign(&ledger, &keys).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(hex(built.as_ref().body()), text(vector, "body"), "{name}: body");
        assert_eq!(hex(built.bytes()), text(vector, "encoding"), "{name}: encoding");

        let decoded = Transaction::decode(&bytes(text(vector, "encoding"))).unwrap();
        assert_eq!(decoded, built, "{name}");
        let seen = decoded.as_ref();
        assert_eq!(seen.account(), address(vector, "account"), "{name}: account");
        assert_eq!(seen.lane(), number::<u16>(vector, "lane"), "{name}: lane");
        assert_eq!(seen.sequence(), number::<u64>(vector, "sequence"), "{name}: sequence");
        assert_eq!(seen.valid_until().map_or(0, |time| time.0), number::<u64>(vector, "valid_until"), "{name}");
        let signers: Vec<String> = seen.signers().map(|signer| signer.to_string()).collect();
        let expected: Vec<&str> = list(vector, "signers").iter().filter_map(Value::as_str).collect();
        assert_eq!(signers, expected, "{name}: signers");
        let signatures: Vec<String> = seen.signatures().map(|signature| hex(signature)).collect();
        let expected: Vec<&str> = list(vector, "signatures").iter().filter_map(Value::as_str).collect();
        assert_eq!(signatures, expected, "{name}: signatures");
        let operations: Vec<(String, Operation)> =
            seen.operations().map(|(source, operation)| (signers[usize::from(source)].clone(), operation)).collect();
        let expected: Vec<(String, Operation)> = list(vector, "operations")
            .iter()
            .map(|value| (text(value, "source").to_owned(), operation(value)))
            .collect();
        assert_eq!(operations, expected, "{name}: operations");
    }
}

#[test]
fn every_operation_has_its_vectors() {
    let vectors = vectors();
    let mut found: Vec<&str> = list(&vectors, "transactions")
        .iter()
        .flat_map(|vector| list(vector, "operations"))
        .map(|value| text(value, "operation"))
        .collect();
    found.sort_unstable();
    found.dedup();
    let mut all: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
    all.sort_unstable();
    assert_eq!(found, all);
}

#[test]
fn malformed_bytes_are_refused_with_the_number_of_the_vectors() {
    for vector in list(&vectors(), "malformed") {
        let name = text(vector, "name");
        match Transaction::decode(&bytes(text(vector, "encoding"))) {
            Ok(transaction) => panic!("{name}: expected a refusal, found {transaction:?}"),
            Err(error) => {
                let told = error.to_string();
                let number = number::<u16>(vector, "refusal").to_string();
                assert_eq!(told.split(' ').next(), Some(number.as_str()), "{name}: {told}");
            }
        }
    }
}

#[test]
fn signatures_get_the_verdicts_of_the_vectors() {
    let directory = std::env::temp_dir().join(format!("nostro-wire-vectors-{}", std::process::id()));
    let vectors = vectors();
    for ledger in list(&vectors, "ledgers") {
        let ledger = text(ledger, "name");
        let config = EngineConfig {
            ledger: ledger.to_owned(),
            segment_bytes: 1 << 20,
            block_bytes_max: 256 << 10,
            log_reserve_bytes: 0,
            ..EngineConfig::default()
        };
        let engine = Engine::open(&directory, config).unwrap();
        for vector in list(&vectors, "signatures").iter().filter(|vector| text(vector, "ledger") == ledger) {
            let transaction = Transaction::decode(&bytes(text(vector, "encoding"))).unwrap();
            let verdict = engine.submit(&transaction).unwrap().wait();
            let bad = match verdict {
                Ok(_) => None,
                Err(WaitError::Refused(Refusal::BadSignature { signer })) => Some(signer),
                Err(other) => panic!("{}: {other}", text(vector, "name")),
            };
            let expected = vector["bad_signer"].as_u64().map(|signer| u8::try_from(signer).unwrap());
            assert_eq!(bad, expected, "{}", text(vector, "name"));
        }
        engine.close().unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

#[test]
fn a_signer_elsewhere_makes_the_same_transaction() {
    let vectors = vectors();
    let vector = &list(&vectors, "transactions")[0];
    let decoded = Transaction::decode(&bytes(text(vector, "encoding"))).unwrap();
    let seen = decoded.as_ref();
    let mut builder = Transaction::builder(seen.account()).lane(seen.lane()).sequence(seen.sequence());
    builder = builder.valid_until(seen.valid_until().unwrap());
    for (_, operation) in seen.operations() {
        builder = builder.operation(seen.account(), operation);
    }
    let signatures: Vec<Signature> = seen.signatures().map(|signature| Signature(*signature)).collect();
    assert_eq!(builder.build().unwrap().with_signatures(&signatures), Ok(decoded));
}

#[test]
fn the_fourteen_addresses_are_refused_and_stand_on_the_page() {
    let vectors = vectors();
    let low = list(&vectors, "low_order_addresses");
    assert_eq!(low.len(), 14);
    let honest = KeyPair::from_seed(&[9; 32]).address();
    for value in low {
        let low = value.as_str().unwrap();
        assert!(PAGE.contains(low), "{low}");
        let low: Address = low.parse().unwrap();
        let attempts = [(low, honest, honest), (honest, low, honest), (honest, honest, low)];
        for (account, payer, payee) in attempts {
            let built = Transaction::builder(account).transfer_from(payer, payee, AssetId(0), Amount(1)).build();
            let told = built.expect_err("an address of low order").to_string();
            assert!(told.starts_with("105 "), "{told}");
        }
    }
}

/// The page's example is the first vector; its rows cover every byte once, in order.
#[test]
fn the_page_shows_the_first_vector_byte_by_byte() {
    let vectors = vectors();
    let vector = &list(&vectors, "transactions")[0];
    let ledger = &list(&vectors, "ledgers")[0];
    let message = text(vector, "message");
    for shown in [text(ledger, "id"), text(ledger, "transaction_context"), text(vector, "id"), message.split_at(30).0] {
        assert!(PAGE.contains(shown), "the page lacks {shown}");
    }
    let (_, example) = PAGE.split_once("## A worked example").unwrap();
    let mut shown = String::new();
    for row in example.lines().take_while(|row| !row.starts_with("Bytes 0 to")) {
        let mut words = row.split_whitespace();
        let (Some(offset), Some(length)) = (words.next(), words.next()) else { continue };
        let (Ok(offset), Ok(length)) = (offset.parse::<usize>(), length.parse::<usize>()) else { continue };
        let is_field = |word: &&str| word.len() == 2 * length && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let field = words.find(is_field).unwrap_or_else(|| panic!("no {length} bytes in {row:?}"));
        assert_eq!(shown.len(), 2 * offset, "{row}");
        shown.push_str(field);
    }
    assert_eq!(shown, text(vector, "encoding"));
}

/// The page lists a refusal for every way of being malformed, and no other.
#[test]
fn the_page_lists_every_refusal_of_the_vectors() {
    let vectors = vectors();
    let mut numbers: Vec<u16> = list(&vectors, "malformed").iter().map(|vector| number(vector, "refusal")).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let (_, refusals) = PAGE.split_once("## Refusals").unwrap();
    let number = |line: &str| line.strip_prefix("| ")?.split(' ').next()?.parse::<u16>().ok();
    let listed: Vec<u16> = refusals.lines().filter_map(number).filter(|number| (100..200).contains(number)).collect();
    assert_eq!(listed, numbers);
}
