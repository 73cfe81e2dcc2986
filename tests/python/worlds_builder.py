"""One small repository, as bytes and as the model sees it. The model is told what was made and never reads the bytes."""

import copy
import os

import forge
import trust_model
from trust_model import Entry, Policy, SigningKey


LAST = 10**12 - 1


def roles(*names, until=None):
    """A signing key as `World.policy` takes it."""
    return (names, until)


def signing_keys(keys):
    """The keys of a policy as the model takes them."""
    return {name: SigningKey(frozenset(given), None if until is None else frozenset(until))
            for name, (given, until) in keys.items()}


def keys_of(policy):
    """The keys of a policy as `World.policy` takes them."""
    return {name: (tuple(sorted(k.roles)), None if k.until is None else tuple(sorted(k.until))) for name, k in policy.keys.items()}


def is_entry(made):
    """Whether readers take what was made for an entry: not beyond the last sequence, nor signed by a weak key."""
    return all(trust_model.number(ref) <= LAST for ref in (made.ref, *made.parents)) and not made.key.startswith("!")


class World:
    """Files of `trust/` and `ledger/`, and the policies and entries that they mean. The first policy made is version 1."""

    def __init__(self, name=""):
        self.name, self.repository, self.clock = name, None, 0
        self.policies, self.payloads, self.recovery = {}, {}, {}
        self.trust = {}       # reference -> names of those whose good signature the file has
        self.entries, self.files, self.carried, self.author = {}, {}, {}, {}
        self.extra = {}       # path -> bytes of what is neither policy nor entry
        self.must, self.weakness = None, None

    def copy(self):
        """Another world of the same documents, whose objects can come and go by themselves."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, dict):
                setattr(other, name, dict(value))
        return other

    # Policies.

    def policy(self, version, previous, custodians, threshold, keys, signers=(), recovery=("recovery 1",), stored=True,
               lost=(), accepted=(), held=(), sound=True, raw=None, **other):
        """Makes a version. `previous` are policies or references; all that a policy names must be given as well."""
        refs = frozenset(p if isinstance(p, str) else p.ref for p in previous)
        self.clock += 1
        if lost or accepted or held:
            other.update(lost={"entries": sorted(lost), "packs": [], "snapshots": []}, accepted=sorted(accepted), held=sorted(held))
        payload = forge.policy(version, refs, custodians, threshold, keys, recovery, self.repository, self.clock, raw, **other)
        ref = forge.reference(version, payload, 6)
        sound = sound and not any(name.startswith("!") for name in (*custodians, *keys))
        grace = other["settings"]["grace_seconds"] if "settings" in other else forge.GRACE
        made = Policy(ref, refs, frozenset(custodians), threshold, signing_keys(keys), forge.recipients_digest(recovery),
                      frozenset(accepted), frozenset(held), frozenset(lost), sound, grace)
        self.repository = self.repository or forge.digest(payload)
        self.policies[ref], self.payloads[ref], self.recovery[ref] = made, payload, tuple(recovery)
        if stored:
            self.trust[ref] = frozenset(signers)
        return made

    def follow(self, before, signers, custodians=None, threshold=None, more=(), stored=True, version=None, recovery=None, **keys):
        """The version after these policies (or one), with the keys of the first one and the changed ones."""
        before = [before] if isinstance(before, Policy) else list(before)
        first, named = before[0], set(more)
        for one in before:
            named |= {one.ref} | one.previous
        refs = {p if isinstance(p, str) else p.ref for p in named}
        options = {name: keys.pop(name) for name in ("lost", "accepted", "held", "sound", "settings") if name in keys}
        changed = {**keys_of(first), **keys}
        return self.policy(version or 1 + max(map(trust_model.number, refs)), refs, custodians or first.custodians,
                           threshold or first.threshold, changed, signers, recovery or self.recovery[first.ref], stored, **options)

    def envelope(self, ref, signers, bad=()):
        """The file of a version with these signatures."""
        return forge.with_signatures(forge.envelope(self.payloads[ref], []), sorted(signers), sorted(bad))

    # Entries.

    def entry(self, key, kind, parents, policy, names=(), carry=None, author="honest", stored=True, base=None, full=None,
              reasons=(), partial=False, recovery=None, lost=(), salt=None, reuses=None, **other):
        """Makes an entry. `policy` may be a reference that nobody made; `carry` are the names that signed the carried copy, or
        its bytes; `base` is an entry or a digest; `reuses` are names of keys, by default what an honest writer says."""
        ref_of_policy = policy if isinstance(policy, str) else policy.ref
        self.clock += 1
        parent_refs = tuple(sorted(p if isinstance(p, str) else p.ref for p in parents))
        digests = tuple(n if isinstance(n, str) else forge.digest_of(n.ref) for n in names)
        if reuses is None:
            reuses = sorted({base.key, *base.reuses}) if isinstance(base, Entry) else ()
        base = forge.digest_of(base.ref) if isinstance(base, Entry) else base
        recipients = ""
        if kind == "snapshot":
            recipients = forge.recipients_digest(recovery or self.recovery.get(ref_of_policy, ("recovery 1",)))
            body, subjects = forge.snapshot_body(recipients, self.clock, base, reasons, partial, salt or f"{self.clock}", reuses, full)
        else:
            body, subjects = forge.body_of(kind, digests, self.repository, self.clock)
        carries = carry if carry is None or isinstance(carry, bytes) else self.envelope(ref_of_policy, carry)
        payload = forge.entry(key, kind, body, subjects, parent_refs, ref_of_policy, self.repository, self.clock, carries, lost, **other)
        number = 1 + max(map(forge.sequence, parent_refs), default=0)
        effect = other.get("effect", "state" if kind in forge.STATE_KINDS else "record")
        made = Entry(forge.reference(number, payload, 12), key, kind, parent_refs, ref_of_policy, digests, recipients,
                     None if full else base, bool(reasons), partial, forge.is_checkable(key), tuple(reuses), effect, self.clock * 60)
        self.files[made.ref] = forge.signed(payload, [key])
        self.author[made.ref] = author
        if ref_of_policy in self.policies and carry is not None:
            self.carried[made.ref] = (self.policies[ref_of_policy], frozenset(carry))
        if not stored:
            return made
        if is_entry(made):
            self.entries[made.ref] = made
        else:
            self.extra[forge.entry_path(made.ref)] = self.files[made.ref]
        return made

    def write(self, key, kind, policy, names=(), reading=None, **other):
        """What an honest writer with state does: all heads, and the policy where its key did not carry it yet."""
        reading = reading or self.read([policy.ref], with_bytes=True)
        heads = sorted(reading.heads)
        carries = not any(self.entries[ref].key == key and self.entries[ref].policy == policy.ref and ref in self.carried
                          for ref in trust_model.Ledger(self.entries.values()).down_to(heads) if ref in self.entries)
        signers = self.trust.get(policy.ref, policy.custodians)
        return self.entry(key, kind, heads, policy, names, signers if carries else None, **other)

    def backup(self, key, policy, **other):
        """An honest snapshot, built on the latest one that its writer sees."""
        reading = self.read([policy.ref], with_bytes=True)
        return self.write(key, "snapshot", policy, reading=reading, base=self.entries.get(reading.latest), **other)

    def delete(self, *objects):
        """Takes policies' files and entries away."""
        for one in objects:
            (self.trust if isinstance(one, Policy) else self.entries).pop(one.ref, None)

    # Reading and writing.

    def found(self, pins=()):
        """Every copy of a policy that a reader finds, with the good signatures that it has."""
        copies = [(self.policies[ref], signers) for ref, signers in self.trust.items()]
        copies += [self.carried[ref] for ref in self.entries if ref in self.carried]
        copies += [(self.policies[ref], signers) for ref, signers in pins if signers is not None]
        return [(policy, {name for name in signers if forge.is_checkable(name)}) for policy, signers in copies]

    def read(self, pins=(), with_bytes=False):
        """The model's reading. A pin is a reference, or a reference and the names who signed the bytes beside it."""
        pins = [pin if isinstance(pin, tuple) else (pin, frozenset() if with_bytes else None) for pin in pins]
        return trust_model.read(self.repository, [ref for ref, _ in pins], self.found(pins), self.well_formed())

    def well_formed(self):
        """The entries without those that name a parent that is there by another sequence."""
        sequences = {forge.digest_of(ref): forge.sequence(ref) for ref in self.entries}
        return [e for e in self.entries.values()
                if all(sequences.get(forge.digest_of(p), forge.sequence(p)) == forge.sequence(p) for p in e.parents)]

    def expected(self, pins=()):
        """What a reader of the files must answer."""
        misnaming = len(self.entries) - len(self.well_formed())
        return as_json(self.read(pins), misnaming + len(set(self.extra) - set(map(forge.policy_path, self.policies))))

    def pin_texts(self, pins):
        """The pins as the readers take them."""
        pins = [pin if isinstance(pin, tuple) else (pin, None) for pin in pins]
        return [ref if signers is None else f"{ref}={forge.b64(self.envelope(ref, signers))}" for ref, signers in pins]

    def all_files(self):
        """Path and bytes of everything."""
        files = {forge.policy_path(ref): self.envelope(ref, signers) for ref, signers in self.trust.items()}
        files.update((forge.entry_path(ref), self.files[ref]) for ref in self.entries)
        return {**self.extra, **files}

    def save(self, directory):
        """Writes the repository to a directory that is not there yet."""
        os.makedirs(directory)
        for folder in ("trust", "ledger"):
            os.makedirs(os.path.join(directory, folder), exist_ok=True)
        for path, data in self.all_files().items():
            whole = os.path.join(directory, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "wb") as file:
                file.write(data)


