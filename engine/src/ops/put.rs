//! Writes a record, or takes one back.
//!
//! A record is named by its owner, its kind, a key of 32 bytes and, if it is about somebody, its subject. Each account has a key space of
//! its own, so nobody can take a key away. An attestation is revoked by the one who made it and may be removed by its subject.
//!
//! **Touches** the record.
//!
//! **Goes in order**, since the places of the table of entries are given in order. What others pay meanwhile goes by shards.

use super::{Source, Touch};
use crate::state::{Context, Record};
use crate::types::{Address, RecordKind, Rejection, RejectionCode, Time};
use crate::wire::{Malformed, Reader};

/// What is to become of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PutAction {
    /// Writes one that isn't there.
    #[default]
    Create,
    /// Writes it, whether it is there or not.
    Write,
    /// Marks one as taken back. It stays, so that everybody sees that it was.
    Revoke,
    /// Removes one.
    Remove,
}

/// An order to write a record or to take one back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// What is to become of it.
    pub action: PutAction,
    /// What it is for.
    pub kind: RecordKind,
    /// Which of its owner's.
    pub key: [u8; 32],
    /// Whom it is about; an attestation needs one.
    pub subject: Option<Address>,
    /// Whose it is, if not the source's: a subject removes what another has attested.
    pub owner: Option<Address>,
    /// A hash of the writer's choosing. Zeros when a record is revoked or removed.
    pub hash: [u8; 32],
    /// The last block time at which it counts; `None` is for ever. `None` when a record is revoked or removed.
    pub expiry: Option<Time>,
    /// At most 256 bytes; of a rate exactly sixteen. None when a record is revoked or removed.
    pub value: Vec<u8>,
}

impl Put {
    pub(crate) const CODE: u8 = 4;
    pub(crate) const BYTES_MIN: usize = 88;
    pub(crate) const BYTES_MAX: usize = Self::BYTES_MIN + 64 + Self::VALUE_MAX;
    const VALUE_MAX: usize = 256;
    const HAS_SUBJECT: u8 = 1;
    const HAS_OWNER: u8 = 2;

    pub(super) fn apply(self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let owner = self.owner.unwrap_or(*source.address);
        context.check_expiry(self.expiry)?;
        let found = context.record_of(&owner, self.kind, &self.key, self.subject.as_ref());
        let (number, before) = match (self.action, found) {
            (PutAction::Create, Some((number, _))) => {
                return Err(Rejection::new(RejectionCode::RecordExists, u64::from(number)));
            }
            (PutAction::Create | PutAction::Write, None) => {
                let stale = context.stale_record(&owner, self.kind, &self.key, self.subject.as_ref());
                return self.write(owner, stale, source, context);
            }
            (PutAction::Write, Some((number, _))) => return self.write(owner, Some(number), source, context),
            (PutAction::Revoke | PutAction::Remove, None) => {
                return Err(Rejection::new(RejectionCode::NoRecord, 0));
            }
            (PutAction::Revoke | PutAction::Remove, Some(found)) => found,
        };
        let is_owner = owner == *source.address;
        let is_subject = self.kind == RecordKind::Attestation && self.subject == Some(*source.address);
        if self.action == PutAction::Revoke {
            if !is_owner {
                return Err(Rejection::new(RejectionCode::NotOwner, 0));
            }
            let revoked = Record { is_revoked: true, ..before.clone() };
            context.set_entry(number, Some(revoked.into()));
        } else {
            if !is_owner && !is_subject {
                return Err(Rejection::new(RejectionCode::NotOwner, 0));
            }
            context.set_entry(number, None);
        }
        Ok(())
    }

    /// Writes the record in a place or in a new one.
    fn write(
        self,
        owner: Address,
        place: Option<u32>,
        source: Source<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Rejection> {
        if owner != *source.address {
            return Err(Rejection::new(RejectionCode::NotOwner, 0));
        }
        let record = Record {
            owner,
            kind: self.kind,
            key: self.key,
            subject: self.subject,
            hash: self.hash,
            expiry: self.expiry,
            written: context.time(),
            is_revoked: false,
            value: self.value,
        };
        match place {
            Some(number) => context.set_entry(number, Some(record.into())),
            None => drop(context.open_entry(record.into())?),
        }
        Ok(())
    }

    /// See [`Touch`].
    #[expect(clippy::unnecessary_wraps, reason = "all operations say it alike")]
    pub(super) const fn touches(_: &[u8], _: &mut dyn FnMut(Touch)) -> Option<()> {
        Some(())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let flags = flag(Self::HAS_SUBJECT, self.subject.is_some()) | flag(Self::HAS_OWNER, self.owner.is_some());
        out.extend_from_slice(&[self.action as u8, self.kind.number()]);
        // A value that is too long gets a length that the decoder refuses.
        out.extend_from_slice(&u16::try_from(self.value.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&[flags, 0, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(&self.expiry.map_or(0, |time| time.0).to_le_bytes());
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.hash);
        self.subject.iter().chain(&self.owner).for_each(|address| out.extend_from_slice(&address.0));
        out.extend_from_slice(&self.value);
        out.resize(out.len() + self.value.len().next_multiple_of(8) - self.value.len(), 0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let field = |field, at: usize, expected, found: u64| {
            Err(Malformed::Field { field, offset: offset + at, expected, found })
        };
        let (action, kind, length) = (reader.u8()?, reader.u8()?, reader.u16()?);
        let action = match action {
            0 => PutAction::Create,
            1 => PutAction::Write,
            2 => PutAction::Revoke,
            3 => PutAction::Remove,
            other => return field("action", 0, "0 to 3", other.into()),
        };
        let Some(kind) = RecordKind::from_number(kind) else { return field("record kind", 1, "0 to 4", kind.into()) };
        let is_written = matches!(action, PutAction::Create | PutAction::Write);
        match (is_written, kind) {
            (false, _) if length != 0 => return field("value length", 2, "0 where nothing is written", length.into()),
            (true, RecordKind::Rate) if length != 16 => return field("value length", 2, "16 of a rate", length.into()),
            _ if usize::from(length) > Self::VALUE_MAX => {
                return field("value length", 2, "at most 256", length.into());
            }
            _ => {}
        }
        let flags = reader.u8()?;
        if flags & !(Self::HAS_SUBJECT | Self::HAS_OWNER) != 0 {
            return field("flags", 4, "0 to 3", flags.into());
        }
        if kind == RecordKind::Attestation && flags & Self::HAS_SUBJECT == 0 {
            return field("flags", 4, "a subject of an attestation", flags.into());
        }
        reader.reserved::<7>()?;
        let expiry = Some(reader.u64()?).filter(|&time| time != 0).map(Time);
        let (key, hash) = (reader.array()?, reader.array()?);
        if !is_written && (expiry.is_some() || hash != [0; 32]) {
            return field("expiry and hash", 12, "0 where nothing is written", expiry.map_or(1, |time| time.0));
        }
        let mut address = |flag| (flags & flag != 0).then(|| super::address(reader)).transpose();
        let (subject, owner) = (address(Self::HAS_SUBJECT)?, address(Self::HAS_OWNER)?);
        let value = reader.bytes(usize::from(length))?.to_vec();
        super::padding(reader, value.len())?;
        Ok(Self { action, kind, key, subject, owner, hash, expiry, value })
    }
}
