//! Properties of whole operations: fills add up to zero, splitting never pays, a deposit can be undone.

use crate::{
    cases,
    support::{World, listing, world::order},
};
use proptest::prelude::*;
use quantdesk_engine::{
    CellIndex, EngineError, Lots, QuoteAtoms, Sequence, Side, SignedPpm, Ticks,
    book::OrderKind,
    outflow::Bucket,
    risk::{fee, listing::ListingParameters, margin},
    state::LedgerHeader,
    units::Ppm,
};

/// `(maker is bid, price, lots)`, small enough for one ledger's wealth.
fn quotes() -> impl Strategy<Value = Vec<(u32, u64)>> {
    prop::collection::vec((90u32..=110, 1u64..=20), 1..=6)
}

fn side_of(bid: bool) -> Side {
    if bid { Side::Bid } else { Side::Ask }
}

/// One market with generous caps and these fees.
fn roomy(taker_fee: u32, maker_fee: i32) -> ListingParameters {
    let mut listing = listing::usual();
    (listing.position_max, listing.open_interest_max) = (Lots::new(10_000), Lots::new(10_000));
    listing.lots_max = Lots::new(1_000);
    (listing.taker_fee, listing.maker_fee) = (Ppm::new(taker_fee), SignedPpm::new(maker_fee));
    listing
}

fn fees_of(world: &World) -> i128 {
    world.view().header.fees.get().get().into()
}

/// Cash plus the position valued at `mark`, whatever the board says.
fn equity(world: &World, trader: CellIndex, mark: u32) -> i128 {
    let view = world.view();
    let tick_value = i128::from(view.rows[0].tick_value.get());
    let worth = world.position(0, trader).map_or(0, |held| {
        i128::from(held.base.get()) * i128::from(mark) * tick_value + i128::from(held.quote.get().get())
    });
    i128::from(world.cash(trader)) + worth
}

/// A world where the maker has quoted and the taker holds `held` lots from another's hands.
fn quoted(listing: ListingParameters, quotes: &[(u32, u64)], side: Side, held: i64) -> (World, CellIndex, CellIndex) {
    let mut world = World::new(&[listing], 16);
    world.set_price(0, 100);
    let (maker, taker, other) = (world.funded(1, 1 << 40), world.funded(2, 1 << 40), world.funded(3, 1 << 40));
    if held != 0 {
        let lots = held.unsigned_abs();
        let (own, others) = if held > 0 { (Side::Bid, Side::Ask) } else { (Side::Ask, Side::Bid) };
        world.place(0, other, &order(others, OrderKind::Limit, 103, lots)).unwrap();
        world.place(0, taker, &order(own, OrderKind::ImmediateOrCancel, 103, lots)).unwrap();
    }
    for (price, lots) in quotes {
        world.place(0, maker, &order(side, OrderKind::Limit, *price, *lots)).unwrap();
    }
    (world, maker, taker)
}

fn worst_price(side: Side) -> u32 {
    if side == Side::Bid { 110 } else { 90 }
}

