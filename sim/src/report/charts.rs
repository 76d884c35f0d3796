//! The charts of the page: SVG by plotters, legends as data for the page's own text.
//!
//! Drawn at [`SCALE`] times the size shown, because plotters rounds to whole pixels. Without its
//! font features plotters only estimates the width of text, so nothing here relies on it: axis
//! labels are anchored, legends are HTML. Colours are those of Okabe and Ito, which colour-blind
//! readers can tell apart; where lines share a chart, width or shape differs too.

use std::ops::Range;

use plotters::{
    coord::{
        Shift,
        ranged1d::{DefaultFormatting, KeyPointHint, Ranged},
    },
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    format,
    record::{
        ActorSeries, ChartEvent, EquityPoint, InstructionStats, MarketSeries, PricePoint, SolvencyPoint, thinned,
    },
};

const SCALE: u32 = 2;
const FULL_WIDTH: u32 = 1_136;
const HALF_WIDTH: u32 = 548;
const LABEL_WIDTH: u32 = 74;

const BLACK_TEXT: RGBColor = RGBColor(0x33, 0x3f, 0x4d);
const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xec);
const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
const VERMILLION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);
const INK: RGBColor = RGBColor(0x1c, 0x23, 0x2b);
const GREY: RGBColor = RGBColor(0x8a, 0x94, 0xa0);

const CU_P50: RGBColor = BLUE;
const CU_P95: RGBColor = SKY;
const CU_P99: RGBColor = ORANGE;

/// Actors of a role that get a line of their own colour; more are drawn as a bundle.
const NAMED_ACTORS: [RGBColor; 6] = [BLUE, VERMILLION, GREEN, ORANGE, PURPLE, INK];
/// Dots of last trades in one chart: more would hide the lines.
const TRADE_DOTS_MAX: usize = 600;
/// Markers of events in one chart; of more, every n-th is drawn.
const EVENT_MARKERS_MAX: usize = 800;
/// Steps of time at which the median of a bundle is taken.
const MEDIAN_STEPS: i64 = 300;

pub const PHASE: &str = "phase";

pub struct Chart {
    pub title: String,
    pub legend: Vec<LegendEntry>,
    pub svg: String,
}

