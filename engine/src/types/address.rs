//! The address of an account.

use super::digest::{ParseHexError, parse_hex, thirty_two_bytes, write_hex};
use std::fmt;
use std::str::FromStr;

thirty_two_bytes! {
    /// Names an account: the Ed25519 public key of its first key.
    ///
    /// Self-certifying: nobody registers an account; it comes into being when it is first paid or when its first own
    /// transaction is in a block. The fourteen
    /// encodings of points of low order, for which anyone can sign, are refused as addresses.
    Address
}
