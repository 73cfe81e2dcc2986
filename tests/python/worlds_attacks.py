"""Named attacks, each with what must hold. R: findings/repository.md, T: findings/trust-design-2.md, W: weaknesses of the page.

A weakness is a world where the page as written gives less than the design wants; its `must` is what holds all the same.
"""

import itertools

import forge
from worlds_builder import World, must, roles

OLD, NEW = ["c1", "c2", "c3"], ["d1", "d2", "d3"]
TOP = 10**12 - 1
ATTACKS = []


def attack(function):
    """Registers a function that yields (world, pins, what must hold)."""
    ATTACKS.append(function)
    return function


class Scene:
    """K and M are collectors, V verifies, R reaps; three entries, two of three custodians."""

    def __init__(self, name, **keys):
        self.w = w = World(name)
        first = {"K": roles("collector"), "M": roles("collector"), "V": roles("verifier"), "R": roles("reaper"), **keys}
        self.p1 = w.policy(1, [], OLD, 2, {name: key for name, key in first.items() if key})
        self.s1 = w.backup("K", self.p1)
        self.v = w.write("V", "verification", self.p1, [self.s1])
        self.s2 = w.backup("M", self.p1) if first["M"] else w.backup("K", self.p1)

    def end(self, key="K", until=None, before=None, signers=("c1", "c2"), **more):
        """The version that ends a key, by default after its first entry."""
        before = before or self.p1
        until = [self.s1.ref] if until is None else [e.ref for e in until]
        return self.w.follow(before, signers, **{key: (before.keys[key].roles, until)}, **more)

    def thief(self, key, parents, policy, kind="snapshot", names=(), **other):
        """An entry of the thief's."""
        return self.w.entry(key, kind, parents, policy, names, author="thief", **other)

    def goes_on(self, policy, key="M"):
        """An honest collector with state makes the next entry, which must count for readers that know what it knows."""
        entry = self.w.backup(key, policy)
        assert self.w.read([policy.ref], with_bytes=True).status[entry.ref] == "counts", (self.w.name, "honest writer stopped")
        return entry


def readers(world, *policies, first=True):
    """Pins: none, version 1, and each of the versions with its bytes."""
    pins = [[], [f"000001-{world.repository}"]] if first else []
    return pins + [[(policy.ref, world.trust.get(policy.ref, frozenset()))] for policy in policies]


def for_all(scene, pins, **wanted):
    """The same demand for several readers."""
    for one in pins:
        yield scene.w, one, must(scene.w, one, **wanted)


# findings/repository.md

@attack
def r1_removed_key_removes_its_removal():
    for how in ("revoked", "retired"):
        s = Scene(f"R1 a {how} key: the version that ends it is deleted, its own entries go on")
        p2 = s.end(until=[s.s1])
        good = s.w.backup("M", p2)
        bad = s.thief("K", [good], s.p1)
        worse = s.thief("K", [bad], s.p1, "accept_loss", [s.s1])
        s.w.delete(p2)
        yield from for_all(s, readers(s.w, p2), latest_in=[good], not_counts=[bad, worse], latest_not_by=["K"])
        late = s.goes_on(p2)
        yield from for_all(s, readers(s.w, p2), latest_in=[late], counts=[late, good])


@attack
def r2_sequence():
    for sequence in (999_999_999, TOP - 2, TOP - 1):
        s = Scene(f"R2 V signs sequence {sequence} above a made-up hole")
        s.thief("V", [s.s2, forge.made_up(sequence, "hole")], s.p1, "accept_loss")
        good = s.goes_on(s.p1)
        assert forge.sequence(good.ref) == 4
        yield from for_all(s, readers(s.w), latest_in=[good], counts=[good])


@attack
def r2_heads():
    s = Scene("R2 1,005 heads of one key")
    heads = [s.thief("V", [s.s2], s.p1, "painting") for _ in range(1005)]
    named = sorted((e.ref for e in heads), reverse=True)[:1000]
    good = s.w.entry("M", "snapshot", named, s.p1, carry=OLD)
    yield from for_all(s, [[]], latest_in=[good], counts=[good, *heads])


@attack
def r3_one_custodian():
    s = Scene("R3 one custodian of three, first: revokes the others and the collector")
    alone = s.w.follow(s.p1, ["c1"], ["c1"], 1, M=roles("collector", until=[]))
    good = s.goes_on(s.p1)
    yield from for_all(s, readers(s.w), latest_in=[good], counts=[good, s.s2])
    s.w.name = "R3 one custodian, quick: answers his own removal"
    p2 = s.end(custodians=["c2", "c3", "c4"], signers=("c2", "c3", "c4"))
    answer = s.w.follow(s.p1, ["c1"], ["c1", "c5"], 1, version=2)
    again = s.w.follow([p2, answer], ["c1", "c5"], ["c1", "c5"], 1)
    bad = s.thief("K", [good], again, carry=["c1", "c5"])
    yield from for_all(s, readers(s.w, p2), latest_in=[good], not_counts=[bad])
    s.w.name = "R3 one custodian, late: with the retired collector as witness"
    bad = s.thief("K", [s.s1], alone, carry=["c1"])
    good = s.goes_on(p2)
    yield from for_all(s, readers(s.w, p2), latest_in=[good], not_counts=[bad], counts=[good])


@attack
def r6_who_signed():
    s = Scene("R6 snapshots by nobody, after an end, by a custodian, by an added collector, forgotten, of a wrong role")
    p2 = s.end(N=roles("collector"))
    nobody = s.thief("Z", [forge.made_up(998_999, "high")], p2)
    ended = s.thief("K", [s.s2], s.p1)
    custodian = s.thief("c1", [s.s2], p2)
    verifier = s.thief("V", [s.s2], p2)
    added = s.w.backup("N", p2)
    yield from for_all(s, readers(s.w, p2), latest_in=[added], not_counts=[nobody, ended, custodian, verifier], counts=[added])
    forget = s.w.write("R", "forget", p2, [added])
    yield from for_all(s, readers(s.w, p2), latest_in=[s.s2], counts=[added, forget])


