// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {FaultKind, ISlasher} from "contracts/interfaces/ISlasher.sol";
import {ALL_LATER} from "contracts/interfaces/IStakeVault.sol";

import {SlashingFixture} from "../harness/SlashingFixture.sol";

/// @notice S4 for stake that left between faults of one operator: it pays for what is proven under the sets it backed, no
/// more and no less, whatever comes first. Faults are three epochs apart, so that they do not raise each other.
contract SlasherCohortsTest is SlashingFixture {
    address private constant ALICE = address(0xA11CE);
    uint256 private constant LEFT = 100e18;
    uint32 private constant LAST = 17;

    /// @dev Under 10, 13 and 16: 9 %, 36 % and 81 % if alone.
    uint32[3] private _sigmas = [uint32(10), 13, 16];
    uint64[3] private _tenths = [uint64(1), 2, 3];

    function setUp() public {
        _deploySlashing(8, 16);
        _start(2, 8);
        _delegate(ALICE, 1, 2000e18);
        for (uint32 epoch = 8; epoch < LAST; ++epoch) {
            _undelegate(ALICE, 1, LEFT);
            _freezeUntil(epoch + 1, epoch + 1);
        }
    }

    function test_S4_twoProofsInEitherOrder() public {
        uint256[3] memory rates = [uint256(0.09e18), 0.36e18, 0];
        uint256 start = vm.snapshotState();
        assertEq(_prove(0), _lossUp(2100e18, 0.09e18) + 8 * 9e18, "the pool, and who left in 9 to 16");
        _prove(1);
        _check(rates);
        vm.revertToState(start);
        uint256 seq = vault.slashSeq();
        _prove(1);
        assertEq(_prove(0), 27e18, "9 % of who left in 9, 10 and 11");
        _checkLast(seq + 2, 10, 13, 0.09e18);
        _check(rates);
        assertEq(slashing.convictionOf(1).rate, 0.36e18, "the pool paid it before");
    }

    /// @dev The earlier fault is the worse one: who stayed pays the difference, who left in between all of it.
    function test_S4_theEarlierOneCallsForMore() public {
        _tenths = [uint64(2), 1, 0];
        uint256 start = vm.snapshotState();
        _prove(0);
        assertEq(_prove(1), 0, "they paid more");
        uint256[3] memory rates = [uint256(0.36e18), 0.36e18, 0];
        _check(rates);
        vm.revertToState(start);
        uint256 seq = vault.slashSeq();
        _prove(1);
        _prove(0);
        _checkLast(seq + 2, 10, 13, 0.36e18);
        _checkLast(seq + 3, 13, ALL_LATER, uint256(0.27e18 * WAD - 1) / 0.91e18 + 1);
        _check(rates);
    }

    /// @dev Two faults that call for the same: the second proof takes it from who left between them.
    function test_S4_theSameRateUnderTwoSets() public {
        _tenths = [uint64(1), 1, 0];
        _prove(1);
        uint256 rewarded = slashEscrow.rewardOf(reporter);
        assertEq(_prove(0), 27e18);
        assertEq(slashEscrow.rewardOf(reporter), rewarded, "S9: nobody is paid for what only who left pays");
        assertEq(slashing.convictionOf(1).rate, 0.09e18);
        uint256[3] memory rates = [uint256(0.09e18), 0.09e18, 0];
        _check(rates);
    }

    function test_S4_threeProofsInAnyOrder() public {
        uint8[3][6] memory orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        uint256[3] memory rates = [uint256(0.09e18), 0.36e18, 0.81e18];
        uint256 start = vm.snapshotState();
        for (uint256 shape = 0; shape < 3; ++shape) {
            // Rising, falling, and the one in the middle lowest.
            if (shape == 1) (_tenths, rates) = ([uint64(3), 2, 1], [uint256(0.81e18), 0.81e18, 0.81e18]);
            if (shape == 2) (_tenths, rates) = ([uint64(2), 1, 3], [uint256(0.36e18), 0.36e18, 0.81e18]);
            uint64[3] memory tenths = _tenths;
            for (uint256 i = 0; i < orders.length; ++i) {
                for (uint256 k = 0; k < 3; ++k) {
                    _prove(orders[i][k]);
                }
                _check(rates);
                vm.revertToState(start);
                _tenths = tenths;
            }
        }
    }

    /// @dev What another operator's proof makes due can be due of who left only: the pool paid as much for a later fault.
    function test_S4_topUpOfWhoLeftOnly() public {
        _tenths = [uint64(1), 2, 0];
        _prove(1);
        _prove(0);
        assertFalse(slashing.isTopUpDue(1));
        // A tenth more within reach of 10, not of 13: 36 % there, too.
        _convictOther(8, 1);
        assertEq(slashing.topUpDue(1), 0, "nothing of the pool");
        (uint256 rate, uint32 sigma) = slashing.rateDue(1);
        assertEq(rate, 0.36e18);
        assertEq(sigma, 10);
        assertTrue(slashing.isTopUpDue(1));
        ISlasher.Slash[] memory due = slashing.slashesDue(1);
        assertEq(due.length, 1);
        assertEq(due[0].sigma, 10);
        assertEq(due[0].before, 13);
        uint256 extra = uint256(0.27e18 * WAD - 1) / 0.91e18 + 1;
        assertEq(due[0].fraction, extra);
        uint256 expected = 3 * _lossUp(91e18, extra);
        vm.expectEmit(address(slashing));
        emit ISlasher.ToppedUp(1, 10, 0.36e18, expected);
        assertEq(slashing.topUp(1), expected);
        uint256[3] memory rates = [uint256(0.36e18), 0.36e18, 0];
        _check(rates);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NothingToTopUp.selector, 1, 0.36e18));
        slashing.topUp(1);
    }

    /// @dev A proof takes what it calls for itself. What another one made due waits for a top-up, which pays nobody.
    function test_S9_aProofDoesNotTakeWhatIsDueForAnother() public {
        _tenths = [uint64(1), 0, 1];
        _prove(0);
        _convictOther(8, 1);
        assertEq(slashing.topUpDue(1), uint256(0.27e18 * WAD - 1) / 0.91e18 + 1);
        assertEq(_prove(2), 0, "9 % are paid, 27 % more are due for 10");
        uint256 rewarded = slashEscrow.rewardOf(reporter);
        slashing.topUp(1);
        assertEq(slashEscrow.rewardOf(reporter), rewarded);
        uint256[3] memory rates = [uint256(0.36e18), 0, 0];
        _check(rates);
    }

    /// @dev One slash goes over proofs that change nothing, and an entry of the log is as long as can be.
    function test_topUp_isNotCutWhereNothingChanges() public {
        _tenths = [uint64(1), 1, 1];
        _prove(2);
        _prove(1);
        _prove(0);
        _convictOther(8, 2);
        ISlasher.Slash[] memory due = slashing.slashesDue(1);
        assertEq(due.length, 1);
        assertEq(due[0].sigma, 10);
        assertEq(due[0].before, ALL_LATER);
        uint256 seq = vault.slashSeq();
        slashing.topUp(1);
        assertEq(vault.slashSeq(), seq + 1);
        uint256[3] memory rates = [uint256(0.81e18), 0.81e18, 0.81e18];
        _check(rates);
        ISlasher.Proof[] memory proofs = slashing.proofsOf(1);
        assertEq(proofs.length, 3);
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(proofs[i].sigma, _sigmas[i]);
            assertEq(proofs[i].share, 0.1e9);
            assertEq(proofs[i].paid, i == 0 ? 0.81e18 : 0.09e18, "what was taken for it");
        }
    }

    /// @dev S6: as many sets as can be proven against one operator, latest first: the longest staircase there is.
    function test_S6_everySetOfAnOperator() public {
        _toEpoch(LAST);
        for (uint32 sigma = LAST; sigma >= LAST - UNBONDING; --sigma) {
            // forge-lint: disable-next-line(unsafe-typecast)
            _convictRaw(1, sigma, uint64(LAST - sigma + 1) * 35);
        }
        assertEq(slashing.proofsOf(1).length, UNBONDING + 1);
        assertEq(slashing.convictionOf(1).proofs, UNBONDING + 1);
        assertEq(slashing.convictionOf(1).firstSigma, LAST - UNBONDING);
        assertEq(slashing.convictionOf(1).lastSigma, LAST);
        for (uint32 sigma = LAST; sigma >= LAST - UNBONDING; --sigma) {
            assertTrue(slashing.isProven(1, sigma));
        }
        assertFalse(slashing.isProven(1, 0), "an epoch of its own, not what an empty list says");
    }

    /// @dev `sigma` of proof `which`, by the module of a kind that is judged as long as stake is there.
    function _prove(uint256 which) private returns (uint256) {
        return _convictRaw(1, _sigmas[which], _tenths[which] * 100);
    }

    /// @dev The second operator, under a set that 10 sees and 13 does not.
    function _convictOther(uint32 sigma, uint64 tenths) private {
        _convictRaw(2, sigma + 1, tenths * 100);
    }

    function _convictRaw(uint32 id, uint32 sigma, uint64 thousandths) private returns (uint256) {
        ISlasher.Offence memory offence = _offence(id, sigma, thousandths, 1000);
        offence.kind = FaultKind.AMNESIA;
        vm.prank(voteFault);
        return slashing.convict(offence);
    }

    /// @dev Who left backed two sets, its own epoch's and the next one's. `rates` is what the faults under 10, 13 and 16 call
    /// for in all; 0: no more than the ones before.
    function _check(uint256[3] memory rates) private view {
        for (uint32 epoch = 8; epoch < LAST; ++epoch) {
            uint256 rate = 0;
            for (uint256 i = 0; i < 3; ++i) {
                if (_sigmas[i] <= epoch + 1 && rates[i] > rate) rate = rates[i];
            }
            (uint256 left,) = vault.thawOf(1, epoch);
            _checkLeft(LEFT, left, rate);
        }
        uint256 highest = rates[0];
        for (uint256 i = 1; i < 3; ++i) {
            if (rates[i] > highest) highest = rates[i];
        }
        (uint256 tokens,) = vault.pool(1);
        _checkLeft(3000e18 - (LAST - 8) * LEFT, tokens, highest);
        assertEq(slashing.convictionOf(1).rate, highest);
        assertFalse(slashing.isTopUpDue(1));
        assertEq(slashing.slashesDue(1).length, 0);
    }

    function _checkLeft(uint256 before, uint256 left, uint256 rate) private pure {
        uint256 atOnce = before * (WAD - rate) / WAD;
        assertLe(left, atOnce);
        assertGe(left + 10_000, atOnce);
    }

    function _checkLast(uint256 seq, uint32 sigma, uint32 before, uint256 fraction) private view {
        (uint32 id, uint32 sigma_, uint32 before_, uint256 fraction_) = vault.slashAt(seq);
        assertEq(id, 1);
        assertEq(sigma_, sigma);
        assertEq(before_, before);
        assertEq(fraction_, fraction);
    }
}
