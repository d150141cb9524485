// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @notice Attacks that go through the exit queue, which asks no fee: each test is named for what is stopped.
contract LiquidQueueAttacksTest is LiquidFixture {
    address private constant EVE = address(0xE7E);
    uint256 private constant BATCHES = 30;

    function setUp() public {
        _deployLiquid();
        _deposit(ALICE, 1000e18);
        _nextEpoch();
        _delegateAll();
    }

    /// @notice In, harvest, out and seal in one second: she leaves with what she brought, and the drip passes her by.
    function test_rewardSandwich_throughTheQueue() public {
        _toEpoch(_epoch() + 5);
        vm.warp(queue.sealableFrom());
        uint256 shares = _deposit(EVE, 100e18);
        _harvest(1, 50e18);
        uint256 requestId = _request(EVE, shares);
        (, uint256 assets) = queue.seal();
        assertEq(assets, 100e18, "no wei of the gain");
        skip(EPOCH);
        queue.finalize();
        vm.prank(EVE);
        assertEq(queue.claim(requestId, EVE, EVE), 100e18, "nor of what vested since");
        skip(10 * EPOCH);
        assertEq(st.totalAssets(), 1001e18 + 45e18, "all of it is theirs who stayed");
    }

    /// @notice Half an epoch in the token before the seal earns what half an epoch of the drip pays on her shares, as anybody's: to
    /// the wei, and nothing of the rest.
    function test_rewardSandwich_throughTheQueue_paysForTheTimeInIt() public {
        // Four epochs are credited, so 45 vest over four epochs.
        _toEpoch(_epoch() + 5);
        uint256 shares = _deposit(EVE, 100e18);
        _harvest(1, 50e18);
        _request(EVE, shares);
        skip(EPOCH / 2);
        uint256 vested = uint256(45e18) / 8;
        assertEq(st.totalAssets(), 1101e18 + vested);
        uint256 fair = st.convertToAssets(100e18);
        (, uint256 assets) = queue.seal();
        assertEq(assets, uint256(100e18) * (1101e18 + vested + 1) / (1101e18 + 1));
        assertEq(assets, fair, "what anybody's hundred are worth");
        assertLt(assets - 100e18, vested / 11, "no more than her part of what vested");
        uint256 left = st.totalAssets();
        assertEq(left, 1101e18 + vested - assets);
        skip(4 * EPOCH);
        assertEq(st.totalAssets(), left + 45e18 - vested, "the rest of the drip is theirs who stayed");
    }

    /// @notice She sees a fault that nobody proved yet, waits until an exit was paid from the buffer, and asks to leave right after
    /// it in the hope that the buffer pays her before the proof comes. The hold is longer than that: she bears the same percentage as
    /// who stayed, to the wei, and waits for the end of the bunker; who was paid before keeps all.
    function test_slashKnownInAdvance_requestAfterABufferPaidFinalisation() public {
        uint256 early = _deposit(BOB, 20e18);
        uint256 late = _deposit(EVE, 20e18);
        _delegateAll();
        uint256 active = st.position().active;
        _request(BOB, early);
        _seal();
        skip(EPOCH);
        queue.finalize();
        assertEq(st.position().active, active, "from the buffer alone");

        uint32 sigma = _epoch();
        _request(EVE, late);
        (uint256 requestId, uint256 owed) = queue.seal();
        assertEq(owed, 20e18);
        assertGe(st.position().buffer, owed, "the buffer could pay at once");
        uint256 from = block.timestamp + EPOCH;
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_ExitHeld.selector, from));
        queue.finalize();
        vm.warp(from - 1);
        uint256 stayers = st.totalAssets();
        uint256 stake = st.position().active + st.position().thawing;
        _slash(1, sigma, 0.08e18);
        st.sync(1);
        uint256 loss = stake - st.position().active - st.position().thawing;
        (uint256 left,,) = st.exitOf(requestId);
        assertEq(left, owed - (owed * loss + stayers + owed - 1) / (stayers + owed), "the percentage of all");
        assertEq(st.totalAssets(), stayers - (loss - (owed - left)));
        uint256 until = st.position().bunkerUntil;
        assertEq(until, block.timestamp + 2 * EPOCH);
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_ExitHeld.selector, until));
        queue.finalize();
        vm.warp(until);
        queue.finalize();
        vm.prank(EVE);
        assertEq(queue.claim(requestId, EVE, EVE), left);
        vm.prank(BOB);
        assertEq(queue.claim(1, BOB, BOB), 20e18, "Q13");
    }

    /// @notice To know of the slash does not help whoever asks before it is applied either: the price of a seal contains it.
    function test_slashKnownInAdvance_sealedAfterItWasLogged() public {
        uint256 shares = _deposit(EVE, 100e18);
        _request(EVE, shares);
        vm.warp(queue.sealableFrom());
        uint256 before = st.convertToAssets(shares);
        _slash(1, _epoch(), 0.08e18);
        uint256 price = st.convertToAssets(shares);
        assertLt(price, before - 1e18);
        (, uint256 assets) = queue.seal();
        assertEq(assets, price);
    }

    /// @notice A batch of dust in every epoch that nobody finalises, and then a real exit: each finalisation costs the same however
    /// many wait, so whoever pays for them gets through, and the real exit is paid in full.
    function test_griefingFinalize_manyBatchesOfDust() public {
        _deposit(EVE, 1e18);
        for (uint256 i = 0; i < BATCHES; ++i) {
            _request(EVE, 1 + i);
            _seal();
            _nextEpoch();
        }
        uint256 requestId = _request(ALICE, 30e18);
        _seal();
        skip(EPOCH);
        bytes memory finalize = abi.encodeCall(queue.finalize, ());
        // The first one pays for the queue's first tokens.
        assertLt(_gasOf(address(queue), finalize), 120_000);
        uint256 each = _gasOf(address(queue), finalize);
        for (uint256 i = 2; i < BATCHES; ++i) {
            assertApproxEqAbs(_gasOf(address(queue), finalize), each, 100, "each the same");
        }
        (uint256 paid, uint256 assets) = queue.finalize();
        assertEq(paid, requestId);
        assertEq(assets, 30e18);
        // Nobody can make them more than one per epoch.
        _request(EVE, 1);
        queue.seal();
        _request(EVE, 1);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_SealTooEarly.selector, queue.sealableFrom()));
        queue.seal();
    }

    /// @notice A slash has to look at every exit that waits: so many batches of dust make it dearer by a bounded amount each, once.
    function test_griefingFinalize_aSlashWhileManyBatchesWait() public {
        bytes memory sync = abi.encodeCall(st.sync, (1));
        uint256 state = vm.snapshotState();
        _slash(1, _epoch(), 0.001e18);
        uint256 alone = _gasOf(address(st), sync);
        vm.revertToState(state);
        _deposit(EVE, 1e18);
        for (uint256 i = 0; i < BATCHES; ++i) {
            _request(EVE, 1e9);
            _seal();
            _nextEpoch();
        }
        _slash(1, _epoch(), 0.001e18);
        uint256 gas = _gasOf(address(st), sync);
        assertGt(gas, alone + BATCHES * 2100, "each is looked at");
        assertLt(gas, alone + BATCHES * 6000, "and costs no more than a word read and an entry in memory");
        assertLt(
            _gasOf(address(queue), abi.encodeCall(queue.finalize, ())), 120_000, "later ones do not pay for it again"
        );
    }

    /// @notice Many requests in one batch, by as many accounts: the batch is one sum, neither its seal nor its finalisation
    /// costs more for them, nor the claim of anybody.
    function test_griefingFinalize_manyRequestsInABatch() public {
        _deposit(EVE, 1e18);
        uint256 state = vm.snapshotState();
        (uint256 sealing, uint256 finalizing, uint256 claiming) = _gasOfExit();
        vm.revertToState(state);
        for (uint160 i = 1; i <= 200; ++i) {
            vm.prank(EVE);
            queue.requestRedeem(1, address(i), EVE);
        }
        vm.prank(EVE);
        queue.requestRedeem(1, ALICE, EVE);
        (uint256 a, uint256 b, uint256 c) = _gasOfExit();
        assertApproxEqAbs(a, sealing, 500);
        assertApproxEqAbs(b, finalizing, 500);
        assertApproxEqAbs(c, claiming, 500);
        assertGt(queue.batchOf(1).shares, 30e18 + 200);
    }

    /// @notice Strangers' dust in every batch in the name of a victim: the claim of the one request that counts costs what it
    /// costs without.
    function test_griefingClaims_dustInEveryBatch() public {
        _deposit(EVE, 1e18);
        uint256 state = vm.snapshotState();
        (,, uint256 claiming) = _gasOfExit();
        vm.revertToState(state);
        for (uint256 i = 0; i < BATCHES; ++i) {
            vm.prank(EVE);
            queue.requestRedeem(1, ALICE, EVE);
            _seal();
            skip(EPOCH);
            queue.finalize();
        }
        (,, uint256 gas) = _gasOfExit();
        assertLt(gas, claiming + 3000, "one cold word more, the front of the line");
        assertEq(queue.requestsOf(ALICE, 99).length, BATCHES);
        // All the dust at once, in a loop over one per epoch.
        uint256 all = queue.maxRedeem(ALICE);
        assertEq(all, BATCHES);
        vm.prank(ALICE);
        assertEq(queue.redeem(all, ALICE, ALICE), all);
    }

    /// @dev Gas of sealing, finalising and claiming 30 of Alice.
    function _gasOfExit() private returns (uint256 sealing, uint256 finalizing, uint256 claiming) {
        uint256 requestId = _request(ALICE, 30e18);
        vm.warp(queue.sealableFrom());
        sealing = _gasOf(address(queue), abi.encodeCall(queue.seal, ()));
        skip(EPOCH);
        finalizing = _gasOf(address(queue), abi.encodeCall(queue.finalize, ()));
        bytes memory claim = abi.encodeCall(queue.claim, (requestId, ALICE, ALICE));
        vm.startPrank(ALICE);
        claiming = _gasOf(address(queue), claim);
        vm.stopPrank();
    }

    /// @dev With all storage cold, as in a transaction of its own.
    function _gasOf(address target, bytes memory call) private returns (uint256 gas) {
        address[8] memory all = [
            address(st),
            address(queue),
            address(vault),
            address(token),
            address(watch),
            address(charges),
            address(allocator),
            address(cover)
        ];
        for (uint256 i = 0; i < all.length; ++i) {
            vm.cool(all[i]);
        }
        gas = gasleft();
        (bool done,) = target.call(call);
        gas -= gasleft();
        assertTrue(done);
    }
}
