// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @notice Plays the example of docs/stakers.md and makes its lines out of what the contracts say: each must stand there as it
/// is, to the last digit.
contract WorkedExampleTest is LiquidFixture {
    using Strings for uint256;

    string private _document;

    function setUp() public {
        _deployLiquid();
        _document = vm.readFile("docs/stakers.md");
    }

    function test_theExampleOfTheDocument() public {
        _fundCover(2e18);

        uint256 alice = _deposit(ALICE, 999e18);
        _line("Alice deposits 999", _gets("shares", alice));

        _toEpoch(_epoch() + 1);
        _delegateAll();
        _line("950 are staked with four operators", unicode"–");

        _harvest(1, 20e18);
        _line("20 of rewards are harvested", "fee 2, the rest vests over 4 epochs");

        skip(2 * EPOCH);
        uint256 bob = _deposit(BOB, 100.9e18);
        _line("two epochs later Bob deposits 100.9", _gets("shares", bob));

        _request(ALICE, 200e18);
        (uint256 batch, uint256 owed) = _seal();
        _line("Alice asks for 200 shares, the batch is sealed", string.concat("owed ", _show(owed)));

        _slash(1, _epoch(), 0.08e18);
        st.sync(1);
        (uint256 left,,) = st.exitOf(batch);
        assertEq(_show(owed - left), "3.4337", "what the exit bore");
        assertEq(_show(st.position().lossCarry), "6.8163", "what the rate bore");
        assertEq(_show(19e18 - 2e18 - 6.75e18 - (owed - left)), "6.8163", "cover and drip paid the rest");
        _line("operator 1 loses 8 %", string.concat("Alice's exit is owed ", _show(left)));
        assertEq(st.maxRedeem(BOB) + st.maxDeposit(BOB), 0, "the bunker is closed");

        vm.warp(st.position().bunkerUntil);
        _line("two epochs later deposits and instant exits open again", unicode"–");

        uint256 carry = st.position().lossCarry;
        _harvest(2, 10e18);
        string memory made = string.concat("fee ", _show(st.position().fees - 2e18), ": ", _show(carry));
        assertEq(_show(st.position().fees), "2.3184");
        _line("10 of rewards are harvested", string.concat(made, " made up for the loss first"));

        // The seal took what exit, fees and buffer lacked from several.
        (, uint32 cohort) = st.operatorOf(1);
        vm.warp(vault.claimableFrom(cohort));
        for (uint32 id = 1; id <= 4; ++id) {
            if (st.ticketOf(id, cohort) != 0) st.collect(id, cohort);
        }
        queue.finalize();
        vm.prank(ALICE);
        _line(
            "the undelegated stake is back, Alice claims",
            string.concat("paid ", _show(queue.claim(batch, ALICE, ALICE)), " for 200 shares")
        );

        uint256 worth = st.convertToAssets(10e18);
        vm.prank(BOB);
        uint256 net = st.redeem(10e18, BOB, BOB);
        string memory fee = string.concat("paid ", _show(net), ", fee ", _show(worth - net));
        _line("Bob leaves at once with 10 shares", fee);
    }

    /// @dev `| what | buffer | staked | owed | locked | total assets | rate | result |`
    function _line(string memory what, string memory result) private view {
        IStakedToken.Position memory p = st.position();
        string memory line = string.concat("| ", what, " | ", _show(p.buffer), " | ", _show(p.active + p.thawing));
        line = string.concat(line, " | ", _show(p.owed), " | ", _show(p.locked), " | ", _show(st.totalAssets()));
        line = string.concat(line, " | ", _show(st.convertToAssets(1e18)), " | ", result, " |");
        assertTrue(_stands(line), string.concat("not in docs/stakers.md: ", line));
    }

    function _gets(string memory what, uint256 amount) private pure returns (string memory) {
        return string.concat(_show(amount), " ", what);
    }

    /// @dev Four digits behind the point, rounded; none if they are zeros.
    function _show(uint256 wad) private pure returns (string memory) {
        uint256 digits = (wad + 0.5e14) / 1e14;
        string memory whole = (digits / 1e4).toString();
        uint256 rest = digits % 1e4;
        if (rest == 0) return whole;
        bytes memory tail = bytes((1e4 + rest).toString());
        tail[0] = ".";
        while (tail[tail.length - 1] == "0") {
            assembly ("memory-safe") {
                mstore(tail, sub(mload(tail), 1))
            }
        }
        return string.concat(whole, string(tail));
    }

    function _stands(string memory line) private view returns (bool) {
        (bytes memory document, bytes memory part) = (bytes(_document), bytes(line));
        bytes32 wanted = keccak256(part);
        bytes1 first = part[0];
        bytes1 third = part[2];
        for (uint256 i = 0; i + part.length <= document.length; ++i) {
            if (document[i] != first || document[i + 2] != third) continue;
            bytes32 found;
            uint256 length = part.length;
            assembly ("memory-safe") {
                found := keccak256(add(add(document, 32), i), length)
            }
            if (found == wanted) return true;
        }
        return false;
    }
}
