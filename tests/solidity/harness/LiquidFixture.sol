// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IAllocator} from "contracts/interfaces/IAllocator.sol";
import {ICoverFund} from "contracts/interfaces/ICoverFund.sol";
import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IExitReceipt} from "contracts/interfaces/IExitReceipt.sol";
import {IFaultWatch} from "contracts/interfaces/IFaultWatch.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {StakingFixture} from "./StakingFixture.sol";

/// @dev Pays what tests credit, as the reward vault does: to the account, whoever calls. The real one is used in
/// `gas/Liquid.t.sol`.
contract RewardBox {
    struct Segment {
        uint256 amount;
        uint32 epoch;
    }

    IERC20 private immutable TOKEN;
    mapping(address account => bool) public claimsItself;
    mapping(uint32 id => uint32) public lastCredited;
    mapping(uint32 id => uint32) private _paid;
    mapping(uint32 id => Segment[]) private _segments;
    mapping(uint32 id => uint256) private _next;

    constructor(IERC20 token) {
        TOKEN = token;
    }

    function credit(uint32 id, uint256 amount, uint32 epoch) external {
        _segments[id].push(Segment(amount, epoch));
        lastCredited[id] = epoch;
    }

    function setClaimsItself(bool only) external {
        claimsItself[msg.sender] = only;
    }

    /// @dev Each credit is a segment.
    function claim(uint32 id, address account, uint256 maxSegments) external returns (uint256 amount) {
        require(msg.sender == account || !claimsItself[account], IRewardVault.RewardVault_OnlyAccount(account));
        for (; maxSegments != 0 && _next[id] < _segments[id].length; --maxSegments) {
            Segment memory segment = _segments[id][_next[id]++];
            amount += segment.amount;
            _paid[id] = segment.epoch;
        }
        if (amount != 0) require(TOKEN.transfer(account, amount));
    }

    function claimable(uint32 id, address) external view returns (uint256 amount) {
        for (uint256 i = _next[id]; i < _segments[id].length; ++i) {
            amount += _segments[id][i].amount;
        }
    }

    function paidThrough(uint32 id, address) external view returns (uint32) {
        return _paid[id];
    }
}

/// @dev Counts charges as `AmnesiaFault` does, and tells of top-ups and absences as `Slasher` does, at the word of a test.
contract ChargeBook {
    uint64 public immutable RESPONSE_WINDOW;
    mapping(uint32 id => uint256) public openCharges;
    uint256 public openChargesInAll;
    uint64 public lastConvictedAt;
    mapping(uint32 id => bool) public isTopUpDue;
    mapping(uint32 id => uint32) public nextOfflineSigma;

    /// @dev Somebody else was convicted: `id` has to pay more, or as much as before.
    function convictOther(uint32 id, bool due) external {
        lastConvictedAt = uint64(block.timestamp);
        isTopUpDue[id] = due;
    }

    constructor(uint64 responseWindow) {
        RESPONSE_WINDOW = responseWindow;
    }

    /// @dev `id` is jailed in `epoch`.
    function jailed(uint32 id, uint32 epoch) external {
        nextOfflineSigma[id] = epoch + 2;
    }

    function accuse(uint32 id) external {
        ++openCharges[id];
        ++openChargesInAll;
    }

    function close(uint32 id) external {
        --openCharges[id];
        --openChargesInAll;
    }
}

