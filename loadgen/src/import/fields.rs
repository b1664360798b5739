//! Fields of rows: each is read strictly, and says what it should have been.

/// What a field should have been.
pub(super) type Expected = &'static str;

/// A whole number.
pub(super) fn whole(text: &str) -> Result<u128, Expected> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or("a whole number below 2^128")
}

/// A number with or without decimal places: its digits, and how many places there are.
pub(super) fn decimal(text: &str) -> Result<(u128, u8), Expected> {
    const EXPECTED: Expected = "an amount such as 12 or 12.50, below 2^128 without its point, of at most 30 places";
    let (units, places) = text.split_once('.').unwrap_or((text, ""));
    if units.is_empty() || places.len() > 30 || (text.contains('.') && places.is_empty()) {
        return Err(EXPECTED);
    }
    let digits = whole(&format!("{units}{places}")).map_err(|_| EXPECTED)?;
    Ok((digits, u8::try_from(places.len()).map_err(|_| EXPECTED)?))
}

/// Hexadecimal digits behind `0x`: exactly `bytes` of them, or any whole number of bytes.
pub(super) fn is_hexadecimal(text: &str, bytes: Option<usize>) -> bool {
    text.strip_prefix("0x").is_some_and(|digits| {
        let length = bytes.map_or(digits.len().is_multiple_of(2), |bytes| digits.len() == bytes * 2);
        length && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Seconds since 1970, as milliseconds.
pub(super) fn seconds(text: &str) -> Result<u64, Expected> {
    let seconds = whole(text).ok().and_then(|seconds| u64::try_from(seconds).ok());
    seconds.filter(|&seconds| seconds < 100_000_000_000).map(|seconds| seconds * 1000).ok_or("seconds since 1970")
}

/// A time as seconds or milliseconds since 1970, or as text, in milliseconds. Whole numbers from 10¹¹ on are milliseconds.
pub(super) fn time(text: &str) -> Result<u64, Expected> {
    const EXPECTED: Expected =
        "a time before the year 5138: seconds or milliseconds since 1970, or such as 2020-07-28T00:11:07Z";
    if let Ok(number) = whole(text) {
        let milliseconds = || u64::try_from(number).ok().filter(|&number| number < 100_000_000_000_000);
        return seconds(text).ok().or_else(milliseconds).ok_or(EXPECTED);
    }
    written_time(text).map_err(|_| EXPECTED)
}

/// A time such as `2020-07-28T00:11:07Z`, with or without a fraction; in milliseconds since 1970.
pub(super) fn written_time(text: &str) -> Result<u64, Expected> {
    parse_time(text).ok_or("a time such as 2020-07-28T00:11:07Z, from 1970 on")
}

fn parse_time(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix(" UTC")).or_else(|| text.strip_suffix("+00:00"))?;
    let (date, clock) = text.split_once(['T', ' '])?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let numbers = |text: &str, separator: char, lengths: [usize; 3]| {
        let parts: Vec<&str> = text.split(separator).collect();
        let fits = parts.len() == 3 && parts.iter().zip(lengths).all(|(part, length)| part.len() == length);
        let numbers: Vec<u64> = parts.iter().map_while(|part| u64::try_from(whole(part).ok()?).ok()).collect();
        <[u64; 3]>::try_from(numbers).ok().filter(|_| fits)
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    whole(fraction).ok()?;
    let milliseconds: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    let fits = year >= 1970 && (1..=*lengths.get(month)?).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !fits {
        return None;
    }
    let years: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let days = years + lengths.iter().take(month).sum::<u64>() + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_and_nonsense_is_not() {
        assert_eq!(time("1683029999"), Ok(1_683_029_999_000));
        assert_eq!(time("1683029999123"), Ok(1_683_029_999_123));
        assert_eq!(time("2020-07-28T00:11:07Z"), Ok(1_595_895_067_000));
        assert_eq!(time("2024-02-29 23:59:59.5 UTC"), Ok(1_709_251_199_500));
        assert_eq!(time("99999999999999"), Ok(99_999_999_999_999));
        // In nanoseconds, and what would be the time of all later blocks.
        for wrong in ["1683029999123000000", "100000000000000", "18446744073709551615"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "-1", "2020-13-01T00:00:00Z", "2023-02-29T00:00:00Z", "2020-07-28", "2020-07-28T24:00:00Z"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_keep_their_places() {
        assert_eq!(decimal("12.50"), Ok((1250, 2)));
        assert_eq!(decimal("7"), Ok((7, 0)));
        for wrong in ["", ".5", "5.", "-1", "1e5", "1,5", "340282366920938463463374607431768211456"] {
            assert!(decimal(wrong).is_err(), "{wrong}");
        }
    }
}
