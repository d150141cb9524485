//! What to do about each refusal.

/// A hint for the error with this name; every error of Rota's own contracts has one.
pub(crate) fn hint(name: &str) -> Option<&'static str> {
    let (contract, reason) = name.split_once('_').unwrap_or(("", name));
    match contract {
        "StakeVault" => stake_vault(reason),
        "SequencerRegistry" => sequencer_registry(reason),
        "SequencerSet" | "LeaderSchedule" => sequencer_set(reason),
        "BatchChain" => batch_chain(reason),
        "CommitCertificate" | "L2Header" => certificate(reason),
        "Portal" | "MessagePasser" => portal(reason),
        "RewardVault" | "FeeSplitter" => rewards(reason),
        "Slasher" | "SlashEscrow" => slashing(reason),
        "Evidence" | "AmnesiaFault" | "ConflictingCertificatesFault" => evidence(reason),
        "OfflineFault" => absence(reason),
        "StakedToken" | "CoverFund" => staked_token(reason),
        "ExitQueue" | "ExitReceipt" => exit_queue(reason),
        "Allocator" | "FaultWatch" | "RateFeed" | "Router" | "LiquidLens" => beside_staked_token(reason),
        "Guardian" | "NetworkParameters" | "Lens" => governance(reason),
        "EpochClock" | "EpochTrace" => clock(reason),
        "" => libraries(reason),
        _ => None,
    }
}

const PAUSED: &str = "the guardian has paused new exposure for at most 72 hours; undelegate and claim still work";
const DEPLOYMENT: &str = "the deployment was given a bad parameter; compare with the profiles in script/Deploy.s.sol";
const TOKEN_FEE: &str = "the native token must transfer exactly what is asked; tokens that take a fee cannot be used";
const SLASHER_ONLY: &str = "only the slasher may call this";

fn stake_vault(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "ClaimTooEarly" => "wait until claimableFrom (Unix seconds): the stake still answers for what it backed",
        "FutureSet" => "only sets that have started can be slashed",
        "InsufficientUnits" => "undelegate at most the units held; `rota stake position` shows them",
        "InvalidFraction" => "a slash takes more than 0 and at most 1e18 (all)",
        "InvalidRange" => "a slash ends before a set that is later than sigma and has started, or with ALL_LATER",
        "NotSlasher" => SLASHER_ONLY,
        "NothingToClaim" => {
            "nothing of this account thaws there: check operator and cohort epoch, or it was claimed already"
        }
        "OperatorNotAccepting" => "the operator is unknown, jailed, retired or tombstoned; choose another",
        "Paused" => PAUSED,
        "PoolFull" => "delegate less, or to another operator: the pool would exceed the maximum",
        "PoolWipedOut" => "a slash took all of this pool; choose another operator",
        "NotSequencerSet" => "only the sequencer set may call this",
        "OwnersRoom" => {
            "delegate less, or to another operator: the rest of the pool is kept for the bond its owner still needs"
        }
        "TokenTookFee" => TOKEN_FEE,
        "TooManyUnits" => "delegate less: the pool's units would not fit",
        "UnknownSlash" => "slash numbers run from 1 to slashSeq()",
        "ZeroAmount" => "delegate more than zero",
        "ZeroUnits" => "the amount is too small to be worth a unit; delegate more",
        "InvalidMaxPool" | "InvalidUnbonding" | "ZeroAddress" => DEPLOYMENT,
        _ => return None,
    })
}

fn sequencer_registry(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "CommissionChangePending" => "one change at a time: wait until effectiveEpoch",
        "CommissionStepTooLarge" => "approach the rate in steps of at most maxStep basis points",
        "CommissionTooHigh" => "choose a commission up to the maximum, in basis points",
        "InvalidProof" => {
            "sign the proof of possession with the new signer key for this chain, registry, owner and nonce"
        }
        "KeyAlreadyBound" => "a key belongs to one operator for ever; use a new key",
        "MetadataTooLong" => "shorten the metadata URI",
        "NotOwner" => "send it from the operator's owner account",
        "NotOwnerOrSigner" => "send it from the operator's owner or its current signer key",
        "NotPendingOwner" => "the current owner must name this account with transferOwnership first",
        "NotSlasher" => SLASHER_ONLY,
        "Paused" => PAUSED,
        "UnknownOperator" => "operator ids run from 1 to operatorCount()",
        "WrongStatus" => "the operator's status (1 active, 2 jailed, 3 retired, 4 tombstoned) does not allow this",
        "ZeroRecipient" => "name an account for the rewards",
        "ZeroSigner" => "name a signer key",
        "InvalidMaxCommission" | "InvalidUnjailFee" | "ZeroGuardian" => DEPLOYMENT,
        _ => return None,
    })
}

