//! What the tests of the promises share: a naive model ledger, programs of transactions, and the means to run both them and the
//! engine side by side.
//!
//! ```text
//! text ──► Program ──► Model  ──► Observed ─┐
//! seed ──►         └─► Engine ──► Observed ─┴─► the first difference, shrunk
//! ```
//!
//! The model shares no code with the engine's state or execution: it is written from what the documents say. Where the two
//! differ, one of them is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod case;
pub mod compare;
pub mod directory;
pub mod disk;
pub mod language;
pub mod model;
pub mod orders;
pub mod program;
pub mod random;
pub mod sharded;
pub mod stream;

pub mod world;
