//! Wall time on this machine: the engine as native code, and whole transactions by size of the ledger.
//!
//! Compare figures of one run only.

use anyhow::{Result, anyhow};
use quantdesk_client::engine::{
    Lots, NodeIndex, Now, Sequence, Slot, UnixSeconds,
    book::{NewOrder, Placed, Sides, Trading},
    state::{Ledger, Market, ledger::ledger_size},
};
use quantdesk_client::instruction::Trader;
use quantdesk_sim::desk::DeskConfig;
use solana_instruction::Instruction;
use std::time::{Duration, Instant};

use crate::{
    capacity::MAINNET,
    stage::{MARK, SOL, STEP, Stage, ask, bid},
    table::Table,
};

/// Repetitions; the median counts.
const ROUNDS: usize = 200;
/// Operations timed together.
const BATCH: u32 = 64;
/// Transactions per size of the ledger.
const TRANSACTIONS: usize = 2_000;
/// Placements of a batch: as many as fit into a transaction.
const BATCHED: u32 = 15;
const EVENTS: u32 = 64;
/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Both tables as text.
pub fn run() -> Result<String> {
    let mut out = String::new();
    engine()?.section(&mut out);
    ledgers()?.section(&mut out);
    Ok(out)
}

/// A market and its ledger in memory, as the engine sees them.
struct Native {
    market: Vec<u64>,
    ledger: Vec<u64>,
    now: Now,
}

impl Native {
    fn of(stage: &Stage) -> Result<Self> {
        let chain = &stage.desk.chain;
        Ok(Self {
            market: words(chain.bytes(&stage.market())?),
            ledger: words(chain.bytes(&stage.desk.venue.ledger)?),
            now: Now { slot: Slot::new(chain.slot()), unix_seconds: UnixSeconds::new(chain.unix_seconds()) },
        })
    }

    /// Opens the views, as every instruction does.
    fn trading(&mut self) -> Result<Trading<'_>> {
        let failed = |error| anyhow!("{error}");
        Ok(Trading {
            market: Market::load(bytemuck::cast_slice_mut(&mut self.market)).map_err(failed)?,
            ledger: Ledger::load(bytemuck::cast_slice_mut(&mut self.ledger)).map_err(failed)?,
            now: self.now,
        })
    }

    fn place(&mut self, trader: &Trader, order: &NewOrder) -> Result<Placed> {
        self.trading()?.place_order(trader.cell, order).map_err(|error| anyhow!("{error}"))
    }

    fn cancel(&mut self, trader: &Trader, node: NodeIndex, sequence: Sequence) -> Result<()> {
        self.trading()?.cancel_order(trader.cell, node, sequence).map_err(|error| anyhow!("{error}"))
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}

fn engine() -> Result<Table> {
    let mut table = Table::new(
        "Engine on the host",
        "Nanoseconds per operation of native code, views opened for each; median of 200 batches of 64.",
        &["depth", "place", "cancel", "take 1 maker", "cancel ÷ place", "take ÷ place"],
    );
    let empty = Stage::new()?;
    for depth in [10, 250, 1_000 - BATCH] {
        let stage = empty.clone().with_book(depth)?;
        let [place, cancel, take] = engine_at(&stage)?;
        table.row(vec![
            depth.to_string(),
            place.to_string(),
            cancel.to_string(),
            take.to_string(),
            format!("{:.2}", cancel as f64 / place as f64),
            format!("{:.2}", take as f64 / place as f64),
        ]);
    }
    Ok(table)
}

/// Nanoseconds of a placement, a cancel and a fill.
fn engine_at(stage: &Stage) -> Result<[u64; 3]> {
    let mut native = Native::of(stage)?;
    let (alice, maker) = (stage.alice, stage.newcomer);
    let (mut placing, mut cancelling, mut taking) = (Vec::new(), Vec::new(), Vec::new());
    let price = |place: u32| MARK - STEP / 2 - (place % 10) * STEP;
    let buy = bid(MARK + 1, SOL).immediate_or_cancel().build();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let mut handles = Vec::with_capacity(BATCH as usize);
        for place in 0..BATCH {
            handles.extend(native.place(&alice, &bid(price(place), SOL).post_only().build())?.resting);
        }
        placing.push(per_operation(started.elapsed()));
        let started = Instant::now();
        for (node, sequence) in handles {
            native.cancel(&alice, node, sequence)?;
        }
        cancelling.push(per_operation(started.elapsed()));
        for _ in 0..BATCH {
            native.place(&maker, &ask(MARK + 1, SOL).post_only().build())?;
        }
        let started = Instant::now();
        for _ in 0..BATCH {
            let filled = native.place(&alice, &buy)?.filled;
            debug_assert_eq!(filled, Lots::new(SOL));
        }
        taking.push(per_operation(started.elapsed()));
    }
    Ok([placing, cancelling, taking].map(median))
}

