//! What the liquid staking contracts are called by.
#![allow(missing_docs, reason = "contracts/interfaces documents them")]

use alloy_sol_types::sol;

sol! {
    /// The addresses of `IStakedToken.Config`.
    #[derive(Debug)]
    struct Wiring {
        address token;
        address stakeVault;
        address rewardVault;
        address allocator;
        address coverFund;
        address exitQueue;
        address faultWatch;
        address guardian;
        address authority;
        address feeRecipient;
    }

    /// The figures of `IStakedToken.Config`.
    #[derive(Debug)]
    struct Figures {
        uint16 feeBps;
        uint16 bufferBps;
        uint16 exitFloorBps;
        uint16 exitSpanBps;
        uint16 windowBps;
        uint48 windowSeconds;
        uint16 maxShareBps;
        uint16 bunkerLossBps;
        uint32 bunkerEpochs;
        uint32 dripSeconds;
        uint32 maxDripSeconds;
        uint64 genesis;
        uint64 epochSeconds;
    }

    /// `IStakedToken.Config`. A struct of fixed size within another is encoded as its fields are, and a struct here has at
    /// most 24.
    #[derive(Debug)]
    struct StakedTokenConfig {
        string name;
        string symbol;
        Wiring wiring;
        Figures figures;
    }

    #[derive(Debug, PartialEq)]
    struct Position {
        uint256 buffer;
        uint256 active;
        uint256 thawing;
        uint256 owed;
        uint256 locked;
        uint256 fees;
        uint256 lossCarry;
        uint256 bufferTarget;
        uint256 bunkerUntil;
        uint32 bunkerSigma;
    }

    #[derive(Debug, PartialEq)]
    struct Liquidity {
        uint256 free;
        uint256 delegatable;
        uint256 lacking;
        uint256 stakeable;
    }

    #[derive(Debug, PartialEq)]
    struct Stand {
        uint32 id;
        uint16 weight;
        uint256 active;
        uint256 target;
        uint256 excess;
    }

    #[derive(Debug, PartialEq)]
    struct Batch {
        uint256 shares;
        uint256 assets;
        uint8 state;
    }

    #[derive(Debug)]
    interface StakedToken {
        error StakedToken_Paused();
        error StakedToken_Bunker(uint256 until);
        error StakedToken_Accused();
        error StakedToken_DepositTooLarge(uint256 assets, uint256 maximum);
        error StakedToken_ZeroShares(uint256 assets);
        error StakedToken_BufferTooLow(uint256 asked, uint256 available);
        error StakedToken_WindowUsedUp(uint256 asked, uint256 available);
        error StakedToken_NothingSealed();
        error StakedToken_ExitHeld(uint256 until);
        error StakedToken_NothingToDelegate(uint256 available);
        error StakedToken_NothingToRebalance(uint32 id);
        error StakedToken_NothingLacking();
        error StakedToken_NothingToSkim();
        error StakedToken_NothingToCollect();
        error StakedToken_FeeTooHigh(uint256 feeBps, uint256 maximum);
        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
        error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
        error FullMulDivFailed();

        function deposit(uint256 assets, address receiver) external returns (uint256);
        function mint(uint256 shares, address receiver) external returns (uint256);
        function withdraw(uint256 assets, address receiver, address owner) external returns (uint256);
        function redeem(uint256 shares, address receiver, address owner) external returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
        function harvest(uint32[] ids, uint256 maxSegments) external returns (uint256);
        function skim() external returns (uint256);
        function delegate() external returns (uint32 id, uint256 amount);
        function rebalance(uint32 id) external returns (uint256);
        function replenish() external returns (uint256);
        function collect(uint32 id, uint32 cohortEpoch) external returns (uint256);
        function sync(uint256 maxSlashes) external;
        function collectFees() external returns (uint256);
        function setFee(uint16 feeBps, address recipient) external;

        function balanceOf(address account) external view returns (uint256);
        function totalSupply() external view returns (uint256);
        function totalAssets() external view returns (uint256);
        function convertToShares(uint256 assets) external view returns (uint256);
        function convertToAssets(uint256 shares) external view returns (uint256);
        function previewDeposit(uint256 assets) external view returns (uint256);
        function previewMint(uint256 shares) external view returns (uint256);
        function previewWithdraw(uint256 assets) external view returns (uint256);
        function previewRedeem(uint256 shares) external view returns (uint256);
        function maxDeposit(address receiver) external view returns (uint256);
        function maxMint(address receiver) external view returns (uint256);
        function maxWithdraw(address owner) external view returns (uint256);
        function maxRedeem(address owner) external view returns (uint256);
        function instantFee(uint256 net) external view returns (uint256);
        function position() external view returns (Position memory);
        function activeOf(uint32 id) external view returns (uint256);
        function ticketOf(uint32 id, uint32 cohortEpoch) external view returns (uint256);
        function stakesOf(uint32[] ids, bool liable) external view returns (uint256[] memory);
        function operatorOf(uint32 id) external view returns (uint32 firstTicket, uint32 lastTicket);
        function syncedSlashes() external view returns (uint256);
        function liquidity() external view returns (Liquidity memory);
        function exitRange() external view returns (uint256 head, uint256 tail);
        function exitOf(uint256 index) external view returns (uint256 assets, uint32 epoch, uint256 payableFrom);
        function feeInfo() external view returns (uint16 feeBps, address recipient);
    }

    #[derive(Debug)]
    interface ExitQueue {
        error ExitQueue_Zero();
        error ExitQueue_NotAuthorized(address caller, address account);
        error ExitQueue_AlreadySealed(uint256 requestId);
        error ExitQueue_InsufficientRequest(uint256 asked, uint256 held);
        error ExitQueue_NotClaimable(uint256 asked, uint256 claimable);
        error ExitQueue_SealTooEarly(uint256 from);
        error ExitQueue_NothingToSeal();

        function requestRedeem(uint256 shares, address controller, address owner) external returns (uint256);
        function cancelRedeem(uint256 requestId, uint256 shares, address receiver, address controller) external;
        function claim(uint256 requestId, address receiver, address controller) external returns (uint256);
        function redeem(uint256 shares, address receiver, address controller) external returns (uint256);
        function withdraw(uint256 assets, address receiver, address controller) external returns (uint256);
        function deposit(uint256 assets, address receiver) external returns (uint256);
        function seal() external returns (uint256 requestId, uint256 assets);
        function finalize() external returns (uint256 requestId, uint256 assets);

        function openBatch() external view returns (uint256);
        function nextToFinalise() external view returns (uint256);
        function batchOf(uint256 requestId) external view returns (Batch memory);
        function sealableFrom() external view returns (uint256);
        function requestsOf(address controller, uint256 limit) external view returns (uint256[] memory);
        function pendingRedeemRequest(uint256 requestId, address controller) external view returns (uint256);
        function claimableRedeemRequest(uint256 requestId, address controller) external view returns (uint256);
        function maxRedeem(address controller) external view returns (uint256);
        function maxWithdraw(address controller) external view returns (uint256);
    }

    #[derive(Debug)]
    interface Allocator {
        error Allocator_OperatorNotAccepting(uint32 id);
        error Allocator_NotListed(uint32 id);
        error Allocator_StillInUse(uint32 id, uint16 weight, uint256 stake);

        function setWeight(uint32 id, uint16 weight) external;
        function unlist(uint32 id) external;
        function nextDelegation(uint256 available) external view returns (uint32 id, uint256 amount);
        function planExit(uint256 amount, uint256 most)
            external view returns (uint32[] memory ids, uint256[] memory amounts);
        function excessOf(uint32 id) external view returns (uint256);
        function targetOf(uint32 id) external view returns (uint256);
        function operators() external view returns (uint32[] memory);
        function stands() external view returns (Stand[] memory);
    }

    #[derive(Debug)]
    interface CoverFund {
        error CoverFund_NothingToBook();

        function book() external returns (uint256);
        function held() external view returns (uint256);
    }

    #[derive(Debug)]
    interface FaultWatch {
        function heldUntil(uint256 since) external view returns (uint256);
        function accusedStake() external view returns (uint256);
        function isAccused(uint32 id) external view returns (bool);
    }

    /// Counts charges as the fault module does (tests/solidity/harness).
    #[derive(Debug)]
    interface ChargeBook {
        function accuse(uint32 id) external;
        function jailed(uint32 id, uint32 epoch) external;
        function close(uint32 id) external;
        function convictOther(uint32 id, bool due) external;
    }

    /// Pays what is credited, as the reward vault does (tests/solidity/harness).
    #[derive(Debug)]
    interface RewardBox {
        function credit(uint32 id, uint256 amount, uint32 epoch) external;
    }
}
