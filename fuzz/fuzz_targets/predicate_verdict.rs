//! Any bytes where a predicate stands are refused, or get the same verdict from the engine as from another reading of `docs/wire.md`:
//! one that parses first and evaluates a tree then.
//!
//! An input that begins with an odd byte is the predicate as it is. One that begins with an even byte is spelt: each node a letter, and its
//! fields a byte each, out of a small world in which everything is there and nothing is unlikely to be met.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nostro::{
    Address, Amount, AssetId, ExecutionShape, MeasuredExecution, Put, RecordKind, RegisterAsset, RejectionCode,
    Signature, Time, Transaction, Transfer,
};
use std::cell::RefCell;

const NOW: u64 = 1_000;
const NODES_MAX: usize = 16;
const DEPTH_MAX: usize = 4;
const PEOPLE: u8 = 4;
/// Where the fields of the only operation begin: header, then its first four bytes and four reserved ones.
const PREDICATE_OFFSET: usize = 64;

/// Anyone, from 1; nobody holds these keys, and nobody has to.
const fn person(n: u8) -> [u8; 32] {
    [0x10 + n; 32]
}

/// The amount that everybody has of an asset.
const fn balance(n: u8, asset: u32) -> u128 {
    if asset > 1 { 0 } else { 10 * (n as u128 + 1) + asset as u128 }
}

/// What the ledger remembers: what one attests of the next, a rate of 50, an anchor.
const SCHEMA: [u8; 32] = [0xa0; 32];
const PAIR: [u8; 32] = [0xb0; 32];
const KEY: [u8; 32] = [0xc0; 32];
const HASH: [u8; 32] = [0xd0; 32];
const RATE: u128 = 50;
/// Everything was written so long ago.
const AGE: u64 = 100;

#[derive(Debug)]
enum Node {
    True,
    After(u64),
    Before(u64),
    /// Nothing is brought with a requirement, so no hash is ever that of it.
    HashLock,
    Signed([u8; 32]),
    AnyOf(u8, Vec<Node>),
    Attested([u8; 32], [u8; 32], [u8; 32]),
    Balance([u8; 32], u32, u8, u128),
    Rate([u8; 32], [u8; 32], u8, u128, u64),
    Record([u8; 32], u8, [u8; 32], u8, [u8; 32]),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Not(Box<Node>),
}

/// Reads the page's table. `None` for whatever isn't in it.
struct Parser<'a> {
    rest: &'a [u8],
    nodes: usize,
}

impl Parser<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn comparison(&mut self, allowed: impl Fn(u8) -> bool) -> Option<u8> {
        self.byte().filter(|&comparison| allowed(comparison))
    }

    fn node(&mut self, depth: usize) -> Option<Node> {
        self.nodes += 1;
        if self.nodes > NODES_MAX || depth > DEPTH_MAX {
            return None;
        }
        Some(match self.byte()? {
            0 => Node::True,
            1 => Node::After(u64::from_le_bytes(self.array()?)),
            2 => Node::Before(u64::from_le_bytes(self.array()?)),
            3 => {
                self.array::<32>()?;
                Node::HashLock
            }
            4 => Node::Signed(self.array()?),
            5 => {
                let [count, length] = self.array()?;
                if count == 0 || count > length {
                    return None;
                }
                let below: Option<Vec<Node>> = (0..length).map(|_| self.node(depth + 1)).collect();
                Node::AnyOf(count, below?)
            }
            6 => Node::Attested(self.array()?, self.array()?, self.array()?),
            7 => {
                let (account, asset) = (self.array()?, u32::from_le_bytes(self.array()?));
                Node::Balance(account, asset, self.comparison(|c| c < 6)?, u128::from_le_bytes(self.array()?))
            }
            8 => {
                let (pair, issuer) = (self.array()?, self.array()?);
                let (comparison, value) = (self.comparison(|c| c < 6)?, u128::from_le_bytes(self.array()?));
                Node::Rate(pair, issuer, comparison, value, u64::from_le_bytes(self.array()?))
            }
            9 => {
                let (owner, kind) = (self.array()?, self.byte().filter(|&kind| kind < 5)?);
                Node::Record(owner, kind, self.array()?, self.comparison(|c| c == 2 || c == 3)?, self.array()?)
            }
            10 => Node::And(Box::new([self.node(depth + 1)?, self.node(depth + 1)?])),
            11 => Node::Or(Box::new([self.node(depth + 1)?, self.node(depth + 1)?])),
            12 => Node::Not(Box::new(self.node(depth + 1)?)),
            _ => return None,
        })
    }
}

