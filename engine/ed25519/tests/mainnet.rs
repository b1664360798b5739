//! The promise: signatures made by strangers, with software unknown, for real money, verify; and no longer with one bit changed.
//!
//! Reads 650 transactions of the Stellar network from `NOSTRO_DATA` or `../shared/data` beside the workspace. Where the data
//! is absent the test says so and is skipped.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;

use common::{Case, verdicts, verifiers};
use nostro_ed25519::{Item, verify};
use sha2::{Digest, Sha256};

/// Where the data would be.
fn data() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "where test data lies, not a result")]
    let folder = std::env::var("NOSTRO_DATA")
        .map_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    folder.join("stellar/transactions.jsonl")
}

fn base64(text: &str) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for symbol in text.bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
        }
    }
    bytes
}

/// An envelope of type 2: `00000002 ‖ transaction ‖ count ‖ count × (hint ‖ 00000040 ‖ signature)`.
struct Envelope {
    /// `00000002 ‖ transaction`.
    tagged: Vec<u8>,
    /// The last four bytes of the key, and the signature.
    signatures: Vec<([u8; 4], [u8; 64])>,
}

impl Envelope {
    fn parse(bytes: &[u8]) -> Self {
        assert_eq!(bytes[..4], [0, 0, 0, 2]);
        for count in 0..=20_u8 {
            let Some(end) = bytes.len().checked_sub(usize::from(count) * 72) else { break };
            let (tagged, rest) = bytes.split_at(end);
            let (tagged, header) = tagged.split_at(end - 4);
            let signatures = rest.as_chunks::<72>().0;
            if header == [0, 0, 0, count] && signatures.iter().all(|signature| signature[4..8] == [0, 0, 0, 64]) {
                let take =
                    |part: &[u8; 72]| (part[..4].try_into().expect("four"), part[8..].try_into().expect("sixty-four"));
                return Self { tagged: tagged.to_vec(), signatures: signatures.iter().map(take).collect() };
            }
        }
        panic!("no list of signatures at the end of {bytes:02x?}");
    }

    /// SHA-256 of the network's id and the tagged transaction.
    fn hash(&self) -> [u8; 32] {
        let network = Sha256::digest(b"Public Global Stellar Network ; September 2015");
        Sha256::new().chain_update(network).chain_update(&self.tagged).finalize().into()
    }

    /// The accounts the transaction names that a hint could mean: a key's tag of four zero bytes, then the key.
    fn accounts(&self, hint: [u8; 4]) -> Vec<[u8; 32]> {
        let mut accounts: Vec<[u8; 32]> = (4..self.tagged.len())
            .step_by(4)
            .filter_map(|start| self.tagged.get(start..start + 36))
            .filter(|window| window[..4] == [0; 4] && window[32..] == hint)
            .map(|window| window[4..].try_into().expect("thirty-two"))
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }
}

#[test]
fn the_signatures_of_650_mainnet_transactions_verify() {
    let path = data();
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    let (mut envelopes, mut cases, mut strangers) = (0, Vec::new(), 0);
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("a line is a record");
        let envelope = Envelope::parse(&base64(record["tx_envelope"].as_str().expect("an envelope")));
        let hash = envelope.hash();
        let hexadecimal: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(record["transaction_hash"], hexadecimal);
        envelopes += 1;
        for (hint, signature) in &envelope.signatures {
            let accounts = envelope.accounts(*hint);
            assert!(accounts.len() < 2, "a hint for two accounts");
            match accounts.first() {
                Some(key) => cases.push(Case { key: *key, message: hash.to_vec(), signature: *signature }),
                None => strangers += 1,
            }
        }
    }
    assert_eq!((envelopes, cases.len(), strangers), (650, 781, 35));

    let flipped: Vec<Case> = cases
        .iter()
        .enumerate()
        .map(|(index, case)| {
            let mut case = case.clone();
            case.signature[index % 64] ^= 1 << (index / 64 % 8);
            case
        })
        .collect();
    for case in &cases {
        assert!(verify(&case.key, &case.message, &case.signature));
    }
    for (name, verifier) in verifiers() {
        for (cases, expected) in [(&cases, true), (&flipped, false)] {
            let items: Vec<Item<'_>> = cases.iter().map(Case::item).collect();
            let verdicts = verdicts(&name, &verifier, &items);
            assert_eq!(verdicts, vec![expected; items.len()], "on {name}");
        }
    }
}
