"""Entries and which of them count, for the second reader: the sections Entries and Trust of docs/format.md."""
import os
import re
import subprocess

from second_reader_text import (Fields, Refused, as_it_stands, base64_of, boolean, digest, list_of, number, numbers,
                                Members, parse, refuse_unless, sha256, text, time, version_of_format)

# Which roles may sign a kind; kinds that are not here, any.
SIGNERS = {"snapshot": ("collector",), "verification": ("verifier",), "restore": ("restorer",),
           "accept_loss": ("collector", "custodian"), "accept_suspect": ("custodian",), "keys": ("custodian",),
           "forget": ("reaper",), "sweep": ("reaper",), "pin": ("reaper", "custodian")}
P = 2 ** 255 - 19
L = 2 ** 252 + 27742317777372353535851937790883648493  # the order of Ed25519's base point
ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
# y of every point of small order, in each spelling.
SMALL_ORDER = {0, 1, P - 1, P, P + 1, ORDER_8, P - ORDER_8}

ENVELOPE = re.compile(rb'\{"payload":"([A-Za-z0-9+/=]*)","payloadType":"application/vnd\.in-toto\+json",'
                      rb'"signatures":\[\{"keyid":"([0-9a-f]{64})","sig":"([A-Za-z0-9+/=]*)"\}\]\}')


def y_of(point):
    return int.from_bytes(point, "little") % 2 ** 255