@attack
def r7_newest_deleted():
    s = Scene("R7 the newest entries are deleted: only a host's memory knows")
    last = s.goes_on(s.p1)
    s.w.delete(last)
    yield from for_all(s, readers(s.w), latest_in=[s.s2])


@attack
def r9_after_a_revocation():
    s = Scene("R9 after a revocation: rogue entries are void, junk is rubbish")
    rogue = [s.thief("K", [s.s2], s.p1) for _ in range(3)]
    p2 = s.end()
    s.w.extra.update({f"ledger/000000000/junk{number}": b"junk" for number in range(5)})
    good = s.goes_on(p2)
    yield from for_all(s, readers(s.w, p2), latest_in=[good], not_counts=rogue)


@attack
def r10_encodings():
    s = Scene("R10 deep nesting, invalid UTF-8, escapes: one ledger for all readers")
    for number, change in enumerate((nested(31), nested(5000), replaced_bytes(b"\xff"), replaced_bytes(b"\\u0061"),
                                     replaced_bytes(b"\x7f"), replaced_bytes("é\U0001F600".encode()))):
        good = s.thief("V", [s.s2], s.p1, "painting", stored=False, extra="HERE")
        payload = change(forge.payload_of(s.w.files[good.ref]))
        ref = forge.reference(4, payload, 12)
        s.w.extra[forge.entry_path(ref)] = forge.signed(payload, ["V"])
        assert number < 5 or forge.canonical("é\U0001F600") == b'"' + "é\U0001F600".encode() + b'"'
    del s.w.extra[forge.entry_path(ref)]     # the last one is an entry
    made = s.w.entry("V", "painting", [s.s2], s.p1, extra="é\U0001F600")
    yield from for_all(s, readers(s.w), latest_in=[s.s2], counts=[made])


def nested(depth):
    """Puts arrays in the place of the member `extra`: the statement and the predicate are two levels above it."""
    return lambda payload: payload.replace(b'"HERE"', b"[" * depth + b"]" * depth)


def replaced_bytes(data):
    """Puts bytes into the member `extra`."""
    return lambda payload: payload.replace(b"HERE", data)


@attack
def r12_lost_addition():
    s = Scene("R12 the version that adds a collector is deleted: its entries carry it, a pin brings it")
    p2 = s.end(N=roles("collector"))
    # The second is full: built on the first, it would be suspect where that is gone.
    first, second = s.w.backup("N", p2), s.w.write("N", "snapshot", p2)
    s.w.delete(p2)
    yield from for_all(s, readers(s.w, p2), latest_in=[second], counts=[first, second])
    s.w.name = "R12 and the carrying entry is deleted as well"
    s.w.delete(first)
    yield from for_all(s, readers(s.w, p2, first=False), latest_in=[second], counts=[second])
    yield from for_all(s, readers(s.w), latest_in=[s.s2], not_counts=[second])


@attack
def r13_many_entries_of_a_retired_custodian():
    s = Scene("R13 a retired custodian signs many entries")
    p2 = s.end(custodians=["c1", "c2", "c4"], signers=("c1", "c2"))
    many = [s.thief("c3", [s.s1], s.p1, "keys") for _ in range(100)]
    good = s.goes_on(p2)
    yield from for_all(s, readers(s.w, p2), latest_in=[good], not_counts=many)


@attack
def r14_later_minors():
    s = Scene("R14 several signatures, other algorithms, other minors, unknown kinds, roles and members")
    p2 = s.w.follow(s.p1, ["c1", "c2", "?c9"], ["c1", "c2", "?c9"], X=roles("painter"), **{"?Q": roles("collector")})
    unknown = s.w.entry("?Q", "snapshot", [s.s2], p2)
    kinds = [s.w.write(key, kind, p2, effect=effect, format="1.7", later={"member": [1]}, source={"instance": "i", "provider": "other"})
             if key == "X" else s.w.write(key, kind, p2, effect=effect)
             for key, kind, effect in (("M", "activate", "record"), ("R", "prune", "state"), ("V", "prune", "state"))]
    painted = s.w.write("X", "painting", p2, format="1.7", later={"member": [1]})
    more = s.w.write("M", "painting", p2)
    s.w.files[more.ref] = forge.with_signatures(s.w.files[more.ref], ["?M2"], bad=["Z"])
    good = s.goes_on(p2)
    yield from for_all(s, readers(s.w, p2), latest_in=[good], not_counts=[unknown], counts=[*kinds, painted, more])


# findings/trust-design-2.md

@attack
def t1_merge_by_the_forks_own_custodian():
    for number in (2, 9):
        s = Scene(f"T1 old custodians fork version 1 (number {number}), their custodian alone merges")
        a = s.end(custodians=NEW, signers=("c1", "c2", "d1", "d2"))
        good = s.w.backup("M", a)
        b = s.w.follow(s.p1, ["c1", "c2", "x"], ["x"], 1, version=number)
        merge = s.w.follow([b, a], ["x", "c1", "c2"], ["x"], 1, version=10)
        bad = [s.thief("K", [good], merge, carry=["x"]), s.thief("K", [good], b, carry=["c1", "c2", "x"])]
        late = s.goes_on(a)
        yield from for_all(s, readers(s.w, a), latest_in=[late], not_counts=bad, counts=[late])


@attack
def t2_jump():
    for key, stone in itertools.product(("V", "K", "Z", "?Q"), ("there", "rubbish", "deleted")):
        if (key, stone) == ("?Q", "rubbish"):
            continue     # nobody can tell a bad signature of an unknown algorithm
        s = Scene(f"T2 jump in two steps, the first by {key} ({stone})", **{"?Q": roles("collector")})
        first = s.thief(key, [s.s2, forge.made_up(TOP - 5, "hole")], s.p1, "verification" if key == "V" else "painting")
        second = s.thief("V", [first], s.p1, "verification")
        if stone != "there":
            s.w.delete(first)
        if stone == "rubbish":
            s.w.extra[forge.entry_path(first.ref)] = forge.wrongly_signed(s.w.files[first.ref], key)
        p2 = s.end("V", until=[s.v])
        good = s.goes_on(p2)
        assert forge.sequence(good.ref) == 4
        yield from for_all(s, readers(s.w, p2), latest_in=[good], counts=[good], not_counts=[second])


