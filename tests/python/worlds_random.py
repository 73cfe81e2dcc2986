"""Random worlds: an honest history of some versions of the policy, then somebody's work on it, then perhaps an honest entry."""

import forge
import trust_model
from worlds_builder import World, keys_of, roles

OLD, NEW, LATER = ["c1", "c2", "c3"], ["d1", "d2", "d3"], ["e1", "e2", "e3"]
RECORDS = ["verification", "proof"]
TOP = 10**12 - 1


class History:
    """The honest part. `world.author` tells honest entries from a thief's. An odd one begins with a version 1 that nobody
    should make, and that fits all the same."""

    def __init__(self, rng, name, odd=False):
        self.rng, self.world = rng, World(name)
        threshold = rng.choice([1, 2, 2])
        keys = {"K": roles("collector"), "M": roles("collector"), "V": roles("verifier"), "R": roles("reaper")}
        if rng.random() < .3:
            keys.update({"S": roles("restorer"), "O": roles("operator"), "P": roles("collector", "painter", "reaper")})
        if rng.random() < .12:
            keys[rng.choice(["?Q", "?Q", "?short", "?one"])] = roles("collector")
        custodians = OLD
        if odd:
            fault = rng.randrange(3)
            threshold = 0 if fault == 0 else threshold
            custodians = OLD[1:] + ["!eight"] if fault == 1 else OLD
            keys.update({"!two": roles("collector", "reaper")} if fault == 2 else {})
        signers = rng.choice([(), OLD[1:2], custodians])
        self.versions = [self.world.policy(1, [], custodians, threshold, keys, signers)]
        self.events = []

    @property
    def newest(self):
        """The newest honest version."""
        return self.versions[-1]

    def able(self, role):
        """Keys that have not ended and have the role."""
        return [k for k, key in self.newest.keys.items() if role in key.roles and key.until is None and forge.is_checkable(k)]

    def entries(self, kind=None, key=None):
        """What stands in the ledger."""
        return [e for e in self.world.entries.values() if kind in (None, e.kind) and key in (None, e.key)]

    def step(self):
        """One honest entry."""
        rng, collectors, reapers = self.rng, self.able("collector"), self.able("reaper")
        snapshots = self.entries("snapshot")
        self.world.clock += rng.choice([0, 0, 0, 900, 3000])
        what = rng.random()
        if what < .5 and collectors:
            options = {"reasons": ("gone",)} if rng.random() < .12 else {}
            options["partial"] = rng.random() < .1
            if rng.random() < .06:
                options["recovery"] = ("somebody else",)
            self.world.backup(rng.choice(collectors), self.newest, **options)
        elif what < .8 and reapers and snapshots:
            kind = rng.choice(["forget", "forget", "undo", "hold", "release", "sweep"])
            named = rng.sample(snapshots, min(len(snapshots), rng.choice([0, 1, 1, 2] if kind == "sweep" else [1, 1, 2])))
            self.world.write(rng.choice(reapers), kind, self.newest, named)
        elif what < .85:
            key = rng.choice([k for k, v in self.newest.keys.items() if v.until is None and forge.is_checkable(k)] or ["V"])
            self.world.write(key, "painting", self.newest, effect=rng.choice(["record", "state"]))
        elif what < .93:
            kind = rng.choice(["restore", "drill", "expect", "acknowledge"])
            able = self.able(trust_model.ROLES[kind])
            if able and snapshots:
                self.world.write(rng.choice(able), kind, self.newest, [rng.choice(snapshots)])
        elif self.able("verifier"):
            self.world.write(rng.choice(self.able("verifier")), rng.choice(RECORDS), self.newest, snapshots[-2:])

    def race(self):
        """Two writers at once, of which one may know only the version before."""
        collectors = self.able("collector")
        if len(collectors) < 1 or not self.world.entries:
            return
        policy = self.versions[max(0, len(self.versions) - self.rng.choice([1, 2]))]
        before = self.world.read([policy.ref], with_bytes=True)
        self.step()
        key = self.rng.choice(collectors)
        if key in policy.keys:
            self.world.write(key, "snapshot", policy, reading=before, base=self.world.entries.get(before.latest))

    def change(self):
        """One new version."""
        rng, last = self.rng, self.newest
        custodians, threshold, changed, options = sorted(last.custodians), max(1, last.threshold), {}, {}
        before = rng.sample(OLD if set(custodians) == set(OLD) else custodians, threshold)
        custodians = [name for name in custodians if forge.is_checkable(name)]
        for event in rng.sample(["turnover", "turnover", "add", "retire", "revoke", "revoke_all", "until", "rotate", "recipients",
                                 "accept", "hold", "threshold", "reaper", "grace"], rng.choice([1, 1, 2])):
            self.events.append(event)
            alive = [k for k, key in last.keys.items() if key.until is None]
            ended = [k for k, key in last.keys.items() if key.until is not None]
            snapshots = self.entries("snapshot")
            if event == "turnover":
                custodians = rng.choice([NEW, LATER, NEW[:2] + OLD[:1]])
                threshold = min(threshold, len(custodians))
            elif event == "add":
                changed["N"] = last_or(last, "N", roles("collector"))
            elif event in ("retire", "rotate"):
                victim = rng.choice([k for k in alive if k in "KMVR"] or alive)
                changed[victim] = (last.keys[victim].roles, self.last_entries(victim))
                if event == "rotate":
                    changed["N"] = last_or(last, "N", roles("collector"))
            elif event == "revoke" and self.entries(key="K") and "K" in alive:
                changed["K"] = (last.keys["K"].roles, [rng.choice(self.entries(key=rng.choice(["K", None]))).ref])
            elif event == "revoke_all" and alive:
                changed[rng.choice([k for k in alive if k in "KVR"] or alive)] = None
            elif event == "until" and ended and self.entries():
                victim = rng.choice(ended)
                some = rng.sample(self.entries(), min(len(self.entries()), rng.choice([0, 1, 2])))
                changed[victim] = (last.keys[victim].roles, [e.ref for e in some])
            elif event == "recipients":
                options["recovery"] = (f"recovery {rng.randrange(4)}", "recovery 9")
            elif event == "accept" and snapshots:
                options["accepted"] = {forge.digest_of(e.ref) for e in rng.sample(snapshots, 1)}
            elif event == "hold" and snapshots:
                options["held"] = {forge.digest_of(e.ref) for e in rng.sample(snapshots, 1)}
            elif event == "threshold":
                threshold = rng.choice([1, 2, min(3, len(custodians))])
            elif event == "grace":
                options["settings"] = {"grace_seconds": rng.choice([21600, 300_000]), "longest_run_seconds": 21600,
                                       "recover_md": forge.RECOVER_MD}
            elif event == "reaper":
                changed["R2"] = last_or(last, "R2", roles("reaper"))
        changed = {k: (last.keys[k].roles, ()) if v is None else v for k, v in changed.items()}
        signers = set(before) | set(rng.sample(custodians, threshold))
        self.versions.append(self.world.follow(last, signers, custodians, threshold, **changed, **options))

    def last_entries(self, key):
        """The heads of a key: its entries that are below no other entry of it."""
        own = self.entries(key=key)
        ledger = trust_model.Ledger(self.world.entries.values())
        return [e.ref for e in own if not any(e.ref in ledger.below[other.ref] for other in own)]

    def run(self, versions, steps):
        """The whole history."""
        for number in range(versions):
            if number:
                self.change()
            for _ in range(self.rng.randint(1, steps)):
                (self.race if self.rng.random() < .15 else self.step)()
        return self