fn sequencer_set(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "AlreadyFrozen" => "somebody froze this epoch already: nothing to do",
        "AlreadySeated" => "the operator already has the seat named in the error",
        "ChurnBudgetSpent" => "no more members of the frozen set can be displaced this epoch; try in the next",
        "EpochStarted" => "a started epoch cannot be frozen any more; freeze the next one in the second half of this",
        "FreeSeatExists" => "take a free seat instead of displacing somebody; seatDue(id) names one",
        "NoSuchSeat" => "seats run from 0 to maxSeats − 1",
        "NoWeight" => "stake counts two epochs after it was delegated; wait, or delegate",
        "NobodyEligible" => "nobody is eligible, so the old set serves on; operators must be seated, ready and bonded",
        "NotActive" => "the operator must be active: unjail it first if it is jailed",
        "NotOwnerOrSigner" => "send it from the operator's owner or its current signer key",
        "NotReady" => "the operator must declare itself ready with setReady first",
        "NotSeated" => "the operator has no seat",
        "OccupantTooHeavy" => {
            "displacing takes more than 5 % more weight than the occupant's; seatDue(id) finds the lightest"
        }
        "Paused" => PAUSED,
        "ReentryTooSoon" => "after leaving a seat, wait until the epoch named as earliest",
        "SelfBondBelowMinimum" => "the owner must delegate to its own operator until selfBond reaches the minimum",
        "TooEarlyToFreeze" => {
            "wait until opensAt (Unix seconds): an epoch is frozen in the second half of the one before"
        }
        "WeightOverflow" => "the total stake does not fit the quorum arithmetic; maxPool is set too high",
        "WrongMembers" => "pass the members as EpochFrozen of that epoch emitted them",
        "HeightBeforeFirst" => "the height was served by an earlier set",
        "MalformedMembers" => "pass the members as EpochFrozen emitted them, 32 bytes each",
        "InvalidMinSelfBond" | "InvalidSeats" | "InvalidWindow" | "ZeroAddress" => DEPLOYMENT,
        _ => return None,
    })
}

fn batch_chain(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "NotDue" => "wait until finalAt (Unix seconds): the challenge window is still open",
        "NotPosted" => "only a posted batch can be finalized: this one is unknown or already final",
        "ParentNotFinal" => "finalize the batches before it first; finalizable() names the next",
        "OriginUnknown" => {
            "L1 no longer knows this block's hash; prove it with anchorAncestor from a later anchored block"
        }
        "BrokenAncestry" => "pass the RLP headers from the anchored block downwards, without gaps",
        "InsufficientGas" => "send the transaction with more gas",
        "Paused" => PAUSED,
        "SetNotStarted" => "the batch is certified by a set of the future: is L1's clock behind?",
        "SetTooOld" => "a newer set must seal this range again",
        "UnknownTally" => "tallies run from 0 to tallyCount() − 1; the batch must be final first",
        "WrongParent" | "WrongIndex" | "WrongFirstBlock" | "SetGoesBack" | "OriginGoesBack" | "DepositsGoBack" => {
            "the batch does not continue the head: somebody posted it already, or one before it is missing"
        }
        "DepositsAhead" => "the batch credits deposits that its L1 origin does not have: nodes and L1 disagree",
        "WrongOrigin" => "L1 was reorganised below the batch's origin, or the nodes follow another L1",
        "WrongData" => "the data is not the canonical encoding that the header commits to",
        "NotSealed" | "WrongSealingNumber" | "WrongSealingParent" => {
            "pass the header of the block that follows the range"
        }
        "WrongCertificateBlock" | "WrongCertificateEpoch" | "WrongCertificateFork" | "WrongCertificateHeight" => {
            "pass the commit certificate of the sealing block"
        }
        "TallyNotEmpty" | "WrongTally" | "WrongAttempt" | "WrongFork" | "WrongForcedEnd" | "WrongLastBlock" => {
            "this release's nodes never seal such a header: check the versions of node and contracts"
        }
        "BadConfig" | "ZeroAddress" => DEPLOYMENT,
        _ => return None,
    })
}

