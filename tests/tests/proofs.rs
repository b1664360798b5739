//! Proofs: what they prove is what the ledger holds; of anything else, or of a byte changed, they prove nothing; and they are checked
//! here with nothing but a header.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Amount, AssetId, BalanceProof, BlockHeader, Digest, Engine, EngineConfig, Height, KeyPair, Outcome, ProofError,
    ProveError, SignedHeader, Time, Transaction, TransactionId, TransactionProof,
};
use nostro_tests::directory::Directory;
use nostro_tests::language::program;
use nostro_tests::world::{ledger, named, open, trusting};
use std::fmt::Write as _;
use std::path::Path;

fn transactions(text: &str) -> Vec<Transaction> {
    program(text).steps.into_iter().map(|step| step.transaction).collect()
}

fn config() -> EngineConfig {
    EngineConfig { balance_proofs: true, header_key: Some(KeyPair::from_seed(&[7; 32])), ..trusting() }
}

/// Two blocks of several transactions, then one payment per block up to a height.
fn history(engine: &Engine, height: u64) {
    let submitter = engine.submitter().at(Time(1_000));
    for text in ["I*EUR:max I*USD:max I>A:100000", "A>B:5 A>C:999999 B>D:2 I>B:9@1#50 A>B:1#77/3 B>C:1@1 A>B:1#0"] {
        submitter.submit_batch(&transactions(text)).unwrap().wait().unwrap();
    }
    for n in engine.durable_height().0..height {
        let text = format!("A>{}:1#{}", ['E', 'F', 'G'][usize::try_from(n % 3).unwrap()], n + 100);
        submitter.submit(&transactions(&text)[0]).unwrap().wait().unwrap();
    }
}

#[test]
fn every_transaction_of_a_block_has_a_proof_that_its_header_alone_confirms() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), config());
    for count in [1, 2, 3, 5, 64, 65, 1_000] {
        let text: String = (0..count).map(|n| format!("I>A:{}#{n}/{} ", n % 2 * 5, count % 50)).collect();
        engine.submit_batch(&transactions(&text)).unwrap().wait().unwrap();
    }
    let mut seen = 0;
    for block in engine.blocks_from(Height(1)) {
        let block = block.unwrap();
        let prover = block.prover(engine.ledger()).unwrap();
        let view = block.view().unwrap();
        for ((transaction, outcome), position) in view.transactions().zip(0..) {
            let proof = prover.prove(position).unwrap();
            assert_eq!((proof.transaction, proof.outcome), (transaction.id(engine.ledger()), outcome));
            proof.verify(block.header()).unwrap();
            let bytes = proof.encode();
            assert!(bytes.len() <= 1_024);
            assert_eq!(TransactionProof::decode(&bytes), Ok(proof));
            seen += 1;
        }
        assert_eq!(prover.prove(block.header().count), None);
    }
    assert_eq!(seen, 1_140);
}

#[test]
fn a_proof_of_which_anything_was_changed_proves_nothing() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), config());
    history(&engine, 2);
    let header = engine.header(Height(2)).unwrap().unwrap();
    for order in &transactions("A>B:5 A>C:999999 B>D:2 I>B:9@1#50") {
        let Ok((height, proof)) = engine.prove_transaction(&order.id(&ledger())) else { continue };
        assert_eq!(height, Height(2));
        proof.verify(&header).unwrap();
        let other = engine.header(Height(1)).unwrap().unwrap();
        assert!(proof.verify(&other).is_err(), "it is of another block");
        let bytes = proof.encode();
        for offset in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[offset] ^= 1 << (offset % 8);
            let verified = TransactionProof::decode(&changed).and_then(|proof| proof.verify(&header));
            assert!(verified.is_err(), "byte {offset} of {}", bytes.len());
        }
        for length in 0..bytes.len() {
            let verified = TransactionProof::decode(&bytes[..length]).and_then(|proof| proof.verify(&header));
            assert!(verified.is_err(), "{length} bytes of {}", bytes.len());
        }
        assert!(TransactionProof::decode(&[bytes.as_slice(), &[0; 32]].concat()).unwrap().verify(&header).is_err());
        // An outcome can't be passed for another.
        let mut lie = proof.clone();
        lie.outcome = Outcome::Applied;
        assert_eq!(lie.verify(&header).is_ok(), proof.outcome.is_applied());
    }
    let missing = TransactionId([3; 32]);
    assert_eq!(engine.prove_transaction(&missing).unwrap_err(), ProveError::NoTransaction(missing));
}

