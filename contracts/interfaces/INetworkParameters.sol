// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Network parameters
/// @notice The constants of a network (protocol section 11) in one place on L1, where a node can check the ones it was
/// configured with. A network whose stake could leave before what it backed can be judged cannot be created.
interface INetworkParameters {
    /// @notice One network.
    /// @param epochSeconds Length of an epoch, seconds.
    /// @param unbondingEpochs Whole epochs between the end of stake's service and its claim.
    /// @param maxSetAge Epochs a set may be behind when it certifies a batch.
    /// @param maxSeats Number of seats.
    /// @param slotsPerWindow Slots of a leader window (S).
    /// @param minSelfBond Least stake of an operator's owner in its own pool, token wei.
    /// @param maxPool Largest pool, token wei.
    /// @param maxCommissionBps Highest commission, basis points.
    /// @param blockTimeMs L2 block time, milliseconds.
    /// @param batchBlocks Blocks after which a batch is sealed.
    /// @param batchSeconds Seconds after which a batch is sealed.
    /// @param challengeWindow Seconds between posting a batch and its finality.
    /// @param voteWindow Seconds members have to judge a flagged batch.
    /// @param gracePeriod Seconds left to a batch that was ever flagged.
    /// @param evidenceAge Seconds after the end of a set's service in which its faults can be proven.
    /// @param appealWindow Seconds before a penalty without cryptographic proof is executed.
    /// @param amnesiaWindow Seconds an operator accused of amnesia has for its answer.
    /// @param correlationEpochs Epochs before and after a fault whose convictions raise its penalty.
    /// @param minSlots Least slots of an epoch for a judgement about absence.
    /// @param l1Confirmations L1 blocks on top of an L1 origin.
    /// @param maxOriginLag Seconds an L1 origin may be behind its L2 block.
    /// @param rewardPerBlock Emission per L2 block at the start, token wei.
    /// @param postingReward Reward of a posted batch at the start, token wei.
    /// @param timelockDelay Seconds between the proposal and the execution of a governance call.
    struct Parameters {
        uint64 epochSeconds;
        uint32 unbondingEpochs;
        uint32 maxSetAge;
        uint8 maxSeats;
        uint32 slotsPerWindow;
        uint256 minSelfBond;
        uint256 maxPool;
        uint16 maxCommissionBps;
        uint32 blockTimeMs;
        uint32 batchBlocks;
        uint32 batchSeconds;
        uint64 challengeWindow;
        uint64 voteWindow;
        uint64 gracePeriod;
        uint64 evidenceAge;
        uint64 appealWindow;
        uint64 amnesiaWindow;
        uint32 correlationEpochs;
        uint32 minSlots;
        uint32 l1Confirmations;
        uint64 maxOriginLag;
        uint96 rewardPerBlock;
        uint96 postingReward;
        uint64 timelockDelay;
    }

    /// @notice Judging what stake backed may take `judgement` seconds, which must be less than the `unbonding` seconds
    /// after which it leaves.
    error NetworkParameters_StakeLeavesTooEarly(uint256 judgement, uint256 unbonding);

    /// @notice Governance could change the rules within the `unbonding` seconds in which nobody can leave.
    error NetworkParameters_TimelockTooShort(uint256 delay, uint256 unbonding);

    /// @notice The parameter `name` must not be zero.
    error NetworkParameters_Zero(string name);

    /// @notice All parameters.
    function parameters() external view returns (Parameters memory);

    /// @notice The longest time from a fault to its judgement: `maxSetAge·epochSeconds + challengeWindow + 2·voteWindow +
    /// gracePeriod + evidenceAge + max(appealWindow, amnesiaWindow)`, seconds: an offline case can be appealed, an
    /// accusation of amnesia answered.
    function judgementSeconds() external view returns (uint256);

    /// @notice The shortest time stake stays after its service ended: `unbondingEpochs·epochSeconds`, seconds.
    function unbondingSeconds() external view returns (uint256);
}
