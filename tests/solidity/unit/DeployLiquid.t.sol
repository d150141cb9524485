// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Test} from "forge-std/Test.sol";
import {IAllocator} from "contracts/interfaces/IAllocator.sol";
import {IAmnesiaFault} from "contracts/interfaces/IAmnesiaFault.sol";
import {ICoverFund} from "contracts/interfaces/ICoverFund.sol";
import {IEpochClock} from "contracts/interfaces/IEpochClock.sol";
import {IERC7540Operator} from "contracts/interfaces/IERC7540.sol";
import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IExitReceipt} from "contracts/interfaces/IExitReceipt.sol";
import {IFaultWatch} from "contracts/interfaces/IFaultWatch.sol";
import {IGuardian} from "contracts/interfaces/IGuardian.sol";
import {ILiquidLens} from "contracts/interfaces/ILiquidLens.sol";
import {INetworkParameters} from "contracts/interfaces/INetworkParameters.sol";
import {IRateFeed} from "contracts/interfaces/IRateFeed.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {IRouter, ISignatureTransfer} from "contracts/interfaces/IRouter.sol";
import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISlashEscrow} from "contracts/interfaces/ISlashEscrow.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {Deploy} from "../../../script/Deploy.s.sol";
import {Parameters} from "../../../script/Parameters.sol";