@attack
def t3_stripped():
    s = Scene("T3 the ending version is overwritten without signatures, but an entry carries it")
    p2 = s.end()
    good = s.w.backup("M", p2)
    bad = s.thief("K", [good], s.p1)
    s.w.trust[p2.ref] = frozenset()
    yield from for_all(s, readers(s.w, p2), latest_in=[good], not_counts=[bad])
    s.w.name = "T3 signatures pooled: one in trust, one carried"
    s.w.trust[p2.ref] = frozenset({"c1"})
    s.w.delete(good)
    half = s.thief("Z", [s.s2], p2, carry=["c2"])
    yield from for_all(s, readers(s.w, p2), latest_in=[s.s2], not_counts=[bad, half])
    s.w.name = "T3 one signature is bad"
    s.w.delete(half)
    s.w.extra[forge.policy_path(p2.ref)] = s.w.envelope(p2.ref, ["c1"], bad=["c2"])
    s.w.weakness = "right after a revocation one PUT over the version, before any entry carries it, brings the key back"
    del s.w.trust[p2.ref]
    with_bytes = [(p2.ref, frozenset({"c1", "c2"}))]
    yield s.w, with_bytes, must(s.w, with_bytes, latest_in=[s.s2], not_counts=[bad])


@attack
def t4_known_versions():
    s = Scene("T4 nothing lost, readers at every version")
    p2 = s.end(until=[s.s1])
    a = s.w.backup("M", p2)
    p3 = s.w.follow(p2, ["c1", "c3"], N=roles("collector"))
    b = s.w.write("M", "snapshot", p3)
    yield from for_all(s, readers(s.w, p2, p3), latest_in=[b], counts=[s.s1, s.v, s.s2, a, b])
    s.w.name = "T4 version 2 is lost, version 3 names it"
    s.w.delete(p2, a)
    yield from for_all(s, readers(s.w, p3), latest_in=[b], counts=[s.s1, s.v, s.s2, b])
    s.w.name = "T4 versions 1 and 2 are lost, the reader is pinned at 3"
    s.w.delete(s.p1)
    yield from for_all(s, readers(s.w, p3, first=False), latest_in=[b], counts=[s.s2, b])


@attack
def t5_pending_needs_a_role():
    for key in ("V", "R", "Z", "K"):
        s = Scene(f"T5 {key} signs a snapshot under a version that nobody has")
        p2 = s.end()
        bad = s.thief(key, [s.s2], forge.made_up(999, "version", 6))
        good = s.goes_on(p2)
        yield from for_all(s, readers(s.w, p2), latest_in=[good], not_counts=[bad], counts=[good], refused=False)
    s = Scene("T5 a live collector's key freezes latest until it is ended (the threat model says so)")
    bad = s.thief("M", [s.s2], forge.made_up(999, "version", 6))
    good = s.goes_on(s.p1, "K")
    yield from for_all(s, readers(s.w), latest_in=[None], counts=[good], not_counts=[bad], refused=True)
    p2 = s.end("M", until=[s.s2])
    yield from for_all(s, readers(s.w, p2), latest_in=[good], counts=[good, s.s2], not_counts=[bad], refused=False)


@attack
def t7_base():
    s = Scene("T7 an honest snapshot reuses packs of a thief's, whose key is ended below")
    bad = s.thief("K", [s.s2], s.p1, base=s.s2)
    built = s.w.backup("M", s.p1)
    again = s.w.backup("M", s.p1)
    p2 = s.end()
    yield from for_all(s, readers(s.w, p2), latest_in=[s.s2], counts=[built, again], not_counts=[bad])
    whole = s.w.write("M", "snapshot", p2)
    yield from for_all(s, readers(s.w, p2), latest_in=[whole], counts=[whole])
    s.w.name = "T7 and the custodians accept it"
    s.w.delete(whole)
    p3 = s.w.follow(p2, ["c1", "c2"], accepted=[forge.digest_of(built.ref)])
    yield from for_all(s, readers(s.w, p2, p3), latest_in=[again])


@attack
def t8_custodian_signs_an_entry():
    s = Scene("T8 a custodian signs an announcement", O=roles("operator"))
    bad = s.thief("c1", [s.s2], s.p1, "expect")
    good = s.w.write("O", "expect", s.p1)
    yield from for_all(s, readers(s.w), latest_in=[s.s2], not_counts=[bad], counts=[good])


@attack
def t10_unproven():
    s = Scene("T10 the entry of an until is lost: unproven, not void and done")
    more = [s.w.backup("K", s.p1) for _ in range(3)]
    p2 = s.end(until=[more[-1]])
    good = s.w.write("M", "snapshot", p2)
    yield from for_all(s, readers(s.w, p2), latest_in=[good], counts=[*more, s.s1])
    s.w.delete(more[-1])
    for world, pins, wanted in for_all(s, readers(s.w, p2), latest_in=[good], not_counts=more[:-1]):
        assert world.read(pins).unproven == {s.s1.ref, more[0].ref, more[1].ref}
        yield world, pins, wanted
    p3 = s.w.follow(p2, ["c1", "c2"], lost=[more[-1].ref])
    s.w.name = "T10 the loss is accepted and no other end given: nothing of K is unproven, nor counts"
    assert not s.w.read().unproven
    yield from for_all(s, readers(s.w, p3), latest_in=[good], not_counts=[s.s1, *more])
    p4 = s.w.follow(p3, ["c1", "c2"], K=roles("collector", until=[more[1].ref]), lost=[more[-1].ref])
    s.w.name = "T10 a later version mends it"
    yield from for_all(s, readers(s.w, p3, p4), latest_in=[good], counts=more[:-1])


@attack
def t10_lost_version_that_raised_an_until():
    s = Scene("T10 a version that raised an until is lost")
    more = s.w.backup("K", s.p1)
    p2 = s.end(until=[s.s1])
    p3 = s.w.follow(p2, ["c1", "c2"], K=roles("collector", until=[more.ref]))
    good = s.w.backup("M", p3)
    s.w.delete(p3)
    yield from for_all(s, readers(s.w, p2, p3), latest_in=[good], counts=[more])


