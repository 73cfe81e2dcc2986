"""Writes policies and entries of format 1 to the byte, well or badly, for tests of its readers. See docs/format.md."""

import base64
import datetime
import functools
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
ENTRY_TYPE = "urn:keyhaven:entry:1"
POLICY_TYPE = "urn:keyhaven:policy:1"
SOURCE = {"instance": "crn:v1:bluemix:public:secrets-manager:eu-de:a/0:0::", "provider": "ibm", "region": "eu-de"}
TOOL = "keyhaven/0.1.0"
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
STATE_KINDS = {"forget", "undo", "hold", "release", "sweep"}
RECORD_KINDS = {"snapshot", "verification", "proof", "restore", "drill", "expect", "acknowledge"}


def digest(data):
    """SHA-256 as the format writes it."""
    return hashlib.sha256(data if isinstance(data, bytes) else data.encode()).hexdigest()


def b64(data):
    """Base64 with padding."""
    return base64.b64encode(data).decode()


def canonical(value):
    """The canonical form of a value that lies in the subset of the format."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def moment(minutes):
    """A time, so many minutes after the beginning of the world."""
    start = datetime.datetime(2026, 11, 1)
    return (start + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Key:
    """An Ed25519 key made from the name of its holder."""

    def __init__(self, name):
        self.name = name
        seed = hashlib.sha256(b"keyhaven test key " + name.encode()).digest()
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & (1 << 254) - 8 | 1 << 254
        spki = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public_key, self.fingerprint = b64(spki), digest(spki)

    def sign(self, data):
        """The signature of the bytes."""
        return self._private.sign(data)


UNKNOWN = {"?short": ED25519_SPKI + bytes(31), "?long": ED25519_SPKI + bytes(33), "?one": b"x", "?big": bytes(16 << 10),
           "?none": b"", "?huge": bytes((16 << 10) + 1)}


class UnknownKey:
    """A key of an algorithm that no reader of 1.0 knows: another object identifier, or one of `UNKNOWN`."""

    def __init__(self, name):
        self.name = name
        spki = UNKNOWN.get(name, bytes.fromhex("302a300506032b6571032100") + hashlib.sha256(name.encode()).digest())
        self.public_key, self.fingerprint = b64(spki), digest(spki)

    def sign(self, data):
        """Some bytes: nobody can check them."""
        return hashlib.sha512(self.name.encode() + data).digest() * 4


WEAK = {"!one": "01" + "00" * 31, "!two": "ec" + "ff" * 30 + "7f", "!four": "00" * 32,
        "!eight": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "!other one": "ee" + "ff" * 30 + "7f", "!no point": "02" + "00" * 31}
ORDER = 2**252 + 27742317777372353535851937790883648493


class WeakKey:
    """A key of small order, not in canonical form, or no point. Anybody signs for it, and RFC 8032 alone would call that good."""

    def __init__(self, name):
        self.name, self._raw = name, bytes.fromhex(WEAK[name])
        self.public_key, self.fingerprint = b64(ED25519_SPKI + self._raw), digest(ED25519_SPKI + self._raw)

    def sign(self, data):
        """R = sB and S = s, for an s that makes the challenge a multiple of eight."""
        for number in range(1000):
            other = Key(f"{self.name} {number}")
            point = base64.b64decode(other.public_key)[12:]
            if hashlib.sha512(point + self._raw + data).digest()[0] % 8 == 0 or self._raw[0] in (1, 0xEE):
                return point + (other.scalar % ORDER).to_bytes(32, "little")
        raise AssertionError("no signature of a weak key")


@functools.lru_cache(maxsize=None)
def key(name):
    """The key of a name, always the same. `?` begins the names of unknown algorithms, `!` those of weak keys."""
    return UnknownKey(name) if name.startswith("?") else WeakKey(name) if name.startswith("!") else Key(name)


def is_checkable(name):
    """Whether signatures of the key can be good."""
    return not name.startswith(("?", "!"))


# Recipients.

def _bech32_step(check):
    top, check = check >> 25, (check & 0x1FFFFFF) << 5
    for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
        if top >> bit & 1:
            check ^= generator
    return check


def _bech32(prefix, data):
    letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    number, bits = int.from_bytes(data, "big"), len(data) * 8
    number, groups = number << (-bits % 5), -(-bits // 5)
    words = [number >> 5 * (groups - 1 - place) & 31 for place in range(groups)]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = 1
    for word in expanded + words + [0] * 6:
        check = _bech32_step(check) ^ word
    check ^= 1
    return prefix + "1" + "".join(letters[word] for word in words + [check >> 5 * (5 - place) & 31 for place in range(6)])


@functools.lru_cache(maxsize=None)
def recipient(name):
    """An age recipient whose identity nobody has."""
    point = bytearray(hashlib.sha256(b"keyhaven test recipient " + name.encode()).digest())
    point[31] &= 0x7F
    return _bech32("age", bytes(point))


def recipients_digest(names):
    """The digest of sorted recovery recipients that a snapshot's entry has."""
    return digest("".join(text + "\n" for text in sorted(recipient(name) for name in names)))


