#!/usr/bin/env python3
"""An independent second reader of repositories of format 1.

It is written from the page of the format alone, reads a repository in a directory, and prints one JSON document with
what it found. Exit code 0: no problem; 1: problems; 2: bad usage. With `--batch` it reads many repositories (signed
part only) and prints one line for each.
"""

import argparse
import json
import os
import re
import sys

from second_reader_objects import MAX_PLAIN, Missing, Objects, names_under, read_plain
from second_reader_text import DIGEST, Refused, decode_base64, digest_of, policy_reference, self_test
from second_reader_trust import (
    MAX_ENTRY,
    MAX_POLICY,
    Graph,
    Judgement,
    PolicyPool,
    Snapshots,
    check_sequence,
    judge_chain,
    parse_entry,
    parse_policy,
)

POLICY_NAME = re.compile(r"trust/([0-9]{6}-[0-9a-f]{64})\.json")
ENTRY_NAME = re.compile(r"ledger/([0-9]{9})/([0-9]{12}-[0-9a-f]{64})\.json")
STATE_PROBLEMS = {
    "void": "does not count",
    "pending": "is pending: its policy is not known, or it is not in reach",
    "stranger": "is by a key that no policy in force lists",
}
ERRORS = {
    "pins": "The pins do not agree: none names all the others.",
    "pin_missing": "A pinned version of the policy is nowhere.",
    "no_policy": "Version 1 of the policy is not there.",
}


class BadUsage(Exception):
    """A call that this command cannot obey."""


# Pins


def parse_pin(word):
    """Reference and envelope of a pin, None where it has no envelope."""
    reference, equals, envelope = word.partition("=")
    try:
        policy_reference(reference)
        return reference, decode_base64(envelope) if equals else None
    except Refused as error:
        raise BadUsage(f"a pin {error}") from None


# Reading the signed part


def policy_name(name):
    match = POLICY_NAME.fullmatch(name)
    return match and match.group(1)


def entry_name(name):
    match = ENTRY_NAME.fullmatch(name)
    if not match or int(match.group(2)[:12]) // 1000 != int(match.group(1)):
        return None
    return match.group(2)


class SignedPart:
    """Policies and entries of a repository."""

    def __init__(self, directory, repository):
        self.directory = directory
        self.repository = repository
        self.pool = PolicyPool(repository)
        self.documents = []  # what fulfils the rules of an entry but for its sequence
        self.entries = []
        self.rubbish = 0
        self.problems = []

    def read(self, pins):
        self._read_names("ledger", entry_name, self._add_document)
        documents = {entry.digest: entry.sequence for entry in self.documents}
        for entry in self.documents:
            self._add_entry(entry, documents)
        self._read_names("trust", policy_name, self._add_policy)
        for reference, envelope in pins:
            if envelope is not None:
                self._add_pin(reference, envelope)

    def _read_names(self, top, reference_in, add):
        names, faults = names_under(self.directory, top)
        self.problems += faults
        for name in names:
            try:
                reference = reference_in(name)
                if reference is None:
                    raise Refused("has a name that is not of the layout")
                add(os.path.join(self.directory, name), reference)
            except (Refused, Missing) as error:
                self._add_rubbish(name, error)

    def _add_rubbish(self, name, error):
        self.rubbish += 1
        self.problems.append(f"Rubbish: {name} {error}.")

    def _add_document(self, path, reference):
        self.documents.append(parse_entry(read_plain(path, MAX_ENTRY), self.repository, reference))

    def _add_entry(self, entry, documents):
        try:
            check_sequence(entry, documents)
        except Refused as error:
            self._add_rubbish(entry.reference, error)
            return
        self.entries.append(entry)
        if entry.carried:
            self.pool.add(*entry.carried)

    def _add_policy(self, path, reference):
        policy, signatures = parse_policy(read_plain(path, MAX_POLICY), reference)
        if not self.pool.add(policy, signatures):
            raise Refused("is a policy of another repository")

    def _add_pin(self, reference, envelope):
        try:
            policy, signatures = parse_policy(envelope, reference)
            if not self.pool.add(policy, signatures):
                raise Refused("is a policy of another repository")
        except Refused as error:
            self.problems.append(f"The bytes of the pin {reference} are not used: it {error}.")


# The report


def policy_report(chain):
    return {
        "in_force": sorted(policy.reference for policy in chain.branches),
        "fit": sorted(chain.fit),
        "missing": sorted(chain.missing),
        "fork": chain.is_fork,
        "error": chain.error,
    }


def chain_problems(chain):
    problems = [ERRORS[chain.error]] if chain.error else []
    if chain.is_fork:
        problems.append("The trust policy is forked.")
    return problems + [f"The version {name} of the policy is missing." for name in sorted(chain.missing)]


def ledger_problems(report):
    problems = [
        f"The entry {reference} {STATE_PROBLEMS[state]}."
        for reference, state in report["entries"].items()
        if state != "counts"
    ]
    problems += [f"The entry {name} is unproven." for name in report["unproven"]]
    problems += [f"A hole: the entry {name} is not there." for name in report["holes"]]
    problems += [f"The sweep {name} came early." for name in report["early_sweeps"]]
    if report["latest_refused"]:
        problems.append("No snapshot is the latest while a snapshot is pending.")
    return problems


def latest_of(snapshots, described):
    good = [
        one.reference
        for one in snapshots.snapshots
        if described[one.reference]["state"] == "live" and not described[one.reference]["suspect"]
    ]
    return max(good, default=None)


def empty_counts():
    names = ["entries", "entries_ignored", "snapshots", "parts", "items", "packs", "payloads", "pointers"]
    return {name: 0 for name in names}


