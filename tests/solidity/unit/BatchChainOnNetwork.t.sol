// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @notice The age of a set over real freezes: `SequencerSet.freeze` tells `BatchChain` what it has to know.
contract BatchChainOnNetworkTest is NetworkKit {
    function setUp() public {
        _deployNetwork();
        _start(4);
    }

    function test_aFreezeAnchorsAndNotesTheEpoch() public {
        uint32 epoch = _epoch();
        _to(GENESIS + uint256(epoch + 1) * parameters.epochSeconds - parameters.epochSeconds / 2);
        uint64 frozenIn = uint64(block.number);
        _freeze(epoch + 1);
        assertEq(batchChain.anchorOf(frozenIn - 1), blockhash(frozenIn - 1));
        assertEq(batchChain.epochSeenAt(frozenIn), epoch);
        assertEq(batchChain.epochSeenAt(frozenIn - 1), epoch - 1);
    }

    function test_B4_aCertifiedBatchIsPostedTenEpochsLater() public {
        IBatchChain.Tally memory none;
        IBatchChain.BatchHeader memory header = _header(none);
        batchChain.anchor(header.l1OriginNumber);
        for (uint256 i = 0; i < 10; ++i) {
            _nextEpoch();
        }
        _post(header);
        assertEq(batchChain.headState().epoch, 2);
        // The chain goes on from there with the set that serves now, and pays the epoch that was late.
        IBatchChain.Tally memory late = _tally(2, "late", 32, 0);
        late.count = 4;
        _post(late);
        assertEq(batchChain.headState().epoch, 12);
    }

    function test_F9_aReplacedSetCannotUseAFreshOrigin() public {
        IBatchChain.Tally memory none;
        for (uint256 i = 0; i < 4; ++i) {
            _nextEpoch();
        }
        IBatchChain.BatchHeader memory header = _header(none);
        assertEq(header.epoch, 6);
        header.epoch = 2;
        // The last freeze was in epoch 5, so L1 knows the origin to lie in epoch 5 or later: set 2 is three behind.
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchChain_SetTooOld.selector, 2, 5, parameters.maxSetAge));
        this.postOutside(header);
        header.epoch = 3;
        _post(header);
    }

    function test_aSetServesOnWhenNobodyFreezes() public {
        IBatchChain.Tally memory none;
        _toEpoch(_epoch() + 20);
        batchChain.anchorLatest();
        _to(block.timestamp + 1);
        _post(_header(none));
        assertEq(batchChain.headState().epoch, 2);
    }

    /// @dev The whole post as one call, for `vm.expectRevert`.
    function postOutside(IBatchChain.BatchHeader calldata header) external {
        _post(header);
    }
}
