//! Verification by every path, beside other libraries, over the same signatures.
//!
//! `cargo bench -p nostro-bench --features peers --bench verify`. Criterion's group `verify` keeps each figure for later comparison;
//! the tables at the end take all functions in turns, so that a neighbour disturbs them alike, and give medians in
//! nanoseconds of processor time a signature: every function on every load, then batches with invalid signatures among them. The last
//! line is what two threads with one verifier do against one, by the clock. Without the feature the other libraries are left out.
#![allow(
    clippy::unwrap_used,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark"
)]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use ed25519_dalek::{Signer, SigningKey};
use nostro_ed25519::{Item, Path, Verifier, VerifierConfig, hint};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Signatures of 47-byte messages.
struct Load {
    name: &'static str,
    signatures: Vec<([u8; 32], [u8; 47], [u8; 64])>,
    hints: Vec<Option<[u8; 32]>>,
}

impl Load {
    /// Signatures by the signers that `signer` names, of so many accounts.
    fn new(name: &'static str, count: usize, mut signer: impl FnMut(usize, &mut ChaCha8Rng) -> usize) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let signatures: Vec<_> = (0..count)
            .map(|index| {
                let mut seed = [0; 32];
                seed[..8].copy_from_slice(&signer(index, &mut generator).to_le_bytes());
                let key = SigningKey::from_bytes(&seed);
                let mut message = [0; 47];
                message[..8].copy_from_slice(&index.to_le_bytes());
                (key.verifying_key().to_bytes(), message, key.sign(&message).to_bytes())
            })
            .collect();
        let hints = signatures.iter().map(|(_, _, signature)| hint(signature)).collect();
        Self { name, signatures, hints }
    }

    fn items(&self) -> Vec<Item<'_>> {
        self.signatures.iter().map(|(key, message, signature)| Item { key, message, signature }).collect()
    }
}

fn loads() -> Vec<Load> {
    // A rank of 10,000 with weight 1/rank.
    let mut total = 0.0;
    let cumulative: Vec<f64> = (1..=10_000)
        .map(|rank| {
            total += 1.0 / f64::from(rank);
            total
        })
        .collect();
    let zipf = move |_: usize, generator: &mut ChaCha8Rng| {
        let point = generator.next_u64() as f64 / u64::MAX as f64 * total;
        cumulative.partition_point(|weight| *weight < point)
    };
    vec![
        Load::new("distinct-64", 64, |index, _| index),
        Load::new("distinct-1024", 1_024, |index, _| index),
        Load::new("distinct-4096", 4_096, |index, _| index),
        Load::new("few64-4096", 4_096, |index, _| index % 64),
        Load::new("zipf10k-4096", 4_096, zipf),
    ]
}

/// Something that verifies a whole load.
type Function<'a> = (&'static str, Box<dyn Fn() + 'a>);

fn functions(load: &Load) -> Vec<Function<'_>> {
    let verifier = |path: Option<Path>, key_cache_bytes| Verifier::new(VerifierConfig { path, key_cache_bytes });
    let batch = |verifier: Verifier| -> Box<dyn Fn() + '_> {
        let items = load.items();
        Box::new(move || {
            let mut verdicts = vec![false; items.len()];
            verifier.verify_batch(&items, &mut verdicts);
            assert!(verdicts.iter().all(|verdict| *verdict));
        })
    };
    // A cache admits a bounded number of keys a batch; let it have them all.
    let warm = |verifier: Verifier| {
        let items = load.items();
        let mut verdicts = vec![false; items.len()];
        for _ in 0..40 {
            verifier.verify_batch(&items, &mut verdicts);
        }
        verifier
    };
    let cache = 1 << 24;
    let hinted: Box<dyn Fn()> = {
        let (verifier, items) = (warm(verifier(None, cache)), load.items());
        let hints: Vec<Option<&[u8; 32]>> = load.hints.iter().map(Option::as_ref).collect();
        Box::new(move || {
            let mut verdicts = vec![false; items.len()];
            verifier.verify_hinted(&items, &hints, &mut verdicts);
            assert!(verdicts.iter().all(|verdict| *verdict));
        })
    };
    let lanes: Box<dyn Fn()> = {
        let (verifier, items) = (warm(verifier(None, cache)), load.items());
        Box::new(move || {
            let mut verdicts = vec![false; items.len()];
            verifier.verify_each(&items, &mut verdicts);
            assert!(verdicts.iter().all(|verdict| *verdict));
        })
    };
    #[allow(unused_mut, reason = "without the feature there is nobody to add")]
    let mut functions: Vec<Function<'_>> = vec![
        ("nostro", batch(verifier(None, 0))),
        ("nostro-cached", batch(warm(verifier(None, cache)))),
        ("nostro-hinted", hinted),
        ("nostro-lanes", lanes),
        ("nostro-avx2", batch(warm(verifier(Some(Path::Avx2), cache)))),
        ("nostro-portable", batch(verifier(Some(Path::Portable), 0))),
    ];
    #[cfg(feature = "peers")]
    functions.extend(peers::functions(load));
    functions
}

