// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {console, Test} from "forge-std/Test.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";
import {RewardHandler} from "./RewardHandler.sol";

/// @notice F3 and W1 to W5 over any order of actions on a whole network, slashes among them.
/// forge-config: default.invariant.fail-on-revert = true
contract RewardsInvariants is Test {
    RewardHandler internal handler;
    IRewardVault internal vault;
    IERC20 internal token;
    IStakeVault internal stakeVault;
    IBatchChain internal batchChain;
    address internal poster;

    function setUp() public {
        handler = new RewardHandler();
        (address v, address t, address s, address c, address p) = handler.addresses();
        (vault, token, stakeVault, batchChain, poster) = (IRewardVault(v), IERC20(t), IStakeVault(s), IBatchChain(c), p);
        bytes4[] memory selectors = new bytes4[](18);
        selectors[0] = RewardHandler.delegate.selector;
        selectors[1] = RewardHandler.undelegate.selector;
        selectors[2] = RewardHandler.endEpoch.selector;
        selectors[3] = RewardHandler.passEpoch.selector;
        selectors[4] = RewardHandler.open.selector;
        selectors[5] = RewardHandler.credit.selector;
        selectors[6] = RewardHandler.claim.selector;
        selectors[7] = RewardHandler.claimCommission.selector;
        selectors[8] = RewardHandler.claimPosting.selector;
        selectors[9] = RewardHandler.fund.selector;
        selectors[10] = RewardHandler.changeCommission.selector;
        selectors[11] = RewardHandler.retireOne.selector;
        selectors[12] = RewardHandler.donate.selector;
        // twice as likely: what moves rewards
        selectors[13] = RewardHandler.credit.selector;
        selectors[14] = RewardHandler.open.selector;
        selectors[15] = RewardHandler.claim.selector;
        selectors[16] = RewardHandler.claim.selector;
        selectors[17] = RewardHandler.slash.selector;
        targetSelector(FuzzSelector(address(handler), selectors));
        targetContract(address(handler));
    }

    /// @dev One campaign asserts them all. Every account is looked at when a run ends; after each call, the one whose turn
    /// it is.
    function invariant_rewards() public view {
        uint256 turn = handler.calls();
        (uint32 id, address account) = (handler.idOf(turn), handler.accountOf(turn / handler.operators()));
        assertLe(_checkAccount(id, account), _unclaimed(), "W1");
        // F3: what is credited is there, and the reserve and the open epoch beside it.
        assertGe(
            token.balanceOf(address(vault)),
            _unclaimed() + _commissions() + vault.claimablePosting(poster) + vault.reserve() + handler.openRemaining(),
            "F3"
        );
        // F3: the principal is another vault's, whole.
        assertGe(token.balanceOf(address(stakeVault)), stakeVault.totalStaked(), "F3");
        // F3: slashes take from principal, and from nothing else.
        assertEq(token.balanceOf(handler.escrow()), handler.slashed(), "F3");
        // W1: each FINAL tally is credited once, in order.
        (bool open,,) = vault.creditDue();
        assertEq(handler.epochsCredited(), vault.nextTally() - (open ? 1 : 0), "W1: each opened epoch once");
        assertLe(vault.nextTally(), handler.talliesFinal(), "W1");
        assertEq(batchChain.tallyCount(), handler.talliesFinal());
        assertTrue(handler.ordered(), "W1: in order, everything accounted for");
        // W4: emission is what the reserve has, never more.
        assertTrue(handler.emissionExact(), "W4");
        assertEq(vault.reserve(), handler.modelReserve(), "W4");
    }

    function _unclaimed() private view returns (uint256) {
        return handler.creditedToPools() - handler.paidToPools();
    }

    function _commissions() private view returns (uint256 sum) {
        for (uint256 i = 0; i < handler.operators(); ++i) {
            sum += vault.claimableCommission(handler.idOf(i));
        }
    }

    /// @dev W1, W2, W3, W5: whatever the order of claims and credits, an account has received or can claim what its units
    /// of each credited epoch earned, and nothing else, but for one wei for each rounding.
    function _checkAccount(uint32 id, address account) private view returns (uint256 claimable) {
        claimable = vault.claimable(id, account);
        uint256 has = handler.paid(id, account) + claimable;
        uint256 owed = handler.owed(id, account) / 1e27;
        assertLe(has, owed, "W1, W2: more than earned");
        uint256 stretches = stakeVault.unitsCheckpointCount(id, account);
        assertGe(has + handler.roundings(id, account) + stretches + 1, owed, "W1, W3, W5: less than earned");
    }

    /// @dev W3 to the end: everyone claims everything, in an order that depends on the run, and gets what was due; then
    /// nothing is left but the reserve, what is open, gifts and roundings.
    function afterInvariant() public {
        uint256 ids = handler.operators();
        uint256 count = ids * handler.accounts();
        uint256 claimable;
        for (uint256 n = 0; n < count; ++n) {
            claimable += _checkAccount(handler.idOf(n % ids), handler.accountOf(n / ids));
        }
        assertLe(claimable, _unclaimed(), "W1");
        uint256 offset = uint256(keccak256(abi.encode(handler.paidToPools()))) % count;
        for (uint256 k = 0; k < count; ++k) {
            uint256 n = (k * 5 + offset) % count;
            (uint32 id, address account) = (handler.idOf(n % ids), handler.accountOf(n / ids));
            uint256 due = vault.claimable(id, account);
            assertEq(vault.claim(id, account, type(uint256).max), due, "W3");
            assertEq(vault.claimable(id, account), 0);
        }
        for (uint256 i = 0; i < ids; ++i) {
            vault.claimCommission(handler.idOf(i));
        }
        vault.claimPosting(poster);
        assertGe(token.balanceOf(address(vault)), vault.reserve() + handler.openRemaining(), "F3");
        _report();
    }

    function _report() private view {
        bytes32[11] memory actions = [
            bytes32("delegate"),
            "undelegate",
            "endEpoch",
            "open",
            "credit",
            "claim",
            "claimCommission",
            "claimPosting",
            "changeCommission",
            "retireOne",
            "slash"
        ];
        for (uint256 i = 0; i < actions.length; ++i) {
            console.log(string(abi.encodePacked(actions[i])), handler.done(actions[i]), handler.idle(actions[i]));
        }
    }
}
