//! What a generated load is like: who pays whom, and when.

#![expect(clippy::float_arithmetic, reason = "weights of a distribution are real numbers; no balance depends on one")]

use std::fmt;
use std::str::FromStr;

/// Who pays and is paid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Distribution {
    /// Everybody alike.
    Uniform,
    /// The n-th busiest account in proportion to n^−θ, the busiest ones scattered over all accounts.
    Zipf(f64),
    /// So many accounts take this share of everything, the others the rest.
    Hot { accounts: u32, share: f64 },
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let complaint = || {
            "expected uniform, zipf:θ with θ in [0, 10], or hot:k:p with k accounts and a share p in [0, 1]".to_owned()
        };
        let number = |text: &str, max: f64| {
            let number = text.parse::<f64>().ok().filter(|number| (0.0..=max).contains(number));
            number.ok_or_else(complaint)
        };
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["uniform"] => Ok(Self::Uniform),
            ["zipf", theta] => Ok(Self::Zipf(number(theta, 10.0)?)),
            ["hot", accounts, share] => {
                let accounts = accounts.parse().ok().filter(|&accounts| accounts >= 1).ok_or_else(complaint)?;
                Ok(Self::Hot { accounts, share: number(share, 1.0)? })
            }
            _ => Err(complaint()),
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(theta) => write!(f, "zipf:{theta}"),
            Self::Hot { accounts, share } => write!(f, "hot:{accounts}:{share}"),
        }
    }
}

/// How the transactions of an open loop follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arrivals {
    /// At equal distances.
    Regular,
    /// As independent people send: exponential distances.
    Poisson,
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "regular",
            Self::Poisson => "poisson",
        })
    }
}

/// Picks accounts by a distribution from random numbers.
#[derive(Debug)]
pub(crate) enum Picker {
    Uniform { count: u32 },
    Zipf { cumulative: Vec<u64> },
    Hot { count: u32, hot: u32, below: u64 },
}

/// The heaviest weight of a Zipf distribution; the others are whole numbers below it.
const WEIGHT_MAX: f64 = 68_719_476_736.0;

impl Picker {
    /// For so many accounts. An error says what the distribution needs.
    pub(crate) fn new(distribution: Distribution, count: u32) -> Result<Self, String> {
        Ok(match distribution {
            Distribution::Uniform => Self::Uniform { count },
            Distribution::Zipf(theta) => {
                let mut sum = 0_u64;
                let cumulative = (1..=count)
                    .map(|rank| {
                        sum = sum.saturating_add(whole(WEIGHT_MAX * f64::from(rank).powf(-theta)).max(1));
                        sum
                    })
                    .collect();
                Self::Zipf { cumulative }
            }
            Distribution::Hot { accounts, .. } if accounts >= count => {
                return Err(format!("hot:{accounts}: expected fewer than all {count} accounts, found {accounts}"));
            }
            Distribution::Hot { accounts, share } => {
                Self::Hot { count, hot: accounts, below: whole(share * 18_446_744_073_709_551_616.0) }
            }
        })
    }

