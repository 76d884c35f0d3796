//! The oracle crank: shows the world's prices on the market's oracle accounts and runs `UpdatePrice`.

use crate::{desk::Market, floor::Floor};
use anyhow::{Result, ensure};

/// A board older than this is refreshed before anybody trades; well within the age at which it stops being fresh.
const REFRESH_SECONDS: i64 = 10;
/// Half-width of the oracles' confidence intervals as a share of the price: one in this many.
const WIDTH_DIVISOR: u64 = 2_000;
/// A move of more than one in this many has the invariants checked at once.
const JUMP_DIVISOR: u64 = 100;

/// Prices as the world knows them, and as the boards show them.
pub struct Keeper {
    boards: Vec<Board>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Board {
    /// The world's price in 1e-12 quote units; 0 while unknown.
    price: u64,
    /// The price last written to the oracles; 0 before the first.
    shown: u64,
    /// When.
    shown_at: i64,
}

impl Keeper {
    /// Knows no price yet.
    pub fn new(markets: usize) -> Self {
        Self { boards: vec![Board::default(); markets] }
    }

    /// The world's price changes.
    pub fn observe(&mut self, market: usize, price: u64) {
        self.boards[market].price = price;
    }

    /// Whether every market has a price.
    pub fn knows_all(&self) -> bool {
        self.boards.iter().all(|board| board.shown != 0)
    }

    /// Updates every board that moved, and with any of them, or if `trading` comes next, those that grow old: a trader's
    /// order depends on every market it has a position in. Returns the markets that moved.
    pub fn crank(&mut self, floor: &mut Floor, trading: bool) -> Result<Vec<usize>> {
        let known = || self.boards.iter().enumerate().filter(|(_, board)| board.price != 0);
        let moved: Vec<_> = known().filter(|(_, board)| board.price != board.shown).map(|(market, _)| market).collect();
        if moved.is_empty() && !trading {
            return Ok(moved);
        }
        let old = floor.desk.chain.unix_seconds() - REFRESH_SECONDS;
        let due: Vec<_> = known()
            .filter(|(market, board)| moved.contains(market) || board.shown_at <= old)
            .map(|(market, _)| market)
            .collect();
        for market in due {
            self.update(floor, market)?;
        }
        Ok(moved)
    }

    /// Updates every board, whatever its age.
    pub fn refresh(&mut self, floor: &mut Floor) -> Result<()> {
        for market in 0..self.boards.len() {
            if self.boards[market].price != 0 {
                self.update(floor, market)?;
            }
        }
        Ok(())
    }

    fn update(&mut self, floor: &mut Floor, market: usize) -> Result<()> {
        let board = &mut self.boards[market];
        let jump = board.shown != 0 && board.price.abs_diff(board.shown) > board.shown / JUMP_DIVISOR;
        floor.desk.publish(market, board.price, board.price / WIDTH_DIVISOR)?;
        board.shown = board.price;
        board.shown_at = floor.desk.chain.unix_seconds();
        let Market { address, index, feeds, symbol, .. } = &floor.desk.markets[market];
        let (symbol, instruction) = (symbol.clone(), floor.desk.venue.update_price(address, *index, feeds));
        let updated = floor.send("UpdatePrice", instruction)?;
        ensure!(updated, "{}: the price of {symbol} was refused: {}", floor.step(), board.price);
        floor.read_cash()?;
        if jump { floor.check() } else { Ok(()) }
    }
}
