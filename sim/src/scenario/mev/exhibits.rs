//! Tables and charts of the runs beside each other, and what must hold of them.

use super::{
    Case,
    figures::{Figures, HORIZONS, ROUND_SLOTS},
    stage::START_MILLIS,
    stats::Mean,
    tape::ROLES,
};
use crate::{
    floor::{Role, dollars},
    report::{Check, EquityPoint, Exhibit, Sample, integer, thinned, usd, usd_whole},
};

/// Basis points by which takers may pay more than the book showed, on average and beyond the error: less than half a tick.
const COST_TOLERANCE: f64 = 0.25;
/// The histogram of costs, in basis points.
const COST_FROM: f64 = -20.0;
const COST_WIDTH: f64 = 2.5;
const COST_RANGES: usize = 30;

/// A finished run with what was different in it.
pub type Run = (Case, Figures);

/// Everything that compares the runs.
pub fn exhibits(runs: &[Run], slot_millis: u64) -> Vec<Exhibit> {
    let mut exhibits = vec![gains(runs), attackers(runs), costs(runs)];
    exhibits.extend(runs.iter().map(|(case, figures)| curves(case, figures, slot_millis)));
    exhibits.push(histogram("takers' cost over the book shown, no delay", runs, &[Case::Unattacked, Case::Undelayed]));
    exhibits.push(histogram("takers' cost over the book shown, delay", runs, &[Case::Unattacked, Case::Delayed]));
    exhibits.extend([parts(runs), markouts(runs)]);
    exhibits
}

fn table(title: &str, head: &[&str], alignment: &str, rows: Vec<Vec<String>>) -> Exhibit {
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    Exhibit::Table { title: title.into(), head, alignment: alignment.into(), rows }
}

fn bps(value: f64) -> String {
    let text = format!("{value:+.2}");
    // A value that rounds to zero has no sign.
    if text.ends_with("0.00") && value.abs() < 1.0 { "0.00".into() } else { text }
}

/// A mean and its error.
fn bps_mean(mean: &Mean) -> String {
    format!("{}±{:.2}", bps(mean.mean), mean.error)
}

/// A row per role, a column per run.
fn gains(runs: &[Run]) -> Exhibit {
    let mut rows: Vec<_> = ROLES.iter().map(|role| vec![role.name().to_owned()]).collect();
    let (mut venue, mut all) = (vec!["fees kept".to_owned()], vec!["all".to_owned()]);
    for (_, figures) in runs {
        for (row, gain) in rows.iter_mut().zip(figures.gains) {
            row.push(usd_whole(gain.whole));
        }
        let fees: f64 = -figures.gains.iter().map(|gain| gain.fees).sum::<f64>();
        venue.push(usd_whole(fees));
        all.push(usd_whole(fees + figures.gains.iter().map(|gain| gain.whole).sum::<f64>()));
    }
    rows.extend([venue, all]);
    let mut head = vec!["who"];
    head.extend(runs.iter().map(|(case, _)| case.name()));
    table("Who gained and who lost", &head, &format!("l{}", "r".repeat(runs.len())), rows)
}

fn attackers(runs: &[Run]) -> Exhibit {
    let mut rows = Vec::new();
    for (case, figures) in runs.iter().filter(|(case, _)| case.is_attacked()) {
        for ((role, attacks), (round, gain)) in
            ROLES.iter().zip(figures.attacks).zip(figures.rounds.iter().zip(figures.gains)).skip(2)
        {
            let per_attack = if attacks > 0 { gain.whole / attacks as f64 } else { 0.0 };
            rows.push(vec![
                case.name().into(),
                role.name().into(),
                integer(attacks),
                usd(per_attack),
                format!("{} ± {}", usd(round.mean), usd(round.error)),
                usd_whole(gain.whole),
            ]);
        }
    }
    let per_round = format!("per {ROUND_SLOTS} slots");
    let head = ["run", "attacker", "attacks", "per attack", &per_round, "in all"];
    table("What attacking pays", &head, "llrrrr", rows)
}

fn costs(runs: &[Run]) -> Exhibit {
    let row = |(case, figures): &Run| {
        let costs = &figures.costs;
        let mut row = vec![case.name().to_owned()];
        row.extend(costs.orders.map(integer));
        row.extend([bps_mean(&costs.raw), bps_mean(&costs.adjusted)]);
        row.extend([0.5, 0.9, 0.99].map(|share| bps(costs.quantile(share))));
        row.push(usd_whole(costs.dollars));
        row
    };
    table(
        "What takers paid beyond the book they saw, in basis points",
        &["run", "whole", "part", "none", "mean", "less drift", "50%", "90%", "99%", "in all"],
        "lrrrrrrrrr",
        runs.iter().map(row).collect(),
    )
}

