//! Accounts that fail: positions opened by orders, prices moved by oracle updates along the staircase, and the engine run
//! on this machine on the same bytes.

use crate::{
    read,
    scene::{self, LEDGER, MARKET, PICO, Party, SIDE, Scene, ask, bid},
    snapshot::Frame,
};
use quantdesk_client::{
    Address,
    engine::{
        EngineError, NodeIndex, Now, Side,
        book::Trading,
        risk::margin::{self, InitialMargin, MaintenanceMargin},
        state::{CashEvent, Ledger, Market, TradeEvent},
    },
    instruction::Target,
};
use quantdesk_sim::desk::Desk;

/// A scene with a third party that trades against Bob and fails when the price turns, and one that keeps.
#[derive(Clone)]
pub struct Failing {
    /// The exchange. Alice has $1,000 and no position; Bob is the other side.
    pub scene: Scene,
    /// Whose position fails.
    pub target: Party,
    /// Without cash or position.
    pub keeper: Party,
}

/// Opens an account with this much in it.
pub fn party_with(desk: &mut Desk, atoms: u64) -> Party {
    let owner = desk.name(b"owner");
    let (trader, tokens) = desk.open(owner, 0, atoms).unwrap();
    Party { trader, tokens }
}

/// An account as a step of the ladder names it.
pub const fn target(party: &Party) -> Target {
    crate::instances::target(party)
}

impl Failing {
    /// The target deposits `atoms` and takes `lots` from Bob at the mark.
    pub fn new(side: Side, lots: u64, atoms: u64) -> Self {
        Self::on(Scene::new(), side, lots, atoms)
    }

    /// The same in a scene.
    pub fn on(mut scene: Scene, side: Side, lots: u64, atoms: u64) -> Self {
        let (target, keeper) = (party_with(&mut scene.desk, atoms), party_with(&mut scene.desk, 0));
        let bob = scene.bob;
        open(&mut scene, side, &target, &bob, lots);
        Self { scene, target, keeper }
    }

    /// The target as a step of the ladder names it.
    pub const fn named(&self) -> Target {
        target(&self.target)
    }

    /// Moves index and mark together to `to`, as fast as the staircase lets them. So no funding accrues.
    #[track_caller]
    pub fn walk(&mut self, to: u32) {
        walk(&mut self.scene, to);
    }

    /// Equity at mark and maintenance requirement.
    pub fn health(&self, party: &Party) -> MaintenanceMargin {
        health(&self.scene.desk, party)
    }
}

/// `taker` opens `lots` on `side` at the mark against `maker`.
#[track_caller]
pub fn open(scene: &mut Scene, side: Side, taker: &Party, maker: &Party, lots: u64) {
    let mark = read::row(&scene.desk, 0).mark.get();
    let (made, taken) = match side {
        Side::Bid => (ask(mark, lots), bid(mark, lots)),
        Side::Ask => (bid(mark, lots), ask(mark, lots)),
    };
    scene.accept(maker, &made.build());
    scene.accept(taker, &taken.immediate_or_cancel().build());
}

/// Moves the first market's index and mark together to `to`, as fast as the staircase lets them. With quotes on both sides
/// of the book the mark may end beside it.
#[track_caller]
pub fn walk(scene: &mut Scene, to: u32) {
    walk_in(scene, 0, to);
}

/// The same in any market whose tick is a thousandth.
#[track_caller]
pub fn walk_in(scene: &mut Scene, market: usize, to: u32) {
    for _ in 0..1_000 {
        let row = read::row(&scene.desk, market);
        let at = row.mark.get();
        if row.index_price.get() == to && !row.is_lagging() {
            return;
        }
        scene.wait(5);
        let step = at / 1_000 * 6;
        let next = if to > at { to.min(at + step) } else { to.max(at - step) };
        scene.desk.set_price(market, u64::from(next) * PICO / 1_000).unwrap();
    }
    panic!("the mark does not arrive at {to}");
}

/// Equity at mark and maintenance requirement.
pub fn health(desk: &Desk, party: &Party) -> MaintenanceMargin {
    let ledger = desk.ledger_view().unwrap();
    let trader = ledger.trader(party.trader.cell).unwrap();
    margin::maintenance(&ledger, trader, read::now(&desk.chain).unix_seconds).unwrap()
}

/// Prudent equity and initial requirement.
pub fn initial(desk: &Desk, party: &Party) -> InitialMargin {
    let ledger = desk.ledger_view().unwrap();
    let trader = ledger.trader(party.trader.cell).unwrap();
    margin::initial(&ledger, trader, read::now(&desk.chain).unix_seconds).unwrap()
}

