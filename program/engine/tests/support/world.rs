//! A ledger with its markets as account bytes, and every engine call as a transaction: on `Err` all bytes are as
//! they were, which is what the runtime does on chain.

use super::listing::DECIMALS;
use quantdesk_engine::{
    CellIndex, EngineError, Lots, NodeIndex, Now, PicoPrice, Result, Sequence, Side, Slot, Ticks, UnixSeconds,
    account::{self, Withdrawal},
    book::{NewOrder, OrderKind, Placed, SelfTrade, Sides, Trading},
    invariant, outflow,
    risk::{
        listing::{self, ListingParameters},
        price::{self, Book, SourcePrice},
    },
    state::{
        IndexEntry, Key, Ledger, LedgerView, Market, MarketStatus, MarketView, PositionCell, PriceCondition,
        TraderCell,
        annex::ANNEX_SIZE,
        fees::FeeSchedule,
        ledger::{LedgerIdentity, Policy, ledger_size},
        market::{MARKET_HEADER_SIZE, market_size},
    },
    units::{Ppm, QuoteAtoms},
};

/// Records in the ledger's event ring.
pub const CASH_EVENTS: u32 = 16;
/// Everything is paid at once, fees go to nobody else.
pub const GENEROUS: Policy = Policy {
    outflow_rate: Ppm::new(1_000_000),
    queue_seconds: 86_400,
    outflow_floor: QuoteAtoms::MAX,
    pool_fee_share: Ppm::ZERO,
    unstake_seconds: 86_400,
    fees: FeeSchedule::NONE,
};
const STATUS_OFFSET: usize = 34;
const LAGGING_OFFSET: usize = 39;

/// A risk group and its clock.
#[derive(Clone, Debug)]
pub struct World {
    ledger: Vec<u64>,
    markets: Vec<Vec<u64>>,
    backup_ledger: Vec<u64>,
    backup_market: Vec<u64>,
    /// The time of the next call.
    pub now: Now,
    /// Tokens in the vault.
    pub vault: u64,
}

fn words(bytes: usize) -> Vec<u64> {
    vec![0; bytes.div_ceil(8)]
}

/// A key for a person or account, told apart by number.
pub fn key(number: u64) -> Key {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Key::new(&bytes)
}

/// A plain order; tests change what they are about.
pub fn order(side: Side, kind: OrderKind, price: u32, lots: u64) -> NewOrder {
    NewOrder {
        side,
        kind,
        price: Ticks::new(price),
        lots: Lots::new(lots),
        client_id: 0,
        expires_at: UnixSeconds::ZERO,
        self_trade: SelfTrade::CancelMaker,
        reduce_only: false,
        match_limit: 255,
        peg_offset: 0,
    }
}

impl World {
    /// An empty ledger of `cells` cells with these markets listed, sealed, at a time of 1,000,000 seconds. No prices yet.
    pub fn new(listings: &[ListingParameters], cells: u32) -> Self {
        let mut world = Self {
            ledger: words(ledger_size(CASH_EVENTS, cells)),
            markets: Vec::new(),
            backup_ledger: Vec::new(),
            backup_market: Vec::new(),
            now: Now { slot: Slot::new(1), unix_seconds: UnixSeconds::new(1_000_000) },
            vault: 0,
        };
        let identity = LedgerIdentity {
            exchange: key(901),
            vault: key(902),
            mint: key(903),
            mint_decimals: DECIMALS,
            vault_bump: 255,
            policy: GENEROUS,
        };
        Ledger::create(bytemuck::cast_slice_mut(&mut world.ledger), &identity, CASH_EVENTS).unwrap();
        for (number, parameters) in (0u64..).zip(listings) {
            let mut ledger = Ledger::load(bytemuck::cast_slice_mut(&mut world.ledger)).unwrap();
            let index = listing::list(&mut ledger, world.now, key(1_000 + number), parameters).unwrap();
            let (side, events) = (parameters.side_capacity, parameters.events_capacity);
            let mut market = words(market_size(side, events));
            let bytes = bytemuck::cast_slice_mut(&mut market);
            let created = Market::create(bytes, key(900), index, side, events).unwrap();
            created.header.taker_delay = parameters.taker_delay.into();
            world.markets.push(market);
        }
        Ledger::load(bytemuck::cast_slice_mut(&mut world.ledger)).unwrap().header.sealed = 1;
        world
    }

