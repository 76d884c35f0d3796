//! The ramp of margin.

use super::*;

/// What a position of this notional has to keep with this row's tiers at this share.
fn maintenance(row: &MarketRow, notional: u64, share: Ppm) -> u64 {
    margin::tier(row, QuoteAtoms::new(notional)).unwrap().ppm_ceil(share).unwrap().get()
}

fn at(row: &MarketRow, seconds: i64) -> u32 {
    life::maintenance_at(row, UnixSeconds::new(row.ramp_start.get() + seconds)).unwrap().get()
}

#[test]
fn a_higher_share_is_reached_in_a_straight_line() {
    let (mut world, _) = open_market();
    set_margin(&mut world, &share_of(600_000)).unwrap();
    let changed = row(&world);
    assert_eq!((changed.ramp_from.get(), changed.maintenance.get()), (500_000, 600_000));
    assert_eq!(changed.maintenance_now.get(), 500_000);
    assert_eq!(changed.ramp_start, world.now.unix_seconds);
    let event = last_event(&world);
    assert_eq!(event.kind(), Some(CashEventKind::MarginChanged));
    assert_eq!((event.market, event.amount, event.balance), (MARKET, 600_000, 500_000));
    let expected = [
        (-1, 500_000),
        (0, 500_000),
        // 1.16 a second, rounded up.
        (1, 500_002),
        (43_200, 550_000),
        (86_399, 599_999),
        (86_400, 600_000),
        (86_401, 600_000),
        (1 << 40, 600_000),
    ];
    for (seconds, share) in expected {
        assert_eq!(at(&changed, seconds), share, "after {seconds}");
    }
    world.check().unwrap();
}

#[test]
fn the_ramp_does_not_depend_on_how_often_prices_come() {
    let (mut world, _) = open_market();
    set_margin(&mut world, &share_of(777_777)).unwrap();
    let mut often = world.clone();
    for _ in 0..500 {
        often.pass(97);
        often.set_price(0, MARK);
        assert_eq!(
            row(&often).maintenance_now.get(),
            at(&row(&world), often.now.unix_seconds.get() - row(&world).ramp_start.get())
        );
    }
    let mut once = world.clone();
    once.pass(500 * 97);
    once.set_price(0, MARK);
    assert_eq!(row(&once).maintenance_now, row(&often).maintenance_now);
    assert!(row(&once).maintenance_now > row(&world).maintenance_now);
    once.pass(1_000_000);
    once.set_price(0, MARK);
    assert_eq!(row(&once).maintenance_now.get(), 777_777);
}

#[test]
fn new_tiers_are_for_new_risk_at_once() {
    let (mut world, [short, _]) = open_market();
    let before = row(&world);
    let initial =
        |world: &World| margin::position_initial(&row(world), &world.position(0, short).unwrap()).unwrap().get();
    let kept =
        |world: &World| margin::position_maintenance(&row(world), &world.position(0, short).unwrap()).unwrap().get();
    assert_eq!((initial(&world), kept(&world)), (50_000, 25_000));
    set_margin(&mut world, &margin_of(&[(1_000_000, 100_000), (u64::MAX, 200_000)], 500_000, RAMP_SECONDS_MAX))
        .unwrap();
    assert_eq!((initial(&world), kept(&world)), (100_000, 25_000));
    assert_eq!(row(&world).ramp_from.get(), 250_000);
    assert_eq!(row(&world).ramp_end.get() - before.updated_at.get(), i64::from(RAMP_SECONDS_MAX));
    world.pass(i64::from(RAMP_SECONDS_MAX));
    world.set_price(0, MARK);
    assert_eq!((initial(&world), kept(&world)), (100_000, 50_000));
    world.check().unwrap();
}

#[test]
fn a_lower_requirement_needs_no_ramp() {
    let (mut world, _) = open_market();
    set_margin(&mut world, &share_of(450_000)).unwrap();
    let lowered = row(&world);
    assert_eq!((lowered.ramp_from.get(), lowered.maintenance_now.get()), (450_000, 450_000));
    for seconds in [0, 1, 86_400] {
        assert_eq!(at(&lowered, seconds), 450_000);
    }
    // The same again changes nothing either.
    set_margin(&mut world, &share_of(450_000)).unwrap();
    assert_eq!(row(&world).maintenance_now.get(), 450_000);
}

