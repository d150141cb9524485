// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";
import {console} from "forge-std/console.sol";

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {StakingHandler} from "./StakingHandler.sol";

/// @notice One campaign for the staking domain. Invariants by number: F1 F2 F4 F5 F7 R1 R2 R3 R4 E1 E2 E3 E4 E5 (F6, S2, S3
/// and S4 by fuzzing, L1 to L3 with the schedule). Rules about single actions are asserted in the handler, where a failing
/// assertion is a revert, and reverts fail the campaign.
/// forge-config: default.invariant.fail-on-revert = true
contract StakingInvariants is Test {
    StakingHandler private handler;
    ISequencerRegistry private registry;
    IStakeVault private vault;
    ISequencerSet private set;
    address private token;

    /// @dev Changes with every check, to spread the questions about the past.
    uint256 private dice;

    function setUp() public {
        handler = new StakingHandler();
        (registry, vault, set, token,) = handler.contracts();
        bytes4[] memory selectors = new bytes4[](21);
        selectors[0] = handler.delegate.selector;
        selectors[1] = handler.undelegate.selector;
        selectors[2] = handler.claim.selector;
        selectors[3] = handler.donate.selector;
        selectors[4] = handler.slash.selector;
        selectors[5] = handler.jail.selector;
        selectors[6] = handler.register.selector;
        selectors[7] = handler.rotate.selector;
        selectors[8] = handler.setCommission.selector;
        selectors[9] = handler.unjail.selector;
        selectors[10] = handler.retire.selector;
        selectors[11] = handler.handOver.selector;
        selectors[12] = handler.setReady.selector;
        selectors[13] = handler.takeSeat.selector;
        selectors[14] = handler.takeDueSeat.selector;
        selectors[15] = handler.leaveSeat.selector;
        selectors[16] = handler.freeze.selector;
        selectors[17] = handler.warp.selector;
        selectors[18] = handler.keeperEpoch.selector;
        selectors[19] = handler.pause.selector;
        selectors[20] = handler.govern.selector;
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
        targetContract(address(handler));
    }

    /// @notice The state after every action (F4 F5 R1 R2 R4 E1 E2 E3 E4 E5); single actions are judged in the handler (F7 R3 and
    /// again F4 F5 E3 E4), the whole history in `afterInvariant` (F1 F2).
    function invariant_F1_F2_F4_F5_F7_R1_R2_R3_R4_E1_E2_E3_E4_E5() public {
        dice = uint256(keccak256(abi.encode(dice, block.timestamp)));
        (,,,, uint32 epoch) = handler.contracts();
        uint32 count = registry.operatorCount();
        uint256 staked = 0;
        for (uint32 id = 1; id <= count; ++id) {
            // F4, F5: no action but the booked ones changed a pool; the price of a unit is at most one wei.
            (uint256 tokens, uint256 units) = vault.pool(id);
            (uint256 bookedTokens, uint256 bookedUnits) = handler.poolOf(id);
            assertEq(tokens, bookedTokens, "F4: tokens changed by themselves");
            assertEq(units, bookedUnits, "F4: units changed by themselves");
            assertLe(tokens, units, "F4: a unit is worth more than a wei");
            staked += tokens;
        }
        assertEq(vault.totalStaked(), staked, "F2: sum of the pools");

        uint32 one = uint32(dice % count) + 1;
        uint32 past = uint32((dice >> 32) % (epoch + 3));
        address who = handler.accountAt(dice >> 64);
        _checkPast(one, past, who);
        _checkKeys(dice >> 128);
        _checkSets(epoch, uint32((dice >> 160) % (epoch + 2)));
    }

    /// @notice F1 F2 and the whole history at the end of each run; prints what the run did.
    function afterInvariant() public view {
        (,,,, uint32 epoch) = handler.contracts();
        uint256 held = 0;
        for (uint32 id = 1; id <= registry.operatorCount(); ++id) {
            (uint256 tokens,) = vault.pool(id);
            held += tokens;
            for (uint32 c = 0; c <= epoch; ++c) {
                uint256 shares;
                (tokens, shares) = vault.thawOf(id, c);
                held += tokens;
                assertLe(tokens, shares, "F4: a share is worth more than a wei");
                uint256 owned = 0;
                for (uint256 i = 0; shares != 0 && i < handler.accounts(); ++i) {
                    owned += vault.thawSharesOf(id, c, handler.accountAt(i));
                }
                assertEq(owned, shares, "F1: shares without owner");
            }
            _checkUnits(id, epoch);
        }
        assertEq(IERC20(token).balanceOf(address(vault)), held + handler.donated(), "F1");
        assertEq(handler.deposited(), handler.withdrawn() + handler.slashed() + held, "F2");

        uint32[] memory frozen = handler.frozen();
        for (uint256 i = 0; i < frozen.length; ++i) {
            assertEq(set.setHash(frozen[i]), handler.frozenHash(frozen[i]), "E1");
        }
        bytes32[] memory actions = handler.actions();
        for (uint256 i = 0; i < actions.length; ++i) {
            (uint256 succeeded, uint256 refused) = handler.calls(actions[i]);
            console.log(string(abi.encodePacked(actions[i])), succeeded, refused);
        }
    }

    /// @dev R2, R4, E2: signer, commission, pool and units of any epoch are what was announced for it, then and for ever.
    function _checkPast(uint32 id, uint32 epoch, address who) private view {
        if (handler.hasSignerAt(id, epoch)) {
            assertEq(registry.signerAt(id, epoch), handler.signerAt(id, epoch), "R2: signer");
        } else {
            assertEq(registry.signerAt(id, epoch), address(0), "R2: signer before its time");
        }
        assertEq(registry.commissionAt(id, epoch), handler.commissionAt(id, epoch), "R4: commission");
        assertLe(registry.commissionAt(id, epoch), registry.maxCommission(), "R4: above the maximum");
        (uint256 tokens,) = vault.poolAt(id, epoch);
        assertEq(tokens, handler.weightAt(id, epoch), "E2: pool");
        assertEq(vault.unitsAt(id, who, epoch), handler.unitsAt(id, who, epoch), "E2: units");
    }

    /// @dev R1: a key once bound stays with its id.
    function _checkKeys(uint256 index) private view {
        (address signer, uint32 id) = handler.keyAt(index);
        assertEq(registry.idOfKey(signer), id, "R1");
    }

    function _checkSets(uint32 epoch, uint32 any) private view {
        // E1: what was frozen stays, what was not frozen in time stays empty.
        assertEq(set.setHash(any), handler.frozenHash(any), "E1");
        // E3: newcomers in place of members of the frozen set.
        assertLe(handler.newcomers(epoch), set.churnBudget(), "E3");
        // E4: one seat per operator, both ways.
        for (uint8 i = 0; i < set.MAX_SEATS(); ++i) {
            uint32 id = set.seats(i);
            if (id == 0) continue;
            (bool seated, uint8 seat) = set.seatOf(id);
            assertTrue(seated && seat == i, "E4: two seats");
            assertTrue(set.isReady(id), "E3: seated without being ready");
        }
        // E5: from the first set on there is always one.
        uint32 serving = set.frozenEpochAt(epoch < 7 ? 7 : epoch);
        assertGe(serving, 7, "E5");
        assertGt(set.memberCount(serving), 0, "E5: empty set");
        assertTrue(set.frozenAt(serving));
    }

    /// @dev The units of all delegators are the units of the pool, in every epoch (what rewards are divided by).
    function _checkUnits(uint32 id, uint32 epoch) private view {
        for (uint32 e = epoch > 8 ? epoch - 8 : 0; e <= epoch + 2; ++e) {
            (, uint256 units) = vault.poolAt(id, e);
            uint256 sum = 0;
            for (uint256 i = 0; i < handler.accounts(); ++i) {
                sum += vault.unitsAt(id, handler.accountAt(i), e);
            }
            assertEq(sum, units, "W1: units of the pool");
        }
    }
}
