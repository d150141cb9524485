// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Vm} from "forge-std/Test.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {ALL_LATER} from "contracts/interfaces/IStakeVault.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @notice A network in use: people delegate and leave, epochs pass and are tallied, opened, credited page by page, and
/// everyone claims at any time. Beside it runs a model that knows nothing of traces: it keeps, for each account and
/// epoch, the units that should count, and adds up what each account should get when an epoch is credited.
contract RewardHandler is NetworkKit {
    uint256 internal constant OPERATORS = 4;
    uint256 internal constant ACCOUNTS = 8; // the operators' owners first
    uint256 internal constant SCALE = 1e27;

    /// @notice How often each action did something, and how often there was nothing to do.
    mapping(bytes32 action => uint256) public done;
    mapping(bytes32 action => uint256) public idle;
    /// @notice Both together.
    uint256 public calls;

    IBatchChain.BatchHeader[] internal tallies;
    bytes[] internal entriesOf;

    /// @notice Change of an account's units that starts to count in an epoch.
    mapping(uint32 id => mapping(address account => mapping(uint32 epoch => int256))) internal change;
    /// @notice What the account should have been paid or could claim, in wei·1e27.
    mapping(uint32 id => mapping(address account => uint256)) public owed;
    mapping(uint32 id => mapping(address account => uint256)) public paid;
    /// @notice Each claim and each stretch may round down by one wei.
    mapping(uint32 id => mapping(address account => uint256)) public roundings;

    /// @notice What slashes took from the stake vault, wei.
    uint256 public slashed;

    uint256 public creditedToPools;
    uint256 public paidToPools;
    uint256 public openRemaining;
    uint256 public modelReserve;
    uint256 public epochsCredited;
    uint32 public lastCreditedEpoch;
    bool public ordered = true;
    bool public emissionExact = true;

    constructor() {
        _deployNetwork();
        _start(OPERATORS);
        // Their bonds were placed in epoch 0.
        for (uint256 i = 0; i < OPERATORS; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            change[uint32(i + 1)][_owner(i)][2] = int256(BOND);
        }
        _deposit(100_000_000e18);
    }

    function idOf(uint256 index) public pure returns (uint32) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint32(index % OPERATORS + 1);
    }

    function accountOf(uint256 index) public pure returns (address) {
        return _owner(index % ACCOUNTS);
    }

    // ------------------------------------------------------------------------------------------------------ actions

    function delegate(uint256 who, uint256 pool, uint256 amount) external {
        (address account, uint32 id) = (accountOf(who), idOf(pool));
        amount = amount % 4 == 0 ? amount % 7 + 1 : bound(amount, 1, 2000e18);
        (uint256 tokens,) = stakeVault.pool(id);
        if (!registry.acceptsStake(id) || tokens + amount > parameters.maxPool) return _idle("delegate");
        // forge-lint: disable-next-line(unsafe-typecast)
        change[id][account][_epoch() + 2] += int256(_delegate(id, account, amount));
        _done("delegate");
    }

    function undelegate(uint256 who, uint256 pool, uint256 share) external {
        // Owners stay, so that there is always a set.
        (address account, uint32 id) = (_owner(OPERATORS + who % (ACCOUNTS - OPERATORS)), idOf(pool));
        uint256 held = stakeVault.units(id, account);
        if (held == 0) return _idle("undelegate");
        uint256 units = share % 3 == 0 ? held : bound(share, 1, held);
        vm.prank(account);
        stakeVault.undelegate(id, units);
        // forge-lint: disable-next-line(unsafe-typecast)
        change[id][account][_epoch() + 2] -= int256(units);
        _done("undelegate");
    }

    /// @dev Ends the epoch with some work; its tally is FINAL afterwards.
    function endEpoch(uint256 seed, uint128 base, uint128[4] memory priority) external {
        uint32 sigma = sequencerSet.frozenEpochAt(_epoch());
        uint256 count = membersOf[sigma].length / 32;
        Work[] memory work = new Work[](count);
        uint256 fees = base % 1000e18;
        uint64 blocks;
        for (uint256 i = 0; i < count; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            // forge-lint: disable-next-line(unsafe-typecast)
            work[i] = Work(uint32(dice % 50), uint32(dice >> 32) % 50, uint32(dice >> 64) % 10, priority[i] % 50e18);
            if (work[i].own > work[i].assigned) work[i].own = work[i].assigned;
            blocks += work[i].own + work[i].substituted;
            fees += work[i].priority;
        }
        bytes memory entries = _entries(sigma, work);
        _nextEpoch();
        uint256 reserve = rewardVault.reserve();
        // forge-lint: disable-next-line(unsafe-typecast)
        tallies.push(_finalBatch(_tally(sigma, entries, blocks, uint128(fees))));
        entriesOf.push(entries);
        uint256 posting = reserve < parameters.postingReward ? reserve : parameters.postingReward;
        modelReserve -= posting;
        _done("endEpoch");
    }

    /// @dev An epoch that nobody freezes: the set serves on.
    function passEpoch() external {
        _toEpoch(_epoch() + 1);
        _done("passEpoch");
    }

    function open() external {
        uint256 next = rewardVault.nextTally();
        if (openRemaining != 0 || _isOpen() || next >= tallies.length) return _idle("open");
        (uint256 base, uint256 priority, uint256 blocks) = _sum(next);
        uint256 perBlock = parameters.rewardPerBlock;
        if (blocks != 0 && modelReserve / blocks < perBlock) perBlock = modelReserve / blocks;

        vm.recordLogs();
        _open(tallies[next], entriesOf[next]);
        uint256 emission = _emission(vm.getRecordedLogs());
        if (emission != perBlock * blocks || emission > modelReserve) emissionExact = false;
        modelReserve -= emission;
        uint256 settled = base * 30 / 100 + base * 30 / 100 + priority * 20 / 100;
        openRemaining = emission + base + priority - settled;
        _done("open");
    }

    function credit(uint256 pages) external {
        if (!_isOpen()) return _idle("credit");
        uint256 number = rewardVault.nextTally() - 1;
        uint32 epoch = tallies[number].tally.epoch;
        vm.recordLogs();
        rewardVault.credit(epoch, membersOf[epoch], entriesOf[number], pages % 5 + 1);
        _follow(epoch, vm.getRecordedLogs());
        _done("credit");
    }

    function claim(uint256 who, uint256 pool, uint256 segments) external {
        (address account, uint32 id) = (accountOf(who), idOf(pool));
        segments = segments % 3 + 1;
        uint256 before = token.balanceOf(account);
        uint256 amount = rewardVault.claim(id, account, segments);
        require(token.balanceOf(account) - before == amount, "paid what it said");
        paid[id][account] += amount;
        paidToPools += amount;
        roundings[id][account] += segments;
        amount == 0 ? _idle("claim") : _done("claim");
    }

    function claimCommission(uint256 pool) external {
        rewardVault.claimCommission(idOf(pool)) == 0 ? _idle("claimCommission") : _done("claimCommission");
    }

    function claimPosting() external {
        rewardVault.claimPosting(poster) == 0 ? _idle("claimPosting") : _done("claimPosting");
    }

    /// @dev Little at a time, so that the reserve runs dry again and again.
    function fund(uint256 amount) external {
        amount = bound(amount, 1, 1e18);
        _fund(amount);
        modelReserve += amount;
        _done("fund");
    }

    function changeCommission(uint256 pool, uint256 up) external {
        uint32 id = idOf(pool);
        uint16 now_ = registry.commissionAt(id, type(uint32).max);
        uint16 next = up % 2 == 0 && now_ <= 4500 ? now_ + 500 : now_ < 500 ? 0 : now_ - 500;
        vm.prank(registry.ownerOf(id));
        try registry.setCommission(id, next) {
            _done("changeCommission");
        } catch {
            _idle("changeCommission"); // one is pending
        }
    }

    /// @dev The last operator leaves for good: everyone is paid for its time all the same (W5).
    function retireOne() external {
        if (!registry.acceptsStake(4) || done["endEpoch"] < 3) return _idle("retireOne");
        vm.prank(_owner(3));
        registry.retire(4);
        _done("retireOne");
    }

    /// @dev Rewards follow units, and a slash takes none: nobody's share of an epoch changes, whenever it is credited.
    /// Operators keep what they need to be members, so that there is always a set.
    function slash(uint256 pool, uint256 sigma, uint256 fraction) external {
        uint32 id = idOf(pool);
        fraction = bound(fraction, 1, 0.3e18);
        (, uint256 bond) = stakeVault.positionOf(id, registry.ownerOf(id));
        if (bond * (1e18 - fraction) / 1e18 <= parameters.minSelfBond + 1e18) return _idle("slash");
        uint256 before = token.balanceOf(network.slashEscrow);
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32 under = uint32(bound(sigma, 2, _epoch()));
        vm.prank(network.slasher);
        uint256 taken = stakeVault.slash(id, under, ALL_LATER, fraction);
        require(token.balanceOf(network.slashEscrow) - before == taken, "took what it said");
        slashed += taken;
        _done("slash");
    }

    /// @dev A gift is nobody's.
    function donate(uint256 amount) external {
        token.transfer(address(rewardVault), bound(amount, 1, 1e18));
        _done("donate");
    }

    // ------------------------------------------------------------------------------------------------------ the model

    function modelUnits(uint32 id, address account, uint32 epoch) public view returns (uint256 units) {
        int256 sum;
        for (uint32 e = 2; e <= epoch; ++e) {
            sum += change[id][account][e];
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint256(sum);
    }

    function talliesFinal() external view returns (uint256) {
        return tallies.length;
    }

    // Whoever had units in the credited epoch is owed its share of what the pool was credited.
    function _follow(uint32 epoch, Vm.Log[] memory logs) private {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == IRewardVault.OperatorCredited.selector) {
                uint32 id = uint32(uint256(logs[i].topics[2]));
                (uint256 toPool, uint256 toOperator) = abi.decode(logs[i].data, (uint256, uint256));
                creditedToPools += toPool;
                openRemaining -= toPool + toOperator;
                _owe(id, epoch, toPool);
            } else if (logs[i].topics[0] == IRewardVault.EpochCredited.selector) {
                uint256 returned = abi.decode(logs[i].data, (uint256));
                if (returned != openRemaining || epoch <= lastCreditedEpoch) ordered = false;
                modelReserve += openRemaining;
                openRemaining = 0;
                lastCreditedEpoch = epoch;
                ++epochsCredited;
            }
        }
    }

    function _owe(uint32 id, uint32 epoch, uint256 toPool) private {
        uint256[] memory units = new uint256[](ACCOUNTS);
        uint256 total;
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            units[i] = modelUnits(id, accountOf(i), epoch);
            total += units[i];
        }
        for (uint256 i = 0; i < ACCOUNTS && total != 0; ++i) {
            owed[id][accountOf(i)] += units[i] * (toPool * SCALE / total);
        }
    }

    function _sum(uint256 number) private view returns (uint256 base, uint256 priority, uint256 blocks) {
        bytes memory entries = entriesOf[number];
        for (uint256 i = 0; i < entries.length / 32; ++i) {
            blocks += uint32(bytes4(_slice(entries, i * 32 + 8, 4))) + uint32(bytes4(_slice(entries, i * 32 + 12, 4)));
            priority += uint128(bytes16(_slice(entries, i * 32 + 16, 16)));
        }
        base = tallies[number].tally.fees - priority;
    }

    function _emission(Vm.Log[] memory logs) private pure returns (uint256 emission) {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IRewardVault.EpochOpened.selector) continue;
            (, emission) = abi.decode(logs[i].data, (uint256, uint256));
        }
    }

    function _isOpen() private view returns (bool due) {
        (due,,) = rewardVault.creditDue();
    }

    function _done(bytes32 action) private {
        ++done[action];
        ++calls;
    }

    function _idle(bytes32 action) private {
        ++idle[action];
        ++calls;
    }

    // --------------------------------------------------------------------------------------------- for the invariants

    function escrow() external view returns (address) {
        return network.slashEscrow;
    }

    function operators() external pure returns (uint256) {
        return OPERATORS;
    }

    function accounts() external pure returns (uint256) {
        return ACCOUNTS;
    }

    function addresses()
        external
        view
        returns (address vault, address asset, address stake, address chain, address who)
    {
        return (address(rewardVault), address(token), address(stakeVault), address(batchChain), poster);
    }
}
