// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ALL_LATER} from "contracts/interfaces/IStakeVault.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../harness/LiquidFixture.sol";

/// @notice Who bears which slash, after any history of exits: a plain restatement of what `IStakedToken` and ADR 11 promise is kept
/// beside the token and compared with it to the wei after each slash, whatever set it is for and wherever it ends.
contract LiquidSlashesFuzz is LiquidFixture {
    uint256 private constant EXITS = 3;
    uint256 private constant COHORTS = 10;

    /// @dev Exits are sealed `gaps` epochs after each other; then `wait` epochs pass.
    struct History {
        uint96[EXITS] sizes;
        uint8[EXITS] gaps;
        uint8 wait;
        uint96 cover;
        uint96 gain;
        uint96 gift;
    }

    struct Blow {
        uint8 id;
        uint8 sigma;
        uint8 length;
        uint64 fraction;
        bool sync;
    }

    struct Sums {
        uint256 buffer;
        uint256 owed;
        uint256 fees;
        uint256 locked;
        uint256 carry;
        uint256 cover;
        uint256 bunkerUntil;
        uint256 bunkerSigma;
    }

    /// @dev What one slash took, and from how much that was liable.
    struct Loss {
        uint256 all;
        uint256 base;
        uint256 exits;
        uint256 fees;
        uint256 stayers;
    }

    /// @dev After `a`, `b`: what exits were owed, what stake was left; and what each slash took when it came second.
    struct Orders {
        uint256[EXITS] owed;
        uint256 left;
        uint256 lossOfA;
        uint256 lossOfB;
    }

    uint32 private first;
    uint256[5] private active;
    uint256[COHORTS][5] private tickets;
    uint256[EXITS] private exits;
    uint32[EXITS] private epochs;
    Sums private sums;

    function setUp() public {
        _deployLiquid();
        _deposit(ALICE, 1999e18);
        _deposit(BOB, 2000e18);
        _nextEpoch();
        _delegateAll();
    }

    /// @notice Q16: each slash takes of every liable exit and of who stays the same percentage and of others nothing; cover, drip and
    /// rate pay the stayers' part in this order. Q10: told before any action, and the same after it.
    function testFuzz_Q16_everySlashToTheWei(History memory h, Blow[4] memory blows) public {
        _live(h);
        for (uint256 i = 0; i < blows.length; ++i) {
            Sums memory before = sums;
            uint256[EXITS] memory owed = exits;
            uint256 stayers = _stayers();
            Loss memory loss = _strike(blows[i]);
            _checkParts(loss, before, owed, stayers, _sigma(blows[i]));
            _checkBooks();
            if (!blows[i].sync) continue;
            st.sync(type(uint256).max);
            _checkBooks();
            assertEq(cover.held(), sums.cover);
            assertEq(st.syncedSlashes(), vault.slashSeq());
        }
    }

    /// @notice Q17: two slashes take the same in either order, up to two wei for each holding that both reach. Without cover, and
    /// with the same exits liable for both, everybody bears the same of it.
    function testFuzz_Q17_whatIsLostCommutes(History memory h, Blow memory a, Blow memory b) public {
        h.cover = 0;
        _live(h);
        Orders memory o = _inBothOrders(a, b);
        // What one holding may lose more in one order than in the other, and what sharing rounds in each of the two.
        uint256 dust = 2 * (COHORTS + 1);
        assertApproxEqAbs(_left(), o.left, dust);
        if (!_sameLiable(_sigma(a), _sigma(b))) return;
        for (uint256 i = 0; i < EXITS; ++i) {
            assertApproxEqAbs(exits[i], o.owed[i], dust + 2, "an exit");
        }
    }

    /// @notice Q17: also with cover, and whoever is liable, the order changes no exit by more than by its part of what the second
    /// slash found gone, and by a percentage of a base that has just shrunk (ADR 11).
    function testFuzz_Q17_orderMattersLittle(History memory h, Blow memory a, Blow memory b) public {
        (a.fraction, b.fraction) = (a.fraction % 0.3e18, b.fraction % 0.3e18);
        _live(h);
        uint256 state = vm.snapshotState();
        Loss memory ofA = _strike(a);
        vm.revertToState(state);
        Loss memory ofB = _strike(b);
        vm.revertToState(state);
        uint256[EXITS] memory before = exits;
        Orders memory o = _inBothOrders(a, b);
        for (uint256 i = 0; i < EXITS; ++i) {
            uint256 most = _drift(before[i], ofA, ofB, o.lossOfA) + _drift(before[i], ofB, ofA, o.lossOfB);
            assertLe(exits[i] > o.owed[i] ? exits[i] - o.owed[i] : o.owed[i] - exits[i], most + 30);
        }
    }

    // --- histories and slashes

    function _live(History memory h) private {
        first = _epoch();
        for (uint256 i = 0; i < EXITS; ++i) {
            _toEpoch(_epoch() + uint32(_bound(h.gaps[i], i == 0 ? 0 : 1, 2)));
            uint256 size = h.sizes[i] % 5 == 0 ? _bound(h.sizes[i], 1, 1e9) : _bound(h.sizes[i], 1e9, 900e18);
            _request(i % 2 == 0 ? ALICE : BOB, size);
            _seal();
            epochs[i] = _epoch();
        }
        _toEpoch(_epoch() + uint32(_bound(h.wait, 0, 2)));
        if (h.gain % 4 != 0) _harvest(1, _bound(h.gain, 1, 60e18));
        if (h.gift % 3 == 0) _deposit(CAROL, _bound(h.gift, 1e18, 300e18));
        if (h.cover != 0) _fundCover(_bound(h.cover, 1, 90e18));
        _read();
    }

    function _read() private {
        for (uint32 id = 1; id <= 4; ++id) {
            active[id] = st.activeOf(id);
            for (uint32 c = 0; c < COHORTS; ++c) {
                tickets[id][c] = st.ticketOf(id, first + c);
            }
        }
        for (uint256 i = 0; i < EXITS; ++i) {
            (exits[i],,) = st.exitOf(i + 1);
        }
        IStakedToken.Position memory p = st.position();
        sums = Sums(p.buffer, p.owed, p.fees, p.locked, p.lossCarry, cover.held(), p.bunkerUntil, p.bunkerSigma);
    }

    function _sigma(Blow memory b) private view returns (uint32) {
        return uint32(_bound(b.sigma, first - 1, _epoch()));
    }

    /// @dev Strikes the vault and the restatement.
    function _strike(Blow memory b) private returns (Loss memory loss) {
        uint32 id = uint32(_bound(b.id, 1, 4));
        uint32 sigma = _sigma(b);
        uint256 fraction = b.fraction % 7 == 0 ? 1e18 : _bound(b.fraction, 1, 1e18);
        // Every second one ends before a set, if there is room for one.
        bool all = b.length % 2 == 0 || sigma == _epoch();
        uint32 before = all ? ALL_LATER : uint32(_bound(b.length, sigma + 1, _epoch()));
        _slash(id, sigma, before, fraction);

        (uint256 total, uint256 liable) = (_stayers(), 0);
        for (uint256 i = 0; i < EXITS; ++i) {
            if (epochs[i] + 1 >= sigma) liable += exits[i];
        }
        if (all) loss.all = _cut(active, id, fraction);
        for (uint256 c = 0; c < COHORTS; ++c) {
            bool pays = first + c + 1 >= sigma && (all || first + c + 1 < before);
            if (pays) loss.all += _cut(tickets[id], c, fraction);
        }
        loss.base = total + liable;
        if (loss.all != 0) _share(loss, sigma);
    }

    function _cut(uint256[5] storage values, uint256 place, uint256 fraction) private returns (uint256 lost) {
        lost = _lostOf(values[place], fraction);
        values[place] -= lost;
    }

    function _cut(uint256[COHORTS] storage values, uint256 place, uint256 fraction) private returns (uint256 lost) {
        lost = _lostOf(values[place], fraction);
        values[place] -= lost;
    }

    /// @dev The fraction rounded up, and one wei more for the vault's own rounding.
    function _lostOf(uint256 value, uint256 fraction) private pure returns (uint256) {
        return _min(value, _ceil(value * fraction, 1e18) + (value == 0 ? 0 : 1));
    }

    function _share(Loss memory loss, uint32 sigma) private {
        uint256 borne = _min(loss.all, loss.base);
        uint256 others = sums.owed;
        for (uint256 i = 0; i < EXITS; ++i) {
            if (epochs[i] + 1 < sigma) continue;
            others -= exits[i];
            uint256 part = _ceil(exits[i] * borne, loss.base);
            (exits[i], loss.exits) = (exits[i] - part, loss.exits + part);
        }
        loss.stayers = borne - _min(borne, loss.exits);
        loss.fees = _min(loss.all - borne, sums.fees);
        uint256 rest = _min(loss.all - borne - loss.fees, others);
        for (uint256 i = 0; rest != 0 && i < EXITS; ++i) {
            if (epochs[i] + 1 >= sigma) continue;
            uint256 part = _ceil(exits[i] * rest, others);
            (exits[i], loss.exits) = (exits[i] - part, loss.exits + part);
        }
        _book(loss, sigma);
    }

    function _book(Loss memory loss, uint32 sigma) private {
        sums.owed -= loss.exits;
        sums.fees -= loss.fees;
        uint256 covered = _min(sums.cover, loss.stayers);
        uint256 dripped = _min(sums.locked, loss.stayers - covered);
        sums.cover -= covered;
        sums.buffer += covered;
        sums.locked -= dripped;
        sums.carry += loss.stayers - covered - dripped;
        // A hundredth of what was liable closes the bunker for two epochs.
        if (loss.all * 100 < loss.base) return;
        bool closed = block.timestamp < sums.bunkerUntil;
        sums.bunkerSigma = closed ? _min(sums.bunkerSigma, sigma) : sigma;
        sums.bunkerUntil = block.timestamp + 2 * EPOCH;
    }

    // --- checks

    /// @dev In words of the promise, not of the formula: nothing forgotten, equal percentages, others untouched.
    function _checkParts(
        Loss memory loss,
        Sums memory before,
        uint256[EXITS] memory owed,
        uint256 stayers,
        uint32 sigma
    ) private view {
        assertGe(loss.exits + loss.fees + loss.stayers, _min(loss.all, stayers + before.owed + before.fees));
        assertLe(loss.exits + loss.fees + loss.stayers, loss.all + EXITS);
        uint256 borne = _min(loss.all, loss.base);
        for (uint256 i = 0; i < EXITS; ++i) {
            (uint256 now_,,) = st.exitOf(i + 1);
            uint256 part = owed[i] - now_;
            if (epochs[i] + 1 < sigma) {
                if (loss.all <= loss.base + before.fees) assertEq(part, 0, "not liable");
            } else if (loss.base != 0) {
                assertGe(part * loss.base, owed[i] * borne, "less than its part");
                assertLt(part * loss.base, owed[i] * borne + loss.base, "more than its part");
            }
        }
        if (loss.base == 0) return;
        assertLe(loss.stayers * loss.base, stayers * borne, "roundings are for who stays");
        assertGt((loss.stayers + EXITS) * loss.base, stayers * borne, "their part as well");
    }

    function _checkBooks() private view {
        IStakedToken.Position memory p = st.position();
        (uint256 allActive, uint256 allThawing) = _stakes();
        assertEq(p.active, allActive, "active");
        assertEq(p.thawing, allThawing, "thawing");
        assertEq(p.buffer, sums.buffer, "buffer");
        assertEq(p.owed, sums.owed, "owed");
        assertEq(p.fees, sums.fees, "fees");
        assertEq(p.locked, sums.locked, "locked");
        assertEq(p.lossCarry, sums.carry, "carried");
        assertEq(p.bunkerUntil, sums.bunkerUntil, "bunker");
        assertEq(p.bunkerSigma, sums.bunkerSigma, "its oldest set");
        assertEq(st.totalAssets(), _stayers() - _min(_stayers(), sums.locked), "the price");
        for (uint256 i = 0; i < EXITS; ++i) {
            (uint256 owed,,) = st.exitOf(i + 1);
            assertEq(owed, exits[i], "an exit");
        }
        for (uint32 id = 1; id <= 4; ++id) {
            assertEq(st.activeOf(id), active[id]);
            assertLe(active[id], _real(id), "Q3");
            for (uint32 c = 0; c < COHORTS; ++c) {
                assertEq(st.ticketOf(id, first + c), tickets[id][c]);
                assertLe(tickets[id][c], _realTicket(id, first + c), "Q3");
            }
        }
    }

    // --- kit

    /// @dev Leaves the state after `b`, `a`.
    function _inBothOrders(Blow memory a, Blow memory b) private returns (Orders memory o) {
        uint256 state = vm.snapshotState();
        _strike(a);
        o.lossOfB = _strike(b).all;
        _checkBooks();
        (o.owed, o.left) = (exits, _left());
        vm.revertToState(state);
        _strike(b);
        if (a.sync) st.sync(1);
        o.lossOfA = _strike(a).all;
        _checkBooks();
    }

    function _sameLiable(uint32 a, uint32 b) private view returns (bool) {
        for (uint256 i = 0; i < EXITS; ++i) {
            if ((epochs[i] + 1 >= a) != (epochs[i] + 1 >= b)) return false;
        }
        return true;
    }

    /// @dev Bound of how much the part of `owed` that `one` takes depends on whether `other` came before it and left `second`.
    function _drift(uint256 owed, Loss memory one, Loss memory other, uint256 second) private pure returns (uint256) {
        if (one.base <= other.all) return owed;
        uint256 gone = one.all - _min(one.all, second);
        return owed * gone / one.base + owed * one.all / one.base * other.all / (one.base - other.all);
    }

    /// @dev Stake that was not slashed.
    function _left() private view returns (uint256) {
        (uint256 allActive, uint256 allThawing) = _stakes();
        return allActive + allThawing;
    }

    function _stakes() private view returns (uint256 allActive, uint256 allThawing) {
        for (uint256 id = 1; id <= 4; ++id) {
            allActive += active[id];
            for (uint256 c = 0; c < COHORTS; ++c) {
                allThawing += tickets[id][c];
            }
        }
    }

    function _stayers() private view returns (uint256) {
        (uint256 allActive, uint256 allThawing) = _stakes();
        uint256 held = sums.buffer + allActive + allThawing;
        return held - _min(held, sums.owed + sums.fees);
    }

    function _ceil(uint256 a, uint256 b) private pure returns (uint256) {
        return (a + b - 1) / b;
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