fn compares(comparison: u8, left: u128, right: u128) -> bool {
    match comparison {
        0 => left < right,
        1 => left <= right,
        2 => left == right,
        3 => left != right,
        4 => left >= right,
        _ => left > right,
    }
}

fn number(address: &[u8; 32]) -> Option<u8> {
    (0..PEOPLE).find(|&n| person(n) == *address)
}

fn holds(node: &Node) -> bool {
    match node {
        Node::True => true,
        Node::After(time) => NOW >= *time,
        Node::Before(time) => NOW < *time,
        Node::HashLock => false,
        Node::Signed(account) => *account == person(0),
        Node::AnyOf(count, below) => below.iter().filter(|node| holds(node)).count() >= usize::from(*count),
        Node::Attested(subject, schema, issuer) => {
            *schema == SCHEMA && number(issuer).is_some_and(|n| *subject == person((n + 1) % PEOPLE))
        }
        Node::Balance(account, asset, comparison, amount) => {
            let has = number(account).map_or(0, |n| balance(n, *asset));
            compares(*comparison, has, *amount)
        }
        Node::Rate(pair, issuer, comparison, value, age) => {
            *pair == PAIR && number(issuer).is_some() && AGE <= *age && compares(*comparison, RATE, *value)
        }
        Node::Record(owner, kind, key, comparison, hash) => {
            let found = match (number(owner), kind, *key == KEY, *key == PAIR) {
                (Some(_), 1, true, _) => Some(HASH),
                (Some(_), 2, _, true) => Some([0; 32]),
                _ => None,
            };
            found.is_some_and(|found| (found == *hash) == (*comparison == 2))
        }
        Node::And(both) => holds(&both[0]) & holds(&both[1]),
        Node::Or(both) => holds(&both[0]) | holds(&both[1]),
        Node::Not(node) => !holds(node),
    }
}

/// Spells a predicate: a letter and the fields it needs, all out of the small world.
fn spelt(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut input = input.iter().copied();
    let mut next = || input.next();
    while let Some(letter) = next() {
        let tag = letter % 14;
        out.push(tag);
        let mut field = || next().unwrap_or(0);
        let small = |out: &mut Vec<u8>, bytes: usize, base: u64, field: u8| {
            let value = base + u64::from(field % 64);
            let mut wide = vec![0; bytes];
            wide[..8.min(bytes)].copy_from_slice(&value.to_le_bytes()[..8.min(bytes)]);
            out.extend_from_slice(&wide);
        };
        let word = |out: &mut Vec<u8>, n: u8| {
            let words = [SCHEMA, PAIR, KEY, HASH, [0; 32]];
            out.extend_from_slice(&words[usize::from(n) % words.len()]);
        };
        match tag {
            1 | 2 => small(&mut out, 8, NOW - 32, field()),
            3 => word(&mut out, letter / 14),
            4 => out.extend_from_slice(&person(letter / 14 % 5)),
            5 => out.extend_from_slice(&[letter / 14 % 4, 1 + field() % 4]),
            6 => {
                out.extend_from_slice(&person(letter / 14 % 5));
                word(&mut out, field() % 2);
                out.extend_from_slice(&person(field() % 5));
            }
            7 => {
                out.extend_from_slice(&person(letter / 14 % 5));
                out.extend_from_slice(&u32::from(field() % 3).to_le_bytes());
                out.push(field() % 7);
                small(&mut out, 16, 0, field());
            }
            8 => {
                word(&mut out, letter / 14);
                out.extend_from_slice(&person(field() % 5));
                out.push(field() % 7);
                small(&mut out, 16, RATE as u64 - 20, field());
                small(&mut out, 8, AGE - 32, field());
            }
            9 => {
                out.extend_from_slice(&person(letter / 14 % 5));
                out.push(field() % 6);
                word(&mut out, field());
                out.push(1 + field() % 3);
                word(&mut out, field());
            }
            _ => {}
        }
    }
    out
}