# Envelopes and statements.

def pae(payload):
    """What is signed: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d " % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload)) + payload


def signature(payload, signer):
    """One member of `signatures`."""
    return {"keyid": signer.fingerprint, "sig": b64(signer.sign(pae(payload)))}


def bad_signature(payload, signer):
    """The signature of other bytes under the signer's name."""
    return {"keyid": signer.fingerprint, "sig": b64(signer.sign(pae(payload + b" ")))}


def envelope(payload, signatures):
    """The file: an envelope with these signatures, sorted."""
    ordered = sorted(signatures, key=lambda s: (s["keyid"], s["sig"]))
    return canonical({"payload": b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": ordered})


def signed(payload, names):
    """An envelope with a good signature of each of the keys."""
    return envelope(payload, [signature(payload, key(name)) for name in names])


def statement(predicate_type, predicate, subjects):
    """The payload."""
    return canonical({"_type": STATEMENT_TYPE, "predicate": predicate, "predicateType": predicate_type, "subject": subjects})


def subject(name, value):
    """A subject of a statement."""
    return {"digest": {"sha256": value}, "name": name}


def entry_subjects(digests):
    """Subjects that are entries."""
    return [subject(f"entry/{value}", value) for value in digests]


def reference(number, payload, width):
    """The reference of a policy (width 6) or an entry (width 12)."""
    return f"{number:0{width}d}-{digest(payload)}"


def policy_path(ref):
    """Where a version of the policy stands."""
    return f"trust/{ref}.json"


def entry_path(ref):
    """Where an entry stands."""
    return f"ledger/{int(ref[:12]) // 1000:09d}/{ref}.json"


def sequence(ref):
    """The sequence that a reference names."""
    return int(ref.split("-")[0])


def digest_of(ref):
    """The digest that a reference names."""
    return ref.split("-")[1]


def made_up(number, text, width=12):
    """A reference of something that never was."""
    return f"{number:0{width}d}-{digest('made up ' + text)}"


# Policies.

RECOVER_MD = digest("RECOVER.md of the tests\n")
GRACE = 172800


def signing_key(name, roles, until):
    """A member of `keys`."""
    entry = {"name": name.strip("?!"), "public_key": key(name).public_key, "roles": sorted(roles)}
    if until is not None:
        entry["until"] = sorted(until)
    return entry


def named_recipients(names):
    """`recovery_recipients` and `catalogue_recipients`."""
    return sorted(({"name": name, "recipient": recipient(name)} for name in names), key=lambda r: r["recipient"])


def policy(number, previous, custodians, threshold, keys, recovery=("recovery 1",), repository=None, minutes=0, raw=None, **other):
    """The payload of a version. `keys` maps names to (roles, until or None); `raw` and other members replace those made here."""
    by_key = functools.partial(sorted, key=lambda member: member["public_key"])
    predicate = {
        "accepted": [], "catalogue_recipients": named_recipients(["collector"]),
        "custodians": by_key({"name": name.strip("?!"), "public_key": key(name).public_key} for name in custodians),
        "format": "1.0", "held": [], "keys": by_key(signing_key(name, *rest) for name, rest in keys.items()),
        "lost": {"entries": [], "packs": [], "snapshots": []}, "previous": sorted(previous),
        "recovery_recipients": named_recipients(recovery),
        "settings": {"grace_seconds": GRACE, "longest_run_seconds": 21600, "recover_md": RECOVER_MD},
        "source": SOURCE, "threshold": threshold, "time": moment(minutes), "tool": TOOL, "version": number,
    }
    if repository is not None:
        predicate["repository"] = repository
    predicate.update({**other, **(raw or {})})
    return statement(POLICY_TYPE, predicate, [subject("RECOVER.md", predicate["settings"]["recover_md"])])


# Entries.

def snapshot_body(recipients, minutes=0, base=None, reasons=(), partial=False, salt="", reuses=(), full=None, **other):
    """The body of a snapshot and its subjects. `base` is a digest, `reuses` are names of keys; without a base it is full."""
    part, packs = digest("part " + salt), digest("list " + salt)
    body = {
        "consistency": "point_in_time", "counts": {"all": {"items": 3}, "classes": {}, "kinds": {}}, "from": moment(minutes),
        "full": base is None if full is None else full, "hidden": [], "list": packs, "marks": [], "notes": [], "packs": 1, "partial": partial,
        "parts": [{"digest": part, "items": 3, "size": 65852}], "reasons": [{"code": code, "count": 1} for code in reasons],
        "recipients": recipients, "recovery_key_on_collector": False,
        "requests": {"listing": 8, "reading": 3, "retried": 0}, "rounds": 1, "sealed_bytes": 65852, "tags": [],
        "time": moment(minutes), "to": moment(minutes),
    }
    if base is not None:
        body["base"] = base
    if reuses:
        body["reuses"] = sorted(key(name).fingerprint for name in reuses)
    body.update(other)
    return body, [subject(f"catalogues/{part}.jsonl.zst.age", part), subject(f"lists/{packs}.jsonl", packs)]


def body_of(kind, names, repository, minutes=0):
    """A body of any other kind about the entries (digests) in `names`, and its subjects."""
    about, whole = entry_subjects(names), [subject("repository", repository)]
    when = {"from": moment(minutes), "to": moment(minutes)}
    one = {"snapshot": names[0]} if names else {}
    many = {"snapshots": list(names)}
    sealed = {"sealed": b64(b"age-encryption.org/v1\n")}
    check = {"entries": list(names), "level": "objects", "passed": True, "problems": 0}
    bodies = {
        "verification": (check, about or whole),
        "proof": ({"recipients": [{"answer": digest("a"), "challenge": digest("c"), "recipient": recipient("proof")}]}, whole),
        "restore": ({**one, **when, "failed": 0, "restored": 3, "target": "standby"}, about),
        "drill": ({**one, **when, "counts": {}, "passed": True, "phases": [{"millis": 5, "name": "apply"}], "target": "embedded"}, about),
        "forget": ({**many, "rule": "keep 7 days"}, about),
        "undo": ({**many, "reason": "still needed"}, about),
        "hold": ({**many, "reason": "audit"}, about),
        "release": ({**many, "reason": "audit is over"}, about),
        "sweep": ({**many, "before": moment(minutes), "bytes": 65852, "objects": 3}, about or whole),
        "expect": ({**when, **sealed, "change": "rotate", "share": 50}, whole),
        "acknowledge": ({**one, **sealed, "until": moment(minutes + 1440)}, about),
    }
    return bodies.get(kind, ({"text": "of a later minor"}, about or whole))


def entry(signer, kind, body, subjects, parents, policy_ref, repository, minutes=0, carries=None, lost=(), **other):
    """The payload of an entry; the sequence follows from the parents. Other members replace those made here."""
    predicate = {
        "body": body, "effect": "state" if kind in STATE_KINDS else "record", "format": "1.0", "kind": kind,
        "parents": sorted(parents), "policy": policy_ref, "public_key": key(signer).public_key, "repository": repository,
        "sequence": 1 + max((sequence(parent) for parent in parents), default=0),
        "source": SOURCE, "time": moment(minutes), "tool": TOOL,
    }
    if carries is not None:
        predicate["carries"] = b64(carries)
    if lost:
        predicate["lost"] = sorted(lost)
    predicate.update(other)
    return statement(ENTRY_TYPE, {name: value for name, value in predicate.items() if value is not None}, subjects)


# Malformed documents: each takes an envelope that is right and gives back one that readers refuse or ignore.

def payload_of(document):
    """The payload of an envelope."""
    return base64.b64decode(json.loads(document)["payload"])


def not_canonical(document):
    """The same envelope with white space."""
    return json.dumps(json.loads(document), sort_keys=True).encode()


def payload_not_canonical(document, signer):
    """The same statement with white space, signed as it stands. The digest of the payload is another."""
    payload = json.dumps(json.loads(payload_of(document)), sort_keys=True).encode()
    return envelope(payload, [signature(payload, key(signer))])


def wrongly_signed(document, signer):
    """The same payload with a signature of other bytes."""
    payload = payload_of(document)
    return envelope(payload, [bad_signature(payload, key(signer))])


def with_signatures(document, names, bad=(), strip=False):
    """The same payload with more signatures, good and bad, and without those that it had if `strip`."""
    payload = payload_of(document)
    kept = [] if strip else json.loads(document)["signatures"]
    more = [signature(payload, key(name)) for name in names] + [bad_signature(payload, key(name)) for name in bad]
    return envelope(payload, kept + [one for one in more if one not in kept])


def altered(document, signer, predicate=(), subjects=None):
    """The same statement with other members or subjects, signed anew. A value of None takes the member away."""
    whole = json.loads(payload_of(document))
    whole["predicate"].update(dict(predicate))
    whole["predicate"] = {name: value for name, value in whole["predicate"].items() if value is not None}
    whole["subject"] = whole["subject"] if subjects is None else subjects
    payload = canonical(whole)
    return envelope(payload, [signature(payload, key(signer))])


# Ed25519 at its edges. Readers compare R as bytes and want S below the group order, and refuse nothing else.

def edge_signature(payload, name, fault):
    """`identity`: good, with R = identity. `long_s`: S above the order. `other_r`: R as no encoder writes it. Both bad."""
    signer, message = key(name), pae(payload)
    public = base64.b64decode(signer.public_key)[12:]
    if fault == "long_s":
        whole = signer.sign(message)
        value = whole[:32] + (int.from_bytes(whole[32:], "little") + ORDER).to_bytes(32, "little")
    else:
        point = (1 if fault == "identity" else 2**255 - 18).to_bytes(32, "little")
        challenge = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little") % ORDER
        value = point + (challenge * signer.scalar % ORDER).to_bytes(32, "little")
    return {"keyid": signer.fingerprint, "sig": b64(value)}
