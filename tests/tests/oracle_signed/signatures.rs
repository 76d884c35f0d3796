//! Signatures that are not those of the oracles a market trusts.

use super::*;

/// No byte of an instruction can be changed so that another price counts.
#[test]
fn attack_flipped_byte_of_a_quote() {
    let stage = quote_stage();
    let quote = stage.quote();
    let length = quote.data.len();
    assert_eq!(length, 47 + 111 * 3 + 49);
    let tail = length - 16;
    for place in 0..length {
        let quote = [flipped(&quote, place)];
        match place.checked_sub(tail) {
            // One signature fewer: the oracles' places are then others.
            None if place == 0 => stage.refuses(&quote, EngineError::OracleNotTrusted),
            None if place == 1 => assert_eq!(stage.would_accept(&quote).index_price.get(), SHOWN_TICKS, "padding"),
            None => stage.does_not_verify(&quote),
            // Oracles 0 and 1 become each other, which both have signed; oracle 2 becomes 3, which has not.
            Some(0 | 1) => stage.refuses(&quote, Refusal::OracleNotVerified),
            Some(2) => stage.refuses(&quote, EngineError::OracleNotTrusted),
            // The slot: one with another hash, or one to come.
            Some(3 | 4) => stage.refuses(&quote, EngineError::OracleNotTrusted),
            Some(5..11) => stage.refuses(&quote, EngineError::OracleFromFuture),
            Some(11) => assert_eq!(stage.would_accept(&quote).index_price.get(), SHOWN_TICKS, "version"),
            Some(_) => stage.refuses(&quote, Refusal::OracleWrongType),
        }
    }
}

#[test]
fn attack_flipped_byte_of_a_message() {
    let stage = lazer_stage();
    let message = stage.lazer();
    for place in 0..message.data.len() {
        let message = [flipped(&message, place)];
        if place == 1 {
            assert_eq!(stage.would_accept(&message).index_price.get(), SHOWN_TICKS);
        } else {
            stage.does_not_verify(&message);
        }
    }
}

#[test]
fn attack_one_oracle_counts_twice() {
    let stage = quote_stage();
    let first = stage.oracles[0];
    let places = [[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]];
    for places in places {
        let quote = stage.quote_with(|quote| {
            quote.oracles = places.map(|place| (place, stage.oracles[usize::from(place)])).to_vec();
        });
        stage.refuses(&[quote], Refusal::OracleNotVerified);
    }
    // Its signature under the places of others.
    let quote = stage.quote_with(|quote| quote.oracles = vec![(0, first), (1, first), (2, first)]);
    stage.refuses(&[quote], EngineError::OracleNotTrusted);
}

#[test]
fn attack_oracle_beyond_the_queue() {
    let stage = quote_stage();
    for place in [30, 31, 32, 33, 60, 127, 128, 255] {
        // A verifier that divides by thirty would take the first ones for others.
        let quote = stage.quote_with(|quote| quote.oracles[2] = (place, stage.oracles[usize::from(place) % 30]));
        stage.refuses(&[quote], Refusal::OracleNotVerified);
    }
    let quote = stage.quote_with(|quote| quote.oracles[2] = (29, stage.oracles[29]));
    assert_eq!(stage.would_accept(&[quote]).index_price.get(), SHOWN_TICKS);
}

#[test]
fn attack_signer_that_is_no_oracle() {
    let mut stage = quote_stage();
    let stranger = stage.quote_with(|quote| quote.oracles[1].1 = seed(77));
    stage.refuses(&[stranger], EngineError::OracleNotTrusted);
    // A key that the queue has replaced since.
    let quote = stage.quote();
    stage.oracles[1] = seed(78);
    stage.write_accounts();
    stage.refuses(&[quote], EngineError::OracleNotTrusted);
    // An oracle without a key: the zero key is nobody's.
    let queue = stage.queue;
    edit_account(&mut stage.desk.chain, queue, |it| it.data[4_200 + 32..4_200 + 64].fill(0));
    stage.refuses(&[stage.quote()], EngineError::OracleNotTrusted);
}