#[test]
fn a_change_during_a_ramp_starts_from_what_is_in_force() {
    let (mut world, _) = open_market();
    set_margin(&mut world, &share_of(700_000)).unwrap();
    world.pass(43_200);
    // No price came since, yet half of the ramp is over.
    assert_eq!(row(&world).maintenance_now.get(), 500_000);
    let mut higher = world.clone();
    set_margin(&mut higher, &share_of(800_000)).unwrap();
    assert_eq!((row(&higher).ramp_from.get(), row(&higher).maintenance_now.get()), (600_000, 600_000));
    let mut lower = world.clone();
    set_margin(&mut lower, &share_of(550_000)).unwrap();
    assert_eq!((row(&lower).ramp_from.get(), row(&lower).maintenance_now.get()), (550_000, 550_000));
}

#[test]
fn the_envelope_holds_at_the_start_of_a_ramp_too() {
    let (mut world, _) = open_market();
    // Doubling the second tier alone would halve the share, and with it what the first tier keeps: 1.25% of a step of
    // 1% and fees of 0.545%.
    let second = margin_of(&[(1_000_000, 50_000), (u64::MAX, 200_000)], 500_000, RAMP_SECONDS_MIN);
    refuses(&mut world, EngineError::ListingEnvelopeExceeded, |world| set_margin(world, &second));
    // In two steps: both tiers up, and when that is over, the first one down again.
    set_margin(&mut world, &margin_of(&[(1_000_000, 100_000), (u64::MAX, 200_000)], 500_000, RAMP_SECONDS_MIN))
        .unwrap();
    refuses(&mut world, EngineError::ListingEnvelopeExceeded, |world| set_margin(world, &second));
    world.pass(i64::from(RAMP_SECONDS_MIN));
    set_margin(&mut world, &second).unwrap();
    assert_eq!(row(&world).maintenance_now.get(), 500_000);
}

#[test]
fn margin_obeys_the_bounds_of_a_listing() {
    let (mut world, _) = open_market();
    let good = share_of(600_000);
    let with = |edit: fn(&mut MarginParameters)| {
        let mut parameters = good;
        edit(&mut parameters);
        parameters
    };
    let day = RAMP_SECONDS_MIN;
    let refused = [
        (EngineError::ListingRiskInvalid, with(|it| it.ramp_seconds = RAMP_SECONDS_MIN - 1)),
        (EngineError::ListingRiskInvalid, with(|it| it.ramp_seconds = RAMP_SECONDS_MAX + 1)),
        (EngineError::ListingRiskInvalid, with(|it| it.ramp_seconds = 0)),
        (EngineError::ListingTiersInvalid, with(|it| it.maintenance = Ppm::new(249_999))),
        (EngineError::ListingTiersInvalid, with(|it| it.maintenance = Ppm::new(900_001))),
        (EngineError::ListingTiersInvalid, with(|it| it.tiers_len = 0)),
        (EngineError::ListingTiersInvalid, with(|it| it.tiers_len = 1)),
        (EngineError::ListingTiersInvalid, with(|it| it.tiers_len = 7)),
        (EngineError::ListingTiersInvalid, with(|it| it.tiers_len = u8::MAX)),
        (EngineError::ListingTiersInvalid, margin_of(&[(1_000_000, 50_000), (u64::MAX, 50_000)], 500_000, day)),
        (EngineError::ListingTiersInvalid, margin_of(&[(u64::MAX, 4_999)], 500_000, day)),
        (EngineError::ListingTiersInvalid, margin_of(&[(u64::MAX, 1_000_001)], 500_000, day)),
        // A step of 1%, funding of 0.014%, fees of 0.545% do not fit.
        (EngineError::ListingEnvelopeExceeded, margin_of(&[(u64::MAX, 30_000)], 500_000, day)),
    ];
    for (error, parameters) in refused {
        refuses(&mut world, error, |world| set_margin(world, &parameters));
    }
    for ramp_seconds in [RAMP_SECONDS_MIN, RAMP_SECONDS_MAX] {
        let mut parameters = good;
        parameters.ramp_seconds = ramp_seconds;
        set_margin(&mut world.clone(), &parameters).unwrap();
    }
}

#[test]
fn padding_of_margin_parameters_is_zero() {
    let good = share_of(600_000);
    assert!(good.is_padded());
    let paddings = [3..4, 12..16, 16 + 12..32, 32 + 12..48, 48..112];
    for place in paddings.into_iter().flatten() {
        let mut bytes = bytemuck::bytes_of(&good).to_vec();
        bytes[place] = 1;
        assert!(!bytemuck::pod_read_unaligned::<MarginParameters>(&bytes).is_padded(), "byte {place}");
    }
}

