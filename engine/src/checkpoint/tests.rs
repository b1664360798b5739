//! What a checkpoint promises: it gives back what was written, or says which byte is wrong; and whatever crashes, one is there.

use super::format::{CHUNK_HEADER_BYTES, FOOTER_BYTES, Footer, checkpoint_name};
use super::read::{CheckpointFault, find, load, load_newest};
use super::write::{WriteError, write};
use super::*;
use crate::log::sim::{Faults, SimDisk};
use crate::log::{Access, Planted, Storage, write_all_at};
use crate::ops::RegisterAsset;
use crate::state::{Changes, Context, State};
use crate::types::{Address, Amount, AssetId};
use std::path::Path;

const LEDGER: [u8; 32] = [7; 32];
const DIRECTORY: &str = "/disk/ledger";

fn address(n: u32) -> Address {
    Address(blake3::hash(&n.to_le_bytes()).into())
}

/// A state of `accounts` accounts, some with several assets and lanes; `salt` makes it another.
fn state(accounts: u32, salt: u64) -> State {
    let mut state = State::new().unwrap();
    let mut changes = Changes::default();
    let mut context = Context::new(&mut state, &mut changes, false);
    for code in ["EUR", "USD", "GOLD"] {
        let order = RegisterAsset::plain(code.parse().unwrap(), 2, Amount::MAX);
        context.register_asset(&address(u32::MAX), &order).unwrap();
    }
    let mut slots = Vec::new();
    for n in 0..accounts {
        let slot = context.open_account(&address(n)).unwrap();
        slots.push(slot);
        for asset in 0..n % 4 {
            // Further assets first, so that an account's first asset isn't always its lowest.
            context.set_available(slot, AssetId(2 - asset % 3), Amount(u128::from(n) + u128::from(salt) + 1));
        }
    }
    context.keep();
    for (n, &slot) in (0..accounts).zip(&slots) {
        for lane in 0..u16::try_from(n % 5).unwrap() {
            state.use_sequence(slot, lane * 7, u64::from(n) * 3 + salt).unwrap();
        }
    }
    state
}

fn place(height: u64) -> Place {
    let hash = Digest(blake3::hash(&height.to_le_bytes()).into());
    let (time, transactions, roots) = (Time(height * 10), height * 3, [Digest([4; 32]), Digest([5; 32])]);
    Place { ledger: LEDGER, height: Height(height), hash, time, transactions, segment: 1, roots }
}

fn put(disk: &SimDisk, height: u64, state: &mut State) -> Result<u64, WriteError> {
    write(disk, Path::new(DIRECTORY), place(height), state.share_records(), &mut |_| true)
}

fn get(disk: &SimDisk, height: u64) -> Result<Loaded, CheckpointFault> {
    load(disk, Path::new(DIRECTORY), Height(height), &LEDGER)
}

fn path(height: u64) -> std::path::PathBuf {
    Path::new(DIRECTORY).join(checkpoint_name(Height(height)))
}

/// Puts other bytes in the place of a file.
fn replace(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    let _ = disk.unlink(path);
    let file = disk.create(path).unwrap();
    write_all_at(disk, &file, bytes, 0).unwrap();
}

#[test]
fn a_state_comes_back_from_its_checkpoint() {
    for accounts in [0, 1, 255, 256, 257, 30_000] {
        let disk = SimDisk::new(1);
        let mut state = state(accounts, 5);
        let bytes = put(&disk, 9, &mut state).unwrap();
        let mut loaded = get(&disk, 9).unwrap();
        assert_eq!(loaded.place, place(9));
        assert_eq!(disk.durable(&path(9)).map(|file| file.len() as u64), Some(bytes));
        let (before, after) = (state.share(), loaded.state.share());
        assert_eq!((before.digest(), loaded.digest), (after.digest(), after.digest()), "{accounts} accounts");
        for n in (0..accounts).step_by(97) {
            assert_eq!(before.balances(&address(n)), after.balances(&address(n)));
            assert_eq!(before.sequence(&address(n), 7), after.sequence(&address(n), 7));
        }
        assert!(!after.contains(&address(accounts)));
        assert_eq!(after.find_asset(&address(u32::MAX), "GOLD".parse().unwrap()), Some(AssetId(2)));
        // A checkpoint is a function of the state: written again from what was loaded it is the same, byte by byte.
        let again = SimDisk::new(2);
        put(&again, 9, &mut loaded.state).unwrap();
        assert_eq!(disk.durable(&path(9)), again.durable(&path(9)));
    }
}

