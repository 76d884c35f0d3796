//! Instructions and accounts: missing, shared, in other places, too many.

use super::*;

#[test]
fn a_source_without_its_instruction_does_not_count() {
    for (stage, instruction) in [(quote_stage(), quote_stage().quote()), (lazer_stage(), lazer_stage().lazer())] {
        stage.refuses(&[], EngineError::OracleNotTrusted);
        stage.refuses(&[instruction.clone(), idle(&stage)], EngineError::OracleNotTrusted);
        stage.refuses(&[placeholder()], EngineError::OracleNotTrusted);
        stage.refuses(&[instruction, placeholder()], EngineError::OracleNotTrusted);
        stage.refuses(&[idle(&stage)], EngineError::OracleNotTrusted);
    }
}

#[test]
fn other_sources_count_without_the_signed_ones() {
    let sources = [pyth().0, quoted(FEED), lazer()];
    let mut stage = Stage::new(&sources, 1);
    stage.show_pyth(PRICE);
    let row = stage.accepts(&[]);
    assert_eq!((row.index_price.get(), row.source_times[1].get(), row.source_times[2].get()), (MARK, 0, 0));
    // The quote is the first signed source, so its instruction is the nearest.
    let row = stage.would_accept(&[stage.quote()]);
    assert!(row.source_times[1].get() > 0 && row.source_times[2].get() == 0);
    let row = stage.would_accept(&[stage.lazer(), placeholder()]);
    assert!(row.source_times[1].get() == 0 && row.source_times[2].get() > 0);
    let row = stage.would_accept(&[stage.lazer(), stage.quote()]);
    assert!(row.source_times[1].get() > 0 && row.source_times[2].get() > 0);
    assert_eq!(row.index_price.get(), SHOWN_TICKS, "the median of 200, 201, 201");
    // A quote whose signer has been replaced does not keep the others from counting.
    stage.oracles[0] = seed(79);
    let quote = stage.quote();
    stage.oracles[0] = seed(1);
    let row = stage.would_accept(&[stage.lazer(), quote]);
    assert!(row.source_times[1].get() == 0 && row.source_times[2].get() > 0);
}

#[test]
fn attack_one_instruction_for_two_sources() {
    let stage = Stage::new(&[quoted(FEED), quoted(OTHER_FEED)], 2);
    let (first, second) = (i128::from(SHOWN) * 1_000_000, i128::from(SHOWN + PICO) * 1_000_000);
    let both = stage.quote_with(|quote| {
        quote.feeds = vec![
            QuotedFeed { id: FEED, value: first, samples_min: 1 },
            QuotedFeed { id: OTHER_FEED, value: second, samples_min: 1 },
        ];
    });
    stage.refuses(&[both.clone()], EngineError::OracleNotTrusted);
    stage.refuses(&[idle(&stage), both.clone()], EngineError::OracleNotTrusted);
    // Carried twice, it serves both.
    let row = stage.would_accept(&[both.clone(), both]);
    assert_eq!(row.index_price.get(), SHOWN_TICKS + 500);
    // Each its own: the first source's is the nearest.
    let only = |feed: [u8; 32], value: i128| {
        stage.quote_with(|quote| quote.feeds[0] = QuotedFeed { id: feed, value, samples_min: 1 })
    };
    let (near, far) = (only(FEED, first), only(OTHER_FEED, second));
    assert_eq!(stage.would_accept(&[far.clone(), near.clone()]).index_price.get(), SHOWN_TICKS + 500);
    stage.refuses(&[near, far], Refusal::OracleWrongFeed);
}

#[test]
fn attack_one_instruction_for_two_updates() {
    let stage = quote_stage();
    let (quote, update) = (stage.quote(), stage.update());
    let mut chain = stage.desk.chain.clone();
    let before = Snapshot::of(&chain);
    let sent = chain.send_all(&[quote.clone(), update.clone(), update.clone()]);
    refused_at(sent, 2, EngineError::OracleNotTrusted);
    before.unchanged(&chain);
    chain.send_all(&[quote.clone(), update.clone(), quote, update]).unwrap();
}

#[test]
fn attack_instruction_after_the_update() {
    let stage = quote_stage();
    let mut chain = stage.desk.chain.clone();
    refused_at(chain.send_all(&[stage.update(), stage.quote()]), 0, EngineError::OracleNotTrusted);
}

// Accounts

#[test]
fn fifteen_accounts_are_the_most() {
    let ids: [[u8; 32]; 4] = [FEED, OTHER_FEED, [1; 32], [2; 32]];
    let sources = ids.map(|id| OracleSource::switchboard_quote(key_of(&id.into()), key_of(&queue_address()), 1));
    let stage = Stage::new(&sources, 4);
    let value = i128::from(SHOWN) * 1_000_000;
    let quotes: Vec<_> = ids
        .iter()
        .rev()
        .map(|id| {
            stage.quote_with(|quote| {
                quote.oracles.truncate(1);
                quote.feeds[0] = QuotedFeed { id: *id, value, samples_min: 1 };
            })
        })
        .collect();
    assert_eq!(stage.update().accounts.len(), 15);
    assert_eq!(stage.would_accept(&quotes).index_price.get(), SHOWN_TICKS);
    for (accounts, error) in [(14, Refusal::AccountsCount), (16, Refusal::AccountsCount), (4, Refusal::AccountsCount)] {
        let mut update = stage.update();
        let last = update.accounts[14].clone();
        update.accounts.resize(accounts, last);
        stage.refuses_update(&quotes, update, error);
    }
}

#[test]
fn accounts_in_other_places() {
    let stage = quote_stage();
    let ledger = stage.desk.venue.ledger;
    let cases: [(usize, Address, Refusal); 6] = [
        (3, stage.queue, Refusal::OracleWrongAccount),
        (3, ledger, Refusal::AccountTwice),
        (4, INSTRUCTIONS, Refusal::OracleWrongQueue),
        (4, ledger, Refusal::AccountTwice),
        (5, INSTRUCTIONS, Refusal::OracleWrongAccount),
        (5, ledger, Refusal::AccountTwice),
    ];
    for (place, address, refusal) in cases {
        let mut update = stage.update();
        update.accounts[place].pubkey = address;
        stage.refuses_update(&[stage.quote()], update, refusal);
    }
}

// Compute units

/// Not a limit: printed with `--nocapture`.
#[test]
fn compute_units() {
    let measure = |name: &str, mut stage: Stage, before: &[Instruction], range: Range<u64>| {
        let used = stage.send(before).compute_units;
        println!("{name}: {used} compute units");
        assert!(range.contains(&used), "{name}: {used}");
    };
    let stage = quote_stage();
    measure("quote of three oracles", stage.clone(), &[stage.quote()], 500..4_000);
    let stage = lazer_stage();
    measure("Lazer message", stage.clone(), &[stage.lazer()], 500..4_000);
    let mut stage = Stage::new(&[pyth().0], 1);
    stage.show_pyth(PRICE);
    measure("Pyth account", stage, &[], 500..4_000);
}
