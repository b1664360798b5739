//! `trans.asc` of the Berka data set (PKDD'99): a header, then a row per movement of a bank's account, fields quoted and separated by `;`.
//!
//! A credit comes from the partner it names, or from outside: minted by the issuer. A debit goes there. What a row says is left is
//! checked by the ledger itself: the transaction requires that the account has exactly that.
//!
//! Rows of one account and day stand in any order in the file; their balances say in which they happened. They are walks along the
//! balances, so the order is that of a walk that takes every row (Hierholzer 1873).

use super::fields::{decimal, whole};
use super::sheet::{Leaves, Party, Payment, Row, Sheet};
use super::table::{Fields, Table};
use super::tally::BadRow;
use crate::failure::Failure;
use std::collections::{BTreeMap, VecDeque};

/// Decimal places of a crown.
const SCALE: u8 = 2;
const DAY_MS: u64 = 86_400_000;
const COLUMNS: [&str; 10] =
    ["trans_id", "account_id", "date", "type", "operation", "amount", "balance", "k_symbol", "bank", "account"];
/// What a row may say of how money moved; nothing where the bank itself paid or took it.
const OPERATIONS: [&str; 6] = ["", "VKLAD", "PREVOD Z UCTU", "PREVOD NA UCET", "VYBER", "VYBER KARTOU"];

/// A row.
#[derive(Clone, Debug)]
struct Movement {
    line: u64,
    account: u32,
    partner: u32,
    time_ms: u64,
    amount: u128,
    is_credit: bool,
    /// What the account has after it, in hundredths.
    balance: i128,
    /// By how much it has changed by then, of the rows that are taken.
    change: i128,
}

impl Movement {
    fn signed(&self) -> i128 {
        let amount = i128::try_from(self.amount).unwrap_or(i128::MAX);
        if self.is_credit { amount } else { -amount }
    }

    fn before(&self) -> i128 {
        self.balance.saturating_sub(self.signed())
    }
}

/// Reads all rows.
pub(super) fn read(sheet: &mut Sheet) -> Result<(), Failure> {
    let mut table = Table::open(&sheet.tally.file, b';')?;
    for column in COLUMNS {
        table.column(column)?;
    }
    let issuer = sheet.party(Party::Issuer("CZK".to_owned()));
    let crown = sheet.asset(issuer, "CZK".parse().map_err(Failure::new)?, SCALE);
    let mut movements = Vec::new();
    while let Some(fields) = table.next_row() {
        match fields.and_then(|fields| movement(sheet, issuer, &fields)) {
            Ok(movement) => movements.push(movement),
            Err(bad) => sheet.take(Err(bad))?,
        }
    }
    movements.sort_by_key(|movement| movement.time_ms);
    for movement in in_order(sheet, crown, &movements)? {
        let Movement { line, account, partner, time_ms, amount, is_credit, change, .. } = movement;
        let (payer, payee) = if is_credit { (partner, account) } else { (account, partner) };
        let (leaves, time_ms) = (Some(Leaves { account, change }), Some(time_ms));
        sheet.take(Ok(Row::Payment(Payment {
            line,
            payer,
            payee,
            asset: crown,
            amount,
            places: SCALE,
            time_ms,
            leaves,
        })))?;
    }
    Ok(())
}

