// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {PosterLedger} from "../kit/RollupDoubles.sol";
import {RollupKit} from "../kit/RollupKit.sol";

contract BatchChainTest is RollupKit {
    address internal immutable POSTER = makeAddr("poster");

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

    // --------------------------------------------------------------------------------------------- place in the chain

    function test_refusesWhilePaused() public {
        Bundle memory bundle = _next(40, 2);
        guardian.set(true);
        _expectRefused(bundle, abi.encodeWithSelector(IBatchChain.BatchChain_Paused.selector));
        guardian.set(false);
        _post(bundle);
    }

    function test_refusesWrongParent() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.parent = keccak256("other");
        _expectRefused(
            _bundle(header),
            abi.encodeWithSelector(IBatchChain.BatchChain_WrongParent.selector, keccak256("other"), L2_GENESIS)
        );
    }

    function test_refusesTheSameBatchTwice() public {
        Bundle memory bundle = _next(40, 2);
        _post(bundle);
        _expectRefused(
            bundle, abi.encodeWithSelector(IBatchChain.BatchChain_WrongParent.selector, L2_GENESIS, chain.head())
        );
    }

    function test_refusesWrongIndex() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.index = 2;
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_WrongIndex.selector, 2, 1));
    }

    function test_refusesAnotherFork() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.fork = 1;
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_WrongFork.selector, 1, 0));
    }

    function test_refusesAnotherAttempt() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.attempt = 1;
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_WrongAttempt.selector, 1, 0));
    }

    function test_refusesAGapBeforeTheFirstBlock() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.firstBlock = 2;
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_WrongFirstBlock.selector, 2, 1));
    }

    function test_refusesAnEmptyRange() public {
        IBatchChain.BatchHeader memory header = _header(0, 2);
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_WrongLastBlock.selector, 0, 1));
    }

    function test_refusesBlockNumbersBeyondTheRecord() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.lastBlock = type(uint48).max;
        _expectRefused(
            _bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_WrongLastBlock.selector, type(uint48).max, 1)
        );
        header.lastBlock = type(uint48).max - 1;
        _post(_bundle(header));
    }

    function test_refusesForcedTransactions() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.forcedEnd = 1;
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_WrongForcedEnd.selector, 1, 0));
    }

    function test_refusesForeignData() public {
        Bundle memory bundle = _next(40, 2);
        bundle.data = hex"c0ffef";
        _expectRefused(
            bundle,
            abi.encodeWithSelector(
                IBatchChain.BatchChain_WrongData.selector, keccak256(hex"c0ffef"), keccak256(hex"c0ffee")
            )
        );
    }

    // -------------------------------------------------------------------------------------------------------- tally

    function test_refusesFiguresWithoutAnEpoch() public {
        bytes memory reason = abi.encodeWithSelector(IBatchChain.BatchChain_TallyNotEmpty.selector);
        for (uint256 field = 0; field < 4; ++field) {
            IBatchChain.BatchHeader memory header = _header(40, 2);
            if (field == 0) header.tally.root = keccak256("root");
            if (field == 1) header.tally.count = 1;
            if (field == 2) header.tally.blocks = 1;
            if (field == 3) header.tally.fees = 1;
            _expectRefused(_bundle(header), reason);
        }
    }

    function test_refusesTheTallyOfTheSealingEpoch() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.tally.epoch = 2;
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_WrongTally.selector, 2, 0, 2));
    }

    function test_refusesATallyTwice() public {
        _postTally(2, 3);
        _toEpoch(4);
        _freeze(4, _keys("four", 3, 5));
        IBatchChain.BatchHeader memory header = _header(1, 4);
        header.tally.epoch = 2;
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_WrongTally.selector, 2, 2, 4));
        header.tally.epoch = 3;
        _post(_bundle(header));
        assertEq(chain.headState().tallyEpoch, 3);
    }

    function test_tallyEpochStaysWhenABatchHasNone() public {
        _postTally(2, 3);
        _post(_next(1, 3));
        assertEq(chain.headState().tallyEpoch, 2);
    }

    /// @dev `_hash` copies the header's words as they are: each field narrower than a word must be clean.
    function test_refusesDirtyWords() public {
        _freeze(3, _keys("three", 4, 1e9));
        _toEpoch(3);
        IBatchChain.BatchHeader memory header = _header(40, 3);
        header.tally = IBatchChain.Tally({epoch: 2, root: keccak256("root"), count: 4, blocks: 40, fees: 1});
        uint256[13] memory narrow = [uint256(0), 2, 3, 4, 5, 6, 10, 11, 12, 14, 16, 17, 18];
        for (uint256 i = 0; i < narrow.length; ++i) {
            bytes memory words = abi.encode(header);
            words[32 * narrow[i]] = 0x01;
            // Certified as it is: only the dirty bit stands against it.
            L2Block memory sealing = _sealingBlock(header);
            sealing.extraData = abi.encodePacked(keccak256(words));
            Bundle memory bundle = _bundle(header, sealing);
            bytes memory call = abi.encodeCall(
                IBatchChain.post, (bundle.header, bundle.rlp, bundle.certificate, bundle.members, bundle.data)
            );
            call[4 + 32 * narrow[i]] = 0x01;
            (bool ok, bytes memory answer) = address(chain).call(call);
            assertFalse(ok);
            assertEq(answer.length, 0);
        }
        _post(_bundle(header));
    }

    // ------------------------------------------------------------------------------------------------------ set age

    function test_F9_refusesASetOlderThanTheHeads() public {
        _postTally(2, 3);
        _expectRefused(_next(1, 2), abi.encodeWithSelector(IBatchChain.BatchChain_SetGoesBack.selector, 2, 3));
    }

    function test_refusesASetThatHasNotStarted() public {
        _freeze(3, _keys("three", 4, 1e9));
        _expectRefused(_next(1, 3), abi.encodeWithSelector(IBatchChain.BatchChain_SetNotStarted.selector, 3, 2));
        _toEpoch(3);
        _post(_next(1, 3));
    }

    function test_F9_refusesASetOutdatedAtItsOwnOrigin() public {
        _freezeEpochs(3, 5);
        // The origin is in epoch 5, which L1 has seen begin: set 2 is three epochs behind.
        _mine(1);
        _expectRefused(
            _next(1, 2), abi.encodeWithSelector(IBatchChain.BatchChain_SetTooOld.selector, 2, 5, MAX_SET_AGE)
        );
        _post(_next(1, 3));
    }

    function test_B4_waitingNeverMakesABatchTooOld() public {
        Bundle memory bundle = _next(40, 2);
        chain.anchorLatest();
        _freezeEpochs(3, 40);
        // Forty epochs later, with forty newer sets: origin and set are as they were.
        _post(bundle);
        assertEq(chain.headState().epoch, 2);
    }

    function test_aSetServesOnWhileNobodyFreezes() public {
        _toEpoch(30);
        chain.anchorLatest();
        _mine(1);
        _post(_next(40, 2));
    }

    // ---------------------------------------------------------------------------------------------------- the seal

    function test_refusesASealingBlockThatIsNotNext() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        L2Block memory sealing = _sealingBlock(header);
        sealing.number = 42;
        _expectRefused(
            _bundle(header, sealing), abi.encodeWithSelector(IBatchChain.BatchChain_WrongSealingNumber.selector, 42, 41)
        );
    }

    function test_refusesASealingBlockOnAnotherParent() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        L2Block memory sealing = _sealingBlock(header);
        sealing.parentHash = keccak256("elsewhere");
        _expectRefused(
            _bundle(header, sealing),
            abi.encodeWithSelector(
                IBatchChain.BatchChain_WrongSealingParent.selector, keccak256("elsewhere"), header.lastBlockHash
            )
        );
    }

    function test_refusesABlockThatSealsAnotherHeader() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        L2Block memory sealing = _sealingBlock(header);
        header.stateRoot = keccak256("forged");
        _expectRefused(
            _bundle(header, sealing),
            abi.encodeWithSelector(
                IBatchChain.BatchChain_NotSealed.selector, bytes32(sealing.extraData), 32, keccak256(abi.encode(header))
            )
        );
    }

    function test_refusesABlockThatSealsNothing() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        L2Block memory sealing = _sealingBlock(header);
        sealing.extraData = "";
        _expectRefused(
            _bundle(header, sealing),
            abi.encodeWithSelector(
                IBatchChain.BatchChain_NotSealed.selector, bytes32(0), 0, keccak256(abi.encode(header))
            )
        );
    }

    /// @dev A hash that ends in a zero byte looks like its own first 31 bytes: only the length tells them apart.
    function test_refusesAPrefixOfTheSeal() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        for (uint256 salt = 0; uint8(uint256(keccak256(abi.encode(header)))) != 0; ++salt) {
            header.stateRoot = keccak256(abi.encode(salt));
        }
        bytes32 hash = keccak256(abi.encode(header));
        L2Block memory sealing = _sealingBlock(header);
        sealing.extraData = new bytes(31);
        for (uint256 i = 0; i < 31; ++i) {
            sealing.extraData[i] = hash[i];
        }
        _expectRefused(
            _bundle(header, sealing), abi.encodeWithSelector(IBatchChain.BatchChain_NotSealed.selector, hash, 31, hash)
        );
    }

    function test_refusesAMalformedSealingHeader() public {
        Bundle memory bundle = _next(40, 2);
        bundle.rlp = bytes.concat(bundle.rlp, hex"00");
        _expectRefused(
            bundle,
            abi.encodeWithSelector(IBatchChain.L2Header_WrongLength.selector, bundle.rlp.length, bundle.rlp.length - 1)
        );
    }

    // ------------------------------------------------------------------------------------------------------- origin

    function test_refusesAnOriginOlderThanTheHeads() public {
        _mine(5);
        _post(_next(40, 2));
        IBatchChain.BatchHeader memory header = _header(1, 2);
        header.l1OriginNumber -= 1;
        header.l1OriginHash = _l1Hash(header.l1OriginNumber);
        _expectRefused(
            _bundle(header),
            abi.encodeWithSelector(
                IBatchChain.BatchChain_OriginGoesBack.selector, header.l1OriginNumber, header.l1OriginNumber + 1
            )
        );
    }

    function test_refusesAnotherHashForTheOrigin() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.l1OriginHash = keccak256("other L1");
        _expectRefused(
            _bundle(header),
            abi.encodeWithSelector(
                IBatchChain.BatchChain_WrongOrigin.selector,
                header.l1OriginNumber,
                keccak256("other L1"),
                _l1Hash(header.l1OriginNumber)
            )
        );
    }

    function test_refusesAnOriginThatIsNotInThePast() public {
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.l1OriginNumber = uint64(block.number);
        _expectRefused(
            _bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_OriginUnknown.selector, uint64(block.number))
        );
    }

    function test_refusesAnOriginNobodyAnchoredInTime() public {
        Bundle memory bundle = _next(40, 2);
        vm.roll(block.number + 300);
        _expectRefused(
            bundle, abi.encodeWithSelector(IBatchChain.BatchChain_OriginUnknown.selector, bundle.header.l1OriginNumber)
        );
    }

    function test_B4_acceptsAnOldOriginThatWasAnchored() public {
        Bundle memory bundle = _next(40, 2);
        chain.anchor(bundle.header.l1OriginNumber);
        vm.roll(block.number + 1_000_000);
        vm.warp(block.timestamp + 365 days);
        _post(bundle);
    }

    function test_batchesMayShareAnOrigin() public {
        _post(_next(40, 2));
        _post(_next(40, 2));
        assertEq(chain.headIndex(), 2);
    }

    // ----------------------------------------------------------------------------------------------------- deposits

    function test_creditsDepositsUpToTheOrigin() public {
        _deposit(1 ether);
        _deposit(2 ether);
        _mine(1);
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.depositEnd = 2;
        _post(_bundle(header));
        assertEq(chain.headState().depositEnd, 2);
    }

    function test_refusesDepositsAfterTheOrigin() public {
        _deposit(1 ether);
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.depositEnd = 1;
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_DepositsAhead.selector, 1, 0));
    }

    function test_refusesDepositsThatNeverHappened() public {
        _deposit(1 ether);
        _mine(1);
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.depositEnd = 2;
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_DepositsAhead.selector, 2, 1));
    }

    function test_refusesToTakeDepositsBack() public {
        _deposit(1 ether);
        _mine(1);
        IBatchChain.BatchHeader memory header = _header(40, 2);
        header.depositEnd = 1;
        _post(_bundle(header));
        header = _header(40, 2);
        header.depositEnd = 0;
        _expectRefused(_bundle(header), abi.encodeWithSelector(IBatchChain.BatchChain_DepositsGoBack.selector, 0, 1));
    }

    // -------------------------------------------------------------------------------------------------- certificate

    function test_refusesACertificateOfAnotherHeight() public {
        Bundle memory bundle = _next(40, 2);
        bundle.certificate.height = 40;
        _sign(bundle.certificate, keysOf[2], 15);
        _expectRefused(bundle, abi.encodeWithSelector(IBatchChain.BatchChain_WrongCertificateHeight.selector, 40, 41));
    }

    function test_refusesACertificateOfAnotherBlock() public {
        Bundle memory bundle = _next(40, 2);
        bundle.certificate.blockHash = keccak256("other");
        _sign(bundle.certificate, keysOf[2], 15);
        _expectRefused(
            bundle,
            abi.encodeWithSelector(
                IBatchChain.BatchChain_WrongCertificateBlock.selector, keccak256("other"), keccak256(bundle.rlp)
            )
        );
    }

    function test_refusesACertificateOfAnotherSet() public {
        _freeze(3, _keys("three", 4, 1e9));
        _toEpoch(3);
        Bundle memory bundle = _next(40, 3);
        bundle.certificate.epoch = 2;
        bundle.members = _members(keysOf[2]);
        _sign(bundle.certificate, keysOf[2], 15);
        _expectRefused(bundle, abi.encodeWithSelector(IBatchChain.BatchChain_WrongCertificateEpoch.selector, 2, 3));
    }

    function test_refusesACertificateOfAnotherFork() public {
        Bundle memory bundle = _next(40, 2);
        bundle.certificate.fork = 1;
        _sign(bundle.certificate, keysOf[2], 15);
        _expectRefused(bundle, abi.encodeWithSelector(IBatchChain.BatchChain_WrongCertificateFork.selector, 1, 0));
    }

    function test_B5_refusesAnEpochWithoutASet() public {
        _toEpoch(3);
        Bundle memory bundle = _next(40, 3);
        bundle.members = _members(keysOf[2]);
        _expectRefused(bundle, abi.encodeWithSelector(IBatchChain.CommitCertificate_UnknownSet.selector, 3));
    }

    function test_B5_refusesMembersOfAnotherSet() public {
        Bundle memory bundle = _next(40, 2);
        Key[] memory strangers = _keys("strangers", 4, 1e9);
        bundle.members = _members(strangers);
        _sign(bundle.certificate, strangers, 15);
        _expectRefused(
            bundle,
            abi.encodeWithSelector(
                IBatchChain.CommitCertificate_WrongMembers.selector, keccak256(bundle.members), sets.setHash(2)
            )
        );
    }

    function test_B5_refusesExactlyTwoThirds() public {
        Key[] memory keys = _keys("thirds", 3, 7);
        _freeze(2, keys);
        Bundle memory bundle = _next(40, 2);
        _sign(bundle.certificate, keys, 3);
        _expectRefused(bundle, abi.encodeWithSelector(IBatchChain.CommitCertificate_NoQuorum.selector, 14, 21));
    }

    function test_B5_refusesVotesForAnotherDeployment() public {
        Bundle memory bundle = _next(40, 2);
        address other = makeAddr("another batch chain");
        _signAs(bundle.certificate, keysOf[2], 15, _domain(other), 2);
        (address recovered) = ecrecover(
            _digest(_domain(address(chain)), 2, bundle.certificate),
            uint8(bundle.certificate.signatures[64]),
            _slice(bundle.certificate.signatures, 0),
            _slice(bundle.certificate.signatures, 32)
        );
        _expectRefused(
            bundle,
            abi.encodeWithSelector(
                IBatchChain.CommitCertificate_WrongSigner.selector, 0, recovered, keysOf[2][0].signer
            )
        );
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

    // ------------------------------------------------------------------------------------------------------- helpers

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

    function _slice(bytes memory data, uint256 offset) internal pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), offset))
        }
    }

    function _deposit(uint256 amount) internal {
        token.approve(address(portal), amount);
        portal.deposit(POSTER, amount);
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

    /// @dev What a keeper does in each epoch: freeze the next set, and with it anchor and note the epoch.
    function _freezeEpochs(uint32 from, uint32 to) internal {
        for (uint32 epoch = from; epoch <= to; ++epoch) {
            _freeze(epoch, _keys("later set", 4, 1e9));
            _toEpoch(epoch);
            chain.anchorLatest();
        }
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
