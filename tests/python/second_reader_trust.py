"""Policies and entries of format 1: what is well-formed, what fits, what counts.

Part of the second reader, which is written from the page of the format alone. Nothing here reads a file.
"""

import dataclasses

from second_reader_text import (
    MAX_SEQUENCE,
    MAX_VERSION,
    SOURCE,
    Refused,
    an_object,
    base64_text,
    between,
    boolean,
    by_name,
    decode_base64,
    digest,
    digest_in,
    digest_of,
    entry_reference,
    fingerprint,
    fixed,
    format_text,
    is_later_minor,
    is_weak_key,
    list_of,
    number,
    number_of,
    parse_canonical,
    parse_time,
    policy_reference,
    public_key,
    raw_ed25519,
    record,
    signature_text,
    sorted_of,
    text,
    time_text,
    verify_ed25519,
)

MAX_ENTRY = 1 << 20
MAX_POLICY = 512 << 10
MAX_POLICY_SIGNATURES = 256 << 10
MAX_OPEN_KEYS = 256
REACH = 10_000
PAYLOAD_TYPE = "application/vnd.in-toto+json"

# Envelopes and statements


@dataclasses.dataclass(frozen=True)
class Envelope:
    payload: bytes
    signatures: tuple  # of (keyid, signature in bytes)


SIGNATURE = record({"keyid": digest, "sig": signature_text})
ENVELOPE = record(
    {"payload": base64_text, "payloadType": fixed(PAYLOAD_TYPE), "signatures": list_of(SIGNATURE)},
)


def parse_envelope(data, limit, fewest, most):
    if len(data) > limit:
        raise Refused(f"is larger than {limit} bytes")
    envelope = ENVELOPE(parse_canonical(data))
    if len(envelope) != 3 or any(len(signature) != 2 for signature in envelope["signatures"]):
        raise Refused("has further members in its envelope")
    pairs = [(signature["keyid"], signature["sig"]) for signature in envelope["signatures"]]
    if not fewest <= len(pairs) <= most:
        raise Refused("has too few or too many signatures")
    if any(left >= right for left, right in zip(pairs, pairs[1:])):
        raise Refused("has signatures that are not sorted, or the same twice")
    signatures = tuple((keyid, decode_base64(sig)) for keyid, sig in pairs)
    return Envelope(decode_base64(envelope["payload"]), signatures)


def signed_bytes(payload):
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def is_signed_by(public, payload, signatures):
    """Whether one of the signatures is a good one of an Ed25519 key."""
    raw = raw_ed25519(public)
    if raw is None:
        return False
    keyid = fingerprint(public)
    message = signed_bytes(payload)
    return any(name == keyid and verify_ed25519(raw, message, sig) for name, sig in signatures)


SUBJECT = record({"digest": record({"sha256": digest}), "name": text})
STATEMENT = {"_type": fixed("https://in-toto.io/Statement/v1"), "predicate": an_object, "subject": list_of(SUBJECT)}


def parse_statement(payload, predicate_type):
    """Predicate and subjects, these as pairs of name and digest."""
    check = record({**STATEMENT, "predicateType": fixed(predicate_type)})
    statement = check(parse_canonical(payload))
    subjects = [(subject["name"], subject["digest"]["sha256"]) for subject in statement["subject"]]
    return statement["predicate"], subjects


def check_critical(predicate, known):
    for name in predicate.get("critical", []):
        if name not in known:
            raise Refused(f"needs a reader that knows `{name[:60]}`")


# Policies


def policy_recipients():
    return sorted_of(record({"name": text, "recipient": text}), "recipient")


POLICY_REQUIRED = {
    "accepted": sorted_of(digest),
    "catalogue_recipients": policy_recipients(),
    "custodians": sorted_of(record({"name": text, "public_key": public_key}), "public_key", 1, 16),
    "format": format_text,
    "held": sorted_of(digest),
    "keys": sorted_of(
        record(
            {"name": text, "public_key": public_key, "roles": sorted_of(text, low=1)},
            {"until": sorted_of(entry_reference)},
        ),
        "public_key",
    ),
    "lost": record(
        {"entries": sorted_of(entry_reference), "packs": sorted_of(digest), "snapshots": sorted_of(digest)}
    ),
    "previous": sorted_of(policy_reference),
    "recovery_recipients": policy_recipients(),
    "settings": record({"grace_seconds": number, "longest_run_seconds": number, "recover_md": digest}),
    "source": SOURCE,
    "threshold": number,
    "time": time_text,
    "tool": text,
    "version": between(1, MAX_VERSION),
}
POLICY_OPTIONAL = {"critical": sorted_of(text, low=1), "reason": text, "repository": digest}
POLICY_PREDICATE = record(POLICY_REQUIRED, POLICY_OPTIONAL)
POLICY_MEMBERS = set(POLICY_REQUIRED) | set(POLICY_OPTIONAL)


