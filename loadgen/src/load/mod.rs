//! Loads as bytes: where they are kept, and how they are cut into submissions.

mod cutter;
mod map;
mod spool;

pub(crate) use cutter::Cutter;
pub(crate) use spool::Spool;
