//! Which set and fork serve a height, as far back as anybody can be judged.

use std::{collections::BTreeMap, ops::RangeInclusive};

use crate::{
    chain::{DecidedBlock, DecidedChain, EngineError},
    consensus::context::Service,
};

/// Changes of the serving set that are followed into the past: more than unbonding lasts on any network.
const MAX_CHANGES: usize = 256;

/// σ and fork by height: a function of the decided chain.
#[derive(Debug, Default)]
pub(super) struct Services {
    from: BTreeMap<u64, Service>,
    /// Last height known.
    end: u64,
}

impl Services {
    /// Reads the decided chain backwards, one block for each set that served, down to the first whose σ and time (Unix
    /// seconds) are not `wanted` any more.
    ///
    /// # Errors
    /// Disk failure.
    pub fn of(chain: &dyn DecidedChain, wanted: impl Fn(u32, u64) -> bool) -> Result<Self, EngineError> {
        let mut services = Self { from: BTreeMap::new(), end: chain.head_number() };
        let mut height = services.end;
        while height > 0 && services.from.len() < MAX_CHANGES {
            let Some(block) = chain.decided(height)? else { break };
            let served = service(&block);
            services.from.insert(block.context.first_height.max(1), served);
            if !wanted(served.sigma, block.block.header().timestamp) {
                break;
            }
            height = block.context.first_height.saturating_sub(1);
        }
        Ok(services)
    }

    /// First height known.
    pub fn start(&self) -> Option<u64> {
        self.from.first_key_value().map(|(height, _)| *height)
    }

    /// Last height known; 0 before the first.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// What served, and the heights it served, in ascending order.
    pub fn spans(&self) -> impl Iterator<Item = (RangeInclusive<u64>, Service)> + '_ {
        let ends = self.from.keys().skip(1).map(|next| next - 1).chain([self.end]);
        self.from.iter().zip(ends).map(|((first, service), end)| (*first..=end, *service))
    }

    /// Enters a height; heights are entered in ascending order.
    pub fn enter(&mut self, height: u64, service: Service) {
        if height <= self.end && self.start().is_some_and(|start| start <= height) {
            return;
        }
        if self.from.last_key_value().map(|(_, last)| *last) != Some(service) {
            self.from.insert(height, service);
        }
        self.end = height;
        if self.from.len() > MAX_CHANGES {
            self.from.pop_first();
        }
    }

    /// What serves `height`; `None` if the chain has not come so far, or that is too long ago.
    pub fn at(&self, height: u64) -> Option<Service> {
        let within = height <= self.end;
        within.then(|| self.from.range(..=height).next_back().map(|(_, service)| *service)).flatten()
    }
}

/// What served a decided block.
pub(super) fn service(decided: &DecidedBlock) -> Service {
    Service { sigma: decided.certificate.epoch, fork: decided.certificate.fork }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_height_is_served_by_what_was_entered_last_before_it() {
        let mut services = Services::default();
        assert_eq!(services.at(1), None);
        let (a, b) = (Service { sigma: 2, fork: 0 }, Service { sigma: 3, fork: 0 });
        for (height, service) in [(10, a), (11, a), (12, b), (13, b)] {
            services.enter(height, service);
        }
        // Again, as after a look at a height that did not change.
        services.enter(13, b);
        assert_eq!(services.start(), Some(10));
        assert_eq!(services.at(9), None);
        assert_eq!([10, 11, 12, 13].map(|height| services.at(height)), [a, a, b, b].map(Some));
        assert_eq!(services.at(14), None);
        assert_eq!(services.spans().collect::<Vec<_>>(), [(10..=11, a), (12..=13, b)]);
    }
}