#[test]
fn a_state_that_was_loaded_goes_on_like_the_one_that_was_written() {
    let disk = SimDisk::new(1);
    let mut first = state(1_000, 5);
    put(&disk, 9, &mut first).unwrap();
    let mut second = get(&disk, 9).unwrap().state;
    for state in [&mut first, &mut second] {
        let mut changes = Changes::default();
        let mut context = Context::new(state, &mut changes, true);
        let newest = context.open_account(&address(77_777)).unwrap();
        context.credit(newest, AssetId(1), Amount(8));
        context.roll_back();
        let mut context = Context::new(state, &mut changes, false);
        for n in (0..1_000).step_by(7) {
            let slot = context.open_account(&address(n)).unwrap();
            context.set_available(slot, AssetId(n % 3), Amount(u128::from(n % 2) * 4));
        }
        context.open_account(&address(88_888)).unwrap();
    }
    assert_eq!(first.share().digest(), second.share().digest());
}

#[test]
fn every_flipped_bit_and_every_missing_byte_is_found_and_the_older_one_used() {
    let disk = SimDisk::new(3);
    put(&disk, 4, &mut state(3, 1)).unwrap();
    put(&disk, 5, &mut state(9, 2)).unwrap();
    let bytes = disk.durable(&path(5)).unwrap();
    let use_older = |what: String| {
        let found = load_newest(&disk, Path::new(DIRECTORY), &LEDGER).unwrap_or_else(|fault| panic!("{what}: {fault}"));
        assert_eq!(found.loaded.map(|loaded| loaded.place), Some(place(4)), "{what}");
        let [(Height(5), reason)] = found.damaged.as_slice() else { panic!("{what}: {:?}", found.damaged) };
        assert!(reason.contains(&checkpoint_name(Height(5))) && reason.contains("expected"), "{what}: {reason}");
    };
    for offset in 0..bytes.len() {
        disk.rot(&path(5), offset, u32::try_from(offset % 8).unwrap());
        use_older(format!("a bit of byte {offset} of {}", bytes.len()));
        disk.rot(&path(5), offset, u32::try_from(offset % 8).unwrap());
    }
    for length in 0..bytes.len() {
        replace(&disk, &path(5), &bytes[..length]);
        use_older(format!("{length} bytes of {}", bytes.len()));
    }
    replace(&disk, &path(5), &[bytes.as_slice(), &[0]].concat());
    use_older("a byte too many".to_owned());
    // A whole checkpoint under another's name.
    replace(&disk, &path(5), &disk.durable(&path(4)).unwrap_or_default());
    disk.fdatasync(&disk.open(&path(5), Access::Read).unwrap()).unwrap();
    use_older("the name of another height".to_owned());
    // Chunks of another checkpoint, each whole by itself.
    put(&disk, 6, &mut state(9, 3)).unwrap();
    let other = disk.durable(&path(6)).unwrap();
    disk.unlink(&path(6)).unwrap();
    let content = bytes.len() - FOOTER_BYTES;
    replace(&disk, &path(5), &[&other[..content], &bytes[content..]].concat());
    use_older("the chunks of another".to_owned());
    replace(&disk, &path(5), &bytes);
    assert_eq!(get(&disk, 5).unwrap().place, place(5), "what was put back is right again");
}

#[test]
fn one_of_another_ledger_or_of_a_later_format_is_refused() {
    let disk = SimDisk::new(4);
    put(&disk, 4, &mut state(3, 1)).unwrap();
    put(&disk, 5, &mut state(3, 1)).unwrap();
    let refused = load_newest(&disk, Path::new(DIRECTORY), &[8; 32]).unwrap_err();
    assert!(matches!(refused, CheckpointFault::OtherLedger { .. }), "{refused}");

    let mut bytes = disk.durable(&path(5)).unwrap();
    let footer = bytes.len() - FOOTER_BYTES;
    bytes[footer + 4] = 3;
    let hash = blake3::derive_key("nostro 1 checkpoint footer", &bytes[footer..bytes.len() - 32]);
    let end = bytes.len() - 32;
    bytes[end..].copy_from_slice(&hash);
    replace(&disk, &path(5), &bytes);
    let refused = load_newest(&disk, Path::new(DIRECTORY), &LEDGER).unwrap_err();
    assert!(matches!(refused, CheckpointFault::NewerFormat { found: 3, .. }), "{refused}");
}

