//! What is measured, table by table.

pub mod blocks;
pub mod fills;
pub mod margin;
pub mod orders;
pub mod others;
pub mod targets;

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
    table.columns.extend(["target", "", "best published peer", "peer ÷ ours"].map(String::from));
    let mut figures = Vec::new();
    for case in cases {
        let units = case.measure(vm, stages)?;
        let worst = units.iter().copied().max().unwrap_or(0);
        let mut cells = vec![case.name.clone()];
        cells.extend(units.iter().map(|units| number(Some(*units))));
        cells.push(number(case.target));
        cells.push(case.target.map_or_else(|| DASH.into(), |target| verdict(worst, target)));
        cells.push(case.peer.map_or_else(|| DASH.into(), |peer| named(&peer)));
        cells.push(case.peer.map_or_else(|| DASH.into(), |peer| ratio(peer.units, worst)));
        table.row(cells);
        figures.push(units);
    }
    Ok(figures)
}

/// `3,157 Manifest, …`.
fn named(peer: &Peer) -> String {
    format!("{} {}", number(Some(peer.units)), peer.name)
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
