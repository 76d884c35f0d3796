//! The committed page.

use anyhow::{Context, Result};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use crate::{
    cases::{access, blocks, depth_stages, fills, ladders, life, margin, orders, others, risk, targets, triggers},
    samples,
    table::number,
    vm::Vm,
};

/// Where the page is kept.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compute_units.md")
}

/// Measures everything and writes it down.
pub fn page() -> Result<String> {
    let mut vm = Vm::new()?;
    let stages = depth_stages()?;
    let middle = stages.get(2).context("depth 250")?;
    let resting = orders::tables(&mut vm, &stages)?;
    let triggers = triggers::table(&mut vm, &stages)?;
    let fills = fills::measure(&mut vm, &stages)?;
    let ladders = ladders::measure(&mut vm, &stages)?;
    let margin = margin::measure(&mut vm, middle)?;
    let risk = risk::measure(&mut vm).context("failing accounts")?;
    let others = others::measure(&mut vm)?;
    let life = life::tables(&mut vm).context("markets, queue and pool")?;
    let blocks = blocks::measure(&mut vm, middle)?;
    let samples = samples::measure(&mut vm)?;
    let session = access::surcharge(&mut vm, &stages)?;
    let findings = targets::Findings {
        samples: &samples,
        fills: &fills,
        ladders: &ladders,
        margin: &margin,
        others: &others,
        risk: &risk,
        blocks: &blocks,
        session,
    };
    let summary = [targets::units(&findings), targets::capacity(&blocks), samples::table(&samples)];
    let tables = summary
        .into_iter()
        .chain(resting)
        .chain([triggers])
        .chain(fills.tables)
        .chain([ladders.table])
        .chain([margin.table])
        .chain(risk.tables)
        .chain(others.tables)
        .chain(life)
        .chain(blocks.tables)
        .chain([targets::sources()]);
    let mut out = head(&vm);
    tables.for_each(|table| table.section(&mut out));
    Ok(out)
}

fn head(vm: &Vm) -> String {
    let mut out = String::from(
        "# Compute units\n\n\
         Written by `benches/run`, which changes nothing here unless the program changed. `benches/run host` prints wall \
         times on the machine it runs on.\n\n\
         Mollusk executes the compiled program under mainnet's features (of 2026-08-24, as LiteSVM 0.16 lists them). \
         Books, positions and balances are made by the program's own instructions. LiteSVM executes each instruction, too: \
         both must use the same compute units and leave the same bytes, and every invariant must hold afterwards. A row that \
         begins with \"refused\" is an instruction that must fail with just that error.\n\n",
    );
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "Program: SBPF v{}, {} bytes. Depth: orders on the side concerned, beside those the operation is about.",
        vm.sbpf_version(),
        number(Some(vm.program_bytes() as u64))
    );
    let unmeasured = vm.unmeasured();
    if !unmeasured.is_empty() {
        let _ = writeln!(out, "\nNot measured: {}.", unmeasured.join(", "));
    }
    out
}

/// Writes the page if it changed; returns whether it did.
pub fn write(page: &str, path: &Path) -> Result<bool> {
    let before = std::fs::read_to_string(path).unwrap_or_default();
    if before == page {
        return Ok(false);
    }
    std::fs::write(path, page).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(true)
}