#[test]
fn attack_own_queue() {
    let mut stage = quote_stage();
    let own = stage.desk.name(b"attacker's queue");
    let quote = stage.quote_with(|quote| quote.oracles = (0..3).map(|place| (place, seed(50 + place))).collect());
    let keys: Vec<Address> = (50..53).map(|number| key(seed(number)).pubkey()).collect();
    for owner in [SWITCHBOARD, PROGRAM, own] {
        let account = solana_account::Account { owner, ..signed::queue_account(&keys) };
        stage.desk.chain.set_account(own, account).unwrap();
        let mut update = stage.update();
        update.accounts[4].pubkey = own;
        stage.refuses_update(&[quote.clone()], update, Refusal::OracleWrongQueue);
    }
}

/// What has become of the queue is not the caller's doing: the source does not count.
#[test]
fn queue_that_is_none_any_more() {
    let stage = quote_stage();
    let edits: [fn(&mut solana_account::Account); 6] = [
        |it| it.owner = PYTH_RECEIVER,
        |it| it.data[0] ^= 1,
        |it| it.data.push(0),
        |it| it.data.truncate(6_279),
        |it| it.data.clear(),
        |it| *it = solana_account::Account::default(),
    ];
    for edit in edits {
        let mut stage = stage.clone();
        let queue = stage.queue;
        edit_account(&mut stage.desk.chain, queue, edit);
        stage.refuses(&[stage.quote()], EngineError::OracleNotTrusted);
    }
}

#[test]
fn attack_too_few_signatures() {
    let stage = quote_stage();
    let signed_by = |count: u8, samples_min: u8| {
        stage.quote_with(|quote| {
            quote.oracles = (0..count).map(|place| (place, stage.oracles[usize::from(place)])).collect();
            quote.feeds[0].samples_min = samples_min;
        })
    };
    for (count, samples_min) in [(1, 1), (2, 1), (2, 0), (3, 4), (4, 5), (7, 255)] {
        stage.refuses(&[signed_by(count, samples_min)], EngineError::OracleSamplesTooFew);
    }
    for (count, samples_min) in [(3, 0), (3, 3), (4, 4), (7, 1)] {
        assert_eq!(stage.would_accept(&[signed_by(count, samples_min)]).index_price.get(), SHOWN_TICKS);
    }
}

/// The runtime verifies the genuine quote of instruction 0, while the data beside the offsets say something else.
#[test]
fn attack_offsets_into_another_instruction() {
    let stage = quote_stage();
    let content = stage.content(|_| ());
    let genuine = content.instruction();
    let forged = stage.content(|quote| quote.feeds[0].value *= 2);
    let forged = content.with(|quote| {
        let mut data = quote.data(0);
        let start = data.len() - quote.tail().len() - quote.message().len();
        data[start..start + quote.message().len()].copy_from_slice(&forged.with(|quote| quote.message()));
        ed25519_instruction(data)
    });
    stage.refuses(&[genuine.clone(), forged], Refusal::OracleNotVerified);
    // Each of the nine numbers alone, with the same bytes in both.
    for number in 0..9 {
        let place = 2 + 14 * (number / 3) + [2, 6, 12][number % 3];
        let strayed = changed(&genuine, |data| data[place..place + 2].fill(0));
        stage.refuses(&[genuine.clone(), strayed], Refusal::OracleNotVerified);
    }
    // As it stands in a transaction of its own, zero is the instruction itself.
    let own = changed(&genuine, |data| data[4..6].fill(0));
    assert_eq!(stage.would_accept(&[own]).index_price.get(), SHOWN_TICKS);

    let stage = lazer_stage();
    let genuine = stage.lazer();
    for place in [4, 8, 14] {
        let strayed = changed(&genuine, |data| data[place..place + 2].fill(0));
        stage.refuses(&[genuine.clone(), strayed], Refusal::OracleNotVerified);
    }
}

