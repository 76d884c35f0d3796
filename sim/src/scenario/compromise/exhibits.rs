//! Tables of the runs beside each other, and what must hold of them.

use super::{Case, attempts::Attempt, figures::Figures};
use crate::{
    floor::{Role, dollars},
    report::{Check, Exhibit, duration, integer, usd, usd_whole},
};

/// A finished run with what was different in it.
pub type Run = (Case, Figures);

/// Everything that compares the runs.
pub fn exhibits(runs: &[Run]) -> Vec<Exhibit> {
    let mut exhibits = vec![takings(runs)];
    exhibits.extend(runs.iter().filter(|(_, figures)| !figures.attempts.is_empty()).map(attempts));
    exhibits.extend(runs.iter().filter(|(case, _)| *case == Case::Leaving).map(|(_, figures)| leaving(figures)));
    exhibits
}

fn table(title: String, head: &[&str], alignment: &str, rows: Vec<Vec<String>>) -> Exhibit {
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    Exhibit::Table { title, head, alignment: alignment.into(), rows }
}

fn takings(runs: &[Run]) -> Exhibit {
    let row = |(case, figures): &Run| {
        let victim = figures.victim.map_or_else(
            || "none".into(),
            |(lost, limit)| format!("{} of {}", usd(dollars(lost)), usd_whole(dollars(limit.into()))),
        );
        vec![
            case.name().into(),
            usd(dollars(figures.taken)),
            usd_whole(dollars(figures.outflow_max)),
            victim,
            integer(figures.liquidated),
            usd_whole(dollars(figures.left_vault)),
        ]
    };
    let head = ["whose key", "thief gained", "limiter lets out", "session lost", "liquidations", "left the vault"];
    table("What a stolen key is worth in a day".into(), &head, "lrrrrr", runs.iter().map(row).collect())
}

fn attempts((case, figures): &Run) -> Exhibit {
    let row = |attempt: &Attempt| {
        let answers: Vec<_> =
            attempt.answers.iter().map(|(answer, times)| format!("{answer} ×{}", integer(*times))).collect();
        vec![attempt.what.into(), integer(attempt.tries()), answers.join(", ")]
    };
    let rows = figures.attempts.iter().map(row).collect();
    table(format!("What was tried with the key: {}", case.name()), &["what", "tries", "answers"], "lrl", rows)
}

/// When everybody was out.
fn leaving(figures: &Figures) -> Exhibit {
    let mut rows = Vec::new();
    for role in
        [Role::Bystander, Role::Taker, Role::Leveraged, Role::Maker, Role::Liquidator, Role::Keeper, Role::Staker]
    {
        let mut times: Vec<_> =
            figures.leaving.iter().filter(|(who, _)| *who == role).map(|(_, after)| *after).collect();
        times.sort_unstable();
        if let (Some(first), Some(last)) = (times.first(), times.last()) {
            let count = integer(times.len() as u64);
            rows.push(vec![role.name().into(), count, hours(*first), hours(*last)]);
        }
    }
    if let Some(after) = figures.loosened_after {
        rows.push(vec!["the first change that loosens".into(), String::new(), hours(after), String::new()]);
    }
    let title = "When everybody had been paid and had closed the account, after the theft";
    table(title.into(), &["who", "accounts", "first", "last"], "lrrr", rows)
}

fn hours(seconds: i64) -> String {
    duration(seconds as f64)
}

/// What the runs must show.
pub fn checks(runs: &[Run]) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |description: String, times: u64, holds: bool| {
        let id = format!("C{}", checks.len() + 1);
        checks.push(Check { id, description, times, passed: holds && times > 0 });
    };
    for (case, figures) in runs {
        let tries: u64 = figures.attempts.iter().map(Attempt::tries).sum();
        let wrong: u64 = figures.attempts.iter().map(Attempt::wrong).sum();
        let name = case.name();
        match case {
            Case::Nobody => continue,
            Case::Admin | Case::Leaving => {
                let text = format!("key {name}: the thief gains no more than the limiter lets out in a day");
                check(text, 1, figures.taken <= figures.outflow_max);
            }
            Case::Guardian | Case::Session => {
                // An accomplice in the market may earn what the session loses, and no more.
                let text = format!("key {name}: nothing leaves the vault to the thief");
                let by_trading = figures.victim.map_or(0, |(lost, _)| lost);
                check(text, tries, figures.taken <= by_trading);
            }
        }
        check(format!("key {name}: every attempt got the answer it should"), tries, wrong == 0);
        check(format!("key {name}: nothing was looser before its time"), 1, figures.loosened.is_empty());
        if let Some((lost, limit)) = figures.victim {
            check(
                format!("key {name}: no day's orders lost more than the session may"),
                tries,
                lost <= i128::from(limit),
            );
        }
        if *case == Case::Leaving {
            let last = figures.leaving.iter().map(|(_, after)| *after).max();
            let before = last.zip(figures.loosened_after).is_some_and(|(last, loosened)| last < loosened);
            let count = figures.leaving.len() as u64;
            check("everybody had left before anything looser took effect".into(), count, before);
            check("what was refused as too early does take effect in time".into(), 1, figures.loosened_after.is_some());
        }
    }
    checks
}
