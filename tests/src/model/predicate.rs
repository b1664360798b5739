//! The model's reading of predicates, from the table in the documents.

use super::Model;
use super::entries::kind;
use nostro::{Address, Predicate, RecordKind};
use std::cmp::Ordering;

struct Bytes<'a> {
    rest: &'a [u8],
    nodes: u64,
}

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self.rest.split_first_chunk().expect("a predicate is whole");
        self.rest = tail;
        *head
    }

    fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    fn address(&mut self) -> Address {
        Address(self.take())
    }
}

fn compares(comparison: u8, order: Ordering) -> bool {
    match comparison {
        0 => order.is_lt(),
        1 => order.is_le(),
        2 => order.is_eq(),
        3 => order.is_ne(),
        4 => order.is_ge(),
        _ => order.is_gt(),
    }
}

fn record_kind(number: u8) -> RecordKind {
    let all = [RecordKind::Attestation, RecordKind::Anchor, RecordKind::Rate, RecordKind::Data, RecordKind::Identity];
    all.into_iter().find(|&one| kind(one) == number).expect("a kind")
}

impl Model {
    /// The node because of which it doesn't hold.
    pub(super) fn holds(&self, predicate: &Predicate, proof: Option<&[u8]>) -> Option<u64> {
        self.node(&mut Bytes { rest: predicate.bytes(), nodes: 0 }, proof)
    }

    fn node(&self, bytes: &mut Bytes<'_>, proof: Option<&[u8]>) -> Option<u64> {
        let own = bytes.nodes;
        bytes.nodes += 1;
        let holds = match bytes.byte() {
            0 => true,
            1 => self.time.0 >= u64::from_le_bytes(bytes.take()),
            2 => self.time.0 < u64::from_le_bytes(bytes.take()),
            3 => {
                let hash = bytes.take::<32>();
                proof.is_some_and(|proof| *<sha2::Sha256 as sha2::Digest>::digest(proof) == hash)
            }
            4 => {
                let account = bytes.address();
                self.signers.contains(&account)
            }
            5 => {
                let (needed, length) = (bytes.byte(), bytes.byte());
                let met = (0..length).filter(|_| self.node(bytes, proof).is_none()).count();
                met >= usize::from(needed)
            }
            6 => {
                let (subject, schema, issuer) = (bytes.address(), bytes.take(), bytes.address());
                let found = self.record(issuer, RecordKind::Attestation, schema, Some(subject));
                found.is_some_and(|(_, record)| !record.is_revoked)
            }
            7 => {
                let (account, asset) = (bytes.address(), u32::from_le_bytes(bytes.take()));
                let (comparison, amount) = (bytes.byte(), u128::from_le_bytes(bytes.take()));
                compares(comparison, self.funds(&account, asset).0.cmp(&amount))
            }
            8 => {
                let (pair, issuer, comparison) = (bytes.take(), bytes.address(), bytes.byte());
                let (value, age) = (u128::from_le_bytes(bytes.take()), u64::from_le_bytes(bytes.take()));
                let found = self.record(issuer, RecordKind::Rate, pair, None);
                let found = found.filter(|(_, rate)| !rate.is_revoked && self.time.0 - rate.written.0 <= age);
                found.is_some_and(|(_, rate)| {
                    let rate = u128::from_le_bytes(rate.value.try_into().expect("sixteen bytes"));
                    compares(comparison, rate.cmp(&value))
                })
            }
            9 => {
                let (owner, kind, key) = (bytes.address(), record_kind(bytes.byte()), bytes.take());
                let (comparison, hash) = (bytes.byte(), bytes.take::<32>());
                let found = self.record(owner, kind, key, None).filter(|(_, record)| !record.is_revoked);
                found.is_some_and(|(_, record)| compares(comparison, record.hash.cmp(&hash)))
            }
            10 => {
                let (left, right) = (self.node(bytes, proof), self.node(bytes, proof));
                return left.or(right);
            }
            11 => {
                let (left, right) = (self.node(bytes, proof), self.node(bytes, proof));
                left.is_none() || right.is_none()
            }
            12 => self.node(bytes, proof).is_some(),
            tag => panic!("the model knows no node {tag}"),
        };
        (!holds).then_some(own)
    }
}
