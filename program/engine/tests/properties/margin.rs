//! Margin: the tier function, R7 and R8.

use crate::{
    cases,
    support::{listing, listing::DECIMALS, world::key},
};
use num_bigint::BigInt;
use proptest::prelude::*;
use quantdesk_engine::{
    CellIndex, FundingIndex, Lots, MarketIndex, PositionLots, Ppm, QuoteAtoms, Side, Ticks,
    risk::{
        listing::{ListingParameters, TierParameters},
        margin, position,
    },
    state::{MarketRow, PositionCell},
};

const MILLION: u64 = 1_000_000;

/// Up to six tiers with rising bounds and rates: `(notional_max, rate)`.
fn tiers() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let bounds =
        prop::collection::btree_set((1u64..1 << 40, 0u32..30).prop_map(|(n, shift)| (n >> shift).max(1)), 0..6);
    let rates = prop::collection::btree_set(5_000u32..=1_000_000, 6);
    (bounds, rates).prop_map(|(bounds, rates)| bounds.into_iter().chain([u64::MAX]).zip(rates).collect())
}

fn listing_with(tiers: &[(u64, u32)], maintenance: u32) -> ListingParameters {
    let mut listing = listing::usual();
    listing::calm(&mut listing);
    listing.taker_fee = Ppm::ZERO;
    listing.maker_fee = quantdesk_engine::SignedPpm::ZERO;
    listing.maintenance = Ppm::new(maintenance);
    listing.tiers_len = tiers.len() as u8;
    for (place, (notional_max, rate)) in listing.tiers.iter_mut().zip(tiers) {
        *place = TierParameters::new(QuoteAtoms::new(*notional_max), Ppm::new(*rate));
    }
    listing
}

fn row_of(listing: &ListingParameters) -> MarketRow {
    listing.row(key(1), MarketIndex::new(0), DECIMALS).unwrap()
}

fn tier(row: &MarketRow, notional: u64) -> u64 {
    margin::tier(row, QuoteAtoms::new(notional)).unwrap().get()
}

/// The true curve × 10^6: every part of the notional at the rate of the tier it lies in.
fn curve(tiers: &[(u64, u32)], notional: u64) -> BigInt {
    let mut below = 0;
    let mut sum = BigInt::from(0);
    for (notional_max, rate) in tiers {
        let upper = notional.min(*notional_max);
        sum += BigInt::from(upper.saturating_sub(below)) * rate;
        below = *notional_max;
    }
    sum
}

/// A position of `base` lots that cost what it is worth at `entry`, with resting orders.
fn position(row: &MarketRow, base: i64, entry: u32, orders: &[(bool, u32, u64)]) -> PositionCell {
    let nowhere = CellIndex::NIL;
    let mut cell = PositionCell::new(MarketIndex::new(0), nowhere, nowhere, FundingIndex::ZERO);
    cell.base = PositionLots::new(base);
    cell.quote = bytemuck::cast(-base * i64::from(entry) * i64::from(row.tick_value.get()));
    for (bid, price, lots) in orders {
        let side = if *bid { Side::Bid } else { Side::Ask };
        rest(row, &mut cell, side, *price, *lots);
    }
    cell
}

/// What the book does to a position when an order rests.
fn rest(row: &MarketRow, cell: &mut PositionCell, side: Side, price: u32, lots: u64) {
    let notional = Ticks::new(price).notional(Lots::new(lots), row.tick_value).unwrap();
    position::reserve(cell, side, Lots::new(lots), notional).unwrap();
    position::cover(cell, side, Ticks::new(price));
}

/// A board on which all prices are the same.
fn set_price(row: &mut MarketRow, price: u32) {
    set_board(row, [price; 3]);
}

/// A board with this index, mark and stable price.
fn set_board(row: &mut MarketRow, board: [u32; 3]) {
    let [index, mark, stable] = board.map(Ticks::new);
    (row.index_price, row.mark, row.stable) = (index, mark, stable);
    (row.low, row.high) = (index.min(mark).min(stable), index.max(mark).max(stable));
}

fn excess_of_initial(row: &MarketRow, cell: &PositionCell) -> i128 {
    let equity = margin::unrealised_prudent(row, cell).unwrap().get();
    i128::from(equity) - i128::from(margin::position_initial(row, cell).unwrap().get())
}

