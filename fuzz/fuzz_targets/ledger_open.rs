//! A small ledger whose files were changed in any way opens with a prefix of its blocks, or is refused with a text; it is never
//! opened with another block in it, and opening it never panics.
//!
//! An input is a list of changes of eight bytes: which file, what kind of change, an offset, a value. Once made, the ledger is the
//! same for all inputs of a run; its salt differs between runs. Run it with `-- -detect_leaks=0`: the threads of an engine's pool end a
//! moment after it is closed, and the leak detector counts what they are about to free.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nostro::{Amount, AssetId, Digest, Engine, EngineConfig, Height, KeyPair, Transaction, audit_ledger};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A ledger's files as they should be, and the hashes of its blocks.
struct Sample {
    files: Vec<(PathBuf, Vec<u8>)>,
    blocks: Vec<Digest>,
    directory: PathBuf,
}

static SAMPLE: OnceLock<Sample> = OnceLock::new();

fn config() -> EngineConfig {
    EngineConfig {
        ledger: "fuzz".to_owned(),
        threads: 1,
        segment_bytes: 1 << 20,
        block_bytes_max: 64 << 10,
        group_bytes_max: 4 << 10,
        log_reserve_bytes: 0,
        trust_signatures: true,
        ..EngineConfig::default()
    }
}

/// Six blocks, two openings.
fn sample() -> Sample {
    let directory = std::env::temp_dir().join(format!("nostro-fuzz-open-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    let (bank, ann) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    for opening in 0..2 {
        let engine = Engine::open(&directory, config()).expect("an empty directory");
        for n in 0..3 {
            let order = Transaction::builder(bank.address())
                .sequence(opening * 3 + n)
                .register_asset(format!("A{opening}{n}").parse().expect("a code"), 0, Amount(100))
                .transfer(ann.address(), AssetId(0), Amount(u128::from(30 * n)))
                .build()
                .and_then(|unsigned| Ok(unsigned.sign(engine.ledger(), &[&bank])))
                .expect("within limits")
                .expect("the bank's key");
            let _ = engine.submit(&order).expect("room").wait().expect("durable");
        }
        engine.close().expect("a clean close");
    }
    let engine = Engine::open(&directory, config()).expect("its own ledger");
    let blocks = engine.blocks_from(Height(1)).map(|block| block.expect("readable").hash()).collect();
    engine.close().expect("a clean close");
    let mut files = Vec::new();
    collect(&directory, &directory, &mut files);
    files.sort();
    Sample { files, blocks, directory }
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("below its root").to_path_buf();
            files.push((name, std::fs::read(&path).expect("readable")));
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Sample { files, blocks, directory } = SAMPLE.get_or_init(sample);
    let mut changed: Vec<(PathBuf, Option<Vec<u8>>)> =
        files.iter().map(|(name, bytes)| (name.clone(), Some(bytes.clone()))).collect();
    for change in bytes.as_chunks::<8>().0.iter().take(64) {
        apply(change, &mut changed);
    }
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).expect("writable");
    for (name, bytes) in &changed {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().expect("below the directory")).expect("writable");
        if let Some(bytes) = bytes {
            std::fs::write(path, bytes).expect("writable");
        }
    }

    if let Err(error) = audit_ledger(directory, false, &mut |_, _| ()) {
        assert!(!error.to_string().is_empty());
    }
    match Engine::open(directory, config()) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(engine) => {
            let found: Vec<Digest> =
                engine.blocks_from(Height(1)).filter_map(|block| Some(block.ok()?.hash())).collect();
            assert!(blocks.starts_with(&found), "opened with other blocks than were written");
            assert_eq!(engine.durable_height(), Height(found.len() as u64));
            engine.close().expect("a clean close");
            let again = Engine::open(directory, config()).expect("what was opened once opens again");
            assert_eq!(again.durable_height(), Height(found.len() as u64));
            again.close().expect("a clean close");
        }
    }
});

/// Changes a file at a place which is often one that matters.
fn apply(change: &[u8; 8], files: &mut [(PathBuf, Option<Vec<u8>>)]) {
    let [file, kind, o0, o1, o2, value, length, from] = *change;
    let other = files[usize::from(from) % files.len()].1.clone();
    let place = usize::from(file) % files.len();
    let Some(bytes) = &mut files[place].1 else { return };
    if bytes.is_empty() {
        bytes.resize(usize::from(length), value);
        return;
    }
    // The blocks lie within the first pages of a file.
    let offset = u32::from_le_bytes([o0, o1, o2, 0]) as usize;
    let offset = (if kind & 0x80 == 0 { offset % (64 << 10) } else { offset }) % bytes.len();
    let end = (offset + usize::from(length).max(1)).min(bytes.len());
    match kind & 7 {
        0 | 1 => bytes[offset] ^= value.max(1),
        2 => bytes[offset..end].fill(value),
        3 => bytes.truncate(offset),
        4 => bytes[offset..].fill(0),
        5 => {
            let source = usize::from(from) * 4096 % bytes.len();
            let count = (end - offset).saturating_mul(64).min(bytes.len() - offset).min(bytes.len() - source);
            bytes.copy_within(source..source + count, offset);
        }
        6 => *bytes = other.unwrap_or_default(),
        _ => files[place].1 = None,
    }
}
