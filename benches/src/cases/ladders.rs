//! Makers' ladders: setting, moving, being taken.

use anyhow::{Context, Result};
use quantdesk_client::{
    Address,
    engine::{Side, Ticks, UnixSeconds, state::annex::LADDERS_MAX},
    instruction::Trader,
    ladder::{self, LadderTicket},
};
use solana_instruction::Instruction;

use super::{Case, compare, depth_table};
use crate::{
    peers::target,
    stage::{MARK, MARKET, SOL, STEP, Stage, ask, bid},
    table::Table,
    vm::Vm,
};

/// Around the middle, in front of the regular book's best orders.
const NEAR: u32 = STEP / 2;

/// What the summary needs of this module.
pub struct Ladders {
    /// Tables.
    pub table: Table,
    /// Compute units of a move, at worst.
    pub moved: u64,
}

/// Every table of this module.
pub fn measure(vm: &mut Vm, stages: &[Stage]) -> Result<Ladders> {
    let mut table = depth_table(
        "Ladders",
        "Eight levels a side, the first in front of the book. The maker has one position; nobody else has a ladder, unless \
         said otherwise.",
    );
    let cases: Vec<Case> = moves().into_iter().chain(others()).collect();
    let figures = compare(vm, &mut table, stages, &cases)?;
    let moved = figures.iter().take(moves().len()).flatten().copied().max().context("moves")?;
    Ok(Ladders { table, moved })
}

/// Eight levels a side, 1 SOL each.
fn ticket(quoter: &Address, mid: u32) -> LadderTicket {
    let levels: Vec<(u32, u64)> = (0..8).map(|level| (NEAR + level * STEP, SOL)).collect();
    let ticket = LadderTicket::new(quoter, mid);
    ticket.side(Side::Bid, MARK + 20 * STEP, 100 * SOL, &levels).side(Side::Ask, MARK - 20 * STEP, 100 * SOL, &levels)
}

fn set(stage: &Stage, trader: &Trader, sequence: u64) -> Instruction {
    let ticket = ticket(&trader.authority, MARK);
    stage.desk.venue.set_ladder(trader, &stage.market(), &ticket.wanted(sequence), UnixSeconds::ZERO)
}

/// Alice's ladder moves so many ticks up.
fn up(stage: &Stage, sequence: u64, ticks: u32) -> Result<Instruction> {
    let (ledger, market) = (stage.desk.ledger_view()?, stage.desk.market_view(MARKET)?);
    let (handle, _) = ladder::find(&ledger, &market, &stage.alice)?.context("a ladder")?;
    let mid = Ticks::new(MARK + ticks);
    Ok(stage.desk.venue.move_ladder(stage.alice.authority, &stage.market(), handle, sequence, mid))
}

fn with_ladder(mut stage: Stage) -> Result<Stage> {
    stage.desk.chain.send(set(&stage, &stage.alice, 1))?;
    Ok(stage)
}

fn moves() -> Vec<Case> {
    let case = |name: &str, sequence, ticks| {
        Case::new(name, move |vm, stage| {
            let stage = with_ladder(stage)?;
            vm.accepted(&stage.desk, &up(&stage, sequence, ticks)?)
        })
        .within(target::MOVE_LADDER)
    };
    vec![case("MoveLadder, 8 levels a side", 2, 1), case("MoveLadder, an old number", 1, 1)]
}

fn others() -> Vec<Case> {
    vec![
        Case::new("MoveLadder, 3 levels a side would cross the book", |vm, stage| {
            let mut stage = with_ladder(stage)?;
            let (maker, crossed) = (stage.makers[0], MARK + NEAR + 25);
            stage.place(&maker, &ask(crossed, SOL).post_only().build())?;
            vm.accepted(&stage.desk, &up(&stage, 2, 2 * NEAR + 45)?)
        }),
        Case::new("SetLadder, 8 levels a side", |vm, stage| vm.accepted(&stage.desk, &set(&stage, &stage.alice, 1))),
        Case::new("SetLadder, 8 levels a side, again", |vm, stage| {
            let stage = with_ladder(stage)?;
            vm.accepted(&stage.desk, &set(&stage, &stage.alice, 2))
        }),
        Case::new("SetLadder, 8 levels a side, takes the place of another", |vm, mut stage| {
            for maker in stage.makers.clone().iter().take(LADDERS_MAX) {
                let ticket = small(&maker.authority);
                let market = stage.market();
                stage.desk.chain.send(stage.desk.venue.set_ladder(
                    maker,
                    &market,
                    &ticket.wanted(1),
                    UnixSeconds::ZERO,
                ))?;
            }
            vm.accepted(&stage.desk, &set(&stage, &stage.alice, 1))
        }),
        taken("Taking the only ladder, 1 level", 1, SOL),
        taken("Taking the only ladder, 8 levels", 1, 8 * SOL),
        taken("Taking the best of 16 ladders, 1 level", LADDERS_MAX, SOL),
    ]
}

/// One level a side, less than [`ticket`].
fn small(quoter: &Address) -> LadderTicket {
    let far = [(20 * STEP, SOL)];
    LadderTicket::new(quoter, MARK).side(Side::Bid, MARK, SOL, &far).side(Side::Ask, MARK, SOL, &far)
}

/// The newcomer takes from Alice's ladder, which is one of so many.
fn taken(name: &str, ladders: usize, lots: u64) -> Case {
    Case::new(name, move |vm, stage| {
        let mut stage = with_ladder(stage)?;
        for maker in stage.makers.clone().iter().take(ladders - 1) {
            let (ticket, market) = (small(&maker.authority), stage.market());
            stage.desk.chain.send(stage.desk.venue.set_ladder(maker, &market, &ticket.wanted(1), UnixSeconds::ZERO))?;
        }
        let order = bid(MARK + 10 * STEP, lots).immediate_or_cancel().build();
        vm.accepted(&stage.desk, &stage.order_of(&stage.newcomer, &order))
    })
}