@dataclasses.dataclass(frozen=True)
class Policy:
    reference: str
    payload: bytes
    predicate: dict
    previous: frozenset
    keys: dict  # by public key
    custodians: tuple  # public keys
    lists: dict  # digests or references: `accepted`, `held`, and the lists of `lost`

    @property
    def threshold(self):
        return self.predicate["threshold"]

    @property
    def repository(self):
        return self.predicate.get("repository") or digest_in(self.reference)

    @property
    def recipients(self):
        return [item["recipient"] for item in self.predicate["recovery_recipients"]]

    @property
    def part_recipients(self):
        catalogue = self.predicate["catalogue_recipients"]
        return {item["recipient"] for item in catalogue} | set(self.recipients)


def policy_lists(predicate):
    names = {name: predicate[name] for name in ("accepted", "held")}
    names.update((name, predicate["lost"][name]) for name in ("entries", "packs", "snapshots"))
    return {name: frozenset(values) for name, values in names.items()}


def parse_policy(data, reference=None):
    """A policy and its signatures, from the bytes of an envelope; a file has a reference in its name."""
    envelope = parse_envelope(data, MAX_POLICY, 0, 64)
    if sum(len(sig) for _, sig in envelope.signatures) > MAX_POLICY_SIGNATURES:
        raise Refused("has signatures of more than 256 KiB")
    predicate, subjects = parse_statement(envelope.payload, "urn:keyhaven:policy:1")
    POLICY_PREDICATE(predicate)
    check_critical(predicate, POLICY_MEMBERS)
    if subjects != [("RECOVER.md", predicate["settings"]["recover_md"])]:
        raise Refused("has other subjects")
    is_first = predicate["version"] == 1
    if is_first != (not predicate["previous"]) or is_first != ("repository" not in predicate):
        raise Refused("has `previous` or `repository` against its version")
    actual = f"{predicate['version']:06d}-{digest_of(envelope.payload)}"
    if reference is not None and actual != reference:
        raise Refused("has another name than its number and digest")
    policy = Policy(
        reference=actual,
        payload=envelope.payload,
        predicate=predicate,
        previous=frozenset(predicate["previous"]),
        keys={key["public_key"]: key for key in predicate["keys"]},
        custodians=tuple(custodian["public_key"] for custodian in predicate["custodians"]),
        lists=policy_lists(predicate),
    )
    return policy, envelope.signatures


class PolicyPool:
    """All policies of a repository that are there, each with its pooled signatures."""

    def __init__(self, repository):
        self.repository = repository
        self.policies = {}
        self.signatures = {}

    def add(self, policy, signatures):
        """Whether the policy is one of this repository."""
        if policy.repository != self.repository:
            return False
        self.policies.setdefault(policy.reference, policy)
        self.signatures.setdefault(policy.reference, set()).update(signatures)
        return True

    def signers(self, policy, custodians):
        """How many of the custodians signed the policy."""
        signatures = self.signatures[policy.reference]
        return sum(is_signed_by(public, policy.payload, signatures) for public in custodians)


# The chain of policies


@dataclasses.dataclass
class Chain:
    branches: list  # policies: the one in force, or all branches of a fork, or none
    fit: set
    known: set
    missing: set
    error: str = None

    @property
    def is_fork(self):
        return len(self.branches) > 1

    def all_agree(self, question):
        return bool(self.branches) and all(question(policy) for policy in self.branches)

    def all_list(self, what, name):
        """Whether all branches have a digest or reference on one of their lists."""
        return self.all_agree(lambda policy: name in policy.lists[what])


def broken_chain(error):
    return Chain([], set(), set(), set(), error)


def choose_pin(pool, pins):
    """The policy that a reader is pinned at, and an error instead."""
    first = f"000001-{pool.repository}"
    if not pins:
        return pool.policies.get(first), None if first in pool.policies else "no_policy"
    for pin in pins:
        policy = pool.policies.get(pin)
        if policy is not None and all(other in policy.previous for other in pins if other != pin):
            return policy, None
    # Of several pins nobody can tell whether one without bytes names the others.
    return None, "pins" if len(pins) > 1 else "pin_missing"