/// Each oracle signs a message of its own; only the first one's is about this price.
#[test]
fn attack_signatures_over_different_messages() {
    let stage = quote_stage();
    let (first, second) = (stage.content(|_| ()), stage.content(|quote| quote.feeds[0].value *= 2));
    let (keys, count): (Vec<Keypair>, usize) = (first.oracles.iter().map(|(_, seed)| key(*seed)).collect(), 3);
    let (message, other) = (first.with(|quote| quote.message()), second.with(|quote| quote.message()));
    let signers: Vec<&Keypair> = keys.iter().collect();
    let both = [&message[..], &other].concat();
    let mut data = ed25519_data(&signers, THIS_INSTRUCTION, &both, &first.with(|quote| quote.tail()));
    let (signatures, start) = (2 + 14 * count + 32 * count, 2 + 14 * count + 96 * count);
    for (place, key) in keys.iter().enumerate() {
        let (at, message) = if place == 0 { (start, &message) } else { (start + message.len(), &other) };
        data[2 + 14 * place + 8..][..2].copy_from_slice(&u16::try_from(at).unwrap().to_le_bytes());
        data[2 + 14 * place + 10..][..2].copy_from_slice(&u16::try_from(message.len()).unwrap().to_le_bytes());
        data[signatures + 64 * place..][..64].copy_from_slice(key.sign_message(message).as_ref());
    }
    stage.refuses(&[ed25519_instruction(data)], Refusal::OracleNotVerified);
}

#[test]
fn attack_authority_quote() {
    let mut stage = quote_stage();
    let feed = PackedFeedInfo { feed_id: FEED, feed_value: i128::from(SHOWN) * 1_000_000, min_oracle_samples: 1 };
    let payload = build_authority_quote_payload(&[feed], stage.slot(AGE), 1).unwrap();
    // No oracle has signed it, so the runtime does not verify it as a quote.
    stage.does_not_verify(&[ed25519_instruction(payload.clone())]);
    // Nor does it count where it is stored, which no source reads.
    let stored = stage.desk.name(b"stored quote");
    let data = [b"SBOracle", &[7; 32][..], &u16::try_from(payload.len()).unwrap().to_le_bytes(), &payload].concat();
    let owner = Address::from_str_const("orac1eFjzWL5R3RbbdMV68K9H6TaCVVcL6LjvQQWAbz");
    let account = solana_account::Account { owner, data, lamports: 10_000_000, ..Default::default() };
    stage.desk.chain.set_account(stored, account).unwrap();
    let mut update = stage.update();
    update.accounts[4].pubkey = stored;
    stage.refuses_update(&[stage.quote()], update, Refusal::OracleWrongQueue);
}

#[test]
fn attack_lazer_signer_that_is_not_trusted() {
    let stage = lazer_stage();
    let (now, trusted) = (stage.now(), key(stage.publisher).pubkey());
    let message = stage.lazer();
    let with_signers = |signers: &[(Address, i64)], used: u8| {
        let mut stage = stage.clone();
        let mut account = signed::lazer_storage_account(signers);
        account.data[80] = used;
        stage.desk.chain.set_account(LAZER_STORAGE, account).unwrap();
        stage
    };
    let stranger = (key(seed(7)).pubkey(), i64::MAX);
    for expired in [now, now - 1, 0, i64::MIN] {
        with_signers(&[stranger, (trusted, expired)], 2).refuses(&[message.clone()], EngineError::OracleNotTrusted);
    }
    assert_eq!(
        with_signers(&[stranger, (trusted, now + 1)], 2).would_accept(&[message.clone()]).mark.get(),
        SHOWN_TICKS
    );
    with_signers(&[stranger], 1).refuses(&[message.clone()], EngineError::OracleNotTrusted);
    // What is left of a signer that was removed.
    with_signers(&[stranger, (trusted, i64::MAX)], 1).refuses(&[message.clone()], EngineError::OracleNotTrusted);
    with_signers(&[(trusted, i64::MAX)], 0).refuses(&[message.clone()], EngineError::OracleNotTrusted);
    assert_eq!(with_signers(&[stranger, (trusted, i64::MAX)], 255).would_accept(&[message]).mark.get(), SHOWN_TICKS);
    let forged = stage.message(|_| ()).instruction(&key(seed(7)));
    stage.refuses(&[forged], EngineError::OracleNotTrusted);
}