pub struct LegendEntry {
    pub color: String,
    /// `line`, `band`, or the character of a marker.
    pub mark: &'static str,
    pub label: String,
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plot<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// A straight axis with labels where we want them: plotters' own are round in decimal, which
/// clock times are not.
struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // The fine mesh between labels is left out.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Size, ranges and labels of a chart over time.
struct Frame {
    width: u32,
    height: u32,
    /// Room above the plot.
    head: u32,
    time: Range<i64>,
    values: Range<f64>,
    /// Text of a value, given the distance between labels and the greatest of them.
    label: fn(f64, f64, f64) -> String,
}

/// Price: index, mark, band between best bid and ask, last trades, events.
pub fn price(market: &MarketSeries) -> anyhow::Result<Chart> {
    let points = &market.points;
    let lines = points.iter().flat_map(|point| {
        let last = point.last_trade.unwrap_or(point.mark);
        [point.index, point.mark, last]
    });
    let frame = Frame {
        width: FULL_WIDTH,
        height: 350,
        head: 22,
        time: span(points.iter().map(|point| point.unix_seconds)),
        values: padded(lines),
        label: |price, step, _| format::price_axis(price, step),
    };
    let svg = frame.draw(|plot| {
        phases(plot, &frame, &market.events)?;
        quote_band(plot, &frame, points)?;
        let dots = thinned(points, TRADE_DOTS_MAX).into_iter().filter_map(|point| {
            let dot = (point.unix_seconds as f64, point.last_trade?);
            Some(Circle::new(dot, 2 * SCALE, INK.mix(0.35).filled()))
        });
        plot.draw_series(dots)?;
        line(plot, over_time(points, |point| point.index), BLUE, 3)?;
        line(plot, over_time(points, |point| point.mark), ORANGE, 1)?;
        markers(plot, &frame, &market.events)
    })?;
    let mut legend = vec![
        LegendEntry::new(BLUE, "line", "index"),
        LegendEntry::new(ORANGE, "line", "mark"),
        LegendEntry::new(GREY, "●", "last trade"),
        LegendEntry::new(SKY, "band", "best bid to best ask"),
    ];
    legend.extend(event_legend(&market.events));
    Ok(Chart { title: format!("{} price (times in UTC)", market.symbol), legend, svg })
}

/// What the price chart is too coarse to show: distance from the index in basis points.
pub fn basis(market: &MarketSeries) -> anyhow::Result<Chart> {
    let points = &market.points;
    let bps = |price: f64, point: &PricePoint| (price / point.index - 1.0) * 10_000.0;
    let mark = over_time(points, |point| bps(point.mark, point));
    let last: Vec<(f64, f64)> =
        points.iter().filter_map(|point| Some((point.unix_seconds as f64, bps(point.last_trade?, point)))).collect();
    let both = mark.iter().chain(&last).map(|(_, bps)| *bps);
    let frame = Frame {
        width: FULL_WIDTH,
        height: 160,
        head: 6,
        time: span(points.iter().map(|point| point.unix_seconds)),
        values: padded(both.chain([-1.0, 1.0])),
        label: |bps, step, _| format!("{} bps", format::fixed(bps, format::decimals_of(step))),
    };
    let svg = frame.draw(|plot| {
        line(plot, last, GREY, 1)?;
        line(plot, mark, ORANGE, 2)
    })?;
    Ok(Chart {
        title: format!("{} distance from the index", market.symbol),
        legend: vec![LegendEntry::new(ORANGE, "line", "mark"), LegendEntry::new(GREY, "line", "last trade")],
        svg,
    })
}

/// Resting bids above the line, asks below it.
pub fn depth(market: &MarketSeries) -> anyhow::Result<Chart> {
    let points = &market.points;
    let bids = over_time(points, |point| point.bid_depth);
    let asks = over_time(points, |point| -point.ask_depth);
    let both = bids.iter().chain(&asks).map(|(_, depth)| *depth);
    let frame = Frame {
        width: FULL_WIDTH,
        height: 180,
        head: 6,
        time: span(points.iter().map(|point| point.unix_seconds)),
        values: padded(both.chain([-1.0, 1.0])),
        label: |depth, step, greatest| format::usd_axis(depth.abs(), step, greatest),
    };
    let svg = frame.draw(|plot| {
        for (side, color) in [(bids, BLUE), (asks, VERMILLION)] {
            let area = AreaSeries::new(side, 0.0, color.mix(0.25));
            plot.draw_series(area.border_style(color.stroke_width(SCALE)))?;
        }
        Ok(())
    })?;
    Ok(Chart {
        title: format!("{} book depth", market.symbol),
        legend: vec![
            LegendEntry::new(BLUE, "band", "bids, above"),
            LegendEntry::new(VERMILLION, "band", "asks, below"),
        ],
        svg,
    })
}

/// Equity of the actors of one role: a line each, or a bundle with its median if they are many.
pub fn equity(role: &str, actors: &[&ActorSeries]) -> anyhow::Result<Chart> {
    let all = || actors.iter().flat_map(|actor| &actor.points);
    let frame = Frame {
        width: HALF_WIDTH,
        height: 220,
        head: 6,
        time: span(all().map(|point| point.0)),
        values: padded(all().map(|point| point.1)),
        label: format::usd_axis,
    };
    let lines = actors.iter().map(|actor| pairs(&actor.points));
    let count = actors.len();
    let mut legend = Vec::new();
    let svg = frame.draw(|plot| {
        if count <= NAMED_ACTORS.len() {
            for ((actor, points), color) in actors.iter().zip(lines).zip(NAMED_ACTORS) {
                line(plot, points, color, 2)?;
                legend.push(LegendEntry::new(color, "line", &actor.name));
            }
            return Ok(());
        }
        for points in lines {
            let faint = BLUE.mix(0.22).stroke_width(SCALE);
            plot.draw_series(LineSeries::new(points, faint))?;
        }
        line(plot, median(actors, &frame.time), VERMILLION, 2)?;
        legend.push(LegendEntry::new(SKY, "line", &format!("each of {count}")));
        legend.push(LegendEntry::new(VERMILLION, "line", "median"));
        Ok(())
    })?;
    let title = format!("{role} ({})", format::integer(count as u64));
    Ok(Chart { title, legend, svg })
}

/// Amounts over time, a colour each.
pub fn lines(title: &str, lines: &[(String, Vec<EquityPoint>)]) -> anyhow::Result<Chart> {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let frame = Frame {
        width: HALF_WIDTH,
        height: 220,
        head: 6,
        time: span(all().map(|point| point.0)),
        values: padded(all().map(|point| point.1).chain([0.0])),
        label: format::usd_axis,
    };
    let colored = || lines.iter().zip(NAMED_ACTORS);
    let svg = frame.draw(|plot| {
        for ((_, points), color) in colored() {
            line(plot, pairs(points), color, 2)?;
        }
        Ok(())
    })?;
    let legend = colored().map(|((name, _), color)| LegendEntry::new(color, "line", name)).collect();
    Ok(Chart { title: title.into(), legend, svg })
}

/// Shares of ranges of a figure: bars of each series over the other, the later ones in front.
pub fn histogram(
    title: &str,
    from: f64,
    width: f64,
    unit: &str,
    series: &[(String, Vec<f64>)],
) -> anyhow::Result<Chart> {
    let count = series.iter().map(|(_, shares)| shares.len()).max().unwrap_or(0);
    let range = from..from + width * count.max(1) as f64;
    let (ticks, step) = value_ticks(&range, HALF_WIDTH / 95);
    let values = padded(series.iter().flat_map(|(_, shares)| shares.iter().copied()).chain([0.0, 1.0]));
    let (shares, share_step) = value_ticks(&values, 220 / 42);
    let across = Axis { range, ticks };
    let up = Axis { range: 0.0..values.end, ticks: shares };
    let colored = || series.iter().zip([VERMILLION, BLUE, GREEN]);
    let figure = |value: &f64| format!("{} {unit}", format::fixed(*value, format::decimals_of(step)));
    let percent = |value: &f64| format!("{}%", format::fixed(*value, format::decimals_of(share_step)));
    let svg = canvas(HALF_WIDTH, 220, |root| {
        plot_on(root, 6, (across, up), (&figure, &percent), |plot| {
            for ((_, shares), color) in colored() {
                let bar = |(at, share): (usize, &f64)| {
                    let left = from + width * at as f64;
                    Rectangle::new([(left, 0.0), (left + width, *share)], color.mix(0.5).filled())
                };
                plot.draw_series(shares.iter().enumerate().map(bar))?;
            }
            Ok(())
        })
    })?;
    let legend = colored().map(|((name, _), color)| LegendEntry::new(color, "band", name)).collect();
    Ok(Chart { title: title.into(), legend, svg })
}

/// What all accounts are worth together.
pub fn worth(points: &[SolvencyPoint]) -> anyhow::Result<Chart> {
    solvency("equity of all accounts", points, &[(BLUE, "equity", |point| point.equity)])
}

/// The protection pool against what is missing in accounts below zero.
pub fn pool(points: &[SolvencyPoint]) -> anyhow::Result<Chart> {
    let lines: [SolvencyLine; 2] =
        [(GREEN, "pool", |point| point.pool), (VERMILLION, "missing in accounts below zero", |point| point.shortfall)];
    solvency("protection pool and shortfall", points, &lines)
}

/// Colour, name and figure of a line.
type SolvencyLine = (RGBColor, &'static str, fn(&SolvencyPoint) -> f64);

fn solvency(title: &str, points: &[SolvencyPoint], lines: &[SolvencyLine]) -> anyhow::Result<Chart> {
    let values = lines.iter().flat_map(|(_, _, of)| points.iter().map(of));
    let frame = Frame {
        width: HALF_WIDTH,
        height: 220,
        head: 6,
        time: span(points.iter().map(|point| point.unix_seconds)),
        values: padded(values),
        label: format::usd_axis,
    };
    let svg = frame.draw(|plot| {
        for (color, _, of) in lines {
            let pair = |point: &SolvencyPoint| (point.unix_seconds as f64, of(point));
            line(plot, points.iter().map(pair).collect(), *color, 2)?;
        }
        Ok(())
    })?;
    let legend = lines.iter().map(|(color, name, _)| LegendEntry::new(*color, "line", name)).collect();
    Ok(Chart { title: title.into(), legend, svg })
}

/// One bar per instruction on a logarithmic scale: P50, then up to P95, then up to P99.
pub fn compute_units(instructions: &[InstructionStats]) -> anyhow::Result<Chart> {
    const ROW: i32 = (24 * SCALE) as i32;
    const GAP: i32 = (4 * SCALE) as i32;
    let mut rows: Vec<&InstructionStats> = instructions.iter().collect();
    rows.sort_by(|left, right| right.p50.cmp(&left.p50).then(left.name.cmp(&right.name)));
    let bottom = ROW * rows.len() as i32;
    let scale = UnitScale::of(&rows);
    let svg = canvas(FULL_WIDTH, bottom as u32 / SCALE + 26, |root| {
        for units in scale.decades() {
            let x = scale.across(units);
            root.draw(&PathElement::new([(x, 0), (x, bottom)], GRID.stroke_width(SCALE)))?;
            let label = format!("{} CU", format::integer(units));
            let below = (x, bottom + 6 * SCALE as i32);
            root.draw(&Text::new(label, below, text(HPos::Center, VPos::Top)))?;
        }
        for (row, top) in rows.iter().zip((0..).step_by(ROW as usize)) {
            let middle = top + ROW / 2;
            let bar = |from: i32, to: u64, color: RGBColor| {
                let corners = [(from, top + GAP), (scale.across(to), top + ROW - GAP)];
                Rectangle::new(corners, color.filled())
            };
            root.draw(&bar(UnitScale::LEFT, row.p50, CU_P50))?;
            root.draw(&bar(scale.across(row.p50), row.p95, CU_P95))?;
            root.draw(&bar(scale.across(row.p95), row.p99, CU_P99))?;
            let name = (UnitScale::LEFT - 2 * GAP, middle);
            root.draw(&Text::new(row.name.as_str(), name, text(HPos::Right, VPos::Center)))?;
            let percentiles = [row.p50, row.p95, row.p99].map(format::integer).join(" · ");
            let after = (scale.across(row.p99) + 2 * GAP, middle);
            root.draw(&Text::new(percentiles, after, text(HPos::Left, VPos::Center)))?;
        }
        Ok(())
    })?;
    Ok(Chart {
        title: "Compute units by instruction, P50 · P95 · P99 (logarithmic)".into(),
        legend: vec![
            LegendEntry::new(CU_P50, "band", "P50"),
            LegendEntry::new(CU_P95, "band", "P95"),
            LegendEntry::new(CU_P99, "band", "P99"),
        ],
        svg,
    })
}

/// Compute units to pixels, by their logarithm.
struct UnitScale {
    first_decade: u32,
    last: f64,
}

impl UnitScale {
    /// Room for the names before the bars, and for the figures after them.
    const LEFT: i32 = (170 * SCALE) as i32;
    const RIGHT: i32 = ((FULL_WIDTH - 190) * SCALE) as i32;

    fn of(rows: &[&InstructionStats]) -> Self {
        let least = rows.iter().map(|row| row.p50.max(1)).min().unwrap_or(1);
        let greatest = rows.iter().map(|row| row.p99).max().unwrap_or(1);
        // Starting at the shortest bar's own decade could make it a sliver.
        let first_decade = (least / 2).max(1).ilog10();
        let last = (greatest as f64).max(10f64.powi(first_decade as i32 + 1));
        Self { first_decade, last: last.log10() }
    }

    fn across(&self, units: u64) -> i32 {
        let first = f64::from(self.first_decade);
        let share = ((units.max(1) as f64).log10() - first) / (self.last - first);
        Self::LEFT + (share.max(0.0) * f64::from(Self::RIGHT - Self::LEFT)).round() as i32
    }

    fn decades(&self) -> impl Iterator<Item = u64> {
        (self.first_decade..=self.last.floor() as u32).map(|decade| 10u64.pow(decade))
    }
}

impl LegendEntry {
    fn new(color: RGBColor, mark: &'static str, label: &str) -> Self {
        let RGBColor(red, green, blue) = color;
        Self { color: format!("#{red:02x}{green:02x}{blue:02x}"), mark, label: label.into() }
    }
}

impl Frame {
    fn draw(&self, draw: impl FnOnce(&mut Plot) -> anyhow::Result<()>) -> anyhow::Result<String> {
        let (ticks, time_label) = time_ticks(&self.time, self.width / 95);
        let across = Axis { range: self.time.start as f64..self.time.end as f64, ticks };
        let (ticks, step) = value_ticks(&self.values, self.height / 42);
        let greatest = ticks.iter().fold(0.0f64, |greatest, tick| greatest.max(tick.abs()));
        let up = Axis { range: self.values.clone(), ticks };
        let time_label = |time: &f64| time_label(*time as i64);
        let value_label = |value: &f64| (self.label)(*value, step, greatest);
        canvas(self.width, self.height, |root| {
            plot_on(root, self.head, (across, up), (&time_label, &value_label), draw)
        })
    }

    fn clamped(&self, value: f64) -> f64 {
        value.clamp(self.values.start, self.values.end)
    }
}

/// Text of a value on an axis.
type Label<'a> = &'a dyn Fn(&f64) -> String;

/// Axes across and up with their labels, and what `draw` puts between them.
fn plot_on(
    root: &Canvas,
    head: u32,
    (across, up): (Axis, Axis),
    (across_label, up_label): (Label<'_>, Label<'_>),
    draw: impl FnOnce(&mut Plot) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut plot = ChartBuilder::on(root)
        .margin_top(head * SCALE)
        .margin_right(26 * SCALE)
        .set_label_area_size(LabelAreaPosition::Left, LABEL_WIDTH * SCALE)
        .set_label_area_size(LabelAreaPosition::Bottom, 24 * SCALE)
        .build_cartesian_2d(across, up)?;
    plot.configure_mesh()
        .bold_line_style(GRID.stroke_width(SCALE))
        .axis_style(GREY.stroke_width(SCALE))
        .label_style(label_font())
        .set_all_tick_mark_size(4 * SCALE)
        .x_label_formatter(across_label)
        .y_label_formatter(up_label)
        .draw()?;
    draw(&mut plot)
}

fn canvas(width: u32, height: u32, draw: impl FnOnce(&Canvas) -> anyhow::Result<()>) -> anyhow::Result<String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (width * SCALE, height * SCALE));
    let root = root.into_drawing_area();
    draw(&root)?;
    root.present()?;
    drop(root);
    Ok(svg)
}