def keeps_keys(policy, before):
    """Whether a version lists every signing key of one before it, with the same roles, and as ended where it had."""
    for public, key in before.keys.items():
        mine = policy.keys.get(public)
        if mine is None or mine["roles"] != key["roles"]:
            return False
        if "until" in key and "until" not in mine:
            return False
    return True


def is_sound(policy):
    """The third condition of a version that fits."""
    settings = policy.predicate["settings"]
    publics = list(policy.keys) + list(policy.custodians)
    return (
        1 <= policy.threshold <= len(policy.custodians)
        and len(set(publics)) == len(publics)
        and not any(is_weak_key(public) for public in publics)
        and bool(policy.recipients)
        and settings["longest_run_seconds"] <= settings["grace_seconds"]
        and sum("until" not in key for key in policy.keys.values()) <= MAX_OPEN_KEYS
    )


def predecessors(policy, pool, fit):
    named = [pool.policies[name] for name in sorted(policy.previous) if name in fit and name in pool.policies]
    return [one for one in named if not any(one.reference in other.previous for other in named)]


def follows(policy, before, pool):
    """Whether a version may come after one of its predecessors."""
    return (
        before.previous <= policy.previous
        and keeps_keys(policy, before)
        and pool.signers(policy, before.custodians) >= max(1, before.threshold)
    )


def fits(policy, pool, fit):
    before = predecessors(policy, pool, fit)
    return (
        bool(before)
        and number_of(policy.reference) == 1 + max(number_of(name) for name in policy.previous)
        and is_sound(policy)
        and all(follows(policy, one, pool) for one in before)
        and pool.signers(policy, policy.custodians) >= policy.threshold
    )


def judge_chain(pool, pins):
    pinned, error = choose_pin(pool, pins)
    if error:
        return broken_chain(error)
    below_pin = {f"000001-{pool.repository}", pinned.reference} | pinned.previous
    fit = set(below_pin)
    for reference in sorted(pool.policies):
        if reference not in fit and fits(pool.policies[reference], pool, fit):
            fit.add(reference)
    there = [pool.policies[name] for name in sorted(fit) if name in pool.policies]
    known = fit.union(*(policy.previous for policy in there))
    candidates = [one for one in there if one is pinned or pinned.reference in one.previous]
    branches = choose_branches(candidates)
    named = {name for one in branches for name in one.previous}
    return Chain(branches, fit, known, named - below_pin - (set(pool.policies) & fit))


def choose_branches(candidates):
    for one in candidates:
        if all(other.reference in one.previous for other in candidates if other is not one):
            return [one]
    return [one for one in candidates if not any(one.reference in other.previous for other in candidates)]


# Kinds of entries

ROLES = {
    "snapshot": "collector",
    "verification": "verifier",
    "proof": "verifier",
    "restore": "restorer",
    "drill": "restorer",
    "forget": "reaper",
    "undo": "reaper",
    "hold": "reaper",
    "release": "reaper",
    "sweep": "reaper",
    "expect": "operator",
    "acknowledge": "operator",
}
STATE_KINDS = {"forget", "undo", "hold", "release", "sweep"}


def snapshot_digests(low):
    def check(value):
        list_of(digest, low, 2000)(value)
        if len(set(value)) != len(value):
            raise Refused("repeats a snapshot")
        return value

    return check


def count_members():
    names = ["items", "payloads", "new", "changed", "gone", "lost_class", "unread", "stale", "not_asked", "empty"]
    return record({}, {name: number for name in names})


REASON = record({"code": text, "count": number}, {"of": number, "share": number, "text": text})
COUNTS = by_name(number)



def consistency(value):
    if value not in ("point_in_time", "per_item"):
        raise Refused("claims nothing that is known about time")
    return value