#[test]
fn attack_foreign_lazer_storage() {
    let mut stage = lazer_stage();
    let own = stage.desk.name(b"attacker's storage");
    let account = signed::lazer_storage_account(&[(key(seed(7)).pubkey(), i64::MAX)]);
    let forged = stage.message(|_| ()).instruction(&key(seed(7)));
    for owner in [LAZER, PROGRAM] {
        stage.desk.chain.set_account(own, solana_account::Account { owner, ..account.clone() }).unwrap();
        let mut update = stage.update();
        update.accounts[4].pubkey = own;
        stage.refuses_update(&[forged.clone()], update, Refusal::OracleWrongAccount);
    }
    let edits: [fn(&mut solana_account::Account); 5] = [
        |it| it.owner = PYTH_RECEIVER,
        |it| it.data[7] ^= 1,
        |it| it.data.push(0),
        |it| it.data.truncate(380),
        |it| *it = solana_account::Account::default(),
    ];
    for edit in edits {
        let mut stage = stage.clone();
        edit_account(&mut stage.desk.chain, LAZER_STORAGE, edit);
        stage.refuses(&[stage.lazer()], EngineError::OracleNotTrusted);
    }
}

#[test]
fn attack_fake_sysvars() {
    let mut stage = quote_stage();
    // What a genuine sysvar would show, had the forged quote been verified.
    let fake = stage.desk.name(b"fake instructions");
    let forged = stage.quote_with(|quote| quote.oracles = (0..3).map(|place| (place, seed(50 + place))).collect());
    let data = instructions_sysvar(&[(ED25519, &forged.data), (PROGRAM, &[])], 1);
    let account = solana_account::Account { data, lamports: 1_000_000_000, owner: PROGRAM, ..Default::default() };
    stage.desk.chain.set_account(fake, account).unwrap();
    let mut update = stage.update();
    update.accounts[3].pubkey = fake;
    stage.refuses_update(&[], update.clone(), Refusal::OracleWrongAccount);
    stage.refuses_update(&[stage.quote()], update, Refusal::OracleWrongAccount);

    let hashes = stage.desk.name(b"fake slot hashes");
    let slot = stage.desk.chain.slot() - 1;
    stage.desk.chain.set_account(hashes, signed::slot_hashes_account(&[(slot, [9; 32])])).unwrap();
    let quote = stage.quote_with(|quote| (quote.slot, quote.slot_hash) = (slot, [9; 32]));
    stage.refuses(&[quote.clone()], EngineError::OracleNotTrusted);
    let mut update = stage.update();
    update.accounts[5].pubkey = hashes;
    stage.refuses_update(&[quote], update, Refusal::OracleWrongAccount);

    let mut stage = lazer_stage();
    let message = stage.message(|_| ()).instruction(&key(seed(7)));
    let data = instructions_sysvar(&[(ED25519, &message.data), (PROGRAM, &[])], 1);
    let account = solana_account::Account { data, lamports: 1_000_000_000, owner: PROGRAM, ..Default::default() };
    stage.desk.chain.set_account(fake, account).unwrap();
    let mut update = stage.update();
    update.accounts[3].pubkey = fake;
    stage.refuses_update(&[message], update, Refusal::OracleWrongAccount);
}

/// The layout of the sysvar, for instructions without accounts.
fn instructions_sysvar(instructions: &[(Address, &[u8])], current: u16) -> Vec<u8> {
    let mut data = u16::try_from(instructions.len()).unwrap().to_le_bytes().to_vec();
    let mut start = 2 + 2 * instructions.len();
    for (_, bytes) in instructions {
        data.extend(u16::try_from(start).unwrap().to_le_bytes());
        start += 2 + 32 + 2 + bytes.len();
    }
    for (program, bytes) in instructions {
        data.extend([0, 0]);
        data.extend(program.to_bytes());
        data.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        data.extend(*bytes);
    }
    data.extend(current.to_le_bytes());
    data
}

// When