/// 12 pixels as shown; plotters divides by 1.24.
fn label_font() -> TextStyle<'static> {
    let size = 12.0 * 1.24 * f64::from(SCALE);
    ("sans-serif", size).into_font().color(&BLACK_TEXT)
}

fn text(across: HPos, down: VPos) -> TextStyle<'static> {
    label_font().pos(Pos::new(across, down))
}

fn pairs(points: &[EquityPoint]) -> Vec<(f64, f64)> {
    points.iter().map(|point| (point.0 as f64, point.1)).collect()
}

fn over_time(points: &[PricePoint], of: impl Fn(&PricePoint) -> f64) -> Vec<(f64, f64)> {
    let pair = |point| (PricePoint::clone(point).unix_seconds as f64, of(point));
    points.iter().map(pair).collect()
}

fn line(plot: &mut Plot, points: Vec<(f64, f64)>, color: RGBColor, width: u32) -> anyhow::Result<()> {
    plot.draw_series(LineSeries::new(points, color.stroke_width(width * SCALE)))?;
    Ok(())
}

/// The band between bid and ask, interrupted where a side of the book is empty.
fn quote_band(plot: &mut Plot, frame: &Frame, points: &[PricePoint]) -> anyhow::Result<()> {
    let quoted = |point: &PricePoint| point.best_bid.is_some() && point.best_ask.is_some();
    for run in points.chunk_by(|left, right| quoted(left) == quoted(right)) {
        let edge = |of: fn(&PricePoint) -> Option<f64>| {
            run.iter().filter_map(move |point| Some((point.unix_seconds as f64, frame.clamped(of(point)?))))
        };
        if run.iter().all(quoted) {
            let bids = edge(|point| point.best_bid);
            let asks = edge(|point| point.best_ask).rev();
            let outline: Vec<_> = bids.chain(asks).collect();
            plot.draw_series([Polygon::new(outline, SKY.mix(0.45))])?;
        }
    }
    Ok(())
}

