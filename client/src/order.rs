//! Orders in human units. Decimals are parsed and converted exactly; a price off the tick or a size off the lot is an
//! error, not a rounding.

use quantdesk_engine::{
    CellIndex, Generation, Lots, Ppm, Side, Ticks, UnixSeconds,
    book::{Builder, NewOrder, OrderKind, SelfTrade},
    state::MarketRow,
};

use crate::instruction::BookGuard;

/// Why a ticket is not an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not a plain decimal number, or more than twelve decimals.
    #[error("'{0}' is not a decimal number with at most twelve decimals")]
    NotADecimal(String),
    /// Not a whole number of ticks, or outside the market's prices.
    #[error("price {0} is not a whole number of ticks within the market's range")]
    OffTick(String),
    /// Not a whole number of lots, or too many.
    #[error("size {0} is not a whole number of lots")]
    OffLot(String),
}

/// Builds a [`NewOrder`]; see [`Ticket::limit`].
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    order: NewOrder,
    guard: BookGuard,
    builder: Option<Builder>,
}

impl Ticket {
    /// A good-till-cancelled limit order at `price` quote units for `size` base units.
    ///
    /// ```
    /// # use quantdesk_client::{engine::{state::MarketRow, PicoPrice, Side, Ticks}, order::Ticket};
    /// # fn main() -> Result<(), quantdesk_client::order::TicketError> {
    /// # let mut row: MarketRow = bytemuck::Zeroable::zeroed();
    /// # row.tick_size = PicoPrice::new(1_000_000_000);
    /// # row.lot_size = 1_000_000_000;
    /// # row.price_max = Ticks::new(10_000_000);
    /// let order = Ticket::limit(&row, Side::Bid, "221.05", "3.5")?.post_only().client_id(7).build();
    /// assert_eq!((order.price.get(), order.lots.get()), (221_050, 3_500));
    /// # Ok(())
    /// # }
    /// ```
    pub fn limit(market: &MarketRow, side: Side, price: &str, size: &str) -> Result<Self, TicketError> {
        let ticks = whole(decimal(price)?, market.tick_size.get()).and_then(|ticks| u32::try_from(ticks).ok());
        let ticks = ticks.map(Ticks::new).filter(|ticks| !ticks.is_zero() && *ticks <= market.price_max);
        let lots = whole(decimal(size)?, market.lot_size).and_then(|lots| u64::try_from(lots).ok());
        Ok(Self::of(
            side,
            ticks.ok_or_else(|| TicketError::OffTick(price.into()))?,
            lots.map(Lots::new).ok_or_else(|| TicketError::OffLot(size.into()))?,
        ))
    }

    /// The same in the market's own units.
    pub const fn of(side: Side, price: Ticks, lots: Lots) -> Self {
        Self {
            order: NewOrder {
                side,
                kind: OrderKind::Limit,
                price,
                lots,
                client_id: 0,
                expires_at: UnixSeconds::ZERO,
                self_trade: SelfTrade::CancelMaker,
                reduce_only: false,
                match_limit: 32,
                peg_offset: 0,
            },
            guard: BookGuard { valid_until: UnixSeconds::ZERO, book_sequence_max: 0 },
            builder: None,
        }
    }

    /// Rests or fails.
    pub const fn post_only(self) -> Self {
        self.kind(OrderKind::PostOnly)
    }

    /// Rests at the price, or a tick behind the best order on the other side.
    pub const fn post_only_slide(self) -> Self {
        self.kind(OrderKind::PostOnlySlide)
    }

    /// Rests so many ticks from the index, above it or below, wherever it goes; never filled beyond the price. Fails if it
    /// would take, or if it is not for sale at present.
    pub const fn pegged(mut self, offset: i32) -> Self {
        self.order.peg_offset = offset;
        self.kind(OrderKind::Pegged)
    }

    /// Takes at the price or better, drops the rest.
    pub const fn immediate_or_cancel(self) -> Self {
        self.kind(OrderKind::ImmediateOrCancel)
    }

    /// Takes down to the price as the worst accepted, drops the rest.
    pub const fn market(self) -> Self {
        self.kind(OrderKind::Market)
    }