def last_or(policy, name, new):
    """The key as the policy has it, or a new one."""
    return keys_of(policy).get(name, new)


class Thief:
    """Somebody's work on a world. Each method is one act; `powers` says which he may choose from."""

    def __init__(self, rng, history):
        self.rng, self.history, self.world = rng, history, history.world
        self.old = rng.sample(OLD, history.versions[0].threshold)    # none of them where the threshold is 0
        self.acts = []

    def act(self, powers, times):
        """Some acts."""
        for _ in range(times):
            name = self.rng.choice(powers)
            self.acts.append(name)
            getattr(self, name)()

    def some_entry(self):
        """Any entry, or a reference of none."""
        entries = list(self.world.entries.values())
        return self.rng.choice(entries) if entries else forge.made_up(self.rng.randint(1, 9), str(self.rng.random()))

    def some_policy(self):
        """Any honest version."""
        return self.rng.choice(self.history.versions)

    def put(self, key, kind, parents, policy, names=(), **other):
        """One entry of his."""
        return self.world.entry(key, kind, parents, policy, names, author="thief", **other)

    def delete_policy(self):
        """DELETE in `trust/`."""
        if self.world.trust:
            self.world.trust.pop(self.rng.choice(sorted(self.world.trust)))

    def lose_version(self, policy):
        """Every copy of a version goes."""
        self.world.trust.pop(policy.ref, None)
        for ref in [ref for ref in self.world.entries if ref in self.world.carried and self.world.carried[ref][0] is policy]:
            del self.world.entries[ref]

    def delete_entry(self):
        """DELETE in `ledger/`."""
        if self.world.entries:
            self.world.entries.pop(self.rng.choice(sorted(self.world.entries)))

    def strip(self):
        """PUT over a version: the same words with fewer signatures."""
        if self.world.trust:
            ref = self.rng.choice(sorted(self.world.trust))
            signers = sorted(self.world.trust[ref])
            self.world.trust[ref] = frozenset(self.rng.sample(signers, self.rng.randint(0, len(signers))))

    def roll_back(self):
        """The bucket of an earlier day."""
        entries = sorted(self.world.entries, key=lambda ref: (forge.sequence(ref), ref))
        for ref in entries[len(entries) - self.rng.randint(0, len(entries) // 2):]:
            del self.world.entries[ref]
        if self.rng.random() < .6 and self.world.trust:
            del self.world.trust[max(self.world.trust)]

    def key(self):
        """The key that he has: K, which has often ended."""
        return "K"

    def forge_entry(self):
        """On any entry, under any version, perhaps with a poor copy of it."""
        policy = self.some_policy()
        carry = self.rng.choice([None, (), self.rng.sample(sorted(policy.custodians), 1), sorted(policy.custodians)])
        self.put(self.key(), "snapshot", [self.some_entry()], policy, carry=carry, **self.some_base())

    def some_base(self):
        """A base that is there or not, with the `reuses` of an honest writer or any others."""
        rng, base = self.rng, self.some_entry()
        if rng.random() < .6:
            return {}
        if isinstance(base, str) or rng.random() < .2:
            base = forge.digest(f"base {rng.random()}")
        options = {"base": base, "full": rng.choice([None, None, None, True, False])}
        if isinstance(base, str) or rng.random() < .5:
            options["reuses"] = rng.sample(["K", "M", "N", "R", "V", "Z"], rng.choice([0, 1, 2]))
        return options

    def forge_reuse(self):
        """A live collector's snapshot that says anything about its base."""
        self.put(self.rng.choice(["M", "N"]), "snapshot", [self.some_entry()], self.some_policy(), **self.some_base())

    def delete_base(self):
        """DELETE of what others were built on."""
        bases = {e.base for e in self.world.entries.values()}
        there = sorted(ref for ref in self.world.entries if forge.digest_of(ref) in bases)
        if there:
            del self.world.entries[self.rng.choice(there)]

    def accept_base(self):
        """The custodians accept a base, there or not."""
        bases = sorted({e.base for e in self.world.entries.values() if e.base})
        if bases:
            last = self.history.newest
            self.history.versions.append(self.world.follow(last, last.custodians, accepted=[self.rng.choice(bases)]))

    def forge_back(self):
        """Back-dated, on parents that never were."""
        self.put(self.key(), "snapshot", [forge.made_up(self.rng.randint(1, 6), str(self.rng.random()))], self.some_policy())

    def forge_start(self):
        """Without parents."""
        self.put(self.rng.choice(["K", "V"]), "painting", [], self.some_policy())

    def jump(self):
        """Two entries of which the first leaps, perhaps a stranger's, perhaps gone again."""
        far = self.rng.choice([9000, 10002, 20000, TOP - 3])
        made = [forge.made_up(far, str(self.rng.random()))] + ([self.some_entry()] if self.rng.random() < .5 else [])
        first = self.put(self.rng.choice(["K", "V", "Z"]), "verification", made, self.some_policy())
        self.put(self.rng.choice(["K", "V"]), self.rng.choice(["snapshot", "verification"]), [first], self.some_policy())
        if self.rng.random() < .3:
            self.world.delete(first)

    def climb(self):
        """Steps of less than the limit, then an honest entry on top, then the steps go."""
        steps, top = [], self.some_entry()
        for number in range(2, 5):
            leap = [forge.made_up(number * 9000, str(self.rng.random())), top]
            top = self.put("V", "verification", leap, self.some_policy())
            steps.append(top)
        self.honest()
        if self.rng.random() < .7:
            self.world.delete(*steps)

    def old_fork(self):
        """A version signed by old custodians, in `trust/` or carried, and perhaps a merge by its own custodian alone."""
        versions, rng = self.history.versions, self.rng
        named = rng.choice([versions[:1], versions[:-1] or versions, versions])
        keys = {**keys_of(rng.choice(versions)), "K": roles("collector")}
        if rng.random() < .3:
            keys["M"] = roles("collector", until=[])
        fork = self.world.policy(rng.choice([len(named) + 1] * 3 + [9]), named, ["x"], 1, keys, [*self.old, "x"], stored=rng.random() < .5)
        if fork.ref not in self.world.trust or rng.random() < .5:
            self.put("K", "snapshot", [self.some_entry()], fork, carry=[*self.old, "x"])
        if rng.random() < .6:
            also = {v.ref for v in versions if rng.random() < .8} | {fork.ref} | fork.previous
            number = 1 + max(map(forge.sequence, also))
            keys = {**keys_of(fork), **keys_of(versions[-1])}
            merge = self.world.policy(number, also, ["x"], 1, keys, [*self.old, "x"], stored=rng.random() < .5)
            self.put("K", "snapshot", [self.some_entry()], merge, carry=[*self.old, "x"])

    def one_custodian(self):
        """A version with too few signatures."""
        last = self.history.newest
        if last.threshold > 1:
            self.world.follow(last, [sorted(last.custodians)[0], "x"], ["x"], 1, K=roles("collector"))

    def unfit(self):
        """A version with all signatures that breaks another rule."""
        last, rng = self.history.newest, self.rng
        keys, everybody, sound = keys_of(last), sorted(last.custodians), True
        fault = rng.choice(["left out", "roles", "number", "threshold", "recipient", "names less", "longest", "twice", "small", "weak"])
        options, number, named = {}, 1 + trust_model.number(last.ref), last.previous | {last.ref}
        if fault == "left out":
            keys.pop("V")
        elif fault == "roles":
            keys["V"] = (("reaper", "verifier"), keys["V"][1])
        elif fault == "number":
            number += rng.choice([1, 900])
        elif fault == "names less" and len(named) > 1:
            named = {last.ref}
        elif fault == "recipient":
            options, sound = {"recovery": ()}, False
        elif fault == "longest":
            options, sound = {"settings": {"grace_seconds": 5, "longest_run_seconds": 6, "recover_md": forge.RECOVER_MD}}, False
        elif fault == "twice":
            keys[everybody[0]], sound = roles("collector"), False
        elif fault == "weak":
            keys[rng.choice(sorted(forge.WEAK))] = roles("collector")
        elif fault == "small":
            options, sound = {"raw": {"custodians": small_order(everybody)}}, False
        threshold = rng.choice([0, 9]) if fault == "threshold" else last.threshold
        self.world.policy(number, named, everybody, threshold, keys, everybody, sound=sound, **options)

    def made_up_version(self):
        """Entries under versions that nobody has."""
        key = self.rng.choice(["M", "V", "Z", "K", "N"])
        self.put(key, self.rng.choice(["snapshot", "painting"]), [self.some_entry()], forge.made_up(999, str(self.rng.random()), 6))

    def misname(self):
        """An entry that names a parent by another sequence."""
        parent = self.some_entry()
        if not isinstance(parent, str):
            wrong = f"{forge.sequence(parent.ref) + self.rng.choice([1, 5, 9000]):012d}-{forge.digest_of(parent.ref)}"
            self.put(self.rng.choice(["K", "M", "V"]), "painting", [wrong], self.some_policy())

    def unknown_algorithm(self):
        """An entry by a key of an unknown algorithm: anybody can write one."""
        key = self.rng.choice(["?Q", "?Q", "?short", "?one", "?long"])
        kind, policy = self.rng.choice(["snapshot", "hold"]), self.rng.choice([self.some_policy(), forge.made_up(9, "q", 6)])
        self.put(key, kind, [self.some_entry()], policy, [forge.digest("held")])

    def weak_key(self):
        """An entry by a weak key: anybody can sign one."""
        self.put(self.rng.choice(sorted(forge.WEAK)), "snapshot", [self.some_entry()], self.some_policy())

    def ended_reaper(self):
        """State by R, ended or not."""
        snapshots = self.history.entries("snapshot")
        if snapshots:
            kind = self.rng.choice(["forget", "undo", "hold", "release", "sweep"])
            key = self.rng.choice(["R", "R", "V"])
            self.put(key, kind, [self.some_entry()], self.some_policy(), [self.rng.choice(snapshots)])

    def rubbish(self):
        """What is no entry, in every way."""
        worlds_rubbish(self.rng, self.world, self.some_entry(), self.some_policy())

    def honest(self):
        """An honest collector goes on."""
        collectors = self.history.able("collector")
        if collectors:
            self.world.backup(self.rng.choice(collectors), self.history.newest)

    def accept_loss(self):
        """The custodians accept what is gone, and may move an `until`."""
        last = self.history.newest
        holes = self.world.read([last.ref], with_bytes=True).holes
        if holes:
            signers = sorted(last.custodians)
            self.history.versions.append(self.world.follow(last, signers, lost=self.rng.sample(sorted(holes), 1)))

    def custodians_fork(self):
        """Two honest proposals at once, and perhaps a version that names both."""
        last, rng = self.history.newest, self.rng
        everybody = sorted(last.custodians)
        one = self.world.follow(last, everybody, V=(last.keys["V"].roles, []))
        two = self.world.follow(last, everybody, E=roles("collector"))
        self.history.versions += [one]
        self.put(rng.choice(["K", "M", "E"]), "snapshot", [self.some_entry()], rng.choice([one, two]), carry=everybody)
        if rng.random() < .5:
            self.history.versions.append(self.world.follow([one, two], everybody, E=roles("collector")))
            self.honest()


def small_order(names):
    """Custodians of whom the first has a key of small order."""
    bad = {"name": names[0], "public_key": forge.b64(forge.ED25519_SPKI + bytes([1] + [0] * 31))}
    rest = [{"name": name, "public_key": forge.key(name).public_key} for name in names[1:]]
    return sorted([bad, *rest], key=lambda c: c["public_key"])


def foreign(rng, world):
    """A version 1 of another repository, or a version that names one, among ours."""
    other = World("foreign")
    first = other.policy(1, [], OLD, 1, {"K": roles("collector"), "Z": roles("collector")}, raw={"reason": f"{rng.random()}"})
    odd = rng.choice([first, other.follow(first, OLD)])
    world.extra[forge.policy_path(odd.ref)] = other.envelope(odd.ref, OLD)


def worlds_rubbish(rng, world, parent, policy):
    """Adds one file that no reader takes for an entry (or for a policy)."""
    good = world.entry("M", "painting", [parent], policy, stored=False)
    document, where = world.files[good.ref], forge.entry_path(good.ref)

    def named(data, sequence=forge.sequence(good.ref)):
        """The file under the name of its own payload."""
        ref = forge.reference(sequence, forge.payload_of(data), 12)
        world.extra[forge.entry_path(ref)] = data

    other = forge.digest("other")
    faults = [
        lambda: world.extra.update({where: forge.not_canonical(document)}),
        lambda: world.extra.update({where: forge.wrongly_signed(document, "M")}),
        lambda: world.extra.update({where: forge.with_signatures(document, ["Z"], strip=True)}),
        lambda: world.extra.update({where.replace(good.ref, forge.made_up(forge.sequence(good.ref), "x")): document}),
        lambda: world.extra.update({f"ledger/111111111/{good.ref}.json": document}),
        lambda: world.extra.update({"ledger/junk": b"junk", "ledger/000000000/empty.json": b""}),
        lambda: world.extra.update({"trust/junk.json": b"{}", "trust/000007-" + other + ".json": document}),
        lambda: named(forge.payload_not_canonical(document, "M")),
        lambda: named(forge.altered(document, "M", {"repository": other})),
        lambda: named(forge.altered(document, "M", {"sequence": 77}), 77),
        lambda: named(forge.altered(document, "M", {"effect": "none"})),
        lambda: named(forge.altered(document, "M", {"kind": "forget", "effect": "record", "body": {"rule": "x", "snapshots": [other]}},
                                    forge.entry_subjects([other]))),
        lambda: named(forge.altered(document, "M", {"kind": "undo", "effect": "state", "body": {"reason": "x", "snapshots": [other]}},
                                    forge.entry_subjects([other, other]))),
        lambda: named(forge.altered(document, "M", {"kind": "hold", "effect": "state", "body": {"reason": "x", "snapshots": []}}, [])),
        lambda: named(forge.altered(document, "M", {"critical": ["newer"]})),
        lambda: named(forge.altered(document, "M", {"format": rng.choice(["2.0", "1.1000000", "1000000.0", "1.01"])})),
        lambda: foreign(rng, world),
        lambda: named(forge.altered(document, "M", {"public_key": forge.key("?huge").public_key})),
        lambda: named(forge.altered(document, "M", {"critical": []})),
        lambda: named(forge.altered(document, "M", {"critical": ["body", "zzz"]})),
        lambda: named(forge.altered(document, "M", {"carries": forge.b64(b"{}")})),
        lambda: named(forge.altered(document, "M", {"time": "2026-11-01T00:00:00Z"})),
        lambda: named(forge.altered(document, "M", {"body": None})),
        lambda: named(forge.altered(document, "M", {"parents": [p for p in good.parents] * 2})),
    ]
    rng.choice(faults)()


PUT = ["forge_entry", "forge_entry", "forge_reuse", "forge_back", "jump", "made_up_version", "rubbish", "ended_reaper", "forge_start",
       "misname", "weak_key"]
DELETE = ["delete_policy", "delete_base", "delete_entry", "delete_entry", "strip", "roll_back"]
OTHERS = ["one_custodian", "unfit", "honest", "accept_loss", "accept_base", "custodians_fork", "unknown_algorithm", "climb", "old_fork"]


def some_pins(rng, history):
    """What a reader may be pinned at."""
    world, versions = history.world, [v.ref for v in history.versions]
    newest, first, any_ref = versions[-1], versions[0], rng.choice(sorted(world.policies))
    signers = world.trust.get(newest, frozenset())
    return rng.choice([
        [], [], [first], [newest], [(newest, signers)], [(newest, frozenset())], [any_ref], [(any_ref, frozenset())],
        [first, newest], rng.sample(sorted(world.policies), min(2, len(world.policies))), [newest, any_ref],
        [rng.choice(versions), (newest, frozenset()), first], [any_ref, forge.made_up(2, "pin", 6)], [forge.made_up(3, "pin", 6)],
    ])


def random_world(rng, name):
    """A world and the pins of its reader."""
    history = History(rng, name, rng.random() < .05).run(rng.randint(1, 4), rng.choice([2, 4, 6]))
    thief = Thief(rng, history)
    powers = rng.choice([PUT, PUT + DELETE, PUT + DELETE, PUT + DELETE + OTHERS, OTHERS, DELETE, PUT + OTHERS])
    thief.act(powers, rng.choice([0, 1, 2, 3, 4, 5]))
    if rng.random() < .3:
        thief.honest()
    history.world.name = f"{name}: {','.join(history.events)} / {','.join(thief.acts)}"
    if rng.random() < .04:
        thief.lose_version(rng.choice([*history.world.policies.values()]))
    return history.world, some_pins(rng, history)
