"""What nvcc made of the kernels: registers, local and shared memory and 16-byte loads, from the objects it wrote.

    python cuda/check_binary.py CUOBJDUMP OBJECT...

Prints a line per kernel and architecture. Fails if a kernel whose name does not say "generic" uses local memory, which
means that registers were spilled, or if one that owns vectors of 16 bytes never loads one.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

RESOURCES = re.compile(r"Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
ARCHITECTURE = re.compile(r"^arch = (sm_\w+)$", re.MULTILINE)
VECTOR_LOAD = re.compile(r"\bLDG\.E\.128\b")


@dataclass
class Kernel:
    name: str
    architecture: str
    registers: int
    local: int
    shared: int
    vector_loads: int = 0

    @property
    def owns_vectors(self) -> bool:
        """Whether a thread loads 16 bytes at a time: of a row, or of enough channels."""
        if "ForwardColumns" in self.name:
            return True
        channels = re.search(r"ForwardLanes<(.*), (\d+)>\s*>", self.name)
        return bool(channels) and int(channels[2]) * (2 if "Half<" in channels[1] else 4) == 16

    def problem(self) -> str | None:
        if self.local > 0 and "generic" not in self.name:
            return f"{self.local} bytes of local memory"
        if self.owns_vectors and self.vector_loads == 0:
            return "no load of 16 bytes"
        return None

    def __str__(self) -> str:
        return (
            f"{self.architecture:>7} {self.registers:4d} registers {self.local:3d} local {self.shared:3d} shared "
            f"{self.vector_loads:3d} x 16 bytes  {self.name}"
        )


def run(*command: str, text: str | None = None) -> str:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def plain(name: str) -> str:
    """A kernel's template arguments, without namespaces and with windows in short."""
    match = re.search(r"run_items<(.*) ?>\(", name)
    name = re.sub(r"voxpool::(cuda::)?", "", match[1] if match else name)
    return re.sub(r"FixedAxis<(\d+), (\d+), (\d+)>", r"k\1s\2d\3", name)


def kernels(cuobjdump: str, path: Path) -> list[Kernel]:
    found = {}
    # One section for each architecture, headed by its name.
    _, *sections = ARCHITECTURE.split(run(cuobjdump, "--dump-resource-usage", str(path)))
    for architecture, section in zip(sections[::2], sections[1::2], strict=True):
        for mangled, registers, stack, shared, local in RESOURCES.findall(section):
            found[architecture, mangled] = Kernel(
                mangled, architecture, int(registers), int(stack) + int(local), int(shared)
            )
    _, *sections = ARCHITECTURE.split(run(cuobjdump, "--dump-sass", str(path)))
    for architecture, section in zip(sections[::2], sections[1::2], strict=True):
        for body in section.split("Function : ")[1:]:
            found[architecture, body.split(None, 1)[0]].vector_loads = len(VECTOR_LOAD.findall(body))
    names = run("c++filt", text="\n".join(kernel.name for kernel in found.values())).splitlines()
    for kernel, name in zip(found.values(), names, strict=True):
        kernel.name = plain(name)
    return list(found.values())


def main(cuobjdump: str, *objects: str) -> int:
    every = [kernel for path in objects for kernel in kernels(cuobjdump, Path(path))]
    print(*sorted(map(str, every)), sep="\n")
    problems = [f"{kernel.architecture} {kernel.name}: {kernel.problem()}" for kernel in every if kernel.problem()]
    vectors = sum(kernel.owns_vectors for kernel in every)
    print(f"{len(every)} kernels, {vectors} of them with loads of 16 bytes to check, {len(problems)} problems")
    print(*problems, sep="\n")
    return 1 if problems or not vectors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
