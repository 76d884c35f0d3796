//! The states that are measured on, all made by real instructions.

use anyhow::{Context, Result, anyhow, ensure};
use quantdesk_client::{
    Address,
    engine::{
        CellIndex, Lots, NodeIndex, Sequence, Side, Ticks, UnixSeconds,
        book::{NewOrder, Quote, Replacement, Sides},
        state::LedgerHeader,
    },
    instruction::Trader,
    order::Ticket,
    view,
};
use quantdesk_sim::{
    desk::{Desk, DeskConfig, MarketSpec, Sources},
    oracle::{PYTH_RECEIVER, PythUpdate},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

/// Price of the market that is measured, in ticks of $0.001.
pub const MARK: u32 = 221_000;
/// The same in 1e-12 quote units.
pub const PRICE: u64 = 221_000_000_000_000;
/// Distance between prices of a regular book, in ticks.
pub const STEP: u32 = 10;
/// One SOL in lots.
pub const SOL: u64 = 1_000;
/// What everybody deposits: $100 million, so that margin is never short.
pub const CAPITAL: u64 = 100_000_000_000_000;
/// What the newcomer deposits: $1 million.
pub const SMALL_CAPITAL: u64 = 1_000_000_000_000;
/// Makers of a regular book.
const MAKERS: usize = 32;
/// Number of the market that is measured.
pub const MARKET: usize = 0;

/// An exchange with a priced SOL market and people in it.
#[derive(Clone)]
pub struct Stage {
    /// The exchange.
    pub desk: Desk,
    /// Makers, whose orders fill the book.
    pub makers: Vec<Trader>,
    /// Whose instructions are measured.
    pub alice: Trader,
    /// Alice's token account, which holds $1,000.
    pub tokens: Address,
    /// Somebody with $1 million who has never traded.
    pub newcomer: Trader,
    /// The other side of positions that somebody is to have.
    pub house: Trader,
}

/// A buy.
pub const fn bid(price: u32, lots: u64) -> Ticket {
    Ticket::of(Side::Bid, Ticks::new(price), Lots::new(lots))
}

/// A sell.
pub const fn ask(price: u32, lots: u64) -> Ticket {
    Ticket::of(Side::Ask, Ticks::new(price), Lots::new(lots))
}

impl Stage {
    /// A market with an empty book, [`MAKERS`] makers, and Alice, who is long 10 SOL.
    pub fn new() -> Result<Self> {
        let mut stage = Self::with_makers(MAKERS)?;
        stage.give(stage.alice, MARKET, 10 * SOL as i64)?;
        Ok(stage)
    }

    /// A market with an empty book, so many makers, and Alice. Nobody has a position.
    pub fn with_makers(makers: usize) -> Result<Self> {
        Self::on(DeskConfig::default(), makers)
    }

    /// The same on an exchange of other size.
    pub fn on(config: DeskConfig, makers: usize) -> Result<Self> {
        let mut desk = Desk::new(config)?;
        desk.list(&MarketSpec::sol())?;
        desk.set_price(MARKET, PRICE)?;
        let mut open = |atoms| {
            let owner = desk.name(b"owner");
            desk.open(owner, 0, atoms)
        };
        let house = open(CAPITAL)?.0;
        let alice = open(CAPITAL)?.0;
        let newcomer = open(SMALL_CAPITAL)?.0;
        let makers = (0..makers).map(|_| Ok(open(CAPITAL)?.0)).collect::<Result<_>>()?;
        let tokens = desk.fund(&alice.authority, 1_000_000_000)?;
        Ok(Self { desk, makers, alice, tokens, newcomer, house })
    }

    /// The same with `depth` orders on each side, [`STEP`] ticks apart, 1 SOL each, every next one by another maker.
    pub fn with_book(mut self, depth: u32) -> Result<Self> {
        for place in 0..depth {
            let maker = self.makers[place as usize % self.makers.len()];
            let distance = (place + 1) * STEP;
            self.place(&maker, &bid(MARK - distance, SOL).post_only().build())?;
            self.place(&maker, &ask(MARK + distance, SOL).post_only().build())?;
        }
        Ok(self)
    }

    /// Lists markets until there are `count`, all priced alike.
    pub fn list_until(&mut self, count: usize) -> Result<()> {
        for number in self.desk.markets.len()..count {
            let symbol = format!("M{number:02}-PERP");
            let spec = MarketSpec { symbol, side_capacity: 64, sources: Sources::Pyth, ..MarketSpec::sol() };
            let market = self.list(&spec)?;
            self.desk.set_price(market, PRICE)?;
        }
        Ok(())
    }

    /// Lists one more market.
    pub fn list(&mut self, spec: &MarketSpec) -> Result<usize> {
        self.unsealed(|desk| desk.list(spec))
    }

    /// What is done while an exchange is set up, done to one that has traders.
    pub fn unsealed<T>(&mut self, act: impl FnOnce(&mut Desk) -> Result<T>) -> Result<T> {
        self.set_seal(0)?;
        let done = act(&mut self.desk)?;
        self.set_seal(1)?;
        Ok(done)
    }

    /// Sets or lifts the seal, which no instruction lifts.
    pub fn set_seal(&mut self, sealed: u8) -> Result<()> {
        let ledger = self.desk.venue.ledger;
        let mut account = self.desk.chain.account(&ledger).context("the ledger")?;
        *account.data.get_mut(offset_of!(LedgerHeader, sealed)).context("the ledger's header")? = sealed;
        self.desk.chain.set_account(ledger, account)
    }

    /// Places an order of a trader in the market that is measured; it must be accepted.
    pub fn place(&mut self, trader: &Trader, order: &NewOrder) -> Result<()> {
        self.place_in(MARKET, trader, order)
    }

    /// Places an order in any market; it must be accepted.
    pub fn place_in(&mut self, market: usize, trader: &Trader, order: &NewOrder) -> Result<()> {
        self.desk.place(trader, market, order).map(|_| ()).with_context(|| format!("setting up {order:?}"))
    }

    /// Gives a trader a position of this size, at the mark.
    pub fn give(&mut self, trader: Trader, market: usize, lots: i64) -> Result<()> {
        let size = lots.unsigned_abs();
        let (maker, taker) =
            if lots > 0 { (ask(MARK, size), bid(MARK, size)) } else { (bid(MARK, size), ask(MARK, size)) };
        let house = self.house;
        if size > 0 {
            self.place_in(market, &house, &maker.post_only().build())?;
            self.place_in(market, &trader, &taker.immediate_or_cancel().build())?;
        }
        Ok(())
    }

    /// `PlaceOrder` of Alice.
    pub fn order(&self, order: &NewOrder) -> Instruction {
        self.order_of(&self.alice, order)
    }

    /// `PlaceOrder` of anybody.
    pub fn order_of(&self, trader: &Trader, order: &NewOrder) -> Instruction {
        self.desk.venue.place_order(trader, &self.market(), order, UnixSeconds::ZERO)
    }

    /// `CancelOrder` of the order that somebody placed last.
    pub fn cancel_newest(&self, trader: &Trader) -> Result<Instruction> {
        let (node, sequence) = *self.handles(trader)?.first().context("no order to cancel")?;
        Ok(self.desk.venue.cancel_order(trader, &self.market(), node, sequence))
    }

    /// Handles of somebody's orders in the market that is measured, newest first.
    pub fn handles(&self, trader: &Trader) -> Result<Vec<(NodeIndex, Sequence)>> {
        let (ledger, market) = (self.desk.ledger_view()?, self.desk.market_view(MARKET)?);
        let orders = view::own_orders(&ledger, &market, trader)?;
        Ok(orders.iter().map(|(node, order)| (*node, order.sequence)).collect())
    }

    /// Prices of a trader's orders, newest first.
    pub fn own_prices(&self, trader: &Trader) -> Result<Vec<u32>> {
        let (ledger, market) = (self.desk.ledger_view()?, self.desk.market_view(MARKET)?);
        Ok(view::own_orders(&ledger, &market, trader)?.iter().map(|(_, order)| order.price.get()).collect())
    }

    /// Replaces Alice's quotes by bids of 1 SOL at these prices.
    pub fn replace_quotes(&self, prices: impl Iterator<Item = u32>) -> Instruction {
        let quotes: Vec<_> = prices.map(|price| Quote::new(Side::Bid, Ticks::new(price), Lots::new(SOL))).collect();
        let (expires_at, sides) = (UnixSeconds::ZERO, Some(Sides::Both));
        let wanted = Replacement { sequence: 1, sides, expires_at, quotes: &quotes };
        self.desk.venue.replace_quotes(&self.alice, &self.market(), &wanted, UnixSeconds::ZERO)
    }

    /// Address of the market that is measured.
    pub fn market(&self) -> Address {
        self.desk.markets[MARKET].address
    }

    /// Orders on a side of the market that is measured.
    pub fn side_len(&self, side: Side) -> Result<usize> {
        Ok(self.desk.market_view(MARKET)?.entries(side).len())
    }

    /// Price, size and owner of the best order of a side of the market that is measured.
    pub fn best(&self, side: Side) -> Result<(u32, u64, CellIndex)> {
        let market = self.desk.market_view(MARKET)?;
        let (_, order) = market.orders(side).next().context("an order")?;
        let position = self.desk.ledger_view()?.position(order.position).map_err(|error| anyhow!("{error}"))?;
        Ok((order.price.get(), order.lots.get(), position.trader))
    }

    /// Lets seconds pass.
    pub fn wait(&mut self, seconds: i64) {
        let then = self.desk.chain.unix_millis() + seconds * 1_000;
        self.desk.chain.advance_to(then);
    }

    /// Writes the oracle accounts of a market as showing `price` now. Pyth's exponent is that of its feeds, −8.
    pub fn publish(&mut self, market: usize, price: u64) -> Result<()> {
        self.desk.publish(market, price, price / 2_000)?;
        let (now, slot) = (self.desk.chain.unix_seconds(), self.desk.chain.slot());
        let listed = &self.desk.markets[market];
        for (source, feed) in listed.parameters.sources().iter().zip(&listed.feeds) {
            let account = self.desk.chain.account(feed).context("a feed just written")?;
            if account.owner != PYTH_RECEIVER {
                continue;
            }
            ensure!(price.is_multiple_of(10_000), "a price of eight decimals");
            let update = PythUpdate {
                feed_id: *source.feed.as_bytes(),
                price: i64::try_from(price / 10_000)?,
                conf: price / 2_000 / 10_000,
                exponent: -8,
                publish_time: now,
                posted_slot: slot,
                full: true,
            };
            self.desk.chain.set_account(*feed, update.account(PYTH_RECEIVER))?;
        }
        Ok(())
    }
}
