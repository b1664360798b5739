//! Loads as bytes: where they are kept, and how they are cut into submissions.

mod cutter;
mod format;
mod hints;
mod map;
mod reader;
mod spool;
mod writer;

pub(crate) use cutter::{Cutter, Piece};
pub(crate) use format::Header;
pub(crate) use hints::Hints;
pub(crate) use reader::Load;
pub(crate) use spool::Spool;
pub(crate) use writer::{LoadWriter, stamp};
