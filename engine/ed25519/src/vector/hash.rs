//! SHA-512 of eight messages at a time: the challenge `R ‖ A ‖ M`.
//!
//! Messages of up to 47 bytes make one block with their padding. Messages are grouped by their number of blocks, so that no
//! lane waits for a longer one; those of more than [`BLOCKS_MAX`] blocks, where a lane gains little, go one by one.

use sha2::{Digest, Sha512};

use super::{LANES, Machine, Words, Work};
use crate::Item;

/// Blocks of the longest message that is hashed in lanes.
const BLOCKS_MAX: usize = 4;

/// Bytes of a block.
const BLOCK: usize = 128;

/// A digest as eight words, the first byte the lowest: the number of which the challenge is the remainder.
pub(crate) type Digest512 = [u64; 8];

/// Hashes every item; the slices are of equal length.
pub(crate) struct Hash<'a, 'b> {
    /// What to hash.
    pub(crate) items: &'a [Item<'b>],
    /// Where the digests go.
    pub(crate) digests: &'a mut [Digest512],
}

impl<M: Machine> Work<M> for Hash<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn work(mut self, machine: M) {
        let mut counts = [0_usize; BLOCKS_MAX + 1];
        for item in self.items {
            if let Some(count) = counts.get_mut(blocks(item)) {
                *count += 1;
            }
        }
        for (blocks_each, count) in counts.into_iter().enumerate() {
            if count > 0 {
                self.hash_class(machine, blocks_each);
            }
        }
        for (item, digest) in self.items.iter().zip(self.digests) {
            if blocks(item) > BLOCKS_MAX {
                *digest = hash_one(item);
            }
        }
    }
}

impl Hash<'_, '_> {
    /// Hashes the items of so many blocks.
    #[inline(always)]
    fn hash_class<M: Machine>(&mut self, machine: M, blocks_each: usize) {
        let mut members = (0..self.items.len()).filter(|index| self.items.get(*index).map(blocks) == Some(blocks_each));
        let mut buffers = [[0; BLOCK]; LANES];
        loop {
            let mut places = [0; LANES];
            let mut taken = 0;
            for (place, member) in places.iter_mut().zip(members.by_ref()) {
                *place = member;
                taken += 1;
            }
            if taken == 0 {
                return;
            }
            let mut state = [M::Words::splat(machine, 0); 8];
            for (state, word) in state.iter_mut().zip(INITIAL) {
                *state = M::Words::splat(machine, word);
            }
            for block in 0..blocks_each {
                for (buffer, place) in buffers.iter_mut().zip(&places[..taken]) {
                    if let Some(item) = self.items.get(*place) {
                        fill(item, block, blocks_each, buffer);
                    }
                }
                state = compress::<M>(machine, state, M::Words::load_blocks(machine, &buffers));
            }
            let digests = M::Words::store_digests(state);
            for (digest, place) in digests.iter().zip(&places[..taken]) {
                if let Some(out) = self.digests.get_mut(*place) {
                    *out = *digest;
                }
            }
        }
    }
}

/// Blocks of an item's challenge, padding included.
fn blocks(item: &Item<'_>) -> usize {
    (64_usize.saturating_add(item.message.len()).saturating_add(17)).div_ceil(BLOCK)
}

/// Writes one block of `R ‖ A ‖ M ‖ padding`; `of` is the number of blocks.
#[inline(always)]
fn fill(item: &Item<'_>, block: usize, of: usize, buffer: &mut [u8; BLOCK]) {
    // The part of the message that lies in this block, and where it begins.
    let (message, start) = if block == 0 {
        buffer[..32].copy_from_slice(item.nonce());
        buffer[32..64].copy_from_slice(item.key);
        (item.message, 64)
    } else {
        (item.message.get(block * BLOCK - 64..).unwrap_or(&[]), 0)
    };
    let length = message.len().min(BLOCK - start);
    let end = start + length;
    buffer[start..end].copy_from_slice(&message[..length]);
    buffer[end..].fill(0);
    // The bit after the message falls into this block if the message's end does, and didn't fill the one before.
    let ends_here = length < BLOCK - start;
    let ended_before = block > 0 && item.message.len() < block * BLOCK - 64;
    if ends_here && !ended_before {
        buffer[end] = 0x80;
    }
    if block + 1 == of {
        let bits = (item.message.len() as u64 + 64) * 8; // at most BLOCKS_MAX blocks
        buffer[120..].copy_from_slice(&bits.to_be_bytes());
    }
}

/// One message by itself.
pub(crate) fn hash_one(item: &Item<'_>) -> Digest512 {
    let hash = Sha512::new().chain_update(item.nonce()).chain_update(item.key).chain_update(item.message).finalize();
    let bytes: [u8; 64] = hash.into();
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// The compression function of FIPS 180-4 §6.4.2.
#[inline(always)]
fn compress<M: Machine>(machine: M, state: [M::Words; 8], mut schedule: [M::Words; 16]) -> [M::Words; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    for (round, constants) in ROUND_CONSTANTS.as_chunks::<16>().0.iter().enumerate() {
        for (index, constant) in constants.iter().enumerate() {
            if round > 0 {
                let (early, late) = (schedule[(index + 1) % 16], schedule[(index + 14) % 16]);
                let s0 = M::Words::xor3(early.rotate::<1>(), early.rotate::<8>(), early.shift::<7>());
                let s1 = M::Words::xor3(late.rotate::<19>(), late.rotate::<61>(), late.shift::<6>());
                schedule[index] = schedule[index].plus(s0).plus(schedule[(index + 9) % 16].plus(s1));
            }
            let s1 = M::Words::xor3(e.rotate::<14>(), e.rotate::<18>(), e.rotate::<41>());
            let s0 = M::Words::xor3(a.rotate::<28>(), a.rotate::<34>(), a.rotate::<39>());
            let fixed = h.plus(M::Words::splat(machine, *constant)).plus(schedule[index]);
            let first = fixed.plus(s1).plus(M::Words::choose(e, f, g));
            let second = s0.plus(M::Words::majority(a, b, c));
            (h, g, f, e, d, c, b, a) = (g, f, e, d.plus(first), c, b, a, first.plus(second));
        }
    }
    let mut sum = state;
    for (sum, mixed) in sum.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *sum = sum.plus(mixed);
    }
    sum
}

/// Fractions of the square roots of the first eight primes.
const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// Fractions of the cube roots of the first eighty primes.
const ROUND_CONSTANTS: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];