fn certificate(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "NoQuorum" => "more than two thirds of the frozen weight must have signed",
        "UnknownSet" => "no set was frozen for that epoch",
        "WrongMembers" | "MalformedMembers" => "pass the members as EpochFrozen of that epoch emitted them",
        "WrongSigner" | "BadRecoveryId" | "HighS" => "a signature is not the member's precommit on this chain",
        "UnknownMember" | "WrongSignatureLength" => {
            "one 65-byte signature for each bit of the signer mask, in member order"
        }
        "Malformed" | "WrongLength" => "pass the RLP of an Osaka header, byte for byte as the node serves it",
        _ => return None,
    })
}

fn portal(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "BadAmount" => "deposit a whole number of gwei (1e9 wei), more than zero and less than 2^64 gwei",
        "BadRecipient" => "value sent to this account would be lost; deposit to an ordinary account",
        "FeesAlreadyReleased" => "fees of an epoch are released once",
        "TokenTookFee" => TOKEN_FEE,
        "NotRewardVault" => "only the reward vault may release fees",
        "Paused" => PAUSED,
        "ZeroAmount" => "send the value to withdraw along with the call",
        "ZeroRecipient" => "name an account on L1",
        "ZeroAddress" => DEPLOYMENT,
        _ => return None,
    })
}

fn rewards(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "NothingToOpen" => "no final batch carries a tally that is not opened yet; finalize batches first",
        "EpochStillOpen" => "credit the open epoch to its end first",
        "NoOpenEpoch" => "open an epoch first",
        "WrongEpoch" => "credit the epoch that is open; openStatus() names it",
        "EpochNotLater" => "tallies are opened in order, each epoch once",
        "WrongHeader" => "pass the header of the batch that tallyAt(nextTally) names",
        "WrongMembers" => "pass the members as EpochFrozen of the tally's epoch emitted them",
        "WrongEntries" | "WrongLength" | "WrongId" | "WrongWork" => {
            "pass the tally's entries as the node's rota_batch serves them, unchanged"
        }
        "PriorityAboveFees" => "the tally contradicts itself: check the versions of node and contracts",
        "OnlyAccount" => "the account said with setClaimsItself that nobody else may claim for it: claim from there",
        "OnlyBatchChain" => "only the batch chain may book a posting reward",
        "AboveMaximum" => "choose an amount up to the maximum",
        "Zero" => "choose more than zero",
        "TokenTookFee" => TOKEN_FEE,
        "NotFunded" => "transfer the tokens before splitting them",
        "InvalidRecipient" => "name an account that can hold tokens",
        "ZeroAddress" => DEPLOYMENT,
        _ => return None,
    })
}

fn slashing(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "AlreadyConvicted" => {
            "one conviction per operator and set: this adds nothing to it; a fault under another set counts"
        }
        "AppealOver" => "a case can be vetoed only before appealUntil",
        "AppealRunning" => "wait until appealUntil (Unix seconds): the case can still be vetoed",
        "EvidenceTooOld" => "too late: evidence was taken up to lastEpoch",
        "FirstAbsence" => "the jail is the penalty; only a repeat within 30 days is slashed",
        "NoOpenCase" => "no such case, or it was vetoed or slashed already; openFaults() lists what is open",
        "NotConvicted" => "only a conviction can be topped up; openFaults() lists those that are due",
        "NothingToTopUp" => "the operator is at the rate its convictions call for today: nothing to do",
        "NotModule" => "penalties are decided by the fault modules: send the proof to the one that fits",
        "NotSlasher" => SLASHER_ONLY,
        "SameAbsence" => "the operator is jailed for this absence already",
        "SetNotStarted" => "wait until the epoch starts; the evidence is good then",
        "NotRegistry" => "only the operator registry may call this",
        "TokenTookFee" => TOKEN_FEE,
        "InvalidWeight" | "UnknownKind" => "the fault module and the slasher disagree: check the versions",
        "CoverFundAlreadySet" => "the cover fund was chosen once and for ever",
        "NoCoverFund" => "governance has not named the cover fund yet; its part is kept",
        "NothingDue" => "nothing is owed to this account; rewardOf(account) tells",
        "NothingToBurn" => "nothing waits to be destroyed",
        "DuplicateModule" | "InvalidAppealWindow" | "InvalidCorrelation" | "InvalidEvidenceEpochs" | "ZeroAddress" => {
            DEPLOYMENT
        }
        _ => return None,
    })
}

