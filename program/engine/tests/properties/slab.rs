//! Free list, ring and bulk moves.

use crate::cases;
use bytemuck::Zeroable;
use proptest::prelude::*;
use quantdesk_engine::{
    EngineError, Sequence,
    slab::{
        free_list::{FreeList, NIL, Slot},
        memory, ring,
    },
    state::{CashEvent, CashEventKind, OrderNode},
};
use std::collections::BTreeSet;

/// A node in use.
fn used(number: u64) -> OrderNode {
    let mut node = OrderNode::released(NIL);
    node.sequence = Sequence::new(number);
    node
}

/// The slots on the list, by following it.
fn listed(list: &FreeList, slots: &[OrderNode]) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = list.head();
    while next != NIL {
        found.push(next);
        next = slots[next as usize].next_free().expect("a free slot");
        assert!(found.len() <= slots.len(), "the list is acyclic");
    }
    found
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn inv_b4_slots_are_in_use_or_on_the_list_exactly_once(steps in prop::collection::vec((any::<bool>(), 0usize..64), 1..200)) {
        let mut slots = vec![OrderNode::zeroed(); 12];
        let mut list = FreeList::new(8);
        let mut held = Vec::new();
        for (number, (take, which)) in (1u64..).zip(steps) {
            if take {
                match list.allocate(&slots).unwrap() {
                    Some(index) => {
                        prop_assert!(!held.contains(&index), "given out twice");
                        slots[index as usize] = used(number);
                        held.push(index);
                    }
                    None => prop_assert_eq!(held.len() as u32, list.capacity()),
                }
            } else if !held.is_empty() {
                let index = held.swap_remove(which % held.len());
                list.release(&mut slots, index).unwrap();
                let link = slots[index as usize].next.get();
                prop_assert_eq!(slots[index as usize], OrderNode::released(link), "a released slot is zero but for its link");
                prop_assert_eq!(list.head(), index, "the last released is the next taken");
            } else if which % 16 == 0 && list.capacity() < 12 {
                list.grow(1).unwrap();
            }
            let free = listed(&list, &slots);
            let all: BTreeSet<u32> = free.iter().chain(&held).copied().collect();
            prop_assert_eq!(all.len(), free.len() + held.len(), "a slot is on one side only");
            prop_assert_eq!(all, (0..list.high_water()).collect::<BTreeSet<_>>());
            prop_assert_eq!((list.in_use() as usize, list.released() as usize), (held.len(), free.len()));
        }
    }

    #[test]
    fn inv_b5_a_ring_keeps_the_newest_records_without_a_gap(size in 0u32..6, written in 0u64..100) {
        let mut records = vec![CashEvent::zeroed(); 1 << size];
        let mut last = Sequence::ZERO;
        for amount in 1..=written {
            let mut event = CashEvent::new(CashEventKind::Deposited);
            event.amount = amount as i64;
            ring::append(&mut records, &mut last, event).unwrap();
        }
        let kept: Vec<(u64, i64)> =
            ring::iter(&records, last).map(|event| (event.sequence.get(), event.amount)).collect();
        let oldest = written.saturating_sub(1 << size) + 1;
        let expected: Vec<(u64, i64)> = (oldest..=written).map(|number| (number, number as i64)).collect();
        prop_assert_eq!(kept, expected);
    }

    #[test]
    fn bulk_moves_are_insert_and_remove(items in prop::collection::vec(any::<u64>(), 1..40), at in 0usize..40) {
        let at = at % items.len();
        let mut inserted = items.clone();
        inserted.insert(at, items[at]);
        let mut moved = items.clone();
        moved.push(0);
        memory::shift_up(&mut moved, at, items.len());
        prop_assert_eq!(&moved, &inserted);

        let mut removed = items.clone();
        removed.remove(at);
        let mut moved = items.clone();
        memory::shift_down(&mut moved, at, items.len());
        prop_assert_eq!(&moved[..items.len() - 1], &removed[..]);
    }
}

#[test]
fn bulk_moves_beyond_the_array_do_nothing() {
    let items = [1u64, 2, 3];
    for (from, len) in [(3, 3), (0, 3), (0, 4), (2, 1)] {
        let mut moved = items;
        memory::shift_up(&mut moved, from, len);
        assert_eq!(moved, items, "up from {from}, {len} used");
    }
    for (from, len) in [(2, 3), (3, 3), (0, 4), (1, 1)] {
        let mut moved = items;
        memory::shift_down(&mut moved, from, len);
        assert_eq!(moved, items, "down to {from}, {len} used");
    }
}

#[test]
fn a_slot_cannot_be_released_twice_or_beyond_the_array() {
    let mut slots = vec![OrderNode::zeroed(); 2];
    let mut list = FreeList::new(2);
    let index = list.allocate(&slots).unwrap().unwrap();
    slots[index as usize] = used(1);
    list.release(&mut slots, index).unwrap();
    assert_eq!(list.release(&mut slots, index), Err(EngineError::Corrupt));
    assert_eq!(list.release(&mut slots, 2), Err(EngineError::Corrupt));
}

#[test]
fn a_list_that_points_at_a_slot_in_use_is_corrupt() {
    let mut slots = vec![OrderNode::zeroed(); 2];
    let mut list = FreeList::new(2);
    let index = list.allocate(&slots).unwrap().unwrap();
    slots[index as usize] = used(1);
    list.release(&mut slots, index).unwrap();
    slots[index as usize] = used(2);
    assert_eq!(list.allocate(&slots), Err(EngineError::Corrupt));
    assert_eq!(FreeList::new(u32::MAX).grow(1), Err(EngineError::Overflow));
}

#[test]
fn an_empty_ring_is_corrupt() {
    let mut written = Sequence::ZERO;
    let event = CashEvent::new(CashEventKind::Deposited);
    assert_eq!(ring::append(&mut [], &mut written, event), Err(EngineError::Corrupt));
}
