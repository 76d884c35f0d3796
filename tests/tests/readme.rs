//! `README.md` against the code: its quoting bot is compiled from here and runs, and its tables say what is.

// README: begin
use quantdesk_client::{
    Address,
    engine::{
        Lots, Result, Side, Ticks, UnixSeconds,
        book::{Quote, Replacement, Sides},
        risk::price::Validity,
    },
    instruction::{Trader, Venue},
    view::{self, AccountBytes},
};
use solana_instruction::Instruction;

/// One instruction that replaces all quotes: three levels a side around the mark, leaning against the inventory.
/// `ledger` and `book` are the bytes of the two accounts, as any RPC node returns them. `sequence` has to grow from call
/// to call; whatever lands late or twice does nothing.
fn requote(
    venue: &Venue,
    trader: &Trader,
    market: &Address,
    (ledger, book): (&[u8], &[u8]),
    (now, sequence): (i64, u64),
) -> Result<Instruction> {
    let (ledger, book) = (AccountBytes::new(ledger), AccountBytes::new(book));
    let (ledger, book) = (ledger.ledger()?, book.market()?);
    let row = ledger.row(book.header.index)?;

    let mut quotes = Vec::new();
    // Taking quotes back is always allowed, quoting is not.
    if row.validity(UnixSeconds::new(now)) == Validity::Fresh {
        let held = view::position_lots(&ledger, trader, book.header.index)?;
        let mark = i64::from(row.mark.get());
        let middle = mark - held / 1_000; // a tick for every 1,000 lots held
        for level in 1..=3 {
            let distance = mark * 4 * level / 10_000; // 4, 8, 12 basis points
            for (side, price) in [(Side::Bid, middle - distance), (Side::Ask, middle + distance)] {
                let Ok(price) = u32::try_from(price) else { continue };
                quotes.push(Quote::new(side, Ticks::new(price), Lots::new(1_000 * level.unsigned_abs())));
            }
        }
    }
    let expires_at = UnixSeconds::new(now + 60);
    let wanted = Replacement { sequence, sides: Some(Sides::Both), expires_at, quotes: &quotes };
    // The program refuses the instruction should it land more than five seconds late.
    Ok(venue.replace_quotes(trader, market, &wanted, UnixSeconds::new(now + 5)))
}
// README: end

use quantdesk_client::{Tag, order::Ticket};
use quantdesk_sim::{
    chain::Chain,
    desk::{Desk, DeskConfig, MarketSpec},
};
use solana_message::Message;

const README: &str = include_str!("../../README.md");
/// Largest transaction on the wire, and what its one signature takes of it.
const PACKET: usize = 1_232;
const SIGNATURE: usize = 1 + 64;

#[test]
fn the_bot_is_the_one_in_the_readme() {
    let source = include_str!("readme.rs");
    let (_, bot) = source.split_once("// README: begin\n").unwrap();
    let (bot, _) = bot.split_once("// README: end\n").unwrap();
    assert!(README.contains(&format!("```rust\n{bot}```\n")), "copy the bot from here to README.md");
    assert!(bot.lines().count() <= 50);
}

/// Prices of the trader's resting orders with their lots, bids first, best first.
fn resting(desk: &Desk, trader: &Trader) -> Vec<(Side, u32, u64)> {
    let (ledger, market) = (desk.ledger_view().unwrap(), desk.market_view(0).unwrap());
    let orders = view::own_orders(&ledger, &market, trader).unwrap();
    let mut found: Vec<_> = orders.iter().map(|(_, node)| (node.side(), node.price.get(), node.lots.get())).collect();
    found.sort_by_key(|(side, price, _)| (side.byte(), if *side == Side::Bid { u32::MAX - price } else { *price }));
    found
}

