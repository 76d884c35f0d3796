//! Orders that rest, cancels, and what the trader's own orders add.

use anyhow::{Context, Result, ensure};
use quantdesk_client::{
    engine::{
        EngineError, Lots, Side, Ticks, UnixSeconds,
        book::{SelfTrade, Sides},
    },
    instruction::Target,
};

use super::{Case, access, compare, depth_table, fees};
use crate::{
    peers::{self, target},
    stage::{MARK, MARKET, PRICE, SOL, STEP, Stage, ask, bid},
    table::Table,
    vm::Vm,
};

/// Half a step: between two prices of the regular book.
const HALF: u32 = STEP / 2;
/// Orders that fill a side.
const FULL: u32 = 1_024;

/// Where in the book.
#[derive(Clone, Copy)]
enum Spot {
    Best,
    Middle,
    Worst,
}

impl Spot {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Best, "best price"), (Self::Middle, "middle of the book"), (Self::Worst, "worst price")];

    /// Price of a bid with this many bids of the regular book in front of it.
    fn bid(self, stage: &Stage) -> Result<u32> {
        let depth = u32::try_from(stage.side_len(Side::Bid)?)?;
        let better = match self {
            Self::Best => 0,
            Self::Middle => depth / 2,
            Self::Worst => depth,
        };
        Ok(MARK - better * STEP - HALF)
    }
}

/// Every depth table of this module.
pub fn tables(vm: &mut Vm, stages: &[Stage]) -> Result<Vec<Table>> {
    let mut resting = depth_table(
        "Placing and cancelling",
        "The trader has one position and, unless said otherwise, no other order in the market.",
    );
    let cases = places().into_iter().chain(cancels()).chain(changes()).chain(super::delay::cases());
    let cases = cases.chain(fees::placing()).chain(access::cases());
    let cases: Vec<Case> = cases.chain(refusals()).collect();
    compare(vm, &mut resting, stages, &cases)?;

    let mut own = Table::new(
        "What the trader's own orders add",
        "Depth 250; the column is how many orders the trader already has in this market. A client id is checked against \
         all of them. Orders that the mark has moved through keep more margin than they need until the next placement \
         looks at each again.",
        &["case, by own orders", "0", "8", "32", "127"],
    );
    let base = stages.get(2).context("depth 250")?;
    let owners = [0, 8, 32, 127].map(|count| with_own_bids(base.clone(), count));
    compare(vm, &mut own, &owners.into_iter().collect::<Result<Vec<_>>>()?, &own_cases())?;

    let mut full = Table::new(
        "A full side",
        "All 1,024 places of the side are taken. A better order evicts the worst one.",
        &["case", "CU"],
    );
    let stage = Stage::new()?.with_book(FULL)?;
    ensure!(stage.side_len(Side::Bid)? == FULL as usize, "the side is full");
    compare(vm, &mut full, &[stage], &full_cases())?;
    Ok(vec![resting, own, full])
}

fn places() -> Vec<Case> {
    let mut cases: Vec<Case> = Spot::ALL
        .into_iter()
        .map(|(spot, name)| {
            Case::new(format!("PlaceOrder, post-only, {name}"), move |vm, stage| {
                let price = spot.bid(&stage)?;
                vm.accepted(&stage.desk, &stage.order(&bid(price, SOL).post_only().build()))
            })
            .within(target::PLACE)
            .against(peers::MANIFEST)
        })
        .collect();
    cases.push(Case::new("PlaceOrder, limit, rests", |vm, stage| {
        vm.accepted(&stage.desk, &stage.order(&bid(MARK - HALF, SOL).build()))
    }));
    cases.push(Case::new("PlaceOrder, post-only, first use of the market", |vm, stage| {
        let newcomer = stage.newcomer;
        vm.accepted(&stage.desk, &stage.order_of(&newcomer, &bid(MARK - HALF, SOL).post_only().build()))
    }));
    cases.push(Case::new("PlaceOrder, reduce-only, rests", |vm, stage| {
        vm.accepted(&stage.desk, &stage.order(&ask(MARK + HALF, SOL).post_only().reduce_only().build()))
    }));
    cases.push(Case::new("PlaceOrder, pegged", |vm, stage| {
        vm.accepted(&stage.desk, &stage.order(&bid(MARK, SOL).pegged(-1).build()))
    }));
    cases.push(Case::new("PlaceOrder, IOC, nothing crosses", |vm, stage| {
        vm.accepted(&stage.desk, &stage.order(&bid(MARK - HALF, SOL).immediate_or_cancel().build()))
    }));
    cases
}