    pub fn view(&self) -> LedgerView<'_> {
        LedgerView::load(bytemuck::cast_slice(&self.ledger)).unwrap()
    }

    pub fn market(&self, market: usize) -> MarketView<'_> {
        MarketView::load(bytemuck::cast_slice(&self.markets[market])).unwrap()
    }

    pub fn market_bytes(&mut self, market: usize) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.markets[market])
    }

    /// The bytes of both sides' indexes, used and unused.
    pub fn entries(&self, market: usize) -> &[u8] {
        let len = size_of::<IndexEntry>() * 2 * self.market(market).header.side_capacity() as usize;
        &bytemuck::cast_slice(&self.markets[market])[MARKET_HEADER_SIZE + ANNEX_SIZE..][..len]
    }

    /// All account bytes: the ledger first, then the markets.
    pub fn accounts(&self) -> impl Iterator<Item = &[u64]> {
        core::iter::once(&self.ledger).chain(&self.markets).map(Vec::as_slice)
    }

    /// Runs `call` on the ledger as a transaction.
    pub fn ledger<R>(&mut self, call: impl FnOnce(&mut Ledger<'_>, Now) -> Result<R>) -> Result<R> {
        self.backup_ledger.clone_from(&self.ledger);
        let now = self.now;
        let mut ledger = Ledger::load(bytemuck::cast_slice_mut(&mut self.ledger)).unwrap();
        let result = call(&mut ledger, now);
        if result.is_err() {
            self.ledger.clone_from(&self.backup_ledger);
        }
        result
    }

    /// Runs `call` on a market and the ledger as a transaction.
    pub fn trading<R>(&mut self, market: usize, call: impl FnOnce(&mut Trading<'_>) -> Result<R>) -> Result<R> {
        self.backup_ledger.clone_from(&self.ledger);
        self.backup_market.clone_from(&self.markets[market]);
        let mut trading = Trading {
            market: Market::load(bytemuck::cast_slice_mut(&mut self.markets[market])).unwrap(),
            ledger: Ledger::load(bytemuck::cast_slice_mut(&mut self.ledger)).unwrap(),
            now: self.now,
        };
        let result = call(&mut trading);
        if result.is_err() {
            self.ledger.clone_from(&self.backup_ledger);
            self.markets[market].clone_from(&self.backup_market);
        }
        result
    }

    pub fn place(&mut self, market: usize, trader: CellIndex, order: &NewOrder) -> Result<Placed> {
        self.trading(market, |trading| trading.place_order(trader, order))
    }

    pub fn cancel(&mut self, market: usize, trader: CellIndex, handle: NodeIndex, sequence: Sequence) -> Result<()> {
        self.trading(market, |trading| trading.cancel_order(trader, handle, sequence))
    }

    pub fn cancel_all(&mut self, market: usize, trader: CellIndex, sides: Sides, limit: u8) -> Result<u8> {
        self.trading(market, |trading| trading.cancel_all(trader, sides, limit))
    }

    pub fn open(&mut self, owner: u64, sub_account: u16) -> Result<CellIndex> {
        self.ledger(|ledger, now| account::open_trader(ledger, now, key(owner), sub_account))
    }

    pub fn close(&mut self, trader: CellIndex) -> Result<()> {
        self.ledger(|ledger, now| account::close_trader(ledger, now, trader))
    }

    pub fn deposit(&mut self, trader: CellIndex, atoms: u64) -> Result<()> {
        self.ledger(|ledger, now| account::deposit(ledger, now, trader, QuoteAtoms::new(atoms)))?;
        self.vault += atoms;
        Ok(())
    }

    pub fn withdraw(&mut self, trader: CellIndex, atoms: u64) -> Result<()> {
        self.withdraw_or_queue(trader, atoms).map(|_| ())
    }

    /// A withdrawal to the token account that is the trader's number.
    pub fn withdraw_or_queue(&mut self, trader: CellIndex, atoms: u64) -> Result<Withdrawal> {
        let target = key(u64::from(trader.get()));
        let done =
            self.ledger(|ledger, now| account::withdraw(ledger, now, trader, QuoteAtoms::new(atoms), &target))?;
        if done == Withdrawal::Paid {
            self.vault -= atoms;
        }
        Ok(done)
    }

    /// Pays the first waiting withdrawal, or returns it if its target is not `usable`. Returns whose it was and how much.
    pub fn process_queue(&mut self, usable: bool) -> Result<(CellIndex, u64)> {
        let first = outflow::due(&self.view(), self.now.unix_seconds)?;
        let atoms = first.atoms.get();
        if usable {
            self.ledger(outflow::pay_first)?;
            self.vault -= atoms;
        } else {
            self.ledger(outflow::return_first)?;
        }
        Ok((first.trader, atoms))
    }

    /// Changes what the exchange was created with.
    pub fn set_policy(&mut self, policy: Policy) {
        policy.check().unwrap();
        self.ledger(|ledger, _| {
            ledger.header.policy = policy;
            Ok(())
        })
        .unwrap();
    }

    pub fn collect_fees(&mut self, atoms: u64) -> Result<()> {
        let paid = self.ledger(|ledger, now| account::collect_fees(ledger, now, QuoteAtoms::new(atoms)))?;
        self.vault -= paid.get();
        Ok(())
    }

    /// A new account with cash.
    pub fn funded(&mut self, owner: u64, atoms: u64) -> CellIndex {
        let trader = self.open(owner, 0).unwrap();
        self.deposit(trader, atoms).unwrap();
        trader
    }

    /// Appends cells to the arena.
    pub fn grow(&mut self, cells: usize) -> Result<()> {
        self.backup_ledger.clone_from(&self.ledger);
        self.ledger.resize(self.ledger.len() + cells * 16, 0);
        let result = Ledger::grow(bytemuck::cast_slice_mut(&mut self.ledger)).map(|_| ());
        if result.is_err() {
            self.ledger.clone_from(&self.backup_ledger);
        }
        result
    }

    pub fn update_price(&mut self, market: usize, readings: &[Result<SourcePrice>]) -> Result<PriceCondition> {
        let view = self.market(market);
        let (index, book) = (view.header.index, Book::of(&view, self.now.unix_seconds));
        self.ledger(|ledger, now| price::update(ledger, index, readings, &book, now))
    }

    /// All sources of the market agree on this price now: the index takes it, mark and stable price follow as far as
    /// they may.
    pub fn move_price(&mut self, market: usize, ticks: u32) -> Result<PriceCondition> {
        let row = self.view().rows[market];
        let reading = SourcePrice {
            price: PicoPrice::new(row.tick_size.get() * u64::from(ticks)),
            confidence: PicoPrice::ZERO,
            publish_time: self.now.unix_seconds,
        };
        let readings = vec![Ok(reading); usize::from(row.sources_len)];
        self.update_price(market, &readings)
    }

    /// The same, with mark and stable price at their destination at once, as after a long time at this price.
    pub fn set_price(&mut self, market: usize, ticks: u32) {
        assert_eq!(self.move_price(market, ticks), Ok(PriceCondition::Good));
        self.ledger(|ledger, _| {
            let row = ledger.rows.get_mut(market).ok_or(EngineError::MarketNotFound)?;
            let price = Ticks::new(ticks);
            (row.mark, row.stable, row.low, row.high, row.basis) = (price, price, price, price, 0);
            (row.mark_at, row.stable_at) = (row.updated_at, row.updated_at);
            bytemuck::bytes_of_mut(row)[LAGGING_OFFSET] = 0;
            Ok(())
        })
        .unwrap();
    }

    /// Sets the life-cycle byte of a market's row, as administration will.
    pub fn set_status(&mut self, market: usize, status: u8) {
        let changed = self.ledger(|ledger, _| {
            let row = ledger.rows.get_mut(market).ok_or(EngineError::MarketNotFound)?;
            bytemuck::bytes_of_mut(row)[STATUS_OFFSET] = status;
            Ok(())
        });
        changed.unwrap();
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now.unix_seconds = UnixSeconds::new(self.now.unix_seconds.get() + seconds);
        self.now.slot = Slot::new(self.now.slot.get() + seconds.unsigned_abs() * 5);
    }

    pub fn trader(&self, trader: CellIndex) -> TraderCell {
        *self.view().trader(trader).unwrap()
    }

    pub fn cash(&self, trader: CellIndex) -> i64 {
        self.trader(trader).cash.get().get()
    }

    /// The trader's position in a market, if it has a cell.
    pub fn position(&self, market: usize, trader: CellIndex) -> Option<PositionCell> {
        let view = self.view();
        let index = self.market(market).header.index;
        view.positions(view.trader(trader).unwrap()).find(|(_, cell)| cell.market == index).map(|(_, cell)| *cell)
    }

    pub fn base(&self, market: usize, trader: CellIndex) -> i64 {
        self.position(market, trader).map_or(0, |position| position.base.get())
    }

    /// Every invariant, and R8 for every trader.
    pub fn check(&self) -> invariant::Check {
        let view = self.view();
        let live = |market: &usize| view.rows[*market].status() != Some(MarketStatus::Closed);
        let markets: Vec<_> = (0..self.markets.len()).filter(live).map(|market| self.market(market)).collect();
        invariant::check_all(&view, &markets, self.vault)?;
        view.traders().try_for_each(|(_, trader)| invariant::requirements(&view, trader))
    }
}
