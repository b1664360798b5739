#!/usr/bin/env python3
"""The wire format once more, written from wire.md alone: makes and checks the transactions of wire-vectors.json.

    python3 docs/wire_vectors.py         encodes the fields of every transaction, compares body, id, message, signatures and encoding
    python3 docs/wire_vectors.py --fill  makes those of transactions that have none yet, and writes the file
    python3 docs/wire_vectors.py --seeds DIRECTORY  writes every encoding to a file of its own: seeds for fuzzers

Needs the packages blake3 and cryptography.
"""

import json
import pathlib
import sys

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = pathlib.Path(__file__).with_name("wire-vectors.json")
MADE = ["signers", "body", "id", "message", "signatures", "encoding"]


def u(number, bits):
    return int(number).to_bytes(bits // 8, "little")


def padded(fields):
    return fields + bytes(-(len(fields) + 4) % 8)


def optional(fields, name):
    return bytes.fromhex(fields[name]) if fields.get(name) else b""


COMPARISONS = ["<", "<=", "=", "!=", ">=", ">"]
KINDS = ["attestation", "anchor", "rate", "data", "identity"]
NODES = ["True", "After", "Before", "HashLock", "Signed", "AnyOf", "Attested", "Balance", "Rate", "Record", "And", "Or", "Not"]


def predicate(p):
    """Preorder: a tag, its fields, the nodes below."""
    node = p["node"]
    tag = u(NODES.index(node), 8)
    below = b"".join(predicate(one) for one in p.get("of", []))
    address = lambda name: bytes.fromhex(p[name])
    compares = lambda: u(COMPARISONS.index(p["compares"]), 8)
    if node in ("After", "Before"):
        return tag + u(p["time"], 64)
    if node == "HashLock":
        return tag + address("hash")
    if node == "Signed":
        return tag + address("account")
    if node == "AnyOf":
        return tag + u(p["count"], 8) + u(len(p["of"]), 8) + below
    if node == "Attested":
        return tag + address("subject") + address("schema") + address("issuer")
    if node == "Balance":
        return tag + address("account") + u(p["asset"], 32) + compares() + u(p["amount"], 128)
    if node == "Rate":
        return tag + address("pair") + address("issuer") + compares() + u(p["value"], 128) + u(p["age"], 64)
    if node == "Record":
        return tag + address("owner") + u(KINDS.index(p["kind"]), 8) + address("key") + compares() + address("hash")
    return tag + below


def transfer(o):
    grant = o.get("grant")
    flags = (1 if o.get("up_to") else 0) | (2 if grant else 0)
    fields = u(o["code"], 32) + u(o["asset"], 32) + u(flags, 8) + bytes(3) + u(o["reference"], 64)
    fields += u(o["amount"], 128) + bytes.fromhex(o["payee"])
    return fields + (bytes.fromhex(grant["owner"]) + u(grant["id"], 64) if grant else b"")


def register_asset(o):
    policy = o.get("policy", 0)
    fields = u(o["scale"], 8) + u(1 if o.get("update") else 0, 8) + u(policy, 16)
    fields += o["asset_code"].encode().ljust(12, b"\0") + bytes(4) + u(o["maximum_supply"], 128)
    if policy & 0xF0 == 0:
        return fields
    t = o["terms"]
    zeros = "00" * 32
    fields += b"".join(bytes.fromhex(t.get(name, zeros)) for name in ("schema", "attester", "fee_account"))
    fields += u(t.get("fee_maximum", 0), 128) + u(t.get("fee", 0), 64) + u(t.get("expiry", 0), 64)
    return fields + bytes.fromhex(t.get("metadata", zeros))


def control_holder(o):
    action = ["authorize", "deauthorize", "freeze", "unfreeze", "claw back"].index(o["action"])
    fields = u(action, 8) + u(1 if o.get("up_to") else 0, 8) + bytes(2) + u(o["asset"], 32) + bytes(4)
    return fields + bytes.fromhex(o["holder"]) + u(o["amount"], 128)


def put(o):
    value = bytes.fromhex(o.get("value", ""))
    flags = (1 if o.get("subject") else 0) | (2 if o.get("owner") else 0)
    fields = u(["create", "write", "revoke", "remove"].index(o["action"]), 8) + u(KINDS.index(o["kind"]), 8)
    fields += u(len(value), 16) + u(flags, 8) + bytes(7) + u(o.get("expiry", 0), 64) + bytes.fromhex(o["key"])
    fields += bytes.fromhex(o.get("hash", "00" * 32)) + optional(o, "subject") + optional(o, "owner")
    return padded(fields + value)


def hold(o):
    flags = (1 if o.get("releases_at_expiry") else 0) | (2 if o.get("arbiter") else 0) | (4 if o.get("voucher_key") else 0)
    fields = u(flags, 8) + u(len(o["payees"]), 8) + bytes(2) + u(o["asset"], 32) + bytes(4) + u(o["id"], 64)
    fields += u(o["amount"], 128) + u(o.get("expiry", 0), 64) + optional(o, "arbiter") + optional(o, "voucher_key")
    for share in o["payees"]:
        fields += bytes.fromhex(share["payee"]) + u(share["parts"], 32) + bytes(4)
    return padded(fields + predicate(o["release"]) + predicate(o["cancel"]))


def settle(o):
    preimage = o.get("preimage")
    proof = bytes.fromhex(preimage or "")
    flags = (1 if o.get("cancels") else 0) | (2 if preimage is not None else 0) | (4 if o.get("voucher") else 0)
    fields = u(flags, 8) + u(len(proof), 8) + bytes(2) + bytes.fromhex(o["owner"]) + u(o["id"], 64)
    return padded(fields + u(o["amount"], 128) + optional(o, "voucher") + proof)


def grant(o):
    action = ["create", "revoke", "remove"].index(o["action"])
    if action != 0:
        return u(action, 8) + bytes(3) + u(o["id"], 64)
    kind = ["spend", "access", "act"].index(o["kind"])
    fields = u(action, 8) + u(kind, 8) + u(1 if o.get("payee") else 0, 8) + bytes(1) + u(o["id"], 64)
    fields += bytes.fromhex(o["to"]) + u(o.get("asset", 0), 32) + u(o.get("scope", 0), 32) + u(o.get("cap", 0), 128)
    fields += u(o.get("period", 0), 64) + u(o.get("period_cap", 0), 128) + u(o.get("rate", 0), 128)
    fields += u(o.get("start", 0), 64) + u(o.get("end", 0), 64) + bytes.fromhex(o.get("subject", "00" * 32))
    return padded(fields + optional(o, "payee") + predicate(o["predicate"]))


def place_order(o):
    lifetimes = ["good till cancelled", "immediate or cancel", "fill or kill", "post only", "budget"]
    self_trades = ["cancel waiting", "cancel taking", "reject"]
    fields = u(["buy", "sell"].index(o["side"]), 8) + u(lifetimes.index(o["lifetime"]), 8)
    fields += u(self_trades.index(o["self_trade"]), 8) + bytes(1) + u(o["market"], 32) + bytes(4) + u(o["id"], 64)
    return fields + u(o["price"], 64) + u(o["quantity"], 64) + u(o.get("expiry", 0), 64) + u(o.get("budget", 0), 128)


def amend(o):
    if o["action"] == "cancel":
        return bytes([0, len(o["ids"]), 0, 0]) + b"".join(u(number, 64) for number in o["ids"])
    if o["action"] == "cancel all":
        return bytes([1, 0, 0, 0]) + u(o["market"], 32) + bytes(4)
    return bytes([2, 0, 0, 0]) + u(o["id"], 64) + u(o["price"], 64) + u(o["quantity"], 64)


def authorize(o):
    if o["action"] == "object":
        return bytes([2, 0, 0, 0])
    recovery = o.get("recovery_keys", [])
    flags = (1 if o.get("closed") else 0) | (2 if o.get("memo_required") else 0)
    fields = bytes([["set", "recover"].index(o["action"]), len(o["keys"]), len(recovery), flags])
    fields += bytes([o["low"], o["medium"], o["high"], o.get("quorum", 0)]) + bytes(4) + u(o.get("delay", 0), 64)
    for key in o["keys"]:
        fields += bytes.fromhex(key["key"]) + u(key["weight"], 8) + bytes(3) + u(key["scope"], 32) + u(key.get("expiry", 0), 64)
    return fields + b"".join(bytes.fromhex(key) for key in recovery)


def require(o):
    return padded(bytes(4) + predicate(o["predicate"]))


def open_market(o):
    fields = u(o["base"], 32) + u(o["quote"], 32) + u(o["fee"], 16) + bytes(2) + u(o["lot"], 64) + u(o["tick"], 64)
    return fields + bytes.fromhex(o.get("fee_account", "00" * 32))


OPERATIONS = {
    "Transfer": (1, transfer),
    "RegisterAsset": (2, register_asset),
    "ControlHolder": (3, control_holder),
    "Put": (4, put),
    "Hold": (5, hold),
    "Settle": (6, settle),
    "Grant": (7, grant),
    "PlaceOrder": (8, place_order),
    "Amend": (9, amend),
    "Authorize": (10, authorize),
    "Require": (11, require),
    "OpenMarket": (12, open_market),
}


def make(vector, ledgers, seeds):
    """Everything that follows from the fields of a transaction."""
    account = bytes.fromhex(vector["account"])
    further = sorted({bytes.fromhex(o["source"]) for o in vector["operations"]} - {account})
    signers = [account] + further
    keys = sorted((signers.index(bytes.fromhex(k["signer"])), bytes.fromhex(k["key"])) for k in vector.get("keys", []))
    operations = b""
    for o in vector["operations"]:
        code, encode = OPERATIONS[o["operation"]]
        fields = encode(o)
        source = signers.index(bytes.fromhex(o["source"]))
        operations += bytes([code, source]) + u((len(fields) + 4) // 8, 16) + fields
        assert (len(fields) + 4) % 8 == 0, o
    named = b""
    if keys:
        named = bytes([len(keys)]) + bytes(7) + b"".join(bytes([place]) + bytes(7) + key for place, key in keys)
    sign_with = [key for _, key in keys] or signers
    length = 56 + 32 * len(further) + len(named) + len(operations) + 64 * len(sign_with)
    body = bytes([2 if keys else 1, len(signers)]) + u(len(vector["operations"]), 16) + u(length // 8, 16)
    body += u(vector["lane"], 16) + u(vector["sequence"], 64) + u(vector["valid_until"], 64)
    body += account + b"".join(further) + named + operations
    identity = blake3(body, derive_key_context=ledgers[vector["ledger"]]).digest()
    message = b"nostro 1 signed" + identity
    signatures = [Ed25519PrivateKey.from_private_bytes(seeds[key]).sign(message) for key in sign_with]
    return {
        "signers": [signer.hex() for signer in signers],
        "body": body.hex(),
        "id": identity.hex(),
        "message": message.hex(),
        "signatures": [signature.hex() for signature in signatures],
        "encoding": (body + b"".join(signatures)).hex(),
    }


def written(vectors):
    """The file as it stands: one line for each thing."""
    parts = []
    for name, value in vectors.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row) for row in value)
            parts.append(f"{json.dumps(name)}: [\n{rows}\n]")
        else:
            parts.append(f"{json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    vectors = json.loads(FILE.read_text())
    for ledger in vectors["ledgers"]:
        identity = blake3(ledger["name"].encode(), derive_key_context="nostro 1 genesis").hexdigest()
        assert identity == ledger["id"], ledger["name"]
        assert ledger["transaction_context"] == f"nostro 1 transaction of ledger {identity}", ledger["name"]
    ledgers = {ledger["name"]: ledger["transaction_context"] for ledger in vectors["ledgers"]}
    seeds = {bytes.fromhex(key["address"]): bytes.fromhex(key["seed"]) for key in vectors["keys"]}
    checked = filled = 0
    for vector in vectors["transactions"]:
        made = make(vector, ledgers, seeds)
        if "encoding" not in vector and "--fill" in sys.argv:
            vector.update(made)
            filled += 1
        for name in MADE:
            assert vector[name] == made[name], f"{vector['name']}: {name}: expected {made[name]}, found {vector[name]}"
        checked += 1
    if "--seeds" in sys.argv:
        directory = pathlib.Path(sys.argv[sys.argv.index("--seeds") + 1])
        directory.mkdir(parents=True, exist_ok=True)
        for kind in ("transactions", "malformed", "signatures"):
            for number, vector in enumerate(vectors[kind]):
                (directory / f"{kind}-{number}").write_bytes(bytes.fromhex(vector["encoding"]))
    if filled:
        FILE.write_text(written(vectors))
    print(f"{checked} transactions: all as the fields say, {filled} of them new")


if __name__ == "__main__":
    main()
