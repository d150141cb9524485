// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {IMessagePasser} from "contracts/interfaces/IMessagePasser.sol";

contract MessagePasserTest is Test {
    address internal constant PREDEPLOY = 0x5e91000000000000000000000000000000000001;
    IMessagePasser internal passer = IMessagePasser(PREDEPLOY);
    address internal immutable TO = makeAddr("to");

    /// @dev As in the L2 genesis: runtime code only, no constructor ever ran.
    function setUp() public {
        vm.etch(PREDEPLOY, vm.getDeployedCode("MessagePasser.sol:MessagePasser"));
    }

    function test_withdrawRecordsTheLeafAndKeepsTheValue() public {
        bytes32 leaf = keccak256(abi.encode(uint256(0), address(this), TO, uint256(3 ether)));
        vm.expectEmit(PREDEPLOY);
        emit IMessagePasser.WithdrawalRecorded(0, address(this), TO, 3 ether, leaf);
        assertEq(passer.withdraw{value: 3 ether}(TO), leaf);
        assertTrue(passer.sent(leaf));
        assertEq(passer.nonce(), 1);
        assertEq(PREDEPLOY.balance, 3 ether);
        assertEq(passer.leafOf(0, address(this), TO, 3 ether), leaf);
    }

    function test_equalWithdrawalsHaveDifferentLeaves() public {
        bytes32 first = passer.withdraw{value: 1}(TO);
        bytes32 second = passer.withdraw{value: 1}(TO);
        assertNotEq(first, second);
        assertTrue(passer.sent(first) && passer.sent(second));
        assertEq(PREDEPLOY.balance, 2);
    }

    /// @dev What L1 will prove: the leaf's slot in a mapping at slot 0, holding 1; the nonce at slot 1.
    function test_storageLayoutIsTheProofsLayout() public {
        bytes32 leaf = passer.withdraw{value: 1}(TO);
        assertEq(vm.load(PREDEPLOY, keccak256(abi.encode(leaf, uint256(0)))), bytes32(uint256(1)));
        assertEq(vm.load(PREDEPLOY, bytes32(uint256(1))), bytes32(uint256(1)));
    }

    function test_refusesNoValue() public {
        vm.expectRevert(IMessagePasser.MessagePasser_ZeroAmount.selector);
        passer.withdraw(TO);
    }

    function test_refusesNoRecipient() public {
        vm.expectRevert(IMessagePasser.MessagePasser_ZeroRecipient.selector);
        passer.withdraw{value: 1}(address(0));
    }

    function test_refusesPlainTransfers() public {
        (bool ok,) = PREDEPLOY.call{value: 1}("");
        assertFalse(ok);
    }

    /// @dev No instruction in the code moves value: no CALL, CALLCODE, DELEGATECALL, CREATE, CREATE2 or SELFDESTRUCT.
    function test_nothingLeaves() public view {
        bytes memory code = PREDEPLOY.code;
        for (uint256 i = 0; i < code.length; ++i) {
            uint8 op = uint8(code[i]);
            assertFalse(op == 0xf0 || op == 0xf1 || op == 0xf2 || op == 0xf4 || op == 0xf5 || op == 0xff);
            if (op >= 0x60 && op <= 0x7f) i += op - 0x5f;
        }
    }
}
