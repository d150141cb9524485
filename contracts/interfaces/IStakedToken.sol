// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC7575, IERC7575Share} from "./IERC7575.sol";

/// @title IStakedToken
/// @notice Liquid stake: native tokens delegated to many operators, one share token whose worth grows with their rewards.
/// An ERC-4626 vault that is its own ERC-20 share (2612, 5267, 7575); its `withdraw` and `redeem` pay at once from a
/// buffer, for a fee. Exits at full value go through the `IExitQueue`.
/// @dev The books, in token wei, floors unless noted; `balanceOf` never makes a price:
/// ```
/// held    = buffer + active (booked stake in pools) + thawing (booked stake on its way out)
/// total   = held - owed (sealed exits) - locked (the drip, rounded up) - fees (uncollected)
/// shares  = assets * (supply + 1) / (total + 1)      assets = shares * (total + 1) / (supply + 1)
/// ```
/// `active` and `thawing` are booked, not read: each is at most what the stake vault would pay (by dust), and every slash in
/// the vault's log is applied to them before any price is made, in views as in actions. One token of shares belongs to
/// nobody from the start.
///
/// Invariants, cited by number in the tests:
/// Q1 balance >= buffer. Q2 held = owed + locked + fees + total. Q3 in = out + held, to the wei, and held is at most what the
/// vault would pay. Q4 the queue's balance covers all finalised claims. Q5 the rate falls only by a slash, or by two wei of
/// rounding for each call into the stake vault. Q6 no action moves the rate by more than such dust. Q7 a transfer to the
/// contract changes no price. Q8 no shares without assets. Q9 no round trip pays. Q10 previews equal actions. Q11 maxima
/// are accepted and never revert. Q12 one batch, one price. Q13 finalised amounts are final. Q14 first sealed, first paid.
/// Q15 a claim is paid once. Q16 a slash costs all who are liable the same percentage and others nothing. Q17 slashes
/// commute. Q18 no price ignores a logged slash. Q19 delegating and instant exits never take what exits need. Q20 splitting
/// an instant exit does not pay.
///
/// While the network is paused, in the bunker after a large loss, or while a considerable part of the stake is accused
/// (`IFaultWatch`), deposits and instant exits are closed. Requests, seals, claims, and everything a keeper does stay open;
/// only finalisation waits: of exits that answer for the loss until the bunker ends, of all during an accusation as
/// long as a verdict takes.
interface IStakedToken is IERC7575, IERC7575Share {
    /// @notice What the constructor needs. The caller approved `SEED` native tokens to the contract's address before.
    /// @param name ERC-20 name, also of the permit domain.
    /// @param symbol ERC-20 symbol.
    /// @param token The native token, a plain 18-decimal ERC-20.
    /// @param stakeVault The `IStakeVault`.
    /// @param rewardVault The `IRewardVault`.
    /// @param allocator The `IAllocator` of this token.
    /// @param coverFund The `ICoverFund` of this token.
    /// @param exitQueue The `IExitQueue` of this token.
    /// @param faultWatch The `IFaultWatch` of this token.
    /// @param guardian Contract that answers `isPaused()`.
    /// @param authority OpenZeppelin `AccessManager` that governs `setFee`.
    /// @param feeRecipient Receives the fees.
    /// @param feeBps Fee on gains, at most `MAX_FEE_BPS`.
    /// @param bufferBps Buffer to aim at, part of all assets, at most 5,000.
    /// @param exitFloorBps Instant exit fee of a full buffer, at most 100.
    /// @param exitSpanBps What an empty buffer adds to it, at most 1,000.
    /// @param windowBps Part of all assets that may leave instantly in `windowSeconds`, 1 to 10,000.
    /// @param windowSeconds Time in which a used-up window is whole again, > 0.
    /// @param maxShareBps Largest part of all stake this token makes up (checked at deposits), 1 to 10,000; 10,000: no limit.
    /// @param bunkerLossBps Loss of one slash, part of what was liable, from which on the bunker closes, 1 to 10,000.
    /// @param bunkerEpochs How long it stays closed, 1 to 64.
    /// @param dripSeconds Shortest time over which gains vest, at least an epoch.
    /// @param maxDripSeconds Longest, used for gains of unknown age; at least `dripSeconds`.
    /// @param genesis Start of epoch 0, unix seconds.
    /// @param epochSeconds Length of an epoch, seconds.
    struct Config {
        string name;
        string symbol;
        address token;
        address stakeVault;
        address rewardVault;
        address allocator;
        address coverFund;
        address exitQueue;
        address faultWatch;
        address guardian;
        address authority;
        address feeRecipient;
        uint16 feeBps;
        uint16 bufferBps;
        uint16 exitFloorBps;
        uint16 exitSpanBps;
        uint16 windowBps;
        uint48 windowSeconds;
        uint16 maxShareBps;
        uint16 bunkerLossBps;
        uint32 bunkerEpochs;
        uint32 dripSeconds;
        uint32 maxDripSeconds;
        uint64 genesis;
        uint64 epochSeconds;
    }