fn evidence(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "NoContradiction" | "NilVote" | "NotLater" => "these messages are no fault together",
        "DifferentEpochs" | "DifferentForks" | "DifferentHeights" | "DifferentKinds" | "DifferentRounds" => {
            "messages contradict each other only when they are of one kind, fork, height and round"
        }
        "DifferentSigners" => "both messages must be signed by one key, for this chain and batch chain",
        "WrongKinds" | "UnknownVoteKind" => {
            "pass votes as they were signed: kind 1 prevote, 2 precommit; for amnesia the precommit first"
        }
        "BadRecoveryId" | "HighS" | "NoSigner" | "WrongSignatureLength" => {
            "pass signatures as the nodes accept them: 65 bytes, low s, v 27 or 28"
        }
        "UnknownSet" => "no set was frozen for that epoch",
        "WrongMembers" => "pass the members as EpochFrozen of that epoch emitted them",
        "SpareMembers" => "pass the second list of members only when the messages name two epochs",
        "NotAMember" | "NotAMemberOfEither" => "the key was no member of a set that can still be judged",
        "NobodyToConvict" => "nobody signed both certificates who is not convicted under their sets already",
        "AlreadyAccused" => "this accusation was made already; accusationOf(hash) tells where it stands",
        "NotOpen" => "no such accusation, or it was answered or judged already",
        "WindowRunning" => "wait until convictableFrom (Unix seconds): the accused may answer",
        "NotExpired" => "the charge can still be answered, or convict up to lastSlashEpoch",
        "ForeignPolka" | "PolkaOutsideRounds" => {
            "answer with prevotes for the block that was voted for, of a round from the lock up to the vote"
        }
        "InvalidResponseWindow" | "ZeroWiring" => DEPLOYMENT,
        _ => return None,
    })
}

fn absence(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "NotStanding" => "the batch is unknown, removed or orphaned",
        "NotFinal" => "wait until the batch is final",
        "NoTally" => "pass the batch that carries the tally of the epoch",
        "WrongEntries" | "WrongCount" | "ForeignEntry" => {
            "pass the tally's entries as the node's rota_batch serves them, unchanged"
        }
        "WrongMembers" => "pass the members as EpochFrozen of the tally's epoch emitted them",
        "NotAMember" => "the operator had no slots in that epoch",
        "TooFewSlots" | "Present" => "the operator was not absent by the rule: nothing to report",
        "TooManyAbsent" | "TooManyMissed" => "the network was the problem in that epoch: nobody is jailed for it",
        "Zero" => DEPLOYMENT,
        _ => return None,
    })
}

fn staked_token(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "Paused" => {
            "the guardian has paused deposits and instant exits for at most 72 hours; the exit queue stays open"
        }
        "Bunker" => {
            "a large loss closed deposits and instant exits until the time named (Unix seconds); the exit queue stays open"
        }
        "Accused" => {
            "operators with much of the stake are accused: wait for the answer or the verdict, or use the exit queue"
        }
        "DepositTooLarge" => {
            "deposit at most `maximum` wei (maxDeposit): this token keeps itself below a third of all stake"
        }
        "ZeroShares" => "deposit more: the amount is worth less than one wei of a share",
        "TokenTookFee" => TOKEN_FEE,
        "BufferTooLow" => {
            "take at most `available` wei out at once, or leave through the exit queue (`rota liquid redeem`) at full value"
        }
        "WindowUsedUp" => {
            "at most `available` wei may still leave at once in this window: take less, wait, or use the exit queue"
        }
        "NotExitQueue" => "only the exit queue may call this; ask it with requestRedeem",
        "SealedThisEpoch" => "one exit is sealed per epoch: try again in the second half of the next",
        "NothingSealed" => "no sealed exit waits: nothing to finalize",
        "ExitHeld" => "wait until the time named (Unix seconds): faults of an exit's time may still be convicted",
        "NothingToDelegate" => {
            "at least one token beyond the buffer's aim and what exits need, and an operator with room, are needed"
        }
        "NothingToRebalance" => "the operator holds at most a fifth more than its target: nothing to do",
        "NothingLacking" => "buffer and thawing stake cover what exits are owed: nothing to do",
        "NothingToSkim" => "nothing arrived beyond the books",
        "NothingToCollect" => "there are no fees, or the buffer is needed for exits first",
        "FeeTooHigh" => "choose a fee up to the maximum, in basis points",
        "BooksTooLarge" => "the amount does not fit the books",
        "NotStakedToken" => "only the staked token may draw",
        "NotEnough" => "the fund pays at most what it holds",
        "NothingToBook" => "nothing arrived since the last booking",
        "OutOfRange" | "ZeroAddress" => DEPLOYMENT,
        _ => return None,
    })
}