SNAPSHOT_REQUIRED = {
    "consistency": consistency,
    "from": time_text,
    "to": time_text,
    "time": time_text,
    "rounds": number,
    "full": boolean,
    "recipients": digest,
    "parts": list_of(record({"digest": digest, "items": number, "size": number})),
    "list": digest,
    "packs": number,
    "sealed_bytes": number,
    "counts": record(
        {"all": count_members(), "classes": by_name(count_members()), "kinds": by_name(count_members())}
    ),
    "partial": boolean,
    "reasons": list_of(REASON),
    "marks": list_of(REASON),
    "requests": record({"listing": number, "reading": number, "retried": number}),
    "notes": list_of(text),
    "tags": list_of(text),
    "hidden": sorted_of(text),
    "recovery_key_on_collector": boolean,
}
SNAPSHOT_OPTIONAL = {
    "moved": number,
    "why": text,
    "recovery_point_millis": number,
    "base": digest,
    "reuses": sorted_of(digest),
    "reference": digest,
    "rules": number,
    "floors": COUNTS,
    "shares": COUNTS,
    "expected": list_of(digest),
    "excepted": number,
    "bucket": record({}, {"lock": text, "region": text}),
}

BODIES = {
    "snapshot": (SNAPSHOT_REQUIRED, SNAPSHOT_OPTIONAL),
    "verification": (
        {"level": text, "passed": boolean, "problems": number, "entries": list_of(digest)},
        {"slice": record({"part": number, "of": number}, {"seed": text}), "counts": COUNTS},
    ),
    "proof": (
        {"recipients": list_of(record({"recipient": text, "challenge": digest, "answer": digest}))},
        {},
    ),
    "restore": (
        {
            "snapshot": digest,
            "target": text,
            "restored": number,
            "failed": number,
            "from": time_text,
            "to": time_text,
        },
        {},
    ),
    "drill": (
        {
            "snapshot": digest,
            "target": text,
            "passed": boolean,
            "from": time_text,
            "to": time_text,
            "phases": list_of(record({"name": text, "millis": number})),
            "counts": COUNTS,
        },
        {"compared_by": text},
    ),
    "forget": ({"snapshots": snapshot_digests(1), "rule": text}, {}),
    "undo": ({"snapshots": snapshot_digests(1), "reason": text}, {}),
    "hold": ({"snapshots": snapshot_digests(1), "reason": text}, {}),
    "release": ({"snapshots": snapshot_digests(1), "reason": text}, {}),
    "sweep": ({"snapshots": snapshot_digests(0), "objects": number, "bytes": number, "before": time_text}, {}),
    "expect": (
        {"change": text, "from": time_text, "to": time_text, "share": number, "sealed": base64_text},
        {},
    ),
    "acknowledge": ({"snapshot": digest, "until": time_text, "sealed": base64_text}, {}),
}


def entry_subjects(digests):
    return [(f"entry/{name}", name) for name in digests]


def expected_subjects(kind, body, repository):
    if kind == "snapshot":
        parts = [(f"catalogues/{part['digest']}.jsonl.zst.age", part["digest"]) for part in body["parts"]]
        return parts + [(f"lists/{body['list']}.jsonl", body["list"])]
    if kind == "verification" and body["entries"]:
        return entry_subjects(body["entries"])
    if kind in STATE_KINDS and body["snapshots"]:
        return entry_subjects(body["snapshots"])
    if kind in ("restore", "drill", "acknowledge"):
        return entry_subjects([body["snapshot"]])
    return [("repository", repository)]


# Entries

ENTRY_REQUIRED = {
    "body": an_object,
    "effect": text,
    "format": format_text,
    "kind": text,
    "parents": sorted_of(entry_reference, high=1000),
    "policy": policy_reference,
    "public_key": public_key,
    "repository": digest,
    "sequence": between(1, MAX_SEQUENCE),
    "source": SOURCE,
    "time": time_text,
    "tool": text,
}
ENTRY_OPTIONAL = {
    "carries": base64_text,
    "critical": sorted_of(text, low=1),
    "due": record({"at": time_text, "job": text}),
    "evidence": sorted_of(digest),
    "lost": sorted_of(entry_reference, high=1000),
}
ENTRY_PREDICATE = record(ENTRY_REQUIRED, ENTRY_OPTIONAL)
ENTRY_MEMBERS = set(ENTRY_REQUIRED) | set(ENTRY_OPTIONAL)


@dataclasses.dataclass(frozen=True)
class Entry:
    reference: str
    sequence: int
    kind: str  # None for a kind that this reader does not know
    public_key: str
    policy: str
    parents: tuple
    time: int
    source: dict
    body: dict
    carried: tuple  # policy and signatures, or None

    @property
    def digest(self):
        return digest_in(self.reference)