    /// @notice The books as they are after every logged slash, token wei.
    /// @param buffer Tokens at hand.
    /// @param active Booked stake in pools.
    /// @param thawing Booked stake on its way out.
    /// @param owed To sealed exits.
    /// @param locked Gains that have not vested.
    /// @param fees Not collected.
    /// @param lossCarry Losses that gains make up for before they pay a fee.
    /// @param bufferTarget Buffer aimed at; fixed for an epoch.
    /// @param bunkerUntil End of the bunker, unix seconds; past: open.
    /// @param bunkerSigma Oldest set whose fault closed it.
    struct Position {
        uint256 buffer;
        uint256 active;
        uint256 thawing;
        uint256 owed;
        uint256 locked;
        uint256 fees;
        uint256 lossCarry;
        uint256 bufferTarget;
        uint256 bunkerUntil;
        uint32 bunkerSigma;
    }

    /// @notice What can be moved now, token wei.
    /// @param free What instant exits and delegations may use: the buffer beyond sealed exits and fees.
    /// @param delegatable What `delegate` would have at hand.
    /// @param lacking What `replenish` would take out; the margin for roundings not included, and by more than one call if it
    /// takes many operators. 0 while buffer and thawing stake cover exits, fees, and half of the buffer's aim.
    /// @param stakeable What should be staked, active and thawing for nobody's exit included: everything but what exits are
    /// owed, fees and the buffer aimed at.
    struct Liquidity {
        uint256 free;
        uint256 delegatable;
        uint256 lacking;
        uint256 stakeable;
    }

    /// @notice Slashes up to number `seq` were applied: `loss` token wei of this token's stake. Sealed exits bore `exits`,
    /// the cover fund paid `covered`, the drip lost `dripped`, the fees `fees`; the rate bore what is left.
    event LossApplied(
        uint256 indexed seq, uint256 loss, uint256 exits, uint256 covered, uint256 dripped, uint256 fees, uint256 rate
    );

    /// @notice A loss closed deposits and instant exits until `until`, unix seconds.
    event BunkerEntered(uint256 until, uint32 sigma);

    /// @notice `gain` token wei arrived: `fee` for the protocol, the rest vests until `dripEnd`, unix seconds.
    event GainBooked(uint256 gain, uint256 fee, uint256 dripEnd);

    /// @notice `fee` token wei of an instant exit of `owner` went to the drip.
    event InstantExit(address indexed owner, uint256 net, uint256 fee);

    /// @notice `amount` token wei were staked with operator `id`.
    event StakeDelegated(uint32 indexed id, uint256 amount);

    /// @notice `amount` token wei of operator `id` thaw in cohort `cohortEpoch`.
    event StakeUndelegated(uint32 indexed id, uint32 indexed cohortEpoch, uint256 amount);

    /// @notice `amount` token wei of a cohort are back in the buffer.
    event TicketCollected(uint32 indexed id, uint32 indexed cohortEpoch, uint256 amount);

    /// @notice Exit `index` was sealed: `shares` burned for `assets` token wei.
    event ExitSealed(uint256 indexed index, uint32 epoch, uint256 shares, uint256 assets);

    /// @notice Exit `index` was paid to the queue: `assets` token wei, final.
    event ExitReleased(uint256 indexed index, uint256 assets);

    /// @notice Fee and recipient changed.
    event FeeChanged(uint16 feeBps, address recipient);

    /// @notice Fees were paid out.
    event FeesCollected(address indexed recipient, uint256 amount);

    /// @notice A constructor address is zero.
    error StakedToken_ZeroAddress();

    /// @notice Parameter number `parameter` of the constructor's figures (`feeBps` is 0) is out of its range.
    error StakedToken_OutOfRange(uint256 parameter, uint256 value);

    /// @notice The network is paused: no deposits and instant exits now. Requests to exit are open.
    error StakedToken_Paused();

