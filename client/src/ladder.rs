//! A maker's ladder: how to say what it shall be, where to find it, what it offers.

use crate::{
    instruction::Trader,
    view::{Level, key_of},
};
use quantdesk_engine::{
    CellIndex, Lots, Result, Side, Ticks,
    book::{NewLadder, NewLadderSide},
    state::{Key, Ladder, LadderLevel, LedgerView, MarketRow, MarketView},
};
use solana_address::Address;

/// Builds a [`NewLadder`].
///
/// ```
/// # use quantdesk_client::{Address, ladder::LadderTicket, engine::Side};
/// # let maker = Address::new_from_array([1; 32]);
/// // Around 221,000: 5 lots 10 ticks away, 20 lots 30 ticks away, on both sides; at most 100 lots each, bids up to 222,000
/// // and asks down to 220,000.
/// let ticket = LadderTicket::new(&maker, 221_000)
///     .side(Side::Bid, 222_000, 100, &[(10, 5), (30, 20)])
///     .side(Side::Ask, 220_000, 100, &[(10, 5), (30, 20)]);
/// assert_eq!(ticket.wanted(1).asks.levels.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderTicket {
    quoter: Key,
    mid: Ticks,
    bids: TicketSide,
    asks: TicketSide,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TicketSide {
    limit: Ticks,
    reserve: Lots,
    levels: Vec<LadderLevel>,
}

impl TicketSide {
    fn wanted(&self) -> NewLadderSide<'_> {
        NewLadderSide { limit: self.limit, reserve: self.reserve, levels: &self.levels }
    }
}

impl LadderTicket {
    /// A ladder that `quoter` may move, around `mid` ticks; still without levels, which takes away the present one.
    pub fn new(quoter: &Address, mid: u32) -> Self {
        let nothing = TicketSide::default;
        Self { quoter: key_of(quoter), mid: Ticks::new(mid), bids: nothing(), asks: nothing() }
    }

    /// Levels of a side as (distance from the middle in ticks, lots), nearest first; it trades no worse than at `limit` and
    /// fills no more than `reserve` lots in all.
    #[must_use]
    pub fn side(mut self, side: Side, limit: u32, reserve: u64, levels: &[(u32, u64)]) -> Self {
        let level = |(distance, lots): &(u32, u64)| LadderLevel::new(Ticks::new(*distance), Lots::new(*lots));
        let half = TicketSide {
            limit: Ticks::new(limit),
            reserve: Lots::new(reserve),
            levels: levels.iter().map(level).collect(),
        };
        match side {
            Side::Bid => self.bids = half,
            Side::Ask => self.asks = half,
        }
        self
    }

    /// The ladder, under the maker's own number.
    pub fn wanted(&self, sequence: u64) -> NewLadder<'_> {
        NewLadder { sequence, quoter: self.quoter, mid: self.mid, bids: self.bids.wanted(), asks: self.asks.wanted() }
    }
}

/// Names a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LadderHandle {
    /// Its number in its market.
    pub number: u32,
    /// The maker's position cell.
    pub position: CellIndex,
}

/// The trader's ladder in a market, if it has one.
pub fn find<'a>(
    ledger: &LedgerView<'_>,
    market: &MarketView<'a>,
    trader: &Trader,
) -> Result<Option<(LadderHandle, &'a Ladder)>> {
    let cell = ledger.trader(trader.cell)?;
    let held = ledger.positions(cell).find(|(_, position)| position.market == market.header.index);
    let Some((position, _)) = held else {
        return Ok(None);
    };
    let found = used(market).find(|(_, ladder)| ladder.position == position);
    Ok(found.map(|(number, ladder)| (LadderHandle { number, position }, ladder)))
}

/// What ladders offer on a side at present, best first: what a taker finds besides the book.
pub fn levels(market: &MarketView<'_>, side: Side, row: &MarketRow) -> Vec<Level> {
    let mut levels = Vec::new();
    for (_, ladder) in used(market) {
        let mut left = market.node(ladder.side(side).node).map_or(0, |node| node.lots.get());
        for (price, lots) in ladder.for_sale(side, market, row) {
            let lots = lots.get().min(left);
            left -= lots;
            if lots > 0 {
                levels.push(Level { price, lots: Lots::new(lots), orders: 1 });
            }
        }
    }
    levels.sort_by_key(|level| if side == Side::Bid { !level.price.get() } else { level.price.get() });
    levels
}

/// Ladders in use with their numbers.
fn used<'a>(market: &MarketView<'a>) -> impl Iterator<Item = (u32, &'a Ladder)> + use<'a> {
    let bits = market.header.ladders;
    (0u32..).zip(&market.annex.ladders).filter(move |(number, _)| bits >> number & 1 != 0)
}