fn cancels() -> Vec<Case> {
    let mut cases: Vec<Case> = Spot::ALL
        .into_iter()
        .map(|(spot, name)| {
            Case::new(format!("CancelOrder, {name}"), move |vm, mut stage| {
                let (alice, price) = (stage.alice, spot.bid(&stage)?);
                stage.place(&alice, &bid(price, SOL).post_only().build())?;
                vm.accepted(&stage.desk, &stage.cancel_newest(&alice)?)
            })
            .within(target::CANCEL)
            .against(peers::PHOENIX_CANCEL)
        })
        .collect();
    cases.push(
        Case::new("ReplaceQuotes, 10 quotes moved", |vm, mut stage| {
            scatter(&mut stage, 10)?;
            let prices = stage.own_prices(&stage.alice)?;
            let instruction = stage.replace_quotes(prices.into_iter().rev().map(|price| price - 1));
            vm.accepted(&stage.desk, &instruction)
        })
        .within(target::REPLACE)
        .against(peers::PHOENIX_REPLACE),
    );
    cases.push(cancel_all("CancelAll, no order", 0));
    cases.push(cancel_all("CancelAll, 1 order", 1).against(peers::PHOENIX_CANCEL));
    cases.push(cancel_all("CancelAll, 8 orders", 8).against(peers::OPENBOOK_CANCEL_8));
    cases.push(cancel_all("CancelAll, 32 orders", 32));
    cases
}

fn cancel_all(name: &str, count: u32) -> Case {
    Case::new(name, move |vm, mut stage| {
        scatter(&mut stage, count)?;
        let instruction = stage.desk.venue.cancel_all(&stage.alice, &stage.market(), Sides::Both, u8::MAX);
        vm.accepted(&stage.desk, &instruction)
    })
}

/// What becomes of Alice's orders besides.
fn changes() -> Vec<Case> {
    vec![
        Case::new("CancelOrders, 8 orders", |vm, mut stage| {
            scatter(&mut stage, 8)?;
            let handles = stage.handles(&stage.alice)?;
            vm.accepted(&stage.desk, &stage.desk.venue.cancel_orders(&stage.alice, &stage.market(), &handles))
        })
        .against(peers::OPENBOOK_CANCEL_8),
        Case::new("CancelOrders, 8 orders that are gone", |vm, mut stage| {
            scatter(&mut stage, 8)?;
            let handles = stage.handles(&stage.alice)?;
            let instruction = stage.desk.venue.cancel_orders(&stage.alice, &stage.market(), &handles);
            stage.desk.chain.send(instruction.clone())?;
            vm.accepted(&stage.desk, &instruction)
        }),
        Case::new("CancelByClientId, 8th of 16 orders", |vm, stage| {
            let stage = with_own_bids(stage, 16)?;
            vm.accepted(&stage.desk, &stage.desk.venue.cancel_by_client_id(&stage.alice, &stage.market(), 9))
        }),
        amend("AmendOrder, fewer lots", 0, SOL - 1),
        amend("AmendOrder, more lots", 0, SOL + 1),
        amend("AmendOrder, another price", STEP, SOL),
        Case::new("Heartbeat", |vm, stage| vm.accepted(&stage.desk, &stage.desk.venue.heartbeat(&stage.alice, 10))),
        Case::new("EnforceDeadman, 8 orders", |vm, mut stage| {
            scatter(&mut stage, 8)?;
            stage.desk.chain.send(stage.desk.venue.heartbeat(&stage.alice, 5))?;
            stage.wait(6);
            let target = Target { trader: stage.alice.cell, generation: stage.alice.generation };
            vm.accepted(&stage.desk, &stage.desk.venue.enforce_deadman(&stage.market(), target, u8::MAX))
        }),
        Case::new("DropExpired, 8 orders", |vm, mut stage| {
            let (alice, soon) = (stage.alice, stage.desk.chain.unix_seconds() + 1);
            for place in 0..8 {
                let order = bid(MARK - place * STEP - HALF, SOL).post_only().expires_at(UnixSeconds::new(soon));
                stage.place(&alice, &order.build())?;
            }
            let handles = stage.handles(&alice)?;
            stage.wait(2);
            vm.accepted(&stage.desk, &stage.desk.venue.drop_expired(&stage.market(), &handles))
        }),
    ]
}

/// Alice's only bid gets other lots, or goes so many ticks down.
fn amend(name: &str, down: u32, lots: u64) -> Case {
    Case::new(name, move |vm, mut stage| {
        let (alice, price) = (stage.alice, MARK - HALF);
        stage.place(&alice, &bid(price, SOL).post_only().build())?;
        let handle = *stage.handles(&alice)?.first().context("an order")?;
        let (price, lots) = (Ticks::new(price - down), Lots::new(lots));
        vm.accepted(&stage.desk, &stage.desk.venue.amend_order(&alice, &stage.market(), handle, price, lots))
    })
}

