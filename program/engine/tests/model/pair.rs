//! Engine and model in lockstep: every operation runs on both, and everything must agree afterwards.

use super::{Model, compare, risk::Initial};
use crate::support::World;
use quantdesk_engine::{
    CellIndex, NodeIndex, Result, Sequence,
    book::{NewOrder, Placed, Sides},
    risk::{listing::ListingParameters, margin, price::SourcePrice},
};
use std::{collections::HashMap, fmt::Debug};

/// One operation. Traders are named by their number in the model.
#[derive(Clone, Debug)]
pub enum Op {
    /// `trader: None` names a cell that is no trader.
    Place {
        trader: Option<usize>,
        market: usize,
        order: NewOrder,
    },
    Cancel {
        trader: usize,
        market: usize,
        handle: NodeIndex,
        sequence: u64,
    },
    CancelAll {
        trader: usize,
        market: usize,
        sides: Sides,
        limit: u8,
    },
    Deposit {
        trader: usize,
        atoms: u64,
    },
    Withdraw {
        trader: usize,
        atoms: u64,
    },
    CollectFees {
        atoms: u64,
    },
    Open {
        owner: u64,
        sub_account: u16,
    },
    Close {
        trader: usize,
    },
    Price {
        market: usize,
        readings: Vec<Result<SourcePrice>>,
    },
    Pass {
        seconds: i64,
    },
    Grow {
        cells: u32,
    },
    Status {
        market: usize,
        status: u8,
    },
}

/// What happened, for the statistics and for tests that go on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    Nothing,
    Opened(usize),
    Placed(Placed),
    Cancelled(u8),
    Refused(quantdesk_engine::EngineError),
}

#[derive(Clone, Debug)]
pub struct Pair {
    pub world: World,
    pub model: Model,
    /// Handles of all orders that ever rested, by market and sequence.
    pub handles: HashMap<(usize, u64), NodeIndex>,
    /// Standings after the last operation, unless the world has moved since.
    standings: Option<Vec<Standing>>,
}

/// Excess over initial margin and fees paid so far; `None` for a closed trader.
type Standing = Option<(i128, i128)>;

fn agree<T: PartialEq + Debug>(engine: Result<T>, model: Result<T>) -> std::result::Result<Result<T>, String> {
    if engine == model { Ok(engine) } else { Err(format!("outcome: engine {engine:?}, model {model:?}")) }
}

/// R1 for whoever acts. For everybody else: being filled, cancelled or evicted costs no margin but the maker fee,
/// because the worst case was reserved.
fn check_excess(op: &Op, before: &[Standing], after: &[Standing]) -> std::result::Result<(), String> {
    let actor = match op {
        Op::Place { trader, .. } => *trader,
        _ => None,
    };
    for (id, (before, after)) in before.iter().zip(after).enumerate() {
        let (Some((excess, fees)), Some((excess_after, fees_after))) = (before, after) else { continue };
        let allowed = if actor == Some(id) { 0.min(*excess) } else { excess - (fees_after - fees).max(0) };
        if *excess_after < allowed {
            return Err(format!("R1: trader {id} fell from excess {excess} to {excess_after}"));
        }
    }
    Ok(())
}

fn did<T>(outcome: Result<T>, say: impl FnOnce(T) -> Did) -> Did {
    match outcome {
        Ok(value) => say(value),
        Err(error) => Did::Refused(error),
    }
}

fn quiet(outcome: Result<()>) -> Did {
    did(outcome, |()| Did::Nothing)
}

impl Pair {
    pub fn new(listings: &[ListingParameters], cells: u32) -> Self {
        let world = World::new(listings, cells);
        let model = Model::new(listings, cells, world.now.unix_seconds.get());
        Self { world, model, handles: HashMap::new(), standings: None }
    }

    pub fn cell(&self, trader: usize) -> CellIndex {
        CellIndex::new(self.model.trader(trader).cell)
    }

    /// Runs one operation on both and compares everything. The error says what disagrees.
    pub fn apply(&mut self, op: &Op) -> std::result::Result<Did, String> {
        let (traded, base) = match op {
            Op::Place { trader, market, .. } => {
                (Some(*market), trader.map_or(0, |trader| self.model.position(trader, *market).base))
            }
            Op::Cancel { market, .. } | Op::CancelAll { market, .. } => (Some(*market), 0),
            _ => (None, 0),
        };
        let known = self.standings.take();
        let before = traded.map(|_| known.unwrap_or_else(|| self.standings()));
        let did = self.run(op)?;
        compare::equal(&self.model, &self.world, traded)?;
        self.world.check().map_err(|violation| format!("{violation:?}"))?;
        if let Some(before) = before {
            let after = self.standings();
            check_excess(op, &before, &after)?;
            self.standings = Some(after);
            self.check_reduce_only(op, base)?;
        }
        Ok(did)
    }

