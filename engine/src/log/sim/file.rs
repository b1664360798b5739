//! One file of the simulated disk: what the running system sees, what is on the medium, and what is on its way.

use std::collections::BTreeMap;

use super::random::Chance;

pub(super) const PAGE: usize = 4096;
const SECTOR: usize = 512;
/// Of the versions of a page between two syncs, so many are kept; the oldest make room.
const VERSIONS_MAX: usize = 6;

type Page = Box<[u8]>;

/// A file. Pages are counted from its beginning.
#[derive(Clone, Debug, Default)]
pub(super) struct SimFile {
    /// What reads show.
    pub(super) cached: Vec<u8>,
    /// What would be left if the power went now and nothing more were written.
    pub(super) durable: Vec<u8>,
    /// For each page written since the last sync, what was written, in order.
    pending: BTreeMap<usize, Vec<Page>>,
}

/// The bytes of a page, as long as one, whatever the file's end.
fn page_of(bytes: &[u8], page: usize) -> Page {
    let mut copy = vec![0; PAGE];
    if let Some(rest) = bytes.get(page * PAGE..) {
        let length = rest.len().min(PAGE);
        copy[..length].copy_from_slice(&rest[..length]);
    }
    copy.into()
}

/// Puts a page where it belongs, as far as the file reaches.
fn put(bytes: &mut [u8], page: usize, content: &[u8]) {
    if let Some(rest) = bytes.get_mut(page * PAGE..) {
        let length = rest.len().min(PAGE);
        rest[..length].copy_from_slice(&content[..length]);
    }
}

impl SimFile {
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.cached.len() < end {
            self.cached.resize(end, 0);
        }
        self.cached[offset..end].copy_from_slice(bytes);
        for page in offset / PAGE..end.div_ceil(PAGE) {
            let versions = self.pending.entry(page).or_default();
            if versions.len() == VERSIONS_MAX {
                versions.remove(0);
            }
            versions.push(page_of(&self.cached, page));
        }
    }

    /// A sync that did what it says.
    pub(super) fn sync(&mut self) {
        self.durable.resize(self.cached.len(), 0);
        for page in std::mem::take(&mut self.pending).into_keys() {
            put(&mut self.durable, page, &page_of(&self.cached, page));
        }
    }

    /// A sync that failed: some of it was written, of the rest nobody knows any more. The cache still shows it.
    pub(super) fn sync_failed(&mut self, chance: &mut Chance) {
        for (page, versions) in std::mem::take(&mut self.pending) {
            if let Some(last) = versions.last().filter(|_| chance.one_in(4)) {
                put(&mut self.durable, page, last);
            }
        }
    }

    /// One of the pages that wait to be written, by a number.
    pub(super) fn pending_page(&self, chance: &mut Chance) -> Option<usize> {
        self.pending.keys().nth(chance.index(self.pending.len())).copied()
    }

    /// Takes a waiting page away: the device will write it somewhere else. The cache still shows it here.
    pub(super) fn divert(&mut self, page: usize) -> Option<Page> {
        self.pending.remove(&page)?.pop()
    }

    /// What the device wrote here by mistake; unseen for as long as the right page is cached.
    pub(super) fn misplace(&mut self, page: usize, content: &[u8]) {
        put(&mut self.durable, page, content);
    }

    /// Pages that don't wait to be written are read anew from the medium.
    pub(super) fn drop_cache(&mut self) {
        for page in 0..self.cached.len().div_ceil(PAGE) {
            if !self.pending.contains_key(&page) {
                let content = page_of(&self.durable, page);
                put(&mut self.cached, page, &content);
            }
        }
    }

    /// The power goes. Each page that was waiting is on the medium in any version, or in sectors of two; the length is
    /// anything between the two that it could be, and what nobody wrote there is noise.
    pub(super) fn power_cut(&mut self, chance: &mut Chance) {
        let (short, long) = (self.durable.len(), self.cached.len());
        if long > short {
            let length = match chance.below(3) {
                0 => short,
                1 => long,
                _ => (short + chance.index(long - short)).next_multiple_of(PAGE).min(long),
            };
            self.durable.resize(length, 0);
            if chance.one_in(2) {
                chance.fill(&mut self.durable[short..]);
            }
        }
        for (page, versions) in std::mem::take(&mut self.pending) {
            let before = page_of(&self.durable, page);
            let pick = |chance: &mut Chance| match chance.index(versions.len() + 1).checked_sub(1) {
                Some(version) => versions[version].clone(),
                None => before.clone(),
            };
            let mut content = pick(chance);
            if chance.one_in(4) {
                let other = pick(chance);
                for (sector, from) in content.chunks_mut(SECTOR).zip(other.chunks(SECTOR)) {
                    if chance.one_in(2) {
                        sector.copy_from_slice(from);
                    }
                }
            }
            put(&mut self.durable, page, &content);
        }
        self.cached.clone_from(&self.durable);
    }

    /// Turns one bit on the medium, and in the cache where that came from there.
    pub(super) fn rot(&mut self, offset: usize, bit: u32) {
        if let Some(byte) = self.durable.get_mut(offset) {
            *byte ^= 1 << (bit % 8);
            let value = *byte;
            if !self.pending.contains_key(&(offset / PAGE))
                && let Some(cached) = self.cached.get_mut(offset)
            {
                *cached = value;
            }
        }
    }
}
