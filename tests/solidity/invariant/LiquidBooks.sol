// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../harness/LiquidFixture.sol";

/// @notice What the campaign for liquid staking writes down beside the contracts, and how it reads them.
abstract contract LiquidBooks is LiquidFixture {
    uint256 internal constant HOLDERS = 4;

    /// @dev Tokens that came in and went out by every door.
    uint256 public deposited = 1e18;
    uint256 public paidInstantly;
    uint256 public paidToQueue;
    uint256 public feesPaid;
    uint256 public gained;
    uint256 public covered;
    uint256 public funded;
    uint256 public lost;

    /// @dev Calls into the stake vault that may round the books down, and slashes.
    uint256 public roundings;

    /// @dev Final amounts as they were when they became final.
    mapping(uint256 requestId => uint256 assets) public finalAssets;
    uint256 public finalised = 1;

    /// @dev Stake on its way out that was not collected.
    struct Ticket {
        uint32 id;
        uint32 cohort;
    }

    Ticket[] internal _tickets;
    mapping(uint32 id => uint32 cohort) private _noted;

    mapping(bytes32 action => uint256[2] counts) public calls;
    bytes32[] private _actions;

    /// @dev Actions so far.
    uint256 public turn;

    // --- reading

    function contracts() external view returns (IStakedToken, IExitQueue, address, address) {
        return (st, queue, address(token), address(vault));
    }

    /// @dev What the cover fund will pay for slashes that no action has met yet.
    function pendingCover() external view returns (uint256) {
        return covered + cover.held() - funded;
    }

    function tickets() external view returns (Ticket[] memory) {
        return _tickets;
    }

    function actions() external view returns (bytes32[] memory) {
        return _actions;
    }

    function holders() external pure returns (uint256) {
        return HOLDERS;
    }

    function holderAt(uint256 index) external pure returns (address) {
        return _holder(index);
    }

    // --- kit

    function _holder(uint256 index) internal pure returns (address) {
        return address(uint160(0xB01DE0 + index % HOLDERS));
    }

    function _id(uint256 which) internal pure returns (uint32) {
        return uint32(which % 4) + 1;
    }

    function _max(uint256 a, uint256 b) internal pure returns (uint256) {
        return a > b ? a : b;
    }

    function _min(uint256 a, uint256 b) internal pure returns (uint256) {
        return a < b ? a : b;
    }

    function _depositAs(address holder, uint256 amount) internal returns (uint256) {
        token.transfer(holder, amount);
        vm.prank(holder);
        st.deposit(amount, holder);
        return amount;
    }

    function _paid(address holder, uint256 amount) internal {
        paidInstantly += amount;
        _takeBack(holder, amount);
    }

    /// @dev Holders keep no tokens, so that balances tell what an action paid.
    function _takeBack(address holder, uint256 amount) internal {
        vm.prank(holder);
        token.transfer(address(this), amount);
    }

    function _claimable(address holder) internal view returns (uint256) {
        for (uint256 id = 1;; ++id) {
            if (queue.claimableRedeemRequest(id, holder) != 0) return id;
        }
        revert();
    }

    /// @dev Cohorts of this epoch into which stake went.
    function _noteTickets() internal {
        uint32 epoch = _epoch();
        for (uint32 id = 1; id <= 4; ++id) {
            (, uint32 last) = st.operatorOf(id);
            if (last != epoch || _noted[id] == epoch) continue;
            _noted[id] = epoch;
            _tickets.push(Ticket(id, epoch));
        }
    }

    function _rate() internal view returns (uint256 total, uint256 supply) {
        return (st.totalAssets(), share.totalSupply());
    }

    /// @dev Q5, Q6: the same worth for every share, but for `down` wei of rounding against the holders, and roundings for them: at
    /// most one wei of a share for each of two, and the dust that a call into the vault brought to light.
    function _continuous(uint256 total, uint256 supply, uint256 down, string memory action) internal view {
        (uint256 newTotal, uint256 newSupply) = _rate();
        uint256 fair = (total + 1) * (newSupply + 1) / (supply + 1);
        assertGe(newTotal + 1 + down, fair, string.concat("Q5: the rate fell: ", action));
        uint256 wei_ = (total + 1) / (supply + 1) + 1;
        assertLe(newTotal + 1, fair + 3 * wei_ + 3, string.concat("Q6: the rate jumped: ", action));
    }

    function _owed(uint32 sigma) internal view returns (uint256[] memory owed, uint256 liable) {
        (uint256 head, uint256 tail) = st.exitRange();
        owed = new uint256[](tail - head);
        for (uint256 i = 0; i < owed.length; ++i) {
            uint32 epoch;
            (owed[i], epoch,) = st.exitOf(head + i);
            if (uint256(epoch) + 1 >= sigma) liable += owed[i];
        }
    }

    function _count(bytes32 action, bool succeeded) internal {
        uint256[2] storage counts = calls[action];
        if (counts[0] + counts[1] == 0) _actions.push(action);
        ++counts[succeeded ? 0 : 1];
        ++turn;
    }
}