/// A dashed line where a phase begins, its name above the plot, on a second row if there is no
/// room next to the name before it.
fn phases(plot: &mut Plot, frame: &Frame, events: &[ChartEvent]) -> anyhow::Result<()> {
    const LETTER: f64 = 7.5;
    let plot_width = f64::from(frame.width - LABEL_WIDTH - 26);
    let seconds = (frame.time.end - frame.time.start) as f64;
    let mut free_from = [f64::MIN; 2];
    for event in events.iter().filter(|event| event.kind == PHASE) {
        let time = event.unix_seconds as f64;
        let across = (time - frame.time.start as f64) / seconds * plot_width;
        let row = free_from.iter().position(|free| *free <= across).unwrap_or(1);
        free_from[row] = across + LETTER * event.label.chars().count() as f64 + 12.0;
        let edge = [(time, frame.values.start), (time, frame.values.end)];
        let dashes = (8 * SCALE, 6 * SCALE);
        plot.draw_series(DashedLineSeries::new(edge, dashes.0, dashes.1, GREY.stroke_width(SCALE)))?;
        let lift = if row == 0 { -6 } else { 14 } * SCALE as i32;
        let beside = if row == 0 { 0 } else { 5 } * SCALE as i32;
        let name = Text::new(event.label.clone(), (beside, lift), text(HPos::Left, VPos::Bottom));
        plot.draw_series([EmptyElement::at((time, frame.values.end)) + name])?;
    }
    Ok(())
}