fn run(desk: &mut Desk, trader: &Trader) {
    let market = desk.markets[0].address;
    let bytes = (desk.chain.data(&desk.venue.ledger).unwrap(), desk.chain.data(&market).unwrap());
    let time = (desk.chain.unix_seconds(), desk.chain.slot());
    let instruction = requote(&desk.venue, trader, &market, (&bytes.0, &bytes.1), time).unwrap();
    let message = Message::new(core::slice::from_ref(&instruction), Some(&trader.authority));
    assert!(message.serialize().len() + SIGNATURE <= PACKET, "fits one transaction");
    desk.chain.send(instruction).unwrap();
    desk.check().unwrap();
}

fn wait(chain: &mut Chain, seconds: i64) {
    chain.advance_to(chain.unix_millis() + seconds * 1_000);
}

#[test]
fn the_bot_quotes_leans_and_steps_aside() {
    let mut desk = Desk::new(DeskConfig::default()).unwrap();
    desk.list(&MarketSpec::sol()).unwrap();
    desk.set_price(0, 200_000_000_000_000).unwrap();
    let owners = [desk.name(b"maker"), desk.name(b"taker")];
    let [maker, taker] = owners.map(|owner| desk.open(owner, 0, 10_000_000_000).unwrap().0);

    run(&mut desk, &maker);
    let (bid, ask) = (Side::Bid, Side::Ask);
    let expected = [
        (bid, 199_920, 1_000),
        (bid, 199_840, 2_000),
        (bid, 199_760, 3_000),
        (ask, 200_080, 1_000),
        (ask, 200_160, 2_000),
        (ask, 200_240, 3_000),
    ];
    assert_eq!(resting(&desk, &maker), expected);

    let buy = Ticket::of(Side::Bid, Ticks::new(200_200), Lots::new(3_000)).market().build();
    desk.place(&taker, 0, &buy).unwrap();
    wait(&mut desk.chain, 1);
    run(&mut desk, &maker);
    let leaning = expected.map(|(side, price, lots)| (side, price + 3, lots));
    assert_eq!(resting(&desk, &maker), leaning, "short 3,000 lots, so three ticks higher");

    wait(&mut desk.chain, 31);
    run(&mut desk, &maker);
    assert_eq!(resting(&desk, &maker), [], "no fresh price, no quotes");
}

/// Rows of all tables of a text, cells trimmed, each table's header first.
fn tables(text: &str) -> Vec<Vec<Vec<&str>>> {
    let mut tables: Vec<Vec<Vec<&str>>> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(row) = line.strip_prefix('|') {
            if !inside {
                tables.push(Vec::new());
            }
            tables.last_mut().unwrap().push(row.trim_end_matches('|').split('|').map(str::trim).collect());
        }
        inside = line.starts_with('|');
    }
    tables
}

/// The compute units among them are checked where they are written, in `benches`.
#[test]
fn the_instruction_table_lists_every_tag() {
    let tables = tables(README);
    let table = tables.iter().find(|table| table[0][0] == "tag").unwrap();
    assert_eq!(table.len(), Tag::ALL.len() + 2);
    for (row, tag) in table[2..].iter().zip(Tag::ALL) {
        assert_eq!((row[0], row[1]), (tag.byte().to_string().as_str(), format!("`{}`", tag.name()).as_str()));
    }
}

#[test]
fn files_and_options_named_in_the_readme_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let links = README.split("](").skip(1).filter_map(|link| link.split([')', '#']).next());
    for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
        assert!(root.join(link).exists(), "{link}");
    }
    let tables = tables(README);
    let folders = tables.iter().find(|table| table[0][0] == "folder").unwrap();
    for row in &folders[2..] {
        assert!(root.join(row[0].trim_matches('`')).is_dir(), "{}", row[0]);
    }
    let simulator = std::fs::read_to_string(root.join("sim/src/main.rs")).unwrap();
    let build = std::fs::read_to_string(root.join("program/build")).unwrap();
    let words = README.split(|letter: char| letter.is_whitespace() || letter == '`');
    for option in words.filter_map(|word| word.strip_prefix("--")).filter(|word| word.starts_with(char::is_alphabetic))
    {
        let field = format!("{}:", option.replace('-', "_"));
        let known = option == "help" || simulator.contains(&field) || build.contains(&format!("--{option}"));
        assert!(known, "--{option}");
    }
}