def readable_kind(predicate):
    """The kind of an entry, None for an unknown one; a body that cannot be read is refused."""
    kind = predicate["kind"]
    if kind not in BODIES:
        return None
    try:
        record(*BODIES[kind])(predicate["body"])
    except Refused:
        if is_later_minor(predicate["format"]):
            return None
        raise
    return kind


def check_kind(kind, predicate, subjects):
    """Effect and subjects of an entry."""
    if predicate["effect"] not in ("record", "state"):
        raise Refused("has another `effect`")
    if kind is None:
        return
    if predicate["effect"] != ("state" if kind in STATE_KINDS else "record"):
        raise Refused("has another `effect` than its kind")
    if subjects != expected_subjects(kind, predicate["body"], predicate["repository"]):
        raise Refused("has other subjects")


def parse_carried(predicate):
    if "carries" not in predicate:
        return None
    policy, signatures = parse_policy(decode_base64(predicate["carries"]), predicate["policy"])
    return policy, signatures


def check_own_signature(public, envelope):
    if raw_ed25519(public) is None:
        keyid = fingerprint(public)
        if not any(name == keyid for name, _ in envelope.signatures):
            raise Refused("has no signature of its key")
    elif not is_signed_by(public, envelope.payload, envelope.signatures):
        raise Refused("has no good signature of its key")


def parse_entry(data, repository, reference=None):
    """A document that fulfils all rules of an entry but the fourth, which needs the other documents."""
    envelope = parse_envelope(data, MAX_ENTRY, 1, 8)
    predicate, subjects = parse_statement(envelope.payload, "urn:keyhaven:entry:1")
    ENTRY_PREDICATE(predicate)
    if predicate["repository"] != repository:
        raise Refused("is of another repository")
    actual = f"{predicate['sequence']:012d}-{digest_of(envelope.payload)}"
    if reference is not None and actual != reference:
        raise Refused("has another name than its sequence and digest")
    kind = readable_kind(predicate)
    check_critical(predicate, ENTRY_MEMBERS)
    check_kind(kind, predicate, subjects)
    carried = parse_carried(predicate)
    check_own_signature(predicate["public_key"], envelope)
    return Entry(
        reference=actual,
        sequence=predicate["sequence"],
        kind=kind,
        public_key=predicate["public_key"],
        policy=predicate["policy"],
        parents=tuple(predicate["parents"]),
        time=parse_time(predicate["time"]),
        source=predicate["source"],
        body=predicate["body"],
        carried=carried,
    )


def check_sequence(entry, documents):
    """The fourth rule of an entry; the documents are the sequences of those that fulfil the other rules, by digest."""
    if entry.sequence != 1 + max(map(number_of, entry.parents), default=0):
        raise Refused("has a sequence that does not follow from its parents")
    for parent in entry.parents:
        if documents.get(digest_in(parent), number_of(parent)) != number_of(parent):
            raise Refused("names a parent with another sequence than it has")


# Which entries count


class Graph:
    """Entries in order, and what is below each, as the bits of a number by their places."""

    def __init__(self, entries):
        self.entries = sorted(entries, key=lambda entry: entry.reference)
        self.place = {entry.reference: place for place, entry in enumerate(self.entries)}
        self.by_digest = {entry.digest: entry for entry in self.entries}
        self._below = None

    def is_there(self, reference):
        return reference in self.place

    def _compute(self):
        below = []
        for entry in self.entries:
            mask = 0
            for parent in entry.parents:
                place = self.place.get(parent)
                if place is not None:
                    mask |= below[place] | 1 << place
            below.append(mask)
        return below

    def mask_below(self, entry):
        if self._below is None:
            self._below = self._compute()
        return self._below[self.place[entry.reference]]

    def is_below(self, lower, upper):
        return bool(self.mask_below(upper) >> self.place[lower.reference] & 1)

    def in_or_below(self, references):
        """The bits of the entries that are there, and of all below them."""
        mask = 0
        for reference in references:
            if reference in self.place:
                place = self.place[reference]
                mask |= self.mask_below(self.entries[place]) | 1 << place
        return mask

    def of_mask(self, mask):
        return [entry for place, entry in enumerate(self.entries) if mask >> place & 1]

    def has(self, mask, entry):
        return bool(mask >> self.place[entry.reference] & 1)


def has_role(key, entry):
    return entry.kind is None or ROLES[entry.kind] in key["roles"]