@attack
def t11_heads():
    s = Scene("T11 a stranger's entry on top unmakes no head; void entries between leave one head")
    s.thief("Z", [s.s2], s.p1, "painting")
    assert s.w.read().heads == {s.s2.ref}
    top = s.s2
    for _ in range(4):
        bad = s.thief("K", [top], s.p1)
        top = s.w.entry("M", "snapshot", [bad], s.p1, carry=() if top is s.s2 else None)
    p2 = s.end()
    assert s.w.read().heads == {top.ref}
    yield from for_all(s, readers(s.w, p2), latest_in=[top], counts=[top])


@attack
def t12_signatures():
    s = Scene("T12 signatures at the edges of Ed25519")
    entries = {}
    for fault in ("identity", "long_s", "other_r"):
        entries[fault] = made = s.w.entry("V", "painting", [s.s2], s.p1)
        payload = forge.payload_of(s.w.files[made.ref])
        s.w.files[made.ref] = forge.envelope(payload, [forge.edge_signature(payload, "V", fault)])
    for fault in ("long_s", "other_r"):
        s.w.delete(entries[fault])
        s.w.extra[forge.entry_path(entries[fault].ref)] = s.w.files[entries[fault].ref]
    yield from for_all(s, readers(s.w), latest_in=[s.s2], counts=[entries["identity"]])


@attack
def t13_forget_beside():
    s = Scene("T13 forget of what is not below")
    beside = s.w.entry("R", "forget", [s.s1], s.p1, [s.s2], carry=())
    yield from for_all(s, readers(s.w), latest_in=[s.s2], counts=[beside])
    s.w.name = "T13 an undo above or beside holds, one below does not"
    forget = s.w.write("R", "forget", s.p1, [s.s2])
    undo = s.w.entry("R", "undo", [s.s2], s.p1, [s.s2])
    yield from for_all(s, readers(s.w), latest_in=[s.s2], counts=[forget, undo])
    again = s.w.write("R", "forget", s.p1, [s.s2])
    yield from for_all(s, readers(s.w), latest_in=[s.s1], counts=[again])


@attack
def t14_missing_version():
    s = Scene("T14 old custodians name the version that replaced them, which is deleted")
    a = s.end(custodians=NEW, signers=("c1", "c2", "d1", "d2"))
    good = s.w.backup("M", a)
    s.w.delete(a, good)
    b = s.w.follow(s.p1, ["c1", "c2", "x"], ["x"], 1, more=[a.ref], version=3)
    bad = s.thief("K", [s.s2], b, carry=["c1", "c2", "x"])
    assert s.w.read().missing == {a.ref}
    pinned = [(a.ref, frozenset())]
    yield s.w, pinned, must(s.w, pinned, latest_in=[s.s2], not_counts=[bad])
    s.w.weakness = "t old custodians and DELETE of every trace of version 2: said by `missing` alone"
    yield s.w, [], must(s.w, [])


@attack
def forks():
    s = Scene("fork of two honest proposals: what both branches agree on")
    a, b = s.end(), s.w.follow(s.p1, ["c2", "c3"], E=roles("collector"))
    bad = s.thief("K", [s.s2], b, carry=["c2", "c3"])
    other = s.thief("E", [s.s2], b, carry=["c2", "c3"])
    good = s.w.entry("M", "snapshot", [s.s2], a, carry=["c1", "c2"])
    yield from for_all(s, readers(s.w, a), latest_in=[good], not_counts=[bad, other], counts=[good, s.s1, s.s2])
    yield s.w, [b.ref], must(s.w, [b.ref], counts=[bad, other, good])
    yield s.w, [a.ref, b.ref], must(s.w, [a.ref, b.ref], latest_in=[None])
    c = s.w.follow([a, b], ["c1", "c2"], E=roles("collector"))
    s.w.name = "fork, ended by a version that names both"
    yield from for_all(s, readers(s.w, a, b, c), latest_not_by=["K"], counts=[good, other], not_counts=[bad])
    yield s.w, [a.ref, b.ref, c.ref], must(s.w, [a.ref, b.ref, c.ref], counts=[good, other], not_counts=[bad])


@attack
def forks_of_lists():
    s = Scene("fork: one branch holds, accepts and accepts a loss; the other has an `until` that is gone")
    base, odd = s.w.backup("K", s.p1), s.w.backup("M", s.p1, reasons=("gone",))
    gone = s.w.write("K", "painting", s.p1)
    ended, lists = roles("collector", until=[gone.ref]), {"accepted": [forge.digest_of(odd.ref)], "held": [forge.digest_of(s.s2.ref)]}
    s.w.follow(s.p1, ["c1", "c2"], K=roles("collector", until=[s.s1.ref]), **lists)
    other = s.w.follow(s.p1, ["c2", "c3"], K=ended)
    s.w.delete(gone)
    reading = s.w.read()
    assert reading.snapshots[s.s2.ref]["held"] and reading.snapshots[odd.ref]["suspect"] and not reading.unproven
    yield from for_all(s, readers(s.w), latest_in=[None], not_counts=[s.s1, base])
    yield s.w, [other.ref], must(s.w, [other.ref], latest_in=[s.s2])
    assert s.w.read([other.ref]).unproven == {s.s1.ref, base.ref}
    s.w.name = "fork: in both branches the end of K is gone, in one that loss is accepted"
    third = s.w.follow(other, ["c1", "c2"], lost=[gone.ref])
    s.w.follow(other, ["c1", "c2"], X=roles("painter"))
    assert not s.w.read([third.ref]).unproven and s.w.read([other.ref]).unproven == set()
    yield from for_all(s, readers(s.w, other, third), latest_in=[None], not_counts=[s.s1, base])


