"""Worlds for the readers of format 1.

worlds.py generate --seed N --count K --out DIR [--kind random|exhaustive|attacks]   repositories and what a reader must answer
worlds.py mutate --seed N --count K --out DIR                                        repositories with spoiled bytes
worlds.py check --reader CMD DIR                                                     compares a reader with what was expected
worlds.py compare --reader CMD --other CMD DIR                                       compares two readers
worlds.py search --seed N --count K                                                  looks for holes in the rules themselves
"""

import argparse
import collections
import itertools
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile

import worlds_attacks
import worlds_mutate
import worlds_random
import worlds_search
from worlds_builder import World

SHOWN = 20


def random_worlds(seed, count):
    """Worlds, pins and no demands."""
    for number in range(count):
        world, pins = worlds_random.random_world(random.Random(f"{seed}/{number}"), f"random {seed}/{number}")
        yield world, pins, None


def line_of(world, pins, directory, wanted):
    """One line of expected.jsonl."""
    line = {"directory": directory, "repository": world.repository, "pins": world.pin_texts(pins), "expected": world.expected(pins),
            "name": world.name}
    if wanted is not None:
        line["must"] = wanted
    if world.weakness:
        line["weakness"] = world.weakness
    return line


def generate(arguments):
    """Writes worlds and expected.jsonl."""
    kinds = {"random": lambda: random_worlds(arguments.seed, arguments.count), "attacks": worlds_attacks.attack_worlds,
             "exhaustive": worlds_attacks.exhaustive_worlds}
    os.makedirs(arguments.out, exist_ok=True)
    with open(os.path.join(arguments.out, "expected.jsonl"), "w", encoding="utf-8") as out:
        for number, (world, pins, wanted) in enumerate(itertools.islice(kinds[arguments.kind](), arguments.count or None)):
            directory = f"{number:06}"
            world.save(os.path.join(arguments.out, directory))
            out.write(json.dumps(line_of(world, pins, directory, wanted)) + "\n")


def mutate(arguments):
    """Writes spoiled worlds and batch.jsonl."""
    os.makedirs(arguments.out, exist_ok=True)
    with open(os.path.join(arguments.out, "batch.jsonl"), "w", encoding="utf-8") as out:
        for number in range(arguments.count):
            rng = random.Random(f"mutate {arguments.seed}/{number}")
            history = worlds_random.History(rng, f"mutate {arguments.seed}/{number}").run(rng.randint(1, 3), 4)
            world, directory = history.world, f"{number:06}"
            files = world.all_files()
            for _ in range(rng.choice([1, 1, 2, 3])):
                worlds_mutate.spoil(rng, world, files)
            spoiled = World(world.name)
            spoiled.extra = files
            spoiled.save(os.path.join(arguments.out, directory))
            pins = world.pin_texts(rng.choice([[], [], [history.newest.ref], [(history.newest.ref, frozenset())]]))
            out.write(json.dumps({"directory": directory, "repository": world.repository, "pins": pins, "name": world.name}) + "\n")


# Comparing.

def lines_of(directory):
    """The lines of a directory of worlds, whichever kind it is."""
    for name in ("expected.jsonl", "batch.jsonl"):
        path = os.path.join(directory, name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return [json.loads(line) for line in file]
    sys.exit(f"{directory}: neither expected.jsonl nor batch.jsonl")


def answers(command, directory, lines):
    """What a reader says, one object a world."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as batch:
        for line in lines:
            asked = {name: line[name] for name in ("repository", "pins")}
            asked["directory"] = os.path.abspath(os.path.join(directory, line["directory"]))
            batch.write(json.dumps(asked) + "\n")
        batch.flush()
        done = subprocess.run([*shlex.split(command), "--batch", batch.name], stdout=subprocess.PIPE, check=False)
    told = [json.loads(text) for text in done.stdout.decode().splitlines()]
    if done.returncode or len(told) != len(lines):
        sys.exit(f"{command}: exit {done.returncode}, {len(told)} answers for {len(lines)} worlds")
    return told


def differences(expected, told, where=""):
    """Where two answers differ: the place, and both values."""
    if where == "" and expected["policy"]["error"] and told.get("policy", {}).get("error") == expected["policy"]["error"]:
        return [] if told.get("latest") is None else [("latest", expected["latest"], told["latest"])]
    if isinstance(expected, dict) and isinstance(told, dict):
        found = []
        for name in sorted({*expected, *told} if where else set(expected)):
            found += differences(expected.get(name), told.get(name), f"{where}.{name}".lstrip("."))
        return found
    return [] if expected == told else [(where, expected, told)]


def report(lines, pairs):
    """Prints the first differences. The answer is the exit code."""
    fields, shown, wrong = collections.Counter(), 0, 0
    for line, (one, other) in zip(lines, pairs):
        found = differences(one, other)
        wrong += bool(found)
        fields.update({".".join(place.split(".")[:1 if place.startswith(("entries", "snapshots")) else 2]) for place, _, _ in found})
        if found and shown < SHOWN:
            shown += 1
            print(f"{line['directory']} {line['name']}")
            for place, left, right in found[:6]:
                print(f"    {place}: {json.dumps(left)} / {json.dumps(right)}")
    print(f"{len(lines)} worlds, {wrong} differ {dict(fields) or ''}")
    return 1 if wrong else 0


def check(arguments):
    """A reader against what was expected."""
    lines = lines_of(arguments.directory)
    told = answers(arguments.reader, arguments.directory, lines)
    return report(lines, [(line["expected"], one) for line, one in zip(lines, told)])


def compare(arguments):
    """Two readers against each other."""
    lines = lines_of(arguments.directory)
    return report(lines, list(zip(*(answers(command, arguments.directory, lines) for command in (arguments.reader, arguments.other)))))


def search(arguments):
    """Prints what the rules let through."""
    worlds_search.search(arguments.seed, arguments.count)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for function in (generate, mutate, search):
        command = commands.add_parser(function.__name__)
        command.set_defaults(run=function)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--count", type=int, default=0)
        if function is not search:
            command.add_argument("--out", required=True)
        if function is generate:
            command.add_argument("--kind", choices=["random", "exhaustive", "attacks"], default="random")
    for function in (check, compare):
        command = commands.add_parser(function.__name__)
        command.set_defaults(run=function)
        command.add_argument("--reader", required=True)
        command.add_argument("directory")
        if function is compare:
            command.add_argument("--other", required=True)
    arguments = parser.parse_args()
    sys.exit(arguments.run(arguments))


if __name__ == "__main__":
    main()
