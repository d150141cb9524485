// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {RollupKit} from "../kit/RollupKit.sol";

/// @notice Plays sequencers, posters, keepers, depositors and forgers against one batch chain and portal. It keeps a plain
/// model of what must be true and notes every contradiction in `wrong`; the campaign asserts there is none.
contract RollupHandler is RollupKit {
    uint256 private constant FORGERIES = 9;

    /// @notice Calls that did what they are for, by action.
    mapping(string action => uint256) public done;
    /// @notice The first contradiction seen, empty if none.
    string public wrong;

    /// @notice Hashes accepted from honest sequencers, in order.
    bytes32[] public honest;
    /// @notice σ of each accepted batch, in order.
    uint32[] public epochs;
    uint256 public deposited;
    uint256 public released;
    /// @notice Final batches seen so far.
    uint256 public finals;

    mapping(uint256 l1Block => uint32) private _epochOf;
    Key[][] private _rings;
    bytes private _late;
    bytes32 private _lateParent;

    constructor() {
        setUp();
        for (uint256 i = 0; i < 3; ++i) {
            _rings.push();
            Key[] memory keys = _keys(string.concat("ring ", vm.toString(i)), 3 + i, 1e9);
            for (uint256 k = 0; k < keys.length; ++k) {
                _rings[i].push(keys[k]);
            }
        }
        token.approve(address(portal), type(uint256).max);
        _epochOf[block.number] = 2;
        _mine(1);
    }

    /// @dev Hashes written by a cheatcode do not outlive the call in a campaign: L1 here has forge's own.
    function _l1Hash(uint256 number) internal view override returns (bytes32) {
        return blockhash(number);
    }

    function _mine(uint256 count) internal override {
        for (uint256 i = 0; i < count; ++i) {
            _toTime(block.timestamp + 1);
        }
    }

    function _toEpoch(uint32 epoch) internal override {
        _toTime(GENESIS + uint256(epoch) * EPOCH_SECONDS);
    }

    function _toTime(uint256 timestamp) private {
        vm.roll(block.number + 1);
        vm.warp(timestamp);
        _epochOf[block.number] = _currentEpoch();
    }

    // ---------------------------------------------------------------------------------------------------- the world

    function mine(uint256 count) external {
        _mine(bound(count, 1, 8));
        done["mine"]++;
    }

    /// @dev An epoch passes; its set is frozen or forgotten, and the keeper anchors or sleeps.
    function passEpoch(uint256 seed) external {
        uint32 next = _currentEpoch() + 1;
        if (seed % 4 != 0) {
            _freeze(next, _rings[seed % _rings.length]);
            if (seed % 3 != 0) chain.anchorLatest();
        }
        _toEpoch(next);
        if (seed % 5 == 0) chain.anchorLatest();
        _mine(1);
        done["passEpoch"]++;
    }

    function deposit(uint256 amount) external {
        amount = bound(amount, 1, 1000) * 1 gwei;
        portal.deposit(address(this), amount);
        deposited += amount;
        done["deposit"]++;
    }

    function releaseFees(uint256 amount, uint256 epoch) external {
        uint256 left = deposited - released;
        amount = bound(amount, 0, left + left / 4 + 1);
        uint32 last = portal.lastReleasedEpoch();
        epoch = bound(epoch, last > 0 ? last - 1 : 0, last + 2);
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32 sigma = uint32(epoch);
        vm.prank(address(vault));
        try portal.releaseFees(sigma, amount) {
            if (sigma <= last) _note("fees of an epoch released twice");
            if (amount > left) _note("more fees released than locked");
            released += amount;
            done["releaseFees"]++;
        } catch {
            if (sigma > last && amount <= left) _note("fees that are due were refused");
            done["releaseFees refused"]++;
        }
    }

    // ------------------------------------------------------------------------------------------------- honest batches

    function post(uint256 seed) external {
        _expectAccepted(_certified(seed), "an honest batch was refused");
        done["post"]++;
    }

    /// @dev Certified now, posted whenever (B4). As a keeper would, the origin is anchored while L1 knows it.
    function certifyForLater(uint256 seed) external {
        Bundle memory bundle = _certified(seed);
        chain.anchor(bundle.header.l1OriginNumber);
        _late = abi.encode(bundle);
        _lateParent = bundle.header.parent;
        done["certifyForLater"]++;
    }

    function postLate() external {
        if (_late.length == 0) return;
        Bundle memory bundle = abi.decode(_late, (Bundle));
        if (_lateParent == chain.head()) {
            _expectAccepted(bundle, "a certified batch became unpostable by waiting");
            done["postLate"]++;
        } else {
            _expectForgery(bundle, "a batch beside the head was accepted");
            done["postLate refused"]++;
        }
        delete _late;
    }

    // ------------------------------------------------------------------------------------------------------ forgeries

    function forge(uint256 kind, uint256 seed) external {
        kind = bound(kind, 0, FORGERIES - 1);
        Bundle memory bundle = _certified(seed);
        IBatchChain.BatchHeader memory header = bundle.header;
        Key[] memory keys = keysOf[header.epoch];
        if (kind == 0) {
            // Two thirds of the weight or less; sets have 3, 4 or 5 equal members.
            _sign(bundle.certificate, keys, (1 << (2 * keys.length / 3)) - 1);
        } else if (kind == 1) {
            bundle.members = _members(_keys("forgers", 4, 1e9));
            _sign(bundle.certificate, _keys("forgers", 4, 1e9), 15);
        } else if (kind == 2) {
            header.stateRoot = keccak256(abi.encode(seed));
        } else if (kind == 3) {
            header.depositEnd = portal.depositCount() + 1;
            bundle = _bundle(header);
        } else if (kind == 4) {
            header.l1OriginHash = keccak256(abi.encode(seed));
            bundle = _bundle(header);
        } else if (kind == 5) {
            header.tally.epoch = header.epoch;
            bundle = _bundle(header);
        } else if (kind == 6) {
            if (!_useOlderSet(header, seed)) return;
            bundle = _bundle(header);
        } else if (kind == 7) {
            _signAs(bundle.certificate, keys, (1 << keys.length) - 1, _domain(address(chain)), 1);
        } else {
            uint32 next = _currentEpoch() + 1;
            _freeze(next, _rings[seed % _rings.length]);
            header.epoch = next;
            bundle = _bundle(header);
        }
        _expectForgery(bundle, string.concat("forgery accepted: ", vm.toString(kind)));
        done[string.concat("forge ", vm.toString(kind))]++;
    }

    function replay(uint256 index) external {
        if (honest.length == 0) return;
        index = bound(index, 0, honest.length - 1);
        Bundle memory bundle = _certified(index);
        bundle.header.parent = index == 0 ? L2_GENESIS : honest[index - 1];
        if (index == honest.length) return;
        bundle = _bundle(bundle.header);
        if (bundle.header.parent == chain.head()) return;
        _expectForgery(bundle, "a batch on an older parent was accepted");
        done["replay"]++;
    }

    // ------------------------------------------------------------------------------------------------------- finality

    function finalize(uint256 index) external {
        if (honest.length == 0) return;
        index = bound(index, finals, finals + 2);
        if (index >= honest.length) index = honest.length - 1;
        _finalize(index);
    }

    function finalizeDue() external {
        bytes32 due = chain.finalizable();
        if (due == 0) {
            if (finals < honest.length && chain.batchOf(honest[finals]).finalAt <= block.timestamp) {
                _note("a due batch is not offered");
            }
            return;
        }
        if (due != honest[finals]) _note("the wrong batch is offered");
        _finalize(finals);
    }

    function pauseForAMoment(uint256 seed) external {
        guardian.set(true);
        _expectForgery(_certified(seed), "a post went through a pause");
        guardian.set(false);
        done["pause"]++;
    }

    // --------------------------------------------------------------------------------------------------------- views

    function honestCount() external view returns (uint256) {
        return honest.length;
    }

    function batchChain() external view returns (IBatchChain) {
        return chain;
    }

    function portalBalance() external view returns (uint256) {
        return token.balanceOf(address(portal));
    }

    function depositsAt(uint64 l1Block) external view returns (uint64) {
        return portal.depositCountAt(l1Block);
    }

    // ------------------------------------------------------------------------------------------------------- helpers

    function _finalize(uint256 index) private {
        bytes32 hash = honest[index];
        bool due = index == finals && block.timestamp >= chain.batchOf(hash).finalAt;
        try chain.finalize(hash) {
            if (!due) _note("finalized early, twice or out of order");
            ++finals;
            done["finalize"]++;
        } catch {
            if (due) _note("a due batch was not finalized");
            done["finalize refused"]++;
        }
    }

    /// @dev What honest sequencers would certify on the head now: any origin from the head's on, and σ by the rule of
    /// section 5, the last frozen epoch at that origin.
    function _certified(uint256 seed) private view returns (Bundle memory) {
        IBatchChain.Head memory head = chain.headState();
        uint256 oldest = block.number - 250 > L1_START + 1 ? block.number - 250 : L1_START + 1;
        if (head.l1OriginNumber > oldest) oldest = head.l1OriginNumber;
        uint256 origin = bound(seed, oldest, block.number - 1);
        // forge-lint: disable-next-line(unsafe-typecast)
        IBatchChain.BatchHeader memory header = _header(uint64(1 + seed % 1200), sets.frozenEpochAt(_epochOf[origin]));
        // forge-lint: disable-next-line(unsafe-typecast)
        header.l1OriginNumber = uint64(origin);
        header.l1OriginHash = _l1Hash(origin);
        header.depositEnd = uint64(bound(seed >> 8, head.depositEnd, portal.depositCountAt(header.l1OriginNumber)));
        if (head.epoch != 0 && header.epoch > head.epoch) {
            header.tally =
                IBatchChain.Tally({epoch: head.epoch, root: keccak256("entries"), count: 4, blocks: 9, fees: 1});
        }
        return _bundle(header);
    }

    /// @dev A set that was replaced: older than the head's, or outdated at the origin by what L1 has seen.
    function _useOlderSet(IBatchChain.BatchHeader memory header, uint256 seed) private view returns (bool) {
        uint32 older = sets.frozenEpochAt(uint32(bound(seed, 2, header.epoch)));
        uint32 seen = sets.frozenEpochAt(chain.epochSeenAt(header.l1OriginNumber));
        if (older >= chain.headState().epoch && seen <= older + MAX_SET_AGE) return false;
        header.epoch = older;
        delete header.tally;
        return true;
    }

    function _expectAccepted(Bundle memory bundle, string memory otherwise) private {
        try chain.post(bundle.header, bundle.rlp, bundle.certificate, bundle.members, bundle.data) {
            honest.push(keccak256(abi.encode(bundle.header)));
            epochs.push(bundle.header.epoch);
        } catch {
            _note(otherwise);
        }
    }

    function _expectForgery(Bundle memory bundle, string memory otherwise) private {
        try chain.post(bundle.header, bundle.rlp, bundle.certificate, bundle.members, bundle.data) {
            _note(otherwise);
        } catch {}
    }

    function _note(string memory what) private {
        if (bytes(wrong).length == 0) wrong = what;
    }

    function _currentEpoch() private view returns (uint32) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint32((block.timestamp - GENESIS) / EPOCH_SECONDS);
    }
}