class Judgement:
    """What the policy in force, or all branches of a fork, say about the entries."""

    def __init__(self, graph, chain):
        self.graph = graph
        self.chain = chain
        self._until = {}
        self.reach = self._find_reach()
        self.states = {entry.reference: self._judge(entry) for entry in graph.entries}
        self.counting = [entry for entry in graph.entries if self.counts(entry)]

    def state(self, entry):
        return self.states[entry.reference]

    def counts(self, entry):
        return self.state(entry) == "counts"

    def is_listed(self, entry):
        return self.chain.all_agree(lambda policy: entry.public_key in policy.keys)

    def _find_reach(self):
        reach = set()
        lower = current = None  # the highest sequence in reach below the present one, and with it
        for entry in self.graph.entries:
            if not self.is_listed(entry) or raw_ed25519(entry.public_key) is None:
                continue
            if current is not None and entry.sequence > current:
                lower = current
            if self._is_in_reach(entry, reach, lower):
                reach.add(entry.reference)
                current = entry.sequence
        return reach

    def _is_in_reach(self, entry, reach, lower):
        if lower is None or entry.sequence - lower <= REACH:
            return True
        highest = max(entry.parents, default=None)
        return highest is not None and (highest in reach or self.chain.all_list("entries", highest))

    def in_until(self, policy, public):
        """The bits of the entries up to which an ended key counts."""
        name = (policy.reference, public)
        if name not in self._until:
            self._until[name] = self.graph.in_or_below(policy.keys[public]["until"])
        return self._until[name]

    def _may_sign(self, policy, entry):
        key = policy.keys.get(entry.public_key)
        if key is None or not has_role(key, entry):
            return False
        return "until" not in key or self.graph.has(self.in_until(policy, entry.public_key), entry)

    def _has_open_key(self, policy, entry):
        key = policy.keys.get(entry.public_key)
        return key is not None and has_role(key, entry) and "until" not in key

    def _judge(self, entry):
        if not self.is_listed(entry):
            return "stranger"
        known = entry.policy in self.chain.known
        in_reach = entry.reference in self.reach
        if raw_ed25519(entry.public_key) is None:
            return "void"
        if self.chain.all_agree(lambda policy: self._has_open_key(policy, entry)) and not (known and in_reach):
            return "pending"
        if in_reach and known and self.chain.all_agree(lambda one: self._may_sign(one, entry)):
            return "counts"
        return "void"

    # Unproven entries, heads, holes

    def _references_of_end(self, policy, public):
        """The references in the end of a key, and those that the entries in or below it name."""
        named = list(policy.keys[public]["until"])
        for entry in self.graph.of_mask(self.in_until(policy, public)):
            named += entry.parents
        return named

    def named_by_end(self, policy, public):
        """The digests of what is in or below the end of a key, there or not."""
        return {name.split("-")[1] for name in self._references_of_end(policy, public)}

    def _highest_missing(self, policy, public):
        """The highest sequence of what is not there in or below the end of a key; 0 if nothing is missing."""
        named = self._references_of_end(policy, public)
        lost = policy.lists["entries"]
        return max((number_of(name) for name in named if not self.graph.is_there(name) and name not in lost), default=0)

    def unproven(self):
        cache = {}

        def is_unproven(policy, entry):
            name = (policy.reference, entry.public_key)
            if "until" not in policy.keys.get(entry.public_key, {}):
                return False
            if name not in cache:
                cache[name] = self._highest_missing(policy, entry.public_key)
            return entry.sequence < cache[name]

        return [
            entry.reference
            for entry in self.graph.entries
            if raw_ed25519(entry.public_key) is not None
            and not self.counts(entry)
            and self.chain.all_agree(lambda policy: is_unproven(policy, entry))
        ]

    def heads(self):
        covered = 0
        for entry in self.counting:
            covered |= self.graph.mask_below(entry)
        return [entry.reference for entry in self.counting if not self.graph.has(covered, entry)]

    def holes(self):
        parents = {parent for entry in self.counting for parent in entry.parents}
        return sorted(
            parent
            for parent in parents
            if not self.graph.is_there(parent) and not self.chain.all_list("entries", parent)
        )