fn per_operation(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX) / u64::from(BATCH)
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

fn ledgers() -> Result<Table> {
    let mut table = Table::new(
        "Transactions on the host, by size of the ledger",
        "Microseconds of wall time per transaction on LiteSVM, one core, signatures not verified: placing and cancelling in \
         turn; then 15 placements in one transaction. A slot is 200 ms; orders per second are those of the medians.",
        &[
            "ledger",
            "fastest",
            "median",
            "mean",
            "÷ smallest",
            "per slot",
            "15 orders",
            "orders per second, single",
            "batched",
        ],
    );
    let mut smallest = None;
    for kibibytes in [64, 256, 1_024] {
        let mut stage = stage_at(kibibytes << 10)?;
        let single = singles(&mut stage)?;
        let batch = median(batches(&mut stage)?);
        let (fastest, mean) = (single.iter().copied().min().unwrap_or(0), mean(&single));
        let median = median(single);
        let smallest = *smallest.get_or_insert(median);
        table.row(vec![
            format!("{kibibytes} KiB"),
            micros(fastest),
            micros(median),
            micros(mean),
            format!("{:.2}", median as f64 / smallest as f64),
            (MAINNET.slot_millis * 1_000_000 / median.max(1)).to_string(),
            micros(batch),
            (SECOND / median.max(1)).to_string(),
            (SECOND * u64::from(BATCHED) / batch.max(1)).to_string(),
        ]);
    }
    Ok(table)
}

fn micros(nanos: u64) -> String {
    format!("{:.1}", nanos as f64 / 1_000.0)
}

fn mean(values: &[u64]) -> u64 {
    values.iter().sum::<u64>() / values.len().max(1) as u64
}

/// A regular book of depth 250, and a ledger of about this size.
fn stage_at(size: usize) -> Result<Stage> {
    let (fixed, cell) = (ledger_size(EVENTS, 0), ledger_size(0, 1) - ledger_size(0, 0));
    let cells = u32::try_from(size.saturating_sub(fixed) / cell)?;
    let config = DeskConfig { cells, events: EVENTS, ..DeskConfig::default() };
    Stage::on(config, 8)?.with_book(250)
}

/// Nanoseconds of each transaction.
fn singles(stage: &mut Stage) -> Result<Vec<u64>> {
    let alice = stage.alice;
    let place = [stage.order(&bid(MARK - STEP / 2, SOL).post_only().build())];
    let mut times = Vec::with_capacity(TRANSACTIONS);
    for _ in 0..TRANSACTIONS / 2 {
        times.push(timed(stage, &place)?);
        let cancel = [stage.cancel_newest(&alice)?];
        times.push(timed(stage, &cancel)?);
    }
    Ok(times)
}

/// Nanoseconds of each transaction with [`BATCHED`] placements.
fn batches(stage: &mut Stage) -> Result<Vec<u64>> {
    let (alice, market) = (stage.alice, stage.market());
    let place = |place: u32| stage.order(&bid(MARK - STEP / 2 - place * STEP, SOL).post_only().build());
    let places: Vec<_> = (0..BATCHED).map(place).collect();
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        times.push(timed(stage, &places)?);
        stage.desk.chain.send(stage.desk.venue.cancel_all(&alice, &market, Sides::Both, u8::MAX))?;
    }
    Ok(times)
}

fn timed(stage: &mut Stage, instructions: &[Instruction]) -> Result<u64> {
    let started = Instant::now();
    stage.desk.chain.send_all(instructions)?;
    Ok(u64::try_from(started.elapsed().as_nanos())?)
}
