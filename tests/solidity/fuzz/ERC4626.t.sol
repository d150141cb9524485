// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../harness/LiquidFixture.sol";

/// @notice What ERC-4626 demands of every vault, for the staked token at any rate: after deposits of any size, gains that have
/// vested or not, donations, and losses. Without fees and limits, which is what public property suites assume
/// (docs/integrators.md names those that were run); `WithFees` has the same with the figures of a real network.
contract ERC4626Fuzz is LiquidFixture {
    address internal constant CALLER = address(0xCA11);
    address internal constant OWNER = address(0x0E4E);
    address internal constant RECEIVER = address(0x4ECE1);

    function setUp() public {
        _deploy(8, 16);
        _toEpoch(10);
        for (uint256 i = 1; i <= 4; ++i) {
            _operator(i, OPERATOR_BOND);
        }
        _deployLiquidOn(token, _figures());
        for (uint32 id = 1; id <= 4; ++id) {
            allocator.setWeight(id, 100);
        }
        _toEpoch(20);
    }

    function _figures() internal view virtual returns (IStakedToken.Config memory config) {
        config = _config();
        (config.feeBps, config.exitFloorBps, config.exitSpanBps) = (0, 0, 0);
        (config.windowBps, config.maxShareBps, config.bunkerLossBps) = (10_000, 10_000, 10_000);
    }

    /// @dev Where a history may have left the vault.
    struct World {
        uint96 owned;
        uint96 others;
        uint96 gain;
        uint96 gift;
        uint64 loss;
        uint8 epochs;
    }

    modifier anywhere(World memory w) {
        _deposit(OWNER, w.owned % 4 == 0 ? _bound(w.owned, 0, 100) : _bound(w.owned, 0, 3000e18));
        _deposit(BOB, _bound(w.others, 0, 3000e18));
        if (w.loss % 2 == 1) {
            _toEpoch(_epoch() + 1);
            _delegateAll();
            if (st.activeOf(1) != 0) _slash(1, _epoch(), _bound(w.loss, 1, 0.3e18));
        }
        if (w.gain % 3 != 0) _harvest(1, _bound(w.gain, 1, 900e18));
        if (w.gift % 3 == 0) token.transfer(address(st), _bound(w.gift, 0, 50e18));
        skip(uint256(w.epochs) * EPOCH / 4);
        // A loss may have closed it; the rules are for when it is open.
        if (st.position().bunkerUntil > block.timestamp) {
            st.sync(1);
            vm.warp(st.position().bunkerUntil);
        }
        token.transfer(CALLER, 4000e18);
        vm.prank(CALLER);
        token.approve(address(st), type(uint256).max);
        _;
    }

    // --- views

    function testFuzz_viewsNeverRevertAndNameNobody(World memory w, address who, uint128 amount) public anywhere(w) {
        vm.startPrank(who);
        uint256[6] memory one =
            [st.totalAssets(), st.convertToShares(amount), st.convertToAssets(amount), 0, 0, uint160(st.asset())];
        (one[3], one[4]) = (st.maxDeposit(who), st.maxMint(who));
        st.maxWithdraw(who);
        st.maxRedeem(who);
        vm.stopPrank();
        uint256[6] memory other =
            [st.totalAssets(), st.convertToShares(amount), st.convertToAssets(amount), 0, 0, uint160(st.asset())];
        (other[3], other[4]) = (st.maxDeposit(who), st.maxMint(who));
        assertEq(keccak256(abi.encode(one)), keccak256(abi.encode(other)), "depends on the caller");
    }

    /// @notice Previews tell the same to everybody, whoever they are and whatever they hold.
    function testFuzz_previewsNameNobody(World memory w, address who, uint128 amount) public anywhere(w) {
        address[3] memory callers = [who, OWNER, address(st)];
        bytes32 told;
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.startPrank(callers[i]);
            bytes32 now_ = keccak256(
                abi.encode(
                    st.previewDeposit(amount),
                    st.previewMint(amount),
                    st.previewWithdraw(amount),
                    st.previewRedeem(amount)
                )
            );
            vm.stopPrank();
            if (i != 0) assertEq(now_, told);
            told = now_;
        }
    }

    /// @notice Q11: each maximum itself is accepted, and pays or takes what its preview says.
    function testFuzz_maximaAreAccepted(World memory w) public anywhere(w) {
        uint256 state = vm.snapshotState();
        uint256 most = st.maxWithdraw(OWNER);
        uint256 quote = st.previewWithdraw(most);
        vm.prank(OWNER);
        assertEq(st.withdraw(most, RECEIVER, OWNER), quote);
        vm.revertToState(state);
        most = st.maxRedeem(OWNER);
        quote = st.previewRedeem(most);
        vm.prank(OWNER);
        assertEq(st.redeem(most, RECEIVER, OWNER), quote);
        vm.revertToState(state);
        // There may be fewer tokens than room for them.
        token.transfer(CALLER, 9e27);
        most = _min(st.maxDeposit(RECEIVER), 9e27);
        quote = st.previewDeposit(most);
        if (quote != 0 || most == 0) {
            vm.prank(CALLER);
            assertEq(st.deposit(most, RECEIVER), quote);
        }
        vm.revertToState(state);
        token.transfer(CALLER, 9e27);
        most = _min(st.maxMint(RECEIVER), st.convertToShares(9e27));
        quote = st.previewMint(most);
        vm.prank(CALLER);
        assertEq(st.mint(most, RECEIVER), quote);
    }

    function testFuzz_conversionsRoundDownAndNeverGain(World memory w, uint128 amount) public anywhere(w) {
        assertLe(st.convertToAssets(st.convertToShares(amount)), amount);
        assertLe(st.convertToShares(st.convertToAssets(amount)), amount);
        assertLe(st.previewDeposit(amount), st.convertToShares(amount), "what mints");
        assertGe(st.previewMint(amount), st.convertToAssets(amount), "what minting costs");
        assertGe(st.previewWithdraw(amount), st.convertToShares(amount), "what burns");
        assertLe(st.previewRedeem(amount), st.convertToAssets(amount), "what is paid");
    }

    function testFuzz_nothingIsWorthNothing(World memory w) public anywhere(w) {
        assertEq(st.convertToShares(0) + st.convertToAssets(0), 0);
        assertEq(st.previewDeposit(0) + st.previewMint(0) + st.previewWithdraw(0) + st.previewRedeem(0), 0);
        vm.startPrank(OWNER);
        assertEq(st.deposit(0, OWNER) + st.mint(0, OWNER), 0);
        assertEq(st.withdraw(0, OWNER, OWNER) + st.redeem(0, OWNER, OWNER), 0);
        vm.stopPrank();
    }

    // --- each action does what its preview said, to whom it named

    function testFuzz_deposit(World memory w, uint256 assets) public anywhere(w) {
        assets = _bound(assets, 0, _min(st.maxDeposit(RECEIVER), 4000e18));
        uint256 quote = st.previewDeposit(assets);
        if (quote == 0 && assets != 0) return;
        uint256 total = st.totalAssets();
        vm.prank(CALLER);
        assertEq(st.deposit(assets, RECEIVER), quote);
        assertEq(share.balanceOf(RECEIVER), quote);
        assertEq(token.balanceOf(CALLER), 4000e18 - assets);
        assertEq(st.totalAssets(), total + assets);
    }

    function testFuzz_mint(World memory w, uint256 shares) public anywhere(w) {
        shares = _bound(shares, 0, _min(st.maxMint(RECEIVER), st.convertToShares(4000e18)));
        uint256 quote = st.previewMint(shares);
        if (quote > 4000e18) return;
        vm.prank(CALLER);
        assertEq(st.mint(shares, RECEIVER), quote);
        assertEq(share.balanceOf(RECEIVER), shares);
        assertEq(token.balanceOf(CALLER), 4000e18 - quote);
    }

    function testFuzz_withdraw(World memory w, uint256 assets, bool byItself) public anywhere(w) {
        assets = _bound(assets, 0, st.maxWithdraw(OWNER));
        uint256 quote = st.previewWithdraw(assets);
        uint256 held = share.balanceOf(OWNER);
        address caller = _spender(byItself, quote);
        vm.prank(caller);
        assertEq(st.withdraw(assets, RECEIVER, OWNER), quote);
        assertEq(token.balanceOf(RECEIVER), assets);
        assertEq(share.balanceOf(OWNER), held - quote);
        assertEq(share.allowance(OWNER, CALLER), 0, "spent to the wei");
    }

    function testFuzz_redeem(World memory w, uint256 shares, bool byItself) public anywhere(w) {
        shares = _bound(shares, 0, st.maxRedeem(OWNER));
        uint256 quote = st.previewRedeem(shares);
        uint256 held = share.balanceOf(OWNER);
        address caller = _spender(byItself, shares);
        vm.prank(caller);
        assertEq(st.redeem(shares, RECEIVER, OWNER), quote);
        assertEq(token.balanceOf(RECEIVER), quote);
        assertEq(share.balanceOf(OWNER), held - shares);
        assertEq(share.allowance(OWNER, CALLER), 0, "spent to the wei");
    }

    function testFuzz_nobodyTakesWithoutAllowance(World memory w, uint256 amount) public anywhere(w) {
        uint256 shares = st.maxRedeem(OWNER);
        if (shares == 0) return;
        shares = _bound(amount, 1, shares);
        vm.prank(OWNER);
        share.approve(CALLER, shares - 1);
        vm.startPrank(CALLER);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, CALLER, shares - 1, shares)
        );
        st.redeem(shares, CALLER, OWNER);
        uint256 assets = _bound(amount, 1, _max(1, st.maxWithdraw(OWNER)));
        share.approve(OWNER, type(uint256).max);
        vm.stopPrank();
        vm.prank(OWNER);
        share.approve(CALLER, 0);
        uint256 needed = st.previewWithdraw(assets);
        vm.prank(CALLER);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, CALLER, 0, needed));
        st.withdraw(assets, CALLER, OWNER);
    }

    // --- no way round gains

    function testFuzz_depositThenLeave(World memory w, uint256 assets, bool named) public anywhere(w) {
        assets = _bound(assets, 0, _min(st.maxDeposit(CALLER), 4000e18));
        if (st.previewDeposit(assets) == 0) return;
        vm.startPrank(CALLER);
        uint256 shares = st.deposit(assets, CALLER);
        if (named) {
            uint256 most = _min(assets, st.maxWithdraw(CALLER));
            if (most == assets) assertGe(st.withdraw(assets, CALLER, CALLER), shares);
        } else if (st.maxRedeem(CALLER) == shares) {
            assertLe(st.redeem(shares, CALLER, CALLER), assets);
        }
        assertLe(token.balanceOf(CALLER), 4000e18);
        vm.stopPrank();
    }

    function testFuzz_mintThenLeave(World memory w, uint256 shares, bool named) public anywhere(w) {
        shares = _bound(shares, 0, _min(st.maxMint(CALLER), st.convertToShares(3900e18)));
        vm.startPrank(CALLER);
        uint256 assets = st.mint(shares, CALLER);
        if (named) {
            if (st.maxWithdraw(CALLER) >= assets) assertGe(st.withdraw(assets, CALLER, CALLER), shares);
        } else if (st.maxRedeem(CALLER) == shares) {
            assertLe(st.redeem(shares, CALLER, CALLER), assets);
        }
        assertLe(token.balanceOf(CALLER), 4000e18);
        vm.stopPrank();
    }

    function testFuzz_leaveThenComeBack(World memory w, uint256 amount, bool named) public anywhere(w) {
        uint256 held = share.balanceOf(OWNER);
        vm.startPrank(OWNER);
        token.approve(address(st), type(uint256).max);
        if (named) {
            amount = _bound(amount, 0, st.maxWithdraw(OWNER));
            uint256 burned = st.withdraw(amount, OWNER, OWNER);
            if (amount <= st.maxDeposit(OWNER) && st.previewDeposit(amount) != 0) {
                assertLe(st.deposit(amount, OWNER), burned);
            }
        } else {
            amount = _bound(amount, 0, st.maxRedeem(OWNER));
            uint256 paid = st.redeem(amount, OWNER, OWNER);
            if (amount <= st.maxMint(OWNER)) assertGe(st.previewMint(amount), paid);
        }
        assertLe(share.balanceOf(OWNER), held);
        vm.stopPrank();
    }

    // --- kit

    function _spender(bool byItself, uint256 shares) private returns (address caller) {
        if (byItself) return OWNER;
        vm.prank(OWNER);
        share.approve(CALLER, shares);
        return CALLER;
    }

    function _min(uint256 a, uint256 b) internal pure returns (uint256) {
        return a < b ? a : b;
    }

    function _max(uint256 a, uint256 b) internal pure returns (uint256) {
        return a > b ? a : b;
    }
}

contract ERC4626WithFeesFuzz is ERC4626Fuzz {
    function _figures() internal view override returns (IStakedToken.Config memory) {
        return _config();
    }
}