fn excess_of_maintenance(row: &MarketRow, cell: &PositionCell) -> i128 {
    let equity = margin::unrealised(row, cell).unwrap().get();
    i128::from(equity) - i128::from(margin::position_maintenance(row, cell).unwrap().get())
}

/// Index, mark and stable price.
fn boards() -> impl Strategy<Value = [u32; 3]> {
    prop_oneof![(1u32..2_000).prop_map(|price| [price; 3]), prop::array::uniform3(1u32..2_000)]
}

fn orders() -> impl Strategy<Value = Vec<(bool, u32, u64)>> {
    prop::collection::vec((any::<bool>(), 1u32..2_000, 1u64..1_000), 0..6)
}

proptest! {
    #![proptest_config(cases(1_000))]

    /// Continuous and convex, because the true curve is and the rounding stays below one atom plus one a boundary.
    #[test]
    fn the_tier_function_is_the_true_curve_rounded_up(tiers in tiers(), notional in any::<u64>(), shift in 0u32..64) {
        let row = row_of(&listing_with(&tiers, 500_000));
        let bounds: Vec<u64> = tiers.iter().map(|(notional_max, _)| *notional_max).collect();
        let near = bounds.iter().flat_map(|bound| [bound.saturating_sub(1), *bound, bound.saturating_add(1)]);
        for notional in near.chain([notional >> shift]).filter(|notional| *notional <= 1 << 62) {
            let exact = curve(&tiers, notional);
            let boundaries = bounds.iter().filter(|bound| **bound < notional).count();
            let rounded = BigInt::from(tier(&row, notional)) * MILLION;
            prop_assert!(rounded >= exact, "never below the curve at {}", notional);
            prop_assert!(rounded < exact + (1 + boundaries as u64) * MILLION, "never an atom above it at {}", notional);
        }
    }

    #[test]
    fn the_tier_function_never_falls(tiers in tiers(), a in 0u64..1 << 42, b in 0u64..1 << 42, shift in 0u32..42) {
        let row = row_of(&listing_with(&tiers, 500_000));
        let (a, b) = (a >> shift, b >> shift);
        prop_assert!(tier(&row, a.min(b)) <= tier(&row, a.max(b)));
        for (bound, _) in &tiers[..tiers.len() - 1] {
            prop_assert!(tier(&row, *bound) <= tier(&row, bound + 1));
        }
    }

    /// R7: at a worse price a position without orders is not better off. Where the notional crosses a tier boundary,
    /// rounding may be worth an atom for each.
    #[test]
    fn inv_r7_an_adverse_price_never_raises_excess(
        tiers in tiers(), base in -1_000_000i64..1_000_000, entry in 1u32..1_000, mark in 1u32..1_000, by in 0u32..500,
    ) {
        let mut row = row_of(&listing_with(&tiers, 500_000));
        let cell = position(&row, base, entry, &[]);
        set_price(&mut row, mark);
        let before = (excess_of_initial(&row, &cell), excess_of_maintenance(&row, &cell));
        let worse = if base > 0 { mark.saturating_sub(by).max(1) } else { mark + by };
        let value = |mark: u32| base.unsigned_abs() * u64::from(mark) * u64::from(row.tick_value.get());
        let (low, high) = (value(mark.min(worse)), value(mark.max(worse)));
        let crossed = tiers.iter().filter(|(bound, _)| (low..high).contains(bound)).count() as i128;
        set_price(&mut row, worse);
        prop_assert!(excess_of_initial(&row, &cell) <= before.0 + crossed);
        prop_assert!(excess_of_maintenance(&row, &cell) <= before.1 + crossed);
    }

    /// R7: more of the same at the mark costs nothing and requires more.
    #[test]
    fn inv_r7_a_larger_size_never_raises_excess(
        tiers in tiers(), base in 1i64..1_000_000, short in any::<bool>(), mark in 1u32..1_000, more in 0i64..1_000,
    ) {
        let mut row = row_of(&listing_with(&tiers, 500_000));
        set_price(&mut row, mark);
        let sign = if short { -1 } else { 1 };
        let (small, large) = (position(&row, sign * base, mark, &[]), position(&row, sign * (base + more), mark, &[]));
        prop_assert!(excess_of_initial(&row, &large) <= excess_of_initial(&row, &small));
        prop_assert!(excess_of_maintenance(&row, &large) <= excess_of_maintenance(&row, &small));
    }

    /// R7: one more resting order never raises excess, whatever rests already.
    #[test]
    fn inv_r7_a_resting_order_never_raises_excess(
        tiers in tiers(), base in -2_000i64..2_000, board in boards(), orders in orders(), scale in 1_000_000u32..=10_000_000,
        bid in any::<bool>(), price in 1u32..2_000, lots in 1u64..1_000,
    ) {
        let mut row = row_of(&listing_with(&tiers, 500_000));
        set_board(&mut row, board);
        row.margin_scale = Ppm::new(scale);
        let before = position(&row, base, board[1], &orders);
        let mut after = before;
        rest(&row, &mut after, if bid { Side::Bid } else { Side::Ask }, price, lots);
        prop_assert!(excess_of_initial(&row, &after) <= excess_of_initial(&row, &before));
    }

    /// R7: prudence never helps, and neither does open interest: with any of the three prices elsewhere, or a larger
    /// factor, the requirement is not lower and equity not higher than at the mark alone.
    #[test]
    fn inv_r7_prudence_never_raises_excess(
        tiers in tiers(), base in -2_000i64..2_000, board in boards(), orders in orders(), scale in 1_000_000u32..=10_000_000,
    ) {
        let mut row = row_of(&listing_with(&tiers, 500_000));
        set_price(&mut row, board[1]);
        let cell = position(&row, base, board[1], &orders);
        let at_mark = excess_of_initial(&row, &cell);
        set_board(&mut row, board);
        let prudent = excess_of_initial(&row, &cell);
        prop_assert!(prudent <= at_mark);
        row.margin_scale = Ppm::new(scale);
        prop_assert!(excess_of_initial(&row, &cell) <= prudent);
    }

    /// What R1 rests on for makers: whichever orders fill, in whichever order, the excess after it is not lower.
    #[test]
    fn the_requirement_covers_every_way_resting_orders_can_fill(
        tiers in tiers(), base in -2_000i64..2_000, board in boards(), orders in orders(), fills in any::<u8>(),
        scale in 1_000_000u32..=10_000_000,
    ) {
        let mut row = row_of(&listing_with(&tiers, 500_000));
        set_board(&mut row, board);
        row.margin_scale = Ppm::new(scale);
        let before = excess_of_initial(&row, &position(&row, base, board[1], &orders));
        // The filled ones become size at their prices; the others rest on, with the bound they had.
        let mut cell = position(&row, base, board[1], &orders);
        let mut value = 0i64;
        for (number, (bid, price, lots)) in orders.iter().enumerate().filter(|(number, _)| fills >> number & 1 == 1) {
            let (side, signed) = if *bid { (Side::Bid, *lots as i64) } else { (Side::Ask, -(*lots as i64)) };
            let notional = Ticks::new(*price).notional(Lots::new(*lots), row.tick_value).unwrap();
            position::release(&mut cell, side, Lots::new(*lots), notional).unwrap();
            cell.base = PositionLots::new(cell.base.get() + signed);
            value -= signed * i64::from(*price) * i64::from(row.tick_value.get());
            let _ = number;
        }
        cell.orders = orders.iter().enumerate().filter(|(number, _)| fills >> number & 1 == 0).count() as u32;
        cell.quote = bytemuck::cast(cell.quote.get().get() + value);
        prop_assert!(excess_of_initial(&row, &cell) >= before);
    }

    #[test]
    fn inv_r8_initial_covers_maintenance_which_is_positive(
        tiers in tiers(), maintenance in 250_000u32..=900_000, base in -2_000i64..2_000, board in boards(),
        orders in orders(), scale in 1_000_000u32..=10_000_000, ramp in 1u32..=1_000_000,
    ) {
        prop_assume!(base != 0);
        let mut row = row_of(&listing_with(&tiers, maintenance));
        set_board(&mut row, board);
        // Anywhere on the way of a ramp, and whatever the open interest is.
        row.maintenance_now = Ppm::new((u64::from(maintenance) * u64::from(ramp)).div_ceil(1_000_000) as u32);
        row.margin_scale = Ppm::new(scale);
        let cell = position(&row, base, board[1], &orders);
        let initial = margin::position_initial(&row, &cell).unwrap();
        let required = margin::position_maintenance(&row, &cell).unwrap();
        prop_assert!(initial >= required && !required.is_zero());
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// The unchecked arithmetic of the margin is exact for whatever a listing can let an account get into, at its very
    /// largest sizes too.
    #[test]
    fn margin_is_exact_for_every_position_a_listing_allows(
        price_max in 1u32..=u32::MAX, tick_value in 1u32..=u32::MAX, shift in 0u32..32, rates in tiers(),
        parts in prop::array::uniform8(0u64..=1_000_000), scale in 1_000_000u32..=10_000_000,
    ) {
        // Their product is at most 2^32.
        let (price_max, tick_value) = (price_max >> shift, (u64::from(tick_value) >> (32 - shift)).max(1) as u32);
        let position_max = ((1 << 62) - 1) / (u64::from(price_max.max(1)) * u64::from(tick_value));
        prop_assume!(price_max > 0 && position_max > 0);
        let mut listing = listing_with(&rates, 500_000);
        listing.price_max = Ticks::new(price_max);
        listing.position_max = Lots::new(position_max);
        (listing.lots_min, listing.lots_max) = (Lots::new(1), Lots::new(position_max));
        listing.tick_value = quantdesk_engine::TickValue::new(tick_value);
        listing.tick_size = quantdesk_engine::PicoPrice::new(100_000_000 * u64::from(tick_value));
        listing.lot_size = 10_000_000_000;
        let mut row = row_of(&listing);
        // Shares of what is allowed: a position, open lots up to the cap on either side, prices up to the largest.
        let share = |part: u64, of: u64| (u128::from(of) * u128::from(part) / 1_000_000) as u64;
        let price = |part: u64| Ticks::new(share(part, price_max.into()).max(1) as u32);
        let base = share(parts[0], 2 * position_max) as i64 - position_max as i64;
        let bids = share(parts[1], position_max.checked_add_signed(-base).unwrap());
        let asks = share(parts[2], position_max.checked_add_signed(base).unwrap());
        set_board(&mut row, [parts[3], parts[6], parts[7]].map(|part| price(part).get()));
        let mut cell = position(&row, 0, 1, &[]);
        (cell.base, cell.orders) = (PositionLots::new(base), 2);
        (cell.open_bid_lots, cell.open_ask_lots) = (Lots::new(bids), Lots::new(asks));
        (cell.bid_bound, cell.ask_bound) = (price(parts[4]), price(parts[5]));

        row.margin_scale = Ppm::new(scale);

        let big = |value: u64| BigInt::from(value);
        let prices = [row.index_price, row.mark, row.stable].map(Ticks::get);
        let (low, high) = (*prices.iter().min().unwrap(), *prices.iter().max().unwrap());
        let worst = (BigInt::from(base) + bids).max(big(asks) - base);
        let notional = u64::try_from(worst * high * tick_value).unwrap();
        let through = |from: u32, to: u32, lots: u64| big(from.saturating_sub(to).into()) * lots * tick_value;
        let loss = through(cell.bid_bound.get(), low, bids) + through(high, cell.ask_bound.get(), asks);
        let required = margin::position_initial(&row, &cell).map(|required| big(required.get()));
        let scaled: BigInt = (big(tier(&row, notional)) * scale + (MILLION - 1)) / MILLION;
        let exact = scaled.min(big(notional)) + loss;
        let fits = u64::try_from(exact.clone()).map(|_| exact).map_err(|_| quantdesk_engine::EngineError::Overflow);
        prop_assert_eq!(required, fits);
        let worth = |price: u32| BigInt::from(base) * price * tick_value;
        prop_assert_eq!(BigInt::from(margin::unrealised(&row, &cell).unwrap().get()), worth(row.mark.get()));
        let prudent = worth(if base > 0 { low } else { high });
        prop_assert_eq!(BigInt::from(margin::unrealised_prudent(&row, &cell).unwrap().get()), prudent);
    }
}

#[test]
fn the_smallest_position_still_requires_an_atom() {
    let mut listing = listing_with(&[(u64::MAX, 5_000)], 250_000);
    listing.tick_value = quantdesk_engine::TickValue::new(1);
    listing.lot_size = 100_000_000;
    let mut row = row_of(&listing);
    set_price(&mut row, 1);
    let cell = position(&row, -1, 1, &[]);
    assert_eq!(margin::position_maintenance(&row, &cell), Ok(QuoteAtoms::new(1)));
    assert_eq!(margin::position_initial(&row, &cell), Ok(QuoteAtoms::new(1)));
}