/// @notice Liquid staking as the deployment script wires it, for the three profiles.
contract DeployLiquidTest is Test {
    uint64 internal constant GENESIS = 1_800_000_000;

    Deploy internal script;
    address internal governance = makeAddr("governance");
    address internal guard = makeAddr("guard");
    address internal ecosystem = makeAddr("ecosystem");
    address internal permit2 = makeAddr("permit2");

    function setUp() public {
        vm.warp(GENESIS);
        script = new Deploy();
    }

    function _deploy(string memory profile, address token) private returns (Deploy.Deployment memory) {
        Deploy.Inputs memory inputs =
            Deploy.Inputs(profile, token, governance, guard, ecosystem, permit2, 5252, keccak256("genesis"), GENESIS);
        return script.deploy(inputs, Parameters.ofProfile(profile), address(script));
    }

    function _token(uint256 supply) private returns (address) {
        return vm.deployCode("NativeToken.sol:NativeToken", abi.encode("Own", "OWN", supply, address(script)));
    }

    function test_mainnet_isWired() public {
        Deploy.Deployment memory d = _deploy("mainnet", _token(1e30));
        assertEq(IERC20Metadata(d.stakedToken).name(), "Staked Own");
        assertEq(IERC20Metadata(d.stakedToken).symbol(), "stOWN");
        _checkLiquid("mainnet", d, Parameters.mainnet());
    }

    /// @dev Epoch 0 of a real network lies ahead.
    function test_deployment_beforeGenesis() public {
        vm.warp(GENESIS - 1 days);
        Deploy.Deployment memory d = _deploy("mainnet", _token(1e30));
        // It can be looked at. Nothing is staked yet that it could be a part of.
        assertEq(IStakedToken(d.stakedToken).totalAssets(), script.SEED());
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_DepositTooLarge.selector, 1e18, 0));
        IStakedToken(d.stakedToken).deposit(1e18, address(this));
        vm.warp(GENESIS);
        _checkLiquid("mainnet", d, Parameters.mainnet());
    }

    function test_devnet_isWired() public {
        Deploy.Deployment memory d = _deploy("devnet", address(0));
        assertEq(IERC20Metadata(d.stakedToken).symbol(), "stROTA");
        _checkLiquid("devnet", d, Parameters.devnet());
    }

    function test_testProfile_isWired() public {
        _checkLiquid("test", _deploy("test", address(0)), Parameters.test());
    }

    function _checkLiquid(string memory profile, Deploy.Deployment memory d, INetworkParameters.Parameters memory p)
        private
    {
        IStakedToken st = IStakedToken(d.stakedToken);
        assertEq(st.asset(), d.nativeToken);
        assertEq(st.exitQueue(), d.exitQueue);
        assertLe(d.stakedToken.code.length, 24_576, "EIP-170, which the tests' own chain does not enforce");
        assertEq(st.totalAssets(), script.SEED());
        (uint16 fee, address recipient) = st.feeInfo();
        assertEq(fee, 1000);
        assertEq(recipient, ecosystem);
        assertEq(IExitQueue(d.exitQueue).asset(), d.nativeToken);
        assertEq(IExitQueue(d.exitQueue).share(), d.stakedToken);
        IAllocator allocator = IAllocator(d.allocator);
        (uint16 capBps, uint32 rampEpochs) = Parameters.allocator(profile);
        assertEq(allocator.CAP_BPS(), capBps);
        assertEq(allocator.RAMP_EPOCHS(), rampEpochs);
        assertEq(ISlashEscrow(d.slashEscrow).coverFund(), d.coverFund);
        IFaultWatch watch = IFaultWatch(d.faultWatch);
        assertEq(watch.THRESHOLD_BPS(), Parameters.FAULT_WATCH_BPS);
        assertEq(watch.HOLD_SECONDS(), 2 * p.epochSeconds + p.amnesiaWindow);
        assertEq(IEpochClock(d.stakedToken).EPOCH_SECONDS(), p.epochSeconds);
        assertEq(IEpochClock(d.exitQueue).EPOCH_SECONDS(), p.epochSeconds);
        assertEq(IEpochClock(d.allocator).EPOCH_SECONDS(), p.epochSeconds);
        IRateFeed(d.rateFeed).checkpoint();
        assertEq(IRateFeed(d.rateFeed).checkpointDue(), block.timestamp + p.epochSeconds);
        assertEq(ILiquidLens(d.liquidLens).operators().length, 0);
        string memory symbol = IERC20Metadata(d.stakedToken).symbol();
        assertEq(IExitReceipt(d.exitReceipt).symbol(), string.concat("exit", symbol));
        assertEq(IExitReceipt(d.exitReceipt).name(), string.concat("Exit from ", symbol));
        _checkLiquidCalls(d);

        // Fee and weights are the timelock's.
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guard));
        vm.prank(guard);
        allocator.setWeight(1, 1);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, governance));
        vm.prank(governance);
        st.setFee(0, governance);
        vm.startPrank(d.timelock);
        st.setFee(0, governance);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.Allocator_OperatorNotAccepting.selector, 1));
        allocator.setWeight(1, 1);
        vm.stopPrank();
    }

    // Wiring that has no getter shows in what the contracts ask each other.
    function _checkLiquidCalls(Deploy.Deployment memory d) private {
        vm.expectCall(d.guardian, abi.encodeCall(IGuardian.isPaused, ()));
        IStakedToken(d.stakedToken).maxDeposit(address(this));
        vm.expectCall(d.amnesiaFault, abi.encodeCall(IAmnesiaFault.openChargesInAll, ()));
        vm.expectCall(d.faultWatch, abi.encodeCall(IFaultWatch.heldUntil, (block.timestamp)));
        IStakedToken(d.stakedToken).maxDeposit(address(this));
        vm.expectCall(d.allocator, abi.encodePacked(IAllocator.nextDelegation.selector));
        ILiquidLens(d.liquidLens).due();
        vm.expectCall(d.sequencerRegistry, abi.encodeCall(ISequencerRegistry.acceptsStake, (1)));
        vm.expectRevert(abi.encodeWithSelector(IAllocator.Allocator_OperatorNotAccepting.selector, 1));
        vm.prank(d.timelock);
        IAllocator(d.allocator).setWeight(1, 1);
        vm.expectRevert(abi.encodeWithSelector(ICoverFund.CoverFund_NotEnough.selector, 1, 0));
        vm.prank(d.stakedToken);
        ICoverFund(d.coverFund).draw(1);
        uint32[] memory ids = new uint32[](1);
        ids[0] = 1;
        vm.expectCall(d.rewardVault, abi.encodeCall(IRewardVault.claim, (1, d.stakedToken, 1)));
        IStakedToken(d.stakedToken).harvest(ids, 1);

        vm.expectCall(d.exitQueue, abi.encodeCall(IERC7540Operator.isOperator, (guard, address(this))));
        vm.expectRevert(abi.encodeWithSelector(IExitReceipt.ExitReceipt_NotAuthorized.selector, address(this), guard));
        IExitReceipt(d.exitReceipt).request(1, guard, guard);

        ISignatureTransfer.PermitTransferFrom memory permit;
        permit.permitted.token = d.nativeToken;
        vm.mockCall(permit2, bytes(""), bytes(""));
        vm.expectCall(permit2, bytes(""));
        IRouter(d.router).depositWithPermit2(0, address(this), 0, address(0), permit, "");
        vm.clearMockedCalls();
    }

    /// @dev An own token is looked at before anything is created.
    function test_ownToken_mustBeUsable() public {
        address token = makeAddr("nothing");
        _expectBadAddress("ROTA_TOKEN", token, "there is no contract: name a token on this chain");
        _deploy("test", token);

        token = _token(1e18 - 1);
        vm.expectRevert(abi.encodeWithSelector(Deploy.Deploy_NoSeed.selector, token, address(script), 1e18 - 1, 1e18));
        _deploy("test", token);

        token = _token(1e18);
        vm.mockCall(token, abi.encodeCall(IERC20Metadata.decimals, ()), abi.encode(6));
        _expectBadAddress("ROTA_TOKEN", token, "the native token needs 18 decimals");
        _deploy("test", token);
    }

    function test_permit2_isAContractOrTheUsualOne() public {
        assertEq(script.permit2At(address(0)), 0x000000000022D473030F116dDEE9F6B43aC78BA3);
        assertEq(script.permit2At(address(script)), address(script));
        _expectBadAddress("ROTA_PERMIT2", permit2, "there is no contract: leave it out, or name Permit2 on this chain");
        script.permit2At(permit2);
    }

    function _expectBadAddress(string memory name, address value, string memory fix) private {
        vm.expectRevert(abi.encodeWithSelector(Deploy.Deploy_BadAddress.selector, name, value, fix));
    }
}
