//! What holds of every kind of source.

use super::*;
use super::{pyth_accounts::*, signed_prices::*, switchboard_feeds::*};

#[test]
fn programs_are_the_official_ones() {
    assert_eq!(pyth::RECEIVER.to_bytes(), pyth_solana_receiver_sdk::ID.to_bytes());
    assert_eq!(pyth::RECEIVER_PRO.to_bytes(), PYTH_PRO);
    assert_eq!(switchboard::PROGRAM.to_bytes(), switchboard_on_demand::ON_DEMAND_MAINNET_PID.to_bytes());
    assert_eq!((lazer::PROGRAM, lazer::STORAGE), (signed::LAZER, signed::LAZER_STORAGE));
    assert_eq!((ed25519::PROGRAM, transaction::INSTRUCTIONS), (signed::ED25519, signed::INSTRUCTIONS));
    assert_eq!(quote::SLOT_HASHES, signed::SLOT_HASHES);
    assert_eq!(lazer::STORAGE, Address::find_program_address(&[b"storage"], &lazer::PROGRAM).0);
}

#[test]
fn unknown_kinds_are_refused() {
    // Kinds 4 and 5 are known, but no account holds their price.
    for kind in [0, 4, 5, 6, 255] {
        let source = with_kind(kind, pyth_source());
        assert_eq!(read_as(&source, &PYTH, &ACCOUNT, &update_data(update())), Err(Refusal::OracleWrongType));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn accounts_of_the_simulator_show_the_reading_asked_for(
        price in 1..=i64::MAX as u64,
        half_width: u64,
        publish_time: i64,
        slot: u64,
    ) {
        let reading = Reading { price, half_width, publish_time, slot };
        for source in [pyth_source(), pyth_pro_source(), switchboard_source()] {
            let account = account(&source, &reading).unwrap();
            let read = read_as(&source, account.owner.as_array(), &ACCOUNT, &account.data);
            prop_assert_eq!(read, shows(price, half_width, publish_time));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        kind in 0_u8..7,
        start in prop_oneof![
            Just(update_data(update())),
            Just(feed_data(feed())),
            prop::collection::vec(any::<u8>(), 0..200),
            Just(vec![0xff; 134]),
            Just(vec![0xff; 3_208]),
        ],
        writes in prop::collection::vec((any::<Index>(), prop::collection::vec(any::<u8>(), 1..40)), 0..20),
    ) {
        let mut data = start;
        for (place, bytes) in &writes {
            let place = place.index(data.len() + 1);
            for (old, new) in data.iter_mut().skip(place).zip(bytes) {
                *old = *new;
            }
        }
        for source in [with_kind(kind, switchboard_source()), pyth_source(), switchboard_source()] {
            for owner in [PYTH, PYTH_PRO, ON_DEMAND] {
                let _ = read_as(&source, &owner, &ACCOUNT, &data);
            }
        }
    }

    #[test]
    fn arbitrary_signed_bytes_never_panic(
        writes in prop::collection::vec((0_usize..5, any::<Index>(), prop::collection::vec(any::<u8>(), 1..12)), 1..12),
        cut in any::<Index>(),
        distance in 0_u16..4,
    ) {
        let ((quote, hashes), (message, storage)) = (good_quote(), good_message());
        let mut parts = [carrying(&quote), carrying(&message), queue_data(), hashes, storage];
        for (part, place, bytes) in &writes {
            let data = &mut parts[*part];
            let place = place.index(data.len());
            for (old, new) in data.iter_mut().skip(place).zip(bytes) {
                *old = *new;
            }
        }
        let [quote, message, queue, hashes, storage] = &parts;
        for instructions in [&quote[..], message, &quote[..cut.index(quote.len())], &message[..cut.index(message.len())]] {
            let _ = read_quote_at(distance, instructions, queue, hashes);
            let _ = read_quote_at(distance, instructions, queue, &hashes[..cut.index(hashes.len())]);
            let _ = read_lazer_at(distance, instructions, storage);
        }
    }
}
