//! Switchboard feeds.

use super::*;

/// Runs `check` on the account as the official crate reads it, which wants its numbers aligned.
pub(super) fn with_official_feed<T>(data: &[u8], check: impl FnOnce(Ref<'_, PullFeedAccountData>) -> T) -> T {
    let mut room = vec![0; data.len() + 32];
    let start = room.as_ptr().align_offset(16) + 8;
    let aligned = &mut room[start..start + data.len()];
    aligned.copy_from_slice(data);
    let cell = RefCell::new(aligned);
    check(PullFeedAccountData::parse(cell.borrow()).unwrap())
}

pub(super) fn feed() -> SwitchboardFeed {
    SwitchboardFeed {
        feed_hash: FEED,
        queue: QUEUE,
        value: 65_123_456_789_012_345_678_901,
        std_dev: 32_000_000_000_000_000_001,
        samples: SAMPLES_MIN,
        slot: 371_000_000,
        landed_at: 371_000_009,
        timestamp: TIME,
        permit_write_by_authority: false,
    }
}

pub(super) fn feed_data(feed: SwitchboardFeed) -> Vec<u8> {
    feed.account().data
}

pub(super) fn changed_feed(change: impl FnOnce(&mut PullFeedAccountData)) -> Vec<u8> {
    let mut official = feed().official();
    change(&mut official);
    pull_feed_bytes(&official)
}

prop_compose! {
    fn any_submission(result_slot: u64)(
        oracle: [u8; 32],
        slot in prop_oneof![8 => Just(result_slot), 1 => any::<u64>()],
        delay in prop_oneof![8 => 0_u64..200, 1 => any::<u64>()],
        value: i128,
    ) -> OracleSubmission {
        OracleSubmission { oracle: oracle.into(), slot, landed_at: slot.wrapping_add(delay), value }
    }
}

prop_compose! {
    fn any_result()(
        value in prop_oneof![4 => 1..=10_i128.pow(25), 1 => any::<i128>(), 1 => -2_000_000_i128..=2_000_000],
        std_dev in prop_oneof![6 => 0..=10_i128.pow(23), 1 => any::<i128>()],
        num_samples in prop_oneof![8 => SAMPLES_MIN..=32, 1 => any::<u8>()],
        submission_idx in prop_oneof![8 => 0_u8..32, 1 => any::<u8>()],
        slot in prop_oneof![4 => 300_000_000_u64..400_000_000, 1 => any::<u64>()],
        unread: ([i128; 4], [u8; 6], [u64; 2]),
    ) -> CurrentResult {
        let ([mean, range, min_value, max_value], padding1, [min_slot, max_slot]) = unread;
        CurrentResult {
            value, std_dev, mean, range, min_value, max_value, num_samples, submission_idx, padding1, slot, min_slot,
            max_slot,
        }
    }
}

prop_compose! {
    fn any_feed()(result in any_result())(
        submissions in prop::collection::vec(any_submission(result.slot), 32),
        times in prop::collection::vec(prop_oneof![8 => TIME - 1_000_000..TIME, 1 => any::<i64>()], 32),
        authority in any::<[u8; 32]>(),
        settings in any::<(i64, u64, u64, u32, u8, i64)>(),
        result in Just(result),
    ) -> PullFeedAccountData {
        let mut feed = feed().official();
        feed.submissions = submissions.try_into().unwrap();
        feed.submission_timestamps = times.try_into().unwrap();
        feed.result = result;
        feed.authority = authority.into();
        (feed.initialized_at, feed.permissions, feed.max_variance, ..) = settings;
        (.., feed.min_responses, feed.min_sample_size, feed.last_update_timestamp) = settings;
        feed
    }
}

/// What must be read from a feed, told from the official crate's view of it.
pub(super) fn expected_of(feed: &PullFeedAccountData) -> Read {
    if feed.result.num_samples < SAMPLES_MIN {
        return skipped(EngineError::OracleSamplesTooFew);
    }
    if feed.result.submission_idx >= 32 || feed.result_submission().slot != feed.result.slot {
        return skipped(EngineError::OracleStale);
    }
    let Some(delay) = feed.result_land_slot().checked_sub(feed.result.slot) else {
        return skipped(EngineError::OracleStale);
    };
    let observed_at = BigInt::from(feed.result_ts()) - (BigInt::from(delay) + 1) / 2;
    match i64::try_from(observed_at) {
        Err(_) => skipped(EngineError::OracleStale),
        Ok(_) if feed.result.std_dev < 0 => skipped(EngineError::OraclePriceInvalid),
        Ok(observed_at) => converted(feed.result.value, feed.result.std_dev, -6, observed_at),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn switchboard_reads_what_the_official_crate_reads(feed in any_feed()) {
        let data = pull_feed_bytes(&feed);
        let expected = with_official_feed(&data, |official| {
            assert_eq!((official.feed_hash, official.queue.to_bytes()), (FEED, QUEUE));
            expected_of(&official)
        });
        prop_assert_eq!(read_switchboard(&data), expected);
    }
}

#[test]
fn switchboard_layout_is_the_official_one() {
    const DISCRIMINATOR: usize = 8;
    assert_eq!(size_of::<switchboard::PullFeed>(), DISCRIMINATOR + size_of::<PullFeedAccountData>());
    assert_eq!(size_of::<switchboard::Submission>(), size_of::<OracleSubmission>());
    macro_rules! field {
        ($name:ident, $($official:ident).+) => {
            let official = DISCRIMINATOR + offset_of!(PullFeedAccountData, $($official).+);
            assert_eq!(offset_of!(switchboard::PullFeed, $name), official, stringify!($name));
        };
    }
    field!(submissions, submissions);
    field!(queue, queue);
    field!(feed_hash, feed_hash);
    field!(permit_write_by_authority, permit_write_by_authority);
    field!(value, result.value);
    field!(std_dev, result.std_dev);
    field!(num_samples, result.num_samples);
    field!(submission_idx, result.submission_idx);
    field!(slot, result.slot);
    field!(submission_timestamps, submission_timestamps);
    macro_rules! submission_field {
        ($name:ident) => {
            let official = offset_of!(OracleSubmission, $name);
            assert_eq!(offset_of!(switchboard::Submission, $name), official, stringify!($name));
        };
    }
    submission_field!(oracle);
    submission_field!(slot);
    submission_field!(landed_at);
    submission_field!(value);
}

#[test]
fn switchboard_converts_exactly() {
    let show = |value, std_dev| read_switchboard(&feed_data(SwitchboardFeed { value, std_dev, ..feed() }));
    let at = TIME - 5;
    let (value, std_dev) = (feed().value, feed().std_dev);
    assert_eq!(show(value, std_dev), shows(65_123_456_789_012_345, 32_000_000_000_001, at));
    assert_eq!(show(1_999_999, 0), shows(1, 0, at), "price down");
    assert_eq!(show(1_000_000, 1), shows(1, 1, at), "deviation up");
    let largest = i128::from(u64::MAX) * 1_000_000;
    assert_eq!(show(largest + 999_999, largest), shows(u64::MAX, u64::MAX, at));
    for (value, std_dev) in [
        (largest + 1_000_000, 0),
        (1_000_000, largest + 1),
        (999_999, 0),
        (0, 0),
        (-1, 0),
        (-1_000_000, 0),
        (i128::MIN, 0),
        (i128::MAX, 0),
        (1_000_000, -1),
        (1_000_000, i128::MIN),
        (1_000_000, i128::MAX),
    ] {
        assert_eq!(show(value, std_dev), skipped(EngineError::OraclePriceInvalid), "{value} ± {std_dev}");
    }
}

#[test]
fn switchboard_dates_the_value_and_not_the_account() {
    let time_of = |change: fn(&mut PullFeedAccountData)| {
        read_switchboard(&changed_feed(change)).unwrap().map(|price| price.publish_time.get())
    };
    assert_eq!(time_of(|_| ()), Ok(TIME - 5), "nine slots from signature to writing");
    assert_eq!(time_of(|feed| feed.submissions[0].landed_at = feed.result.slot), Ok(TIME));
    assert_eq!(time_of(|feed| feed.submissions[0].landed_at = feed.result.slot + 400), Ok(TIME - 200));
    assert_eq!(time_of(|feed| feed.last_update_timestamp += 3_600), Ok(TIME - 5), "a later write, the same result");
    assert_eq!(time_of(|feed| feed.submission_timestamps[1] += 3_600), Ok(TIME - 5), "another oracle's entry");
    assert_eq!(time_of(|feed| feed.submission_timestamps[0] = 0), Ok(-5), "as old feeds have it");
    let undated: [fn(&mut PullFeedAccountData); 5] = [
        |feed| feed.submissions[0].slot += 1,
        |feed| feed.submissions[0].slot = 0,
        |feed| feed.submissions[0].landed_at = feed.result.slot - 1,
        |feed| feed.result.submission_idx = 32,
        |feed| feed.submission_timestamps[0] = i64::MIN,
    ];
    for change in undated {
        assert_eq!(time_of(change), Err(EngineError::OracleStale));
    }
}

#[test]
fn switchboard_refuses_what_is_not_its_source() {
    let good = feed_data(feed());
    assert!(matches!(read_switchboard(&good), Ok(Ok(_))));

    let source = switchboard_source();
    for owner in [PYTH, ON_DEMAND_DEVNET_PID.to_bytes(), [0; 32]] {
        assert_eq!(read_as(&source, &owner, &ACCOUNT, &good), skipped(EngineError::OracleNotTrusted));
    }
    for length in [0, 8, 3_200, 3_207] {
        assert_eq!(read_switchboard(&good[..length]), skipped(EngineError::OracleNotTrusted), "{length} bytes");
    }
    assert_eq!(read_switchboard(&[&good[..], &[0]].concat()), skipped(EngineError::OracleNotTrusted));
    for place in 0..32 {
        let other = flipped(ACCOUNT, place);
        assert_eq!(read_as(&source, &ON_DEMAND, &other, &good), Err(Refusal::OracleWrongAccount));
    }
    for place in 0..8 {
        assert_eq!(read_switchboard(&flipped(good.clone(), place)), skipped(EngineError::OracleNotTrusted));
    }
    for samples in 0..SAMPLES_MIN {
        let few = changed_feed(|feed| feed.result.num_samples = samples);
        assert_eq!(read_switchboard(&few), skipped(EngineError::OracleSamplesTooFew));
    }
}

/// The authority of a feed can change these, and must not be able to stop a market's other sources by it.
#[test]
fn switchboard_does_not_count_once_its_authority_changed_it() {
    let untrusted = skipped(EngineError::OracleNotTrusted);
    for place in 0..32 {
        let other = SwitchboardFeed { feed_hash: flipped(FEED, place), ..feed() };
        assert_eq!(read_switchboard(&feed_data(other)), untrusted);
        let other = SwitchboardFeed { queue: flipped(QUEUE, place), ..feed() };
        assert_eq!(read_switchboard(&feed_data(other)), untrusted);
    }
    for permit in [1, 2, 255] {
        let writable = changed_feed(|feed| feed.permit_write_by_authority = permit);
        assert_eq!(read_switchboard(&writable), untrusted);
    }
}

/// A flip of a byte's top bit matters in the bytes that are read and in no others.
#[test]
fn switchboard_reads_no_other_byte() {
    // Whole 1e-12 with these low bits make a flip cross the next lower, or the next higher one, whatever its size.
    let value = 65_536_000_000_000_002_000_000;
    let std_dev = 4_000_000;
    assert_eq!((value & 0x8080, std_dev & 0x8080), (0x8080, 0));
    let good = feed_data(SwitchboardFeed { value, std_dev, ..feed() });
    let price = read_switchboard(&good);
    let discriminator_and_keys = [0..8, 2_088..2_152];
    // Of the number of samples, 131 is as good as 3.
    let result = [2_213..2_214, 2_264..2_296, 2_361..2_362, 2_368..2_376];
    let submission = [40..56, 2_952..2_960];
    let read = [&discriminator_and_keys[..], &result, &submission].concat();
    for place in 0..good.len() {
        let mut data = good.clone();
        data[place] ^= 0x80;
        let matters = read.iter().any(|range| range.contains(&place));
        assert_eq!(read_switchboard(&data) != price, matters, "byte {place}");
    }
}