/// Copies of a market and its ledger, for the engine on this machine.
#[derive(Clone)]
pub struct Native {
    market: Vec<u64>,
    ledger: Vec<u64>,
    addresses: [Address; 2],
    now: Now,
}

impl Native {
    /// As they are.
    pub fn of(desk: &Desk, market: usize) -> Self {
        let addresses = [desk.markets[market].address, desk.venue.ledger];
        let [market, ledger] = addresses.map(|address| words(desk.chain.bytes(&address).unwrap()));
        Self { market, ledger, addresses, now: read::now(&desk.chain) }
    }

    /// Runs the engine on the copies.
    pub fn trading<T>(
        &mut self,
        act: impl FnOnce(&mut Trading<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let market = Market::load(bytemuck::cast_slice_mut(&mut self.market))?;
        let ledger = Ledger::load(bytemuck::cast_slice_mut(&mut self.ledger))?;
        act(&mut Trading { market, ledger, now: self.now })
    }

    /// The chain's accounts are equal to the copies, byte by byte.
    #[track_caller]
    pub fn assert_same(&self, desk: &Desk) {
        for (words, address) in [&self.market, &self.ledger].into_iter().zip(&self.addresses) {
            let (here, there) = (bytemuck::cast_slice::<u64, u8>(words), desk.chain.bytes(address).unwrap());
            let place = here.iter().zip(there).position(|(a, b)| a != b);
            assert_eq!((here.len(), place), (there.len(), None), "bytes of {address}");
        }
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0; bytes.len() / 8];
    bytemuck::cast_slice_mut(&mut words).copy_from_slice(bytes);
    words
}

/// Records of a market since the first `seen`.
pub fn trade_events_since(scene: &Scene, seen: u64) -> Vec<TradeEvent> {
    read::trade_events(&scene.desk, 0).into_iter().filter(|it| it.sequence.get() > seen).collect()
}

/// Records of the ledger since the first `seen`.
pub fn cash_events_since(scene: &Scene, seen: u64) -> Vec<CashEvent> {
    read::cash_events(&scene.desk).into_iter().filter(|it| it.sequence.get() > seen).collect()
}

/// How many records market and ledger have written.
pub fn written(scene: &Scene) -> (u64, u64) {
    let market = read::market_header(&scene.desk, 0).events_written.get();
    (market, read::header(&scene.desk).events_written.get())
}

/// What trading may change for these parties: their cells, the row, the book, and records since then.
pub fn trading_frame(scene: &Scene, parties: &[Party], since: (u64, u64)) -> Frame {
    let (ledger, market) = (scene.desk.venue.ledger, scene.market());
    let nodes = MARKET.node(NodeIndex::new(0)).start..MARKET.node(NodeIndex::new(2 * SIDE - 1)).end;
    let mut frame = Frame::new()
        .bytes(ledger, read::LedgerMap::row(0))
        .bytes(ledger, read::LedgerMap::fees())
        .bytes(ledger, read::LedgerMap::pool())
        .bytes(ledger, read::LedgerMap::events_written())
        .bytes(market, read::MarketMap::header())
        .bytes(market, MARKET.entries(Side::Bid, SIDE as usize))
        .bytes(market, MARKET.entries(Side::Ask, SIDE as usize))
        .bytes(market, nodes);
    for party in parties {
        frame = frame.bytes(ledger, LEDGER.cell(party.trader.cell));
        if let Some((cell, _)) = read::position(&scene.desk, &party.trader, 0) {
            frame = frame.bytes(ledger, LEDGER.cell(cell));
        }
    }
    let (trades, cash) = written(scene);
    for number in since.0 + 1..=trades {
        frame = frame.bytes(market, MARKET.event(number));
    }
    for number in since.1 + 1..=cash {
        frame = frame.bytes(ledger, LEDGER.event(number));
    }
    frame
}

/// A market that is settled: its price was dead for a day.
pub fn settle(scene: &mut Scene) {
    scene.wait(87_002);
    let settle = scene.desk.venue.settle_market(&scene.market());
    scene.desk.chain.send(settle).unwrap();
}

/// The market of another exchange.
pub fn foreign_market(scene: &mut Scene) -> Address {
    let admin = scene.desk.admin;
    let (other, ()) = scene::beside(&mut scene.desk, 2, admin, |desk| {
        let market = desk.list(&scene::sol()).unwrap();
        desk.set_price(market, scene::PRICE).unwrap();
    });
    other.markets[0].address
}
