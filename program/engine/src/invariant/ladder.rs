//! Ladders against the orders they are.

use super::{Check, Violation, count, require};
use crate::{
    state::{Ladder, LadderLevel, LadderSide, LedgerView, MarketRow, MarketView, OrderNode, Source},
    units::{Lots, NodeIndex, Side, Ticks},
};
use bytemuck::Zeroable;

/// B9: a ladder in use is a position's only one; each of its sides is an order of that position, its levels ascend, and no more
/// of them is consumed than they have. Places that are not in use are zero, and every order on a ladder is a side of one.
pub fn ladders(ledger: &LedgerView<'_>, market: &MarketView<'_>) -> Check {
    let (header, all) = (market.header, &market.annex.ladders);
    let mut sides = 0i128;
    let mut bits = header.ladders;
    for (number, ladder) in (0u32..).zip(all) {
        let used = bits & 1 != 0;
        bits >>= 1;
        if !used {
            require(*ladder == Ladder::zeroed(), "B9", "a ladder not in use is zero", number)?;
            continue;
        }
        require(!ladder.quoter.is_zero(), "B9", "somebody may move a ladder", number)?;
        let position = ledger.position(ladder.position)?;
        require(position.market == header.index, "B9", "a ladder belongs to a position in its market", number)?;
        let given = !ladder.order.is_zero() && ladder.order <= header.orders_placed;
        require(given, "B9", "a ladder's order number was given out", number)?;
        let held = count(all.iter().filter(|it| it.position == ladder.position && !it.quoter.is_zero()));
        require(held == 1, "B9", "a position has one ladder", number)?;
        let mut own = 0i128;
        for side in [Side::Bid, Side::Ask] {
            own = own.saturating_add(ladder_side(ledger, market, number, side)?);
        }
        require(own > 0, "B9", "a ladder in use has a side", number)?;
        sides = sides.saturating_add(own);
    }
    require(bits == 0, "B9", "there are no more ladders", bits)?;
    let on_ladders = |node: &&OrderNode| !node.sequence.is_zero() && node.source() == Source::Ladder;
    let nodes = count(market.nodes.iter().filter(on_ladders));
    require(sides == nodes, "B9", "every order on a ladder is a side of one", nodes)
}

/// Returns how many sides this is: none or one.
fn ladder_side(
    ledger: &LedgerView<'_>,
    market: &MarketView<'_>,
    number: u32,
    side: Side,
) -> core::result::Result<i128, Violation> {
    let Some(ladder) = market.annex.ladders.get(crate::math::to_usize(number)) else {
        return Ok(0);
    };
    let half = ladder.side(side);
    if half.node.is_nil() {
        let nothing = LadderSide { node: NodeIndex::NIL, ..LadderSide::zeroed() };
        require(*half == nothing, "B9", "a ladder without a side has nothing there", number)?;
        return Ok(0);
    }
    let Some(node) = market.node(half.node) else {
        require(false, "B9", "a side names a live order", number)?;
        return Ok(0);
    };
    let same = node.source() == Source::Ladder && node.place == number && node.side() == side;
    require(same && node.position == ladder.position, "B9", "a side and its order name each other", number)?;
    let row = ledger.row(market.header.index)?;
    let sized = !node.lots.is_zero() && node.lots <= row.position_approved;
    require(sized && !node.price.is_zero() && node.price <= row.price_max, "B9", "a side is an order", number)?;
    let owner = ledger.trader(ledger.position(node.position)?.trader)?.owner;
    require(owner.tag() == node.owner_tag, "B9", "a side's owner tag is its owner's", number)?;
    let levels = levels_of(&half.levels, row, number)?;
    let left = half.levels.get(crate::math::to_usize(half.level)).map_or(Lots::ZERO, |level| level.lots);
    let consumed = half.used.is_zero() || half.used < left;
    require(levels > 0 && half.level <= levels && consumed, "B9", "a level has what was consumed of it", number)?;
    Ok(1)
}

/// How many levels there are.
fn levels_of(levels: &[LadderLevel], row: &MarketRow, number: u32) -> core::result::Result<u32, Violation> {
    let mut behind = None;
    for (place, level) in (0u32..).zip(levels).filter(|(_, level)| **level != LadderLevel::zeroed()) {
        let next = behind.is_none_or(|(before, distance): (u32, Ticks)| {
            place == before.saturating_add(1) && level.distance > distance
        });
        let first = behind.is_some() || place == 0;
        require(next && first, "B9", "levels ascend without a gap", number)?;
        let sized = !level.lots.is_zero() && level.lots <= row.position_approved && level.is_padded();
        require(sized, "B9", "a level is as large as an order", number)?;
        behind = Some((place, level.distance));
    }
    Ok(behind.map_or(0, |(last, _)| last.saturating_add(1)))
}
