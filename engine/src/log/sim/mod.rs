//! A disk that lies: everything that a [`Storage`] may do to those who trust it, chosen by a seed.
//!
//! Each file has a cached and a durable image, and the pages that are on their way from one to the other; the names of
//! files have the same. When the power goes, each page on its way is left in any version between durable and latest, or
//! torn between two at a grain of 512 bytes; of the changes to names any subset is left, and a rename is two; a file
//! that was growing ends anywhere, in noise. A sync may fail, which drops what it was to write: the cache still shows
//! it, and the next sync says `Ok`. Writes may be short or interrupted at any time. On request a bit rots, a page is
//! written to the wrong place, the disk is full, a call fails, or the power goes at the n-th call, in a recovery
//! too.

mod file;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::file::{PAGE, SimFile};
pub use self::random::Chance;
use super::segment::Map;
use super::storage::{Access, LockError, Planted, Storage};

/// A simulated disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// What is to go wrong, and when. Calls are counted from the one after [`SimDisk::arm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The power goes in the middle of this call.
    pub power_cut_at: Option<u64>,
    /// The power goes in the middle of this write. Counts writes, not calls.
    pub power_cut_at_write: Option<u64>,
    /// The power goes instead of this sync of a directory. Counts those, not calls.
    pub power_cut_at_directory_sync: Option<u64>,
    /// This call fails with an input/output error, once.
    pub fails_at: Option<u64>,
    /// This sync of a file fails and drops what it was to write, once. Counts syncs, not calls.
    pub sync_fails_at: Option<u64>,
    /// This sync of a directory fails, once. Counts those, not calls.
    pub directory_sync_fails_at: Option<u64>,
    /// In this sync one page is written to the wrong place. Counts syncs, not calls.
    pub misplaces_at: Option<u64>,
    /// All files together can have so many bytes.
    pub capacity: Option<u64>,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    files: BTreeMap<u64, SimFile>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes to names that wait for a sync of their directory: a path and the file it names from now on.
    pending_names: Vec<(PathBuf, Option<u64>)>,
    locks: BTreeSet<PathBuf>,
    /// How often the power has come back. What was opened before is gone.
    boot: u64,
    power: bool,
    faults: Faults,
    calls: u64,
    writes: u64,
    syncs: u64,
    directory_syncs: u64,
    next_file: u64,
    planted: BTreeSet<Planted>,
    misplaced: bool,
}

/// An open file of the simulated disk.
#[derive(Debug)]
pub(crate) struct SimHandle {
    id: u64,
    boot: u64,
    path: PathBuf,
    access: Access,
}

/// A lock on the simulated disk, given back when dropped.
#[derive(Debug)]
pub(crate) struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    boot: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.boot == self.boot {
            state.locks.remove(&self.path);
        }
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power is off")
}

