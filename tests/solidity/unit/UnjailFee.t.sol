// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISlashEscrow} from "contracts/interfaces/ISlashEscrow.sol";

import {SlashingFixture} from "../harness/SlashingFixture.sol";
import {CallbackToken, FeeToken} from "../harness/Tokens.sol";

/// @notice What it costs to come back from jail: the owner's tokens, once, divided by the escrow, and nothing of anybody
/// else's.
contract UnjailFeeTest is SlashingFixture {
    uint256 private constant FEE = 10e18 + 1;

    address private owner;

    function setUp() public {
        _deploySlashing(8, 16);
        _start(2, 10);
        owner = _owner(0);
        token.transfer(owner, 100e18);
        _jail(1, 10);
    }

    function _unjailFee() internal pure override returns (uint256) {
        return FEE;
    }

    function test_unjail_takesTheFee() public {
        assertEq(registry.UNJAIL_FEE(), FEE);
        uint256 before = token.balanceOf(owner);
        vm.startPrank(owner);
        token.approve(escrow, FEE);
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.OperatorStatusChanged(1, ISequencerRegistry.Status.Active);
        vm.expectEmit(escrow);
        emit ISlashEscrow.FeeTaken(owner, FEE, 5e18 + 1, 5e18);
        registry.unjail(1);
        vm.stopPrank();
        assertTrue(registry.isEligible(1));
        assertEq(token.balanceOf(owner), before - FEE);
        assertEq(token.balanceOf(escrow), FEE);
        assertEq(slashEscrow.burnBalance(), 5e18 + 1);
        assertEq(slashEscrow.coverBalance(), 5e18);
        slashEscrow.burn();
        slashEscrow.setCoverFund(makeAddr("cover fund"));
        slashEscrow.withdrawCover();
        assertEq(token.balanceOf(escrow), 0, "all of it belongs to somebody");
    }

    /// @dev Nothing is changed or taken when it cannot be paid, and each time costs.
    function test_revert_unjail_unpaid() public {
        vm.startPrank(owner);
        vm.expectPartialRevert(bytes4(keccak256("TransferFromFailed()")));
        registry.unjail(1);
        token.approve(escrow, FEE - 1);
        vm.expectPartialRevert(bytes4(keccak256("TransferFromFailed()")));
        registry.unjail(1);
        token.approve(escrow, FEE);
        uint256 balance = token.balanceOf(owner);
        token.transfer(address(this), balance - FEE + 1);
        vm.expectPartialRevert(bytes4(keccak256("TransferFromFailed()")));
        registry.unjail(1);
        vm.stopPrank();
        assertEq(uint8(registry.statusOf(1)), uint8(ISequencerRegistry.Status.Jailed));
        assertEq(token.balanceOf(escrow), 0);
        assertEq(slashEscrow.burnBalance(), 0);

        token.transfer(owner, 1);
        vm.prank(owner);
        registry.unjail(1);
        _toEpoch(12);
        _jail(1, 12);
        vm.expectPartialRevert(bytes4(keccak256("TransferFromFailed()")));
        vm.prank(owner);
        registry.unjail(1);
    }

    /// @dev An allowance for the escrow is good for the fee of its giver's own operator and for nothing else.
    function test_revert_takeFee_notRegistry() public {
        vm.prank(owner);
        token.approve(escrow, type(uint256).max);
        address[3] memory strangers = [address(this), slasher, owner];
        for (uint256 i = 0; i < strangers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_NotRegistry.selector, strangers[i]));
            vm.prank(strangers[i]);
            slashEscrow.takeFee(owner, 1);
        }
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotOwner.selector, 1, address(this))
        );
        registry.unjail(1);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISequencerRegistry.SequencerRegistry_WrongStatus.selector, 2, ISequencerRegistry.Status.Active
            )
        );
        vm.prank(_owner(1));
        registry.unjail(2);
        assertEq(token.balanceOf(escrow), 0);
    }

    /// @dev R3: the fee holds up no exit.
    function test_R3_stakeLeavesWithoutAFee() public {
        uint256 units = vault.units(1, owner);
        (, uint32 cohort) = _undelegate(owner, 1, units);
        vm.startPrank(owner);
        set.leaveSeat(1);
        registry.retire(1);
        _toEpoch(10 + 2 + UNBONDING);
        assertEq(vault.claim(1, cohort), 1000e18);
        vm.stopPrank();
        assertEq(token.balanceOf(escrow), 0);
    }

    function test_revert_unjail_tokenTakesFee() public {
        FeeToken kept = new FeeToken();
        kept.mint(owner, 1000e18);
        _otherEscrow(address(kept));
        vm.startPrank(owner);
        kept.approve(escrow, FEE);
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_TokenTookFee.selector, FEE - FEE / 100, FEE));
        registry.unjail(1);
        vm.stopPrank();
        assertEq(uint8(registry.statusOf(1)), uint8(ISequencerRegistry.Status.Jailed));
    }

    /// @dev A token that calls the payer in the middle of the payment lets it take nothing out that is not there yet.
    function test_unjail_reentered() public {
        CallbackToken hooked = new CallbackToken();
        hooked.mint(owner, 1000e18);
        _otherEscrow(address(hooked));
        vm.prank(owner);
        hooked.approve(escrow, type(uint256).max);
        slashEscrow.setCoverFund(makeAddr("cover fund"));

        // Once more: it is active already.
        hooked.arm(address(registry), abi.encodeCall(registry.unjail, (1)));
        uint256 start = vm.snapshotState();
        vm.prank(owner);
        registry.unjail(1);
        assertFalse(hooked.succeeded());
        assertEq(hooked.balanceOf(escrow), FEE, "taken once");

        // The fee's own half, before the fee is there.
        vm.revertToState(start);
        hooked.arm(address(slashEscrow), abi.encodeCall(slashEscrow.withdrawCover, ()));
        vm.prank(owner);
        registry.unjail(1);
        assertFalse(hooked.succeeded(), "nothing is there to be paid out");
        assertEq(hooked.balanceOf(escrow), FEE);

        // From what belongs to others: less arrives than was paid, and the whole payment fails.
        vm.revertToState(start);
        hooked.mint(escrow, 1000e18);
        vm.prank(slasher);
        slashEscrow.book(reporter, 1000e18, 1000e18);
        hooked.arm(address(slashEscrow), abi.encodeCall(slashEscrow.withdraw, (reporter)));
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_TokenTookFee.selector, 0, FEE), escrow);
        vm.prank(owner);
        registry.unjail(1);
    }

    function test_constructor_boundsTheFee() public {
        ISequencerRegistry.Config memory config = _registryConfig();
        uint256 maximum = registry.MAX_UNJAIL_FEE();
        config.unjailFee = maximum + 1;
        _refuse(config, maximum);
        config.unjailFee = 1;
        config.slashEscrow = address(0);
        _refuse(config, maximum);
        config.unjailFee = 0;
        vm.deployCode("SequencerRegistry.sol:SequencerRegistry", abi.encode(config));
        config = _registryConfig();
        config.unjailFee = maximum;
        vm.deployCode("SequencerRegistry.sol:SequencerRegistry", abi.encode(config));
    }

    function _refuse(ISequencerRegistry.Config memory config, uint256 maximum) private {
        _assertNotCreated(
            abi.encodePacked(vm.getCode("SequencerRegistry.sol:SequencerRegistry"), abi.encode(config)),
            abi.encodeWithSelector(
                ISequencerRegistry.SequencerRegistry_InvalidUnjailFee.selector, config.unjailFee, maximum
            )
        );
    }

    /// @dev An escrow for another token, where the registry expects one.
    function _otherEscrow(address asset) private {
        deployCodeTo(
            "SlashEscrow.sol:SlashEscrow",
            abi.encode(asset, slasher, address(registry), feeSplitter, address(manager)),
            escrow
        );
    }
}
