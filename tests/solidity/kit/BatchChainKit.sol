// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {RollupKit} from "../kit/RollupKit.sol";

/// @notice What the batch chain's tests share.
abstract contract BatchChainKit is RollupKit {
    address internal immutable POSTER = makeAddr("poster");

    function _slice(bytes memory data, uint256 offset) internal pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), offset))
        }
    }

    /// @dev Freezes `epoch` with a new set, moves into it, and posts a batch with the tally of `ended`.
    function _postTally(uint32 ended, uint32 epoch) internal {
        _freeze(epoch, _keys("next set", 4, 1e9));
        _toEpoch(epoch);
        IBatchChain.BatchHeader memory header = _header(1, epoch);
        header.tally =
            IBatchChain.Tally({epoch: ended, root: keccak256("entries"), count: 4, blocks: 40, fees: 1 ether});
        _post(_bundle(header));
    }
}