/// Colour and marker of a kind of event.
fn event_style(kind: &str) -> (RGBColor, &'static str) {
    match kind {
        "liquidation" => (VERMILLION, "▼"),
        "takeover" => (GREEN, "■"),
        "deleverage" => (PURPLE, "◆"),
        "shortfall" => (INK, "✖"),
        _ => (GREY, "▲"),
    }
}

fn markers(plot: &mut Plot, frame: &Frame, events: &[ChartEvent]) -> anyhow::Result<()> {
    let told = events.iter().filter(|event| event.kind != PHASE);
    let stride = told.clone().count().div_ceil(EVENT_MARKERS_MAX).max(1);
    for event in told.step_by(stride) {
        let (color, glyph) = event_style(&event.kind);
        let at = (event.unix_seconds as f64, frame.clamped(event.price));
        let shape: &[(i32, i32)] = match glyph {
            "▼" => &[(-10, -9), (10, -9), (0, 9)],
            "■" => &[(-8, -8), (8, -8), (8, 8), (-8, 8)],
            "◆" => &[(0, -11), (11, 0), (0, 11), (-11, 0)],
            "✖" => &[(-9, -9), (0, -4), (9, -9), (4, 0), (9, 9), (0, 4), (-9, 9), (-4, 0)],
            _ => &[(-10, 9), (10, 9), (0, -9)],
        };
        let outline = shape.iter().chain(shape.first()).copied().collect::<Vec<_>>();
        plot.draw_series([EmptyElement::at(at)
            + Polygon::new(shape, color.filled())
            + PathElement::new(outline, WHITE.stroke_width(1))])?;
    }
    Ok(())
}