    /// @notice A large loss closed deposits and instant exits until `until`, unix seconds. Requests to exit are open.
    error StakedToken_Bunker(uint256 until);

    /// @notice Operators with a considerable part of the stake are accused: deposits and instant exits are closed until the
    /// charges are answered or judged. Requests to exit are open.
    error StakedToken_Accused();

    /// @notice The deposit is above `maximum`, token wei (`maxDeposit`).
    error StakedToken_DepositTooLarge(uint256 assets, uint256 maximum);

    /// @notice The deposit is worth less than one wei of a share.
    error StakedToken_ZeroShares(uint256 assets);

    /// @notice Less arrived than was asked: tokens that take a fee are refused.
    error StakedToken_TokenTookFee(uint256 balance, uint256 expected);

    /// @notice The buffer has only `available` token wei beyond what sealed exits and fees need: use the exit queue.
    error StakedToken_BufferTooLow(uint256 asked, uint256 available);

    /// @notice Only `available` token wei may still leave instantly in this window.
    error StakedToken_WindowUsedUp(uint256 asked, uint256 available);

    /// @notice The caller is not the exit queue.
    error StakedToken_NotExitQueue(address caller);

    /// @notice An exit was sealed in this epoch already.
    error StakedToken_SealedThisEpoch(uint32 epoch);

    /// @notice No sealed exit waits.
    error StakedToken_NothingSealed();

    /// @notice The oldest sealed exit is held until `until`, unix seconds.
    error StakedToken_ExitHeld(uint256 until);

    /// @notice `available` token wei beyond the buffer's aim and what exits need are too little to delegate, or no operator
    /// has room.
    error StakedToken_NothingToDelegate(uint256 available);

    /// @notice The operator holds no more than it should.
    error StakedToken_NothingToRebalance(uint32 id);

    /// @notice Buffer and thawing stake cover what exits are owed, fees, and half of the buffer's aim.
    error StakedToken_NothingLacking();

    /// @notice The balance is what the books say.
    error StakedToken_NothingToSkim();

    /// @notice No fee can be paid now.
    error StakedToken_NothingToCollect();

    /// @notice The fee is above `MAX_FEE_BPS`.
    error StakedToken_FeeTooHigh(uint256 feeBps, uint256 maximum);

    /// @notice An amount does not fit the books (2^128; the drip and the buffer's aim 2^112).
    error StakedToken_BooksTooLarge();

    /// @notice Claims the rewards of the named operators and lets them drip. Anyone may call.
    /// @dev Emits `GainBooked`. The drip takes at least as long as the epochs that are credited at once, also if they are
    /// claimed in several calls. First the losses carried are made up for, free of fee.
    /// @param ids Operators; any, also those that hold no stake any more.
    /// @param maxSegments As in `IRewardVault.claim`, > 0.
    /// @return gain Token wei.
    function harvest(uint32[] calldata ids, uint256 maxSegments) external returns (uint256 gain);

    /// @notice Books what arrived outside of `harvest` (donations, dust of collected tickets) as a gain that vests over the
    /// longest time. Anyone may call. Rewards do not come this way: the reward vault lets nobody else claim them.
    /// @dev Emits `GainBooked`. Reverts: `NothingToSkim`.
    function skim() external returns (uint256 gain);

    /// @notice Stakes what the buffer has beyond its aim, with the operator the allocator names. Anyone may call.
    /// @dev Emits `StakeDelegated`. Never takes what sealed exits or fees need (Q19). Reverts with `NothingToDelegate` below
    /// `MIN_DELEGATION`, and with the stake vault's reasons.
    function delegate() external returns (uint32 id, uint256 amount);

    /// @notice Takes the stake of an operator that is above its target out, when the allocator says so. Anyone may call.
    /// @dev Emits `StakeUndelegated`. Reverts: `NothingToRebalance`.
    function rebalance(uint32 id) external returns (uint256 amount);

    /// @notice Takes out stake so that buffer and thawing stake cover what exits are owed, fees, and the aim of the buffer. Anyone
    /// may call. Needed when a slash left them short, when instant exits emptied the buffer below half of its aim, and when an
    /// exit needs stake of more than 16 operators, which is what one call touches.
    /// @dev Emits `StakeUndelegated`. Reverts: `NothingLacking`.
    function replenish() external returns (uint256 amount);

    /// @notice Brings thawed stake of one cohort back to the buffer. Anyone may call.
    /// @dev Emits `TicketCollected`. Reverts with the stake vault's reasons.
    function collect(uint32 id, uint32 cohortEpoch) external returns (uint256 amount);

