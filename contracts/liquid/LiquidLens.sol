// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

import {IAllocator} from "../interfaces/IAllocator.sol";
import {IEpochClock} from "../interfaces/IEpochClock.sol";
import {IExitQueue} from "../interfaces/IExitQueue.sol";
import {ILiquidLens} from "../interfaces/ILiquidLens.sol";
import {IRewardVault} from "../interfaces/IRewardVault.sol";
import {IStakedToken} from "../interfaces/IStakedToken.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";

/// @title LiquidLens
/// @dev Specified by `ILiquidLens`.
contract LiquidLens is ILiquidLens {
    IStakedToken private immutable STAKED_TOKEN;
    IExitQueue private immutable EXIT_QUEUE;
    IAllocator private immutable ALLOCATOR;
    IStakeVault private immutable VAULT;
    IRewardVault private immutable REWARD_VAULT;
    address private immutable TOKEN;

    constructor(address stakedToken, address allocator, address stakeVault, address rewardVault) {
        if (
            stakedToken == address(0) || allocator == address(0) || stakeVault == address(0)
                || rewardVault == address(0)
        ) revert LiquidLens_ZeroAddress();
        STAKED_TOKEN = IStakedToken(stakedToken);
        EXIT_QUEUE = IExitQueue(STAKED_TOKEN.exitQueue());
        ALLOCATOR = IAllocator(allocator);
        VAULT = IStakeVault(stakeVault);
        REWARD_VAULT = IRewardVault(rewardVault);
        TOKEN = STAKED_TOKEN.asset();
    }

    /// @inheritdoc ILiquidLens
    function accountOf(address account) external view returns (Account memory a) {
        a.shares = IERC20(address(STAKED_TOKEN)).balanceOf(account);
        a.assets = STAKED_TOKEN.convertToAssets(a.shares);
        a.instantNet = STAKED_TOKEN.previewRedeem(a.shares);
        a.claimableShares = EXIT_QUEUE.maxRedeem(account);
        a.claimableAssets = EXIT_QUEUE.maxWithdraw(account);
        uint256[] memory ids = EXIT_QUEUE.requestsOf(account, type(uint256).max);
        for (uint256 i = 0; i < ids.length; ++i) {
            a.pendingShares += EXIT_QUEUE.pendingRedeemRequest(ids[i], account);
        }
    }

    /// @inheritdoc ILiquidLens
    function requestsOf(address controller, uint256 limit) external view returns (Request[] memory requests) {
        uint256[] memory ids = EXIT_QUEUE.requestsOf(controller, limit);
        requests = new Request[](ids.length);
        uint256 next = EXIT_QUEUE.nextToFinalise();
        for (uint256 i = 0; i < ids.length; ++i) {
            (Request memory r, uint256 id) = (requests[i], ids[i]);
            IExitQueue.Batch memory batch = EXIT_QUEUE.batchOf(id);
            r.requestId = id;
            r.shares =
                EXIT_QUEUE.pendingRedeemRequest(id, controller) + EXIT_QUEUE.claimableRedeemRequest(id, controller);
            r.state = uint8(batch.state);
            r.assets = batch.state == IExitQueue.BatchState.Open
                ? STAKED_TOKEN.convertToAssets(r.shares)
                : FixedPointMathLib.fullMulDiv(batch.assets, r.shares, batch.shares);
            r.ahead = FixedPointMathLib.zeroFloorSub(id, next);
            if (batch.state != IExitQueue.BatchState.Finalised) r.expectedAt = _expectedAt(id, next, batch);
        }
    }

    /// @inheritdoc ILiquidLens
    function due() external view returns (Due memory d) {
        d.sync = STAKED_TOKEN.syncedSlashes() != VAULT.slashSeq();
        d.seal = EXIT_QUEUE.batchOf(EXIT_QUEUE.openBatch()).shares != 0 && block.timestamp >= EXIT_QUEUE.sealableFrom();
        IStakedToken.Position memory p = STAKED_TOKEN.position();
        (uint256 head, uint256 tail) = STAKED_TOKEN.exitRange();
        if (head != tail) {
            (uint256 owed,, uint256 from) = STAKED_TOKEN.exitOf(head);
            d.finalize = block.timestamp >= from && owed <= p.buffer;
        }
        IStakedToken.Liquidity memory l = STAKED_TOKEN.liquidity();
        d.delegatable = l.delegatable;
        (, uint256 room) = ALLOCATOR.nextDelegation(d.delegatable);
        d.delegate = room >= STAKED_TOKEN.MIN_DELEGATION();
        d.lacking = l.lacking;
        d.replenish = d.lacking != 0 && p.active != 0;
        // Cover of slashes that are not stored yet has not arrived.
        d.skimmable = FixedPointMathLib.zeroFloorSub(IERC20(TOKEN).balanceOf(address(STAKED_TOKEN)), p.buffer);
        d.skim = d.skimmable != 0;
    }

    /// @inheritdoc ILiquidLens
    function operators() external view returns (OperatorStake[] memory list) {
        IAllocator.Stand[] memory stands = ALLOCATOR.stands();
        list = new OperatorStake[](stands.length);
        for (uint256 i = 0; i < stands.length; ++i) {
            IAllocator.Stand memory s = stands[i];
            uint256 rewards = REWARD_VAULT.claimable(s.id, address(STAKED_TOKEN));
            list[i] = OperatorStake(s.id, s.weight, s.target, s.active, s.excess, rewards);
        }
    }

    /// @inheritdoc ILiquidLens
    function tickets(uint32[] calldata ids) external view returns (Ticket[] memory list) {
        uint256 most;
        for (uint256 i = 0; i < ids.length; ++i) {
            (uint32 first, uint32 last) = STAKED_TOKEN.operatorOf(ids[i]);
            most += last - first + 1;
        }
        list = new Ticket[](most);
        uint256 count;
        for (uint256 i = 0; i < ids.length; ++i) {
            (uint32 first, uint32 last) = STAKED_TOKEN.operatorOf(ids[i]);
            for (uint32 c = first; c <= last; ++c) {
                if (VAULT.thawSharesOf(ids[i], c, address(STAKED_TOKEN)) == 0) continue;
                list[count++] = Ticket(ids[i], c, STAKED_TOKEN.ticketOf(ids[i], c), VAULT.claimableFrom(c));
            }
        }
        assembly ("memory-safe") {
            mstore(list, count)
        }
    }

    /// @dev From the buffer if that covers it and all before it, else when what it undelegated is back.
    function _expectedAt(uint256 id, uint256 next, IExitQueue.Batch memory batch) private view returns (uint256) {
        uint256 owed;
        for (uint256 i = next; i <= id && i < EXIT_QUEUE.openBatch(); ++i) {
            (uint256 part,,) = STAKED_TOKEN.exitOf(i);
            owed += part;
        }
        IEpochClock clock = IEpochClock(address(VAULT));
        uint256 seal = FixedPointMathLib.max(block.timestamp, EXIT_QUEUE.sealableFrom());
        (, uint32 epoch, uint256 from) = STAKED_TOKEN.exitOf(id);
        if (batch.state == IExitQueue.BatchState.Open) {
            owed += STAKED_TOKEN.convertToAssets(batch.shares);
            (epoch, from) = (clock.epochAt(seal), seal + clock.EPOCH_SECONDS());
        }
        if (owed <= STAKED_TOKEN.position().buffer) return from;
        return FixedPointMathLib.max(from, VAULT.claimableFrom(epoch));
    }
}
