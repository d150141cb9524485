// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IAllocator} from "contracts/interfaces/IAllocator.sol";
import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IExitReceipt} from "contracts/interfaces/IExitReceipt.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {ChargeBook} from "../harness/LiquidFixture.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @notice Gas of whole transactions of liquid staking, on a whole network with the real reward vault. Always with isolation:
/// base cost, calldata and cold storage are included.
/// forge-config: default.isolate = true
contract LiquidGasTest is NetworkKit {
    string private constant GROUP = "Liquid";
    uint256 private constant MEMBERS = 8;
    address private constant ALICE = address(0xA11CE);
    address private constant BOB = address(0xB0B);
    address private constant CAROL = address(0xCA201);

    IStakedToken private st;
    IExitQueue private queue;
    IAllocator private allocator;
    ChargeBook private charges;

    function setUp() public {
        _deployNetwork();
        _start(MEMBERS);
        _fund(10_000e18);
        _deposit(100_000e18);
        _deployLiquid();
        for (uint32 id = 1; id <= MEMBERS; ++id) {
            allocator.setWeight(id, 100);
        }
        _stake(ALICE, 1000e18);
        _stake(BOB, 100e18);
        _nextEpoch();
        while (st.liquidity().delegatable >= 1e18) st.delegate();
        token.transfer(CAROL, 1000e18);
    }

    function test_gas_deposit() public {
        _measureDeposit(CAROL, 20e18, "deposit, new holder", 130_000);
        _measureDeposit(CAROL, 10e18, "deposit", 110_000);
    }

    function test_gas_transfer() public {
        vm.prank(ALICE);
        IERC20(address(st)).transfer(CAROL, 1e18);
        _measured("transfer, new holder", 55_000);
        vm.prank(ALICE);
        IERC20(address(st)).transfer(CAROL, 1e18);
        _measured("transfer", 40_000);
    }

    function test_gas_exitThroughTheQueue() public {
        vm.prank(ALICE);
        queue.requestRedeem(10e18, ALICE, ALICE);
        _measured("request, first of a batch", 130_000);
        vm.prank(BOB);
        queue.requestRedeem(10e18, BOB, BOB);
        _measured("request", 130_000);
        vm.prank(BOB);
        queue.requestRedeem(1e18, BOB, BOB);
        _measured("request, again in the same batch", 80_000);
        vm.warp(queue.sealableFrom());
        queue.seal();
        _measured("seal, from the buffer", 200_000);
        skip(parameters.epochSeconds);
        queue.finalize();
        _measured("finalize", 130_000);
        token.transfer(ALICE, 1);
        vm.prank(ALICE);
        queue.redeem(10e18, ALICE, ALICE);
        _measured("claim", 90_000);
        vm.prank(BOB);
        queue.claim(1, BOB, BOB);
        _measured("claim of one request, to an empty account", 100_000);
    }

    function test_gas_receipts() public {
        IExitReceipt receipts =
            IExitReceipt(vm.deployCode("ExitReceipt.sol:ExitReceipt", abi.encode(address(queue), "name", "symbol")));
        vm.prank(ALICE);
        IERC20(address(st)).approve(address(receipts), type(uint256).max);
        vm.prank(ALICE);
        queue.requestRedeem(1e18, ALICE, ALICE);
        vm.prank(ALICE);
        receipts.request(10e18, ALICE, ALICE);
        _measured("receipt, first of a batch", 260_000);
        vm.prank(ALICE);
        receipts.request(10e18, ALICE, ALICE);
        _measured("receipt", 180_000);
        vm.warp(queue.sealableFrom());
        queue.seal();
        skip(parameters.epochSeconds);
        queue.finalize();
        token.transfer(ALICE, 1);
        vm.prank(ALICE);
        receipts.redeem(1, ALICE);
        _measured("redeem a receipt, first of a batch", 160_000);
        vm.prank(ALICE);
        receipts.redeem(2, ALICE);
        _measured("redeem a receipt", 90_000);
    }

    function test_gas_sealThatUndelegates() public {
        vm.prank(ALICE);
        queue.requestRedeem(70e18, ALICE, ALICE);
        vm.warp(queue.sealableFrom());
        queue.seal();
        _measured("seal, undelegating from 6 of 8 operators", 750_000);
    }

    function test_gas_instantExit() public {
        token.transfer(ALICE, 1);
        vm.prank(ALICE);
        st.redeem(1e18, ALICE, ALICE);
        _measured("instant exit, the first", 170_000);
        vm.prank(ALICE);
        st.redeem(1e18, ALICE, ALICE);
        _measured("instant exit", 130_000);
    }

    function test_gas_harvest() public {
        _pay(3);
        st.harvest(_ids(1, 8), 8);
        _pay(3);
        st.harvest(_ids(1, 1), 8);
        uint256 one = _measured("harvest, one operator", 115_000);
        st.harvest(_ids(2, 8), 8);
        uint256 seven = _measured("harvest, seven operators", 7 * 110_000);
        assertLe((seven - one) / 6, 110_000, "harvest, each further operator");
        vm.snapshotValue(GROUP, "harvest, each further operator", (seven - one) / 6);
    }

    /// @notice What the harvest of one operator costs by the epochs it fetches at once. Fetched every epoch it keeps the target of
    /// 110,000; later the cursor is searched for in more checkpoints, each a cold word, and their number has a logarithm only.
    function test_gas_harvestByEpochs() public {
        _pay(3);
        st.harvest(_ids(1, 8), 8);
        _pay(1);
        _measureHarvest(1, "harvest, one operator, one epoch", 110_000);
        _pay(1);
        _measureHarvest(2, "harvest, one operator, two epochs", 115_000);
        _pay(6);
        _measureHarvest(3, "harvest, one operator, eight epochs", 120_000);
        _pay(16);
        _measureHarvest(3, "harvest, one operator, sixteen epochs", 125_000);
    }

    /// @notice While anybody is accused, each deposit looks at every operator of the list: some 7,000 for each.
    function test_gas_depositWhileOneIsAccused() public {
        allocator.setWeight(_register(9, BOND), 100);
        allocator.setWeight(_register(10, BOND), 100);
        _stake(BOB, 400e18);
        while (st.liquidity().delegatable >= 1e18) st.delegate();
        assertEq(allocator.operators().length, 10);
        charges.accuse(1);
        _measureDeposit(CAROL, 20e18, "deposit, one of 10 operators accused, new holder", 210_000);
        _measureDeposit(CAROL, 10e18, "deposit, one of 10 operators accused", 190_000);
    }

    function test_gas_delegate() public {
        _stake(BOB, 100e18);
        st.delegate();
        _measured("delegate, 8 operators", 400_000);
    }

    function _measureHarvest(uint32 id, string memory name, uint256 limit) private {
        uint256 gain = st.harvest(_ids(id, id), 8);
        _measured(name, limit);
        assertGt(gain, 0, name);
    }

    function _measureDeposit(address who, uint256 amount, string memory name, uint256 limit) private {
        vm.prank(who);
        token.approve(address(st), amount);
        vm.prank(who);
        st.deposit(amount, who);
        _measured(name, limit);
    }

    function _measured(string memory name, uint256 limit) private returns (uint256 used) {
        used = vm.snapshotGasLastCall(GROUP, name);
        assertGt(used, 21_000, "run with --isolate");
        assertLe(used, limit, name);
    }

    function _ids(uint32 from, uint32 to) private pure returns (uint32[] memory ids) {
        ids = new uint32[](to - from + 1);
        for (uint32 i = 0; i < ids.length; ++i) {
            ids[i] = from + i;
        }
    }

    function _pay(uint256 epochs) private {
        Work[] memory work = new Work[](MEMBERS);
        for (uint256 i = 0; i < MEMBERS; ++i) {
            work[i] = Work(300, 290, 5, 3e18);
        }
        for (uint256 i = 0; i < epochs; ++i) {
            _payEpoch(work, 100e18);
        }
    }

    function _stake(address who, uint256 amount) private {
        token.transfer(who, amount);
        vm.startPrank(who);
        token.approve(address(st), amount);
        st.deposit(amount, who);
        vm.stopPrank();
    }

    function _deployLiquid() private {
        address manager = vm.deployCode("AccessManager.sol:AccessManager", abi.encode(address(this)));
        charges = new ChargeBook(1 days);
        // Another contract, as in a network: cold by itself.
        ChargeBook judge = new ChargeBook(1 days);
        // With isolation each of these two calls is a transaction, which counts as well.
        uint64 nonce = vm.getNonce(address(this));
        token.approve(vm.computeCreateAddress(address(this), nonce + 4), 1e18);
        token.approve(vm.computeCreateAddress(address(this), nonce + 6), 1e18);
        nonce = vm.getNonce(address(this));
        address self = vm.computeCreateAddress(address(this), nonce + 4);
        IStakedToken.Config memory config;
        (config.name, config.symbol) = ("Staked Rota", "stROTA");
        (config.token, config.stakeVault, config.rewardVault) =
        (address(token), address(stakeVault), address(rewardVault));
        config.allocator = vm.computeCreateAddress(address(this), nonce);
        config.coverFund = vm.computeCreateAddress(address(this), nonce + 1);
        config.exitQueue = vm.computeCreateAddress(address(this), nonce + 2);
        config.faultWatch = vm.computeCreateAddress(address(this), nonce + 3);
        (config.guardian, config.authority, config.feeRecipient) = (address(guardian), manager, address(this));
        (config.feeBps, config.bufferBps, config.exitFloorBps, config.exitSpanBps) = (1000, 500, 5, 200);
        (config.windowBps, config.windowSeconds, config.maxShareBps) = (1000, 1 days, 3333);
        (config.bunkerLossBps, config.bunkerEpochs) = (100, 4);
        (config.dripSeconds, config.maxDripSeconds) = (uint32(parameters.epochSeconds), 1 days);
        (config.genesis, config.epochSeconds) = (GENESIS, uint64(parameters.epochSeconds));
        allocator = IAllocator(
            vm.deployCode(
                "Allocator.sol:Allocator",
                abi.encode(
                    manager,
                    address(registry),
                    charges,
                    address(stakeVault),
                    self,
                    config.faultWatch,
                    2000,
                    0,
                    GENESIS,
                    config.epochSeconds
                )
            )
        );
        vm.deployCode("CoverFund.sol:CoverFund", abi.encode(address(token), self));
        queue = IExitQueue(
            vm.deployCode("ExitQueue.sol:ExitQueue", abi.encode(address(token), self, GENESIS, config.epochSeconds))
        );
        vm.deployCode(
            "FaultWatch.sol:FaultWatch",
            abi.encode(self, address(allocator), charges, judge, uint16(1000), config.epochSeconds)
        );
        st = IStakedToken(vm.deployCode("StakedToken.sol:StakedToken", abi.encode(config)));
        assertEq(address(st), self);
    }
}