#[cfg(feature = "peers")]
mod peers {
    use super::{Function, Load};
    use commonware_cryptography::{BatchEntry, BatchVerifier};
    use commonware_cryptography_curve25519::signing;
    use commonware_math::algebra::Random;
    use commonware_parallel::Sequential;
    use ed25519_dalek::{Signature, Verifier, VerifyingKey};
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;
    use std::collections::BTreeMap;

    pub(crate) fn functions(load: &Load) -> Vec<Function<'_>> {
        let keys: Vec<VerifyingKey> =
            load.signatures.iter().map(|(key, _, _)| VerifyingKey::from_bytes(key).unwrap()).collect();
        let signatures: Vec<Signature> =
            load.signatures.iter().map(|(_, _, signature)| Signature::from_bytes(signature)).collect();
        let messages: Vec<&[u8]> = load.signatures.iter().map(|(_, message, _)| message.as_slice()).collect();
        let (single_keys, single_signatures, single_messages) = (keys.clone(), signatures.clone(), messages.clone());
        vec![
            ("dalek", Box::new(move || ed25519_dalek::verify_batch(&messages, &signatures, &keys).unwrap())),
            (
                "dalek-single",
                Box::new(move || {
                    for ((key, message), signature) in single_keys.iter().zip(&single_messages).zip(&single_signatures)
                    {
                        key.verify(message, signature).unwrap();
                    }
                }),
            ),
            (
                "zebra",
                Box::new(move || {
                    let mut batch = ed25519_zebra::batch::Verifier::new();
                    for (key, message, signature) in &load.signatures {
                        let key = ed25519_zebra::VerificationKeyBytes::from(*key);
                        batch.queue((key, ed25519_zebra::Signature::from(*signature), message));
                    }
                    batch.verify(ChaCha12Rng::seed_from_u64(1)).unwrap();
                }),
            ),
            ("commonware", commonware(load)),
        ]
    }

    /// It signs messages in a frame of its own, so it has signatures of its own, by as many signers in the same order.
    fn commonware(load: &Load) -> Box<dyn Fn() + '_> {
        let mut generator = ChaCha12Rng::seed_from_u64(2);
        let mut signers = BTreeMap::new();
        let signed: Vec<_> = load
            .signatures
            .iter()
            .map(|(key, message, _)| {
                let signer = signers.entry(*key).or_insert_with(|| signing::SigningKey::random(&mut generator));
                (signer.verifying_key(), signer.sign(b"bench", &message[..41]), &message[..41])
            })
            .collect();
        Box::new(move || {
            let valid = signing::VerifyingKey::verify_batch(
                &mut ChaCha12Rng::seed_from_u64(3),
                &signed,
                |_, (public_key, signature, message)| BatchEntry {
                    namespace: b"bench",
                    message,
                    public_key,
                    signature,
                },
                &Sequential,
            );
            assert!(valid);
        })
    }
}

fn criterion_group(criterion: &mut Criterion, loads: &[Load]) {
    let mut group = criterion.benchmark_group("verify");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    for load in loads {
        group.throughput(Throughput::Elements(load.signatures.len() as u64));
        for (name, function) in functions(load) {
            group.bench_function(BenchmarkId::new(name, load.name), |bencher| bencher.iter(&function));
        }
    }
    group.finish();
}

