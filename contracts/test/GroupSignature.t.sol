// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {GroupSignature} from "../src/GroupSignature.sol";

/// What forge offers its tests, as far as it is used here.
interface Vm {
    function envString(string calldata name) external view returns (string memory);
    function readFile(string calldata path) external view returns (string memory);
    function parseJsonUint(string calldata json, string calldata key)
        external
        pure
        returns (uint256);
    function parseJsonBytes(string calldata json, string calldata key)
        external
        pure
        returns (bytes memory);
    function toString(uint256 value) external pure returns (string memory);
    function assume(bool condition) external pure;
}

/// Signatures are those of real groups, in the file that EVENKEEL_SIGNATURES names: first the
/// vectors of RFC 9591, then what ceremonies of this project made.
contract GroupSignatureTest {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant N = GroupSignature.N;
    uint256 private constant FIELD = GroupSignature.FIELD;

    struct Case {
        GroupSignature.Key key;
        bytes message;
        uint256 rx;
        uint256 ry;
        uint256 z;
    }

    string private file;
    uint256 private count;

    function setUp() external {
        file = VM.readFile(VM.envString("EVENKEEL_SIGNATURES"));
        count = VM.parseJsonUint(file, ".count");
        require(count >= 2, "no signatures");
    }

    function at(uint256 index) private view returns (Case memory it) {
        string memory place = string.concat(".signatures[", VM.toString(index), "]");
        it.key.x = VM.parseJsonUint(file, string.concat(place, ".key_x"));
        it.key.parity = VM.parseJsonUint(file, string.concat(place, ".key_parity"));
        it.message = VM.parseJsonBytes(file, string.concat(place, ".message"));
        it.rx = VM.parseJsonUint(file, string.concat(place, ".r_x"));
        it.ry = VM.parseJsonUint(file, string.concat(place, ".r_y"));
        it.z = VM.parseJsonUint(file, string.concat(place, ".z"));
    }

    function holds(Case memory it) private view returns (bool) {
        return GroupSignature.verify(it.key, it.message, it.rx, it.ry, it.z);
    }

    function test_every_signature_of_a_group_is_good_and_costs_at_most_6000_gas() external {
        uint256 highest = 0;
        for (uint256 index = 0; index < count; index++) {
            Case memory it = at(index);
            require(GroupSignature.isKey(it.key), "the key");
            uint256 before = gasleft();
            bool good = GroupSignature.verify(it.key, it.message, it.rx, it.ry, it.z);
            uint256 spent = before - gasleft();
            require(good, VM.toString(index));
            if (it.message.length <= 32 && spent > highest) highest = spent;
        }
        // Forge prints what is said to this address.
        address console = 0x000000000000000000636F6e736F6c652e6c6f67;
        (bool said,) =
            console.staticcall(abi.encodeWithSignature("log(string,uint256)", "gas:", highest));
        require(said);
        require(highest > 3000 && highest <= 6000, VM.toString(highest));
    }

    function test_another_message_key_or_signature_is_refused() external view {
        for (uint256 index = 0; index < count; index++) {
            Case memory it = at(index);
            Case memory next = at((index + 1) % count);
            next.key = it.key;
            next.message = it.message;
            require(!holds(next), "the next one's signature over this message");
            Case memory wrong = at(index);
            wrong.message = bytes.concat(it.message, hex"00");
            require(!holds(wrong), "a longer message");
            wrong = at(index);
            wrong.key.parity = 1 - it.key.parity;
            require(!holds(wrong), "the key's mirror image");
            wrong = at(index);
            wrong.z = it.z ^ 1;
            require(!holds(wrong), "another z");
        }
    }

    /// A signature has one form: whoever sees it cannot make a second one of it.
    function test_no_second_form_of_a_signature_is_accepted() external view {
        for (uint256 index = 0; index < count; index++) {
            Case memory it = at(index);
            Case memory other = at(index);
            other.ry = FIELD - it.ry;
            require(!holds(other), "R mirrored");
            other.z = N - it.z;
            require(!holds(other), "R and z mirrored");
            other = at(index);
            other.z = N - it.z;
            require(!holds(other), "z mirrored");
            unchecked {
                if (it.z + N > it.z) {
                    other.z = it.z + N;
                    require(!holds(other), "z above the order");
                }
                other = at(index);
                if (it.rx + FIELD > it.rx) {
                    other.rx = it.rx + FIELD;
                    require(!holds(other), "an abscissa above the prime");
                }
                other = at(index);
                if (it.ry + FIELD > it.ry) {
                    other.ry = it.ry + FIELD;
                    require(!holds(other), "an ordinate above the prime");
                }
            }
        }
    }

    function test_values_at_the_ends_of_their_ranges_are_refused() external view {
        uint256[8] memory ends =
            [uint256(0), 1, 2, N - 1, N, N + 1, FIELD, type(uint256).max];
        for (uint256 index = 0; index < ends.length; index++) {
            uint256 end = ends[index];
            Case memory it = at(0);
            it.z = end;
            require(!holds(it), "z");
            it = at(0);
            it.rx = end;
            require(!holds(it), "rx");
            it = at(0);
            it.ry = end;
            require(!holds(it), "ry");
            it = at(0);
            it.key.x = end;
            require(!holds(it), "the key's abscissa");
            it = at(0);
            if (end > 1) it.key.parity = end;
            require(end <= 1 || !holds(it), "the key's parity");
        }
    }

    function test_a_key_that_could_never_verify_is_told_before_it_is_kept() external pure {
        require(!GroupSignature.isKey(GroupSignature.Key(0, 0)), "zero");
        require(!GroupSignature.isKey(GroupSignature.Key(N, 0)), "the order");
        require(!GroupSignature.isKey(GroupSignature.Key(type(uint256).max, 1)), "the largest");
        // 1 is the abscissa of a point, 5 is not.
        require(GroupSignature.isKey(GroupSignature.Key(1, 0)), "one");
        require(!GroupSignature.isKey(GroupSignature.Key(5, 0)), "no point");
        require(!GroupSignature.isKey(GroupSignature.Key(1, 2)), "no parity");
    }

    /// The ordinate must be one of a point, or its address alone would have to match.
    function testFuzz_a_random_signature_is_refused(uint256 rx, uint256 ry, uint256 z)
        external
        view
    {
        Case memory it = at(0);
        VM.assume(rx != it.rx);
        it.rx = rx;
        it.ry = ry;
        it.z = z;
        require(!holds(it), "a random signature");
    }

    function testFuzz_a_random_message_is_refused(bytes calldata message) external view {
        Case memory it = at(0);
        VM.assume(keccak256(message) != keccak256(it.message));
        it.message = message;
        require(!holds(it), "a random message");
    }
}