@attack
def pins_without_bytes():
    s = Scene("pins whose bytes are nowhere, and of a policy that is gone")
    p2 = s.end()
    good = s.w.write("M", "snapshot", p2)
    nowhere, first = forge.made_up(7, "nowhere", 6), f"000001-{s.w.repository}"
    errors = (([nowhere], "pin_missing"), ([p2.ref, nowhere], "pins"), ([nowhere, first], "pins"), ([first, p2.ref], None))
    for pins, error in errors:
        assert s.w.read(pins).error == error
        yield s.w, pins, must(s.w, pins, latest_in=[None if nowhere in pins else good])
    s.w.delete(s.p1)
    for ref in [e.ref for e in s.w.entries.values() if e.ref in s.w.carried and s.w.carried[e.ref][0] is s.p1]:
        s.w.delete(s.w.entries[ref])
    s.w.name = "version 1 is nowhere: a pin that names it needs no bytes of it"
    for pins, error in (([], "no_policy"), ([first], "pin_missing")):
        assert s.w.read(pins).error == error
        yield s.w, pins, must(s.w, pins, latest_in=[None])
    for pins in ([p2.ref], [first, p2.ref], [(p2.ref, frozenset()), first]):
        yield s.w, pins, must(s.w, pins, latest_in=[good])


@attack
def swept_by_an_ended_reaper():
    s = Scene("R16 R signs a forget and a sweep of everything; R is ended below")
    forget = s.w.write("R", "forget", s.p1, [s.s1, s.s2])
    sweep = s.w.write("R", "sweep", s.p1, [s.s1, s.s2])
    yield from for_all(s, readers(s.w), latest_in=[None], counts=[forget, sweep])
    p2 = s.end("R", until=[])
    yield from for_all(s, readers(s.w, p2), latest_in=[s.s2], not_counts=[forget, sweep])


# Attacks on what an earlier page said, and weaknesses of the page as it is.

@attack
def w1_deleted_base():
    s = Scene("W1 as T7, and the thief's snapshot entry is deleted: what reused its packs says so")
    bad = s.thief("K", [s.s2], s.p1, base=s.s2)
    built = s.w.backup("M", s.p1)
    again = s.w.backup("M", s.p1)
    p2 = s.end()
    assert bad.key in built.reuses and bad.key in again.reuses
    s.w.delete(bad)
    yield from for_all(s, readers(s.w, p2), counts=[built, again], latest_in=[s.s2])
    s.w.name = "W1 and the honest one between as well: the key is still among the reuses of the next"
    s.w.delete(built)
    yield from for_all(s, readers(s.w, p2), counts=[again], latest_in=[s.s2])
    p3 = s.w.follow(p2, ["c1", "c2"], accepted=[forge.digest_of(built.ref)])
    s.w.name = "W1 and the custodians accept the base that is gone"
    yield from for_all(s, readers(s.w, p3), counts=[again], latest_in=[again])


@attack
def w1_liar():
    s = Scene("W1 a thief with M, live, hides what he reuses: his own word is good, as all that M signs")
    bad = s.thief("K", [s.s2], s.p1, base=s.s2)
    lie = s.thief("M", [bad], s.p1, base=bad, reuses=[])
    p2 = s.end()
    s.w.delete(bad)
    s.w.weakness = "`reuses` is the word of a live collector, which may also write a full snapshot of anything"
    yield from for_all(s, readers(s.w, p2), counts=[lie])


@attack
def w9_honest_base_deleted():
    s = Scene("W9 one DELETE of a base of a retired collector, which its end shows to have counted: nothing is suspect")
    base = s.w.backup("K", s.p1)
    p2 = s.end(until=[base])
    built = [s.w.backup("M", p2) for _ in range(3)]
    yield from for_all(s, readers(s.w, p2), latest_in=built[-1:])
    s.w.delete(base)
    yield from for_all(s, readers(s.w, p2), counts=built, latest_in=built[-1:])
    s = Scene("W9 two DELETEs, so that nothing leads from the end to the base: suspect, until a full snapshot")
    base = s.w.backup("K", s.p1)
    over = s.w.write("K", "snapshot", s.p1)
    p2 = s.end(until=[over])
    built = s.w.entry("M", "snapshot", [over], p2, base=base, carry=["c1", "c2"])
    s.w.delete(base, over)
    s.w.weakness = "DELETE of snapshots of a retired key takes latest from all snapshots of live keys that reuse over them"
    yield from for_all(s, readers(s.w, p2), counts=[built], latest_not_by=["K"])
    s.w.weakness, s.w.name = None, "W9 mended by a full snapshot"
    whole = s.w.write("M", "snapshot", p2)
    yield from for_all(s, readers(s.w, p2), latest_in=[whole])


@attack
def w10_deleted_base_in_a_fork():
    s = Scene("W10 as W1, and old custodians fork version 1 with a K that has not ended")
    bad = s.thief("K", [s.s2], s.p1, base=s.s2)
    built = s.w.backup("M", s.p1)
    p2 = s.end(custodians=NEW, signers=("c1", "c2", "d1", "d2"))
    s.w.follow(s.p1, ["c1", "c2"])
    yield from for_all(s, readers(s.w), counts=[built], not_counts=[bad], latest_in=[s.s2])
    s.w.delete(bad)
    s.w.weakness = "the fork says that K has not ended, and with a base that is gone nothing says that it does not count"
    yield from for_all(s, readers(s.w), counts=[built])
    s.w.weakness = None
    yield from for_all(s, readers(s.w, p2, first=False), counts=[built], latest_in=[s.s2])


@attack
def w11_unproven_base_of_a_thief():
    s = Scene("W11 a thief's snapshot beside a suspect one of K, which is the `until` and is deleted")
    s.w.write("V", "verification", s.p1, [s.s2])
    until = s.w.backup("K", s.p1, reasons=("gone",))
    bad = s.thief("K", [s.s2], s.p1, base=s.s2)
    built = s.w.backup("M", s.p1)
    assert built.base == forge.digest_of(bad.ref)
    p2 = s.end(until=[until])
    yield from for_all(s, readers(s.w, p2), counts=[built, until], not_counts=[bad], latest_in=[s.s2])
    s.w.delete(until)
    assert bad.ref in s.w.read([p2.ref]).unproven
    s.w.weakness = "one DELETE makes a thief's snapshot of a lower sequence than an `until` unproven, and what reused its packs good"
    yield from for_all(s, readers(s.w, p2), counts=[built], not_counts=[bad])


