// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";
import {IAmnesiaFault} from "contracts/interfaces/IAmnesiaFault.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {IFeeSplitter} from "contracts/interfaces/IFeeSplitter.sol";
import {IGuardian} from "contracts/interfaces/IGuardian.sol";
import {ILens} from "contracts/interfaces/ILens.sol";
import {INetworkParameters} from "contracts/interfaces/INetworkParameters.sol";
import {IOfflineFault} from "contracts/interfaces/IOfflineFault.sol";
import {IPortal} from "contracts/interfaces/IPortal.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {ISlashEscrow} from "contracts/interfaces/ISlashEscrow.sol";
import {ISlasher} from "contracts/interfaces/ISlasher.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {ALL_LATER, IStakeVault} from "contracts/interfaces/IStakeVault.sol";
import {Deploy} from "../../../script/Deploy.s.sol";
import {Parameters} from "../../../script/Parameters.sol";

/// @dev The library behind a call, so that its reverts can be caught.
contract ParametersHarness {
    function ofProfile(string memory profile) external pure returns (INetworkParameters.Parameters memory) {
        return Parameters.ofProfile(profile);
    }
}

/// @notice The deployment script for the three profiles, and the networks that are refused (protocol section 11).
contract DeployTest is Test {
    uint64 internal constant GENESIS = 1_800_000_000;

    Deploy internal script;
    ParametersHarness internal profiles;
    address internal governance = makeAddr("governance");
    address internal guard = makeAddr("guard");
    address internal ecosystem = makeAddr("ecosystem");
    address internal permit2 = makeAddr("permit2");

    function setUp() public {
        vm.warp(GENESIS);
        vm.roll(100);
        script = new Deploy();
        profiles = new ParametersHarness();
    }

    function _inputs(string memory profile, address token) private view returns (Deploy.Inputs memory) {
        return Deploy.Inputs(profile, token, governance, guard, ecosystem, permit2, 5252, keccak256("genesis"), GENESIS);
    }

    function _token() private returns (address) {
        return vm.deployCode("NativeToken.sol:NativeToken", abi.encode("Own", "OWN", 1e30, address(script)));
    }

    function _deploy(string memory profile, address token) private returns (Deploy.Deployment memory) {
        return script.deploy(_inputs(profile, token), Parameters.ofProfile(profile), address(script));
    }

    // ---------------------------------------------------------------------------------------------------- wiring

    function test_devnet_isWired() public {
        _checkNetwork("devnet", _deploy("devnet", address(0)));
    }

    function test_testProfile_isWired() public {
        _checkNetwork("test", _deploy("test", address(0)));
    }

    function test_mainnet_isWired() public {
        address token = _token();
        Deploy.Deployment memory d = _deploy("mainnet", token);
        assertEq(d.nativeToken, token);
        _checkNetwork("mainnet", d);
    }

    function test_ownToken_isUsedOnAnyProfile() public {
        address token = _token();
        assertEq(_deploy("test", token).nativeToken, token);
    }

    function test_mintedToken_goesToDeployer() public {
        Deploy.Deployment memory d = _deploy("devnet", address(0));
        assertEq(IERC20(d.nativeToken).balanceOf(address(script)), script.INITIAL_SUPPLY() - script.SEED());
        assertEq(IERC20(d.nativeToken).balanceOf(d.stakedToken), script.SEED());
        assertEq(IERC20(d.nativeToken).totalSupply(), script.INITIAL_SUPPLY());
        assertEq(IRewardVault(d.rewardVault).reserve(), 0, "the deployment funds nothing");
    }

    function _checkNetwork(string memory profile, Deploy.Deployment memory d) private {
        INetworkParameters.Parameters memory p = Parameters.ofProfile(profile);
        assertEq(abi.encode(INetworkParameters(d.networkParameters).parameters()), abi.encode(p));

        ISequencerRegistry registry = ISequencerRegistry(d.sequencerRegistry);
        assertEq(registry.maxCommission(), p.maxCommissionBps);
        assertEq(registry.UNJAIL_FEE(), keccak256(bytes(profile)) == keccak256("mainnet") ? 10e18 : 1e18);
        IStakeVault vault = IStakeVault(d.stakeVault);
        assertEq(vault.token(), d.nativeToken);
        assertEq(vault.UNBONDING_EPOCHS(), p.unbondingEpochs);
        assertEq(vault.maxPool(), p.maxPool);
        ISequencerSet set = ISequencerSet(d.sequencerSet);
        assertEq(set.MAX_SEATS(), p.maxSeats);
        assertEq(set.slotsPerWindow(), p.slotsPerWindow);
        assertEq(set.minSelfBond(), p.minSelfBond);
        IBatchChain chain = IBatchChain(d.batchChain);
        assertEq(chain.L2_CHAIN_ID(), 5252);
        assertEq(chain.head(), keccak256("genesis"));
        assertEq(chain.CHALLENGE_WINDOW(), p.challengeWindow);
        assertEq(chain.MAX_SET_AGE(), p.maxSetAge);
        IPortal portal = IPortal(d.portal);
        assertEq(portal.token(), d.nativeToken);
        assertEq(portal.rewardVault(), d.rewardVault);
        IRewardVault rewards = IRewardVault(d.rewardVault);
        assertEq(rewards.token(), d.nativeToken);
        assertEq(rewards.rewardPerBlock(), p.rewardPerBlock);
        assertEq(rewards.postingReward(), p.postingReward);
        assertEq(IFeeSplitter(d.feeSplitter).ecosystemRecipient(), ecosystem);
        _checkCalls(d);
        _checkGovernance(d, p);
        _checkSlashing(d, p);
    }

    function _checkSlashing(Deploy.Deployment memory d, INetworkParameters.Parameters memory p) private {
        ISlasher slasher = ISlasher(d.slasher);
        assertTrue(slasher.isModule(d.doubleVoteFault));
        assertTrue(slasher.isModule(d.doubleProposalFault));
        assertTrue(slasher.isModule(d.conflictingCertificatesFault));
        assertTrue(slasher.isModule(d.amnesiaFault));
        assertFalse(slasher.isModule(d.offlineFault), "an absence is no equivocation");
        assertEq(slasher.offlineFault(), d.offlineFault);
        assertEq(slasher.EVIDENCE_EPOCHS() * p.epochSeconds, p.evidenceAge, "whole epochs in all profiles");
        assertEq(slasher.CORRELATION_EPOCHS(), p.correlationEpochs);
        assertEq(slasher.APPEAL_WINDOW(), p.appealWindow);
        assertEq(IAmnesiaFault(d.amnesiaFault).RESPONSE_WINDOW(), p.amnesiaWindow);
        assertEq(IOfflineFault(d.offlineFault).MIN_SLOTS(), p.minSlots);
        bytes32 domain = IBatchChain(d.batchChain).domainSeparator();
        address[4] memory judges =
            [d.doubleVoteFault, d.doubleProposalFault, d.conflictingCertificatesFault, d.amnesiaFault];
        for (uint256 i = 0; i < judges.length; ++i) {
            assertEq(IEvidence(judges[i]).domainSeparator(), domain);
        }

        // Vault, registry and escrow listen to the slasher, the slasher asks the vault's set and clock.
        vm.startPrank(d.slasher);
        assertEq(IStakeVault(d.stakeVault).slash(1, 0, ALL_LATER, 1), 0);
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_UnknownOperator.selector, 1));
        ISequencerRegistry(d.sequencerRegistry).tombstone(1);
        ISlashEscrow(d.slashEscrow).book(address(0), 0, 0);
        vm.stopPrank();
        assertEq(ISlashEscrow(d.slashEscrow).token(), d.nativeToken);
        vm.expectCall(d.sequencerSet, abi.encodeCall(ISequencerSet.frozenEpochAt, (0)));
        assertEq(slasher.lastEvidenceEpoch(2), type(uint32).max);
        assertEq(ILens(d.lens).slashSeq(), 1);
        assertEq(ILens(d.lens).openFaults(1, 10).length, 0);

        // Appeals cannot wait for the timelock; where cover goes is decided for ever.
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NoOpenCase.selector, 1, 2));
        vm.prank(guard);
        slasher.vetoOffline(1, 2);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, governance));
        vm.prank(governance);
        slasher.vetoOffline(1, 2);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guard));
        vm.prank(guard);
        ISlashEscrow(d.slashEscrow).setCoverFund(guard);
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_CoverFundAlreadySet.selector, d.coverFund));
        vm.prank(d.timelock);
        ISlashEscrow(d.slashEscrow).setCoverFund(ecosystem);
    }

    // Wiring that has no getter shows in what the contracts ask each other.
    function _checkCalls(Deploy.Deployment memory d) private {
        vm.expectCall(d.guardian, abi.encodeCall(IGuardian.isPaused, ()));
        vm.expectRevert(abi.encodeWithSelector(IPortal.Portal_BadAmount.selector, 0));
        IPortal(d.portal).deposit(address(this), 0);
        vm.expectCall(d.batchChain, abi.encodeCall(IBatchChain.tallyCount, ()));
        (bool due,) = IRewardVault(d.rewardVault).openDue();
        assertFalse(due);
        vm.prank(d.batchChain);
        IRewardVault(d.rewardVault).rewardPoster(address(this), 1);
        vm.prank(d.rewardVault);
        IPortal(d.portal).releaseFees(2, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_OperatorNotAccepting.selector, 1));
        IStakeVault(d.stakeVault).delegate(1, 1);
    }

    function _checkGovernance(Deploy.Deployment memory d, INetworkParameters.Parameters memory p) private {
        IAccessManager manager = IAccessManager(d.accessManager);
        (bool isAdmin, uint32 delay) = manager.hasRole(0, d.timelock);
        assertTrue(isAdmin);
        assertEq(delay, 0);
        (isAdmin,) = manager.hasRole(0, address(script));
        assertFalse(isAdmin, "the deployer keeps no role");
        (isAdmin,) = manager.hasRole(0, governance);
        assertFalse(isAdmin, "governance acts through the timelock only");

        // What the timelock does is done; nobody else may.
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, address(script)));
        vm.prank(address(script));
        IRewardVault(d.rewardVault).setRewardPerBlock(1);
        vm.startPrank(d.timelock);
        IRewardVault(d.rewardVault).setRewardPerBlock(1);
        IRewardVault(d.rewardVault).setPostingReward(1);
        IFeeSplitter(d.feeSplitter).setEcosystemRecipient(governance);
        ISequencerSet(d.sequencerSet).setMinSelfBond(1e18);
        IStakeVault(d.stakeVault).setMaxPool(p.maxPool);
        vm.stopPrank();

        vm.prank(guard);
        IGuardian(d.guardian).pause(1);
        assertTrue(IGuardian(d.guardian).isPaused());

        IAccessControl timelock = IAccessControl(d.timelock);
        assertTrue(timelock.hasRole(keccak256("PROPOSER_ROLE"), governance));
        assertTrue(timelock.hasRole(keccak256("CANCELLER_ROLE"), governance));
        assertTrue(timelock.hasRole(keccak256("EXECUTOR_ROLE"), address(0)), "anyone executes what is due");
        assertTrue(timelock.hasRole(bytes32(0), d.timelock), "the timelock administers itself");
        assertFalse(timelock.hasRole(bytes32(0), address(script)));
        assertFalse(timelock.hasRole(keccak256("PROPOSER_ROLE"), address(script)));
        assertGt(p.timelockDelay, uint256(p.unbondingEpochs) * p.epochSeconds);
    }

    // ------------------------------------------------------------------------------------------------------ file

    function test_file_holdsEveryAddress() public {
        Deploy.Inputs memory inputs = _inputs("devnet", address(0));
        Deploy.Deployment memory d = script.deploy(inputs, Parameters.devnet(), address(script));
        string memory path = script.write(inputs, d, "cache/test-deployments");
        assertEq(path, "cache/test-deployments/31337.json");
        string memory json = vm.readFile(path);
        vm.removeFile(path);
        assertEq(vm.parseJsonUint(json, ".chainId"), block.chainid);
        assertEq(vm.parseJsonString(json, ".profile"), "devnet");
        assertEq(vm.parseJsonUint(json, ".l2ChainId"), 5252);
        assertEq(vm.parseJsonBytes32(json, ".l2GenesisHash"), keccak256("genesis"));
        assertEq(vm.parseJsonUint(json, ".genesisTime"), GENESIS);
        assertEq(vm.parseJsonUint(json, ".epochSeconds"), 60);
        assertEq(vm.parseJsonUint(json, ".unbondingEpochs"), 8);
        assertEq(vm.parseJsonUint(json, ".maxSeats"), 16);
        assertEq(vm.parseJsonUint(json, ".slotsPerWindow"), 64);
        assertEq(vm.parseJsonUint(json, ".blockTimeMs"), 500);
        assertEq(vm.parseJsonUint(json, ".batchBlocks"), 40);
        assertEq(vm.parseJsonUint(json, ".batchSeconds"), 20);
        assertEq(vm.parseJsonUint(json, ".challengeWindow"), 60);
        assertEq(vm.parseJsonUint(json, ".l1Confirmations"), 1);
        assertEq(vm.parseJsonUint(json, ".maxOriginLag"), 120);
        assertEq(vm.parseJsonUint(json, ".maxSetAge"), 2);
        assertEq(vm.parseJsonString(json, ".minSelfBond"), "100000000000000000000");
        assertEq(vm.parseJsonUint(json, ".deployedAtBlock"), 100);
        assertEq(vm.parseJsonAddress(json, ".contracts.nativeToken"), d.nativeToken);
        assertEq(vm.parseJsonAddress(json, ".contracts.networkParameters"), d.networkParameters);
        assertEq(vm.parseJsonAddress(json, ".contracts.sequencerRegistry"), d.sequencerRegistry);
        assertEq(vm.parseJsonAddress(json, ".contracts.stakeVault"), d.stakeVault);
        assertEq(vm.parseJsonAddress(json, ".contracts.sequencerSet"), d.sequencerSet);
        assertEq(vm.parseJsonAddress(json, ".contracts.batchChain"), d.batchChain);
        assertEq(vm.parseJsonAddress(json, ".contracts.portal"), d.portal);
        assertEq(vm.parseJsonAddress(json, ".contracts.rewardVault"), d.rewardVault);
        assertEq(vm.parseJsonAddress(json, ".contracts.slasher"), d.slasher);
        assertEq(vm.parseJsonAddress(json, ".contracts.slashEscrow"), d.slashEscrow);
        assertEq(vm.parseJsonAddress(json, ".contracts.doubleVoteFault"), d.doubleVoteFault);
        assertEq(vm.parseJsonAddress(json, ".contracts.doubleProposalFault"), d.doubleProposalFault);
        assertEq(vm.parseJsonAddress(json, ".contracts.conflictingCertificatesFault"), d.conflictingCertificatesFault);
        assertEq(vm.parseJsonAddress(json, ".contracts.amnesiaFault"), d.amnesiaFault);
        assertEq(vm.parseJsonAddress(json, ".contracts.offlineFault"), d.offlineFault);
        assertEq(vm.parseJsonAddress(json, ".contracts.feeSplitter"), d.feeSplitter);
        assertEq(vm.parseJsonAddress(json, ".contracts.guardian"), d.guardian);
        assertEq(vm.parseJsonAddress(json, ".contracts.accessManager"), d.accessManager);
        assertEq(vm.parseJsonAddress(json, ".contracts.timelock"), d.timelock);
        assertEq(vm.parseJsonAddress(json, ".contracts.lens"), d.lens);
        assertEq(vm.parseJsonAddress(json, ".contracts.allocator"), d.allocator);
        assertEq(vm.parseJsonAddress(json, ".contracts.coverFund"), d.coverFund);
        assertEq(vm.parseJsonAddress(json, ".contracts.exitQueue"), d.exitQueue);
        assertEq(vm.parseJsonAddress(json, ".contracts.faultWatch"), d.faultWatch);
        assertEq(vm.parseJsonAddress(json, ".contracts.stakedToken"), d.stakedToken);
        assertEq(vm.parseJsonAddress(json, ".contracts.rateFeed"), d.rateFeed);
        assertEq(vm.parseJsonAddress(json, ".contracts.router"), d.router);
        assertEq(vm.parseJsonAddress(json, ".contracts.exitReceipt"), d.exitReceipt);
        assertEq(vm.parseJsonAddress(json, ".contracts.liquidLens"), d.liquidLens);
    }

    // --------------------------------------------------------------------------------------------------- refusals

    function test_unknownProfile_isRefused() public {
        vm.expectRevert(abi.encodeWithSelector(Parameters.Parameters_UnknownProfile.selector, "production"));
        profiles.ofProfile("production");
    }

    function test_mainnet_needsOwnTokenAndNames() public {
        address deployer = address(script);
        Deploy.Inputs memory inputs = _inputs("mainnet", address(0));
        _expectRequired(inputs, deployer, "ROTA_TOKEN");
        inputs = _inputs("mainnet", makeAddr("token"));
        inputs.governance = address(0);
        _expectRequired(inputs, deployer, "ROTA_GOVERNANCE");
        inputs.governance = deployer;
        _expectRequired(inputs, deployer, "ROTA_GOVERNANCE");
        inputs = _inputs("mainnet", makeAddr("token"));
        inputs.guardian = deployer;
        _expectRequired(inputs, deployer, "ROTA_GUARDIAN");
        inputs = _inputs("mainnet", makeAddr("token"));
        inputs.ecosystem = address(0);
        _expectRequired(inputs, deployer, "ROTA_ECOSYSTEM");
    }

    function _expectRequired(Deploy.Inputs memory inputs, address deployer, string memory what) private {
        vm.expectRevert(abi.encodeWithSelector(Deploy.Deploy_Required.selector, what));
        script.withDefaults(inputs, deployer);
    }

    function test_devnet_defaultsToDeployer() public view {
        Deploy.Inputs memory inputs;
        inputs.profile = "devnet";
        inputs = script.withDefaults(inputs, address(0xd));
        assertEq(inputs.governance, address(0xd));
        assertEq(inputs.guardian, address(0xd));
        assertEq(inputs.ecosystem, address(0xd));
        assertEq(inputs.permit2, script.PERMIT2());
    }

    /// @dev Section 11: no stake can leave before what it backed can be judged; equality is refused too.
    function test_stakeLeavingTooEarly_isRefused() public {
        string[3] memory names = ["mainnet", "devnet", "test"];
        for (uint256 i = 0; i < names.length; ++i) {
            INetworkParameters.Parameters memory p = Parameters.ofProfile(names[i]);
            uint256 unbonding = uint256(p.unbondingEpochs) * p.epochSeconds;
            uint256 others = uint256(p.maxSetAge) * p.epochSeconds + 2 * uint256(p.voteWindow) + p.gracePeriod
                + p.evidenceAge + p.appealWindow;
            // The longer of the two hearings counts.
            p.amnesiaWindow = i == 0 ? p.appealWindow : p.appealWindow - 1;
            if (i == 2) (p.appealWindow, p.amnesiaWindow) = (p.amnesiaWindow, p.appealWindow);
            // forge-lint: disable-next-line(unsafe-typecast)
            p.challengeWindow = uint64(unbonding - others);
            _expectRefused(
                p,
                abi.encodeWithSelector(
                    INetworkParameters.NetworkParameters_StakeLeavesTooEarly.selector, unbonding, unbonding
                )
            );
            p.challengeWindow -= 1;
            script.deploy(_inputs(names[i], _token()), p, address(script));
        }
    }

    function testFuzz_stakeNeverLeavesTooEarly(INetworkParameters.Parameters memory p) public {
        p = _bounded(p);
        uint256 unbonding = uint256(p.unbondingEpochs) * p.epochSeconds;
        uint256 judgement = uint256(p.maxSetAge) * p.epochSeconds + p.challengeWindow + 2 * uint256(p.voteWindow)
            + p.gracePeriod + p.evidenceAge + (p.appealWindow > p.amnesiaWindow ? p.appealWindow : p.amnesiaWindow);
        bytes memory code = abi.encodePacked(vm.getCode("NetworkParameters.sol:NetworkParameters"), abi.encode(p));
        address created;
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
        }
        assertEq(created != address(0), judgement < unbonding && p.timelockDelay > unbonding);
    }

    function _bounded(INetworkParameters.Parameters memory p)
        private
        pure
        returns (INetworkParameters.Parameters memory)
    {
        p.epochSeconds = uint64(bound(p.epochSeconds, 2, 1 days));
        p.unbondingEpochs = uint32(bound(p.unbondingEpochs, 1, 30));
        p.maxSetAge = uint32(bound(p.maxSetAge, 1, 5));
        p.challengeWindow = uint64(bound(p.challengeWindow, 1, 7 days));
        p.voteWindow = uint64(bound(p.voteWindow, 0, 2 days));
        p.gracePeriod = uint64(bound(p.gracePeriod, 0, 2 days));
        p.evidenceAge = uint64(bound(p.evidenceAge, 1, 4 days));
        p.appealWindow = uint64(bound(p.appealWindow, 0, 2 days));
        p.amnesiaWindow = uint64(bound(p.amnesiaWindow, 0, 2 days));
        p.timelockDelay = uint64(bound(p.timelockDelay, 0, 40 days));
        p.blockTimeMs = 500;
        p.batchBlocks = 1;
        p.batchSeconds = 1;
        p.l1Confirmations = 1;
        p.maxOriginLag = 1;
        return p;
    }

    function test_shortTimelock_isRefused() public {
        INetworkParameters.Parameters memory p = Parameters.devnet();
        p.timelockDelay = 480;
        _expectRefused(
            p, abi.encodeWithSelector(INetworkParameters.NetworkParameters_TimelockTooShort.selector, 480, 480)
        );
    }

    function test_zeroParameters_areRefused() public {
        INetworkParameters.Parameters memory p = Parameters.devnet();
        p.epochSeconds = 0;
        _expectZero(p, "epochSeconds");
        p = Parameters.devnet();
        p.challengeWindow = 0;
        _expectZero(p, "challengeWindow");
        p = Parameters.devnet();
        p.evidenceAge = 0;
        _expectZero(p, "evidenceAge");
        p = Parameters.devnet();
        p.blockTimeMs = 0;
        _expectZero(p, "blockTimeMs");
        p = Parameters.devnet();
        p.batchBlocks = 0;
        _expectZero(p, "batchBlocks");
        p = Parameters.devnet();
        p.batchSeconds = 0;
        _expectZero(p, "batchSeconds");
        p = Parameters.devnet();
        p.l1Confirmations = 0;
        _expectZero(p, "l1Confirmations");
        p = Parameters.devnet();
        p.maxOriginLag = 0;
        _expectZero(p, "maxOriginLag");
    }

    function _expectZero(INetworkParameters.Parameters memory p, string memory name) private {
        _expectRefused(p, abi.encodeWithSelector(INetworkParameters.NetworkParameters_Zero.selector, name));
    }

    function _expectRefused(INetworkParameters.Parameters memory p, bytes memory reason) private {
        Deploy.Inputs memory inputs = _inputs("devnet", address(0));
        vm.expectRevert(abi.encodeWithSelector(Deploy.Deploy_CreationFailed.selector, "NetworkParameters", reason));
        script.deploy(inputs, p, address(script));
    }

    function test_wrongDeployer_isNoticed() public {
        Deploy.Inputs memory inputs = _inputs("devnet", address(0));
        address stranger = makeAddr("stranger");
        vm.expectRevert(
            abi.encodeWithSelector(
                Deploy.Deploy_WrongAddress.selector,
                "NativeToken",
                vm.computeCreateAddress(stranger, 0),
                vm.computeCreateAddress(address(script), vm.getNonce(address(script)))
            )
        );
        script.deploy(inputs, Parameters.devnet(), stranger);
    }

    // ---------------------------------------------------------------------------------------------- environment

    /// @dev Only a development chain may leave its profile out; everywhere else a forgotten name would make a network
    /// with epochs of a minute.
    function test_profile_isNamedOnRealChains() public {
        assertEq(script.profileOn(31_337, ""), "devnet");
        assertEq(script.profileOn(1337, ""), "devnet");
        assertEq(script.profileOn(31_337, "test"), "test");
        assertEq(script.profileOn(1, "mainnet"), "mainnet");
        uint256[3] memory real = [uint256(1), 11_155_111, 17_000];
        for (uint256 i = 0; i < real.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    Deploy.Deploy_ProfileRequired.selector, real[i], "set ROTA_PROFILE to mainnet, devnet or test"
                )
            );
            script.profileOn(real[i], "");
        }
    }

    function test_chainId_fits() public {
        assertEq(script.chainIdOf(1), 1);
        assertEq(script.chainIdOf(type(uint64).max), type(uint64).max);
        uint256[2] memory bad = [uint256(0), uint256(1) << 64];
        for (uint256 i = 0; i < bad.length; ++i) {
            _expectBadValue("ROTA_L2_CHAIN_ID", bad[i], "use 1 to 2^64 - 1");
            script.chainIdOf(bad[i]);
        }
    }

    function test_genesis_isNearTheClock() public {
        _checkGenesisTime("mainnet", GENESIS);
        _checkGenesisTime("devnet", GENESIS - 1 days);
        _checkGenesisTime("test", GENESIS - 1 days);
    }

    /// @dev A chain younger than a day has no second 0 either.
    function test_genesis_isNeverZero() public {
        assertEq(script.genesisTimeOf("devnet", 1, 100), 1);
        _expectBadValue("ROTA_GENESIS_TIME", 0, "use unix seconds from 1 to 2592100");
        script.genesisTimeOf("devnet", 0, 100);
    }

    function _checkGenesisTime(string memory profile, uint256 earliest) private {
        uint256 latest = GENESIS + 30 days;
        assertEq(script.genesisTimeOf(profile, earliest, GENESIS), earliest);
        assertEq(script.genesisTimeOf(profile, latest, GENESIS), latest);
        string memory fix = string.concat("use unix seconds from ", vm.toString(earliest), " to ", vm.toString(latest));
        // Nothing; a second too early or late; milliseconds; what would not fit 64 bits.
        uint256[5] memory bad = [0, earliest - 1, latest + 1, uint256(GENESIS) * 1000, (uint256(1) << 64) + GENESIS];
        for (uint256 i = 0; i < bad.length; ++i) {
            _expectBadValue("ROTA_GENESIS_TIME", bad[i], fix);
            script.genesisTimeOf(profile, bad[i], GENESIS);
        }
    }

    function _expectBadValue(string memory name, uint256 value, string memory fix) private {
        vm.expectRevert(abi.encodeWithSelector(Deploy.Deploy_BadValue.selector, name, value, fix));
    }

    // ------------------------------------------------------------------------------------------------ whole run

    function test_run_broadcastsFromTheEnvironment() public {
        vm.setEnv("ROTA_PROFILE", "test");
        vm.setEnv("ROTA_L2_CHAIN_ID", "77");
        vm.setEnv("ROTA_L2_GENESIS_HASH", "0x0101010101010101010101010101010101010101010101010101010101010101");
        vm.setEnv("ROTA_DEPLOYMENTS_DIR", "cache/test-run");
        Deploy.Deployment memory d = script.run();
        string memory json = vm.readFile("cache/test-run/31337.json");
        vm.removeFile("cache/test-run/31337.json");
        assertEq(vm.parseJsonAddress(json, ".contracts.lens"), d.lens);
        assertEq(vm.parseJsonUint(json, ".l2ChainId"), 77);
        assertEq(vm.parseJsonUint(json, ".genesisTime"), GENESIS);
        assertEq(IBatchChain(d.batchChain).L2_CHAIN_ID(), 77);
        // The approval of the seed was a transaction, and took a nonce.
        assertEq(IStakedToken(d.stakedToken).totalAssets(), script.SEED());
        (bool isAdmin,) = IAccessManager(d.accessManager).hasRole(0, tx.origin);
        assertFalse(isAdmin);
        _checkEnvironmentIsRefused();
    }

    // In the same test, because the environment belongs to the process.
    function _checkEnvironmentIsRefused() private {
        vm.setEnv("ROTA_GENESIS_TIME", vm.toString(GENESIS - 1 days - 1));
        _expectBadValue(
            "ROTA_GENESIS_TIME",
            GENESIS - 1 days - 1,
            string.concat(
                "use unix seconds from ", vm.toString(GENESIS - 1 days), " to ", vm.toString(GENESIS + 30 days)
            )
        );
        script.fromEnvironment(address(this));
        vm.setEnv("ROTA_L2_CHAIN_ID", "18446744073709551616");
        _expectBadValue("ROTA_L2_CHAIN_ID", 1 << 64, "use 1 to 2^64 - 1");
        script.fromEnvironment(address(this));
        vm.setEnv("ROTA_PROFILE", "");
        vm.chainId(1);
        vm.expectRevert(
            abi.encodeWithSelector(
                Deploy.Deploy_ProfileRequired.selector, 1, "set ROTA_PROFILE to mainnet, devnet or test"
            )
        );
        script.fromEnvironment(address(this));
    }
}
