"""The rules of section *Trust* of docs/format.md over abstract policies and entries: no bytes, no signatures, no JSON.

Keys, custodians and digests are any texts; references are those of the format, since their order is part of the rules.
Where the page leaves a choice, the word CHOICE in a comment says which one is taken here.
"""

from dataclasses import dataclass, field

ROLES = {"snapshot": "collector", "verification": "verifier", "proof": "verifier", "restore": "restorer", "drill": "restorer",
         "forget": "reaper", "undo": "reaper", "hold": "reaper", "release": "reaper", "sweep": "reaper",
         "expect": "operator", "acknowledge": "operator"}
JUMP = 10_000


@dataclass(frozen=True)
class SigningKey:
    """A signing key as a policy lists it; `until` is None while it has not ended."""
    roles: frozenset
    until: frozenset | None = None


@dataclass(frozen=True, eq=False)
class Policy:
    """One version. `sound` says whether the parts of rule 3 hold that an abstract policy cannot show."""
    ref: str
    previous: frozenset
    custodians: frozenset
    threshold: int
    keys: dict
    recipients: str = ""
    accepted: frozenset = frozenset()
    held: frozenset = frozenset()
    lost: frozenset = frozenset()
    sound: bool = True
    grace: int = 172800


@dataclass(frozen=True, eq=False)
class Entry:
    """A well-formed entry. `names` are the digests in its body's `snapshots`; `base` is a digest, None where it is full;
    `reuses` are keys; `time` is in seconds."""
    ref: str
    key: str
    kind: str
    parents: tuple
    policy: str
    names: tuple = ()
    recipients: str = ""
    base: str | None = None
    reasons: bool = False
    partial: bool = False
    checkable: bool = True
    reuses: tuple = ()
    effect: str = "record"
    time: int = 0


@dataclass
class Reading:
    """What a reader decides."""
    error: str | None = None
    branches: list = field(default_factory=list)
    fit: set = field(default_factory=set)
    missing: set = field(default_factory=set)
    status: dict = field(default_factory=dict)
    unproven: set = field(default_factory=set)
    heads: set = field(default_factory=set)
    holes: set = field(default_factory=set)
    snapshots: dict = field(default_factory=dict)
    latest: str | None = None
    refused: bool = False
    early: set = field(default_factory=set)
    stopped: bool = True
    deletable: set = field(default_factory=set)

    def counting(self):
        """The references of the entries that count."""
        return {ref for ref, status in self.status.items() if status == "counts"}


def number(ref):
    """The number of a version, the sequence of an entry."""
    return int(ref.split("-")[0])


def digest(ref):
    """The digest in a reference."""
    return ref.split("-")[1]


def pool(found):
    """One object for all copies of a policy, with the good signatures of all of them."""
    policies, signers = {}, {}
    for policy, names in found:
        policies[policy.ref] = policy
        signers.setdefault(policy.ref, set()).update(names)
    return policies, signers


def pinned(repository, pins, policies):
    """The pin that holds and the error, one of which is None."""
    if not pins:
        first = f"000001-{repository}"
        return (first, None) if first in policies else (None, "no_policy")
    for pin in sorted(set(pins) & set(policies)):
        if set(pins) - {pin} <= policies[pin].previous:
            return pin, None
    # CHOICE: of several pins one without bytes names no other as far as anybody can tell.
    return None, "pins" if len(set(pins)) > 1 else "pin_missing"


def maximal(policies):
    """Those that no other of them names."""
    return [p for p in policies if not any(p.ref in other.previous for other in policies)]


def follows(policy, before):
    """Rule 2: what a version must keep of a predecessor."""
    kept = all(name in policy.keys and policy.keys[name].roles == old.roles
               and (old.until is None or policy.keys[name].until is not None) for name, old in before.keys.items())
    return kept and before.previous <= policy.previous


def signed(policy, signers):
    """Whether a threshold of the custodians of this version signed."""
    return len(policy.custodians & signers) >= max(1, policy.threshold)


def fits(policy, fit, policies, signers):
    """The four rules, for a version that does not fit by its digest."""
    before = maximal([fit[ref] for ref in policy.previous if ref in fit])
    return (bool(before) and number(policy.ref) == 1 + max(map(number, policy.previous))
            and all(follows(policy, one) for one in before)
            and 1 <= policy.threshold <= len(policy.custodians) and policy.sound
            and signed(policy, signers) and all(signed(one, signers) for one in before))


def fitting(by_digest, policies, signers):
    """The versions that fit and are there; those in `by_digest` fit as they are."""
    fit = {}
    for ref in sorted(policies):
        if ref in by_digest or fits(policies[ref], fit, policies, signers[ref]):
            fit[ref] = policies[ref]
    return fit