struct World {
    execution: MeasuredExecution,
    sequence: u64,
}

impl World {
    fn new() -> Self {
        let mut execution = MeasuredExecution::new(ExecutionShape::SERIAL).expect("randomness");
        let mut bytes = Vec::new();
        let mut order = |builder: nostro::TransactionBuilder| {
            let unsigned = builder.build().expect("an order of the setup");
            let marks = vec![Signature([0; 64]); unsigned.signers().count()];
            bytes.extend_from_slice(unsigned.with_signatures(&marks).expect("marks").bytes());
        };
        let bank = Address([0x77; 32]);
        let mut setup = Transaction::builder(bank);
        for code in ["A", "B"] {
            let asset = RegisterAsset::plain(code.parse().expect("a code"), 0, Amount::MAX);
            setup = setup.operation(bank, asset.into());
        }
        for n in 0..PEOPLE {
            for asset in 0..2 {
                let amount = Amount(balance(n, asset));
                let payee = Address(person(n));
                let pays = Transfer { payee, asset: AssetId(asset), amount, ..Transfer::default() };
                setup = setup.operation(bank, pays.into());
            }
        }
        order(setup);
        for n in 0..PEOPLE {
            let subject = Some(Address(person((n + 1) % PEOPLE)));
            let attests = Put { kind: RecordKind::Attestation, key: SCHEMA, subject, ..Put::default() };
            let value = RATE.to_le_bytes().to_vec();
            let rates = Put { kind: RecordKind::Rate, key: PAIR, value, ..Put::default() };
            let anchors = Put { kind: RecordKind::Anchor, key: KEY, hash: HASH, ..Put::default() };
            let owner = Address(person(n));
            order(Transaction::builder(owner).put(attests).put(rates).put(anchors));
        }
        let block = execution.prepare(bytes).expect("the setup is well-formed");
        let settled = execution.settle(Time(NOW - AGE), &block);
        assert_eq!(settled.rejections(), []);
        Self { execution, sequence: 0 }
    }

    /// What the engine says of a predicate with what fills it up: `None` if the bytes are refused, else whether the requirement is met.
    fn verdict(&mut self, predicate: &[u8]) -> Option<bool> {
        self.sequence += 1;
        let me = Address(person(0));
        let plain = Transaction::builder(me).sequence(self.sequence).require(nostro::Predicate::always());
        let plain = plain.build().expect("a plain requirement");
        let plain = plain.with_signatures(&[Signature([0; 64])]).expect("a mark");
        let mut bytes = plain.bytes()[..PREDICATE_OFFSET].to_vec();
        bytes.extend_from_slice(predicate);
        let words = u16::try_from((bytes.len() - 56) / 8).ok()?;
        bytes[58..60].copy_from_slice(&words.to_le_bytes());
        bytes.resize(bytes.len() + 64, 0);
        let words = u16::try_from(bytes.len() / 8).ok()?;
        bytes[4..6].copy_from_slice(&words.to_le_bytes());
        let decoded = Transaction::decode(&bytes).ok()?;
        assert_eq!(decoded.bytes(), bytes);
        let block = self.execution.prepare(bytes).expect("it was decoded");
        let settled = self.execution.settle(Time(NOW), &block);
        let met = match settled.rejections() {
            [] => true,
            [(0, rejection)] => {
                assert_eq!(rejection.code, RejectionCode::RequirementUnmet);
                assert!(rejection.detail < NODES_MAX as u64);
                false
            }
            other => panic!("one transaction and {other:?}"),
        };
        self.execution.reuse(settled);
        Some(met)
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let mut predicate = if first & 1 == 1 { rest.to_vec() } else { spelt(rest) };
    // What fills it up belongs to what is read: zeros are nodes, too, where nodes are missing.
    predicate.resize(predicate.len().next_multiple_of(8), 0);
    let mut parser = Parser { rest: &predicate, nodes: 0 };
    let tree = parser.node(1);
    let is_filled = parser.rest.len() < 8 && parser.rest.iter().all(|&byte| byte == 0);
    let expected = tree.as_ref().filter(|_| is_filled).map(holds);
    let found = WORLD.with_borrow_mut(|world| world.verdict(&predicate));
    assert_eq!(found, expected, "{tree:?}");
});