    fn run(&mut self, op: &Op) -> std::result::Result<Did, String> {
        Ok(match op {
            Op::Place { trader, market, order } => self.place(*trader, *market, order)?,
            Op::Cancel { trader, market, handle, sequence } => {
                let known = self.handles.get(&(*market, *sequence)) == Some(handle);
                let engine = self.world.cancel(*market, self.cell(*trader), *handle, Sequence::new(*sequence));
                quiet(agree(engine, self.model.cancel(*trader, *market, known.then_some(*sequence)))?)
            }
            Op::CancelAll { trader, market, sides, limit } => {
                let engine = self.world.cancel_all(*market, self.cell(*trader), *sides, *limit);
                did(agree(engine, self.model.cancel_all(*trader, *market, *sides, *limit))?, Did::Cancelled)
            }
            Op::Deposit { trader, atoms } => {
                let engine = self.world.deposit(self.cell(*trader), *atoms);
                quiet(agree(engine, self.model.deposit(*trader, *atoms))?)
            }
            Op::Withdraw { trader, atoms } => {
                let engine = self.world.withdraw(self.cell(*trader), *atoms);
                quiet(agree(engine, self.model.withdraw(*trader, *atoms))?)
            }
            Op::CollectFees { atoms } => {
                quiet(agree(self.world.collect_fees(*atoms), self.model.collect_fees(*atoms))?)
            }
            Op::Open { owner, sub_account } => self.open(*owner, *sub_account)?,
            Op::Close { trader } => {
                let engine = self.world.close(self.cell(*trader));
                quiet(agree(engine, self.model.close(*trader))?)
            }
            Op::Price { market, readings } => {
                let engine = self.world.update_price(*market, readings);
                did(agree(engine, self.model.update_price(*market, readings))?, |_| Did::Nothing)
            }
            Op::Grow { cells } => quiet(agree(self.world.grow(*cells as usize), self.model.grow(*cells))?),
            Op::Pass { seconds } => {
                self.world.pass(*seconds);
                self.model.note_nothing();
                self.model.now += seconds;
                Did::Nothing
            }
            Op::Status { market, status } => {
                self.world.set_status(*market, *status);
                self.model.note_nothing();
                self.model.markets[*market].status = *status;
                Did::Nothing
            }
        })
    }

    fn open(&mut self, owner: u64, sub_account: u16) -> std::result::Result<Did, String> {
        let engine = self.world.open(owner, sub_account);
        let cell = engine.ok().map(CellIndex::get);
        if self.model.live().any(|(_, trader)| Some(trader.cell) == cell) {
            return Err(format!("cell {cell:?} was given out twice"));
        }
        let model = self.model.open(owner, sub_account, cell);
        let _ = agree(engine.map(|_| ()), model.map(|_| ()))?;
        Ok(did(model, Did::Opened))
    }

    fn place(&mut self, trader: Option<usize>, market: usize, order: &NewOrder) -> std::result::Result<Did, String> {
        let cell = trader.map_or(CellIndex::NIL, |trader| self.cell(trader));
        let engine = self.world.place(market, cell, order);
        let described = engine.map(|placed| super::Outcome {
            filled: placed.filled.get().into(),
            quote: placed.quote.get().into(),
            fee: placed.fee.get().into(),
            resting: placed.resting.map(|(_, sequence)| sequence.get()),
        });
        let _ = agree(described, self.model.place(trader, market, order))?;
        if let Ok(Placed { resting: Some((handle, sequence)), .. }) = engine {
            self.handles.insert((market, sequence.get()), handle);
        }
        Ok(did(engine, Did::Placed))
    }

    fn standings(&self) -> Vec<Standing> {
        let standing = |(id, trader): (usize, &Option<super::Trader>)| {
            let positions = trader.as_ref()?.positions.iter().flatten();
            Some((self.model.initial(id).excess(), positions.map(|position| position.fees_paid).sum()))
        };
        self.model.traders.iter().enumerate().map(standing).collect()
    }

    /// P5: a reduce-only order neither grew nor flipped its owner's position.
    fn check_reduce_only(&self, op: &Op, base: i128) -> std::result::Result<(), String> {
        match op {
            Op::Place { trader: Some(trader), market, order } if order.reduce_only => {
                let after = self.model.position(*trader, *market).base;
                let shrunk = after.abs() <= base.abs() && after * base >= 0;
                if shrunk { Ok(()) } else { Err(format!("P5: from {base} lots to {after}")) }
            }
            _ => Ok(()),
        }
    }

    /// The engine's three margin figures of every trader are the model's.
    pub fn check_margins(&self) -> std::result::Result<(), String> {
        let view = self.world.view();
        let now = self.world.now.unix_seconds;
        for (id, _) in self.model.live() {
            let cell = view.trader(self.cell(id)).map_err(|error| format!("{error:?}"))?;
            let say = |error| format!("trader {id}: {error:?}");
            let initial = margin::initial(&view, cell, now).map_err(say)?;
            let maintenance = margin::maintenance(&view, cell).map_err(say)?;
            let (available, validity) = margin::withdrawable(&view, cell, now).map_err(say)?;
            let Initial { equity, required, worst } = self.model.initial(id);
            let engine = (
                (i128::from(initial.equity.get()), i128::from(initial.required.get()), initial.validity as u8),
                (i128::from(maintenance.equity.get()), i128::from(maintenance.required.get())),
                (i128::from(available.get()), validity as u8),
            );
            let expected = self.model.withdrawable(id);
            let model = ((equity, required, worst as u8), self.model.maintenance(id), (expected.0, expected.1 as u8));
            if engine != model {
                return Err(format!("margins of trader {id}: engine {engine:?}, model {model:?}"));
            }
        }
        Ok(())
    }
}
