// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";
import {console} from "forge-std/console.sol";

import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {LiquidHandler} from "./LiquidHandler.sol";

/// @notice One campaign for liquid staking, Q1 to Q19 (Q20 by fuzzing). Rules about single actions are asserted in the handler,
/// where a failing assertion is a revert, and reverts fail the campaign.
/// forge-config: default.invariant.fail-on-revert = true
contract LiquidInvariants is Test {
    LiquidHandler private handler;
    IStakedToken private st;
    IExitQueue private queue;
    IERC20 private token;
    IStakeVault private vault;

    function setUp() public {
        handler = new LiquidHandler();
        (IStakedToken s, IExitQueue q, address t, address v) = handler.contracts();
        (st, queue, token, vault) = (s, q, IERC20(t), IStakeVault(v));
        bytes4[] memory selectors = new bytes4[](28);
        selectors[0] = handler.deposit.selector;
        selectors[1] = handler.mint.selector;
        selectors[2] = handler.transfer.selector;
        selectors[3] = handler.withdraw.selector;
        selectors[4] = handler.redeem.selector;
        selectors[5] = handler.request.selector;
        selectors[6] = handler.cancel.selector;
        selectors[7] = handler.claim.selector;
        selectors[8] = handler.seal.selector;
        selectors[9] = handler.finalize.selector;
        selectors[10] = handler.harvest.selector;
        selectors[11] = handler.donate.selector;
        selectors[12] = handler.delegate.selector;
        selectors[13] = handler.rebalance.selector;
        selectors[14] = handler.replenish.selector;
        selectors[15] = handler.collect.selector;
        selectors[16] = handler.collectFees.selector;
        selectors[17] = handler.sync.selector;
        selectors[18] = handler.slash.selector;
        selectors[19] = handler.outsiders.selector;
        selectors[20] = handler.jail.selector;
        selectors[21] = handler.setWeight.selector;
        selectors[22] = handler.fundCover.selector;
        selectors[23] = handler.pause.selector;
        selectors[24] = handler.warp.selector;
        // Twice as likely, so that exits mature.
        selectors[25] = handler.warp.selector;
        selectors[26] = handler.unlist.selector;
        selectors[27] = handler.accuse.selector;
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
        targetContract(address(handler));
    }

    function invariant_Q1_Q2_Q3_Q4_Q13_Q14() public view {
        IStakedToken.Position memory p = st.position();
        uint256 held = p.buffer + p.active + p.thawing;
        // Q1: what cover would pay for logged slashes arrives with the sync.
        assertGe(token.balanceOf(address(st)) + handler.pendingCover(), p.buffer, "Q1");
        // Q2: saturating only where nothing is left.
        uint256 claims = p.owed + p.locked + p.fees + st.totalAssets();
        if (st.totalAssets() != 0) assertEq(held, claims, "Q2");
        else assertLe(held, claims, "Q2: nothing left for those who stay");
        // Q3: every wei by its door, but for roundings into the vault.
        uint256 ins = handler.deposited() + handler.gained() + handler.covered();
        uint256 outs = handler.paidInstantly() + handler.paidToQueue() + handler.feesPaid() + handler.lost();
        assertGe(ins, outs + held, "Q3: more held than came");
        assertLe(ins - outs - held, 4 * handler.roundings(), "Q3: lost without a slash");
        // All parts are summed up every eighth time and when a run ends.
        if (handler.turn() % 8 == 0) {
            _checkStake(p);
            _checkExits(p);
        }
    }

    function afterInvariant() public {
        _checkStake(st.position());
        _checkExits(st.position());
        // Q1 in earnest, with cover paid.
        st.sync(type(uint256).max);
        assertGe(token.balanceOf(address(st)), st.position().buffer, "Q1");
        bytes32[] memory actions = handler.actions();
        for (uint256 i = 0; i < actions.length; ++i) {
            console.log(
                string(abi.encodePacked(actions[i])), handler.calls(actions[i], 0), handler.calls(actions[i], 1)
            );
        }
    }

    /// @dev Q3: the books never say more than the vault holds; the parts add up.
    function _checkStake(IStakedToken.Position memory p) private view {
        uint256 active;
        uint256 thawing;
        for (uint32 id = 1; id <= 4; ++id) {
            (, uint256 real) = vault.positionOf(id, address(st));
            uint256 booked = st.activeOf(id);
            assertLe(booked, real, "Q3: booked more than the pool pays");
            active += booked;
        }
        LiquidHandler.Ticket[] memory tickets = handler.tickets();
        for (uint256 i = 0; i < tickets.length; ++i) {
            (uint32 id, uint32 c) = (tickets[i].id, tickets[i].cohort);
            (uint256 tokens, uint256 supply) = vault.thawOf(id, c);
            uint256 booked = st.ticketOf(id, c);
            assertLe(booked, tokens * vault.thawSharesOf(id, c, address(st)) / supply, "Q3: more than the cohort pays");
            thawing += booked;
        }
        assertEq(active, p.active, "Q2: sum of the pools");
        assertEq(thawing, p.thawing, "Q2: sum of the cohorts");
    }

    /// @dev Q4, Q12, Q13, Q14.
    function _checkExits(IStakedToken.Position memory p) private view {
        (uint256 head, uint256 tail) = st.exitRange();
        assertEq(queue.nextToFinalise(), head, "Q14: queue and token agree");
        assertEq(queue.openBatch(), tail, "Q14");
        assertEq(handler.finalised(), head, "Q14: in order, none skipped");
        uint256 owed;
        for (uint256 i = head; i < tail; ++i) {
            (uint256 assets,,) = st.exitOf(i);
            owed += assets;
        }
        assertEq(owed, p.owed, "Q2: sum of the exits");
        uint256 due;
        for (uint256 i = 0; i < handler.holders(); ++i) {
            due += queue.maxWithdraw(handler.holderAt(i));
        }
        assertGe(token.balanceOf(address(queue)), due, "Q4");
        if (head != 1) {
            uint256 id = 1 + uint256(keccak256(abi.encode(block.timestamp))) % (head - 1);
            assertEq(queue.batchOf(id).assets, handler.finalAssets(id), "Q13");
        }
    }
}
