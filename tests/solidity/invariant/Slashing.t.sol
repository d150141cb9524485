// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";
import {console} from "forge-std/console.sol";

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISlashEscrow} from "contracts/interfaces/ISlashEscrow.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {SlashingHandler} from "./SlashingHandler.sol";

/// @notice The slashing domain: faults of several operators in every order, with delegators, cohorts and top-ups between.
/// Invariants S1 S2 S4 S6 S7 S9, and F1 F2 under slashing. Rules about single actions are asserted in the handler, where a
/// failing assertion is a revert, and reverts fail the campaign.
/// forge-config: default.invariant.fail-on-revert = true
contract SlashingInvariants is Test {
    SlashingHandler private handler;
    ISequencerRegistry private registry;
    IStakeVault private vault;
    IERC20 private token;
    ISlashEscrow private escrow;

    /// @dev Changes with every check, to spread the questions.
    uint256 private dice;

    function setUp() public {
        handler = new SlashingHandler();
        address asset;
        address escrowAddress;
        (registry, vault, asset, escrowAddress) = handler.contracts();
        (token, escrow) = (IERC20(asset), ISlashEscrow(escrowAddress));
        bytes4[] memory selectors = new bytes4[](16);
        selectors[0] = handler.delegate.selector;
        selectors[1] = handler.undelegate.selector;
        selectors[2] = handler.claim.selector;
        selectors[3] = handler.convict.selector;
        selectors[4] = handler.topUp.selector;
        selectors[5] = handler.jailOffline.selector;
        selectors[6] = handler.slashOffline.selector;
        selectors[7] = handler.veto.selector;
        selectors[8] = handler.payOut.selector;
        selectors[9] = handler.register.selector;
        selectors[10] = handler.unjail.selector;
        selectors[11] = handler.retire.selector;
        selectors[12] = handler.takeSeat.selector;
        selectors[13] = handler.pause.selector;
        selectors[14] = handler.warp.selector;
        selectors[15] = handler.keeperEpoch.selector;
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
        targetContract(address(handler));
    }

    /// @notice After every action: the escrow holds what was taken and not yet paid, divided as booked (S9), and one of the
    /// convicts (each of them at the end) is as `_checkConvict` says.
    function invariant_S1_S4_S7_S9() public {
        dice = uint256(keccak256(abi.encode(dice, block.timestamp)));
        uint256 count = handler.convictionCount();
        if (count != 0) _checkConvict(dice % count);
        uint256 held = token.balanceOf(address(escrow));
        assertEq(held, handler.taken() + handler.fees() - handler.paidOut(), "S9: the escrow keeps what was taken");
        assertEq(
            held,
            escrow.rewardOf(_reporter()) + escrow.burnBalance() + escrow.coverBalance(),
            "S9: all of it belongs to somebody, nobody gets more"
        );
        assertLe(handler.rewarded() * 20, handler.taken(), "S9: reporters above 5 %");
    }

    /// @notice At the end: after the top-ups each conviction is at its final rate, for the stake of every epoch (S4), and
    /// every wei is in the vault, with a delegator or in the escrow (F1, F2). Prints what the run did.
    function afterInvariant() public {
        handler.topUpAll();
        for (uint256 i = 0; i < handler.convictionCount(); ++i) {
            _checkConvict(i);
            (, uint256 rate, uint256 due) = handler.convictionAt(i);
            assertEq(rate, due, "S4: final rate");
        }
        uint256 held;
        uint32 last = uint32((block.timestamp - 1_700_000_000) / 60);
        for (uint256 i = 0; i < handler.convictionCount(); ++i) {
            (uint32 id,,) = handler.convictionAt(i);
            for (uint32 epoch = 1; epoch <= last; ++epoch) {
                (uint256 paid, uint256 due) = handler.paidAndDue(id, epoch);
                assertEq(paid, due, "S4: final rate of who left");
            }
        }
        for (uint32 id = 1; id <= registry.operatorCount(); ++id) {
            (uint256 tokens,) = vault.pool(id);
            held += tokens;
            for (uint32 c = 5; c <= last; ++c) {
                (tokens,) = vault.thawOf(id, c);
                held += tokens;
            }
        }
        assertEq(token.balanceOf(address(vault)), held, "F1");
        assertEq(handler.deposited(), handler.withdrawn() + handler.taken() + held, "F2");
        bytes32[] memory actions = handler.actions();
        for (uint256 i = 0; i < actions.length; ++i) {
            (uint256 succeeded, uint256 refused) = handler.calls(actions[i]);
            console.log(string(abi.encodePacked(actions[i])), succeeded, refused);
        }
    }

    /// @dev Nobody pays more than everything, less than the least or more than the formula calls for, and none comes back.
    function _checkConvict(uint256 index) private view {
        (uint32 id, uint256 rate, uint256 due) = handler.convictionAt(index);
        assertLe(rate, due, "S4: above what the formula calls for");
        assertLe(due, 1e18, "S1: more than everything");
        assertGe(rate, 0.05e18, "less than the least");
        assertEq(uint8(registry.statusOf(id)), uint8(ISequencerRegistry.Status.Tombstoned), "S7");
    }

    function _reporter() private pure returns (address) {
        return vm.addr(uint256(keccak256("reporter")));
    }
}
