// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ILiquidLens} from "contracts/interfaces/ILiquidLens.sol";

import {LiquidFixture} from "../harness/LiquidFixture.sol";

/// @notice `LiquidLens.due` beside the actions themselves: after any history each chore is due exactly if it can be done.
contract LiquidLensFuzz is LiquidFixture {
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
        _deposit(BOB, 200e18);
        _nextEpoch();
        _delegateAll();
    }

    struct Step {
        uint8 kind;
        uint32 id;
        uint96 amount;
    }

    /// @notice True exactly when the action does something, and false after it.
    function testFuzz_due_exactlyWhatCanBeDone(Step[10] memory steps) public {
        for (uint256 i = 0; i < steps.length; ++i) {
            _do(steps[i]);
        }
        // What lies beyond the books cannot be told while cover has yet to come: then a sync is due first.
        if (lens.due().sync) {
            assertGt(vault.slashSeq(), st.syncedSlashes());
            st.sync(type(uint256).max);
        }
        assertEq(vault.slashSeq(), st.syncedSlashes());
        ILiquidLens.Due memory d = lens.due();
        assertFalse(d.sync);
        assertEq(_can(address(queue), abi.encodeCall(queue.seal, ())), d.seal, "seal");
        assertEq(_can(address(queue), abi.encodeCall(queue.finalize, ())), d.finalize, "finalize");
        // It does not look for a pause (docs/known-issues.md).
        bool paused = guardian.isPaused();
        assertEq(_can(address(st), abi.encodeCall(st.delegate, ())), d.delegate && !paused, "delegate");
        assertEq(_can(address(st), abi.encodeCall(st.replenish, ())), d.replenish, "replenish");
        assertEq(_can(address(st), abi.encodeCall(st.skim, ())), d.skim, "skim");
        _checkAfter(d);
    }

    /// @notice Before a sync, too: whatever is due by the views can be done, by an action that applies the slashes itself.
    function testFuzz_due_beforeASync(Step[8] memory steps, uint64 fraction) public {
        for (uint256 i = 0; i < steps.length; ++i) {
            _do(steps[i]);
        }
        _slash(1, _epoch(), _bound(fraction, 1, 0.5e18));
        ILiquidLens.Due memory d = lens.due();
        assertTrue(d.sync);
        assertEq(_can(address(queue), abi.encodeCall(queue.seal, ())), d.seal, "seal");
        assertEq(_can(address(queue), abi.encodeCall(queue.finalize, ())), d.finalize, "finalize");
        assertEq(_can(address(st), abi.encodeCall(st.replenish, ())), d.replenish, "replenish");
        // What is skimmable now is at least that after it.
        if (d.skim) assertTrue(_can(address(st), abi.encodeCall(st.skim, ())));
    }

    function _checkAfter(ILiquidLens.Due memory d) private {
        uint256 state = vm.snapshotState();
        if (d.seal) {
            queue.seal();
            assertFalse(lens.due().seal, "sealed");
            vm.revertToState(state);
        }
        if (d.replenish) {
            st.replenish();
            assertFalse(lens.due().replenish, "replenished");
            vm.revertToState(state);
        }
        if (d.skim) {
            assertEq(st.skim(), d.skimmable);
            assertFalse(lens.due().skim, "skimmed");
            vm.revertToState(state);
        }
        if (d.delegate && !guardian.isPaused()) {
            (, uint256 amount) = st.delegate();
            assertEq(lens.due().delegatable, d.delegatable - amount, "delegated");
            vm.revertToState(state);
        }
        assertEq(d.lacking, st.liquidity().lacking);
    }

    /// @dev Some of them cannot be done at the time: then nothing happens.
    function _do(Step memory step) private {
        uint256 kind = step.kind % 20;
        uint32 id = 1 + step.id % 4;
        uint256 amount = step.amount;
        if (kind == 0) _call(address(this), abi.encodeCall(this.enter, (_bound(amount, 1, 300e18))));
        if (kind <= 2) {
            _call(address(this), abi.encodeCall(this.ask, (amount % 2 == 0 ? ALICE : BOB, _bound(amount, 1, 400e18))));
        }
        if (kind == 3) _call(address(queue), abi.encodeCall(queue.seal, ()));
        if (kind == 4) _call(address(queue), abi.encodeCall(queue.finalize, ()));
        if (kind == 5) _call(address(st), abi.encodeCall(st.delegate, ()));
        if (kind == 6) _call(address(st), abi.encodeCall(st.replenish, ()));
        if (kind == 7) token.transfer(address(st), _bound(amount, 1, 5e18));
        if (kind == 8) _harvest(id, _bound(amount, 1, 50e18));
        if (kind == 9) skip(_bound(amount, 1, 3 * EPOCH));
        if (kind == 10) vm.warp(queue.sealableFrom() > block.timestamp ? queue.sealableFrom() : block.timestamp);
        if (kind == 11) skip(12 * EPOCH);
        if (kind == 12) _slash(id, _epoch(), _bound(amount, 1, 0.4e18));
        if (kind == 13) _call(address(st), abi.encodeCall(st.collect, (id, _firstTicket(id))));
        if (kind == 14) allocator.setWeight(id, uint16(amount % 300));
        if (kind == 15) _call(address(st), abi.encodeCall(st.rebalance, (id)));
        if (kind == 16) _call(address(this), abi.encodeCall(this.quit, (_bound(amount, 1, 60e18))));
        if (kind == 17) charges.accuse(id);
        if (kind == 18) guardian.set(amount % 2 == 0);
        if (kind == 19) _call(address(this), abi.encodeCall(this.jail, (id)));
    }

    function _firstTicket(uint32 id) private view returns (uint32 first) {
        (first,) = st.operatorOf(id);
    }

    function jail(uint32 id) external {
        _jail(id);
    }

    function enter(uint256 amount) external {
        _deposit(CAROL, amount);
    }

    function ask(address who, uint256 shares) external {
        _request(who, shares);
    }

    function quit(uint256 amount) external {
        vm.prank(BOB);
        st.withdraw(amount, BOB, BOB);
    }

    function _call(address target, bytes memory call) private returns (bool done) {
        (done,) = target.call(call);
    }

    /// @dev Whether the call would go through; leaves nothing behind.
    function _can(address target, bytes memory call) private returns (bool done) {
        uint256 state = vm.snapshotState();
        done = _call(target, call);
        vm.revertToState(state);
    }
}