fn exit_queue(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "Zero" => "name shares (or an amount) above zero, and a controller",
        "NotAuthorized" => "the controller itself must call, or let the caller act with setOperator",
        "AlreadySealed" => "a sealed batch cannot be left any more: wait and claim it",
        "InsufficientRequest" => "take back at most the shares the request holds",
        "NotClaimable" => "only finalised batches can be claimed; `rota liquid position` shows when",
        "PriceMoved" => "the token called out in its transfer and the price moved meanwhile: ask again",
        "SealTooEarly" => {
            "wait until the time named (Unix seconds): a batch is sealed once per epoch, in its second half"
        }
        "NothingToSeal" => "nobody asked to leave: nothing to do",
        "TokenTookFee" => TOKEN_FEE,
        "NoPreview" => "exits through the queue have no preview (ERC-7540); convertToAssets tells today's worth",
        "ZeroAddress" => DEPLOYMENT,
        _ => return None,
    })
}

/// Allocator, fault watch, rate feed, router, lens.
fn beside_staked_token(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "OperatorNotAccepting" => "list operators that exist and are neither jailed, retired nor tombstoned",
        "TooManyOperators" => "unlist a drained operator first",
        "NotListed" => "operators() shows those that are listed",
        "StillInUse" => "set the weight to zero and let rebalancing take the stake out first",
        "NotDue" => "wait until the time named (Unix seconds): one checkpoint per interval",
        "UnknownRound" => "rounds run from 1 to `latest`, which is the present moment",
        "WorthNothing" => "ask for a later checkpoint: at this one a slash had taken everything",
        "NoTimePassed" => "ask for an earlier checkpoint",
        "Expired" => "send it again with a later deadline",
        "BelowMinimum" => {
            "the price moved: accept less (--min-out), or leave through the exit queue (`rota liquid redeem`)"
        }
        "WrongPermit" => "sign the Permit2 transfer for the native token and at least the amount deposited",
        "TokenTookFee" => TOKEN_FEE,
        "InvalidConfig" | "OutOfRange" | "ZeroAddress" => DEPLOYMENT,
        _ => return None,
    })
}

fn governance(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "CoolingDown" => "the guardian can pause again from pausableFrom (Unix seconds)",
        "DurationOutOfRange" => "pause for more than zero and at most the maximum, in seconds",
        "NotPaused" => "nothing is paused",
        "StakeLeavesTooEarly" => "unbonding must outlast challenge, votes, grace, evidence and appeal together",
        "TimelockTooShort" => "the timelock must be longer than unbonding",
        "Zero" | "ZeroAddress" => DEPLOYMENT,
        _ => return None,
    })
}

fn clock(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "BeforeGenesis" => "epoch 0 has not begun",
        "InvalidEpochSeconds" => DEPLOYMENT,
        "OutOfRange" | "EpochTooLarge" | "Unordered" => {
            "a timestamp, epoch or index outside what the contracts can hold"
        }
        _ => return None,
    })
}

/// Errors of the libraries that users meet most.
fn libraries(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "ERC20InsufficientAllowance" => "approve the contract for at least `needed` first, or use the permit variant",
        "ERC20InsufficientBalance" => "the account holds less of the token than needed",
        "ERC2612ExpiredSignature" => "sign the permit again with a later deadline",
        "ERC2612InvalidSigner" => "the permit must be signed by the account that pays",
        "InvalidAccountNonce" => "sign again with the account's current nonce",
        "AccessManagedUnauthorized" | "AccessManagedRequiredDelay" | "AccessManagerUnauthorizedAccount" => {
            "this is for governance: schedule it through the timelock"
        }
        "TimelockUnexpectedOperationState" => "the operation is not scheduled, not ready yet, or done already",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::hint;
    use crate::generated::errors::NAMES;

    #[test]
    fn every_error_of_our_contracts_has_a_hint() {
        let silent: Vec<_> = NAMES.iter().filter(|name| name.contains('_') && hint(name).is_none()).collect();
        assert!(silent.is_empty(), "no hint for {silent:?}");
        assert!(NAMES.len() > 100);
    }

    #[test]
    fn an_unknown_name_has_none() {
        assert_eq!(hint("StakeVault_NoSuchError"), None);
        assert_eq!(hint("Nonsense"), None);
    }
}
