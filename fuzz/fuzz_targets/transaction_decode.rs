//! Any bytes are refused with a text, or are the one encoding of what they say.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nostro::{Address, Ledger, Signature, Transaction, TransactionRef};

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    loop {
        match TransactionRef::decode_prefix(rest) {
            Ok((transaction, after)) => {
                check(&transaction);
                assert_eq!(transaction.bytes().len() + after.len(), rest.len());
                let alone = Transaction::decode(transaction.bytes());
                assert_eq!(alone.as_ref().map(Transaction::bytes), Ok(transaction.bytes()));
                assert_eq!(Transaction::decode(rest).is_ok(), after.is_empty());
                rest = after;
            }
            Err(refusal) => {
                assert!(refusal.to_string().starts_with("10"));
                let alone = Transaction::decode(rest);
                assert_eq!(alone.as_ref().err(), Some(&refusal));
                return;
            }
        }
    }
});

/// What the accessors say makes the same bytes again.
fn check(transaction: &TransactionRef<'_>) {
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
    let unsigned = builder.build().expect("what was decoded can be built");
    let ledger = Ledger::new("fuzz").expect("a name");
    assert_eq!(unsigned.id(&ledger), transaction.id(&ledger));
    let rebuilt = unsigned.with_signatures(&signatures).expect("as many signatures as signers");
    assert_eq!(rebuilt.bytes(), transaction.bytes());
}