#[test]
fn what_an_account_held_is_proved_from_the_newest_root() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), config());
    history(&engine, 300);
    assert_eq!(engine.prove_balance(&named('A')).unwrap_err(), ProveError::NoRoot, "no durable header carries it");
    history_goes_on(&engine, 330);
    let (height, header) = (Height(320), engine.header(Height(320)).unwrap().unwrap());
    assert_eq!(engine.ledger().state_height(&header), Some(Height(256)));
    // What is paid later isn't in it: E, F and G had been paid by turns since the third block.
    for (name, asset, amount) in [('A', 0, 99_740), ('B', 0, 4), ('B', 1, 8), ('D', 0, 2), ('E', 1, 0), ('F', 0, 84)] {
        let (at, proof) = engine.prove_balance(&named(name)).unwrap();
        assert_eq!(at, height);
        let bytes = proof.encode();
        assert!(bytes.len() <= 1_024);
        assert_eq!(BalanceProof::decode(&bytes).unwrap(), proof);
        let holding = proof.verify(&header, &named(name), AssetId(asset)).unwrap();
        assert_eq!((holding.available, holding.held), (Amount(amount), Amount(0)), "{name} of {asset}");
        // Headers that carry the same root confirm it too, others don't.
        proof.verify(&engine.header(Height(330)).unwrap().unwrap(), &named(name), AssetId(asset)).unwrap();
        assert!(proof.verify(&engine.header(Height(319)).unwrap().unwrap(), &named(name), AssetId(asset)).is_err());
        assert!(matches!(proof.verify(&header, &named('Z'), AssetId(asset)), Err(ProofError::Field { .. })));
        for offset in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[offset] ^= 1 << (offset % 8);
            let verified =
                BalanceProof::decode(&changed).and_then(|proof| proof.verify(&header, &named(name), AssetId(asset)));
            assert!(verified.is_err(), "byte {offset} of {}", bytes.len());
        }
    }
    let unknown = engine.prove_balance(&named('Z')).unwrap_err();
    assert_eq!(unknown, ProveError::NoAccount { account: named('Z'), height: Height(256) });
    engine.close().unwrap();
    let engine = open(directory.path(), trusting());
    assert_eq!(engine.prove_balance(&named('A')).unwrap_err(), ProveError::NoRoot);
    assert_eq!(engine.signed_header(Height(1)).unwrap(), None, "an engine without a key signs nothing");
}

fn history_goes_on(engine: &Engine, height: u64) {
    for n in engine.durable_height().0..height {
        engine.submit(&transactions(&format!("A>E:1#{}", n + 100))[0]).unwrap().wait().unwrap();
    }
}

#[test]
fn a_signed_header_is_confirmed_by_the_engines_address_and_no_other() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), config());
    history(&engine, 2);
    let signed = engine.signed_header(Height(2)).unwrap().unwrap();
    let key = KeyPair::from_seed(&[7; 32]).address();
    signed.verify(&key).unwrap();
    assert!(signed.verify(&named('A')).is_err());
    let bytes = signed.encode();
    assert_eq!(SignedHeader::decode(&bytes), Ok(signed));
    for offset in 0..bytes.len() {
        let mut changed = bytes;
        changed[offset] ^= 1;
        assert!(SignedHeader::decode(&changed).unwrap().verify(&key).is_err(), "byte {offset}");
    }
    assert!(SignedHeader::decode(&bytes[1..]).is_err() && SignedHeader::decode(&[0; 289]).is_err());
    assert_eq!(engine.header(Height(3)).unwrap(), None);
    let block = engine.blocks_from(Height(2)).next().unwrap().unwrap();
    assert_eq!((block.header(), block.hash()), (&signed.header, signed.header.hash()));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The vectors of `docs/proofs.md`. They change with the format only.
#[test]
fn the_vectors_for_other_languages_are_what_this_engine_makes() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), config());
    history(&engine, 320);
    let mut json = String::from("{\n");
    writeln!(json, "  \"ledger\": \"{}\",\n  \"ledger_id\": \"{}\",", ledger().name(), ledger().id()).unwrap();
    writeln!(json, "  \"header_key\": \"{}\",", KeyPair::from_seed(&[7; 32]).address()).unwrap();
    writeln!(json, "  \"transactions\": [").unwrap();
    let block = engine.blocks_from(Height(2)).next().unwrap().unwrap();
    let (prover, count) = (block.prover(engine.ledger()).unwrap(), block.header().count);
    let signed = hex(&engine.signed_header(Height(2)).unwrap().unwrap().encode());
    for position in 0..count {
        let proof = prover.prove(position).unwrap();
        let applied = proof.outcome.is_applied();
        let (id, comma) = (proof.transaction, if position + 1 < count { "," } else { "" });
        let proof = hex(&proof.encode());
        writeln!(json, "    {{ \"signed_header\": \"{signed}\", \"header_hash\": \"{}\",", block.hash()).unwrap();
        writeln!(json, "      \"transaction\": \"{id}\", \"position\": {position}, \"applied\": {applied},").unwrap();
        writeln!(json, "      \"proof\": \"{proof}\" }}{comma}").unwrap();
    }
    writeln!(json, "  ],\n  \"balances\": [").unwrap();
    for (name, comma) in [('A', ","), ('B', ","), ('G', "")] {
        let (height, proof) = engine.prove_balance(&named(name)).unwrap();
        let header = engine.header(height).unwrap().unwrap();
        let euro = proof.verify(&header, &named(name), AssetId(0)).unwrap().available;
        writeln!(json, "    {{ \"header\": \"{}\", \"account\": \"{}\",", hex(&header.encode()), named(name)).unwrap();
        writeln!(
            json,
            "      \"asset\": 0, \"available\": \"{euro}\", \"proof\": \"{}\" }}{comma}",
            hex(&proof.encode())
        )
        .unwrap();
    }
    json.push_str("  ]\n}\n");
    let golden = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/proofs.json"));
    if golden.as_ref().ok() != Some(&json) {
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("proofs.json");
        std::fs::write(&made, &json).unwrap();
        panic!("the vectors have changed; what the engine makes now is in {}", made.display());
    }
    let zeros = BlockHeader::decode(&[0; BlockHeader::BYTES]);
    assert_eq!((zeros.encode(), zeros.state), ([0; BlockHeader::BYTES], Digest::default()));
}
