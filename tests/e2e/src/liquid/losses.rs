//! How a slash is shared.

use std::collections::BTreeMap;

use alloy::primitives::U256;
use eyre::{Result, ensure, eyre};
use rota_bindings::StakedToken::LossApplied;
use rota_models::{
    liquid::after_slash,
    stake::{ALL_LATER, SlashEntry},
};

use super::{BPS, BUNKER_EPOCHS, BUNKER_LOSS, Books, Loss, bps};

impl Books {
    /// What was announced of the slashes up to number `seq`.
    pub(super) fn losses_through(&mut self, seq: usize, event: &LossApplied, time: u64) -> Result<()> {
        let ours = self.lose(seq, time)?;
        let theirs = [event.loss, event.exits, event.covered, event.dripped, event.rate];
        let names = ["all", "exits", "the cover", "the drip", "the rate"];
        for (who, (ours, theirs)) in names.into_iter().zip(ours.into_iter().zip(theirs)) {
            ensure!(ours == theirs, "lost by {who}: {theirs} wei, not {ours}");
        }
        self.count("LossApplied");
        Ok(())
    }

    /// Applies the slashes up to number `seq`. Wei lost in all, by exits, by the cover, by the drip, by the rate.
    pub(super) fn lose(&mut self, seq: usize, time: u64) -> Result<[U256; 5]> {
        let (mut loss, mut exits, mut covered, mut dripped, mut rest) =
            (U256::ZERO, U256::ZERO, U256::ZERO, U256::ZERO, U256::ZERO);
        while self.applied < seq {
            let SlashEntry { id, sigma, before, fraction } =
                *self.slashes.get(self.applied).ok_or_else(|| eyre!("the vault has no slash {seq}"))?;
            self.applied += 1;
            let stayers = self.stayers();
            let mut lost = U256::ZERO;
            // One that ends before a set takes from who left before it, not from the pool.
            if let Some(active) = self.active.get_mut(&id).filter(|_| before == ALL_LATER) {
                let left = after_slash(*active, fraction);
                lost += *active - left;
                *active = left;
            }
            let last = self.last_ticket.get(&id).copied().unwrap_or_default();
            let first = sigma.saturating_sub(1).max(last.saturating_sub(self.unbonding + 2));
            let reached = self
                .tickets
                .iter_mut()
                .filter(|((of, cohort), _)| *of == id && (first..=last).contains(cohort) && *cohort + 1 < before);
            for (_, ticket) in reached {
                let left = after_slash(*ticket, fraction);
                lost += *ticket - left;
                *ticket = left;
            }
            if lost.is_zero() {
                continue;
            }
            let liable: U256 =
                self.waiting.values().filter(|exit| exit.epoch + 1 >= sigma).map(|exit| exit.assets).sum();
            let base = stayers + liable;
            ensure!(lost <= base, "more was lost than was liable");
            let mut shared = BTreeMap::new();
            let mut borne = U256::ZERO;
            for (index, exit) in &mut self.waiting {
                let before = *exit;
                if exit.epoch + 1 >= sigma {
                    let part = (exit.assets * lost).div_ceil(base);
                    exit.assets -= part;
                    borne += part;
                }
                shared.insert(*index, (before, *exit));
            }
            let stayers_part = lost.saturating_sub(borne);
            self.owed -= borne;
            let cover = self.cover.min(stayers_part);
            self.cover -= cover;
            self.buffer += cover;
            let drip = self.drip.take(stayers_part - cover, time);
            let carried = stayers_part - cover - drip;
            self.loss_carry += carried;
            if lost * BPS >= base * bps(BUNKER_LOSS) {
                let sigma = if time < self.bunker.0 { sigma.min(self.bunker.1) } else { sigma };
                self.bunker = (time + BUNKER_EPOCHS * self.epoch_seconds, sigma);
            }
            loss += lost;
            exits += borne;
            covered += cover;
            dripped += drip;
            rest += carried;
            self.losses.push(Loss { id, sigma, fraction, loss: lost, stayers, stayers_part, exits: shared });
        }
        Ok([loss, exits, covered, dripped, rest])
    }
}