/// @notice The staking contracts with a liquid staking token beside them and four bonded operators.
abstract contract LiquidFixture is StakingFixture {
    uint256 internal constant WAD = 1e18;
    uint16 internal constant CAP_BPS = 5000;
    uint32 internal constant RAMP = 4;
    uint16 internal constant WATCH_BPS = 1000;
    uint64 internal constant ANSWER_TIME = 3 * EPOCH;
    uint256 internal constant OPERATOR_BOND = 20_000e18;
    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);
    address internal constant CAROL = address(0xCA201);
    address internal constant TREASURY = address(0x7AEA5);

    RewardBox internal rewards;
    IAllocator internal allocator;
    ICoverFund internal cover;
    IExitQueue internal queue;
    ChargeBook internal charges;
    IFaultWatch internal watch;
    IStakedToken internal st;
    IERC20 internal share;

    function _deployLiquid() internal {
        _deploy(8, 16);
        _toEpoch(10);
        for (uint256 i = 1; i <= 4; ++i) {
            _operator(i, OPERATOR_BOND);
        }
        _deployLiquidOn(token, _config());
        for (uint32 id = 1; id <= 4; ++id) {
            allocator.setWeight(id, 100);
        }
        // Past the ramp.
        _toEpoch(20);
    }

    function _config() internal view returns (IStakedToken.Config memory config) {
        config.name = "Staked Rota";
        config.symbol = "stROTA";
        config.guardian = address(guardian);
        config.authority = address(manager);
        config.stakeVault = address(vault);
        config.feeRecipient = TREASURY;
        config.feeBps = 1000;
        config.bufferBps = 500;
        config.exitFloorBps = 5;
        config.exitSpanBps = 200;
        config.windowBps = 1000;
        config.windowSeconds = uint48(4 * EPOCH);
        config.maxShareBps = 3333;
        config.bunkerLossBps = 100;
        config.bunkerEpochs = 2;
        config.dripSeconds = uint32(4 * EPOCH);
        config.maxDripSeconds = uint32(20 * EPOCH);
        config.genesis = GENESIS;
        config.epochSeconds = EPOCH;
    }

    /// @dev The addresses that name each other are known before: creation order is fixed.
    function _deployLiquidOn(IERC20 asset, IStakedToken.Config memory config) internal {
        rewards = new RewardBox(asset);
        _deployLiquidWith(asset, address(rewards), config);
    }

    function _deployLiquidWith(IERC20 asset, address rewardVault, IStakedToken.Config memory config) internal {
        charges = new ChargeBook(ANSWER_TIME);
        // With isolation each of these two calls is a transaction, which counts as well.
        uint64 nonce = vm.getNonce(address(this));
        asset.approve(vm.computeCreateAddress(address(this), nonce + 4), 1e18);
        asset.approve(vm.computeCreateAddress(address(this), nonce + 6), 1e18);
        nonce = vm.getNonce(address(this));
        address self = vm.computeCreateAddress(address(this), nonce + 4);
        config.token = address(asset);
        config.rewardVault = rewardVault;
        config.allocator = vm.computeCreateAddress(address(this), nonce);
        config.coverFund = vm.computeCreateAddress(address(this), nonce + 1);
        config.exitQueue = vm.computeCreateAddress(address(this), nonce + 2);
        config.faultWatch = vm.computeCreateAddress(address(this), nonce + 3);
        allocator = IAllocator(
            vm.deployCode(
                "Allocator.sol:Allocator",
                abi.encode(
                    address(manager),
                    address(registry),
                    address(charges),
                    config.stakeVault,
                    self,
                    config.faultWatch,
                    CAP_BPS,
                    RAMP,
                    GENESIS,
                    EPOCH
                )
            )
        );
        cover = ICoverFund(vm.deployCode("CoverFund.sol:CoverFund", abi.encode(address(asset), self)));
        queue = IExitQueue(vm.deployCode("ExitQueue.sol:ExitQueue", abi.encode(address(asset), self, GENESIS, EPOCH)));
        watch = IFaultWatch(
            vm.deployCode(
                "FaultWatch.sol:FaultWatch",
                abi.encode(self, address(allocator), address(charges), address(charges), WATCH_BPS, EPOCH)
            )
        );
        st = IStakedToken(vm.deployCode("StakedToken.sol:StakedToken", abi.encode(config)));
        assertEq(address(st), self, "predicted address");
        share = IERC20(self);
    }

    function _deployReceipts() internal returns (IExitReceipt) {
        return IExitReceipt(
            vm.deployCode("ExitReceipt.sol:ExitReceipt", abi.encode(address(queue), "Staked Rota exit", "xROTA"))
        );
    }

    function _deposit(address who, uint256 amount) internal returns (uint256 shares) {
        IERC20 asset = IERC20(st.asset());
        asset.transfer(who, amount);
        vm.startPrank(who);
        asset.approve(address(st), amount);
        shares = st.deposit(amount, who);
        vm.stopPrank();
    }

    function _request(address who, uint256 shares) internal returns (uint256 requestId) {
        vm.prank(who);
        return queue.requestRedeem(shares, who, who);
    }

    function _nextEpoch() internal {
        _toEpoch(_epoch() + 1);
    }

    /// @dev Seals in the second half of the current epoch.
    function _seal() internal returns (uint256 requestId, uint256 assets) {
        if (block.timestamp < queue.sealableFrom()) vm.warp(queue.sealableFrom());
        return queue.seal();
    }

    /// @dev Stakes all the buffer can spare.
    function _delegateAll() internal {
        for (uint256 i = 0; i < 20 && st.liquidity().delegatable >= st.MIN_DELEGATION(); ++i) {
            (, uint256 room) = allocator.nextDelegation(st.liquidity().delegatable);
            if (room < st.MIN_DELEGATION()) return;
            st.delegate();
        }
    }

    /// @dev Rewards of operator `id`, through epoch `epoch`, fetched.
    function _harvest(uint32 id, uint256 amount) internal {
        token.transfer(address(rewards), amount);
        rewards.credit(id, amount, _epoch() - 1);
        st.harvest(_one(id), 8);
    }

    function _one(uint32 id) internal pure returns (uint32[] memory ids) {
        ids = new uint32[](1);
        ids[0] = id;
    }

    function _fundCover(uint256 amount) internal {
        token.transfer(address(cover), amount);
        cover.book();
    }

    /// @dev The vault's stake of the staked token with an operator, token wei.
    function _real(uint32 id) internal view returns (uint256 value) {
        (, value) = vault.positionOf(id, address(st));
    }

    function _realTicket(uint32 id, uint32 cohort) internal view returns (uint256) {
        (uint256 tokens, uint256 shares) = vault.thawOf(id, cohort);
        return shares == 0 ? 0 : tokens * vault.thawSharesOf(id, cohort, address(st)) / shares;
    }

    function _held(IStakedToken.Position memory p) internal pure returns (uint256) {
        return p.buffer + p.active + p.thawing;
    }

    function _jail(uint32 id) internal {
        charges.jailed(id, _epoch());
        vm.prank(slasher);
        registry.jail(id);
    }

    /// @dev One that is retired is drained at once.
    function _retire(uint32 id) internal {
        vm.prank(_owner(id));
        registry.retire(id);
    }

    function _status(uint32 id) internal view returns (ISequencerRegistry.Status) {
        return registry.statusOf(id);
    }
}
