//! The units of one site that may go now, and whose turn it is: by priority, then fairly between flows.
//!
//! A flow is what one sender has waiting (what is new and what was tried before count as two), and the flows of a lane take turns. A
//! turn is measured in octets, so that a sender of huge letters gets no more of the line than one of small ones; a higher
//! lane goes first, but never all the time.

use std::collections::{HashMap, VecDeque};

use super::Unit;

/// What one turn of a flow is worth, in [`cost`]s.
const QUANTUM: u32 = 4;
/// The octets that count as one.
const COST_BYTES: u64 = 16 * 1024;
/// The most one unit counts, so that the turn of a huge letter comes.
const COST_MAX: u32 = 64;
/// One start in so many begins with the lowest lane, so that it moves.
const LOWEST_EVERY: u8 = 8;

/// Which letters go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Asked for by a priority above zero (RFC 6710).
    High,
    /// A letter from one person to a few.
    Normal,
    /// One to many, or a priority below zero.
    Bulk,
}

impl Lane {
    /// More recipients than this make a letter bulk when its priority says nothing.
    const FEW_RECIPIENTS: usize = 10;

    pub(crate) fn of(priority: i8, recipients: usize) -> Self {
        match priority {
            1.. => Self::High,
            0 if recipients <= Self::FEW_RECIPIENTS => Self::Normal,
            0 | i8::MIN..0 => Self::Bulk,
        }
    }
}

/// What a unit of this size counts in its flow's turn.
pub(crate) fn cost(size: u64) -> u32 {
    u32::try_from(size / COST_BYTES + 1).unwrap_or(COST_MAX).min(COST_MAX)
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    high: Line,
    normal: Line,
    bulk: Line,
    turn: u8,
}

/// One lane.
#[derive(Debug, Default)]
struct Line {
    flows: HashMap<u32, Flow>,
    /// The flows that have something, the next one first.
    ring: VecDeque<u32>,
}

#[derive(Debug, Default)]
struct Flow {
    units: VecDeque<Unit>,
    credit: u32,
}

impl Lanes {
    pub(crate) fn is_empty(&self) -> bool {
        self.high.ring.is_empty() && self.normal.ring.is_empty() && self.bulk.ring.is_empty()
    }

    pub(crate) fn push(&mut self, unit: Unit, lane: Lane, flow: u32) {
        match lane {
            Lane::High => self.high.push(unit, flow),
            Lane::Normal => self.normal.push(unit, flow),
            Lane::Bulk => self.bulk.push(unit, flow),
        }
    }

    /// Takes the next unit. `cost` says what it counts, or `None` for one that is not to be started any more: it is passed over.
    pub(crate) fn pop(&mut self, cost: &mut dyn FnMut(Unit) -> Option<u32>) -> Option<Unit> {
        self.turn = (self.turn + 1) % LOWEST_EVERY;
        let (high, normal, bulk) = (&mut self.high, &mut self.normal, &mut self.bulk);
        let order = if self.turn == 0 { [bulk, normal, high] } else { [high, normal, bulk] };
        order.into_iter().find_map(|line| line.pop(cost))
    }
}

impl Line {
    fn push(&mut self, unit: Unit, flow: u32) {
        let waiting = self.flows.entry(flow).or_default();
        if waiting.units.is_empty() {
            self.ring.push_back(flow);
        }
        waiting.units.push_back(unit);
    }

    fn pop(&mut self, cost: &mut dyn FnMut(Unit) -> Option<u32>) -> Option<Unit> {
        // Deficit round robin (Shreedhar and Varghese, 1995): a flow whose turn it is saves up until its first unit is paid for.
        while let Some(&name) = self.ring.front() {
            let alone = self.ring.len() == 1;
            let Some(flow) = self.flows.get_mut(&name) else {
                self.ring.pop_front();
                continue;
            };
            let Some(&unit) = flow.units.front() else {
                self.flows.remove(&name);
                self.ring.pop_front();
                continue;
            };
            let Some(price) = cost(unit) else {
                flow.units.pop_front();
                continue;
            };
            if flow.credit < price && !alone {
                flow.credit = flow.credit.saturating_add(QUANTUM);
                self.ring.rotate_left(1);
                continue;
            }
            flow.credit = flow.credit.saturating_sub(price);
            flow.units.pop_front();
            if flow.units.is_empty() {
                self.flows.remove(&name);
                self.ring.pop_front();
            }
            return Some(unit);
        }
        None
    }
}

#[cfg(test)]
mod tests;
