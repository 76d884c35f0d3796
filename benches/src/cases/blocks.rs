//! What transactions take out of a block, and how many operations one risk group gets.

use anyhow::{Context, Result, ensure};
use quantdesk_client::{
    budget::Budget,
    engine::{QuoteAtoms, book::Sides},
    instruction::Trader,
};
use solana_instruction::Instruction;

use crate::{
    capacity::{BUDGET_INSTRUCTION, Load, MAINNET, Shape, TRANSACTION_MAX},
    stage::{MARK, MARKET, SOL, STEP, Stage, ask, bid},
    table::{Table, number},
    vm::Vm,
};

/// Compute-budget instructions in front of every transaction: limit, price, loaded data.
const BUDGET: Budget = Budget { compute_units: 1_400_000, unit_price: 1, loaded_bytes: 4 << 20 };
/// Orders of the requoting transaction.
const QUOTES: u32 = 10;
const BEST_BID: u32 = MARK - STEP / 2;
const BEST_ASK: u32 = MARK + STEP / 2;

/// A transaction to be charged.
struct Plan {
    name: String,
    /// Operations in it.
    operations: u64,
    stage: Stage,
    /// Who pays, signs and trades.
    payer: Trader,
    instructions: Vec<Instruction>,
}

/// What the summary needs of this module.
pub struct Blocks {
    /// Tables.
    pub tables: Vec<Table>,
    /// Single orders per second.
    pub single: u64,
    /// Order operations per second when ten quotes are replaced in each transaction.
    pub batched: u64,
    /// Ten cancels and ten places, program alone.
    pub replace: u64,
}

/// The table, on a regular book of depth 250.
pub fn measure(vm: &mut Vm, base: &Stage) -> Result<Blocks> {
    let mut table = table(base.desk.chain.bytes(&base.desk.venue.ledger)?.len());
    let mut blocks = Blocks { tables: Vec::new(), single: 0, batched: 0, replace: 0 };
    let mut features = Table::new(
        "With every feature",
        "The same instructions, program alone, as if every feature that the runtime knows were active. Mainnet has yet to \
         activate some of them, such as direct mapping of account data.",
        &["instruction", "mainnet", "every feature"],
    );
    let singles = single_plans(base)?;
    let batches = batch_plans(base)?;
    for (index, plan) in singles.iter().chain(&batches).enumerate() {
        let load = charge(vm, plan).with_context(|| plan.name.clone())?;
        let per_second = MAINNET.per_second(load.cost(), plan.operations);
        if index == 0 {
            blocks.single = per_second;
        }
        if index + 1 == singles.len() + batches.len() {
            blocks.batched = per_second;
            blocks.replace = load.compute_units - 3 * BUDGET_INSTRUCTION;
        }
        table.row(row(plan, &load, per_second));
    }
    for plan in &singles {
        let instruction = plan.instructions.first().context("an instruction")?;
        let units =
            [vm.accepted(&plan.stage.desk, instruction)?, vm.with_every_feature(&plan.stage.desk, instruction)?];
        features.row(std::iter::once(plan.name.clone()).chain(units.map(|units| number(Some(units)))).collect());
    }
    blocks.tables = vec![table, features];
    Ok(blocks)
}

/// The table without rows.
fn table(ledger_bytes: usize) -> Table {
    let text = format!(
        "Depth 250, a ledger of {} KiB. Every transaction carries the client's three compute-budget instructions (450), the \
         trader pays for it, and its limits are what it uses. `cost = 720 × signatures + 300 × write locks + data / 4 + CU \
         + 8 × pages`. The cost counts against the ledger, which all of these write: 20 million per slot of 200 ms. \
         \"× n\" is as many as fit into 1,232 bytes. These are ceilings of the protocol, not forecasts.",
        ledger_bytes.div_ceil(1 << 10)
    );
    let columns = [
        "transaction",
        "operations",
        "bytes",
        "write locks",
        "data bytes",
        "pages",
        "CU",
        "cost",
        "per slot",
        "operations per second",
    ];
    Table::new("Block cost and capacity of one risk group", &text, &columns)
}

fn row(plan: &Plan, load: &Load, per_second: u64) -> Vec<String> {
    let bytes = shape(plan).wire_bytes as u64;
    let per_slot = MAINNET.per_slot(load.cost(), 1);
    let figures = [
        plan.operations,
        bytes,
        load.write_locks,
        load.data_bytes,
        load.pages(),
        load.compute_units,
        load.cost(),
        per_slot,
        per_second,
    ];
    std::iter::once(plan.name.clone()).chain(figures.map(|figure| number(Some(figure)))).collect()
}

/// Executes the transaction on LiteSVM and reckons its cost.
fn charge(vm: &mut Vm, plan: &Plan) -> Result<Load> {
    let instructions = transaction(&plan.instructions);
    let mut chain = plan.stage.desk.chain.clone();
    let units = chain.send_all(&instructions)?.compute_units;
    if let [instruction] = plan.instructions.as_slice() {
        let alone = vm.accepted(&plan.stage.desk, instruction)?;
        ensure!(units == alone + 3 * BUDGET_INSTRUCTION, "each compute-budget instruction costs {BUDGET_INSTRUCTION}");
    }
    let loaded = vm.loaded_bytes(&plan.stage.desk.chain, &plan.payer.authority, &instructions);
    Ok(shape(plan).load(loaded, units))
}

