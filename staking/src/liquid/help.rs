//! What the numbers mean that the commands print. Lines fit the 100 columns at which help is wrapped.

pub(super) const POSITION: &str = "\
Example:
  rota liquid position --account 0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC

Amounts are native tokens, but for the shares:
  shares               held by the account; only its own transfers change their number
  worth                what they stand for now, after losses and fees; gains count as they vest
  if left at once      what `instant` pays for all of them at today's fee, if the buffer has it
  shares in the queue  handed in and not payable yet, without those that have a receipt
  ready to claim       what `claim` pays now
  request to leave     its batch (open: can be taken back; sealed: the price is fixed; ready: can be
                       claimed), its position among the batches that are not paid yet, what it is
                       worth, and when it can be claimed if nothing comes in. Deposits make that
                       earlier; a slash takes from what answers for the fault.
  receipt              ERC-721 number of a request that can be handed on, for --receipt";

pub(super) const QUEUE: &str = "\
Example:
  rota liquid queue

Amounts are native tokens, but for the shares:
  open batch                  takes requests now: its number, its shares, earliest time of its seal
  buffer (aim)                at hand, and how much should be: 5 % of all assets, set once an epoch
  free for exits at once      buffer less what sealed batches and uncollected fees need
  fee of the next token ...   cost of taking out one token at once, in percent of it
  on its way out of stake     undelegated; the unbonding time runs
  owed to sealed batches      as fixed by their seals, less what slashes took since
  room for deposits           until a third of all stake is held here; 0 while they are closed
  deposits and exits at once  open, or why and until when they are closed; the queue never is
  sealed batch                oldest first, and paid in this order
  payable at the earliest     an epoch after the seal, or when a fault of that time is judged; then
                              as soon as the buffer covers it";

pub(super) const APR: &str = "\
Example:
  rota liquid apr

  a share is worth  native tokens for one share now
  fee on rewards    part of gains that is not the holders'; losses are made up for first
  over the last     time since a record of the worth (one a day on mainnet parameters): the last,
                    the 7th, the 30th and the 365th before now, and the first
  return per year   growth of the worth since then, as simple interest over 365 days, after fees
                    and losses; - if a share was worth nothing then. The past, no promise.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wrapped() {
        for line in [POSITION, QUEUE, APR].iter().flat_map(|text| text.lines()) {
            assert!(line.len() <= 100, "{line}");
        }
    }
}
