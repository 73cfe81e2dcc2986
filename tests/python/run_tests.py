#!/usr/bin/env python3
"""Runs the tests of this crate, each in a process of its own, and says how long they took. `tests/run` calls it.

    run_tests.py [fast|slow|servers] [WORD ...]

Every test is in one group: `servers` holds those that are ignored because they need what `tests/run` sets up, `slow` the
modules of SLOW, `fast` all others. With words, only tests with one of them in their name are run. Three times as many
tests run at once as there are processors, because most wait for other processes; the slow ones first. A test that hangs is
killed; none is tried again.
"""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GROUPS = ("slow", "servers", "fast")
# Modules whose tests take long: they kill at every request, play many rounds, or wait for real daemons.
SLOW = re.compile(
    r"^it (capture::(faults|oracle)|cli::bad_input|daemon::(processes|shipped_schedules)|doctor::backups"
    r"|repository::faulty_bucket|restore::(issued_)?kill|sweep::(beside|hostile)|verify::every_(byte|object))::")
# Not a test: it writes a fixture, by hand.
BY_HAND = "readers::format_1::make_the_fixture"
LONG = os.environ.get("KEYHAVEN_TEST_LONG") == "1"
# Seconds after which a test that hangs is killed: far more than any takes on a busy machine.
LIMITS = {"fast": 900, "slow": 1800, "servers": 1800}
if LONG:
    LIMITS = dict.fromkeys(GROUPS, 3 * 3600)
# A test of `fast` that takes longer than this belongs to another group.
FAST_SECONDS = 20
# The process groups of the tests that run now.
RUNNING = set()


class Test:
    def __init__(self, binary, executable, name, ignored):
        self.label = f"{binary} {name}"
        self.executable, self.name = executable, name
        self.group = "servers" if ignored else "slow" if SLOW.match(self.label) else "fast"
        self.seconds, self.failure = 0.0, None

    def run(self):
        limit = LIMITS[self.group]
        command = [self.executable, "--exact", self.name, "--include-ignored", "--nocapture", "--test-threads=1"]
        environment = dict(os.environ, CARGO_MANIFEST_DIR=ROOT)
        began = time.monotonic()
        # A file, not a pipe: what a test leaves behind may hold its output open.
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True)
            RUNNING.add(process.pid)
            try:
                process.wait(limit)
                problem = ""
            except subprocess.TimeoutExpired:
                # With the processes that it started.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                problem = f"killed after {limit} s\n"
            RUNNING.discard(process.pid)
            output.seek(0)
            text = output.read().decode(errors="replace")
        passed = process.returncode == 0 and "test result: ok. 1 passed" in text
        self.failure = None if passed else text + problem
        self.seconds = time.monotonic() - began
        return self


def build():
    """Compiles the tests; the executables by the name of their target."""
    command = ["cargo", "test", "--locked", "--lib", "--bins", "--tests", "--no-run",
               "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
    built = [one for one in messages if one.get("executable") and one["profile"]["test"]]
    return [("it" if one["target"]["name"] == "it" else one["target"]["kind"][0], one["executable"]) for one in built]


def listed(binary, executable):
    def names(*more):
        output = subprocess.run([executable, "--list", *more], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        return [line[:-len(": test")] for line in output.decode().splitlines() if line.endswith(": test")]
    ignored = set(names("--ignored"))
    return [Test(binary, executable, name, name in ignored) for name in names() if name != BY_HAND]


def run(tests):
    """Runs the tests; what fails is shown at once."""
    with concurrent.futures.ThreadPoolExecutor(3 * (os.cpu_count() or 1)) as workers:
        began = concurrent.futures.as_completed([workers.submit(test.run) for test in tests])
        for number, done in enumerate(began, 1):
            test = done.result()
            if number % 100 == 0 or number == len(tests):
                print(f"{number} of {len(tests)} tests", flush=True)
            if test.failure:
                print(f"\n---- FAILED {test.label} ({test.seconds:.1f} s)\n{test.failure}", flush=True)


def report(tests, seconds):
    print(f"\n{'group':10}{'tests':>7}{'failed':>8}{'seconds':>10}")
    for group in GROUPS:
        members = [test for test in tests if test.group == group]
        if members:
            failed = sum(bool(test.failure) for test in members)
            print(f"{group:10}{len(members):7}{failed:8}{sum(test.seconds for test in members):10.1f}")
    print("\nten slowest tests:")
    for test in sorted(tests, key=lambda test: -test.seconds)[:10]:
        print(f"{test.seconds:8.1f} s  {test.group:8} {test.label}")
    for test in tests:
        if test.group == "fast" and test.seconds > FAST_SECONDS and not LONG:
            print(f"not fast: {test.label} took {test.seconds:.1f} s; add its module to SLOW in run_tests.py")
    failed = sum(bool(test.failure) for test in tests)
    print(f"\ntest result: {'FAILED' if failed else 'ok'}. {len(tests) - failed} passed; {failed} failed")
    print("times: " + ", ".join(f"{what} {spent:.0f} s" for what, spent in seconds))


def main():
    arguments = sys.argv[1:]
    groups = [arguments.pop(0)] if arguments and arguments[0] in GROUPS else GROUPS
    began = time.monotonic()
    binaries = build()
    built = time.monotonic()
    tests = [test for binary, executable in binaries for test in listed(binary, executable)]
    tests = [test for test in tests if test.group in groups]
    tests = [test for test in tests if not arguments or any(word in test.label for word in arguments)]
    if not tests:
        sys.exit(f"no test of {', '.join(groups)} has {' or '.join(arguments)} in its name")
    tests.sort(key=lambda test: GROUPS.index(test.group))
    run(tests)
    seconds = [("compile", built - began), ("tests", time.monotonic() - built)]
    set_up = os.environ.get("KEYHAVEN_TEST_SETUP_SECONDS")
    report(tests, [("set-up", float(set_up))] + seconds if set_up else seconds)
    failed = [test.label for test in tests if test.failure]
    if failed:
        print("\nfailed:\n  " + "\n  ".join(failed))
        sys.exit(1)


def stop(number, _frame):
    """Ends the tests that run, which a signal to this process alone does not reach."""
    for group in list(RUNNING):
        os.killpg(group, signal.SIGKILL)
    os._exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    main()