fn movement(sheet: &mut Sheet, issuer: u32, fields: &Fields) -> Result<Movement, BadRow> {
    let get = |column: &str| fields.get(column).map(str::trim);
    let number = |column: &str| {
        let text = get(column)?;
        whole(text).map_err(|expected| fields.bad(column, expected, text))
    };
    number("trans_id")?;
    let name = number("account_id")?.to_string();
    let date = get("date")?;
    let time_ms =
        day(date).ok_or_else(|| fields.bad("date", "a date such as 930101, of the years 1970 to 1999", date))?;
    let is_credit = match get("type")? {
        "PRIJEM" => true,
        "VYDAJ" | "VYBER" => false,
        other => return Err(fields.bad("type", "PRIJEM, VYDAJ or VYBER", other)),
    };
    let operation = get("operation")?;
    if !OPERATIONS.contains(&operation) {
        let expected = "nothing, VKLAD, PREVOD Z UCTU, PREVOD NA UCET, VYBER or VYBER KARTOU";
        return Err(fields.bad("operation", expected, operation));
    }
    let text = get("amount")?;
    let amount = hundredths(text).ok_or_else(|| fields.bad("amount", "an amount with at most two places", text))?;
    let text = get("balance")?;
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let balance = hundredths(digits).and_then(|balance| i128::try_from(balance).ok());
    let balance = balance.ok_or_else(|| fields.bad("balance", "an amount with at most two places", text))?;
    get("k_symbol")?;
    let (bank, number) = (get("bank")?, get("account")?);
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fields.bad("account", "an account's number, or nothing", number));
    }
    if !(bank.is_empty() || bank.len() == 2 && bank.bytes().all(|byte| byte.is_ascii_uppercase())) {
        return Err(fields.bad("bank", "two capital letters, or nothing", bank));
    }
    let account = sheet.party(Party::Account(name));
    let partner = if bank.is_empty() || number.is_empty() {
        issuer
    } else {
        sheet.party(Party::Account(format!("{bank}{number}")))
    };
    let balance = if is_negative { -balance } else { balance };
    Ok(Movement { line: fields.line, account, partner, time_ms, amount, is_credit, balance, change: 0 })
}

/// An amount in hundredths, below 2^127.
fn hundredths(text: &str) -> Option<u128> {
    let (digits, places) = decimal(text).ok()?;
    let missing = u32::from(SCALE.checked_sub(places)?);
    digits.checked_mul(10_u128.checked_pow(missing)?).filter(|&amount| i128::try_from(amount).is_ok())
}

/// The beginning of a day such as 930101, in milliseconds.
fn day(text: &str) -> Option<u64> {
    if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, month, day) = (text.get(..2)?, text.get(2..4)?, text.get(4..)?);
    super::fields::written_time(&format!("19{year}-{month}-{day}T00:00:00Z")).ok().map(|time| time / DAY_MS * DAY_MS)
}

/// Puts the rows of every account and day, given in order of their days, into the order of their balances; says what accounts have
/// before their first row.
fn in_order(sheet: &mut Sheet, asset: u32, movements: &[Movement]) -> Result<Vec<Movement>, Failure> {
    // By account: its balance as the data set says, and its change by the rows taken.
    let mut accounts: BTreeMap<u32, (i128, i128)> = BTreeMap::new();
    let mut ordered = Vec::with_capacity(movements.len());
    for of_a_day in movements.chunk_by(|one, other| one.time_ms == other.time_ms) {
        let mut queues: BTreeMap<u32, Vec<Movement>> = BTreeMap::new();
        for movement in of_a_day {
            queues.entry(movement.account).or_default().push(movement.clone());
        }
        let mut walks: BTreeMap<u32, VecDeque<Movement>> = BTreeMap::new();
        for (account, rows) in queues {
            let start = match accounts.get(&account) {
                Some(&(balance, _)) => balance,
                None => first_balance(&rows),
            };
            accounts.entry(account).or_insert_with(|| {
                if let Ok(balance) = u128::try_from(start)
                    && balance > 0
                {
                    sheet.before.insert((account, asset), balance);
                }
                (start, 0)
            });
            walks.insert(account, walk(start, rows).into());
        }
        // In the order of the file between accounts.
        for place in of_a_day {
            let Some(mut movement) = walks.get_mut(&place.account).and_then(VecDeque::pop_front) else { continue };
            let Some((balance, change)) = accounts.get_mut(&place.account) else { continue };
            let expected = balance.saturating_add(movement.signed());
            let found = movement.balance;
            *balance = found;
            if expected != found {
                sheet.tally.count()?;
                let expected = format!("{}, by the rows before it", crowns(expected));
                sheet.tally.take_bad(BadRow::new(movement.line, "balance", &expected, &crowns(found)))?;
                continue;
            }
            *change = change.saturating_add(movement.signed());
            movement.change = *change;
            ordered.push(movement);
        }
    }
    Ok(ordered)
}