def public_key(value):
    key = base64_of(44)(value)
    refuse_unless(key.startswith(bytes.fromhex("302a300506032b6570032100")), "no Ed25519 key")
    y = y_of(key[12:])
    # -x^2 + y^2 = 1 + d x^2 y^2 with d = -121665 / 121666: the key is a point when x^2 is a square.
    x_squared = (y * y - 1) * 121666 * pow(121666 - 121665 * y * y, -1, P)
    refuse_unless(pow(x_squared, (P - 1) // 2, P) == 1 and y not in SMALL_ORDER, "no key, or one of small order")
    return key


def grant(value):
    fields = Fields(value)
    key = fields.get("public_key", public_key)
    fields.get("name", text, "")
    return {"key": sha256(key), "der": key, "roles": fields.get("roles", list_of(text))}


def part(value):
    fields = Fields(value)
    return {name: fields.get(name, read) for name, read in (("digest", digest), ("size", number), ("items", number))}


def cut(value):
    if isinstance(value, Members):
        Fields(Fields(value).get("per_item", as_it_stands)).get("moved", number)
    else:
        refuse_unless(text(value) == "point_in_time", "no cut")


def good(value):
    if isinstance(value, Members):
        Fields(Fields(value).get("suspect", as_it_stands)).get("reasons", list_of(text))
        return False
    refuse_unless(text(value) == "good", "no verdict")
    return True


# The members of each kind's body that a reader cannot do without, and how each is read.
BODIES = {
    "init": {"keys": list_of(grant), "longest_run_seconds": number, "grace_seconds": number, "recover_md": digest},
    "snapshot": {"cut": cut, "from": time, "to": time, "time": time, "rounds": number, "full": boolean,
                 "parts": list_of(part), "list": digest, "counts": numbers, "classes": numbers, "packs": number,
                 "sealed_bytes": number, "verdict": good, "requests": numbers,
                 "recovery_key_on_collector": boolean},
    "verification": {"level": text, "passed": boolean, "problems": number, "entries": list_of(digest)},
    "restore": {"snapshot": digest, "target": text, "restored": number, "failed": number, "from": time, "to": time},
    "accept_loss": {"entries": list_of(digest), "reason": text},
    "accept_suspect": {"snapshot": digest, "reason": text},
    "keys": {"change": text},
    "forget": {"change": text},
    "pin": {"change": text},
    "sweep": {"snapshots": list_of(digest), "objects": number, "bytes": number, "before": time},
}
CHANGES = {
    "keys": {"add": {"grant": grant, "reason": text}, "retire": {"key": digest, "reason": text},
             "revoke": {"key": digest, "reason": text}},
    "forget": {"give_up": {"snapshots": list_of(digest), "rule": text},
               "undo": {"snapshots": list_of(digest), "reason": text}},
    "pin": {"set": {"snapshot": digest, "reason": text}, "release": {"snapshot": digest, "reason": text}},
}


def body_of(kind, value):
    fields = Fields(value)
    body = {name: fields.get(name, read) for name, read in BODIES[kind].items()}
    if kind == "verification":
        body["evidence"] = fields.get("evidence", digest, None)
    if kind == "snapshot":
        fields.get("tags", list_of(text), [])
    if kind in CHANGES:
        body.update((name, fields.get(name, read)) for name, read in CHANGES[kind].get(body["change"], {}).items())
    if kind == "keys":
        body["last_good"] = fields.get("last_good", digest, None) if body["change"] == "revoke" else None
    return body


def subjects_needed(kind, body):
    """Names and digests that must be among the subjects of an entry."""
    entries = lambda digests: {(f"entry/{each}", each) for each in digests}
    if kind == "init":
        return {("RECOVER.md", body["recover_md"])}
    if kind == "snapshot":
        parts = {(f"catalogues/{each['digest']}.jsonl.zst.age", each["digest"]) for each in body["parts"]}
        return parts | {(f"lists/{body['list']}.jsonl", body["list"])}
    if kind == "verification":
        evidence = body["evidence"]
        return entries(body["entries"]) | ({(f"evidence/{evidence}.json", evidence)} if evidence else set())
    if kind in ("restore", "accept_suspect"):
        return entries([body["snapshot"]])
    if kind == "accept_loss":
        return entries(body["entries"])
    if kind in ("forget", "sweep"):
        return entries(body.get("snapshots", []))
    if kind == "pin":
        return entries([body["snapshot"]] if "snapshot" in body else [])
    key = body["grant"]["key"] if body.get("change") == "add" else body.get("key")
    return {(f"key/{key}", key)} if key else set()


class Entry:
    """One file of the ledger, read but not yet trusted."""

    def __init__(self, name, data):
        refuse_unless(len(data) <= 1 << 20, "longer than an entry may be")
        envelope = ENVELOPE.fullmatch(data)
        refuse_unless(envelope, "not the one encoding of an envelope")
        self.name, self.digest, self.signer = name, sha256(data), envelope[2].decode()
        self.payload = base64_of()(envelope[1].decode())
        self.signature = base64_of(64)(envelope[3].decode())
        statement = Fields(parse(self.payload))
        refuse_unless(statement.get("_type", text) == "https://in-toto.io/Statement/v1", "no in-toto Statement")
        refuse_unless(statement.get("predicateType", text) == "urn:keyhaven:ledger-entry:1", "another predicate")
        fields = statement.get("predicate", Fields)
        minor = fields.get("format", version_of_format)
        self.kind, self.sequence = fields.get("kind", text), fields.get("sequence", number)
        self.repository, self.parents = fields.get("repository", digest, None), fields.get("parents", list_of(digest))
        self.crn = fields.get("source", Fields).get("crn", text)
        fields.get("source", Fields).get("region", text)
        fields.get("previous", digest, None)
        fields.get("tool", text)
        self.time = fields.get("time", time)
        refuse_unless(1 <= self.sequence <= 999_999_999, "no sequence that is allowed")
        own = f"ledger/{self.sequence // 1000:06}/{self.sequence:09}-{self.digest}.json"
        refuse_unless(name == own, "a name that is not its sequence and digest")
        refuse_unless(self.parents == sorted(set(self.parents)) and len(self.parents) <= 1000, "parents out of order")
        self.first, self.body = not self.parents, None
        half = {self.first, self.kind == "init", self.repository is None}
        refuse_unless(len(half) == 1 and (self.sequence == 1 or not self.first), "half a first entry")
        names = [name for name, _ in fields.members]
        refuse_unless(len(names) == len(set(names)), "a repeated member")
        try:
            if self.kind in BODIES:
                self.body = body_of(self.kind, fields.get(self.kind, as_it_stands))
        except Refused:
            if minor == 0 or self.first or self.kind not in names:
                raise
        found = statement.get("subject", list_of(Fields))
        pairs = {(each.get("name", text), each.get("digest", Fields).get("sha256", digest)) for each in found}
        missing = subjects_needed(self.kind, self.body) - pairs if self.body else set()
        refuse_unless(not missing, f"no subject {sorted(missing)[:1]}")

    def grants(self):
        """The keys that it names: an `init`, or a `keys` entry that adds one."""
        if self.kind == "init":
            return self.body["keys"]
        return [self.body["grant"]] if self.kind == "keys" and self.body and self.body["change"] == "add" else []

    def removes(self):
        """The key that it takes away, if it does."""
        return self.body.get("key") if self.kind == "keys" and self.body else None

    def signature_fits(self, der, scratch):
        """Ed25519 by openssl, and strictly: neither S beyond the order nor a point of small order."""
        r, s = self.signature[:32], int.from_bytes(self.signature[32:], "little")
        if s >= L or y_of(r) in SMALL_ORDER:
            return False
        paths = [os.path.join(scratch, name) for name in ("key", "signed", "signature")]
        signed = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(self.payload), self.payload)
        for path, data in zip(paths, (der, signed, self.signature)):
            with open(path, "wb") as file:
                file.write(data)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", paths[0], "-rawin",
                   "-in", paths[1], "-sigfile", paths[2]]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Ledger:
    """What counts, and why the rest does not: the section Trust, rule by rule."""

    def __init__(self, files, pin, scratch):
        self.pin, self.refused, self.ignored, self.warnings = pin, {}, {}, []
        self.entries, self.alias = {}, {}
        read = []
        for name, data in sorted(files.items()):
            try:
                read.append(Entry(name, data))
            except Refused as why:
                self.refused[name] = str(why)
        self.admit(read, scratch)
        self.link()
        self.adopt()
        self.count()

    def admit(self, read, scratch):
        """Drops what is not of this repository or not signed, and takes copies for one."""
        first = [each for each in read if each.digest == self.pin]
        ours = []
        for entry in read:
            if entry.first and entry.digest != self.pin:
                self.refused[entry.name] = "a first entry that is not the pinned one"
            elif not entry.first and entry.repository != self.pin:
                self.refused[entry.name] = "names another repository"
            elif first and entry.crn != first[0].crn:
                self.refused[entry.name] = "names another instance"
            else:
                ours.append(entry)
        ders = {each["key"]: each["der"] for entry in ours for each in entry.grants()}
        names = {}
        for entry in sorted(ours, key=lambda each: each.digest):
            if entry.signer not in ders or entry.first and entry.signer not in [each["key"] for each in entry.grants()]:
                self.refused[entry.name] = "no entry names its key"
            elif not entry.signature_fits(ders[entry.signer], scratch):
                self.refused[entry.name] = "the signature is not that key's"
            else:
                name = names.setdefault((entry.payload, entry.signer), entry.digest)
                self.alias[entry.digest] = name
                if name == entry.digest:
                    self.entries[name] = entry
                else:
                    self.warnings.append(f"{entry.name}: a copy of {name}")

    def link(self):
        self.order = sorted(self.entries.values(), key=lambda each: (each.sequence, each.digest))
        self.first, self.ancestors, self.above = self.entries.get(self.pin), {}, {}
        for entry in self.order:
            there = [self.named(each) for each in entry.parents if self.named(each)]
            entry.hole = len(there) < len(entry.parents)
            entry.highest = max((each.sequence for each in there), default=0)
            linked = [each for each in there if each.sequence < entry.sequence]
            # The order is by sequence: what a parent stands on is known before its child asks.
            below = [self.ancestors[each.digest] | {each.digest} for each in linked]
            self.ancestors[entry.digest] = frozenset().union(*below)
            # The highest sequence, from here downwards, of an entry that names a missing parent; 0 without any.
            own = entry.sequence if entry.hole else 0
            self.above[entry.digest] = max([own, *(self.above[each.digest] for each in linked)])

    def named(self, digest):
        """The entry that a digest means, if it is there."""
        return self.entries.get(self.alias.get(digest))

    def is_below(self, lower, upper):
        return lower.digest in self.ancestors[upper.digest]

    def roles(self, entry, adds):
        """What its key may do there: granted among its ancestors, known or taken to be among them."""
        hole = self.above[entry.digest]
        grants = [self.first] if self.first and (hole or self.is_below(self.first, entry)) else []
        grants += [each for each in adds if self.is_below(each, entry) or each.sequence < hole]
        own = [each for one in grants for each in one.grants() if each["key"] == entry.signer]
        return {role for each in own for role in each["roles"]}

    def broken(self, entry, adopted, in_force):
        """The first of the rules 1 to 4 that the entry breaks, with these `keys` entries and removals."""
        next_one = entry.highest + 1
        if entry.sequence < next_one or not entry.hole and entry.sequence != next_one:
            return "1: its sequence does not follow from its parents'"
        for removal in in_force:
            if removal.removes() != entry.signer or removal is entry:
                continue
            revoked = removal.body["change"] == "revoke"
            last = self.named(removal.body["last_good"]) if revoked else removal
            if not last or entry is not last and not self.is_below(entry, last):
                return "4: its key was revoked" if revoked else "3: its key was retired"
        roles = self.roles(entry, adopted)
        if not (roles.intersection(SIGNERS[entry.kind]) if entry.kind in SIGNERS else roles):
            return "2: its key has no role for it"
        return None

    def replay(self, in_force, dropped):
        """The `keys` entries that are taken over with these removals in force."""
        taken = []
        for entry in self.order:
            if entry.kind == "keys" and entry not in dropped and not self.broken(entry, taken, in_force):
                taken.append(entry)
        return taken

    def adopt(self):
        self.in_force, dropped = [], []
        while True:
            self.adopted = self.replay(self.in_force, dropped)
            if fallen := next((each for each in self.in_force if each not in self.adopted), None):
                self.in_force.remove(fallen)
                dropped.append(fallen)
                continue
            waiting = [each for each in self.adopted if each.removes() and each not in self.in_force]
            if not waiting:
                return
            unbeaten = [one for one in waiting if not any(self.beats(other, one) for other in waiting)]
            chosen = (unbeaten or waiting)[0]
            if chosen in self.replay([*self.in_force, chosen], dropped):
                self.in_force.append(chosen)
            else:
                dropped.append(chosen)

    def beats(self, one, other):
        """Whether they remove each other and more witnesses stand on this one."""
        rivals = (one.removes() == other.signer and other.removes() == one.signer
                  and not self.is_below(one, other) and not self.is_below(other, one))
        return rivals and self.witnesses(one, other) > self.witnesses(other, one)

    def witnesses(self, one, other):
        granted = {each["key"] for entry in filter(None, [self.first, *self.adopted]) for each in entry.grants()
                   if self.is_below(entry, one) and self.is_below(entry, other)}
        signed = {each.signer for each in self.order if self.is_below(one, each) and not self.is_below(other, each)}
        return len((granted & signed) - {one.signer, other.signer})

    def count(self):
        """Rules 5 to 7, then heads and the latest snapshot."""
        counting, self.accepted = [], set()
        others = [each for each in self.order if each is not self.first]
        broken = {each.digest: self.broken(each, self.adopted, self.in_force) for each in others}
        for entry in self.order:
            why = broken.get(entry.digest)
            if not why and entry.kind == "keys" and entry not in self.adopted:
                why = "5: it was not adopted"
            if not why and entry.kind == "snapshot" and self.replays(entry, counting):
                why = "6: an old state passed off as the present"
            if not why and entry.kind == "accept_suspect" and entry.body:
                named = self.named(entry.body["snapshot"])
                if not (named in counting and self.accepts(entry, named)):
                    why = "7: it names no snapshot that counts among its ancestors"
            if why:
                self.ignored[entry.digest] = why
                continue
            counting.append(entry)
            if entry.kind == "snapshot":  # Decided now, because rule 6 asks who accepted it, wherever that stands.
                self.accepted.update(entry.digest for each in self.order if each.kind == "accept_suspect"
                                     and not broken[each.digest] and self.accepts(each, entry))
        covered = frozenset().union(*(self.ancestors[each.digest] for each in counting))
        self.counting = counting
        self.heads = [each for each in counting if each.digest not in covered]
        self.snapshots = [each for each in counting if each.kind == "snapshot" and each.body]
        self.live_and_let_die()
        self.latest = next((each for each in reversed(self.snapshots) if each in self.live and self.good(each)), None)
        losses = {each for entry in counting if entry.kind == "accept_loss" and entry.body
                  for each in entry.body["entries"]}
        self.holes = {}
        for entry in counting:
            for parent in entry.parents:
                if not self.named(parent) and parent not in losses:
                    self.holes.setdefault(parent, []).append(entry.digest)
                elif self.named(parent) and entry.time < self.named(parent).time:
                    self.warnings.append(f"{entry.name}: older than a parent")

    def live_and_let_die(self):
        """Which snapshots are kept, forgotten, swept, pinned."""
        named = lambda kind, change: [(entry, snapshot) for entry in self.counting if entry.kind == kind and entry.body
                                      and entry.body.get("change") == change
                                      for snapshot in map(self.named, entry.body.get("snapshots")
                                                          or [entry.body.get("snapshot")])
                                      if snapshot in self.snapshots]
        undone, released = named("forget", "undo"), named("pin", "release")
        self.swept = {snapshot.digest for entry, snapshot in named("sweep", None)
                      if self.takes(entry, snapshot, undone)}
        self.forgotten = {snapshot.digest for entry, snapshot in named("forget", "give_up")
                          if self.is_below(snapshot, entry) and snapshot.digest not in self.swept
                          and all(self.is_below(undo, entry) for undo, other in undone if other is snapshot)}
        self.pinned = {snapshot.digest for entry, snapshot in named("pin", "set")
                       if not any(self.is_below(entry, release) for release, other in released if other is snapshot)}
        self.live = [each for each in self.snapshots if each.digest not in self.swept | self.forgotten]

    def takes(self, sweep, snapshot, undone):
        """Whether what a sweep names was given up as far as its own ancestors tell, or a hole may hide that it was."""
        for entry in self.order:  # Also those that do not count: a sweep may have deleted by them before a revocation.
            if (entry.kind == "forget" and entry.body and entry.body.get("change") == "give_up"
                    and snapshot in map(self.named, entry.body["snapshots"])
                    and self.is_below(entry, sweep) and self.is_below(snapshot, entry)
                    and all(self.is_below(undo, entry) for undo, other in undone
                            if other is snapshot and self.is_below(undo, sweep))):
                return True
        place = lambda entry: (entry.sequence, entry.digest)
        return any(place(snapshot) < place(entry) and any(not self.named(parent) for parent in entry.parents)
                   for entry in self.order if entry is sweep or self.is_below(entry, sweep))

    def accepts(self, entry, snapshot):
        if not (snapshot.kind == "snapshot" and entry.body and self.named(entry.body["snapshot"]) is snapshot):
            return False
        earlier = (snapshot.sequence, snapshot.digest) < (entry.sequence, entry.digest)
        return self.is_below(snapshot, entry) or self.above[entry.digest] and earlier

    def good(self, snapshot):
        return snapshot.body["verdict"] or snapshot.digest in self.accepted

    def replays(self, entry, counting):
        state = lambda each: each.body and ([one["digest"] for one in each.body["parts"]], each.body["list"])
        earlier = [each for each in counting if each.kind == "snapshot"]
        if not entry.body or self.above[entry.digest] or state(entry) not in map(state, earlier):
            return False
        below = [each for each in earlier if self.is_below(each, entry)]
        newest = below[-1:] + [each for each in below if self.good(each)][-1:]
        return state(entry) not in map(state, newest)