#[test]
fn lengths_and_counts_that_lie_reserve_no_memory() {
    let disk = SimDisk::new(5);
    put(&disk, 5, &mut state(3, 1)).unwrap();
    let whole = disk.durable(&path(5)).unwrap();
    for (offset, width) in [(8, 8), (16, 4), (20, 4)] {
        let mut bytes = whole.clone();
        bytes[offset..offset + width].fill(0xff);
        replace(&disk, &path(5), &bytes);
        let fault = get(&disk, 5).unwrap_err();
        assert!(matches!(fault, CheckpointFault::Damaged { .. }), "{fault}");
    }
    // The same with hashes that fit, as nobody but a forger writes them.
    let mut bytes = whole.clone();
    bytes[20..24].fill(0xff);
    let payload_bytes = usize::try_from(u64::from_le_bytes(bytes[8..16].try_into().unwrap())).unwrap();
    let mut hasher = blake3::Hasher::new_derive_key("nostro 1 checkpoint chunk");
    hasher.update(&bytes[..32]).update(&bytes[CHUNK_HEADER_BYTES..CHUNK_HEADER_BYTES + payload_bytes]);
    let hash: [u8; 32] = hasher.finalize().into();
    bytes[32..64].copy_from_slice(&hash);
    let footer = bytes.len() - FOOTER_BYTES;
    let second = CHUNK_HEADER_BYTES + payload_bytes + 32;
    let content = blake3::hash(&[hash, bytes[second..second + 32].try_into().unwrap()].concat()).into();
    let forged = Footer { content, ..Footer::decode(bytes[footer..].first_chunk().unwrap()).unwrap() };
    bytes[footer..].copy_from_slice(&forged.encode());
    replace(&disk, &path(5), &bytes);
    let fault = get(&disk, 5).unwrap_err();
    assert!(fault.to_string().contains("a whole record"), "{fault}");
}

#[test]
fn a_footer_has_one_encoding() {
    let footer = Footer {
        place: place(77),
        state: Digest([3; 32]),
        accounts: 5,
        assets: 6,
        chunks: 7,
        has_entries: false,
        file_bytes: 1 << 40,
        content: [9; 32],
    };
    assert_eq!(Footer::decode(&footer.encode()), Ok(footer));
    let with_entries = Footer { has_entries: true, ..footer };
    assert_eq!(Footer::decode(&with_entries.encode()), Ok(with_entries));
    assert_eq!((with_entries.encode()[4], footer.encode()[4]), (2, 1));
    // Golden: this digest changes with the format version only.
    assert_eq!(
        blake3::hash(&footer.encode()).to_string(),
        "d7d77427f2e5d5dffbd0f96316812de67c6e382fac1f96ecb8c158f73db5a629"
    );
}

/// Loses power at every call of writing a checkpoint over an older one; gives how often the new one was there afterwards.
fn crash_everywhere(planted: Option<Planted>) -> Result<u32, String> {
    let mut survived = 0;
    for seed in 0..12 {
        for call in 0.. {
            let disk = SimDisk::new(seed * 1_000 + call);
            put(&disk, 4, &mut state(40, 1)).unwrap();
            planted.into_iter().for_each(|mistake| disk.plant(mistake));
            disk.arm(Faults { power_cut_at: Some(call), ..Faults::default() });
            let written = put(&disk, 5, &mut state(60, 2));
            let done = !disk.is_off();
            disk.power_cycle();
            let found = load_newest(&disk, Path::new(DIRECTORY), &LEDGER).map_err(|fault| fault.to_string())?;
            let place = found.loaded.map(|loaded| loaded.place.height.0);
            if !found.damaged.is_empty() || place.is_none() || (written.is_ok() && place != Some(5)) {
                return Err(format!("seed {seed}, call {call}: {place:?}, {written:?}, {:?}", found.damaged));
            }
            survived += u32::from(place == Some(5));
            // Whatever was left over, the next one is written.
            put(&disk, 6, &mut state(70, 3)).unwrap();
            assert_eq!(find(&disk, Path::new(DIRECTORY)).unwrap().last(), Some(&Height(6)));
            if done {
                break;
            }
        }
    }
    Ok(survived)
}

#[test]
fn a_crash_at_any_call_leaves_the_old_one_or_the_new_one() {
    assert!(crash_everywhere(None).unwrap() >= 12);
}

#[test]
fn a_checkpoint_that_is_named_before_it_is_durable_is_caught() {
    assert!(crash_everywhere(Some(Planted::CheckpointNotSynced)).is_err());
}

#[test]
fn a_failing_disk_and_a_closing_engine_leave_the_old_one() {
    for call in 0.. {
        let disk = SimDisk::new(call);
        put(&disk, 4, &mut state(40, 1)).unwrap();
        disk.arm(Faults { fails_at: Some(call), ..Faults::default() });
        let written = put(&disk, 5, &mut state(60, 2));
        disk.arm(Faults::default());
        let newest = load_newest(&disk, Path::new(DIRECTORY), &LEDGER).unwrap();
        assert!(newest.damaged.is_empty());
        let height = newest.loaded.unwrap().place.height.0;
        assert!(height == 4 || height == 5);
        if written.is_ok() {
            assert_eq!(height, 5);
            break;
        }
        assert!(call < 1_000, "a write that never ends");
    }
    let disk = SimDisk::new(1);
    put(&disk, 4, &mut state(40, 1)).unwrap();
    let abandoned = write(&disk, Path::new(DIRECTORY), place(5), state(60, 2).share_records(), &mut |_| false);
    assert!(matches!(abandoned, Err(WriteError::Abandoned)));
    assert_eq!(disk.paths(), [path(4)]);
}
