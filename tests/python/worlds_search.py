"""Looks for what the rules let through, in random worlds: see `PROPERTIES`."""

import collections
import random

import forge
import worlds_random as base

SCENARIOS = {
    "PUT": base.PUT + ["one_custodian", "unfit", "unknown_algorithm", "honest"],
    "PUT, DELETE": base.PUT + base.DELETE + ["one_custodian", "unfit", "honest", "climb"],
    "PUT, t old custodians": base.PUT + ["old_fork", "old_fork", "honest"],
    "PUT, DELETE, t old custodians": base.PUT + base.DELETE + ["old_fork", "old_fork", "honest"],
    "DELETE": ["delete_policy", "delete_entry", "delete_entry"],
}


def rebuilt(history):
    """Whether nobody but the thief uses K any more, since a version ended it."""
    return "K" in history.newest.keys and history.newest.keys["K"].until is not None


def silent(reading, world):
    """Whether a check would find nothing: no error, fork, missing version, hole, pending or stranger's entry."""
    loud = reading.error or len(reading.branches) > 1 or reading.missing or reading.holes or reading.refused
    return not loud and not any(s in ("stranger", "pending") for s in reading.status.values()) and bool(world)


def poisoned(world, entry, bad, accepted):
    """Whether an honest snapshot reuses, over any number of bases that nobody accepted, packs of snapshots that the whole
    world holds for bad. What a live collector's key says in a thief's hand is good anyway."""
    by_digest = {forge.digest_of(ref): one for ref, one in world.made.items()}
    if world.author[entry.ref] != "honest" or forge.digest_of(entry.ref) in accepted:
        return False
    while entry is not None and entry.base is not None and entry.base not in accepted:
        entry = by_digest.get(entry.base)
        if entry is not None and entry.ref in bad:
            return True
    return False


def lost_snapshots(before, reading, world):
    """Honest live snapshots of the whole world that are there and that a sweep of this reader would not keep."""
    return [ref for ref, state in before.snapshots.items()
            if state["state"] == "live" and world.author[ref] == "honest" and ref in reading.deletable]


def newly_suspect(before, reading, world):
    """Honest snapshots that were good and still count, and that this reader calls suspect."""
    return [ref for ref, state in before.snapshots.items() if not state["suspect"] and world.author[ref] == "honest"
            and ref in reading.snapshots and reading.snapshots[ref]["suspect"]]


def examine(rng, name, powers, counts, examples):
    """One world: an honest history that ends K, a thief, three readers."""
    history = base.History(rng, name).run(rng.randint(2, 4), 4)
    if not rebuilt(history):
        return
    world, newest = history.world, history.newest
    thief = base.Thief(rng, history)
    world.made = dict(world.entries)
    before = world.read([newest.ref], with_bytes=True)
    thief.act(powers, rng.randint(1, 6))
    world.made.update(world.entries)
    bad = {ref for ref, e in world.made.items() if e.key == "K" and before.status.get(ref) != "counts"}
    stolen_reaper = "ended_reaper" in thief.acts and history.newest.keys["R"].until is None
    newest = history.newest
    pins = {"none": [], "newest": [(newest.ref, frozenset())]}
    readings = {pin: world.read(value) for pin, value in pins.items()}
    collectors = history.able("collector")
    honest = world.backup(rng.choice(collectors), newest) if collectors else None
    for pin, reading in readings.items():
        found = {}
        latest = world.entries.get(reading.latest)
        found["thief is latest"] = latest is not None and world.author[latest.ref] == "thief" and latest.key == "K"
        found["thief is latest, silent"] = found["thief is latest"] and silent(reading, world)
        found["thief's packs are latest"] = latest is not None and poisoned(world, latest, bad, newest.accepted)
        found["honest entry does not count"] = honest is not None and world.read(pins[pin]).status.get(honest.ref) != "counts"
        found["honest entry pending or void, not unproven"] = any(
            status in ("pending", "void") and ref not in reading.unproven and world.author[ref] == "honest" and before.status.get(ref, "counts") == "counts"
            for ref, status in reading.status.items())
        found["a sweep deletes honest snapshots"] = not stolen_reaper and bool(lost_snapshots(before, reading, world))
        found["honest snapshot became suspect"] = bool(newly_suspect(before, reading, world))
        found["deletions stop"] = reading.stopped and not before.stopped
        found["no latest though there was one"] = before.latest is not None and reading.latest is None
        counts[pin, "worlds"] += 1
        for what, is_so in found.items():
            counts[pin, what] += is_so
            if is_so:
                examples.setdefault((pin, what), []).append(f"{name}: {history.events} {thief.acts}")


def search(seed, count):
    """Prints how often each property fails, and the shortest example."""
    for scenario, powers in SCENARIOS.items():
        counts, examples = collections.Counter(), {}
        for number in range(count):
            name = f"{seed}/{scenario}/{number}"
            examine(random.Random(name), name, powers, counts, examples)
        print(scenario)
        for (pin, what), times in sorted(counts.items()):
            example = min(examples.get((pin, what), [""]), key=len)
            print(f"    pin {pin:7} {what:44} {times:6}  {example}")