impl SimDisk {
    /// An empty disk whose whims follow from the seed.
    pub fn new(seed: u64) -> Self {
        let state = State {
            chance: Chance::new(seed),
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            locks: BTreeSet::new(),
            boot: 0,
            power: true,
            faults: Faults::default(),
            calls: 0,
            writes: 0,
            syncs: 0,
            directory_syncs: 0,
            next_file: 1,
            planted: BTreeSet::new(),
            misplaced: false,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Lets the code under test make a mistake from now on, to see whether anybody notices.
    pub fn plant(&self, mistake: Planted) {
        self.state.lock().planted.insert(mistake);
    }

    /// Sets what is to go wrong from now on, and begins to count calls and syncs anew.
    pub fn arm(&self, faults: Faults) {
        let mut state = self.state.lock();
        state.faults = faults;
        (state.calls, state.writes, state.syncs, state.directory_syncs) = (0, 0, 0, 0);
    }

    /// Cuts the power, unless it is off, and brings it back. What is left is what the medium has.
    pub fn power_cycle(&self) {
        let mut state = self.state.lock();
        let state = &mut *state;
        for (path, file) in std::mem::take(&mut state.pending_names) {
            // A rename is two changes, and a file system without a journal may write either alone.
            if state.chance.one_in(2) {
                set_name(&mut state.durable_names, path, file);
            }
        }
        state.names.clone_from(&state.durable_names);
        for file in state.files.values_mut() {
            file.power_cut(&mut state.chance);
        }
        let named: BTreeSet<u64> = state.names.values().copied().collect();
        state.files.retain(|id, _| named.contains(id));
        state.locks.clear();
        state.boot += 1;
        state.power = true;
        state.faults = Faults::default();
    }

    /// True if the power went at the call it was to go at.
    pub fn is_off(&self) -> bool {
        !self.state.lock().power
    }

    /// True if a page was written to the wrong place.
    pub fn has_misplaced(&self) -> bool {
        self.state.lock().misplaced
    }

    /// The durable bytes of a file, if it exists.
    pub fn durable(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state.files.get(state.names.get(path)?).map(|file| file.durable.clone())
    }

    /// Changes bytes on the medium, behind everybody's back.
    pub fn tamper(&self, path: &Path, offset: usize, bytes: &[u8]) {
        let mut state = self.state.lock();
        let Some(id) = state.names.get(path).copied() else { return };
        if let Some(file) = state.files.get_mut(&id) {
            for image in [&mut file.durable, &mut file.cached] {
                if let Some(place) = image.get_mut(offset..offset + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
            }
        }
    }

    /// Turns one bit of a file on the medium; turning it again heals it.
    pub fn rot(&self, path: &Path, offset: usize, bit: u32) {
        let mut state = self.state.lock();
        let Some(id) = state.names.get(path).copied() else { return };
        if let Some(file) = state.files.get_mut(&id) {
            file.rot(offset, bit);
        }
    }

    /// All paths, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state.lock().names.keys().cloned().collect()
    }

    /// Counts a call; fails if it is one that is to fail. With `Ok(true)` the power goes in the middle of it.
    fn call(state: &mut State) -> io::Result<bool> {
        if !state.power {
            return Err(no_power());
        }
        let number = state.calls;
        state.calls += 1;
        if state.faults.fails_at == Some(number) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        if state.faults.power_cut_at == Some(number) {
            state.power = false;
            return Ok(true);
        }
        Ok(false)
    }

    /// A call that does nothing if the power goes.
    fn whole_call(state: &mut State) -> io::Result<()> {
        if Self::call(state)? { Err(no_power()) } else { Ok(()) }
    }
}

fn set_name(names: &mut BTreeMap<PathBuf, u64>, path: PathBuf, file: Option<u64>) {
    match file {
        Some(file) => names.insert(path, file),
        None => names.remove(&path),
    };
}

impl State {
    fn rename_to(&mut self, path: &Path, file: Option<u64>) {
        set_name(&mut self.names, path.to_path_buf(), file);
        self.pending_names.push((path.to_path_buf(), file));
    }

    fn named(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&mut self, handle: &SimHandle) -> io::Result<&mut SimFile> {
        if handle.boot != self.boot {
            return Err(no_power());
        }
        self.files.get_mut(&handle.id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The device writes one of the pages of a file somewhere else: in that file, or in another.
    fn misplace(&mut self, id: u64) {
        let Some(file) = self.files.get_mut(&id) else { return };
        let Some(page) = file.pending_page(&mut self.chance) else { return };
        let Some(content) = file.divert(page) else { return };
        let other = self.files.keys().nth(self.chance.index(self.files.len())).copied();
        let target = if self.chance.one_in(2) { Some(id) } else { other };
        if let Some(file) = target.and_then(|target| self.files.get_mut(&target)) {
            let pages = file.durable.len().div_ceil(PAGE);
            let wrong = self.chance.index(pages);
            file.misplace(wrong, &content);
        }
        self.misplaced = true;
    }
}

impl Storage for SimDisk {
    type File = SimHandle;
    type Lock = SimLock;

    fn create_dir(&self, _path: &Path) -> io::Result<()> {
        Self::whole_call(&mut self.state.lock())
    }

    fn create(&self, path: &Path) -> io::Result<SimHandle> {
        let mut state = self.state.lock();
        Self::whole_call(&mut state)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.next_file;
        state.next_file += 1;
        state.files.insert(id, SimFile::default());
        state.rename_to(path, Some(id));
        Ok(SimHandle { id, boot: state.boot, path: path.to_path_buf(), access: Access::ReadWrite })
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<SimHandle> {
        let mut state = self.state.lock();
        Self::whole_call(&mut state)?;
        let id = state.named(path)?;
        Ok(SimHandle { id, boot: state.boot, path: path.to_path_buf(), access })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let cut = Self::call(&mut state)?;
        let id = state.named(from)?;
        state.rename_to(to, Some(id));
        state.rename_to(from, None);
        if cut { Err(no_power()) } else { Ok(()) }
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let cut = Self::call(&mut state)?;
        let id = state.named(from)?;
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.rename_to(to, Some(id));
        if cut { Err(no_power()) } else { Ok(()) }
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let cut = Self::call(&mut state)?;
        state.named(path)?;
        state.rename_to(path, None);
        if cut { Err(no_power()) } else { Ok(()) }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut state = self.state.lock();
        Self::whole_call(&mut state)?;
        let inside = state.names.keys().filter(|name| name.parent() == Some(path));
        Ok(inside.filter_map(|name| Some(name.file_name()?.to_os_string())).collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        Self::whole_call(&mut state)?;
        if state.faults.power_cut_at_directory_sync == Some(state.directory_syncs) {
            state.power = false;
            return Err(no_power());
        }
        state.directory_syncs += 1;
        if state.faults.directory_sync_fails_at == Some(state.directory_syncs - 1) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let (now, later) =
            std::mem::take(&mut state.pending_names).into_iter().partition(|(name, _)| name.parent() == Some(path));
        state.pending_names = later;
        let now: Vec<(PathBuf, Option<u64>)> = now;
        for (name, file) in now {
            set_name(&mut state.durable_names, name, file);
        }
        Ok(())
    }

    fn free_space(&self, _path: &Path) -> io::Result<u64> {
        let mut state = self.state.lock();
        Self::whole_call(&mut state)?;
        let used = state.used();
        Ok(state.faults.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used)))
    }

    fn lock(&self, path: &Path) -> Result<SimLock, LockError> {
        let mut state = self.state.lock();
        Self::whole_call(&mut state).map_err(LockError::Io)?;
        if !state.locks.insert(path.to_path_buf()) {
            return Err(LockError::Held(None));
        }
        Ok(SimLock { disk: self.clone(), path: path.to_path_buf(), boot: state.boot })
    }

    fn length(&self, file: &SimHandle) -> io::Result<u64> {
        let mut state = self.state.lock();
        Self::whole_call(&mut state)?;
        Ok(state.file(file)?.cached.len() as u64)
    }

    fn pwritev(&self, file: &SimHandle, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if file.access == Access::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut cut = Self::call(state)?;
        if state.faults.power_cut_at_write == Some(state.writes) {
            (cut, state.power) = (true, false);
        }
        state.writes += 1;
        let mut bytes = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect::<Vec<u8>>();
        if state.chance.one_in(64) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if cut || state.chance.one_in(16) {
            // A write may be short at any time; one that loses power has come as far as it has.
            let length = if cut { state.chance.index(bytes.len() + 1) } else { state.chance.index(bytes.len()).max(1) };
            bytes.truncate(length);
        }
        let offset = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        if let Some(capacity) = state.faults.capacity {
            let free = usize::try_from(capacity.saturating_sub(state.used())).unwrap_or(usize::MAX);
            let end = state.file(file)?.cached.len().saturating_add(free);
            if end <= offset && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            bytes.truncate(end.saturating_sub(offset));
        }
        state.file(file)?.write(&bytes, offset);
        if cut { Err(no_power()) } else { Ok(bytes.len()) }
    }

    fn pread_exact(&self, file: &SimHandle, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        Self::whole_call(&mut state)?;
        let start = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let end = start.saturating_add(buffer.len());
        let bytes = state.file(file)?.cached.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn fdatasync(&self, file: &SimHandle) -> io::Result<()> {
        let mut state = self.state.lock();
        let state = &mut *state;
        Self::whole_call(state)?;
        let number = state.syncs;
        state.syncs += 1;
        let mut chance = state.chance.clone();
        if state.faults.sync_fails_at == Some(number) {
            state.file(file)?.sync_failed(&mut chance);
            state.chance = chance;
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        if state.faults.misplaces_at == Some(number) {
            state.misplace(file.id);
        }
        state.file(file)?.sync();
        Ok(())
    }

    fn drop_cache(&self, file: &SimHandle) -> io::Result<()> {
        let mut state = self.state.lock();
        Self::whole_call(&mut state)?;
        state.file(file)?.drop_cache();
        Ok(())
    }

    fn start_writeback(&self, file: &SimHandle, _offset: u64, _bytes: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        Self::whole_call(&mut state)?;
        state.file(file).map(drop)
    }

    fn map_read_only(&self, file: &SimHandle, bytes: u64) -> io::Result<Map> {
        let (disk, handle) = (self.clone(), SimHandle { path: file.path.clone(), ..*file });
        Ok(Map::of_reads(bytes, move |buffer, offset| disk.pread_exact(&handle, buffer, offset)))
    }

    fn planted(&self, mistake: Planted) -> bool {
        self.state.lock().planted.contains(&mistake)
    }
}

impl State {
    fn used(&self) -> u64 {
        self.files.values().map(|file| file.cached.len() as u64).sum()
    }
}