proptest! {
    #![proptest_config(cases(150))]

    /// M3: whatever is traded, the wealth of all at any mark changes by the fees alone.
    #[test]
    fn inv_m3_fills_add_up_to_zero_at_any_mark(
        quotes in quotes(), bid in any::<bool>(), lots in 1u64..100, held in -50i64..=50, mark in 1u32..1_000,
        fees in (0u32..20_000).prop_flat_map(|taker| (Just(taker), -(taker as i32)..=taker as i32)),
    ) {
        let mut listing = roomy(fees.0, fees.1);
        listing.tiers[0].rate = Ppm::new(100_000);
        listing.tiers[1].rate = Ppm::new(200_000);
        let (mut world, maker, taker) = quoted(listing, &quotes, side_of(bid).opposite(), held);
        let all = |world: &World| -> i128 {
            let view = world.view();
            let cells: Vec<_> = view.traders().map(|(cell, _)| cell).collect();
            cells.into_iter().map(|cell| equity(world, cell, mark)).sum()
        };
        let (before, fees_before) = (all(&world), fees_of(&world));
        let taking = order(side_of(bid), OrderKind::ImmediateOrCancel, worst_price(side_of(bid)), lots);
        let placed = world.place(0, taker, &taking).unwrap();
        let fees = fees_of(&world) - fees_before;
        prop_assert_eq!(all(&world) - before, -fees);
        prop_assert!(fees >= 0, "M5");
        let filled: u64 = quotes.iter().map(|(_, lots)| lots).sum::<u64>().min(lots);
        prop_assert_eq!(placed.filled.get(), filled);
        prop_assert_eq!(world.base(0, maker), if bid { -(filled as i64) } else { filled as i64 });
        prop_assert_eq!(world.check(), Ok(()));
    }

    /// X1: taking lot by lot gains the taker nothing: its wealth is lower by the fees it pays more, its cash not higher.
    #[test]
    fn x1_splitting_an_order_never_gains_the_taker_an_atom(
        quotes in quotes(), bid in any::<bool>(), lots in 1u64..40, held in -50i64..=50, mark in 1u32..1_000,
        taker_fee in 0u32..3_000, dust in any::<bool>(),
    ) {
        let mut listing = roomy(taker_fee, 0);
        if dust {
            (listing.tick_value, listing.lot_size) = (quantdesk_engine::TickValue::new(1), 100_000_000);
        }
        let side = side_of(bid);
        let (mut whole, _, taker) = quoted(listing, &quotes, side.opposite(), held);
        let mut pieces = whole.clone();
        let placed = whole.place(0, taker, &order(side, OrderKind::ImmediateOrCancel, worst_price(side), lots)).unwrap();
        for _ in 0..lots {
            pieces.place(0, taker, &order(side, OrderKind::ImmediateOrCancel, worst_price(side), 1)).unwrap();
        }
        prop_assert_eq!(whole.base(0, taker), pieces.base(0, taker));
        let more = fees_of(&pieces) - fees_of(&whole);
        prop_assert!(more >= 0);
        prop_assert_eq!(equity(&whole, taker, mark) - equity(&pieces, taker, mark), more);
        prop_assert!(pieces.cash(taker) <= whole.cash(taker), "the closed share is floored each time");
        prop_assert_eq!(placed.filled.get(), quotes.iter().map(|(_, lots)| lots).sum::<u64>().min(lots));
    }

    /// X1 from the other side: being filled lot by lot pays the maker no more rebate, and costs it no less fee.
    #[test]
    fn x1_being_filled_in_pieces_never_gains_the_maker_an_atom(
        quotes in quotes(), bid in any::<bool>(), maker_fee in -3_000i32..3_000, mark in 1u32..1_000,
    ) {
        let mut listing = roomy(3_000, maker_fee);
        (listing.tick_value, listing.lot_size) = (quantdesk_engine::TickValue::new(1), 100_000_000);
        let side = side_of(bid);
        let (mut whole, maker, taker) = quoted(listing, &quotes, side.opposite(), 0);
        let mut pieces = whole.clone();
        let lots = quotes.iter().map(|(_, lots)| lots).sum();
        whole.place(0, taker, &order(side, OrderKind::ImmediateOrCancel, worst_price(side), lots)).unwrap();
        for _ in 0..lots {
            pieces.place(0, taker, &order(side, OrderKind::ImmediateOrCancel, worst_price(side), 1)).unwrap();
        }
        prop_assert!(equity(&pieces, maker, mark) <= equity(&whole, maker, mark));
        prop_assert_eq!(pieces.base(0, maker), whole.base(0, maker));
    }

    /// M5: the exchange never pays more rebate than it charges for the same fill.
    #[test]
    fn inv_m5_a_fill_never_costs_the_exchange(
        notional in any::<u64>(), taker in 0u32..=20_000, share in -1_000_000i64..=1_000_000,
    ) {
        let notional = QuoteAtoms::new(notional >> 2);
        let maker = (i64::from(taker) * share / 1_000_000) as i32;
        let fees = fee::of_fill(notional, Ppm::new(taker), SignedPpm::new(maker)).unwrap();
        let exact = |rate: i128| i128::from(notional.get()) * rate;
        let net = i128::from(fees.taker.get()) + i128::from(fees.maker.get());
        prop_assert!(net >= 0);
        prop_assert!(net * 1_000_000 >= exact(i128::from(taker) + i128::from(maker)), "rounded towards the exchange");
        prop_assert!(net * 1_000_000 < exact(i128::from(taker) + i128::from(maker)) + 2_000_000);
    }

    /// M7: apart from the two records and what the limiter remembers, the bytes are as before, with positions and orders
    /// open or without.
    #[test]
    fn inv_m7_a_deposit_withdrawn_again_leaves_no_trace(
        quotes in quotes(), held in -50i64..=50, atoms in 1u64..1 << 40,
    ) {
        let (mut world, maker, taker) = quoted(roomy(450, -150), &quotes, Side::Bid, held);
        for trader in [maker, taker] {
            let before = world.clone();
            world.deposit(trader, atoms).unwrap();
            world.withdraw(trader, atoms).unwrap();
            let (now, then) = (world.view(), before.view());
            let quiet = |header: &LedgerHeader| {
                let mut header = *header;
                header.events_written = Sequence::ZERO;
                header.outflow = Bucket::default();
                header
            };
            prop_assert_eq!(quiet(now.header), quiet(then.header));
            prop_assert_eq!(now.header.events_written.get(), then.header.events_written.get() + 2);
            prop_assert!(now.cells == then.cells && now.rows == then.rows);
            prop_assert!(world.accounts().skip(1).eq(before.accounts().skip(1)), "markets are not touched");
            prop_assert_eq!(world.vault, before.vault);
        }
    }

    /// R2: exactly what is withdrawable can be withdrawn, and then nothing more.
    #[test]
    fn inv_r2_the_withdrawable_amount_is_exact(
        quotes in quotes(), held in -50i64..=50, mark in 95u32..=105, bid in any::<bool>(),
    ) {
        let (mut world, maker, taker) = quoted(roomy(450, 450), &quotes, side_of(bid), held);
        world.pass(1);
        world.set_price(0, mark);
        for trader in [maker, taker] {
            let view = world.view();
            let (available, _) = margin::withdrawable(&view, view.trader(trader).unwrap(), world.now.unix_seconds).unwrap();
            let more = world.withdraw(trader, available.get() + 1);
            prop_assert_eq!(more, Err(EngineError::WithdrawExceedsAvailable));
            world.withdraw(trader, available.get()).unwrap();
            prop_assert_eq!(world.withdraw(trader, 1), Err(EngineError::WithdrawExceedsAvailable));
            let view = world.view();
            let initial = margin::initial(&view, view.trader(trader).unwrap(), world.now.unix_seconds).unwrap();
            prop_assert!(initial.is_met() && world.cash(trader) >= 0);
        }
    }

    /// R2: in profit or not, nobody withdraws what is not realised.
    #[test]
    fn inv_r2_profit_on_paper_cannot_be_withdrawn(lots in 1u64..20, mark in 100u32..=110) {
        let (mut world, _, taker) = quoted(roomy(0, 0), &[(100, lots)], Side::Ask, 0);
        world.place(0, taker, &order(Side::Bid, OrderKind::ImmediateOrCancel, 100, lots)).unwrap();
        let free = |world: &World| {
            let view = world.view();
            let now = world.now.unix_seconds;
            margin::withdrawable(&view, view.trader(taker).unwrap(), now).unwrap().0
        };
        let before = free(&world);
        world.set_price(0, mark);
        prop_assert!(free(&world) <= before);
        prop_assert_eq!(world.view().rows[0].mark, Ticks::new(mark));
    }
}
