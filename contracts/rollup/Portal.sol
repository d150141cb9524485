// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IGuardian} from "../interfaces/IGuardian.sol";
import {IPortal} from "../interfaces/IPortal.sol";

/// @title Portal
/// @notice Holds the tokens that circulate on L2. The only ways out are fees that were burned there and, in a later
/// release, proven withdrawals.
contract Portal is IPortal, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace208;
    using SafeERC20 for IERC20;

    /// @dev L2 credits count in gwei (EIP-4895).
    uint256 private constant GWEI = 1e9;
    /// @dev `coinbase(id)` of protocol section 5 without the id: these balances count as burned fees.
    uint256 private constant COINBASE_PREFIX = 0x5e90 << 112;

    IERC20 private immutable TOKEN;
    IGuardian private immutable GUARDIAN;
    /// @inheritdoc IPortal
    address public immutable rewardVault;

    /// @dev Number of deposits by L1 block: one entry for each block that had any.
    Checkpoints.Trace208 private _counts;
    /// @inheritdoc IPortal
    uint32 public lastReleasedEpoch;

    /// @param token_ The token L2 uses as gas.
    /// @param rewardVault_ Who may release fees.
    /// @param guardian Who may pause deposits.
    constructor(address token_, address rewardVault_, address guardian) {
        if (token_ == address(0)) revert Portal_ZeroAddress("token");
        if (rewardVault_ == address(0)) revert Portal_ZeroAddress("rewardVault");
        if (guardian == address(0)) revert Portal_ZeroAddress("guardian");
        TOKEN = IERC20(token_);
        rewardVault = rewardVault_;
        GUARDIAN = IGuardian(guardian);
    }

    /// @inheritdoc IPortal
    function deposit(address to, uint256 amount) external nonReentrant returns (uint64 index) {
        return _deposit(to, amount);
    }

    /// @inheritdoc IPortal
    function depositWithPermit(address to, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        returns (uint64 index)
    {
        // Whoever sees the permit first may use it up; the deposit then finds the allowance in place.
        try IERC20Permit(address(TOKEN)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        return _deposit(to, amount);
    }

    /// @inheritdoc IPortal
    function releaseFees(uint32 epoch, uint256 amount) external {
        if (msg.sender != rewardVault) revert Portal_NotRewardVault(msg.sender);
        if (epoch <= lastReleasedEpoch) revert Portal_FeesAlreadyReleased(epoch, lastReleasedEpoch);
        lastReleasedEpoch = epoch;
        emit FeesReleased(epoch, amount);
        TOKEN.safeTransfer(rewardVault, amount);
    }

    /// @inheritdoc IPortal
    function token() external view returns (address) {
        return address(TOKEN);
    }

    /// @inheritdoc IPortal
    function depositCount() external view returns (uint64) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(_counts.latest());
    }

    /// @inheritdoc IPortal
    function depositCountAt(uint64 l1Block) external view returns (uint64) {
        // Block numbers beyond 48 bits are all in the future. Counts are sums of ones and far below 2^64.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint48 key = l1Block > type(uint48).max ? type(uint48).max : uint48(l1Block);
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(_counts.upperLookupRecent(key));
    }

    function _deposit(address to, uint256 amount) private returns (uint64 index) {
        if (GUARDIAN.isPaused()) revert Portal_Paused();
        if (to == address(0) || uint256(uint160(to)) >> 32 == COINBASE_PREFIX) revert Portal_BadRecipient(to);
        uint256 amountGwei = amount / GWEI;
        if (amount == 0 || amount % GWEI != 0 || amountGwei > type(uint64).max) revert Portal_BadAmount(amount);
        // forge-lint: disable-start(unsafe-typecast)
        index = uint64(_counts.latest());
        _counts.push(uint48(block.number), uint208(index) + 1);
        emit Deposited(index, msg.sender, to, uint64(amountGwei));
        // forge-lint: disable-end(unsafe-typecast)
        uint256 before = TOKEN.balanceOf(address(this));
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = TOKEN.balanceOf(address(this)) - before;
        if (received < amount) revert Portal_TokenTookFee(received, amount);
    }
}