def as_json(reading, rubbish):
    """The fields that every reader prints."""
    refs = sorted(branch.ref for branch in reading.branches)
    return {
        "policy": {"in_force": refs, "fit": sorted(reading.fit), "missing": sorted(reading.missing), "fork": len(refs) > 1,
                   "error": reading.error},
        "entries": dict(sorted(reading.status.items())), "unproven": sorted(reading.unproven), "heads": sorted(reading.heads),
        "holes": sorted(reading.holes), "rubbish": rubbish, "snapshots": dict(sorted(reading.snapshots.items())),
        "latest": reading.latest, "latest_refused": reading.refused, "early_sweeps": sorted(reading.early),
    }


def must(world, pins, latest_not_by=(), latest_in=None, counts=(), not_counts=(), refused=None, keeps=(),
         missing=None, early=None):
    """States what security asks for and checks the model against it. None in `latest_in` stands for no latest; `keeps` are
    snapshots whose objects no sweep of this reader may take."""
    reading = world.read(pins)
    latest = world.entries.get(reading.latest)
    wanted = {"latest_not_by": sorted(latest_not_by), "counts": sorted(e.ref for e in counts),
              "not_counts": sorted(e.ref for e in not_counts)}
    assert latest is None or latest.key not in latest_not_by, (world.name, "latest is by", latest.key)
    if latest_in is not None:
        wanted["latest_in"] = [None if e is None else e.ref for e in latest_in]
        assert reading.latest in wanted["latest_in"], (world.name, "latest", reading.latest, reading.refused, wanted["latest_in"])
    for ref in wanted["counts"]:
        assert reading.status[ref] == "counts", (world.name, ref, reading.status[ref])
    for ref in wanted["not_counts"]:
        assert reading.status.get(ref) != "counts", (world.name, ref)
    for entry in keeps:
        assert entry.ref not in reading.deletable, (world.name, "may be swept", entry.ref)
    for what, told, asked in (("missing", reading.missing, missing), ("early", reading.early, early)):
        assert asked is None or told == {one.ref for one in asked}, (world.name, what, told)
    assert refused is None or reading.refused == refused, (world.name, "refused", reading.refused)
    return wanted