@attack
def w12_head_deleted():
    s = Scene("W12 an undo and a hold are the newest entries, and are deleted: nothing shows it")
    forget = s.w.write("R", "forget", s.p1, [s.s1, s.s2])
    undo, hold = s.w.write("R", "undo", s.p1, [s.s1]), s.w.write("R", "hold", s.p1, [s.s2])
    yield from for_all(s, readers(s.w), counts=[undo, hold], keeps=[s.s1, s.s2])
    s.w.delete(undo, hold)
    s.w.weakness = "DELETE of the newest entries: a sweep takes what they kept, where the reaper has no memory"
    yield from for_all(s, readers(s.w), counts=[forget])
    after = s.w.entry("M", "painting", [forget], s.p1, carry=(), lost=[hold.ref])
    s.w.name = "W12 and the next writer remembers: its `lost` is said, and no rule asks for it"
    yield from for_all(s, readers(s.w), counts=[after])


@attack
def base_rules():
    s = Scene("a base: full with one, none at all, one that is no snapshot, one that is unproven and gone")
    full = s.thief("M", [s.s2], s.p1, base=forge.digest("gone"), reuses=["K"], full=True)
    none = s.thief("M", [s.s2], s.p1, full=False, reuses=["K"])
    other = s.thief("M", [s.s2], s.p1, base=s.v)
    empty = s.thief("M", [s.s2], s.p1, base=forge.digest("gone"))
    ended = s.thief("M", [s.s2], s.p1, base=forge.digest("gone"), reuses=["K", "V"])
    good = [full, none, other, empty]
    p2 = s.end()
    told = s.w.read([p2.ref]).snapshots
    assert [told[e.ref]["suspect"] for e in (*good, ended)] == [False] * 4 + [True]
    yield from for_all(s, readers(s.w, p2), latest_in=[max(good, key=lambda e: e.ref)], counts=[*good, ended])
    s = Scene("a snapshot on an unproven one whose own base is void")
    void = s.thief("V", [s.s2], s.p1)
    base = s.w.backup("K", s.p1)
    over = s.w.entry("K", "snapshot", [base], s.p1, base=void)
    last = s.w.write("K", "painting", s.p1)
    p2 = s.end(until=[last])
    built = s.w.entry("M", "snapshot", [s.s2], p2, base=over, carry=["c1", "c2"])
    s.w.delete(last)
    assert over.ref in s.w.read([p2.ref]).unproven
    yield from for_all(s, readers(s.w, p2), counts=[built], latest_in=[s.s2])


@attack
def w2_unknown_algorithm_pending():
    keys = ["?Q", "?short", "?long", "?one", "?big"]
    s = Scene("W2 anybody writes entries of collectors whose algorithm is unknown", **{key: roles("collector") for key in keys})
    bad = [s.thief(key, [s.s2], policy) for key in keys for policy in (forge.made_up(999, "version", 6), s.p1)]
    far = s.thief("?Q", [forge.made_up(9_000, "hole")], s.p1)
    step = s.thief("V", [forge.made_up(18_000, "hole")], s.p1, "verification")
    good = s.goes_on(s.p1)
    yield from for_all(s, readers(s.w), counts=[good], not_counts=[*bad, far, step], latest_in=[good], refused=False)
    reading = s.w.read()
    assert {reading.status[e.ref] for e in bad} == {"void"} and reading.status[step.ref] == "pending"
    s.w.name = "W2 and one of them has an `until` that is gone: none is unproven"
    p2 = s.w.follow(s.p1, ["c1", "c2"], **{"?Q": roles("collector", until=[forge.made_up(99, "gone")])})
    hold = s.thief("?Q", [s.s2], p2, "hold", [s.s2])
    assert not s.w.read().unproven
    yield from for_all(s, readers(s.w, p2), not_counts=[hold], latest_in=[good])


@attack
def keys_of_no_length():
    s = Scene("an empty key and one of more than 16 KiB: no entry, and no policy")
    for key in ("?none", "?huge"):
        made = s.w.entry(key, "painting", [s.s2], s.p1, stored=False)
        s.w.extra[forge.entry_path(made.ref)] = s.w.files[made.ref]
        odd = s.w.follow(s.p1, ["c1", "c2"], stored=False, **{key: roles("painter")})
        s.w.extra[forge.policy_path(odd.ref)] = s.w.envelope(odd.ref, ["c1", "c2"])
        del s.w.policies[odd.ref]
    yield from for_all(s, readers(s.w), latest_in=[s.s2])


@attack
def weak_keys():
    for key in forge.WEAK:
        s = Scene(f"weak key `{key}` in version 1: a collector that anybody signs for, and all later versions stand still",
                  **{key: roles("collector", "reaper")})
        s.thief(key, [s.s2], s.p1)
        s.thief(key, [s.s2], s.p1, "sweep", [s.s1, s.s2])
        p2 = s.w.follow(s.p1, ["c1", "c2"])
        assert p2.ref not in s.w.read().fit and p2.ref in s.w.read([p2.ref]).fit
        good = s.goes_on(s.p1)
        yield from for_all(s, readers(s.w, p2), latest_in=[good], counts=[good])
        s = Scene(f"weak key `{key}`: not listed, and listed by a version that does not fit")
        s.thief(key, [s.s2], s.p1)
        s.w.follow(s.p1, ["c1", "c2"], **{key: roles("collector")})
        yield from for_all(s, readers(s.w), latest_in=[s.s2])


@attack
def weak_custodian():
    w = World("weak custodian in version 1: his signatures are none, the others can leave him out")
    first = w.policy(1, [], ["!eight", "c1", "c2"], 2, {"K": roles("collector")})
    one = w.backup("K", first)
    bad = w.policy(2, [first], ["x"], 1, {"K": roles("collector", until=[])}, ["!eight", "c1", "x"])
    good = w.follow(first, ["c1", "c2"], ["c1", "c2"], 2, N=roles("collector"))
    two = w.backup("N", good)
    assert bad.ref not in w.read().fit
    for pins in readers(w, good):
        yield w, pins, must(w, pins, latest_in=[two], counts=[one, two])


