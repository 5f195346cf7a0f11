#!/usr/bin/env python3
"""Runs a program under valgrind and fails at accesses outside of blocks and uses of uninitialised memory below voxpool.

    tests/cpp/valgrind.py PROGRAM [ARGUMENT ...]

What torch and its libraries do by themselves is not ours: only errors with a function of voxpool's on the stack count.
"""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree


def frames(error):
    for frame in error.iterfind("stack/frame"):
        place = frame.findtext("file")
        line = frame.findtext("line")
        name = frame.findtext("fn", frame.findtext("ip"))
        yield name + (f" ({place}:{line})" if place else f" (in {frame.findtext('obj')})")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.NamedTemporaryFile(suffix=".xml") as log:
        options = ["--xml=yes", f"--xml-file={log.name}", "--num-callers=40", "--error-limit=no"]
        try:
            status = subprocess.run(["valgrind", *options, *sys.argv[1:]], check=False).returncode
        except FileNotFoundError:
            sys.exit("valgrind was not found: install Debian's package valgrind")
        errors = ElementTree.parse(log.name).getroot().findall("error")
    ours = [error for error in errors if any("voxpool" in frame for frame in frames(error))]
    for error in ours:
        print(error.findtext("what") or error.findtext("xwhat/text"), *frames(error), sep="\n    ")
    print(f"valgrind: {len(ours)} errors below voxpool, {len(errors) - len(ours)} elsewhere")
    sys.exit(status or bool(ours))


main()
