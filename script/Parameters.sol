// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {INetworkParameters} from "contracts/interfaces/INetworkParameters.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

/// @title Parameters of the three profiles (protocol section 11)
library Parameters {
    /// @notice Part of liquid staking's assets, basis points, from which on accusations of their operators close deposits and
    /// instant exits.
    uint16 internal constant FAULT_WATCH_BPS = 500;

    /// @notice There is no profile of that name; `mainnet`, `devnet` and `test` exist.
    error Parameters_UnknownProfile(string profile);

    /// @notice The constants of a profile.
    function ofProfile(string memory profile) internal pure returns (INetworkParameters.Parameters memory) {
        bytes32 name = keccak256(bytes(profile));
        if (name == keccak256("mainnet")) return mainnet();
        if (name == keccak256("devnet")) return devnet();
        if (name == keccak256("test")) return test();
        revert Parameters_UnknownProfile(profile);
    }

    /// @notice What an operator pays to come back from jail, token wei. The registry is where it can be read on L1.
    function unjailFee(string memory profile) internal pure returns (uint256) {
        return keccak256(bytes(profile)) == keccak256("mainnet") ? 10e18 : 1e18;
    }

    /// @notice Real networks. Judgement takes at most 22 of the 23 days of unbonding.
    function mainnet() internal pure returns (INetworkParameters.Parameters memory) {
        return INetworkParameters.Parameters({
            epochSeconds: 1 days,
            unbondingEpochs: 23,
            maxSetAge: 3,
            maxSeats: 64,
            slotsPerWindow: 1024,
            minSelfBond: 20_000e18,
            maxPool: 100_000e18,
            maxCommissionBps: 5000,
            blockTimeMs: 500,
            batchBlocks: 1200,
            batchSeconds: 600,
            challengeWindow: 7 days,
            voteWindow: 48 hours,
            gracePeriod: 48 hours,
            evidenceAge: 4 days,
            appealWindow: 2 days,
            amnesiaWindow: 2 days,
            correlationEpochs: 2, // 36 hours, rounded up
            minSlots: 20,
            l1Confirmations: 64, // two Ethereum epochs: finalized in ordinary operation
            maxOriginLag: 2 hours,
            rewardPerBlock: 0.01e18,
            postingReward: 1e18,
            timelockDelay: 24 days
        });
    }

    /// @notice One machine, for people: an epoch a minute.
    function devnet() internal pure returns (INetworkParameters.Parameters memory) {
        return INetworkParameters.Parameters({
            epochSeconds: 60,
            unbondingEpochs: 8,
            maxSetAge: 2,
            maxSeats: 16,
            slotsPerWindow: 64,
            minSelfBond: 100e18,
            maxPool: 100_000e18,
            maxCommissionBps: 5000,
            blockTimeMs: 500,
            batchBlocks: 40,
            batchSeconds: 20,
            challengeWindow: 60,
            voteWindow: 30,
            gracePeriod: 30,
            evidenceAge: 120,
            appealWindow: 30,
            amnesiaWindow: 30,
            correlationEpochs: 2,
            minSlots: 8,
            l1Confirmations: 1,
            maxOriginLag: 120,
            rewardPerBlock: 0.01e18,
            postingReward: 0.1e18,
            timelockDelay: 481
        });
    }

    /// @notice One machine, for tests: everything as short as it can be.
    function test() internal pure returns (INetworkParameters.Parameters memory) {
        return INetworkParameters.Parameters({
            epochSeconds: 20,
            unbondingEpochs: 8,
            maxSetAge: 2,
            maxSeats: 8,
            slotsPerWindow: 16,
            minSelfBond: 100e18,
            maxPool: 100_000e18,
            maxCommissionBps: 5000,
            blockTimeMs: 250,
            batchBlocks: 32,
            batchSeconds: 8,
            challengeWindow: 10,
            voteWindow: 6,
            gracePeriod: 4,
            evidenceAge: 40,
            appealWindow: 10,
            amnesiaWindow: 10,
            correlationEpochs: 2,
            minSlots: 4,
            l1Confirmations: 2,
            maxOriginLag: 60,
            rewardPerBlock: 0.01e18,
            postingReward: 0.1e18,
            timelockDelay: 161
        });
    }

    /// @notice The figures of the staked token, without addresses and names. `devnet` and `test` differ in what counts epochs,
    /// which are short there.
    function stakedToken(string memory profile, uint64 epochSeconds)
        internal
        pure
        returns (IStakedToken.Config memory config)
    {
        bool real = _isMainnet(profile);
        config.feeBps = 1000;
        config.bufferBps = 500;
        config.exitFloorBps = 5;
        config.exitSpanBps = 200;
        config.windowBps = 1000;
        config.maxShareBps = 3333;
        config.bunkerLossBps = 100;
        config.bunkerEpochs = 2;
        // forge-lint: disable-start(unsafe-typecast)
        config.windowSeconds = uint48(epochSeconds);
        config.dripSeconds = uint32(epochSeconds * (real ? 1 : 4));
        config.maxDripSeconds = uint32(epochSeconds * (real ? 14 : 20));
        // forge-lint: disable-end(unsafe-typecast)
        config.epochSeconds = epochSeconds;
    }

    /// @notice The figures of the allocator: most of what can be staked that one operator may hold, basis points (few operators
    /// on one machine have to share all of it), and the epochs from listing to the full target.
    function allocator(string memory profile) internal pure returns (uint16 capBps, uint32 rampEpochs) {
        return _isMainnet(profile) ? (1000, 10) : (5000, 1);
    }

    function _isMainnet(string memory profile) private pure returns (bool) {
        return keccak256(bytes(profile)) == keccak256("mainnet");
    }
}
