"""Reads Terraform `import` blocks from standard input with a parser of the language; prints [[to, id], ...] as JSON."""

import json
import sys

import hcl2

blocks = hcl2.loads(sys.stdin.read())
others = set(blocks) - {"import"}
if others:
    sys.exit(f"something else than import blocks: {sorted(others)}")


def text(quoted):
    """What a quoted template without templates in it stands for; its escapes are those of JSON."""
    return json.loads(quoted).replace("$${", "${").replace("%%{", "%{")


def reference(wrapped):
    """The parser writes a reference as a template around it."""
    return wrapped.removeprefix("${").removesuffix("}")


found = []
for block in blocks.get("import", []):
    members = {name: value for name, value in block.items() if not name.startswith("__")}
    if set(members) != {"to", "id"}:
        sys.exit(f"an import block with {sorted(members)}")
    found.append([reference(members["to"]), text(members["id"])])
json.dump(found, sys.stdout)