class Snapshots:
    """The states of the snapshots that count."""

    def __init__(self, judgement, policies):
        self.judgement = judgement
        self.graph = judgement.graph
        self.chain = judgement.chain
        self.policies = policies
        self.snapshots = [entry for entry in judgement.counting if entry.kind == "snapshot"]
        self.unproven = set(judgement.unproven())
        self.naming = self._find_naming()
        self._bad_base = {}

    def _find_naming(self):
        naming = {}
        for entry in self.judgement.counting:
            if entry.kind in STATE_KINDS:
                for name in entry.body["snapshots"]:
                    naming.setdefault((entry.kind, name), []).append(entry)
        return naming

    def _deciding(self, kind, snapshot):
        """The entries of a kind that name a snapshot."""
        return self.naming.get((kind, snapshot.digest), [])

    def state(self, snapshot):
        if self._deciding("sweep", snapshot):
            return "swept"
        undos = self._deciding("undo", snapshot)
        for forget in self._deciding("forget", snapshot):
            if self.graph.is_below(snapshot, forget) and all(self.graph.is_below(undo, forget) for undo in undos):
                return "forgotten"
        return "live"

    def is_held(self, snapshot):
        if any(snapshot.digest in policy.lists["held"] for policy in self.chain.branches):
            return True
        releases = self._deciding("release", snapshot)
        holds = self._deciding("hold", snapshot)
        return any(not any(self.graph.is_below(hold, release) for release in releases) for hold in holds)

    def has_other_recipients(self, snapshot):
        policy = self.policies.get(snapshot.policy)
        if policy is None:
            return False
        lines = "".join(recipient + "\n" for recipient in policy.recipients)
        return snapshot.body["recipients"] != digest_of(lines.encode("utf-8"))

    def is_accepted(self, snapshot):
        return self.chain.all_list("accepted", snapshot.digest)

    def has_bad_base(self, snapshot):
        """Whether a snapshot reused the packs of one that must not be relied on, however far back."""
        seen = []
        result = False
        while snapshot is not None:
            if snapshot.reference in self._bad_base:
                result = self._bad_base[snapshot.reference]
                break
            seen.append(snapshot.reference)
            named = self._base_digest(snapshot)
            if named is None or self.chain.all_list("accepted", named):
                break
            base = self.graph.by_digest.get(named)
            if base is None:
                result = any(self._may_exclude(key, named) for key in snapshot.body.get("reuses", []))
                break
            if not self.judgement.counts(base) and base.reference not in self.unproven:
                result = True
                break
            snapshot = base
        self._bad_base.update((reference, result) for reference in seen)
        return result

    def _base_digest(self, snapshot):
        """What a snapshot says it was built on; None when it is full."""
        if snapshot.kind != "snapshot" or snapshot.body["full"]:
            return None
        return snapshot.body.get("base")

    def _may_exclude(self, name, gone):
        """Whether a branch has ended the key with this fingerprint, and names an entry that is gone nowhere in or below
        that end."""

        def excludes(policy):
            return any(
                fingerprint(public) == name and "until" in key and gone not in self.judgement.named_by_end(policy, public)
                for public, key in policy.keys.items()
            )

        return any(excludes(policy) for policy in self.chain.branches)

    def is_suspect(self, snapshot):
        if self.is_accepted(snapshot):
            return False
        return (
            bool(snapshot.body["reasons"]) or self.has_other_recipients(snapshot) or self.has_bad_base(snapshot)
        )

    def describe(self, snapshot):
        return {
            "state": self.state(snapshot),
            "held": self.is_held(snapshot),
            "suspect": self.is_suspect(snapshot),
            "partial": snapshot.body["partial"],
        }

    def pending(self):
        states = self.judgement.states
        return [one for one in self.graph.entries if one.kind == "snapshot" and states[one.reference] == "pending"]

    def early_sweeps(self):
        sweeps = [entry for entry in self.judgement.counting if entry.kind == "sweep"]
        return [sweep.reference for sweep in sweeps if self._is_early(sweep)]

    def _is_early(self, sweep):
        policy = self.policies.get(sweep.policy)
        if policy is None:
            return False
        latest = sweep.time - 1000 * policy.predicate["settings"]["grace_seconds"]
        counting = {snapshot.digest for snapshot in self.snapshots}
        names = [name for name in sweep.body["snapshots"] if name in counting]
        return not all(self._was_forgotten(name, sweep, latest) for name in names)

    def _was_forgotten(self, name, sweep, latest):
        """Whether a forget below the sweep, counting or not, is old enough."""
        forgets = [entry for entry in self.graph.entries if entry.kind == "forget" and name in entry.body["snapshots"]]
        return any(forget.time <= latest and self.graph.is_below(forget, sweep) for forget in forgets)