/// Gives Alice orders that are spread evenly over the bids.
fn scatter(stage: &mut Stage, count: u32) -> Result<()> {
    let (alice, depth) = (stage.alice, u32::try_from(stage.side_len(Side::Bid)?)?);
    for place in 0..count {
        let price = MARK - depth.max(count) * STEP * place / count - HALF;
        stage.place(&alice, &bid(price, SOL).post_only().build())?;
    }
    Ok(())
}

fn refusals() -> Vec<Case> {
    vec![
        Case::new("refused: post-only order that would take", |vm, mut stage| {
            let maker = stage.makers[0];
            stage.place(&maker, &ask(MARK + HALF, SOL).build())?;
            let order = stage.order(&bid(MARK + HALF, SOL).post_only().build());
            vm.refused(&stage.desk, &order, EngineError::PostOnlyWouldCross)
        }),
        Case::new("refused: below initial margin", |vm, stage| {
            let order = stage.order_of(&stage.newcomer, &bid(MARK - HALF, 1_000_000 * SOL).post_only().build());
            vm.refused(&stage.desk, &order, EngineError::BelowInitialMargin)
        }),
        Case::new("refused: order to cancel is gone", |vm, mut stage| {
            let alice = stage.alice;
            stage.place(&alice, &bid(MARK - HALF, SOL).build())?;
            let cancel = stage.cancel_newest(&alice)?;
            stage.desk.chain.send(cancel.clone())?;
            vm.refused(&stage.desk, &cancel, EngineError::OrderNotFound)
        }),
        Case::new("refused: price too old", |vm, mut stage| {
            stage.wait(31);
            let order = stage.order(&bid(MARK - HALF, SOL).post_only().build());
            vm.refused(&stage.desk, &order, EngineError::PriceNotValidForAction)
        }),
    ]
}

/// Alice's own bids, all with client ids, below the regular book's best.
fn with_own_bids(mut stage: Stage, count: u32) -> Result<Stage> {
    let alice = stage.alice;
    for place in 0..count {
        let order = bid(MARK - place * STEP - HALF, SOL).post_only().client_id(u64::from(place) + 1);
        stage.place(&alice, &order.build())?;
    }
    Ok(stage)
}

fn own_cases() -> Vec<Case> {
    let price = MARK - 2 * STEP - HALF;
    vec![
        Case::new("PlaceOrder, post-only, without a client id", move |vm, stage| {
            vm.accepted(&stage.desk, &stage.order(&bid(price, SOL).post_only().build()))
        }),
        Case::new("PlaceOrder, post-only, with a client id", move |vm, stage| {
            let order = bid(price, SOL).post_only().client_id(1_000);
            vm.accepted(&stage.desk, &stage.order(&order.build()))
        }),
        Case::new("PlaceOrder, without a client id, mark 1% below own bids", move |vm, mut stage| {
            stage.desk.set_price(MARKET, PRICE / 100 * 99)?;
            vm.accepted(&stage.desk, &stage.order(&bid(MARK / 2, SOL).post_only().build()))
        }),
    ]
}

fn full_cases() -> Vec<Case> {
    let worst = MARK - FULL * STEP - HALF;
    vec![
        Case::new("PlaceOrder, post-only, best price, evicts the worst order", |vm, stage| {
            vm.accepted(&stage.desk, &stage.order(&bid(MARK - HALF, SOL).post_only().build()))
        }),
        Case::new("PlaceOrder, post-only, next to worst, evicts the worst order", move |vm, stage| {
            vm.accepted(&stage.desk, &stage.order(&bid(worst + STEP, SOL).post_only().build()))
        }),
        Case::new("refused: no better than the worst order", move |vm, stage| {
            vm.refused(&stage.desk, &stage.order(&bid(worst, SOL).post_only().build()), EngineError::BookFull)
        }),
    ]
}

/// Self-trade prevention: the best order is of the taker's owner, the next one is not.
pub fn self_trades() -> Vec<Case> {
    let policies = [
        (SelfTrade::CancelMaker, "own order cancelled, 1 maker taken"),
        (SelfTrade::CancelTaker, "taker cancelled"),
        (SelfTrade::CancelBoth, "both cancelled"),
        (SelfTrade::Decrement, "both decremented, 1 maker taken"),
    ];
    let case = |(policy, name): (SelfTrade, &str)| {
        Case::new(format!("Self-trade: {name}"), move |vm, mut stage| {
            let (alice, bob) = (stage.alice, stage.makers[0]);
            stage.place(&alice, &ask(MARK + 1, SOL).build())?;
            stage.place(&bob, &ask(MARK + HALF, SOL).build())?;
            let order = bid(MARK + HALF, 2 * SOL).immediate_or_cancel().self_trade(policy);
            vm.accepted(&stage.desk, &stage.order(&order.build()))
        })
    };
    policies.into_iter().map(case).collect()
}