    /// All or nothing.
    pub const fn fill_or_kill(self) -> Self {
        self.kind(OrderKind::FillOrKill)
    }

    /// Any behaviour.
    pub const fn kind(mut self, kind: OrderKind) -> Self {
        self.order.kind = kind;
        self
    }

    /// May only reduce the position.
    pub const fn reduce_only(mut self) -> Self {
        self.order.reduce_only = true;
        self
    }

    /// The trader's own id.
    pub const fn client_id(mut self, client_id: u64) -> Self {
        self.order.client_id = client_id;
        self
    }

    /// Last second at which it may be filled.
    pub const fn expires_at(mut self, expires_at: UnixSeconds) -> Self {
        self.order.expires_at = expires_at;
        self
    }

    /// What happens when it meets an order of the same owner.
    pub const fn self_trade(mut self, self_trade: SelfTrade) -> Self {
        self.order.self_trade = self_trade;
        self
    }

    /// Most resting orders it may meet.
    pub const fn match_limit(mut self, match_limit: u8) -> Self {
        self.order.match_limit = match_limit;
        self
    }

    /// Last second at which the instruction may run.
    pub const fn valid_until(mut self, valid_until: UnixSeconds) -> Self {
        self.guard.valid_until = valid_until;
        self
    }

    /// Most events that the market may have written when the instruction runs, such as its header's `events_written` when
    /// the order was decided on.
    pub const fn book_sequence_max(mut self, book_sequence_max: u64) -> Self {
        self.guard.book_sequence_max = book_sequence_max;
        self
    }

    /// Who brought the order, and the fee in ppm that it gets of what the order takes.
    pub const fn builder(mut self, trader: CellIndex, generation: Generation, fee: u16) -> Self {
        self.builder = Some(Builder { trader, generation, fee: Ppm::new(fee as u32) });
        self
    }

    /// When the instruction may run.
    pub const fn guard(&self) -> BookGuard {
        self.guard
    }

    /// Who brought the order, if anybody.
    pub const fn brought_by(&self) -> Option<Builder> {
        self.builder
    }

    /// The order. What is about the instruction, its guards and its builder, goes along with
    /// [`Venue::place_ticket`](crate::instruction::Venue::place_ticket) alone.
    pub const fn build(self) -> NewOrder {
        self.order
    }
}

/// A decimal number × 10^12.
fn decimal(text: &str) -> Result<u128, TicketError> {
    let error = || TicketError::NotADecimal(text.into());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 12 {
        return Err(error());
    }
    let whole: u128 = whole.parse().map_err(|_| error())?;
    let fraction: u128 = format!("{fraction:0<12}").parse().map_err(|_| error())?;
    whole.checked_mul(1_000_000_000_000).and_then(|whole| whole.checked_add(fraction)).ok_or_else(error)
}

/// `value / unit` if it is whole.
fn whole(value: u128, unit: u64) -> Option<u128> {
    let unit = u128::from(unit);
    if unit == 0 || !value.is_multiple_of(unit) { None } else { Some(value / unit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(decimal("221.05"), Ok(221_050_000_000_000));
        assert_eq!(decimal("0.000000000001"), Ok(1));
        for text in ["", ".", "1.", ".5", "-1", "1e3", "1.0000000000001", "٣"] {
            assert_eq!(decimal(text), Err(TicketError::NotADecimal(text.into())));
        }
    }

    #[test]
    fn prices_off_the_tick_are_refused() {
        let mut row: MarketRow = bytemuck::Zeroable::zeroed();
        row.tick_size = quantdesk_engine::PicoPrice::new(10_000_000_000);
        row.lot_size = 1_000_000_000;
        row.price_max = Ticks::new(1_000_000);
        assert_eq!(
            Ticket::limit(&row, Side::Bid, "1.005", "1").map(Ticket::build),
            Err(TicketError::OffTick("1.005".into()))
        );
        assert_eq!(
            Ticket::limit(&row, Side::Bid, "1.01", "0.0005").map(Ticket::build),
            Err(TicketError::OffLot("0.0005".into()))
        );
        assert_eq!(
            Ticket::limit(&row, Side::Bid, "10000.01", "1").map(Ticket::build),
            Err(TicketError::OffTick("10000.01".into()))
        );
    }
}
