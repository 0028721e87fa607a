"""Asks the reference implementation (shamir_mnemonic): a JSON request a line, a JSON answer a line."""

import json
import sys

import shamir_mnemonic


def answer(request):
    passphrase = bytes.fromhex(request["passphrase_hex"])
    if request["do"] == "recover":
        secret = shamir_mnemonic.combine_mnemonics(request["mnemonics"], passphrase)
        return {"secret_hex": secret.hex()}
    groups = shamir_mnemonic.generate_mnemonics(
        request["group_threshold"],
        [tuple(group) for group in request["groups"]],
        bytes.fromhex(request["secret_hex"]),
        passphrase,
        extendable=request["extendable"],
        iteration_exponent=request["iteration_exponent"],
    )
    return {"groups": groups}


for line in sys.stdin:
    try:
        result = answer(json.loads(line))
    except Exception as error:
        result = {"error": str(error)}
    print(json.dumps(result), flush=True)
