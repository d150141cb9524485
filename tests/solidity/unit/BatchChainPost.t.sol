// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {BatchChainKit} from "../kit/BatchChainKit.sol";

/// @notice Every check of `post`, refused one at a time.
contract BatchChainPostTest is BatchChainKit {
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

    function _deposit(uint256 amount) internal {
        token.approve(address(portal), amount);
        portal.deposit(POSTER, amount);
    }

    /// @dev What a keeper does in each epoch: freeze the next set, and with it anchor and note the epoch.
    function _freezeEpochs(uint32 from, uint32 to) internal {
        for (uint32 epoch = from; epoch <= to; ++epoch) {
            _freeze(epoch, _keys("later set", 4, 1e9));
            _toEpoch(epoch);
            chain.anchorLatest();
        }
    }
}
