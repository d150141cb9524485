// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Script, VmSafe} from "forge-std/Script.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {IGuardian} from "contracts/interfaces/IGuardian.sol";
import {INetworkParameters} from "contracts/interfaces/INetworkParameters.sol";
import {IOfflineFault} from "contracts/interfaces/IOfflineFault.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {ISlashEscrow} from "contracts/interfaces/ISlashEscrow.sol";
import {ISlasher} from "contracts/interfaces/ISlasher.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";
import {DeploymentFile} from "./DeploymentFile.sol";
import {Parameters} from "./Parameters.sol";

/// @title Deployment of a network
/// @notice The one way a network comes to be: devnets, tests and real networks run this script.
///
/// `ROTA_PROFILE` (devnet if unset, on development chains only), `ROTA_L2_CHAIN_ID`, `ROTA_L2_GENESIS_HASH`,
/// `ROTA_GENESIS_TIME` (start of epoch 0, unix seconds, the block's timestamp if unset), `ROTA_TOKEN` (an existing native token; without it one is minted to the deployer),
/// `ROTA_GOVERNANCE` (proposer and canceller of the timelock), `ROTA_GUARDIAN` (may pause), `ROTA_ECOSYSTEM` (receives the
/// ecosystem's part of fees, and the fees of liquid staking): the deployer where unset, refused where unset on mainnet,
/// `ROTA_PERMIT2` (Uniswap's Permit2 where it is not at its usual address), and `ROTA_DEPLOYMENTS_DIR`.
/// The deployer needs one native token, which the staked token keeps for ever, as the shares that nobody owns.
contract Deploy is Script {
    /// @notice What differs between two networks of one profile.
    struct Inputs {
        string profile;
        address token; // zero: mint one
        address governance;
        address guardian;
        address ecosystem;
        address permit2;
        uint64 l2ChainId;
        bytes32 l2GenesisHash;
        uint64 genesisTime;
    }

    /// @notice The addresses of a network.
    struct Deployment {
        address nativeToken;
        address networkParameters;
        address accessManager;
        address timelock;
        address guardian;
        address feeSplitter;
        address sequencerRegistry;
        address stakeVault;
        address sequencerSet;
        address batchChain;
        address portal;
        address rewardVault;
        address slasher;
        address slashEscrow;
        address doubleVoteFault;
        address doubleProposalFault;
        address conflictingCertificatesFault;
        address amnesiaFault;
        address offlineFault;
        address lens;
        address allocator;
        address coverFund;
        address exitQueue;
        address faultWatch;
        address stakedToken;
        address rateFeed;
        address router;
        address exitReceipt;
        address liquidLens;
    }

    /// @notice The role that decides about roles and governs everything that has no role of its own.
    uint64 public constant ADMIN_ROLE = 0;

    /// @notice The role that may pause and unpause.
    uint64 public constant GUARDIAN_ROLE = 1;

    /// @notice The role that may drop a case of absence within its appeal window.
    uint64 public constant APPEALS_ROLE = 2;

    /// @notice Wei minted to the deployer when a network brings no token of its own.
    uint256 public constant INITIAL_SUPPLY = 1_000_000_000e18;

    /// @notice Native tokens (wei) that the staked token takes from the deployer.
    uint256 public constant SEED = 1e18;

    /// @notice Where Permit2 is on most chains. Nothing else can be there: the address follows from its code.
    address public constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;

    /// @notice Most seconds that epoch 0 may lie ahead; more is a mistake, such as a time in milliseconds.
    uint256 public constant MAX_GENESIS_LEAD = 30 days;

    /// @notice Most seconds that epoch 0 of a devnet or test network may have begun ago.
    uint256 public constant MAX_GENESIS_AGE = 1 days;

    /// @notice A network with real stake names its `what` itself.
    error Deploy_Required(string what);

    /// @notice Chain `chainId` is not one for development: the profile has to be named.
    error Deploy_ProfileRequired(uint256 chainId, string fix);

    /// @notice The environment variable `name` has the unusable value `value`.
    error Deploy_BadValue(string name, uint256 value, string fix);

    /// @notice The environment variable `name` names `value`, which is not what it has to be.
    error Deploy_BadAddress(string name, address value, string fix);

    /// @notice The deployer holds `balance` of the native token `token`, wei; the staked token needs `needed` from it.
    error Deploy_NoSeed(address token, address deployer, uint256 balance, uint256 needed);

    /// @notice A contract did not arrive at the address it was predicted to.
    error Deploy_WrongAddress(string name, address predicted, address actual);

    /// @notice The creation of a contract failed.
    error Deploy_CreationFailed(string name, bytes reason);

    /// @notice Deploys from the environment and writes `deployments/<chainId>.json`.
    function run() external returns (Deployment memory deployment) {
        vm.startBroadcast();
        (, address deployer,) = vm.readCallers();
        Inputs memory inputs = fromEnvironment(deployer);
        deployment = deploy(inputs, Parameters.ofProfile(inputs.profile), deployer);
        vm.stopBroadcast();
        write(inputs, deployment, vm.envOr("ROTA_DEPLOYMENTS_DIR", string("deployments")));
    }

    /// @notice Reads the environment; see the contract's notice.
    function fromEnvironment(address deployer) public view returns (Inputs memory inputs) {
        inputs.profile = profileOn(block.chainid, vm.envOr("ROTA_PROFILE", string("")));
        inputs.l2ChainId = chainIdOf(vm.envUint("ROTA_L2_CHAIN_ID"));
        inputs.l2GenesisHash = vm.envBytes32("ROTA_L2_GENESIS_HASH");
        inputs.genesisTime =
            genesisTimeOf(inputs.profile, vm.envOr("ROTA_GENESIS_TIME", block.timestamp), block.timestamp);
        inputs.token = vm.envOr("ROTA_TOKEN", address(0));
        inputs.governance = vm.envOr("ROTA_GOVERNANCE", address(0));
        inputs.guardian = vm.envOr("ROTA_GUARDIAN", address(0));
        inputs.ecosystem = vm.envOr("ROTA_ECOSYSTEM", address(0));
        inputs.permit2 = permit2At(vm.envOr("ROTA_PERMIT2", address(0)));
        return withDefaults(inputs, deployer);
    }

    /// @notice The profile to use on an L1 where `named` (empty: none) was asked for.
    /// @param chainId of the L1; 31337 and 1337 are what development nodes use
    function profileOn(uint256 chainId, string memory named) public pure returns (string memory) {
        if (bytes(named).length != 0) return named;
        bool development = chainId == 31_337 || chainId == 1337;
        require(development, Deploy_ProfileRequired(chainId, "set ROTA_PROFILE to mainnet, devnet or test"));
        return "devnet";
    }

    /// @notice The L2 chain id, if it is one.
    function chainIdOf(uint256 value) public pure returns (uint64) {
        require(
            value != 0 && value <= type(uint64).max, Deploy_BadValue("ROTA_L2_CHAIN_ID", value, "use 1 to 2^64 - 1")
        );
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(value);
    }

    /// @notice The start of epoch 0, if it is near `time`: at most `MAX_GENESIS_LEAD` ahead, and not in the past, except
    /// for a devnet or a test, which may begin in the middle.
    /// @param value unix seconds
    /// @param time of the L1, unix seconds
    function genesisTimeOf(string memory profile, uint256 value, uint256 time) public pure returns (uint64) {
        uint256 age = keccak256(bytes(profile)) == keccak256("mainnet") ? 0 : MAX_GENESIS_AGE;
        uint256 earliest = time > age ? time - age : 1;
        uint256 latest = time + MAX_GENESIS_LEAD;
        require(
            value >= earliest && value <= latest,
            Deploy_BadValue(
                "ROTA_GENESIS_TIME",
                value,
                string.concat("use unix seconds from ", vm.toString(earliest), " to ", vm.toString(latest))
            )
        );
        // At most a block's time and a month.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(value);
    }

    /// @notice The Permit2 contract to use where `named` (zero: none) was asked for. Its usual address is taken even as long as
    /// nothing is there: deposits by Permit2 are refused then, and possible as soon as somebody deploys it.
    function permit2At(address named) public view returns (address) {
        if (named == address(0)) return PERMIT2;
        require(
            named.code.length != 0,
            Deploy_BadAddress(
                "ROTA_PERMIT2", named, "there is no contract: leave it out, or name Permit2 on this chain"
            )
        );
        return named;
    }

    /// @notice Puts the deployer where nobody is named, except on mainnet, where it keeps nothing.
    function withDefaults(Inputs memory inputs, address deployer) public pure returns (Inputs memory) {
        bool real = keccak256(bytes(inputs.profile)) == keccak256("mainnet");
        require(!real || inputs.token != address(0), Deploy_Required("ROTA_TOKEN"));
        require(!real || _isOther(inputs.governance, deployer), Deploy_Required("ROTA_GOVERNANCE"));
        require(!real || _isOther(inputs.guardian, deployer), Deploy_Required("ROTA_GUARDIAN"));
        require(!real || _isOther(inputs.ecosystem, deployer), Deploy_Required("ROTA_ECOSYSTEM"));
        if (inputs.governance == address(0)) inputs.governance = deployer;
        if (inputs.guardian == address(0)) inputs.guardian = deployer;
        if (inputs.ecosystem == address(0)) inputs.ecosystem = deployer;
        if (inputs.permit2 == address(0)) inputs.permit2 = PERMIT2;
        return inputs;
    }

    /// @notice Creates and wires a network.
    /// @param inputs complete, see `withDefaults`
    /// @param p constants of the network, checked by the contracts themselves
    /// @param deployer the account whose nonce the creations use
    function deploy(Inputs memory inputs, INetworkParameters.Parameters memory p, address deployer)
        public
        returns (Deployment memory d)
    {
        if (inputs.token != address(0)) _checkToken(inputs.token, deployer);
        d = _predict(inputs, deployer);
        if (inputs.token == address(0)) {
            _create("NativeToken", abi.encode("Rota", "ROTA", INITIAL_SUPPLY, deployer), d.nativeToken);
        }
        _create("NetworkParameters", abi.encode(p), d.networkParameters);
        _createGovernance(inputs, p, d, deployer);
        _createStaking(inputs, p, d);
        _createRollup(inputs, p, d);
        _createSlashing(inputs, p, d);
        _createFaults(inputs, p, d);
        _create(
            "Lens",
            abi.encode(
                d.sequencerRegistry,
                d.stakeVault,
                d.sequencerSet,
                d.batchChain,
                d.rewardVault,
                d.slasher,
                d.amnesiaFault
            ),
            d.lens
        );
        _createLiquid(inputs, p, d);
        _handOver(inputs, d, deployer);
    }

    /// @notice Writes `<directory>/<chainId>.json`, the file that nodes, the CLI and the bindings read.
    function write(Inputs memory inputs, Deployment memory d, string memory directory)
        public
        returns (string memory path)
    {
        INetworkParameters.Parameters memory p = INetworkParameters(d.networkParameters).parameters();
        string memory file = "deployment";
        vm.serializeUint(file, "chainId", block.chainid);
        vm.serializeString(file, "profile", inputs.profile);
        vm.serializeUint(file, "l2ChainId", inputs.l2ChainId);
        vm.serializeBytes32(file, "l2GenesisHash", inputs.l2GenesisHash);
        vm.serializeUint(file, "genesisTime", inputs.genesisTime);
        vm.serializeUint(file, "epochSeconds", p.epochSeconds);
        vm.serializeUint(file, "unbondingEpochs", p.unbondingEpochs);
        vm.serializeUint(file, "maxSeats", p.maxSeats);
        vm.serializeUint(file, "slotsPerWindow", p.slotsPerWindow);
        vm.serializeUint(file, "blockTimeMs", p.blockTimeMs);
        vm.serializeUint(file, "batchBlocks", p.batchBlocks);
        vm.serializeUint(file, "batchSeconds", p.batchSeconds);
        vm.serializeUint(file, "challengeWindow", p.challengeWindow);
        vm.serializeUint(file, "l1Confirmations", p.l1Confirmations);
        vm.serializeUint(file, "maxOriginLag", p.maxOriginLag);
        vm.serializeUint(file, "maxSetAge", p.maxSetAge);
        // More than a JSON number holds: wei as a decimal string.
        vm.serializeString(file, "minSelfBond", vm.toString(p.minSelfBond));
        vm.serializeUint(file, "deployedAtBlock", block.number);
        string memory json = vm.serializeString(file, "contracts", DeploymentFile.contracts(d));
        path = string.concat(directory, "/", vm.toString(block.chainid), ".json");
        vm.createDir(directory, true);
        vm.writeJson(json, path);
    }

    // Before anything is created.
    function _checkToken(address token, address deployer) private view {
        require(
            token.code.length != 0,
            Deploy_BadAddress("ROTA_TOKEN", token, "there is no contract: name a token on this chain")
        );
        require(
            IERC20Metadata(token).decimals() == 18,
            Deploy_BadAddress("ROTA_TOKEN", token, "the native token needs 18 decimals")
        );
        uint256 held = IERC20Metadata(token).balanceOf(deployer);
        require(held >= SEED, Deploy_NoSeed(token, deployer, held, SEED));
    }

    // The deployer's nonces are the order of the fields. There is one call in between, the approval of the seed.
    function _predict(Inputs memory inputs, address deployer) private returns (Deployment memory d) {
        uint256 nonce = vm.getNonce(deployer);
        d.nativeToken = inputs.token != address(0) ? inputs.token : vm.computeCreateAddress(deployer, nonce++);
        d.networkParameters = vm.computeCreateAddress(deployer, nonce++);
        d.accessManager = vm.computeCreateAddress(deployer, nonce++);
        d.timelock = vm.computeCreateAddress(deployer, nonce++);
        d.guardian = vm.computeCreateAddress(deployer, nonce++);
        d.feeSplitter = vm.computeCreateAddress(deployer, nonce++);
        d.sequencerRegistry = vm.computeCreateAddress(deployer, nonce++);
        d.stakeVault = vm.computeCreateAddress(deployer, nonce++);
        d.sequencerSet = vm.computeCreateAddress(deployer, nonce++);
        d.batchChain = vm.computeCreateAddress(deployer, nonce++);
        d.portal = vm.computeCreateAddress(deployer, nonce++);
        d.rewardVault = vm.computeCreateAddress(deployer, nonce++);
        d.slasher = vm.computeCreateAddress(deployer, nonce++);
        d.slashEscrow = vm.computeCreateAddress(deployer, nonce++);
        d.doubleVoteFault = vm.computeCreateAddress(deployer, nonce++);
        d.doubleProposalFault = vm.computeCreateAddress(deployer, nonce++);
        d.conflictingCertificatesFault = vm.computeCreateAddress(deployer, nonce++);
        d.amnesiaFault = vm.computeCreateAddress(deployer, nonce++);
        d.offlineFault = vm.computeCreateAddress(deployer, nonce++);
        d.lens = vm.computeCreateAddress(deployer, nonce++);
        d.allocator = vm.computeCreateAddress(deployer, nonce++);
        d.coverFund = vm.computeCreateAddress(deployer, nonce++);
        d.exitQueue = vm.computeCreateAddress(deployer, nonce++);
        d.faultWatch = vm.computeCreateAddress(deployer, nonce++);
        // A call takes a nonce only where it is a transaction.
        (VmSafe.CallerMode mode,,) = vm.readCallers();
        if (mode == VmSafe.CallerMode.RecurrentBroadcast) nonce++;
        d.stakedToken = vm.computeCreateAddress(deployer, nonce++);
        d.rateFeed = vm.computeCreateAddress(deployer, nonce++);
        d.router = vm.computeCreateAddress(deployer, nonce++);
        d.exitReceipt = vm.computeCreateAddress(deployer, nonce++);
        d.liquidLens = vm.computeCreateAddress(deployer, nonce++);
    }

    function _createGovernance(
        Inputs memory inputs,
        INetworkParameters.Parameters memory p,
        Deployment memory d,
        address deployer
    ) private {
        address[] memory proposers = new address[](1);
        proposers[0] = inputs.governance;
        address[] memory executors = new address[](1); // the zero address: anyone may execute what is due
        _create("AccessManager", abi.encode(deployer), d.accessManager);
        _create("TimelockController", abi.encode(p.timelockDelay, proposers, executors, address(0)), d.timelock);
        _create("Guardian", abi.encode(d.accessManager), d.guardian);
        _create("FeeSplitter", abi.encode(d.nativeToken, inputs.ecosystem, d.accessManager), d.feeSplitter);
    }

    function _createStaking(Inputs memory inputs, INetworkParameters.Parameters memory p, Deployment memory d) private {
        _create(
            "SequencerRegistry",
            abi.encode(
                ISequencerRegistry.Config({
                    guardian: d.guardian,
                    slasher: d.slasher,
                    slashEscrow: d.slashEscrow,
                    unjailFee: Parameters.unjailFee(inputs.profile),
                    maxCommissionBps: p.maxCommissionBps,
                    genesis: inputs.genesisTime,
                    epochSeconds: p.epochSeconds
                })
            ),
            d.sequencerRegistry
        );
        _create(
            "StakeVault",
            abi.encode(
                IStakeVault.Config({
                    token: d.nativeToken,
                    registry: d.sequencerRegistry,
                    guardian: d.guardian,
                    slasher: d.slasher,
                    slashEscrow: d.slashEscrow,
                    sequencerSet: d.sequencerSet,
                    authority: d.accessManager,
                    unbondingEpochs: p.unbondingEpochs,
                    maxPool: p.maxPool,
                    genesis: inputs.genesisTime,
                    epochSeconds: p.epochSeconds
                })
            ),
            d.stakeVault
        );
        _create(
            "SequencerSet",
            abi.encode(
                ISequencerSet.Config({
                    registry: d.sequencerRegistry,
                    vault: d.stakeVault,
                    batchChain: d.batchChain,
                    guardian: d.guardian,
                    authority: d.accessManager,
                    maxSeats: p.maxSeats,
                    slotsPerWindow: p.slotsPerWindow,
                    minSelfBond: p.minSelfBond,
                    genesis: inputs.genesisTime,
                    epochSeconds: p.epochSeconds
                })
            ),
            d.sequencerSet
        );
    }

    function _createRollup(Inputs memory inputs, INetworkParameters.Parameters memory p, Deployment memory d) private {
        _create(
            "BatchChain",
            abi.encode(
                IBatchChain.Config({
                    genesis: inputs.genesisTime,
                    epochSeconds: p.epochSeconds,
                    l2ChainId: inputs.l2ChainId,
                    l2GenesisHash: inputs.l2GenesisHash,
                    challengeWindow: p.challengeWindow,
                    maxSetAge: p.maxSetAge
                }),
                d.sequencerSet,
                d.portal,
                d.rewardVault,
                d.guardian
            ),
            d.batchChain
        );
        _create("Portal", abi.encode(d.nativeToken, d.rewardVault, d.guardian), d.portal);
        _create(
            "RewardVault",
            abi.encode(
                IRewardVault.Config({
                    token: d.nativeToken,
                    portal: d.portal,
                    batchChain: d.batchChain,
                    registry: d.sequencerRegistry,
                    stakeVault: d.stakeVault,
                    sequencerSet: d.sequencerSet,
                    feeSplitter: d.feeSplitter,
                    authority: d.accessManager,
                    rewardPerBlock: p.rewardPerBlock,
                    postingReward: p.postingReward,
                    genesis: inputs.genesisTime,
                    epochSeconds: p.epochSeconds
                })
            ),
            d.rewardVault
        );
    }

    function _createSlashing(Inputs memory inputs, INetworkParameters.Parameters memory p, Deployment memory d)
        private
    {
        address[] memory modules = new address[](4);
        modules[0] = d.doubleVoteFault;
        modules[1] = d.doubleProposalFault;
        modules[2] = d.conflictingCertificatesFault;
        modules[3] = d.amnesiaFault;
        _create(
            "Slasher",
            abi.encode(
                ISlasher.Config({
                    vault: d.stakeVault,
                    registry: d.sequencerRegistry,
                    sequencerSet: d.sequencerSet,
                    escrow: d.slashEscrow,
                    authority: d.accessManager,
                    modules: modules,
                    offlineFault: d.offlineFault,
                    // Whole epochs, rounded up: what the parameter promises is taken in any case.
                    evidenceEpochs: uint32((p.evidenceAge + p.epochSeconds - 1) / p.epochSeconds),
                    correlationEpochs: p.correlationEpochs,
                    appealWindow: p.appealWindow,
                    genesis: inputs.genesisTime,
                    epochSeconds: p.epochSeconds
                })
            ),
            d.slasher
        );
        _create(
            "SlashEscrow",
            abi.encode(d.nativeToken, d.slasher, d.sequencerRegistry, d.feeSplitter, d.accessManager),
            d.slashEscrow
        );
    }

    function _createFaults(Inputs memory inputs, INetworkParameters.Parameters memory p, Deployment memory d) private {
        IEvidence.Wiring memory wiring = IEvidence.Wiring({
            slasher: d.slasher, sequencerSet: d.sequencerSet, batchChain: d.batchChain, l2ChainId: inputs.l2ChainId
        });
        _create("DoubleVoteFault", abi.encode(wiring), d.doubleVoteFault);
        _create("DoubleProposalFault", abi.encode(wiring), d.doubleProposalFault);
        _create("ConflictingCertificatesFault", abi.encode(wiring), d.conflictingCertificatesFault);
        _create("AmnesiaFault", abi.encode(wiring, p.amnesiaWindow), d.amnesiaFault);
        _create(
            "OfflineFault",
            abi.encode(
                IOfflineFault.Config({
                    slasher: d.slasher, sequencerSet: d.sequencerSet, batchChain: d.batchChain, minSlots: p.minSlots
                })
            ),
            d.offlineFault
        );
    }

    function _createLiquid(Inputs memory inputs, INetworkParameters.Parameters memory p, Deployment memory d) private {
        (uint16 capBps, uint32 rampEpochs) = Parameters.allocator(inputs.profile);
        _create(
            "Allocator",
            abi.encode(
                d.accessManager,
                d.sequencerRegistry,
                d.slasher,
                d.stakeVault,
                d.stakedToken,
                d.faultWatch,
                capBps,
                rampEpochs,
                inputs.genesisTime,
                p.epochSeconds
            ),
            d.allocator
        );
        _create("CoverFund", abi.encode(d.nativeToken, d.stakedToken), d.coverFund);
        _create("ExitQueue", abi.encode(d.nativeToken, d.stakedToken, inputs.genesisTime, p.epochSeconds), d.exitQueue);
        _create(
            "FaultWatch",
            abi.encode(
                d.stakedToken, d.allocator, d.amnesiaFault, d.slasher, Parameters.FAULT_WATCH_BPS, p.epochSeconds
            ),
            d.faultWatch
        );
        IERC20Metadata(d.nativeToken).approve(d.stakedToken, SEED);
        _create("StakedToken", abi.encode(_stakedTokenConfig(inputs, p, d)), d.stakedToken);
        _create("RateFeed", abi.encode(d.stakedToken, p.epochSeconds), d.rateFeed);
        _create("Router", abi.encode(d.stakedToken, inputs.permit2), d.router);
        string memory symbol = IERC20Metadata(d.stakedToken).symbol();
        _create(
            "ExitReceipt",
            abi.encode(d.exitQueue, string.concat("Exit from ", symbol), string.concat("exit", symbol)),
            d.exitReceipt
        );
        _create("LiquidLens", abi.encode(d.stakedToken, d.allocator, d.stakeVault, d.rewardVault), d.liquidLens);
    }

    function _stakedTokenConfig(Inputs memory inputs, INetworkParameters.Parameters memory p, Deployment memory d)
        private
        view
        returns (IStakedToken.Config memory config)
    {
        config = Parameters.stakedToken(inputs.profile, p.epochSeconds);
        config.name = string.concat("Staked ", IERC20Metadata(d.nativeToken).name());
        config.symbol = string.concat("st", IERC20Metadata(d.nativeToken).symbol());
        config.token = d.nativeToken;
        config.stakeVault = d.stakeVault;
        config.rewardVault = d.rewardVault;
        config.allocator = d.allocator;
        config.coverFund = d.coverFund;
        config.exitQueue = d.exitQueue;
        config.faultWatch = d.faultWatch;
        config.guardian = d.guardian;
        config.authority = d.accessManager;
        config.feeRecipient = inputs.ecosystem;
        config.genesis = inputs.genesisTime;
    }

    // The guardian may pause and unpause, and decides appeals: a veto in the appeal window cannot wait for the timelock,
    // which is longer than unbonding. All else that is governed, the fee and the weights of liquid staking too, stays with the
    // administrator, which becomes the timelock. The deployer ends with no role in the manager.
    function _handOver(Inputs memory inputs, Deployment memory d, address deployer) private {
        IAccessManager manager = IAccessManager(d.accessManager);
        bytes4[] memory selectors = new bytes4[](2);
        selectors[0] = IGuardian.pause.selector;
        selectors[1] = IGuardian.unpause.selector;
        manager.setTargetFunctionRole(d.guardian, selectors, GUARDIAN_ROLE);
        manager.labelRole(GUARDIAN_ROLE, "guardian");
        manager.grantRole(GUARDIAN_ROLE, inputs.guardian, 0);
        selectors = new bytes4[](1);
        selectors[0] = ISlasher.vetoOffline.selector;
        manager.setTargetFunctionRole(d.slasher, selectors, APPEALS_ROLE);
        manager.labelRole(APPEALS_ROLE, "appeals");
        manager.grantRole(APPEALS_ROLE, inputs.guardian, 0);
        ISlashEscrow(d.slashEscrow).setCoverFund(d.coverFund);
        manager.grantRole(ADMIN_ROLE, d.timelock, 0);
        manager.renounceRole(ADMIN_ROLE, deployer);
    }

    // Creates a contract from its artifact, so that this script does not have to be compiled like deployed code.
    function _create(string memory name, bytes memory arguments, address predicted) private {
        bytes memory code = abi.encodePacked(vm.getCode(string.concat(name, ".sol:", name)), arguments);
        address actual;
        bytes memory reason;
        assembly ("memory-safe") {
            actual := create(0, add(code, 0x20), mload(code))
            if iszero(actual) {
                reason := mload(0x40)
                mstore(reason, returndatasize())
                returndatacopy(add(reason, 0x20), 0, returndatasize())
                mstore(0x40, add(add(reason, 0x20), and(add(returndatasize(), 0x1f), not(0x1f))))
            }
        }
        require(actual != address(0), Deploy_CreationFailed(name, reason));
        require(actual == predicted, Deploy_WrongAddress(name, predicted, actual));
    }

    function _isOther(address account, address deployer) private pure returns (bool) {
        return account != address(0) && account != deployer;
    }
}