fn parts(runs: &[Run]) -> Exhibit {
    let mut rows = Vec::new();
    for (case, figures) in runs {
        for (role, gain) in ROLES.iter().zip(figures.gains) {
            if case.is_attacked() || matches!(role, Role::Maker | Role::Taker) {
                let mut row = vec![case.name().to_owned(), role.name().to_owned()];
                row.extend([gain.traded, gain.fees, gain.held, gain.whole].map(usd_whole));
                rows.push(row);
            }
        }
    }
    let head = ["run", "who", "at the fill", "fees", "while held", "in all"];
    table(
        "Where gains and losses come from: against the fair price at the fill, fees, and while held",
        &head,
        "llrrrr",
        rows,
    )
}

fn markouts(runs: &[Run]) -> Exhibit {
    let mut rows = Vec::new();
    for (case, figures) in runs {
        for row in &figures.markouts {
            let mut text = vec![case.name().to_owned(), row.taker.name().to_owned(), usd_whole(row.value)];
            text.extend(row.gains.map(bps));
            rows.push(text);
        }
    }
    let later: Vec<_> = HORIZONS.iter().map(|slots| format!("+{slots} slots")).collect();
    let mut head = vec!["run", "taken by", "value"];
    head.extend(later.iter().map(String::as_str));
    table(
        "What makers' quotes gained against the fair price at the fill and later, in basis points",
        &head,
        "llrrrrr",
        rows,
    )
}

fn curves(case: &Case, figures: &Figures, slot_millis: u64) -> Exhibit {
    let shown =
        ROLES.iter().enumerate().filter(|(_, role)| case.is_attacked() || matches!(role, Role::Maker | Role::Taker));
    let line = |(place, role): (usize, &Role)| {
        let point = |(slot, earned): (usize, &[i128; ROLES.len()])| {
            let millis = START_MILLIS + i64::try_from(slot as u64 * slot_millis).unwrap_or(0);
            EquityPoint(millis.div_euclid(1_000), dollars(earned.get(place).copied().unwrap_or(0)))
        };
        let points: Vec<_> = figures.earned.iter().enumerate().map(point).collect();
        (role.name().to_owned(), thinned(&points, EquityPoint::POINTS_MAX))
    };
    Exhibit::Lines { title: format!("gained so far: {}", case.name()), lines: shown.map(line).collect() }
}

fn histogram(title: &str, runs: &[Run], cases: &[Case]) -> Exhibit {
    let shares = |figures: &Figures| {
        let mut counts = [0u64; COST_RANGES];
        for cost in &figures.costs.paid {
            let range = ((cost - COST_FROM) / COST_WIDTH).floor().clamp(0.0, (COST_RANGES - 1) as f64);
            counts[range as usize] += 1;
        }
        let all = figures.costs.paid.len().max(1) as f64;
        counts.iter().map(|count| *count as f64 / all * 100.0).collect()
    };
    let shown = runs.iter().filter(|(case, _)| cases.contains(case));
    Exhibit::Histogram {
        title: title.into(),
        from: COST_FROM,
        width: COST_WIDTH,
        unit: "bps".into(),
        series: shown.map(|(case, figures)| (case.name().to_owned(), shares(figures))).collect(),
    }
}

/// What the runs must show.
pub fn checks(runs: &[Run]) -> Vec<Check> {
    let of = |wanted: Case| runs.iter().find(|(case, _)| *case == wanted).map(|(_, figures)| figures);
    let mut checks = Vec::new();
    let mut check = |description: String, times: u64, holds: bool| {
        let id = format!("V{}", checks.len() + 1);
        checks.push(Check { id, description, times, passed: holds && times > 0 });
    };
    let attackers = [Role::Searcher, Role::Sniper];
    if let Some(figures) = of(Case::Undelayed) {
        for role in attackers {
            let round = figures.round_of(role);
            let text = format!("without a delay the {} earns, by more than two errors", role.name());
            check(text, round.count, round.low() > 0.0);
        }
        let cost = figures.costs.raw;
        let text = "without a delay takers pay more than the book showed, by more than two errors";
        check(text.into(), cost.count, cost.low() > 0.0);
    }
    if let Some(figures) = of(Case::Delayed) {
        for role in attackers {
            let round = figures.round_of(role);
            let text = format!("with the delay the {} earns nothing, within two errors", role.name());
            check(text, round.count, round.low() <= 0.0);
        }
        let costs = [figures.costs.raw, figures.costs.adjusted];
        let text = format!(
            "with the delay takers pay no more than the book showed, to {COST_TOLERANCE} basis points and two errors, with \
             what the fair price moved in between and without"
        );
        check(text, figures.costs.raw.count, costs.iter().all(|cost| cost.low() <= COST_TOLERANCE));
    }
    let orders = runs.iter().map(|(_, figures)| figures.costs.raw.count).sum();
    let beyond: u64 = runs.iter().map(|(_, figures)| figures.costs.beyond_limit).sum();
    check("no taker is filled beyond the limit it signed, in any run".into(), orders, beyond == 0);
    checks
}