    /// The account that two random numbers stand for.
    pub(crate) fn pick(&self, first: u64, second: u64) -> u32 {
        match self {
            Self::Uniform { count } => scaled(first, *count),
            Self::Zipf { cumulative } => {
                let count = u32::try_from(cumulative.len()).unwrap_or(u32::MAX);
                let total = cumulative.last().copied().unwrap_or(1);
                let at = u64::try_from((u128::from(first) * u128::from(total)) >> 64).unwrap_or(0);
                let rank = cumulative.partition_point(|&sum| sum <= at);
                scattered(u32::try_from(rank).unwrap_or(0), count)
            }
            Self::Hot { count, hot, below } if first < *below => scattered(scaled(second, *hot), *count),
            Self::Hot { count, hot, .. } => scattered(hot + scaled(second, count - hot), *count),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is what is wanted")]
const fn whole(number: f64) -> u64 {
    number as u64
}

/// A random number brought into `0..count`.
fn scaled(random: u64, count: u32) -> u32 {
    u32::try_from((u128::from(random) * u128::from(count)) >> 64).unwrap_or(0)
}

/// Another order of `0..count`: multiplication by a prime above every count is one-to-one.
fn scattered(rank: u32, count: u32) -> u32 {
    const PRIME: u64 = 2_654_435_761;
    let place = (u64::from(rank) * PRIME) % u64::from(count.max(1));
    u32::try_from(place).unwrap_or(0)
}

/// When the transactions of an open loop are due, in nanoseconds from the start; never ends.
#[derive(Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    rate: u64,
    sent: u64,
    at_ns: f64,
    random: blake3::OutputReader,
}

impl Schedule {
    pub(crate) fn new(arrivals: Arrivals, rate: u64, seed: u64) -> Self {
        let random =
            blake3::Hasher::new_derive_key("nostro 1 loadgen arrivals").update(&seed.to_le_bytes()).finalize_xof();
        Self { arrivals, rate: rate.max(1), sent: 0, at_ns: 0.0, random }
    }
}

impl Iterator for Schedule {
    type Item = u64;

    #[expect(clippy::cast_precision_loss, reason = "2^-53 of a second's randomness is enough")]
    fn next(&mut self) -> Option<u64> {
        let sent = self.sent;
        self.sent += 1;
        if self.arrivals == Arrivals::Regular {
            return u64::try_from(u128::from(sent) * 1_000_000_000 / u128::from(self.rate)).ok();
        }
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        // In (0, 1], so that its logarithm exists.
        let uniform = ((u64::from_le_bytes(bytes) >> 11) + 1) as f64 / 9_007_199_254_740_992.0;
        self.at_ns += -uniform.ln() * 1e9 / self.rate as f64;
        Some(whole(self.at_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str, accounts: u32, picks: u32) -> Vec<u32> {
        let picker = Picker::new(text.parse().unwrap(), accounts).unwrap();
        let mut random = blake3::Hasher::new().finalize_xof();
        let mut counts = vec![0; accounts as usize];
        for _ in 0..picks {
            let mut bytes = [0; 16];
            random.fill(&mut bytes);
            let [first, second] = [0, 8].map(|at| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap()));
            counts[picker.pick(first, second) as usize] += 1;
        }
        counts
    }

    #[test]
    fn every_distribution_gives_the_shares_it_is_named_for() {
        let uniform = counts("uniform", 100, 100_000);
        assert!(uniform.iter().all(|&count| (850..1150).contains(&count)), "{uniform:?}");
        let mut zipf = counts("zipf:1", 100, 100_000);
        zipf.sort_unstable_by(|one, other| other.cmp(one));
        // The harmonic number of 100 is 5.187: the busiest takes 19.3 %, the next half of that.
        assert!((18_700..19_900).contains(&zipf[0]) && (9_200..10_100).contains(&zipf[1]), "{zipf:?}");
        let mut hot = counts("hot:3:0.9", 100, 100_000);
        hot.sort_unstable_by(|one, other| other.cmp(one));
        assert!((89_000..91_000).contains(&hot[..3].iter().sum::<u32>()), "{hot:?}");
        assert!(hot[3] < 200, "{hot:?}");
    }

    #[test]
    fn what_is_no_distribution_is_told_so() {
        for text in ["", "zipf", "zipf:", "zipf:-1", "zipf:nan", "hot:0:0.5", "hot:5", "hot:5:1.5", "uniform:1"] {
            assert!(text.parse::<Distribution>().is_err(), "{text}");
        }
        assert!(Picker::new("hot:10:0.5".parse().unwrap(), 10).is_err());
    }

    #[test]
    fn arrivals_keep_their_rate_and_ascend() {
        for arrivals in [Arrivals::Regular, Arrivals::Poisson] {
            let dues: Vec<u64> = Schedule::new(arrivals, 1000, 7).take(100_001).collect();
            assert!(dues.windows(2).all(|pair| pair[0] <= pair[1]));
            let last = dues[100_000];
            assert!((98_500_000_000..101_500_000_000).contains(&last), "{arrivals}: {last}");
        }
    }
}
