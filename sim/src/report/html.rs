//! The page of a run: one HTML file that needs no network and no script, and the record beside it.

use std::{fs, path::Path};

use anyhow::Context;
use minijinja::{Environment, Value, context};

use super::{
    charts::{self, Chart, LegendEntry},
    format,
    record::{ActorSeries, Exhibit, MarketSeries, RunRecord},
    summary::{self, Table},
};

const TEMPLATE: &str = include_str!("report.html");
/// Events listed per market; all of them are in the JSON file.
const EVENTS_LISTED_MAX: usize = 200;

/// Writes the page to `path`, and the record as JSON to the same path ending in `.json`.
pub fn write(record: &RunRecord, path: &Path) -> anyhow::Result<()> {
    let record = record.thinned();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    let json_path = path.with_extension("json");
    let json = serde_json::to_string(&record)?;
    for (path, text) in [(path, page(&record)?), (&json_path, json)] {
        fs::write(path, text).with_context(|| format!("{}", path.display()))?;
    }
    Ok(())
}

fn page(record: &RunRecord) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    // The name's ending turns on HTML escaping.
    environment.add_template("report.html", TEMPLATE)?;
    let markets = record.markets.iter().map(market);
    let compute_units = charts::compute_units(&record.instructions)?;
    let page = environment.get_template("report.html")?.render(context! {
        title => &record.title,
        facts => summary::facts(record),
        verdict => summary::verdict(record),
        passed => record.all_checks_passed(),
        cards => summary::total_figures(record),
        exhibits => exhibits(record)?,
        markets => markets.collect::<anyhow::Result<Vec<_>>>()?,
        compute_units => chart(compute_units),
        instructions => table(summary::instructions(record)),
        equity => equity_by_role(&record.actors)?,
        solvency => solvency(record)?,
        ladder => table(summary::ladder(record)),
        refusals => table(summary::refusals(record)),
        money => table(summary::money(record)),
        roles => table(summary::balances_by_role(record)),
        actors => table(summary::balances_by_actor(record)),
        checks => table(summary::checks(record)),
    })?;
    Ok(page)
}

fn chart(chart: Chart) -> Value {
    let entry = |entry: LegendEntry| {
        context! { color => entry.color, mark => entry.mark, label => entry.label }
    };
    context! {
        title => chart.title,
        legend => chart.legend.into_iter().map(entry).collect::<Value>(),
        svg => Value::from_safe_string(chart.svg),
    }
}

fn table(table: Table<'_>) -> Value {
    context! {
        title => table.title,
        head => table.head.into_iter().map(Value::from).collect::<Value>(),
        alignment => Value::from(table.alignment),
        rows => table.rows,
    }
}

/// Charts and tables in the order of the record; charts of a kind that follow each other are shown side by side.
fn exhibits(record: &RunRecord) -> anyhow::Result<Vec<Value>> {
    let is_table = |exhibit: &Exhibit| matches!(exhibit, Exhibit::Table { .. });
    let mut shown = Vec::new();
    for group in record.exhibits.chunk_by(|left, right| !is_table(left) && !is_table(right)) {
        let mut charts = Vec::new();
        for exhibit in group {
            match exhibit {
                Exhibit::Table { .. } => {}
                Exhibit::Lines { title, lines } => charts.push(chart(charts::lines(title, lines)?)),
                Exhibit::Histogram { title, from, width, unit, series } => {
                    charts.push(chart(charts::histogram(title, *from, *width, unit, series)?));
                }
            }
        }
        let table = group.first().and_then(summary::exhibit).map(table);
        shown.push(context! { table => table, charts => charts });
    }
    Ok(shown)
}

fn market(market: &MarketSeries) -> anyhow::Result<Value> {
    let charts = [charts::price, charts::basis, charts::depth].map(|draw| draw(market).map(chart));
    Ok(context! {
        symbol => &market.symbol,
        charts => charts.into_iter().collect::<anyhow::Result<Vec<_>>>()?,
        events => table(events(market)),
    })
}