fn crowns(hundredths: i128) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let absolute = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", absolute / 100, absolute % 100)
}

/// What an account has before its first day: nothing, if one of the rows begins there; else what the first that no other leads to
/// begins with.
fn first_balance(rows: &[Movement]) -> i128 {
    if rows.iter().any(|row| row.before() == 0) {
        return 0;
    }
    let leads = |balance: i128| rows.iter().filter(|row| row.balance == balance).count();
    let begins = |balance: i128| rows.iter().filter(|row| row.before() == balance).count();
    let first = rows.iter().find(|row| begins(row.before()) > leads(row.before())).or(rows.first());
    first.map_or(0, Movement::before)
}

/// The order in which rows lead from balance to balance; that of the file if there is none.
fn walk(start: i128, rows: Vec<Movement>) -> Vec<Movement> {
    // By the balance they begin with: places of rows, the last in the file first.
    let mut from: BTreeMap<i128, Vec<usize>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate().rev() {
        from.entry(row.before()).or_default().push(place);
    }
    let mut path = Vec::with_capacity(rows.len());
    let mut stack: Vec<(i128, Option<usize>)> = vec![(start, None)];
    while let Some(&(balance, row)) = stack.last() {
        match from.get_mut(&balance).and_then(Vec::pop) {
            Some(next) => stack.push((rows[next].balance, Some(next))),
            None => {
                path.extend(row);
                stack.pop();
            }
        }
    }
    path.reverse();
    let leads_on = path.iter().try_fold(start, |balance, &place| {
        let row = &rows[place];
        (row.before() == balance).then_some(row.balance)
    });
    if path.len() < rows.len() || leads_on.is_none() {
        return rows;
    }
    path.into_iter().map(|place| rows[place].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(start: i128, changes: &[(i128, i128)]) -> Vec<Movement> {
        let row = |(line, &(signed, balance)): (usize, &(i128, i128))| Movement {
            line: line as u64,
            account: 0,
            partner: 1,
            time_ms: 0,
            amount: signed.unsigned_abs(),
            is_credit: signed > 0,
            balance,
            change: start,
        };
        changes.iter().enumerate().map(row).collect()
    }

    #[test]
    fn the_rows_of_a_day_are_walked_along_their_balances() {
        let lines = |rows: Vec<Movement>| rows.iter().map(|row| row.line).collect::<Vec<u64>>();
        // The way by 70 would end before all rows are taken.
        let day = rows(100, &[(-30, 70), (-50, 50), (50, 100)]);
        assert_eq!(lines(walk(100, day)), [1, 2, 0]);
        let day = rows(0, &[(5, 15), (10, 10)]);
        assert_eq!(first_balance(&day), 0);
        assert_eq!(lines(walk(0, day)), [1, 0]);
        let day = rows(0, &[(5, 28), (3, 23)]);
        assert_eq!(first_balance(&day), 20);
        // No way takes them all: the file's order.
        assert_eq!(lines(walk(0, rows(0, &[(5, 15), (5, 7)]))), [0, 1]);
    }

    #[test]
    fn days_and_amounts_are_read_strictly() {
        assert_eq!(day("700101"), Some(0));
        assert_eq!(day("930101"), Some(725_846_400_000));
        for wrong in ["", "93010", "930230", "690101", "93-1-1"] {
            assert_eq!(day(wrong), None, "{wrong}");
        }
        assert_eq!((hundredths("3.3"), hundredths("700"), hundredths("0.05")), (Some(330), Some(70_000), Some(5)));
        assert_eq!((hundredths("1.234"), hundredths("")), (None, None));
        assert_eq!((crowns(-5), crowns(12_345)), ("-0.05".to_owned(), "123.45".to_owned()));
    }
}
