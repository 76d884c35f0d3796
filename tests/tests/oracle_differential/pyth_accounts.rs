//! Pyth accounts.

use super::*;

pub(super) fn update() -> PythUpdate {
    PythUpdate {
        feed_id: FEED,
        price: 6_512_345_678_901,
        conf: 3_210_000_001,
        exponent: -8,
        publish_time: TIME,
        posted_slot: 371_000_000,
        full: true,
    }
}

pub(super) fn update_data(update: PythUpdate) -> Vec<u8> {
    update.account(PYTH_RECEIVER).data
}

prop_compose! {
    fn any_message()(
        price in prop_oneof![2 => 1..=10_i64.pow(13), 1 => any::<i64>(), 1 => -2_i64..=2],
        conf in prop_oneof![2 => 0..=10_u64.pow(11), 1 => any::<u64>()],
        exponent in prop_oneof![4 => -12..=0, 2 => -33..=9, 1 => any::<i32>()],
        publish_time: i64,
        prev_publish_time: i64,
        ema_price: i64,
        ema_conf: u64,
    ) -> PriceFeedMessage {
        PriceFeedMessage {
            feed_id: FEED, price, conf, exponent, publish_time, prev_publish_time, ema_price, ema_conf,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn pyth_reads_what_the_official_crate_reads(
        price_message in any_message(),
        write_authority: [u8; 32],
        posted_slot: u64,
        spare: u8,
        pro: bool,
    ) {
        let verification_level = VerificationLevel::Full;
        let write_authority = write_authority.into();
        let update = PriceUpdateV2 { write_authority, verification_level, price_message, posted_slot };
        let mut data = price_update_bytes(&update);
        // What the longer serialisation of a partial update may have left behind.
        *data.last_mut().unwrap() = spare;
        let official = PriceUpdateV2::try_deserialize(&mut &data[..]).unwrap().get_price_unchecked(&FEED).unwrap();
        let expected = if (-31..=7).contains(&official.exponent) {
            converted(official.price, official.conf, official.exponent + 12, official.publish_time)
        } else {
            skipped(EngineError::OraclePriceInvalid)
        };
        let (source, owner) = if pro { (pyth_pro_source(), PYTH_PRO) } else { (pyth_source(), PYTH) };
        prop_assert_eq!(read_as(&source, &owner, &[7; 32], &data), expected);
    }
}

/// Borsh has no `offset_of!`: each field is changed in the official type, and the bytes that change are compared.
#[test]
fn pyth_layout_is_the_official_one() {
    assert_eq!(size_of::<pyth::PriceUpdate>(), PriceUpdateV2::LEN);
    let mut base =
        PythUpdate { price: 0, conf: 0, exponent: 0, publish_time: 1, posted_slot: 0, ..update() }.official();
    base.write_authority = [0; 32].into();
    base.price_message.publish_time = 0;
    let changed = |change: fn(&mut PriceUpdateV2)| {
        let mut other = base.clone();
        change(&mut other);
        changed_bytes(&price_update_bytes(&base), &price_update_bytes(&other))
    };
    macro_rules! field {
        ($name:ident: $size:literal, $change:expr) => {
            let start = offset_of!(pyth::PriceUpdate, $name);
            assert_eq!(changed($change), start..start + $size, stringify!($name));
        };
    }
    field!(write_authority: 32, |update| update.write_authority = [255; 32].into());
    field!(feed_id: 32, |update| update.price_message.feed_id = [0; 32]);
    field!(price: 8, |update| update.price_message.price = -1);
    field!(conf: 8, |update| update.price_message.conf = u64::MAX);
    field!(exponent: 4, |update| update.price_message.exponent = -1);
    field!(publish_time: 8, |update| update.price_message.publish_time = -1);
    field!(prev_publish_time: 8, |update| update.price_message.prev_publish_time = -1);
    field!(ema_price: 8, |update| update.price_message.ema_price = -1);
    field!(ema_conf: 8, |update| update.price_message.ema_conf = u64::MAX);
    field!(posted_slot: 8, |update| update.posted_slot = u64::MAX);
    let level = changed(|update| update.verification_level = VerificationLevel::Partial { num_signatures: 9 });
    assert_eq!(level.start, offset_of!(pyth::PriceUpdate, verification_level));
}

/// From the first byte that differs to the last.
pub(super) fn changed_bytes(before: &[u8], after: &[u8]) -> Range<usize> {
    let differ = |place: &usize| before[*place] != after[*place];
    let first = (0..before.len()).find(differ).unwrap();
    let last = (0..before.len()).rev().find(differ).unwrap();
    first..last + 1
}

#[test]
fn pyth_converts_exactly() {
    let show = |price, conf, exponent| read_pyth(&update_data(PythUpdate { price, conf, exponent, ..update() }));
    let invalid = skipped(EngineError::OraclePriceInvalid);
    assert_eq!(show(6_512_345_678_901, 3_210_000_001, -8), shows(65_123_456_789_010_000, 32_100_000_010_000, TIME));
    assert_eq!(show(1_999_999, 1, -18), shows(1, 1, TIME), "price down, confidence up");
    assert_eq!(show(999_999, 1, -18), invalid, "rounds to zero");
    assert_eq!(show(1, 0, 7), shows(10_u64.pow(19), 0, TIME));
    assert_eq!(show(2, 0, 7), invalid, "price above 64 bits");
    assert_eq!(show(1, 2, 7), invalid, "confidence above 64 bits");
    assert_eq!(show(1, 0, 8), invalid);
    assert_eq!(show(i64::MAX, u64::MAX, -12), shows(i64::MAX as u64, u64::MAX, TIME));
    assert_eq!(show(i64::MAX, 1, -30), shows(9, 1, TIME));
    for exponent in [-31, -32, i32::MIN, i32::MAX] {
        assert_eq!(show(i64::MAX, 1, exponent), invalid, "exponent {exponent}");
    }
    for price in [0, -1, i64::MIN] {
        assert_eq!(show(price, 1, -8), invalid, "price {price}");
    }
}

#[test]
fn pyth_refuses_what_is_not_its_source() {
    let good = update_data(update());
    let price = read_pyth(&good);
    assert!(matches!(price, Ok(Ok(_))));

    let owned_by = |source: OracleSource, owner| read_as(&source, &owner, &[7; 32], &good);
    assert_eq!(owned_by(pyth_pro_source(), PYTH_PRO), price);
    assert_eq!(owned_by(pyth_pro_source(), PYTH), Err(Refusal::OracleWrongOwner));
    for owner in [PYTH_PRO, ON_DEMAND, [0; 32]].into_iter().chain((0..32).map(|place| flipped(PYTH, place))) {
        assert_eq!(owned_by(pyth_source(), owner), Err(Refusal::OracleWrongOwner));
    }
    for length in [0, 8, 133] {
        assert_eq!(read_pyth(&good[..length]), Err(Refusal::OracleWrongType), "{length} bytes");
    }
    assert_eq!(read_pyth(&[&good[..], &[0]].concat()), Err(Refusal::OracleWrongType));
    assert_eq!(read_pyth(&update_data(PythUpdate { full: false, ..update() })), Err(Refusal::OracleNotVerified));

    for place in 0..good.len() {
        let read = read_pyth(&flipped(good.clone(), place));
        match place {
            0..8 => assert_eq!(read, Err(Refusal::OracleWrongType)),
            40 => assert_eq!(read, Err(Refusal::OracleNotVerified)),
            41..73 => assert_eq!(read, Err(Refusal::OracleWrongFeed)),
            73..101 => assert!(read.is_ok() && read != price, "byte {place}"),
            _ => assert_eq!(read, price, "byte {place}"),
        }
    }
}
