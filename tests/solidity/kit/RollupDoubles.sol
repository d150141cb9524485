// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Stands for `SequencerSet`: the three reads `BatchChain` makes, over sets the test writes itself.
contract FrozenSets {
    mapping(uint32 epoch => bytes32) public setHash;
    uint32 public lastFrozen;

    function freeze(uint32 epoch, bytes memory members) external {
        setHash[epoch] = keccak256(members);
        if (epoch > lastFrozen) lastFrozen = epoch;
    }

    function frozenEpochAt(uint32 epoch) external view returns (uint32) {
        while (epoch > 0 && setHash[epoch] == 0) --epoch;
        return epoch;
    }
}

/// @notice Stands for `Guardian`.
contract PauseSwitch {
    bool public isPaused;

    function set(bool paused) external {
        isPaused = paused;
    }
}

/// @notice Stands for `RewardVault` as `BatchChain` and `Portal` see it, in every mood.
contract PosterLedger {
    enum Mood {
        Books,
        Reverts,
        BurnsGas,
        ReturnsMegabyte
    }

    Mood public mood;
    mapping(address poster => uint256) public booked;
    uint64 public lastIndex;
    uint256 public gasSeen;

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    function rewardPoster(address poster, uint64 index) external {
        if (mood == Mood.Reverts) revert("no");
        if (mood == Mood.BurnsGas) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        if (mood == Mood.ReturnsMegabyte) {
            // As long an answer as the allowance pays for.
            assembly {
                return(0, 100000)
            }
        }
        gasSeen = gasleft();
        booked[poster] += 1;
        lastIndex = index;
    }
}