@attack
def threshold_of_nothing():
    w = World("threshold 0 in version 1, which fits by its digest: a successor needs one signature of its custodians")
    first = w.policy(1, [], OLD, 0, {"K": roles("collector")})
    one = w.backup("K", first)
    nobody = w.policy(2, [first], ["x"], 1, {"K": roles("collector", until=[])}, ["x"])
    for pins in readers(w, first):
        yield w, pins, must(w, pins, latest_in=[one])
    assert nobody.ref not in w.read().fit
    second = w.policy(2, [first], NEW, 1, {"K": roles("collector"), "N": roles("collector")}, ["c3", "d1"])
    two = w.backup("N", second)
    for pins in readers(w, second):
        yield w, pins, must(w, pins, latest_in=[two])


@attack
def sweeps():
    s = Scene("a sweep of nothing, an early one, and one after the grace of its policy")
    empty = s.w.write("R", "sweep", s.p1)
    forget = s.w.write("R", "forget", s.p1, [s.s1])
    early = s.w.write("R", "sweep", s.p1, [s.s1, forge.digest("no snapshot")])
    yield from for_all(s, readers(s.w), counts=[empty, forget, early], early=[early], latest_in=[s.s2])
    s.w.clock += 2880
    late = s.w.write("R", "sweep", s.p1, [s.s1])
    half = s.w.write("R", "sweep", s.p1, [s.s1, s.s2])
    yield from for_all(s, readers(s.w), counts=[late, half], early=[early, half], latest_in=[None])
    s.w.name = "a sweep by the grace of another version, and one of a version that is not there"
    grace = {"settings": {"grace_seconds": 400_000, "longest_run_seconds": 21600, "recover_md": forge.RECOVER_MD}}
    p2 = s.w.follow(s.p1, ["c1", "c2"], **grace)
    soon = s.w.write("R", "sweep", p2, [s.s1])
    p3 = s.w.follow(p2, ["c1", "c2"])
    yield from for_all(s, readers(s.w, p3), counts=[soon], early=[early, half, soon])
    s.w.delete(p2, soon)
    blind = s.w.entry("R", "sweep", [half], p2, [s.s1])
    yield from for_all(s, readers(s.w, p3), counts=[blind], early=[early, half])
    s.w.name = "a forget that does not count makes a sweep no earlier"
    s = Scene(s.w.name)
    void = s.w.entry("V", "forget", [s.s2], s.p1, [s.s1], carry=())
    s.w.clock += 2879    # now the sweep is just as much later as the grace is long
    sweep = s.w.entry("R", "sweep", [void], s.p1, [s.s1], carry=())
    yield from for_all(s, readers(s.w), not_counts=[void], counts=[sweep], early=[])


@attack
def foreign_policies():
    s = Scene("foreign policies: a file is rubbish, an entry that carries one is an entry")
    w = World("elsewhere")
    there = w.policy(1, [], OLD, 1, {"K": roles("collector")}, ["c1"])
    after = w.follow(there, ["c1"])
    for policy in (there, after):
        s.w.extra[forge.policy_path(policy.ref)] = w.envelope(policy.ref, ["c1"])
        copy = w.envelope(policy.ref, ["c1"])
        s.thief("K", [s.s2], policy.ref, "painting", carry=copy)
        s.thief("V", [s.s2], policy.ref, carry=copy)
    reading = s.w.read()
    assert {reading.status[e.ref] for e in s.w.entries.values() if s.w.author[e.ref] == "thief"} == {"pending", "void"}
    yield from for_all(s, readers(s.w), latest_in=[s.s2], refused=False)
    yield s.w, [after.ref], must(s.w, [after.ref], latest_in=[None])


@attack
def w3_step_taken_away():
    s = Scene("W3 V leaps twice by 10,000, M goes on above it, V's entries are deleted")
    low = s.thief("V", [s.s2, forge.made_up(10_000, "hole")], s.p1, "verification")
    step = s.thief("V", [low, forge.made_up(20_000, "hole")], s.p1, "verification")
    above = s.goes_on(s.p1)
    yield from for_all(s, readers(s.w), latest_in=[above], counts=[step, above])
    p2 = s.end("V", until=[s.v])
    s.w.delete(low, step)
    s.w.weakness = "a live key of any role, with DELETE, makes honest entries pending and freezes latest"
    good = s.goes_on(p2)
    yield from for_all(s, readers(s.w, p2), counts=[good])
    p3 = s.w.follow(p2, ["c1", "c2"], lost=[step.ref])
    s.w.name, s.w.weakness = "W3 mended by accepting the loss", None
    yield from for_all(s, readers(s.w, p2, p3), latest_in=[above], counts=[above])


@attack
def w4_rotation_and_turnover():
    s = Scene("W4 rotation K to N and new custodians; version 2 and the one entry that carries it are deleted", M=None)
    p2 = s.end(until=[s.s2], N=roles("collector"), custodians=NEW, signers=("c1", "c2", "d1", "d2"))
    first = s.w.backup("N", p2)
    p3 = s.w.follow(p2, ["d1", "d2"], custodians=NEW, X=roles("painter"))
    good = [s.w.write("N", "snapshot", p3), s.w.backup("N", p3)]
    bad = s.thief("K", [s.s2], s.p1)
    yield from for_all(s, readers(s.w, p2, p3), latest_in=good[-1:], not_counts=[bad])
    s.w.delete(p2, first)
    s.w.weakness = "two DELETEs and an ended key: latest of a cold reader is the thief's, version 3 lies there and does not fit"
    yield from for_all(s, readers(s.w), not_counts=good)
    yield from for_all(s, readers(s.w, p3, first=False), latest_in=good[-1:], not_counts=[bad])