/// The kinds that occur, in order of appearance, with their number.
fn event_legend(events: &[ChartEvent]) -> Vec<LegendEntry> {
    let mut kinds: Vec<(&str, u64)> = Vec::new();
    for event in events.iter().filter(|event| event.kind != PHASE) {
        match kinds.iter_mut().find(|(kind, _)| *kind == event.kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((&event.kind, 1)),
        }
    }
    let entry = |(kind, count): (&str, u64)| {
        let (color, glyph) = event_style(kind);
        LegendEntry::new(color, glyph, &format!("{kind} ({})", format::integer(count)))
    };
    kinds.into_iter().map(entry).collect()
}

/// The median of what the actors last had, at even steps of time.
fn median(actors: &[&ActorSeries], time: &Range<i64>) -> Vec<(f64, f64)> {
    let at = |step: i64| {
        let unix = time.start + (time.end - time.start) * step / MEDIAN_STEPS;
        let equity = |actor: &&ActorSeries| {
            let after = actor.points.partition_point(|point| point.0 <= unix);
            actor.points.get(after.checked_sub(1)?).map(|point| point.1)
        };
        let mut equities: Vec<f64> = actors.iter().filter_map(equity).collect();
        equities.sort_by(f64::total_cmp);
        equities.get(equities.len() / 2).map(|median| (unix as f64, *median))
    };
    (0..=MEDIAN_STEPS).filter_map(at).collect()
}

