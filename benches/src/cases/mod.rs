//! What is measured, table by table.

pub mod access;
pub mod blocks;
pub mod delay;
pub mod fees;
pub mod fills;
pub mod ladders;
pub mod life;
pub mod margin;
pub mod orders;
pub mod others;
pub mod risk;
pub mod targets;
pub mod triggers;

use anyhow::{Context, Result};

use crate::{
    peers::Peer,
    stage::Stage,
    table::{DASH, Table, number, ratio, verdict},
    vm::Vm,
};

/// Orders on the side concerned beside those that the operation itself is about.
pub const DEPTHS: [u32; 4] = [0, 10, 250, 1_000];

/// One operation: brings the stage into position and measures.
pub struct Case {
    name: String,
    target: Option<u64>,
    peer: Option<Peer>,
    run: Run,
}

type Run = Box<dyn Fn(&mut Vm, Stage) -> Result<u64>>;

impl Case {
    /// An operation that nothing is compared with.
    pub fn new(name: impl Into<String>, run: impl Fn(&mut Vm, Stage) -> Result<u64> + 'static) -> Self {
        Self { name: name.into(), target: None, peer: None, run: Box::new(run) }
    }

    /// With the compute units to stay within.
    pub const fn within(mut self, target: u64) -> Self {
        self.target = Some(target);
        self
    }

    /// With the best published figure.
    pub const fn against(mut self, peer: Peer) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Compute units on each of the stages.
    fn measure(&self, vm: &mut Vm, stages: &[Stage]) -> Result<Vec<u64>> {
        let one = |stage: &Stage| (self.run)(vm, stage.clone());
        stages.iter().map(one).collect::<Result<_>>().with_context(|| self.name.clone())
    }
}

/// Measures cases on stages, one column each, and compares the worst column. Returns the figures, too.
fn compare(vm: &mut Vm, table: &mut Table, stages: &[Stage], cases: &[Case]) -> Result<Vec<Vec<u64>>> {
    table.columns.extend(COMPARISON.map(String::from));
    let mut figures = Vec::new();
    for case in cases {
        let units = case.measure(vm, stages)?;
        let worst = units.iter().copied().max();
        let mut cells = vec![case.name.clone()];
        cells.extend(units.iter().map(|units| number(Some(*units))));
        cells.extend(comparison(worst, case.target, case.peer.as_ref()));
        table.row(cells);
        figures.push(units);
    }
    Ok(figures)
}

/// Columns that [`comparison`] fills.
const COMPARISON: [&str; 4] = ["target", "is", "best published peer", "peer ÷ ours"];

/// A figure against its target and against a peer's.
fn comparison(units: Option<u64>, target: Option<u64>, peer: Option<&Peer>) -> [String; 4] {
    let dash = || DASH.to_owned();
    [
        number(target),
        units.zip(target).map_or_else(dash, |(units, target)| verdict(units, target)),
        peer.map_or_else(dash, |peer| format!("{} {}", peer.venue, number(Some(peer.units)))),
        peer.zip(units).map_or_else(dash, |(peer, units)| ratio(peer.units, units)),
    ]
}

/// What each one beyond the first costs on average, rounded up, given the units of one and of `count`.
fn each_further(one: u64, all: u64, count: usize) -> u64 {
    all.saturating_sub(one).div_ceil(count.saturating_sub(1).max(1) as u64)
}

/// A table over [`DEPTHS`], still without rows.
fn depth_table(title: &str, text: &str) -> Table {
    let mut table = Table::new(title, text, &["case, by depth"]);
    table.columns.extend(DEPTHS.iter().map(|depth| number(Some(u64::from(*depth)))));
    table
}

/// The regular book at each of [`DEPTHS`].
pub fn depth_stages() -> Result<Vec<Stage>> {
    let empty = Stage::new()?;
    DEPTHS.iter().map(|depth| empty.clone().with_book(*depth)).collect()
}
