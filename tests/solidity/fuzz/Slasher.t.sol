// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {FaultKind, ISlasher} from "contracts/interfaces/ISlasher.sol";

import {SlashingFixture} from "../harness/SlashingFixture.sol";

/// @notice Rates against the formula in exact arithmetic, orders of proofs against each other and against a reference that
/// is computed from all of them at once.
abstract contract SlasherFuzz is SlashingFixture {
    address private constant ALICE = address(0xA11CE);
    uint32 private constant COUNT = 5;
    uint256 private constant PROOFS = 14;
    uint32 private constant FIRST = 8;
    uint32 private constant LAST = 16;
    /// @dev What Alice takes out of each pool in each epoch from 7 on, before the last one.
    uint256 private constant LEFT = 20e18;
    /// @dev What stays in a pool, of Alice and of its owner.
    uint256 private constant STAYED = 1020e18;
    /// @dev Each slash rounds a fraction to 1e-18 of a pool of 1e21 wei, and what it takes by a wei.
    uint256 private constant ROUNDING = 1001;

    struct Proof {
        uint32 id;
        uint32 sigma;
        uint64 weight;
    }

    function setUp() public {
        _deploySlashing(8, 16);
        _start(COUNT, 7);
        for (uint32 id = 1; id <= COUNT; ++id) {
            _delegate(ALICE, id, (LAST - 7) * LEFT + STAYED - 1000e18);
        }
        for (uint32 epoch = 7; epoch < LAST; ++epoch) {
            for (uint32 id = 1; id <= COUNT; ++id) {
                _undelegate(ALICE, id, LEFT);
            }
            _freezeUntil(epoch + 1, epoch + 1);
        }
    }

    function _correlation() internal pure virtual returns (uint32);

    function _slasherConfig() internal view override returns (ISlasher.Config memory config) {
        config = super._slasherConfig();
        config.correlationEpochs = _correlation();
    }

    /// @notice `max(5 %, 9 · share²)` and never above 100 %, of a share rounded up to 1e-9.
    function testFuzz_rate(uint64 weight, uint64 total) public {
        total = uint64(bound(total, 1, type(uint64).max / 3));
        weight = uint64(bound(weight, 1, total));
        uint256 taken = _convict(1, LAST, weight, total);
        uint256 rate = slashing.convictionOf(1).rate;
        assertLe(rate, WAD);
        assertGe(rate, 0.05e18);
        // 9 w²/t² with 512 bits to spare: weights have 64.
        (uint256 w, uint256 t) = (weight, total);
        uint256 exact = 9 * w * w * WAD / (t * t);
        if (3 * w >= t) assertEq(rate, WAD);
        else assertGe(rate, exact);
        // A share is at most 1e-9 too large, and below a third: 9 · share² at most 6e-9 more.
        if (exact > 0.05e18 && rate < WAD) assertLe(rate, exact + 6.1e9);
        assertEq(taken, _lossUp(STAYED, rate) + _lossUp(LEFT, rate), "the pool, and who left as the set began");
    }

    /// @notice S4: any proofs in any order, with top-ups whenever somebody sends one, end at the rates of the reference, for
    /// the pool and for who left in any epoch, and take from each what one slash at that rate would, up to rounding.
    function testFuzz_S4_anyOrder(uint256 seed) public {
        Proof[] memory proofs = new Proof[](PROOFS);
        for (uint256 i = 0; i < PROOFS; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            proofs[i] = Proof(
                1 + uint32(dice % COUNT),
                FIRST + uint32((dice >> 32) % (LAST - FIRST + 1)),
                uint64(1 + (dice >> 64) % (dice >> 96 & 3 == 0 ? 300 : 120))
            );
        }
        uint256 start = vm.snapshotState();
        _play(proofs, uint256(keccak256(abi.encode(seed, "one"))));
        vm.revertToState(start);
        _play(proofs, uint256(keccak256(abi.encode(seed, "other"))));
    }

    /// @dev Pool and cohorts of an operator are as after one slash each, of what is due from who backed the sets up to then.
    function _checkPaid(Proof[] memory proofs, uint32 id) private view {
        uint256 rate = _reference(proofs, id, type(uint32).max);
        ISlasher.Conviction memory conviction = slashing.convictionOf(id);
        assertEq(conviction.rate, rate, "the reference");
        (uint256 tokens,) = vault.pool(id);
        (uint256 thawing,) = vault.thawOf(id, LAST);
        _checkLeft(STAYED, tokens + thawing, rate);
        uint256 left = tokens + thawing + conviction.taken;
        for (uint32 epoch = 7; epoch < LAST; ++epoch) {
            (tokens,) = vault.thawOf(id, epoch);
            _checkLeft(LEFT, tokens, _reference(proofs, id, epoch + 1));
            left += tokens;
        }
        assertEq(left, STAYED + (LAST - 7) * LEFT, "nothing is lost");
        assertFalse(slashing.isTopUpDue(id));
        assertEq(slashing.topUpDue(id), 0);
    }

    function _checkLeft(uint256 before, uint256 left, uint256 rate) private pure {
        uint256 atOnce = before * (WAD - rate) / WAD;
        assertLe(left, atOnce, "rounded up, what was taken");
        assertGe(left + 2 * PROOFS * ROUNDING, atOnce, "as in one slash at the final rate");
        if (rate == 0) assertEq(left, before, "left before any fault");
    }

    /// @notice S3: leaving between fault and proof, or between proof and top-up, lowers nothing.
    function testFuzz_S3_leavingDoesNotHelp(uint256 leaves, uint256 thenLeaves) public {
        uint256 start = vm.snapshotState();
        uint256 stayed = _convict(1, LAST, 1, 8);
        stayed += _raise();
        vm.revertToState(start);
        _undelegate(_owner(0), 1, bound(leaves, 1, 999e18));
        _toEpoch(LAST + 1);
        uint256 left = _convict(1, LAST, 1, 8);
        uint256 units = vault.units(1, _owner(0));
        _undelegate(_owner(0), 1, bound(thenLeaves, 1, units));
        left += _raise();
        assertGe(left + 2000, stayed);
        assertLe(left, stayed + 4000);
    }

    function _raise() private returns (uint256) {
        _convict(2, LAST, 1, 8);
        return slashing.topUp(1);
    }

    /// @dev The rate of an operator by all proofs at once, for stake that backed the sets up to `last`: for each of its own
    /// under those, of each operator the largest share in the window. Of proofs of one operator under one set the first counts; `_play` keeps those apart.
    function _reference(Proof[] memory proofs, uint32 id, uint32 last) private pure returns (uint256 rate) {
        for (uint256 i = 0; i < proofs.length; ++i) {
            if (proofs[i].id != id || proofs[i].sigma > last) continue;
            uint256 sum;
            for (uint32 j = 1; j <= COUNT; ++j) {
                uint256 largest;
                for (uint256 k = 0; k < proofs.length; ++k) {
                    if (proofs[k].id != j || _distance(proofs[k].sigma, proofs[i].sigma) > _correlation()) continue;
                    uint256 share = uint256(_weightOf(proofs, k)) * WAD / 1000;
                    if (share > largest) largest = share;
                }
                sum += largest;
            }
            uint256 here = 3 * sum >= WAD ? WAD : 9 * sum * sum / WAD;
            if (here < 0.05e18) here = 0.05e18;
            if (here > rate) rate = here;
        }
    }

    /// @dev An operator has one weight in a set.
    function _weightOf(Proof[] memory proofs, uint256 index) private pure returns (uint64) {
        for (uint256 i = 0; i < index; ++i) {
            if (proofs[i].id == proofs[index].id && proofs[i].sigma == proofs[index].sigma) return proofs[i].weight;
        }
        return proofs[index].weight;
    }

    function _distance(uint32 a, uint32 b) private pure returns (uint32) {
        return a > b ? a - b : b - a;
    }

    /// @dev Brings all proofs in a random order, with undelegations and top-ups at random times between; then raises what
    /// is due.
    function _play(Proof[] memory proofs, uint256 dice) private {
        uint256[] memory order = new uint256[](PROOFS);
        for (uint256 i = 0; i < PROOFS; ++i) {
            uint256 j = (dice >> (8 * i)) % (i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        for (uint256 i = 0; i < PROOFS; ++i) {
            uint256 now_ = uint256(keccak256(abi.encode(dice, i)));
            _prove(proofs, order[i]);
            uint32 any = uint32(now_ % COUNT) + 1;
            uint256 units = vault.units(any, _owner(any - 1));
            if ((now_ >> 32) % 4 == 0 && units != 0) _undelegate(_owner(any - 1), any, units / 3 + 1);
            any = uint32((now_ >> 64) % COUNT) + 1;
            if (slashing.isTopUpDue(any)) slashing.topUp(any);
        }
        uint256 all;
        for (uint32 id = 1; id <= COUNT; ++id) {
            if (slashing.isTopUpDue(id)) slashing.topUp(id);
            _checkPaid(proofs, id);
            all += slashing.convictionOf(id).taken;
        }
        assertEq(token.balanceOf(escrow), all, "all that was taken is in the escrow");
    }

    /// @dev Old sets, too: amnesia is judged as long as the stake is there.
    function _prove(Proof[] memory proofs, uint256 index) private {
        Proof memory proof = proofs[index];
        ISlasher.Offence memory offence = _offence(proof.id, proof.sigma, _weightOf(proofs, index), 1000);
        offence.kind = FaultKind.AMNESIA;
        if (slashing.isProven(proof.id, proof.sigma)) {
            vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_AlreadyConvicted.selector, proof.id, proof.sigma));
        }
        vm.prank(voteFault);
        slashing.convict(offence);
    }
}

contract SlasherFuzzTest is SlasherFuzz {
    function _correlation() internal pure override returns (uint32) {
        return 2;
    }
}

contract SlasherFuzzNoWindowTest is SlasherFuzz {
    function _correlation() internal pure override returns (uint32) {
        return 0;
    }
}

contract SlasherFuzzWiderTest is SlasherFuzz {
    function _correlation() internal pure override returns (uint32) {
        return 3;
    }
}

contract SlasherFuzzWidestTest is SlasherFuzz {
    function _correlation() internal pure override returns (uint32) {
        return 16;
    }
}