fn events(market: &MarketSeries) -> Table<'_> {
    let row = |event: &super::ChartEvent| {
        vec![
            format::clock_seconds(event.unix_seconds),
            event.kind.clone(),
            event.label.clone(),
            format::usd(event.price),
        ]
    };
    let told = market.events.iter().filter(|event| event.kind != charts::PHASE);
    let count = told.clone().count();
    let rows: Vec<_> = told.take(EVENTS_LISTED_MAX).map(row).collect();
    let first = if rows.len() < count { format!(", the first {EVENTS_LISTED_MAX}") } else { String::new() };
    Table {
        title: format!("{} events ({}{first})", market.symbol, format::integer(count as u64)),
        head: vec!["UTC", "kind", "what", "price"],
        alignment: "lllr",
        rows,
    }
}

/// Two charts, or none if nothing was sampled.
fn solvency(record: &RunRecord) -> anyhow::Result<Vec<Value>> {
    if record.solvency.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![chart(charts::worth(&record.solvency)?), chart(charts::pool(&record.solvency)?)])
}

/// One chart per role, in the order in which the roles appear.
fn equity_by_role(actors: &[ActorSeries]) -> anyhow::Result<Vec<Value>> {
    let mut roles: Vec<(&str, Vec<&ActorSeries>)> = Vec::new();
    for actor in actors {
        match roles.iter_mut().find(|(role, _)| *role == actor.role) {
            Some((_, members)) => members.push(actor),
            None => roles.push((&actor.role, vec![actor])),
        }
    }
    let drawn = roles.iter().map(|(role, members)| charts::equity(role, members).map(chart));
    drawn.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{EquityPoint, FinalBalance, PricePoint};

    #[test]
    fn the_page_stands_alone_and_the_record_reads_back() {
        let points = vec![PricePoint { index: 100.0, mark: 101.0, ..PricePoint::default() }];
        let actor = |number: usize| ActorSeries {
            name: format!("<taker {number}>"),
            role: "taker".into(),
            points: vec![EquityPoint(0, 5.0), EquityPoint(9, 6.0)],
        };
        let record = RunRecord {
            title: "Crash & rebound".into(),
            markets: vec![MarketSeries { symbol: "BTC".into(), points, events: Vec::new() }],
            exhibits: vec![
                Exhibit::Table {
                    title: "Who <gained>".into(),
                    head: vec!["who".into(), "dollars".into()],
                    alignment: "lr".into(),
                    rows: vec![vec!["<makers>".into(), "$7".into()]],
                },
                Exhibit::Lines { title: "so far".into(), lines: vec![("makers".into(), vec![EquityPoint(0, -5.0)])] },
                Exhibit::Histogram {
                    title: "cost".into(),
                    from: -2.0,
                    width: 0.5,
                    unit: "bps".into(),
                    series: vec![("delay".into(), vec![10.0, 90.0]), ("none".into(), Vec::new())],
                },
            ],
            actors: (0..3).map(actor).collect(),
            balances: vec![FinalBalance { actor: "<taker 1>".into(), ..FinalBalance::default() }],
            ..RunRecord::default()
        };
        let folder = std::env::temp_dir().join(format!("quantdesk-report-{}", std::process::id()));
        let path = folder.join("run.html");
        write(&record, &path).expect("writes");
        let page = fs::read_to_string(&path).expect("page");
        assert!(page.contains("<h1>Crash &amp; rebound</h1>") && page.contains("&lt;taker 1&gt;"));
        assert!(page.contains("Who &lt;gained&gt;") && page.contains("&lt;makers&gt;") && !page.contains("NaN"));
        // A price chart with its two companions, one of equity, and those of the exhibits.
        assert_eq!(page.matches("<svg").count(), 6);
        assert!(!page.contains("<taker") && !page.contains("<script") && !page.contains("src="));
        assert!(!page.replace("http://www.w3.org/2000/svg", "").contains("http"));
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        let json = fs::read(folder.join("run.json")).expect("record");
        let read: RunRecord = serde_json::from_slice(&json).expect("a record");
        assert_eq!((read.title, read.actors.len()), (record.title, 3));
    }
}