/// First to last time, never empty.
fn span(times: impl Iterator<Item = i64> + Clone) -> Range<i64> {
    let start = times.clone().min().unwrap_or(0);
    let end = times.max().unwrap_or(0);
    start..end.max(start + 1)
}

/// Least to greatest value with 6% of air, never empty.
fn padded(values: impl Iterator<Item = f64>) -> Range<f64> {
    let finite = values.filter(|value| value.is_finite());
    let (least, greatest) = finite
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), value| (least.min(value), greatest.max(value)));
    if least > greatest {
        return 0.0..1.0;
    }
    let air = 0.06 * (greatest - least).max(greatest.abs() * 1e-3).max(1e-6);
    least - air..greatest + air
}

/// About `count` round values in a range, and the distance between them.
fn value_ticks(values: &Range<f64>, count: u32) -> (Vec<f64>, f64) {
    let rough = (values.end - values.start) / f64::from(count.max(2));
    let decade = 10f64.powi(rough.log10().floor() as i32);
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|digit| digit * decade);
    // A third more labels than asked for are better than half of them.
    let step = steps.into_iter().find(|step| *step >= 0.75 * rough).unwrap_or(rough);
    let first = (values.start / step).ceil() as i64;
    let last = (values.end / step).floor() as i64;
    ((first..=last).map(|tick| tick as f64 * step).collect(), step)
}

/// At most `count` round times in a range, and how to write them.
fn time_ticks(time: &Range<i64>, count: u32) -> (Vec<f64>, fn(i64) -> String) {
    const DAY: i64 = 86_400;
    const STEPS: [i64; 18] =
        [1, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 43_200, DAY, 7 * DAY];
    let rough = (time.end - time.start) / i64::from(count.max(2));
    let step = STEPS.into_iter().find(|step| *step >= rough).unwrap_or(30 * DAY);
    let label = match step {
        ..60 => format::clock_seconds,
        60..DAY => format::clock,
        _ => format::date,
    };
    let first = (time.start + step - 1).div_euclid(step);
    let ticks = (first..=time.end.div_euclid(step)).map(|tick| (tick * step) as f64);
    (ticks.collect(), label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            value_ticks(&(101_900.0..122_300.0), 8),
            ((51..=61).map(|tick| f64::from(tick) * 2_000.0).collect(), 2_000.0)
        );
        let (ticks, label) = time_ticks(&(1_760_124_000..1_760_134_800), 11);
        assert_eq!((ticks.len(), label(ticks[0] as i64)), (6, "19:30".into()));
        let (ticks, label) = time_ticks(&(0..45), 10);
        assert_eq!((ticks.len(), label(ticks[1] as i64)), (10, "00:00:05".into()));
    }

    #[test]
    fn empty_and_flat_series_still_draw() {
        let empty = MarketSeries::default();
        let flat = MarketSeries {
            points: vec![PricePoint { index: 1.0, mark: 1.0, ..PricePoint::default() }],
            ..MarketSeries::default()
        };
        for market in [empty, flat] {
            for chart in [price, basis, depth] {
                let chart = chart(&market).expect("draws");
                assert!(chart.svg.ends_with("</svg>\n") && !chart.svg.contains("NaN"));
            }
        }
        assert!(worth(&[]).is_ok() && pool(&[SolvencyPoint::default()]).is_ok());
        assert!(compute_units(&[]).is_ok() && equity("maker", &[]).is_ok());
    }
}
