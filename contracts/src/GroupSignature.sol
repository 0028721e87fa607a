// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Verifies signatures of a group key on secp256k1: FROST(secp256k1, SHA-256) of RFC 9591, section
/// 6.5. A signature can be replayed: bind chain, contract and a number used once into the message.
///
/// A signature is (R, z) with z·G = R + e·P. The contract has no operation on points but
/// `ecrecover(h, v, r, s)`, which gives the address of r⁻¹·(s·X − h·G) where X is the point with
/// abscissa r and the parity that v tells. With X = P, r = Px, s = −e·Px and h = −z·Px that is
/// z·G − e·P: the address of the one R that makes the equation hold.
library GroupSignature {
    /// Order of the group (SEC 2, section 2.4.1).
    uint256 internal constant N =
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    /// The field's prime.
    uint256 internal constant FIELD =
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;

    /// The domain separation tag of H2, "FROST-secp256k1-SHA256-v1chal", and its length.
    bytes32 private constant TAG =
        "FROST-secp256k1-SHA256-v1chal\x1d";

    /// A group's public key, as `evenkeel keys group verify --contract` prints it.
    struct Key {
        /// Abscissa.
        uint256 x;
        /// 0 if the ordinate is even, 1 if it is odd.
        uint256 parity;
    }

    /// Whether a key can ever verify anything: ask before a contract keeps it. `ecrecover` needs an
    /// abscissa below the order of the group; about one key in 2^128 has a larger one.
    function isKey(Key memory key) internal pure returns (bool) {
        if (key.parity > 1 || key.x == 0 || key.x >= N) return false;
        // Fails unless the abscissa is one of a point.
        return ecrecover(bytes32(uint256(1)), 27, bytes32(key.x), bytes32(key.x)) != address(0);
    }

    /// Whether (rx, ry, z) is the group's signature over the message. There is one form only of each
    /// signature: coordinates are below the field's prime and z is below the group's order.
    function verify(Key memory key, bytes memory message, uint256 rx, uint256 ry, uint256 z)
        internal
        view
        returns (bool)
    {
        if (key.parity > 1 || key.x == 0 || key.x >= N || z >= N) return false;
        if (rx >= FIELD || ry >= FIELD) return false;
        // Only 160 bits of R are compared below. Were R not held to the curve, its ordinate could be
        // chosen freely without touching e, and a collision would cost 2^80 steps instead of 2^160.
        uint256 cube = mulmod(rx, mulmod(rx, rx, FIELD), FIELD);
        if (mulmod(ry, ry, FIELD) != addmod(cube, 7, FIELD)) return false;
        uint256 e = challenge(key, message, rx, ry & 1);
        // Zero, or a multiple of the order, makes `ecrecover` fail: it answers with address zero.
        uint256 s = N - mulmod(e, key.x, N);
        uint256 h = N - mulmod(z, key.x, N);
        address r = ecrecover(bytes32(h), uint8(27 + key.parity), bytes32(key.x), bytes32(s));
        return r != address(0) && r == address(uint160(uint256(keccak256(abi.encode(rx, ry)))));
    }

    /// H2 of RFC 9591, section 6.5: `hash_to_field` of RFC 9380, section 5.2, with
    /// `expand_message_xmd` over SHA-256 and 48 bytes, of R ‖ P ‖ message, both points compressed.
    function challenge(Key memory key, bytes memory message, uint256 rx, uint256 rParity)
        internal
        view
        returns (uint256 e)
    {
        uint256 px = key.x;
        uint256 pParity = key.parity;
        bytes32 tag = TAG;
        assembly ("memory-safe") {
            let m := mload(0x40)
            // Z_pad (64 zeros) ‖ R ‖ P ‖ message ‖ 48 as two bytes ‖ 0 ‖ tag.
            let length := mload(message)
            mstore(m, 0)
            mstore(add(m, 32), 0)
            mstore8(add(m, 64), add(2, rParity))
            mstore(add(m, 65), rx)
            mstore8(add(m, 97), add(2, pParity))
            mstore(add(m, 98), px)
            mcopy(add(m, 130), add(message, 32), length)
            let end := add(add(m, 130), length)
            mstore(end, shl(232, 0x003000))
            mstore(add(end, 3), tag)
            if iszero(staticcall(gas(), 2, m, add(length, 163), m, 32)) { revert(0, 0) }
            let b0 := mload(m)
            // b1 = H(b0 ‖ 1 ‖ tag), b2 = H((b0 ⊕ b1) ‖ 2 ‖ tag): 63 bytes each.
            mstore8(add(m, 32), 1)
            mstore(add(m, 33), tag)
            if iszero(staticcall(gas(), 2, m, 63, add(m, 96), 32)) { revert(0, 0) }
            let b1 := mload(add(m, 96))
            mstore(m, xor(b0, b1))
            mstore8(add(m, 32), 2)
            if iszero(staticcall(gas(), 2, m, 63, m, 32)) { revert(0, 0) }
            let n := 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
            // The 48 bytes are b1 and the first half of b2, as one number.
            e := addmod(mulmod(b1, shl(128, 1), n), shr(128, mload(m)), n)
        }
    }
}
