use quantdesk_client::{
    engine::{book::*, *},
    order::Ticket,
    view,
};
use quantdesk_sim::desk::*;
fn main() -> anyhow::Result<()> {
    let mut desk = Desk::new(DeskConfig { cells: 1000, ..Default::default() })?;
    let mut c = vec![];
    for spec in [MarketSpec::sol(), MarketSpec::btc(), MarketSpec::eth()] {
        let m = desk.list(&spec)?;
        c.push(desk.set_price(m, [221u64, 121_000, 4_370][m] * 1_000_000_000_000)?.compute_units);
    }
    println!("update_price {c:?}");
    let o1 = desk.name(b"a");
    let o2 = desk.name(b"b");
    let (a, at) = desk.open(o1, 0, 1_000_000_000_000)?;
    let (b, _) = desk.open(o2, 0, 1_000_000_000_000)?;
    println!(
        "deposit {:?}",
        desk.chain.send(desk.venue.deposit(&a, at, QuoteAtoms::new(1)).clone()).map_err(|e| e.to_string())
    );
    let px = |p: u32| Ticks::new(p);
    for depth in 0..40u32 {
        let r = desk.place(&a, 0, &Ticket::of(Side::Ask, px(221_100 + depth * 10), Lots::new(10)).build())?;
        if depth < 3 || depth == 39 {
            println!("place d{depth} {}", r.compute_units);
        }
    }
    println!(
        "take 1 {:?}",
        desk.place(&b, 0, &Ticket::of(Side::Bid, px(222_100), Lots::new(5)).immediate_or_cancel().build())?
    );
    println!(
        "take 1 full {:?}",
        desk.place(&b, 0, &Ticket::of(Side::Bid, px(222_100), Lots::new(5)).immediate_or_cancel().build())?
    );
    println!(
        "take 2 {:?}",
        desk.place(&b, 0, &Ticket::of(Side::Bid, px(222_100), Lots::new(20)).immediate_or_cancel().build())?
    );
    println!(
        "take 10 {:?}",
        desk.place(&b, 0, &Ticket::of(Side::Bid, px(222_100), Lots::new(100)).immediate_or_cancel().build())?
    );
    desk.place(&b, 1, &Ticket::of(Side::Bid, px(1_200_000), Lots::new(20)).build())?;
    println!(
        "place with 2 positions {:?}",
        desk.place(&b, 0, &Ticket::of(Side::Bid, px(210_100), Lots::new(100)).build())?
    );
    desk.place(&b, 2, &Ticket::of(Side::Bid, px(430_000), Lots::new(20)).build())?;
    println!(
        "place with 3 positions {:?}",
        desk.place(&b, 0, &Ticket::of(Side::Bid, px(210_100), Lots::new(100)).build())?
    );
    println!(
        "place with 3 positions {:?}",
        desk.place(&b, 0, &Ticket::of(Side::Bid, px(210_100), Lots::new(100)).build())?
    );
    let l = desk.ledger()?;
    let m = desk.market(0)?;
    let orders: Vec<_> = view::own_orders(&l.ledger().unwrap(), &m.market().unwrap(), &a)?
        .iter()
        .map(|(n, o)| (*n, o.sequence))
        .collect();
    let addr = desk.markets[0].address;
    println!("cancel {:?}", desk.chain.send(desk.venue.cancel_order(&a, &addr, orders[3].0, orders[3].1))?);
    println!(
        "cancel_all {} {:?}",
        orders.len() - 1,
        desk.chain.send(desk.venue.cancel_all(&a, &addr, Sides::Both, 255))?
    );
    println!("withdraw {:?}", desk.chain.send(desk.venue.withdraw(&a, at, QuoteAtoms::new(1000)))?);
    println!("--- checkpoints");
    let f = |r: std::result::Result<quantdesk_sim::chain::Executed, quantdesk_sim::chain::Failure>| match r {
        Ok(e) => format!("ok {}", e.compute_units),
        Err(e) => format!("{e} {}", e.compute_units),
    };
    let good = Ticket::of(Side::Bid, px(210_100), Lots::new(100));
    let mut bad = a;
    bad.generation = Generation::new(99);
    println!("generation: {}", f(desk.place(&bad, 0, &good.build())));
    println!("price 0: {}", f(desk.place(&a, 0, &Ticket::of(Side::Bid, px(0), Lots::new(100)).build())));
    println!("match limit 0: {}", f(desk.place(&a, 0, &good.match_limit(0).build())));
    println!("reduce only nothing: {}", f(desk.place(&a, 0, &good.reduce_only().build())));
    println!(
        "cancel not found: {}",
        f(desk.chain.send(desk.venue.cancel_order(&a, &addr, NodeIndex::new(5000), Sequence::new(1))))
    );
    println!(
        "ioc nothing: {}",
        f(desk.place(&a, 0, &Ticket::of(Side::Ask, px(222_000), Lots::new(100)).immediate_or_cancel().build()))
    );
    println!(
        "fok nothing: {}",
        f(desk.place(&a, 0, &Ticket::of(Side::Ask, px(222_000), Lots::new(100)).fill_or_kill().build()))
    );
    println!("place: {}", f(desk.place(&a, 0, &good.build())));
    println!(
        "too large: {}",
        f(desk.place(&a, 0, &Ticket::of(Side::Bid, px(222_000), Lots::new(9_000_000_000)).build()))
    );
    let mut o = good.build();
    o.lots = Lots::new(0);
    println!("lots: {}", f(desk.place(&a, 0, &o)));
    desk.check()?;
    Ok(())
}