    /// @notice Applies logged slashes, at most `maxSlashes` of them. Every priced action does it by itself for all; alone it
    /// is needed only if very many are due. Anyone may call.
    /// @dev Emits `LossApplied` and `BunkerEntered` if anything was lost.
    function sync(uint256 maxSlashes) external;

    /// @notice Pays the fees that the buffer can spare to the recipient. Anyone may call.
    /// @dev Emits `FeesCollected`. Reverts: `NothingToCollect`.
    function collectFees() external returns (uint256 amount);

    /// @notice Sets the recipient of fees, also of those not collected yet, and the fee on what is booked as a gain from now on:
    /// also on rewards that were earned before and nobody harvested. Anyone can harvest before a change takes effect; the
    /// authority's delay is the time for it.
    /// @dev Emits `FeeChanged`. Restricted by the authority. Reverts in this order: `AccessManagedUnauthorized`,
    /// `FeeTooHigh`, `ZeroAddress`.
    function setFee(uint16 feeBps, address recipient) external;

    /// @notice Moves `shares` of `owner` to the exit queue; spends the allowance of `spender` unless that is the owner.
    /// @dev Only the exit queue. Reverts: `NotExitQueue`, and the ERC-20 reasons.
    function escrowShares(address owner, address spender, uint256 shares) external;

    /// @notice Burns `shares` of the exit queue, fixes what they are worth as an exit, and undelegates as `replenish` does.
    /// @dev Emits `ExitSealed`, `StakeUndelegated`. Only the exit queue. Reverts in this order: `NotExitQueue`,
    /// `SealedThisEpoch`.
    /// @return index Number of the exit, from 1.
    /// @return assets Token wei owed.
    function sealExit(uint256 shares) external returns (uint256 index, uint256 assets);

    /// @notice Pays the oldest sealed exit to the exit queue.
    /// @dev Emits `ExitReleased`. Only the exit queue. Reverts in this order: `NotExitQueue`, `NothingSealed`, `ExitHeld`,
    /// `BufferTooLow`.
    function releaseExit() external returns (uint256 index, uint256 assets);

    /// @notice The books now.
    function position() external view returns (Position memory);

    /// @notice Booked stake with an operator now, token wei.
    function activeOf(uint32 id) external view returns (uint256);

    /// @notice Booked stake with each of the operators now, token wei.
    /// @param liable Stake on its way out that a slash would take from is added.
    function stakesOf(uint32[] calldata ids, bool liable) external view returns (uint256[] memory stakes);

    /// @notice Booked stake of one cohort now, token wei.
    function ticketOf(uint32 id, uint32 cohortEpoch) external view returns (uint256);

    /// @notice No stake of the operator waits in a cohort before `firstTicket` or after `lastTicket`.
    function operatorOf(uint32 id) external view returns (uint32 firstTicket, uint32 lastTicket);

    /// @notice Number of the last slash that is written to the books; views apply the later ones all the same.
    function syncedSlashes() external view returns (uint256);

    /// @notice What can be moved now.
    function liquidity() external view returns (Liquidity memory);

    /// @notice Sealed exits that wait: numbers `head` to `tail - 1`.
    function exitRange() external view returns (uint256 head, uint256 tail);

    /// @notice A sealed exit: what it is owed now (0 once paid), its epoch and from when it may be paid, unix seconds.
    /// @dev `payableFrom` leaves out whether the buffer has it.
    function exitOf(uint256 index) external view returns (uint256 assets, uint32 epoch, uint256 payableFrom);

    /// @notice The fee of an instant exit that pays out `net` token wei, token wei.
    function instantFee(uint256 net) external view returns (uint256);

    /// @notice Fee on gains and who receives it.
    function feeInfo() external view returns (uint16 feeBps, address recipient);

    /// @notice True for ERC-165, ERC-7575 and its share.
    function supportsInterface(bytes4 interfaceId) external pure returns (bool);

    /// @notice The exit queue.
    function exitQueue() external view returns (address);

    /// @notice Highest fee on gains, basis points.
    function MAX_FEE_BPS() external view returns (uint16);

    /// @notice Native tokens (wei) deposited at construction, for shares that nobody owns.
    function SEED() external view returns (uint256);

    /// @notice Least that is delegated at once, token wei, so that dust cannot make others pay for moves.
    function MIN_DELEGATION() external view returns (uint256);
}