fn transaction(instructions: &[Instruction]) -> Vec<Instruction> {
    BUDGET.instructions().into_iter().chain(instructions.iter().cloned()).collect()
}

fn shape(plan: &Plan) -> Shape {
    Shape::of(&plan.payer.authority, &transaction(&plan.instructions))
}

fn single_plans(base: &Stage) -> Result<Vec<Plan>> {
    let venue = base.desk.venue;
    let alice = base.alice;
    let plan = |name: &str, operations, stage: &Stage, instruction| Plan {
        name: name.into(),
        operations,
        stage: stage.clone(),
        payer: alice,
        instructions: vec![instruction],
    };
    let mut quoted = base.clone();
    quote(&mut quoted, 8)?;
    let mut offered = base.clone();
    offer(&mut offered, 1)?;
    let mut priced = base.clone();
    priced.wait(1);
    priced.publish(MARKET, crate::stage::PRICE)?;
    let listed = &priced.desk.markets[MARKET];
    let atoms = QuoteAtoms::new(1_000_000);
    Ok(vec![
        plan("PlaceOrder, rests", 1, base, base.order(&bid(BEST_BID, SOL).post_only().build())),
        plan("PlaceOrder, IOC, 1 maker", 1, &offered, offered.order(&bid(BEST_ASK, SOL).immediate_or_cancel().build())),
        plan("CancelOrder", 1, &quoted, quoted.cancel_newest(&alice)?),
        plan("CancelAll, 8 orders", 8, &quoted, venue.cancel_all(&alice, &base.market(), Sides::Both, 8)),
        plan("UpdatePrice, 2 sources", 1, &priced, venue.update_price(&listed.address, listed.index, &listed.feeds)),
        plan("Deposit", 1, base, venue.deposit(&alice, base.tokens, atoms)),
        plan("Withdraw", 1, base, venue.withdraw(&alice, base.tokens, atoms)),
    ])
}

/// Makes Alice's orders.
fn quote(stage: &mut Stage, count: u32) -> Result<()> {
    let alice = stage.alice;
    (0..count).try_for_each(|place| stage.place(&alice, &bid(BEST_BID - place * STEP, SOL).post_only().build()))
}

/// Makes best asks of distinct makers.
fn offer(stage: &mut Stage, count: usize) -> Result<()> {
    let makers: Vec<_> = stage.makers.iter().copied().take(count).collect();
    ensure!(makers.len() == count, "{count} makers");
    makers.iter().try_for_each(|maker| stage.place(maker, &ask(BEST_ASK, SOL).post_only().build()))
}

fn batch_plans(base: &Stage) -> Result<Vec<Plan>> {
    let alice = base.alice;
    let place = |place: u32| base.order(&bid(BEST_BID - place * STEP, SOL).post_only().build());
    let places = fill(&alice, place);

    let mut quoted = base.clone();
    quote(&mut quoted, 64)?;
    let handles = quoted.handles(&alice)?;
    let cancel = |place: u32| {
        let (node, sequence) = handles[place as usize];
        quoted.desk.venue.cancel_order(&alice, &quoted.market(), node, sequence)
    };
    let cancels = fill(&alice, cancel);

    let take = |_| base.order(&bid(BEST_ASK, SOL).immediate_or_cancel().build());
    let takes = fill(&alice, take);
    let mut offered = base.clone();
    offer(&mut offered, takes.len())?;

    let mut standing = base.clone();
    quote(&mut standing, QUOTES)?;
    let mut requote = vec![base.desk.venue.cancel_all(&alice, &base.market(), Sides::Both, QUOTES as u8)];
    requote.extend((0..QUOTES).map(place));

    let moved = standing.replace_quotes((0..QUOTES).map(|place| BEST_BID - place * STEP - 1));

    let batch = |name: &str, operations: usize, stage: &Stage, instructions: Vec<Instruction>| Plan {
        name: name.replace('#', &instructions.len().to_string()),
        operations: operations as u64,
        stage: stage.clone(),
        payer: alice,
        instructions,
    };
    Ok(vec![
        batch("PlaceOrder, rests, × #", places.len(), base, places),
        batch("PlaceOrder, IOC, 1 maker, × #", takes.len(), &offered, takes),
        batch("CancelOrder × #", cancels.len(), &quoted, cancels),
        batch("CancelAll of 10 and PlaceOrder × 10", 2 * QUOTES as usize, &standing, requote),
        batch("ReplaceQuotes, 10 quotes moved", 2 * QUOTES as usize, &standing, vec![moved]),
    ])
}

/// As many instructions as fit into a transaction.
fn fill(payer: &Trader, instruction: impl Fn(u32) -> Instruction) -> Vec<Instruction> {
    let mut instructions = Vec::new();
    loop {
        let next = instruction(instructions.len() as u32);
        instructions.push(next);
        if Shape::of(&payer.authority, &transaction(&instructions)).wire_bytes > TRANSACTION_MAX {
            instructions.pop();
            return instructions;
        }
    }
}
