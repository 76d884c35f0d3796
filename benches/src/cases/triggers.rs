//! Conditional orders.

use anyhow::{Context, Result};
use quantdesk_client::{
    engine::{EngineError, Lots, QuoteAtoms, Side, Ticks, UnixSeconds, book::TriggerHandle, state::Reference},
    instruction::Trader,
    trigger::TriggerTicket,
    view,
};
use solana_instruction::Instruction;

use super::{Case, compare, depth_table};
use crate::{
    stage::{MARK, MARKET, PRICE, SOL, STEP, Stage, ask, bid},
    table::Table,
    vm::Vm,
};

/// Most triggers that one instruction names.
const MOST: u64 = 8;

/// The depth table of this module.
pub fn table(vm: &mut Vm, stages: &[Stage]) -> Result<Table> {
    let mut table = depth_table(
        "Conditional orders",
        "Alice is long 10 SOL and has the triggers, with a tip each; somebody else executes them, against one resting order \
         each. \"By hand\" is the order that a trigger becomes, placed by Alice herself.",
    );
    compare(vm, &mut table, stages, &cases())?;
    Ok(table)
}

fn cases() -> Vec<Case> {
    vec![
        Case::new("PlaceTrigger, tip, 4 others", |vm, mut stage| {
            own(&mut stage, 4)?;
            vm.accepted(&stage.desk, &placing(&stage, stop(9)))
        }),
        Case::new("CancelTrigger, 4th of 5", |vm, mut stage| {
            own(&mut stage, 5)?;
            let handle = *handles(&stage)?.get(3).context("a trigger")?;
            vm.accepted(&stage.desk, &stage.desk.venue.cancel_trigger(&stage.alice, &stage.market(), handle))
        }),
        Case::new("by hand, 1 fill", |vm, mut stage| {
            bids(&mut stage, 1)?;
            let order = ask(MARK - STEP / 2, SOL).immediate_or_cancel().reduce_only();
            vm.accepted(&stage.desk, &stage.order(&order.build()))
        }),
        executed("ExecuteTriggers, 1 fill", 1),
        executed("ExecuteTriggers, 8 triggers, 8 fills", MOST),
        Case::new("ExecuteTriggers, a trailing one moved", |vm, mut stage| {
            let trailing = TriggerTicket::trailing(Side::Ask, Ticks::new(100)).lots(Lots::new(SOL));
            send(&mut stage, trailing.watching(Reference::Index))?;
            stage.wait(1);
            stage.desk.set_price(MARKET, PRICE + PRICE / 1_000)?;
            let named = handles(&stage)?;
            vm.accepted(&stage.desk, &executing(&stage, stage.newcomer, &named))
        }),
        Case::new("refused: ExecuteTriggers, 8 not due", |vm, mut stage| {
            for id in 1..=MOST {
                send(
                    &mut stage,
                    TriggerTicket::stop(Side::Ask, Ticks::new(MARK - 1)).lots(Lots::new(SOL)).client_id(id),
                )?;
            }
            let named = handles(&stage)?;
            vm.refused(&stage.desk, &executing(&stage, stage.newcomer, &named), EngineError::NoTriggerDue)
        }),
    ]
}

/// So many triggers that are due, each with a fill.
fn executed(name: &'static str, count: u64) -> Case {
    Case::new(name, move |vm, mut stage| {
        own(&mut stage, count)?;
        bids(&mut stage, count)?;
        let named = handles(&stage)?;
        vm.accepted(&stage.desk, &executing(&stage, stage.newcomer, &named))
    })
}

/// Out of 1 SOL at the mark.
fn stop(id: u64) -> TriggerTicket {
    let stop = TriggerTicket::stop(Side::Ask, Ticks::new(MARK)).lots(Lots::new(SOL));
    stop.tip(QuoteAtoms::new(1_000)).client_id(id)
}

fn own(stage: &mut Stage, count: u64) -> Result<()> {
    (1..=count).try_for_each(|id| send(stage, stop(id)))
}

/// Bids of 1 SOL each in front of the book.
fn bids(stage: &mut Stage, count: u64) -> Result<()> {
    let maker = *stage.makers.first().context("a maker")?;
    (0..count).try_for_each(|_| stage.place(&maker, &bid(MARK - STEP / 2, SOL).post_only().build()))
}

fn placing(stage: &Stage, ticket: TriggerTicket) -> Instruction {
    stage.desk.venue.place_trigger(&stage.alice, &stage.market(), &ticket.build(), UnixSeconds::ZERO)
}

fn send(stage: &mut Stage, ticket: TriggerTicket) -> Result<()> {
    let instruction = placing(stage, ticket);
    stage.desk.chain.send(instruction).map(|_| ()).context("placing a trigger")
}

fn handles(stage: &Stage) -> Result<Vec<TriggerHandle>> {
    let ledger = stage.desk.ledger_view()?;
    let index = stage.desk.markets.get(MARKET).context("the market")?.index;
    let own = view::own_triggers(&ledger, index, &stage.alice).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(own.into_iter().map(|(handle, _)| handle).collect())
}

fn executing(stage: &Stage, keeper: Trader, named: &[TriggerHandle]) -> Instruction {
    stage.desk.venue.execute_triggers(&keeper, &stage.market(), named)
}
