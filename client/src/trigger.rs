//! Conditional orders: stops, take-profits, trailing stops, slices in time, pairs of which one cancels the other, brackets.

use quantdesk_engine::{
    Lots, Ppm, QuoteAtoms, Side, Ticks, UnixSeconds,
    book::NewTrigger,
    state::{Condition, Reference},
};

/// Builds a [`NewTrigger`]. Without more it takes at once and reduces the position only, watches the mark, and may take up
/// to [`SLIPPAGE`] from it.
///
/// ```
/// # use quantdesk_client::{engine::{Lots, Side, Ticks}, trigger::TriggerTicket};
/// // A long position of 5,000 lots: out below 200,000 ticks, or above 240,000, whichever comes first.
/// let [stop, profit] = TriggerTicket::oco(1, [
///     TriggerTicket::stop(Side::Ask, Ticks::new(200_000)).lots(Lots::new(5_000)),
///     TriggerTicket::take_profit(Side::Ask, Ticks::new(240_000)).lots(Lots::new(5_000)),
/// ])
/// .map(TriggerTicket::build);
/// assert_eq!((stop.group, profit.group), (1, 1));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TriggerTicket {
    trigger: NewTrigger,
}

/// How far from the reference a ticket takes unless it says otherwise: 1%.
pub const SLIPPAGE: Ppm = Ppm::new(10_000);

impl TriggerTicket {
    const fn of(condition: Condition, side: Side) -> Self {
        Self {
            trigger: NewTrigger {
                condition,
                reference: Reference::Mark,
                side,
                reduce_only: true,
                price: Ticks::ZERO,
                distance: Ticks::ZERO,
                limit: Ticks::ZERO,
                slippage: SLIPPAGE,
                lots: Lots::ZERO,
                share: Ppm::ZERO,
                tip: QuoteAtoms::ZERO,
                client_id: 0,
                parent: 0,
                group: 0,
                expires_at: UnixSeconds::ZERO,
                interval: 0,
                slices: 0,
            },
        }
    }

    /// Sells when the reference has fallen to `price`, or buys when it has risen to it.
    pub const fn stop(side: Side, price: Ticks) -> Self {
        let condition = match side {
            Side::Ask => Condition::Below,
            Side::Bid => Condition::Above,
        };
        Self::of(condition, side).at(price)
    }

    /// Sells when the reference has risen to `price`, or buys when it has fallen to it.
    pub const fn take_profit(side: Side, price: Ticks) -> Self {
        let condition = match side {
            Side::Ask => Condition::Above,
            Side::Bid => Condition::Below,
        };
        Self::of(condition, side).at(price)
    }

    /// Sells when the reference has fallen by `distance` from its highest, or buys when it has risen so far from its lowest.
    pub const fn trailing(side: Side, distance: Ticks) -> Self {
        let mut ticket = Self::of(Condition::Trailing, side);
        ticket.trigger.distance = distance;
        ticket
    }

    /// Takes in `slices` equal parts, one every `interval` seconds or later, the first one at once.
    pub const fn twap(side: Side, slices: u16, interval: u32) -> Self {
        let mut ticket = Self::of(Condition::Twap, side);
        (ticket.trigger.slices, ticket.trigger.interval) = (slices, interval);
        ticket
    }

    /// Two of which one cancels the other; `group` is a number of the trader's, not 0.
    pub fn oco(group: u32, legs: [Self; 2]) -> [Self; 2] {
        legs.map(|leg| leg.group(group))
    }

    /// A stop and a take-profit for what an order of the trader with this client id fills, of which one cancels the other. To
    /// be placed before the order, or while it rests.
    pub fn bracket(entry: Side, parent: u64, stop: Ticks, profit: Ticks, group: u32) -> [Self; 2] {
        let exit = entry.opposite();
        Self::oco(group, [Self::stop(exit, stop).child_of(parent), Self::take_profit(exit, profit).child_of(parent)])
    }

    const fn at(mut self, price: Ticks) -> Self {
        self.trigger.price = price;
        self
    }

    /// Which price it watches.
    pub const fn watching(mut self, reference: Reference) -> Self {
        self.trigger.reference = reference;
        self
    }

    /// Its size.
    pub const fn lots(mut self, lots: Lots) -> Self {
        self.trigger.lots = lots;
        self
    }

    /// Its size as a part of the position, as it is when it first executes.
    pub const fn share(mut self, share: Ppm) -> Self {
        self.trigger.share = share;
        self
    }

    /// Armed by what the order with this client id fills; it has no size of its own.
    pub const fn child_of(mut self, parent: u64) -> Self {
        self.trigger.parent = parent;
        self
    }

    /// May add to the position, too.
    pub const fn adding(mut self) -> Self {
        self.trigger.reduce_only = false;
        self
    }

    /// Becomes a limit order at this price, whose remainder rests.
    pub const fn limit(mut self, price: Ticks) -> Self {
        (self.trigger.limit, self.trigger.slippage) = (price, Ppm::ZERO);
        self
    }

    /// How far from the reference it may take.
    pub const fn slippage(mut self, slippage: Ppm) -> Self {
        self.trigger.slippage = slippage;
        self
    }

    /// What keepers get for executing it.
    pub const fn tip(mut self, tip: QuoteAtoms) -> Self {
        self.trigger.tip = tip;
        self
    }

    /// The trader's own id.
    pub const fn client_id(mut self, client_id: u64) -> Self {
        self.trigger.client_id = client_id;
        self
    }

    /// One execution cancels the others of the group.
    pub const fn group(mut self, group: u32) -> Self {
        self.trigger.group = group;
        self
    }

    /// Last second at which it may fire.
    pub const fn expires_at(mut self, expires_at: UnixSeconds) -> Self {
        self.trigger.expires_at = expires_at;
        self
    }

    /// The trigger.
    pub const fn build(self) -> NewTrigger {
        self.trigger
    }
}