/// Rising boundaries and rates, the last open-ended.
fn curve() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let boundary = prop_oneof![1u64..1_000, 1u64..1_000_000_000_000, 1u64..u64::MAX];
    prop::collection::vec((boundary, 5_000u32..=1_000_000), 1..=TIERS_MAX).prop_map(|mut tiers| {
        let mut rates: Vec<_> = tiers.iter().map(|(_, rate)| *rate).collect();
        tiers.sort_unstable();
        rates.sort_unstable();
        tiers.iter_mut().zip(rates).for_each(|(tier, rate)| tier.1 = rate);
        tiers.dedup_by_key(|tier| tier.0);
        tiers.dedup_by_key(|tier| tier.1);
        tiers.last_mut().unwrap().0 = u64::MAX;
        tiers
    })
}

/// A listing on which any curve fits: no step to speak of, no fees.
fn lenient(given: &[(u64, u32)], maintenance: u32) -> ListingParameters {
    let mut listing = listing::usual();
    (listing.tiers, listing.tiers_len) = tiers(given);
    listing.maintenance = Ppm::new(maintenance);
    (listing.taker_fee, listing.maker_fee) = (Ppm::ZERO, quantdesk_engine::SignedPpm::ZERO);
    (listing.risk.step, listing.risk.step_seconds, listing.risk.stable_step) = (Ppm::new(1), 1, Ppm::new(1));
    (listing.risk.liquidation_fee, listing.risk.funding_cap) = (Ppm::ZERO, Ppm::new(1));
    listing
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn no_position_needs_more_on_the_day_and_the_way_up_is_monotone(
        old in curve(),
        new in curve(),
        shares in (250_000u32..=900_000, 250_000u32..=900_000),
        ramp_seconds in RAMP_SECONDS_MIN..=RAMP_SECONDS_MAX,
        notionals in prop::collection::vec(prop_oneof![0u64..2_000, 0u64..2_000_000_000_000, 0u64..1 << 62], 40),
    ) {
        let mut world = World::new(&[lenient(&old, shares.0)], 4);
        let before = row(&world);
        let parameters = margin_of(&new, shares.1, ramp_seconds);
        match set_margin(&mut world, &parameters) {
            Ok(()) => {}
            // Curves so far apart that almost nothing would be kept at first.
            Err(error) => {
                prop_assert_eq!(error, EngineError::ListingEnvelopeExceeded);
                return Ok(());
            }
        }
        let after = row(&world);
        prop_assert!(after.ramp_from <= after.maintenance);
        prop_assert_eq!(after.maintenance_now, after.ramp_from);
        let boundaries = old.iter().chain(&new).map(|tier| tier.0);
        let near = boundaries.flat_map(|n| [n.saturating_sub(1), n, n.saturating_add(1)]).filter(|n| *n < 1 << 62);
        for notional in notionals.into_iter().chain(near) {
            let was = maintenance(&before, notional, before.maintenance_now);
            let is = maintenance(&after, notional, after.maintenance_now);
            prop_assert!(is <= was + old.len().max(new.len()) as u64, "{} at {}: {} was {}", after.ramp_from.get(), notional, is, was);
        }
        let mut last = 0;
        for step in 0..=50 {
            let share = at(&after, i64::from(ramp_seconds) * step / 50);
            prop_assert!(share >= last);
            last = share;
        }
        prop_assert_eq!(last, shares.1);
        // Largest: one more millionth would be too much somewhere, or there is no ramp.
        if after.ramp_from < after.maintenance {
            let more = u128::from(after.ramp_from.get()) + 1;
            let share = u128::from(before.maintenance_now.get());
            let value = |row: &MarketRow, notional| u128::from(margin::tier(row, QuoteAtoms::new(notional)).unwrap().get());
            let boundaries = old.iter().chain(&new).map(|tier| tier.0).filter(|n| *n < u64::MAX);
            let at_boundary = boundaries.clone().any(|n| value(&after, n) * more > value(&before, n) * share);
            let rates = |tiers: &[(u64, u32)]| [tiers[0].1, tiers[tiers.len() - 1].1].map(u128::from);
            let at_end = rates(&new).iter().zip(rates(&old)).any(|(new, old)| new * more > old * share);
            prop_assert!(at_boundary || at_end);
        }
    }
}