@attack
def w5_lost_until_of_a_reaper():
    s = Scene("W5 R is replaced by R2; the last entry of R is deleted: what its undo and hold name is kept")
    forget = s.w.write("R", "forget", s.p1, [s.s1, s.s2])
    undo = s.w.write("R", "undo", s.p1, [s.s1])
    hold = s.w.write("R", "hold", s.p1, [s.s2])
    last = s.w.write("R", "release", s.p1, [s.s1])
    p2 = s.end("R", until=[last], R2=roles("reaper"))
    again = s.w.write("R2", "forget", p2, [s.s2])
    yield from for_all(s, readers(s.w, p2), counts=[forget, undo, hold, again], keeps=[s.s1, s.s2])
    s.w.delete(last)
    assert {undo.ref, hold.ref} <= s.w.read([p2.ref]).unproven
    yield from for_all(s, readers(s.w, p2), not_counts=[undo, hold], counts=[again], keeps=[s.s1, s.s2])
    s.w.name = "W5 and nothing stands above the entry that is deleted: no hole stops deletions, and all is kept"
    s.w.delete(again)
    more = s.w.entry("R2", "forget", [hold], p2, [s.s1, s.s2], carry=["c1", "c2"])
    assert not s.w.read([p2.ref]).stopped
    yield from for_all(s, readers(s.w, p2), counts=[more], keeps=[s.s1, s.s2])


@attack
def w6_unproven_base():
    s = Scene("W6 honest snapshots on a base of a retired collector, whose until is deleted")
    base = s.w.backup("K", s.p1)
    last = s.w.write("K", "painting", s.p1)
    p2 = s.end(until=[last])
    built = [s.w.backup("M", p2) for _ in range(3)]
    yield from for_all(s, readers(s.w, p2), latest_in=built[-1:], counts=[base])
    s.w.delete(last)
    assert base.ref in s.w.read([p2.ref]).unproven
    yield from for_all(s, readers(s.w, p2), counts=built, latest_in=built[-1:])


@attack
def w7_stripped_and_named():
    s = Scene("W7 as T14, but the version is overwritten without signatures instead of deleted")
    a = s.end(custodians=NEW, signers=("c1", "c2", "d1", "d2"))
    b = s.w.follow(s.p1, ["c1", "c2", "x"], ["x"], 1, more=[a.ref], version=3)
    bad = s.thief("K", [s.s2], b, carry=["c1", "c2", "x"])
    yield from for_all(s, readers(s.w, a), latest_in=[s.s2], not_counts=[bad])
    s.w.trust[a.ref] = frozenset()
    yield from for_all(s, readers(s.w), missing=[a], keeps=[s.s1, s.s2])
    pinned = [a.ref]
    yield s.w, pinned, must(s.w, pinned, latest_in=[s.s2], not_counts=[bad], missing=[])


@attack
def w8_hole_between():
    s = Scene("W8 an undo and a hold stand above an entry that is deleted: the snapshots are not below them, and they hold")
    forget = s.w.write("R", "forget", s.p1, [s.s1, s.s2])
    between = s.w.write("M", "painting", s.p1)
    undo, hold = s.w.write("R", "undo", s.p1, [s.s1]), s.w.write("R", "hold", s.p1, [s.s2])
    for gone in ((), (between,)):
        s.w.delete(*gone)
        told = s.w.read().snapshots
        assert told[s.s1.ref]["state"] == "live" and told[s.s2.ref]["held"]
        yield from for_all(s, readers(s.w), counts=[forget, undo, hold], keeps=[s.s1, s.s2], latest_in=[s.s1])
    release = s.w.entry("R", "release", [hold], s.p1, [s.s2], carry=())
    s.w.name = "W8 and a release above the hold"
    assert not s.w.read().snapshots[s.s2.ref]["held"]
    yield from for_all(s, readers(s.w), counts=[release], keeps=[s.s1, s.s2])
    s = Scene("W8 a sweep stands above an entry that is deleted")
    s.w.write("R", "forget", s.p1, [s.s2])
    between = s.w.write("M", "painting", s.p1)
    s.w.write("R", "sweep", s.p1, [s.s2])
    yield from for_all(s, readers(s.w), latest_in=[s.s1])
    s.w.delete(between)
    yield from for_all(s, readers(s.w), latest_in=[s.s1], counts=[s.s1, s.s2])
    assert s.w.read().snapshots[s.s2.ref]["state"] == "swept"


def attack_worlds():
    """All of them: a copy of the world, the pins, what must hold."""
    for function in ATTACKS:
        for world, pins, wanted in function():
            yield world.copy(), pins, wanted


# Exhaustive: every subset of the objects of one repository.

def small_repository():
    """Three versions with a turnover, an end and an addition; eight entries; what the ended key writes on any of it."""
    s = Scene("exhaustive")
    p2 = s.end(custodians=NEW, signers=("c1", "c2", "d1", "d2"))
    s.w.backup("M", p2)
    s.w.write("V", "verification", p2)
    p3 = s.w.follow(p2, ["d1", "d3"], N=roles("collector"))
    s.w.backup("N", p3)
    s.w.backup("M", p3)
    return s, [s.p1, p2, p3]


def exhaustive_worlds():
    """Each subset of up to three objects, where a policy is deleted or has one signature left, for each of the pins."""
    s, versions = small_repository()
    objects = [(entry, "deleted") for entry in s.w.entries.values()]
    objects += [(policy, how) for policy in versions for how in ("deleted", "stripped") if how == "deleted" or s.w.trust[policy.ref]]
    for size in range(4):
        for chosen in itertools.combinations(objects, size):
            if len({one.ref for one, _ in chosen}) == size:
                yield from damaged(s, versions, chosen)


def damaged(s, versions, chosen):
    """The small repository without these objects, with entries of the ended key on every head that is left."""
    w = s.w.copy()
    for one, how in chosen:
        if how == "deleted":
            w.delete(one)
        else:
            w.trust[one.ref] = frozenset(sorted(w.trust[one.ref])[:1])
    w.name = "exhaustive: " + ", ".join(f"{one.ref[:14]} {how}" for one, how in chosen)
    top = max(w.entries, default=forge.made_up(3, "top"))
    for _ in range(2):
        top = w.entry("K", "snapshot", [top], versions[0], author="thief").ref
    for pins in ([], [versions[1].ref], [(versions[2].ref, frozenset())]):
        yield w, pins, {"latest_not_by": ["K"]} if pins and not w.read(pins).error else None