/// What this thread has cost so far, in nanoseconds: whoever else runs takes none of it.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// All functions in turns; nanoseconds a signature, the median of the rounds.
fn table(loads: &[Load]) {
    const ROUNDS: usize = 15;
    print!("\nns a signature   ");
    for load in loads {
        print!("{:>15}", load.name);
    }
    println!();
    let mut rows: Vec<(&str, Vec<f64>)> = Vec::new();
    for load in loads {
        let functions = functions(load);
        let repeats = (4_096 / load.signatures.len()).max(1);
        let mut times = vec![Vec::new(); functions.len()];
        for _ in 0..ROUNDS {
            for ((_, function), times) in functions.iter().zip(&mut times) {
                let start = processor_time();
                for _ in 0..repeats {
                    function();
                }
                times.push((processor_time() - start) / (repeats * load.signatures.len()) as f64);
            }
        }
        for (index, ((name, _), times)) in functions.iter().zip(times).enumerate() {
            if rows.len() <= index {
                rows.push((name, Vec::new()));
            }
            rows[index].1.push(median(times));
        }
    }
    for (name, medians) in rows {
        print!("{name:<17}");
        for median in medians {
            print!("{median:>15.0}");
        }
        println!();
    }
}

/// The median.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Batches of 4,096 of which some are invalid; nanoseconds a signature.
fn attack_table(loads: &[Load]) {
    const ROUNDS: usize = 15;
    const INVALID: [usize; 5] = [0, 1, 4, 64, 4_096];
    print!("\nns a signature, of 4,096 invalid ");
    for invalid in INVALID {
        print!("{invalid:>10}");
    }
    println!();
    for (name, load, key_cache_bytes) in
        [("distinct, cached", 2, 1 << 24), ("distinct, not cached", 2, 0), ("64 signers, cached", 3, 1 << 24)]
    {
        let Some(load) = loads.get(load) else { return };
        let verifier = Verifier::new(VerifierConfig { path: None, key_cache_bytes });
        let mut verdicts = vec![false; load.signatures.len()];
        for _ in 0..40 {
            verifier.verify_batch(&load.items(), &mut verdicts);
        }
        let spoiled = INVALID.map(|invalid| {
            let mut signatures = load.signatures.clone();
            let stride = signatures.len() / invalid.max(1);
            signatures.iter_mut().step_by(stride).take(invalid).for_each(|(_, message, _)| message[20] ^= 1);
            signatures
        });
        let mut times = INVALID.map(|_| Vec::new());
        for _ in 0..ROUNDS {
            for ((signatures, times), invalid) in spoiled.iter().zip(&mut times).zip(INVALID) {
                let items: Vec<Item<'_>> =
                    signatures.iter().map(|(key, message, signature)| Item { key, message, signature }).collect();
                let start = processor_time();
                verifier.verify_batch(&items, &mut verdicts);
                times.push((processor_time() - start) / items.len() as f64);
                assert_eq!(verdicts.iter().filter(|verdict| !**verdict).count(), invalid);
            }
        }
        print!("{name:<33}");
        for times in times {
            print!("{:>10.0}", median(times));
        }
        println!();
    }
}

/// What two threads with one verifier verify in a time against what one does.
fn two_threads(loads: &[Load]) {
    const ROUNDS: usize = 15;
    let Some(load) = loads.get(2) else { return };
    let verifier = Verifier::new(VerifierConfig { path: None, key_cache_bytes: 1 << 24 });
    let work = |batches: usize| {
        let (items, mut verdicts) = (load.items(), vec![false; load.signatures.len()]);
        for _ in 0..batches {
            verifier.verify_batch(&items, &mut verdicts);
        }
    };
    work(40);
    let time = |threads: usize| {
        let start = std::time::Instant::now();
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(|| work(20)))));
        start.elapsed().as_secs_f64()
    };
    let ratios = (0..ROUNDS).map(|_| 2.0 * time(1) / time(2)).collect();
    println!("\ntwo threads against one, {}, cached: {:.2} times", load.name, median(ratios));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let only_table = std::env::args().any(|argument| argument == "table");
    let mut loads = loads();
    if !measuring {
        loads.truncate(1);
    }
    if !only_table {
        criterion_group(&mut criterion, &loads);
        criterion.final_summary();
    }
    if measuring {
        table(&loads);
        attack_table(&loads);
        two_threads(&loads);
    }
}