def branches_of(pin, fit):
    """The version in force alone, or the branches of a fork."""
    candidates = [p for p in fit.values() if p.ref == pin or pin in p.previous]
    for policy in candidates:
        if {p.ref for p in candidates} - {policy.ref} <= policy.previous:
            return [policy]
    return sorted(maximal(candidates), key=lambda p: p.ref)


class Ledger:
    """The entries and what is below each of them, by the references that they name, there or not."""

    def __init__(self, entries):
        self.by_ref = {entry.ref: entry for entry in sorted(entries, key=lambda e: e.ref)}
        self.by_digest = {digest(ref): entry for ref, entry in self.by_ref.items()}
        self.below = {}
        for ref, entry in self.by_ref.items():
            self.below[ref] = set(entry.parents).union(*(self.below.get(parent, ()) for parent in entry.parents))

    def down_to(self, refs):
        """These and all below them."""
        return set(refs).union(*(self.below.get(ref, ()) for ref in refs))


class Judge:
    """Judges entries by the branches (one, unless there is a fork)."""

    def __init__(self, branches, known, ledger):
        self.branches, self.known, self.ledger = branches, known, ledger
        self.lost = frozenset.intersection(*(b.lost for b in branches))
        self.ended = [{name: ledger.down_to(k.until) for name, k in b.keys.items() if k.until is not None} for b in branches]
        self.reach = self.in_reach()

    def listed(self, entry):
        """Whether all branches list its key."""
        return all(entry.key in b.keys for b in self.branches)

    def has_role(self, entry):
        """Whether all branches list its key with a role for its kind."""
        role = ROLES.get(entry.kind)
        return all(entry.key in b.keys and (role is None or role in b.keys[entry.key].roles) for b in self.branches)

    def is_reaper(self, entry):
        """Whether a branch lists its key as a reaper's."""
        return any("reaper" in b.keys[entry.key].roles for b in self.branches)

    def not_ended(self, entry):
        """Whether its key has no `until` in any branch."""
        return not any(entry.key in ended for ended in self.ended)

    def may_sign(self, entry):
        """Role, and `until`."""
        return self.has_role(entry) and all(entry.key not in ended or entry.ref in ended[entry.key] for ended in self.ended)

    def in_reach(self):
        """The references in reach."""
        reach, sequences = set(), []
        for ref, entry in self.ledger.by_ref.items():
            if not self.listed(entry) or not entry.checkable:
                continue
            highest = max(entry.parents, default=None)
            lower = [s for s in sequences if s < number(ref)]
            if highest in reach or highest in self.lost or not lower or number(ref) <= max(lower) + JUMP:
                reach.add(ref)
                sequences.append(number(ref))
        return reach

    def status(self, entry):
        """One of the four."""
        known, reach = entry.policy in self.known, entry.ref in self.reach
        if not entry.checkable:
            return "void" if self.listed(entry) else "stranger"
        if self.has_role(entry) and self.not_ended(entry) and not (known and reach):
            return "pending"
        if reach and known and self.may_sign(entry):
            return "counts"
        return "void" if self.listed(entry) else "stranger"

    def unproven(self, entry):
        """For an entry that does not count."""
        def by(branch, ended):
            if entry.key not in ended:
                return False
            until = branch.keys[entry.key].until
            named = {p for ref in ended[entry.key] if ref in self.ledger.by_ref for p in self.ledger.by_ref[ref].parents}
            missing = (until | named) - set(self.ledger.by_ref) - branch.lost
            return any(number(entry.ref) < number(ref) for ref in missing)
        return entry.checkable and all(by(branch, ended) for branch, ended in zip(self.branches, self.ended))


