// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {PosterLedger} from "../kit/RollupDoubles.sol";
import {BatchChainKit} from "../kit/BatchChainKit.sol";

contract BatchChainTest is BatchChainKit {
    // ------------------------------------------------------------------------------------------------------- honest

    function test_postAcceptsACertifiedBatch() public {
        Bundle memory bundle = _next(40, 2);
        bytes32 hash = keccak256(abi.encode(bundle.header));

        vm.expectEmit(address(chain));
        emit IBatchChain.BatchPosted(hash, 1, 40, POSTER);
        vm.prank(POSTER);
        _post(bundle);

        assertEq(chain.head(), hash);
        assertEq(chain.headIndex(), 1);
        assertEq(chain.batchAt(1), hash);
        assertEq(chain.hashOf(bundle.header), hash);
        IBatchChain.Batch memory batch = chain.batchOf(hash);
        assertEq(uint8(batch.state), uint8(IBatchChain.BatchState.Posted));
        assertEq(batch.index, 1);
        assertEq(batch.parent, L2_GENESIS);
        assertEq(batch.finalAt, block.timestamp + CHALLENGE_WINDOW);
        assertEq(batch.poster, POSTER);
        assertFalse(batch.carriesTally);
        IBatchChain.Head memory head = chain.headState();
        assertEq(head.hash, hash);
        assertEq(head.index, 1);
        assertEq(head.lastBlock, 40);
        assertEq(head.epoch, 2);
        assertEq(head.tallyEpoch, 0);
        assertEq(head.l1OriginNumber, bundle.header.l1OriginNumber);
        assertEq(head.fork, 0);
        assertEq(head.attempt, 0);
    }

    function test_viewsBeforeTheFirstBatch() public view {
        assertEq(chain.head(), L2_GENESIS);
        assertEq(chain.finalHead(), L2_GENESIS);
        assertEq(chain.headIndex(), 0);
        assertEq(chain.finalIndex(), 0);
        assertEq(chain.finalizable(), bytes32(0));
        assertEq(chain.tallyCount(), 0);
        assertEq(chain.L2_CHAIN_ID(), L2_CHAIN_ID);
        assertEq(chain.L2_GENESIS_HASH(), L2_GENESIS);
        assertEq(chain.CHALLENGE_WINDOW(), CHALLENGE_WINDOW);
        assertEq(chain.MAX_SET_AGE(), MAX_SET_AGE);
        assertEq(chain.domainSeparator(), _domain(address(chain)));
        assertEq(uint8(chain.stateOf(keccak256("nothing"))), uint8(IBatchChain.BatchState.None));
        IBatchChain.Batch memory none = chain.batchOf(keccak256("nothing"));
        assertEq(none.index, 0);
        assertEq(none.parent, bytes32(0));
    }

    function test_aSecondBatchContinuesTheFirst() public {
        _post(_next(40, 2));
        bytes32 first = chain.head();
        _mine(3);
        _post(_next(1, 2));
        assertEq(chain.headIndex(), 2);
        assertEq(chain.headState().lastBlock, 41);
        assertEq(chain.batchOf(chain.head()).parent, first);
    }

    // ----------------------------------------------------------------------------------------------------- finalize

    function test_finalizeAfterTheWindow() public {
        _postAsPoster();
        bytes32 hash = chain.head();
        assertEq(chain.finalizable(), bytes32(0));
        skip(CHALLENGE_WINDOW);
        assertEq(chain.finalizable(), hash);

        vm.expectEmit(address(chain));
        emit IBatchChain.BatchFinalized(hash, 1);
        chain.finalize(hash);
        assertTrue(chain.isFinal(hash));
        assertEq(uint8(chain.stateOf(hash)), uint8(IBatchChain.BatchState.Final));
        assertEq(chain.finalHead(), hash);
        assertEq(chain.finalIndex(), 1);
        assertEq(chain.finalizable(), bytes32(0));
        assertEq(vault.booked(POSTER), 1);
        assertEq(vault.lastIndex(), 1);
    }

    function test_refusesToFinalizeEarly() public {
        _post(_next(40, 2));
        bytes32 hash = chain.head();
        uint256 due = block.timestamp + CHALLENGE_WINDOW;
        vm.warp(due - 1);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchChain_NotDue.selector, hash, due));
        chain.finalize(hash);
    }

    function test_refusesToFinalizeTwice() public {
        bytes32 hash = _postAndFinalize();
        vm.expectRevert(
            abi.encodeWithSelector(IBatchChain.BatchChain_NotPosted.selector, hash, IBatchChain.BatchState.Final)
        );
        chain.finalize(hash);
    }

    function test_refusesToFinalizeAnUnknownBatch() public {
        bytes32 hash = keccak256("unknown");
        vm.expectRevert(
            abi.encodeWithSelector(IBatchChain.BatchChain_NotPosted.selector, hash, IBatchChain.BatchState.None)
        );
        chain.finalize(hash);
    }

    function test_B1_refusesToFinalizeBeforeTheParent() public {
        _post(_next(40, 2));
        _post(_next(40, 2));
        bytes32 second = chain.head();
        skip(CHALLENGE_WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchChain_ParentNotFinal.selector, second, 2, 0));
        chain.finalize(second);
    }

    function test_finalizeIsNotStoppedByAPause() public {
        _post(_next(40, 2));
        skip(CHALLENGE_WINDOW);
        guardian.set(true);
        chain.finalize(chain.head());
        assertEq(chain.finalIndex(), 1);
    }

    function test_finalizeListsTallies() public {
        _post(_next(40, 2));
        _postTally(2, 3);
        bytes32 withTally = chain.head();
        assertTrue(chain.batchOf(withTally).carriesTally);
        skip(CHALLENGE_WINDOW);
        chain.finalize(chain.batchAt(1));
        assertEq(chain.tallyCount(), 0);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchChain_UnknownTally.selector, 0, 0));
        chain.tallyAt(0);
        chain.finalize(withTally);
        assertEq(chain.tallyCount(), 1);
        assertEq(chain.tallyAt(0), withTally);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchChain_UnknownTally.selector, 1, 1));
        chain.tallyAt(1);
    }

    function test_theRewardVaultCannotStopFinality() public {
        for (uint8 mood = 1; mood <= 3; ++mood) {
            _postAsPoster();
            bytes32 hash = chain.head();
            skip(CHALLENGE_WINDOW);
            vault.setMood(PosterLedger.Mood(mood));
            if (PosterLedger.Mood(mood) != PosterLedger.Mood.ReturnsMegabyte) {
                vm.expectEmit(address(chain));
                emit IBatchChain.PostingRewardFailed(hash, POSTER);
            }
            uint256 gasBefore = gasleft();
            chain.finalize(hash);
            assertLt(gasBefore - gasleft(), 300_000);
            assertTrue(chain.isFinal(hash));
        }
    }

    function test_finalizeRefusesToStarveTheRewardVault() public {
        _postAsPoster();
        bytes32 hash = chain.head();
        skip(CHALLENGE_WINDOW);
        // Whatever the caller sends: either nothing happens, or the poster is booked with the whole allowance.
        bool refused;
        bool done;
        for (uint256 limit = 100_000; !done; limit += 1000) {
            (bool ok, bytes memory answer) =
                address(chain).call{gas: limit}(abi.encodeCall(IBatchChain.finalize, (hash)));
            if (ok) {
                done = true;
            } else {
                assertFalse(chain.isFinal(hash));
                if (answer.length == 68) {
                    assertEq(bytes4(answer), IBatchChain.BatchChain_InsufficientGas.selector);
                    assertLt(uint256(_slice(answer, 4)), uint256(_slice(answer, 36)));
                    assertEq(uint256(_slice(answer, 36)), uint256(150_000) * 64 / 63 + 10_000);
                    refused = true;
                }
            }
        }
        assertTrue(refused);
        assertEq(vault.booked(POSTER), 1);
        assertGt(vault.gasSeen(), 145_000);
    }

    // ------------------------------------------------------------------------------------------------------ anchors

    function test_anchorKeepsAHash() public {
        uint64 number = uint64(block.number - 1);
        vm.expectEmit(address(chain));
        emit IBatchChain.L1Anchored(number, _l1Hash(number));
        chain.anchor(number);
        vm.recordLogs();
        chain.anchor(number);
        assertEq(vm.getRecordedLogs().length, 0);
        vm.roll(block.number + 10_000);
        assertEq(chain.anchorOf(number), _l1Hash(number));
    }

    function test_anchorRefusesTheCurrentBlock() public {
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchChain_OriginUnknown.selector, block.number));
        chain.anchor(uint64(block.number));
    }

    function test_anchorReadsTheHistoryContract() public {
        _etchHistory();
        uint64 number = uint64(block.number - 1);
        vm.store(HISTORY, bytes32(uint256(number) % 8191), _l1Hash(number));
        vm.roll(number + 8191);
        chain.anchor(number);
        assertEq(chain.anchorOf(number), _l1Hash(number));
        vm.roll(number + 8193);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchChain_OriginUnknown.selector, number + 1));
        chain.anchor(number + 1);
    }

    function test_anchorLatestNotesTheEpoch() public {
        uint64 first = uint64(block.number);
        chain.anchorLatest();
        assertEq(chain.anchorOf(first - 1), _l1Hash(first - 1));
        assertEq(chain.epochSeenAt(first - 1), 0);
        assertEq(chain.epochSeenAt(first), 2);
        _mine(1);
        chain.anchorLatest();
        _toEpoch(3);
        uint64 third = uint64(block.number);
        chain.anchorLatest();
        vm.recordLogs();
        chain.anchorLatest();
        assertEq(vm.getRecordedLogs().length, 0);
        assertEq(chain.epochSeenAt(third - 1), 2);
        assertEq(chain.epochSeenAt(third), 3);
        assertEq(chain.epochSeenAt(type(uint64).max), 3);
    }

    function test_anchorAncestorWalksDownTheHeaders() public {
        // Three L1 blocks whose headers the test made: 100 ← 101 ← 102. Only 102 is anchored.
        bytes memory h100 = _l1Header(100, keccak256("99"));
        bytes memory h101 = _l1Header(101, keccak256(h100));
        bytes memory h102 = _l1Header(102, keccak256(h101));
        vm.roll(103);
        vm.setBlockhash(102, keccak256(h102));
        chain.anchor(102);
        vm.roll(1_000_000);
        bytes[] memory path = new bytes[](2);
        path[0] = h102;
        path[1] = h101;
        vm.expectEmit(address(chain));
        emit IBatchChain.L1Anchored(100, keccak256(h100));
        chain.anchorAncestor(102, path);
        assertEq(chain.anchorOf(100), keccak256(h100));
        assertEq(chain.anchorOf(101), bytes32(0));
        vm.recordLogs();
        chain.anchorAncestor(102, path);
        assertEq(vm.getRecordedLogs().length, 0);

        path[1] = h100;
        vm.expectRevert(
            abi.encodeWithSelector(IBatchChain.BatchChain_BrokenAncestry.selector, 1, keccak256(h100), keccak256(h101))
        );
        chain.anchorAncestor(102, path);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchChain_OriginUnknown.selector, 101));
        chain.anchorAncestor(101, path);
    }

    // -------------------------------------------------------------------------------------------------- constructor

    function test_constructorRefusesBadConfig() public {
        IBatchChain.Config memory config = _config();
        config.l2ChainId = 0;
        _expectBadConfig(config, "l2ChainId", 0);
        config = _config();
        config.l2GenesisHash = 0;
        _expectBadConfig(config, "l2GenesisHash", 0);
        config = _config();
        config.challengeWindow = 0;
        _expectBadConfig(config, "challengeWindow", 0);
        config.challengeWindow = 30 days + 1;
        _expectBadConfig(config, "challengeWindow", 30 days + 1);
        config = _config();
        config.maxSetAge = 0;
        _expectBadConfig(config, "maxSetAge", 0);
        config.maxSetAge = 101;
        _expectBadConfig(config, "maxSetAge", 101);
    }

    function test_constructorRefusesZeroAddresses() public {
        string[4] memory names = ["sequencerSet", "portal", "rewardVault", "guardian"];
        for (uint256 i = 0; i < 4; ++i) {
            address[4] memory parts = [address(sets), address(portal), address(vault), address(guardian)];
            parts[i] = address(0);
            bytes memory code = abi.encodePacked(
                vm.getCode("BatchChain.sol:BatchChain"), abi.encode(_config(), parts[0], parts[1], parts[2], parts[3])
            );
            _assertCreationRefused(code, abi.encodeWithSelector(IBatchChain.BatchChain_ZeroAddress.selector, names[i]));
        }
    }

    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;

    /// @dev Runtime code of the history contract as EIP-2935 gives it.
    function _etchHistory() internal {
        vm.etch(
            HISTORY,
            hex"3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
        );
    }

    function _l1Header(uint64 number, bytes32 parent) internal pure returns (bytes memory) {
        L2Block memory l1;
        l1.parentHash = parent;
        l1.number = number;
        return _rlp(l1);
    }

    function _postAsPoster() internal {
        Bundle memory bundle = _next(40, 2);
        vm.prank(POSTER);
        _post(bundle);
    }

    function _postAndFinalize() internal returns (bytes32 hash) {
        _post(_next(40, 2));
        hash = chain.head();
        skip(CHALLENGE_WINDOW);
        chain.finalize(hash);
    }

    function _expectBadConfig(IBatchChain.Config memory config, string memory name, uint256 value) internal {
        bytes memory code = abi.encodePacked(
            vm.getCode("BatchChain.sol:BatchChain"),
            abi.encode(config, address(sets), address(portal), address(vault), address(guardian))
        );
        _assertCreationRefused(code, abi.encodeWithSelector(IBatchChain.BatchChain_BadConfig.selector, name, value));
    }
}
