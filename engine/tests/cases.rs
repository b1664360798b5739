//! The eight cases run, and what they show holds: each asserts it as it goes along.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::duplicate_mod,
    reason = "a test fails by panicking"
)]

macro_rules! cases {
    ($($name:ident $path:literal $lines:literal,)*) => {
        $(
            #[path = $path]
            mod $name;

            #[test]
            fn $name() {
                let story = $name::story().unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(story.len(), $lines, "{story:#?}");
            }
        )*
    };
}

cases! {
    wallet "../examples/wallet.rs" 7,
    exchange "../examples/exchange.rs" 5,
    identity "../examples/identity.rs" 5,
    data_sharing "../examples/data_sharing.rs" 5,
    trade_settlement "../examples/trade_settlement.rs" 5,
    asset_trading "../examples/asset_trading.rs" 3,
    devices "../examples/devices.rs" 5,
    city "../examples/city.rs" 4,
}