class Snapshots:
    """State of the snapshots that count."""

    def __init__(self, judge, policies, counting):
        self.ledger, self.policies, self.counting, self.branches = judge.ledger, policies, counting, judge.branches
        self.unproven = {ref for ref, e in judge.ledger.by_ref.items() if ref not in counting and judge.unproven(e)}
        self.accepted = frozenset.intersection(*(b.accepted for b in judge.branches))
        self.held = frozenset.union(*(b.held for b in judge.branches))
        self.ended = judge.ended

    def deciding(self, snapshot, kind):
        """The counting entries of a kind that name the snapshot."""
        return [e for e in self.counting.values() if e.kind == kind and digest(snapshot.ref) in e.names]

    def state(self, snapshot):
        """Swept, forgotten or live."""
        if self.deciding(snapshot, "sweep"):
            return "swept"
        undone = {e.ref for e in self.deciding(snapshot, "undo")}
        forgotten = any(undone | {snapshot.ref} <= self.ledger.below[e.ref] for e in self.deciding(snapshot, "forget"))
        return "forgotten" if forgotten else "live"

    def is_held(self, snapshot):
        """By an entry or by the policy."""
        released = set().union(*(self.ledger.below[e.ref] for e in self.deciding(snapshot, "release")))
        return digest(snapshot.ref) in self.held or any(e.ref not in released for e in self.deciding(snapshot, "hold"))

    def bad_base(self, snapshot):
        """Whether it is suspect because of its base."""
        if snapshot.base is None or snapshot.base in self.accepted:
            return False
        base = self.ledger.by_digest.get(snapshot.base)
        if base is None:
            return any(self.may_exclude(key, snapshot.base) for key in snapshot.reuses)
        if base.ref not in self.counting and base.ref not in self.unproven:
            return True
        return base.kind == "snapshot" and self.bad_base(base)

    def may_exclude(self, key, gone):
        """Whether a branch has ended a key and does not name an entry that is gone in or below that end."""
        return any(key in ended and gone not in {digest(ref) for ref in ended[key]} for ended in self.ended)

    def suspect(self, snapshot):
        """Whether it is not good."""
        if digest(snapshot.ref) in self.accepted:
            return False
        version = self.policies.get(snapshot.policy)
        other = version is not None and version.recipients != snapshot.recipients
        return snapshot.reasons or other or self.bad_base(snapshot)

    def early(self, sweep):
        """Whether a sweep that counts took something that was not forgotten long enough."""
        policy = self.policies.get(sweep.policy)
        if policy is None:
            return False
        taken = {digest(ref) for ref, e in self.counting.items() if e.kind == "snapshot"} & set(sweep.names)
        below = [self.ledger.by_ref[ref] for ref in self.ledger.below[sweep.ref] if ref in self.ledger.by_ref]
        long_ago = [e for e in below if e.kind == "forget" and e.time + policy.grace <= sweep.time]
        return any(not any(name in e.names for e in long_ago) for name in taken)

    def kept(self, status):
        """The digests that a reader keeps whatever it makes of the snapshots."""
        doubtful = [e for ref, e in self.ledger.by_ref.items() if ref in self.unproven or status[ref] == "stranger"]
        return set(self.held).union(*(e.names for e in doubtful if e.kind in ("undo", "hold")))

    def deletable(self, status, states):
        """The snapshots whose objects a sweep may take: given up and held by nobody, or void for good."""
        def given_up(ref):
            if ref in states:
                return states[ref]["state"] != "live" and not states[ref]["held"]
            return status[ref] == "void" and ref not in self.unproven
        kept = self.kept(status)
        return {ref for ref, e in self.ledger.by_ref.items() if e.kind == "snapshot" and given_up(ref) and digest(ref) not in kept}


def stops(reading, judge, counting):
    """Whether deletions stop."""
    unread = [e for e in counting.values() if e.kind not in ROLES and e.effect == "state" and judge.is_reaper(e)]
    return bool(len(reading.branches) > 1 or reading.refused or reading.holes or reading.missing or unread)


def read(repository, pins, found, entries):
    """What a reader decides who has these pins and finds these policies (with the names who signed) and entries."""
    policies, signers = pool(found)
    pin, error = pinned(repository, pins, policies)
    if error:
        return Reading(error=error)
    by_digest = {f"000001-{repository}", pin} | policies[pin].previous
    fit = fitting(by_digest, policies, signers)
    branches = branches_of(pin, fit)
    missing = set().union(*(b.previous for b in branches)) - policies[pin].previous - {pin}
    missing -= set(policies) & (by_digest | set(fit))
    known = by_digest.union(fit, *(p.previous for p in fit.values()))
    ledger = Ledger(entries)
    judge = Judge(branches, known, ledger)
    # CHOICE: a version that fits by its digest fits also where it is not there.
    out = Reading(branches=branches, fit=by_digest | set(fit), missing=missing)
    out.status = {ref: judge.status(entry) for ref, entry in ledger.by_ref.items()}
    counting = {ref: ledger.by_ref[ref] for ref in out.counting()}
    out.heads = set(counting) - set().union(*(ledger.below[ref] for ref in counting))
    out.holes = {p for e in counting.values() for p in e.parents} - set(ledger.by_ref) - judge.lost
    snapshots = Snapshots(judge, policies, counting)
    out.unproven = snapshots.unproven
    out.early = {ref for ref, e in counting.items() if e.kind == "sweep" and snapshots.early(e)}
    for ref, entry in counting.items():
        if entry.kind == "snapshot":
            out.snapshots[ref] = {"state": snapshots.state(entry), "held": snapshots.is_held(entry),
                                  "suspect": snapshots.suspect(entry), "partial": entry.partial}
    out.refused = any(s == "pending" and ledger.by_ref[ref].kind == "snapshot" for ref, s in out.status.items())
    good = [ref for ref, s in out.snapshots.items() if s["state"] == "live" and not s["suspect"]]
    out.latest = None if out.refused else max(good, default=None)
    out.stopped = stops(out, judge, counting)
    out.deletable = set() if out.stopped else snapshots.deletable(out.status, out.snapshots)
    return out
