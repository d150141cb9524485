// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {RollupHandler} from "./RollupHandler.sol";

/// @notice One campaign for the rollup domain: B1, B4, B5, F8 (portal side) and F9.
contract RollupInvariants is Test {
    RollupHandler internal handler;

    function setUp() public {
        handler = new RollupHandler();
        bytes4[] memory actions = new bytes4[](12);
        actions[0] = RollupHandler.mine.selector;
        actions[1] = RollupHandler.passEpoch.selector;
        actions[2] = RollupHandler.deposit.selector;
        actions[3] = RollupHandler.releaseFees.selector;
        actions[4] = RollupHandler.post.selector;
        actions[5] = RollupHandler.certifyForLater.selector;
        actions[6] = RollupHandler.postLate.selector;
        actions[7] = RollupHandler.forge.selector;
        actions[8] = RollupHandler.replay.selector;
        actions[9] = RollupHandler.finalize.selector;
        actions[10] = RollupHandler.finalizeDue.selector;
        actions[11] = RollupHandler.pauseForAMoment.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector({addr: address(handler), selectors: actions}));
    }

    function invariant_rollup() public view {
        // What the handler saw call by call: honest batches are accepted however late (B4), forgeries never (B5, F9),
        // finality only in order and time (B1), fees once and covered (F8).
        assertEq(handler.wrong(), "");

        IBatchChain chain = handler.batchChain();
        uint256 count = handler.honestCount();
        uint256 finals = handler.finals();
        assertEq(chain.headIndex(), count);
        assertEq(chain.finalIndex(), finals);
        assertEq(chain.head(), count == 0 ? chain.L2_GENESIS_HASH() : handler.honest(count - 1));
        assertEq(chain.finalHead(), finals == 0 ? chain.L2_GENESIS_HASH() : handler.honest(finals - 1));

        // The last eight batches of the chain (the earlier ones were last at an earlier call).
        for (uint256 i = count > 8 ? count - 8 : 0; i < count; ++i) {
            bytes32 hash = handler.honest(i);
            // forge-lint: disable-next-line(unsafe-typecast)
            assertEq(chain.batchAt(uint64(i + 1)), hash);
            // B1: a prefix is FINAL, and nothing else.
            assertEq(chain.isFinal(hash), i < finals);
            // F9: sets never go back.
            if (i > 0) assertGe(handler.epochs(i), handler.epochs(i - 1));
        }
        if (finals > 0) assertTrue(chain.isFinal(handler.honest(finals - 1)));

        // Deposits credited had happened at the origin.
        IBatchChain.Head memory head = chain.headState();
        assertLe(head.depositEnd, handler.depositsAt(head.l1OriginNumber));
        // F8: what is locked is what came in less what left.
        assertEq(handler.portalBalance(), handler.deposited() - handler.released());
    }

    /// @dev A run that never did something proves nothing about it: over a run of full depth each action has succeeded.
    function afterInvariant() public view {
        if (handler.done("mine") < 20) return;
        assertGt(handler.done("post"), 0);
        assertGt(handler.done("postLate") + handler.done("postLate refused"), 0);
        assertGt(handler.done("finalize"), 0);
        assertGt(handler.done("finalize refused"), 0);
        assertGt(handler.done("releaseFees"), 0);
        assertGt(handler.done("releaseFees refused"), 0);
        assertGt(handler.done("replay"), 0);
        assertGt(handler.done("passEpoch"), 0);
    }
}
