// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ILiquidLens} from "contracts/interfaces/ILiquidLens.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

contract LiquidLensTest is LiquidFixture {
    ILiquidLens private lens;

    function setUp() public {
        _deployLiquid();
        lens = ILiquidLens(
            vm.deployCode(
                "LiquidLens.sol:LiquidLens",
                abi.encode(address(st), address(allocator), address(vault), address(rewards))
            )
        );
        _deposit(ALICE, 999e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
    }

    function test_constructor_refusesZero() public {
        for (uint256 i = 0; i < 4; ++i) {
            address[4] memory a = [address(st), address(allocator), address(vault), address(rewards)];
            a[i] = address(0);
            vm.expectRevert(ILiquidLens.LiquidLens_ZeroAddress.selector);
            this.make(abi.encode(a[0], a[1], a[2], a[3]));
        }
    }

    function test_account() public {
        _request(ALICE, 10e18);
        _seal();
        skip(EPOCH);
        queue.finalize();
        _request(ALICE, 4e18);
        ILiquidLens.Account memory a = lens.accountOf(ALICE);
        assertEq(a.shares, 985e18);
        assertEq(a.assets, st.convertToAssets(985e18));
        assertEq(a.instantNet, st.previewRedeem(985e18));
        assertEq(a.pendingShares, 4e18);
        assertEq(a.claimableShares, 10e18);
        assertEq(a.claimableAssets, 10e18);
    }

    /// @notice A small request is expected from the buffer, a large one from its own stake.
    function test_requests_withTheExpectedTime() public {
        _request(ALICE, 10e18);
        ILiquidLens.Request[] memory r = lens.requestsOf(ALICE, 9);
        assertEq(r.length, 1);
        assertEq(r[0].state, 0);
        assertEq(r[0].shares, 10e18);
        assertEq(r[0].assets, 10e18);
        assertEq(r[0].expectedAt, queue.sealableFrom() + EPOCH);
        _seal();
        uint256 firstFrom = block.timestamp + EPOCH;
        _toEpoch(_epoch() + 1);
        _request(ALICE, 500e18);
        _seal();
        uint32 epoch = _epoch();
        _request(ALICE, 1e18);
        r = lens.requestsOf(ALICE, 9);
        assertEq(r.length, 3);
        assertEq(r[0].state, 1);
        assertEq(r[0].ahead, 0);
        assertEq(r[0].expectedAt, firstFrom);
        assertEq(r[1].ahead, 1);
        assertEq(r[1].expectedAt, vault.claimableFrom(epoch));
        assertEq(r[2].ahead, 2);
        assertEq(r[2].expectedAt, vault.claimableFrom(epoch + 1), "behind what the buffer lacks");
        vm.warp(firstFrom);
        queue.finalize();
        r = lens.requestsOf(ALICE, 1);
        assertEq(r.length, 1);
        assertEq(r[0].state, 2);
        assertEq(r[0].assets, 10e18);
        assertEq(r[0].expectedAt, 0);
    }

    function test_due_namesEachChoreWhileItIsDue() public {
        ILiquidLens.Due memory d = lens.due();
        assertFalse(d.sync || d.seal || d.finalize || d.delegate || d.replenish || d.skim);
        _deposit(BOB, 40e18);
        assertTrue(lens.due().delegate);
        _delegateAll();
        assertFalse(lens.due().delegate);
        _request(ALICE, 20e18);
        assertFalse(lens.due().seal);
        _seal();
        assertFalse(lens.due().seal);
        assertFalse(lens.due().finalize);
        skip(EPOCH);
        assertTrue(lens.due().finalize);
        queue.finalize();
        assertFalse(lens.due().finalize);
        token.transfer(address(st), 5);
        assertEq(lens.due().skimmable, 5);
        st.skim();
        assertFalse(lens.due().skim);
        _slash(4, _epoch(), 0.001e18);
        assertTrue(lens.due().sync);
        st.sync(1);
        assertFalse(lens.due().sync);
    }

    function test_due_sealFromTheSecondHalfOnAndOnce() public {
        vm.warp(queue.sealableFrom());
        assertFalse(lens.due().seal, "nobody asked");
        _nextEpoch();
        _request(ALICE, 1);
        uint256 from = queue.sealableFrom();
        vm.warp(from - 1);
        assertFalse(lens.due().seal);
        vm.warp(from);
        assertTrue(lens.due().seal);
        queue.seal();
        assertFalse(lens.due().seal);
        _request(ALICE, 1);
        assertFalse(lens.due().seal, "one per epoch");
        vm.warp(from + EPOCH - 1);
        assertFalse(lens.due().seal);
        vm.warp(from + EPOCH);
        assertTrue(lens.due().seal);
        vm.prank(ALICE);
        queue.cancelRedeem(2, 1, ALICE, ALICE);
        assertFalse(lens.due().seal, "all was taken back");
    }

    /// @notice The aim is a twentieth of 1,000: one wei below its half something lacks, and then all of it.
    function test_due_replenishBelowHalfOfTheAim() public {
        assertEq(st.position().buffer, 50e18);
        vm.prank(ALICE);
        st.withdraw(25e18, ALICE, ALICE);
        assertFalse(lens.due().replenish);
        assertEq(lens.due().lacking, 0);
        vm.prank(ALICE);
        st.withdraw(1, ALICE, ALICE);
        assertTrue(lens.due().replenish);
        assertEq(lens.due().lacking, 25e18 + 1);
        assertEq(st.replenish(), 25e18 + 1 + 1000, "and a margin for roundings");
        assertFalse(lens.due().replenish);
        assertEq(lens.due().lacking, 0);
        vm.expectRevert(IStakedToken.StakedToken_NothingLacking.selector);
        st.replenish();
    }

    /// @notice What lacks while nothing is staked any more cannot be taken out.
    function test_due_replenishNothingThere() public {
        _request(ALICE, 600e18);
        _seal();
        for (uint32 id = 1; id <= 4; ++id) {
            _slash(id, _epoch(), 1e18);
        }
        st.sync(4);
        assertEq(st.position().active, 0);
        assertEq(st.position().buffer, 50e18);
        assertFalse(lens.due().replenish);
        // Of 1,000 a twentieth is left, and so of the exit of 600; the aim stands till the next epoch.
        assertApproxEqAbs(lens.due().lacking, 30e18, 4);
    }

    /// @notice The bunker holds exits that answer for its cause, no others; and an exit beyond the buffer waits for it.
    function test_due_finalizeWhatIsHeldByNothing() public {
        _request(ALICE, 10e18);
        _seal();
        _toEpoch(_epoch() + 2);
        _request(ALICE, 100e18);
        _seal();
        _slash(1, _epoch(), 0.1e18);
        st.sync(1);
        uint256 until = st.position().bunkerUntil;
        assertEq(until, block.timestamp + 2 * EPOCH);
        assertTrue(lens.due().finalize);
        queue.finalize();
        assertFalse(lens.due().finalize);
        vm.warp(until);
        assertFalse(lens.due().finalize, "too little is here");
        (uint256 owed,,) = st.exitOf(2);
        _deposit(BOB, owed - st.position().buffer - 1);
        assertFalse(lens.due().finalize, "a wei too little");
        _deposit(BOB, 1);
        assertTrue(lens.due().finalize);
        queue.finalize();
    }

    /// @notice A gift is skimmable to the wei; cover that has yet to come for a logged slash is not taken for missing after a sync.
    function test_due_skimWhatLiesBeyondTheBooks() public {
        _fundCover(4e18);
        token.transfer(address(st), 5);
        assertTrue(lens.due().skim);
        assertEq(lens.due().skimmable, 5);
        _slash(4, _epoch(), 0.1e18);
        assertTrue(lens.due().sync);
        assertFalse(lens.due().skim, "four tokens of cover are booked and not here");
        st.sync(1);
        assertTrue(lens.due().skim);
        assertEq(lens.due().skimmable, 5);
        assertEq(st.skim(), 5);
        assertFalse(lens.due().skim);
        assertEq(lens.due().skimmable, 0);
    }

    /// @notice A request through its states, in numbers: 1,000 shares of 1,027 tokens, then a slash of four percent of 237.5.
    function test_requests_byHand() public {
        vm.prank(ALICE);
        share.transfer(BOB, 100e18);
        // A tenth of the gain is the fee.
        _harvest(1, 30e18);
        skip(30 * EPOCH);
        assertEq(st.totalAssets(), 1027e18);
        _request(ALICE, 10e18);
        _request(BOB, 5e18);
        uint256 price = uint256(10e18) * (1027e18 + 1) / (1000e18 + 1);
        assertEq(price, 10.27e18 - 1);
        ILiquidLens.Request memory r = lens.requestsOf(ALICE, 1)[0];
        _expect(r, 10e18, price, 0, queue.sealableFrom() + EPOCH);
        _seal();
        uint256 sealedFor = uint256(15e18) * (1027e18 + 1) / (1000e18 + 1);
        _expect(lens.requestsOf(ALICE, 1)[0], 10e18, sealedFor * 10 / 15, 1, block.timestamp + EPOCH);
        _slash(1, _epoch(), 0.04e18);
        uint256 bears = (sealedFor * (9.5e18 + 1) + 1027e18 - 1) / 1027e18;
        uint256 left = (sealedFor - bears) * 10 / 15;
        _expect(lens.requestsOf(ALICE, 1)[0], 10e18, left, 1, block.timestamp + EPOCH);
        skip(EPOCH);
        queue.finalize();
        _expect(lens.requestsOf(ALICE, 1)[0], 10e18, left, 2, 0);
        assertEq(lens.accountOf(ALICE).claimableAssets, left);
        vm.prank(ALICE);
        assertEq(queue.redeem(4e18, ALICE, ALICE), (sealedFor - bears) * 4 / 15);
        _expect(lens.requestsOf(ALICE, 1)[0], 6e18, (sealedFor - bears) * 6 / 15, 2, 0);
        vm.prank(ALICE);
        queue.redeem(6e18, ALICE, ALICE);
        assertEq(lens.requestsOf(ALICE, 1).length, 0);
    }

    /// @notice What all of Alice's would pay at once: five basis points, a half token for the 50 in the buffer, two percent beyond.
    function test_account_instantNetByHand() public view {
        uint256 net = lens.accountOf(ALICE).instantNet;
        assertApproxEqAbs(net, uint256(999.5e18) * 10_000 / 10_205, 3);
        assertLe(net + _feeByHand(net), 999e18);
        assertGt(net + 1 + _feeByHand(net + 1), 999e18);
    }

    function _feeByHand(uint256 net) private pure returns (uint256) {
        return (net * 5 + 9999) / 10_000 + 0.5e18 + ((net - 50e18) * 200 + 9999) / 10_000;
    }

    function _expect(ILiquidLens.Request memory r, uint256 shares, uint256 assets, uint8 state, uint256 expectedAt)
        private
        pure
    {
        assertEq(r.requestId, 1);
        assertEq(r.shares, shares);
        assertEq(r.assets, assets);
        assertEq(r.state, state);
        assertEq(r.ahead, 0);
        assertEq(r.expectedAt, expectedAt);
    }

    function test_operatorsAndTickets() public {
        token.transfer(address(rewards), 7e18);
        rewards.credit(3, 7e18, _epoch());
        allocator.setWeight(2, 0);
        ILiquidLens.OperatorStake[] memory o = lens.operators();
        assertEq(o.length, 4);
        assertEq(o[1].excess, 237.5e18);
        assertEq(o[1].target, 0);
        assertEq(o[0].weight, 100);
        assertEq(o[0].active, 237.5e18);
        assertEq(o[2].rewards, 7e18);
        uint32[] memory ids = new uint32[](2);
        (ids[0], ids[1]) = (1, 2);
        assertEq(lens.tickets(ids).length, 0);
        st.rebalance(2);
        ILiquidLens.Ticket[] memory t = lens.tickets(ids);
        assertEq(t.length, 1);
        assertEq(t[0].id, 2);
        assertEq(t[0].cohortEpoch, _epoch());
        assertEq(t[0].amount, 237.5e18);
        assertEq(t[0].dueAt, vault.claimableFrom(_epoch()));
        vm.warp(t[0].dueAt + 100 * EPOCH);
        assertEq(lens.tickets(ids).length, 1, "until it is collected");
        st.collect(2, t[0].cohortEpoch);
        assertEq(lens.tickets(ids).length, 0);
    }

    function make(bytes memory arguments) external {
        bytes memory code = abi.encodePacked(vm.getCode("LiquidLens.sol:LiquidLens"), arguments);
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 32), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }
}
