// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {FaultKind, ISlasher} from "contracts/interfaces/ISlasher.sol";
import {ALL_LATER, IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {SlashingFixture} from "../harness/SlashingFixture.sol";

/// @notice Drives slasher, escrow and vault with faults of several operators in every order, while delegators come and go,
/// and keeps its own books: which sets served when, who was convicted under which of them, which absences count. Whether an action
/// may succeed, and exactly what it takes, follows from the books; an answer that differs is a failure.
contract SlashingHandler is SlashingFixture {
    uint256 public constant DELEGATORS = 3;
    uint256 public constant MAX_OPERATORS = 24;
    uint8 public constant SEATS = 6;
    uint64 private constant TOTAL = 1000;
    uint256 private constant FEE = 1e18 + 1;

    struct Proof {
        uint32 id;
        uint32 sigma;
        uint256 share;
    }

    struct Absence {
        uint32 sigma;
        uint32 reportedIn;
        uint256 appealUntil;
        bool vetoed;
        bool slashed;
    }

    struct Ticket {
        uint32 id;
        uint32 cohort;
        address who;
    }

    /// @dev All token wei that left the vault by a slash; what the escrow should have made of it.
    uint256 public taken;
    uint256 public rewarded;
    /// @dev The owner's stake in the pool before the action.
    uint256 private _bond;
    /// @dev Paid by operators that came back from jail.
    uint256 public fees;
    uint256 public deposited;
    uint256 public withdrawn;
    /// @dev What left the escrow again.
    uint256 public paidOut;

    Proof[] private _proofs;
    mapping(uint32 id => mapping(uint32 sigma => bool)) private _proven;
    /// @dev In the order of their first conviction.
    uint32[] private _convicts;
    /// @dev The highest rate that was ever taken for a proof, 1e18 = all: stake that backed the set paid that much at least.
    mapping(uint32 id => mapping(uint32 sigma => uint256 rate)) private _paid;
    mapping(uint32 id => Absence[] list) private _absences;
    uint32[] private _frozen;
    Ticket[] private _tickets;
    bytes32[] private _actions;
    mapping(bytes32 action => uint256[2] counts) private _calls;

    constructor() {
        _deploySlashing(SEATS, 16);
        slashEscrow.setCoverFund(makeAddr("cover fund"));
        _toEpoch(5);
        for (uint256 i = 0; i < 4; ++i) {
            _operator(i, 1000e18 * (i + 1));
            deposited += 1000e18 * (i + 1);
        }
        _toEpoch(6);
        for (uint32 id = 1; id <= 4; ++id) {
            set.takeSeat(id, uint8(id - 1));
        }
        _freeze(7);
        _frozen.push(7);
        _toEpoch(7);
    }

    function _unjailFee() internal pure override returns (uint256) {
        return FEE;
    }

    // --- stakers

    function delegate(uint256 who, uint256 which, uint256 amount) external {
        uint32 id = _id(which);
        address account = _account(who);
        amount = _bound(amount, 1, MAX_POOL / 8);
        _fund(account, amount);
        vm.prank(account);
        try vault.delegate(id, amount) {
            _count("delegate", true);
            assertFalse(_isConvicted(id), "stake for a convict");
            deposited += amount;
        } catch {
            _count("delegate", false);
            vm.prank(account);
            token.transfer(address(this), amount);
        }
    }

    /// @dev Between fault and proof, between proof and top-up: it never helps, and it is never refused.
    function undelegate(uint256 who, uint256 which, uint256 units) external {
        uint32 id = _id(which);
        address account = who % 2 == 0 ? registry.ownerOf(id) : _account(who);
        uint256 held = vault.units(id, account);
        if (held == 0) return;
        vm.prank(account);
        (, uint32 cohort, uint256 shares) = vault.undelegate(id, units % 4 == 0 ? held : _bound(units, 1, held));
        _count("undelegate", true);
        if (shares != 0) _tickets.push(Ticket(id, cohort, account));
    }

    function claim(uint256 which) external {
        if (_tickets.length == 0) return;
        which %= _tickets.length;
        Ticket memory ticket = _tickets[which];
        if (block.timestamp < vault.claimableFrom(ticket.cohort)) return;
        _tickets[which] = _tickets[_tickets.length - 1];
        _tickets.pop();
        // Two tickets for one cohort are paid at once.
        if (vault.thawSharesOf(ticket.id, ticket.cohort, ticket.who) == 0) return;
        vm.prank(ticket.who);
        withdrawn += vault.claim(ticket.id, ticket.cohort);
        _count("claim", true);
    }

    // --- equivocation

    /// @dev S1, S2, S4, S6, S9: refused only for age, a set that has not started or an earlier conviction under it;
    /// otherwise exactly what lacks to the rate of the formula over the books, of exactly the pool and each cohort in reach.
    function convict(uint256 which, uint256 age, uint256 weight, bool amnesia) external {
        uint32 id = _id(which);
        // Of new ones few, or nobody would be left; others again and again.
        if (which % 3 == 1 && _convicts.length != 0) id = _convicts[which % _convicts.length];
        else if (which % 3 != 0) return;
        ISlasher.Offence memory offence =
            _offence(id, _sigma(age), uint64(_bound(weight, 1, weight % 4 == 0 ? 400 : 120)), TOTAL);
        offence.kind = amnesia ? FaultKind.AMNESIA : uint8(1 + weight % 3);
        if (weight % 7 == 0) offence.reporter = address(0);

        bytes memory refusal = _refusal(id, offence.sigma, amnesia ? UNBONDING : EVIDENCE);
        uint256 rate = _paidFor(id, ALL_LATER);
        uint256[] memory before = _stairs(id);
        if (refusal.length == 0) {
            if (rate == 0) _convicts.push(id);
            _proofs.push(Proof(id, offence.sigma, uint256(offence.weight) * WAD / TOTAL));
            _proven[id][offence.sigma] = true;
            _paid[id][offence.sigma] = _rateUnder(offence.sigma);
        }
        uint256[] memory kept = _leftOf(id, before);
        uint256 reward = slashEscrow.rewardOf(reporter);
        _bond = _bondOf(id);
        vm.prank(which % 2 == 0 ? voteFault : proposalFault);
        try slashing.convict(offence) returns (uint256 took) {
            _count(rate == 0 ? bytes32("convict") : bytes32("convict again"), true);
            if (rate != 0 && _paidFor(id, ALL_LATER) > rate) _count("convict again, dearer", true);
            else if (rate != 0 && took != 0) _count("convict again, who left", true);
            assertEq(refusal.length, 0, "convicted against the rules");
            assertEq(took, _checkKept(id, kept), "S2: not what was at stake");
            taken += took;
            reward = slashEscrow.rewardOf(reporter) - reward;
            if (offence.reporter == address(0)) {
                assertEq(reward, 0, "S9: for nobody");
            } else {
                _checkReward(
                    id, took, rate == _paidFor(id, ALL_LATER) ? 0 : _extra(rate, _paidFor(id, ALL_LATER)), reward
                );
            }
        } catch (bytes memory reason) {
            _count("convict", false);
            assertEq(reason, refusal, "S6: refused against the rules");
        }
    }

    /// @dev S4: raises exactly to the rate the books call for.
    function topUp(uint256 which) external {
        // Half of the time one that is convicted.
        _topUp(which % 2 == 0 && _convicts.length != 0 ? _convicts[which % _convicts.length] : _id(which));
    }

    // --- absences

    function jailOffline(uint256 which, uint256 age) external {
        uint32 id = _id(which);
        uint32 current = _epoch();
        uint32 sigma = current - uint32(_bound(age, 0, 4 > current ? current : 4));
        bytes memory refusal = _ageRefusal(sigma, EVIDENCE);
        Absence[] storage list = _absences[id];
        uint32 next = list.length == 0 ? 0 : list[list.length - 1].reportedIn + 2;
        if (refusal.length == 0 && sigma < next) {
            refusal = abi.encodeWithSelector(ISlasher.Slasher_SameAbsence.selector, id, sigma, next);
        }
        ISequencerRegistry.Status status = registry.statusOf(id);
        vm.prank(offlineFault);
        try slashing.jailOffline(id, sigma, reporter) {
            _count("jailOffline", true);
            assertEq(refusal.length, 0, "jailed against the rules");
            list.push(Absence(sigma, current, block.timestamp + APPEAL, false, false));
            if (status == ISequencerRegistry.Status.Active) status = ISequencerRegistry.Status.Jailed;
            assertEq(uint8(registry.statusOf(id)), uint8(status), "jailed, or as it was");
        } catch (bytes memory reason) {
            _count("jailOffline", false);
            assertEq(reason, refusal, "not jailed against the rules");
        }
    }

    function slashOffline(uint256 which, uint256 choice) external {
        uint32 id = _id(which);
        // Somebody with an absence, if there is one.
        for (uint256 i = 0; _absences[id].length == 0 && i < registry.operatorCount(); ++i) {
            id = _id(which % MAX_OPERATORS + i);
        }
        if (_absences[id].length == 0) return;
        uint256 index = _absences[id].length - 1 - choice % (_absences[id].length < 3 ? _absences[id].length : 3);
        Absence storage absence = _absences[id][index];
        uint256 rate = _offlineRate(id, index);
        bytes memory refusal = _offlineRefusal(id, absence, rate);
        uint256 expected = refusal.length == 0 ? _atStake(id, absence.sigma, rate) : 0;
        uint256 reward = slashEscrow.rewardOf(reporter);
        _bond = _bondOf(id);
        vm.prank(offlineFault);
        try slashing.slashOffline(id, absence.sigma) returns (uint256 took) {
            _count("slashOffline", true);
            assertEq(refusal.length, 0, "slashed against the rules");
            assertEq(took, expected, "not what was at stake");
            absence.slashed = true;
            taken += took;
            _checkReward(id, took, rate, slashEscrow.rewardOf(reporter) - reward);
        } catch (bytes memory reason) {
            _count("slashOffline", false);
            assertEq(reason, refusal, "not slashed against the rules");
        }
    }

    function veto(uint256 which) external {
        uint32 id = _id(which);
        if (_absences[id].length == 0) return;
        Absence storage absence = _absences[id][_absences[id].length - 1];
        bool open = !absence.slashed && !absence.vetoed && block.timestamp < absence.appealUntil;
        try slashing.vetoOffline(id, absence.sigma) {
            _count("veto", true);
            assertTrue(open, "vetoed against the rules");
            absence.vetoed = true;
        } catch {
            _count("veto", false);
            assertFalse(open, "not vetoed against the rules");
        }
    }

    /// @dev S9: 5 % of what was taken, and no more than what the operator itself lost in the pool.
    function _checkReward(uint32 id, uint256 took, uint256 fraction, uint256 reward) private {
        rewarded += reward;
        uint256 least = set.minSelfBond();
        uint256 most = (_bond > least ? _bond : least) * fraction / WAD;
        assertEq(reward, took * 5 / 100 < most ? took * 5 / 100 : most, "S9: not what is due");
        // A wei of rounding.
        if (_bond >= least) assertLe(reward, _bond - _bondOf(id) + 1, "S9: who reports itself gains");
    }

    function _bondOf(uint32 id) private view returns (uint256 bond) {
        (, bond) = vault.positionOf(id, registry.ownerOf(id));
    }

    // --- escrow

    function payOut(uint256 which) external {
        uint256 held = token.balanceOf(escrow);
        uint256 expected;
        if (which % 3 == 0 && (expected = slashEscrow.rewardOf(reporter)) != 0) slashEscrow.withdraw(reporter);
        if (which % 3 == 1 && (expected = slashEscrow.burnBalance()) != 0) slashEscrow.burn();
        if (which % 3 == 2 && (expected = slashEscrow.coverBalance()) != 0) slashEscrow.withdrawCover();
        if (expected == 0) return;
        assertEq(token.balanceOf(escrow), held - expected);
        paidOut += expected;
        _count("payOut", true);
    }

    // --- operators, seats, time

    function register(uint256 stake) external {
        uint256 index = registry.operatorCount();
        if (index == MAX_OPERATORS || guardian.isPaused()) return;
        stake = _bound(stake, MIN_SELF_BOND, MAX_POOL / 4);
        _operator(index, stake);
        deposited += stake;
        _count("register", true);
    }

    function unjail(uint256 which) external {
        uint32 id = _id(which);
        if (registry.statusOf(id) != ISequencerRegistry.Status.Jailed) return;
        address owner = registry.ownerOf(id);
        _fund(owner, FEE);
        vm.prank(owner);
        token.approve(escrow, FEE);
        uint256 held = token.balanceOf(escrow);
        vm.prank(owner);
        registry.unjail(id);
        _count("unjail", true);
        assertEq(token.balanceOf(escrow), held + FEE);
        fees += FEE;
    }

    function retire(uint256 which) external {
        uint32 id = _id(which);
        if (which % 12 != 0 || !registry.isEligible(id)) return;
        vm.prank(registry.ownerOf(id));
        registry.retire(id);
        _count("retire", true);
    }

    function takeSeat(uint256 which) external {
        uint32 id = _id(which);
        (bool due, uint8 seat) = set.seatDue(id);
        if (!due) return;
        assertFalse(_isConvicted(id), "S7: a seat for a convict");
        set.takeSeat(id, seat);
        _count("takeSeat", true);
    }

    function pause(bool paused) external {
        guardian.set(paused && block.timestamp % 4 == 0);
    }

    function warp(uint256 time) external {
        vm.warp(block.timestamp + _bound(time, 1, EPOCH));
    }

    /// @dev S7: nobody convicted is in the set.
    function keeperEpoch(bool freezes) external {
        vm.warp(GENESIS + (uint256(_epoch()) + 1) * EPOCH + EPOCH / 2);
        (bool due, uint32 next) = set.freezeDue();
        if (!due || !freezes) return;
        set.freeze(next);
        _frozen.push(next);
        _count("freeze", true);
        for (uint256 i = 0; i < _convicts.length; ++i) {
            (bool seated,) = set.seatOf(_convicts[i]);
            assertFalse(seated, "S7: a convict in the set");
        }
    }

    // --- for SlashingInvariants

    function contracts()
        external
        view
        returns (ISequencerRegistry, IStakeVault, address asset, address escrowOfSlashes)
    {
        return (registry, vault, address(token), escrow);
    }

    function convictionCount() external view returns (uint256) {
        return _convicts.length;
    }

    function convictionAt(uint256 index) external view returns (uint32 id, uint256 rate, uint256 due) {
        id = _convicts[index];
        return (id, _paidFor(id, ALL_LATER), _dueFor(id, ALL_LATER));
    }

    /// @dev What stake of a convict paid that left before it could back `epoch + 1`, and what it has to pay.
    function paidAndDue(uint32 id, uint32 epoch) external view returns (uint256 paid, uint256 due) {
        return (_paidFor(id, epoch), _dueFor(id, epoch));
    }

    function topUpAll() external {
        for (uint256 i = 0; i < _convicts.length; ++i) {
            _topUp(_convicts[i]);
        }
    }

    function actions() external view returns (bytes32[] memory) {
        return _actions;
    }

    function calls(bytes32 action) external view returns (uint256 succeeded, uint256 refused) {
        return (_calls[action][1], _calls[action][0]);
    }

    // --- internals

    function _topUp(uint32 id) private {
        uint256 rate = _paidFor(id, ALL_LATER);
        if (rate == 0) {
            assertFalse(slashing.isTopUpDue(id));
            try slashing.topUp(id) {
                fail();
            } catch (bytes memory reason) {
                assertEq(reason, abi.encodeWithSelector(ISlasher.Slasher_NotConvicted.selector, id));
            }
            return;
        }
        uint256 due = _dueFor(id, ALL_LATER);
        // Never called for when nothing is to be raised: the divisor would be zero at 100 %.
        assertEq(slashing.topUpDue(id), due > rate ? _extra(rate, due) : 0);
        uint256[] memory before = _stairs(id);
        bool any = false;
        for (uint256 i = 0; i < _proofs.length; ++i) {
            if (_proofs[i].id != id) continue;
            uint32 sigma = _proofs[i].sigma;
            any = any || _dueFor(id, sigma) > _paidFor(id, sigma);
        }
        assertEq(slashing.isTopUpDue(id), any);
        for (uint256 i = 0; i < _proofs.length; ++i) {
            if (_proofs[i].id == id) _paid[id][_proofs[i].sigma] = _rateUnder(_proofs[i].sigma);
        }
        uint256[] memory kept = _leftOf(id, before);
        try slashing.topUp(id) returns (uint256 took) {
            _count(due > rate ? bytes32("topUp") : bytes32("topUp of those who left"), true);
            assertTrue(any, "raised against the rules");
            assertEq(took, _checkKept(id, kept), "S4: not what was due");
            taken += took;
        } catch (bytes memory reason) {
            _count("topUp", false);
            assertEq(reason, abi.encodeWithSelector(ISlasher.Slasher_NothingToTopUp.selector, id, rate), "not raised");
            assertFalse(any);
        }
    }

    /// @dev Mostly fresh; half of the time near the last proof, so that they correlate.
    function _sigma(uint256 age) private view returns (uint32) {
        uint32 current = _epoch();
        if (age % 2 == 0 && _proofs.length != 0) {
            uint32 near = _proofs[_proofs.length - 1].sigma + uint32(age % 7);
            if (near > 3 && near <= current + 3) return near - 3;
        }
        if (age % 3 != 0) age = age % 5;
        return age % 16 == 0 ? current + 1 : current - uint32(_bound(age, 0, 12 > current ? current : 12));
    }

    /// @dev The highest rate that a proof of `id` calls for under a set up to `last`: what stake pays that backed those.
    function _dueFor(uint32 id, uint32 last) private view returns (uint256 rate) {
        for (uint256 i = 0; i < _proofs.length; ++i) {
            if (_proofs[i].id != id || _proofs[i].sigma > last) continue;
            uint256 here = _rateUnder(_proofs[i].sigma);
            if (here > rate) rate = here;
        }
    }

    /// @dev The highest that was taken so far.
    function _paidFor(uint32 id, uint32 last) private view returns (uint256 rate) {
        for (uint256 i = 0; i < _proofs.length; ++i) {
            if (_proofs[i].id != id || _proofs[i].sigma > last) continue;
            uint256 here = _paid[id][_proofs[i].sigma];
            if (here > rate) rate = here;
        }
    }

    /// @dev What each cohort of the window paid so far, oldest first, and last the pool.
    function _stairs(uint32 id) private view returns (uint256[] memory rates) {
        uint32 current = _epoch();
        rates = new uint256[](current - _oldest() + 2);
        for (uint32 c = _oldest(); c <= current; ++c) {
            rates[c - _oldest()] = _paidFor(id, c + 1);
        }
        rates[rates.length - 1] = _paidFor(id, ALL_LATER);
    }

    /// @dev What has to be left in each of them when what was `before` is raised to what is paid now; in the end the sum of
    /// what that takes.
    function _leftOf(uint32 id, uint256[] memory before) private view returns (uint256[] memory left) {
        uint256[] memory later = _stairs(id);
        left = new uint256[](before.length + 1);
        for (uint256 i = 0; i < before.length; ++i) {
            uint256 tokens = _tokensOf(id, i, before.length);
            uint256 loss = later[i] > before[i] ? _lossUp(tokens, _extra(before[i], later[i])) : 0;
            left[i] = tokens - loss;
            left[before.length] += loss;
        }
    }

    /// @dev S4: each cohort and the pool are left with what they should be. Returns what that took.
    function _checkKept(uint32 id, uint256[] memory left) private view returns (uint256) {
        for (uint256 i = 0; i + 1 < left.length; ++i) {
            assertEq(_tokensOf(id, i, left.length - 1), left[i], "S4: a cohort or the pool paid too much or too little");
        }
        return left[left.length - 1];
    }

    function _tokensOf(uint32 id, uint256 index, uint256 count) private view returns (uint256 tokens) {
        (tokens,) = index + 1 == count ? vault.pool(id) : vault.thawOf(id, _oldest() + uint32(index));
    }

    /// @dev Oldest cohort that is in reach.
    function _oldest() private view returns (uint32) {
        return _epoch() > UNBONDING + 2 ? _epoch() - UNBONDING - 2 : 0;
    }

    /// @dev The formula over the books: of each operator the largest share in the window. Exact: weights are of 1000.
    function _rateUnder(uint32 sigma) private view returns (uint256 rate) {
        uint256[] memory largest = new uint256[](MAX_OPERATORS + 1);
        for (uint256 i = 0; i < _proofs.length; ++i) {
            Proof memory proof = _proofs[i];
            if ((proof.sigma > sigma ? proof.sigma - sigma : sigma - proof.sigma) > CORRELATION) continue;
            if (proof.share > largest[proof.id]) largest[proof.id] = proof.share;
        }
        uint256 share;
        for (uint256 i = 0; i < largest.length; ++i) {
            share += largest[i];
        }
        if (3 * share >= WAD) return WAD;
        rate = 9 * share * share / WAD;
        return rate < 0.05e18 ? 0.05e18 : rate;
    }

    /// @dev What to take of what is left.
    function _extra(uint256 rate, uint256 newRate) private pure returns (uint256) {
        return ((newRate - rate) * WAD - 1) / (WAD - rate) + 1;
    }

    /// @dev What the slash of an absence takes: from the pool, and from the cohorts c of the window with c + 1 >= sigma.
    function _atStake(uint32 id, uint32 sigma, uint256 fraction) private view returns (uint256 amount) {
        if (fraction == 0) return 0;
        (uint256 tokens,) = vault.pool(id);
        amount = _lossUp(tokens, fraction);
        for (uint32 c = _oldest(); c <= _epoch(); ++c) {
            if (c + 1 < sigma) continue;
            (tokens,) = vault.thawOf(id, c);
            amount += _lossUp(tokens, fraction);
        }
    }

    function _refusal(uint32 id, uint32 sigma, uint32 span) private view returns (bytes memory) {
        if (_proven[id][sigma]) return abi.encodeWithSelector(ISlasher.Slasher_AlreadyConvicted.selector, id, sigma);
        return _ageRefusal(sigma, span);
    }

    /// @dev In the words of the rule: `span` epochs from the first one after sigma with a set of its own.
    function _ageRefusal(uint32 sigma, uint32 span) private view returns (bytes memory) {
        uint32 current = _epoch();
        if (sigma > current) return abi.encodeWithSelector(ISlasher.Slasher_SetNotStarted.selector, sigma, current);
        for (uint256 i = 0; i < _frozen.length; ++i) {
            if (_frozen[i] <= sigma) continue;
            // The list is in order: this set ended the service.
            if (_frozen[i] + span > current) return "";
            return abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, sigma, _frozen[i] + span - 1);
        }
        return "";
    }

    function _offlineRefusal(uint32 id, Absence storage absence, uint256 rate) private view returns (bytes memory) {
        uint32 sigma = absence.sigma;
        if (absence.slashed || absence.vetoed) {
            return abi.encodeWithSelector(ISlasher.Slasher_NoOpenCase.selector, id, sigma);
        }
        if (block.timestamp < absence.appealUntil) {
            return abi.encodeWithSelector(ISlasher.Slasher_AppealRunning.selector, id, sigma, absence.appealUntil);
        }
        bytes memory old = _ageRefusal(sigma, UNBONDING);
        if (old.length != 0) return old;
        return rate == 0 ? abi.encodeWithSelector(ISlasher.Slasher_FirstAbsence.selector, id, sigma) : bytes("");
    }

    /// @dev The campaign is shorter than 30 days: every earlier absence that was not vetoed counts.
    function _offlineRate(uint32 id, uint256 index) private view returns (uint256) {
        uint256 repeats;
        for (uint256 i = 0; i < index; ++i) {
            if (!_absences[id][i].vetoed) ++repeats;
        }
        return repeats == 0 ? 0 : repeats == 1 ? 0.001e18 : repeats == 2 ? 0.005e18 : 0.01e18;
    }

    function _isConvicted(uint32 id) private view returns (bool) {
        return _paidFor(id, ALL_LATER) != 0;
    }

    function _id(uint256 which) private view returns (uint32) {
        return uint32(which % registry.operatorCount()) + 1;
    }

    function _account(uint256 index) private pure returns (address) {
        return address(uint160(0xDE1E0000 + index % DELEGATORS));
    }

    function _count(bytes32 action, bool succeeded) private {
        if (_calls[action][0] + _calls[action][1] == 0) _actions.push(action);
        ++_calls[action][succeeded ? 1 : 0];
    }
}