def signed_report(part, chain, judgement, snapshots):
    described = {one.reference: snapshots.describe(one) for one in snapshots.snapshots}
    is_refused = bool(snapshots.pending())
    counts = empty_counts()
    counts["entries"] = len(judgement.counting)
    counts["entries_ignored"] = len(part.entries) - len(judgement.counting)
    counts["snapshots"] = len(described)
    return {
        "ok": False,
        "problems": [],
        "policy": policy_report(chain),
        "entries": judgement.states,
        "unproven": sorted(judgement.unproven()),
        "heads": sorted(judgement.heads()),
        "holes": judgement.holes(),
        "rubbish": part.rubbish,
        "snapshots": described,
        "latest": None if is_refused else latest_of(snapshots, described),
        "latest_refused": is_refused,
        "early_sweeps": sorted(snapshots.early_sweeps()),
        "counts": counts,
    }


def recover_problems(directory, chain):
    try:
        actual = digest_of(read_plain(os.path.join(directory, "RECOVER.md"), MAX_PLAIN))
    except (Missing, Refused) as error:
        return [f"RECOVER.md {error}."]
    return [
        f"RECOVER.md has another digest than in {policy.reference}."
        for policy in chain.branches
        if policy.predicate["settings"]["recover_md"] != actual
    ]


def check_objects(directory, repository, chain, snapshots, report, options):
    needed = [
        one
        for one in snapshots.snapshots
        if report["snapshots"][one.reference]["state"] != "swept" and not chain.all_list("snapshots", one.digest)
    ]
    lists = [policy.lists["packs"] for policy in chain.branches]
    lost = frozenset.intersection(*lists) if lists else frozenset()
    objects = Objects(directory, repository, options.catalogue_identity, options.recovery_identity)
    objects.check(needed, snapshots.policies, lost)
    report["counts"].update(objects.counts())
    return recover_problems(directory, chain) + objects.problems


def read_repository(directory, repository, pins, options):
    part = SignedPart(directory, repository)
    part.read(pins)
    chain = judge_chain(part.pool, sorted({reference for reference, _ in pins}))
    judgement = Judgement(Graph(part.entries), chain)
    snapshots = Snapshots(judgement, part.pool.policies)
    report = signed_report(part, chain, judgement, snapshots)
    problems = chain_problems(chain) + part.problems + ledger_problems(report)
    if not options.policy_only:
        problems += check_objects(directory, repository, chain, snapshots, report, options)
    report["problems"] = problems
    report["ok"] = not problems
    return report


def failed_report(problem):
    return {
        "ok": False,
        "problems": [problem],
        "policy": {"in_force": [], "fit": [], "missing": [], "fork": False, "error": "no_policy"},
        "entries": {},
        "unproven": [],
        "heads": [],
        "holes": [],
        "rubbish": 0,
        "snapshots": {},
        "latest": None,
        "latest_refused": False,
        "early_sweeps": [],
        "counts": empty_counts(),
    }


# The command


def parse_job(line):
    """Directory, repository id and pins of a line of a batch."""
    try:
        job = json.loads(line)
        directory, repository, pins = job["directory"], job["repository"], job.get("pins", [])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadUsage("a line of a batch is no job") from None
    if not isinstance(directory, str) or not isinstance(pins, list):
        raise BadUsage("a line of a batch is no job")
    if not all(isinstance(word, str) for word in [repository, *pins]) or not DIGEST.fullmatch(repository):
        raise BadUsage("a line of a batch is no job")
    return directory, repository, [parse_pin(pin) for pin in pins]


def read_batch_line(line, options):
    """The report on one repository; also a fault of this reader gives one."""
    try:
        return read_repository(*parse_job(line), options)
    except BadUsage as error:
        return failed_report(f"Bad usage: {error}.")
    except Exception as error:  # pylint: disable=broad-except
        return failed_report(f"The reader failed: {type(error).__name__}: {str(error)[:200]}.")


def read_batch(options):
    options.policy_only = True
    with open(options.batch, "rb") as file:
        for line in file:
            print(json.dumps(read_batch_line(line, options), separators=(",", ":")), flush=True)
    return 0


def read_one(options):
    if options.directory is None or options.repository is None:
        raise BadUsage("a directory and a repository id are needed")
    if not DIGEST.fullmatch(options.repository):
        raise BadUsage("a repository id is 64 lower-case hexadecimal digits")
    if not os.path.isdir(options.directory):
        raise BadUsage("there is no such directory")
    for identity in options.catalogue_identity + options.recovery_identity:
        if not os.path.isfile(identity):
            raise BadUsage(f"there is no identity file {identity}")
    pins = [parse_pin(pin) for pin in options.pin]
    report = read_repository(options.directory, options.repository, pins, options)
    print(json.dumps(report, indent=1))
    return 0 if report["ok"] else 1


def run_self_test():
    faults = self_test()
    for fault in faults:
        print(f"self-test: {fault}", file=sys.stderr)
    print(json.dumps({"ok": not faults, "faults": len(faults)}))
    return 1 if faults else 0


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("directory", nargs="?")
    parser.add_argument("repository", nargs="?")
    parser.add_argument("--pin", action="append", default=[], metavar="REF[=BASE64]")
    parser.add_argument("--policy-only", action="store_true")
    parser.add_argument("--catalogue-identity", action="append", default=[], metavar="FILE")
    parser.add_argument("--recovery-identity", action="append", default=[], metavar="FILE")
    parser.add_argument("--batch", metavar="FILE")
    parser.add_argument("--self-test", action="store_true")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse_options(arguments)
    sys.setrecursionlimit(20000)
    try:
        if options.self_test:
            return run_self_test()
        if options.batch:
            return read_batch(options)
        return read_one(options)
    except (BadUsage, OSError) as error:
        print(f"second_reader.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
