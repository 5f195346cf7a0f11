"""The machine code: kernels of an instruction set stay among themselves, and everything else runs on every x86-64."""

import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from support import build_tree

UNITS = re.compile(r"_ZZ*NK?7voxpool3cpu(4avx2|6avx512)")
# Where GCC's runtime asks the processor what it has, and what the system saves of it.
ASKS = re.compile(r"__cpu_indicator_init|get_available_features")
# Branches have no place to go to outside their function, and padding is nothing to run.
SKIPPED = re.compile(r"^((bnd|notrack|data16|cs|rex\.W|repz?) )*(j\w+|call|ret|loop\w*|nop\w*|xchg +%ax,%ax|endbr64)\b")


def instructions(code: Path) -> Iterator[tuple[str, str]]:
    """Each instruction of a library or object file, with the mangled name of the function it belongs to."""
    command = ["objdump", "--disassemble", "--no-show-raw-insn", "--no-addresses", str(code)]
    function = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("<"):
                function = line[1 : line.rindex(">")]
            elif line.startswith("\t"):
                yield line.split("#")[0].split("<")[0].strip(), function
    assert process.returncode == 0


def too_new(lines: Iterable[str]) -> list[int]:
    """Numbers of the lines that the assembler refuses when it is told to take what every x86-64 has, and no more."""
    command = ["as", "-march=generic64", "-o", "/dev/null", "-"]
    result = subprocess.run(command, check=False, capture_output=True, text=True, input="\n".join(lines) + "\n")
    return [int(number) - 1 for number in re.findall(r"^{standard input}:(\d+): Error", result.stderr, re.M)]


def outside_of_units(code: Path) -> dict[str, str]:
    """Where each instruction, whatever its numbers, is found first."""
    found: dict[str, str] = {}
    for instruction, function in instructions(code):
        if not UNITS.match(function) and not ASKS.match(function) and not SKIPPED.match(instruction):
            # Older processors read tzcnt as bsf, and compilers use it where both give the same.
            found.setdefault(re.sub(r"-?0x[0-9a-f]+", "0x10", instruction).replace("tzcnt", "bsf"), function)
    return found


def test_units_define_nothing_shared() -> None:
    # The linker keeps one of several weak definitions: it could be one the processor cannot run.
    objects = sorted(build_tree().glob("csrc/cpu/CMakeFiles/voxpool_kernels.dir/avx*.o"))
    if platform.machine() == "x86_64":
        assert [o.name for o in objects] == ["avx2.cpp.o", "avx512.cpp.o"]
    for unit in objects:
        command = ["nm", "-C", "--defined-only", str(unit)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        # DW.ref.*: a pointer to the C++ runtime's exception handler, the same in every unit.
        assert [line for line in lines if line.split()[1] in "VvWwu" and "DW.ref." not in line] == []


# Elsewhere there are no units, and the compiler's own minimum is the library's.
if platform.machine() == "x86_64":

    def test_the_assembler_knows_what_is_new() -> None:
        old = ["addps %xmm0,%xmm1", "movdqu %xmm0,0x10(%rax)", "lock cmpxchg %rax,(%rbx)", "cvttsd2si %xmm0,%rax"]
        sse3, sse4 = ["haddps %xmm0,%xmm1", "pshufb %xmm0,%xmm1"], ["pmaxsd %xmm0,%xmm1", "popcnt %rax,%rbx"]
        avx = ["vaddps %xmm0,%xmm1,%xmm2", "vpmaxsd %ymm0,%ymm1,%ymm2", "kmovq %k1,%rax", "andn %rax,%rbx,%rcx"]
        assert too_new(old) == []
        assert too_new(sse3 + sse4 + avx) == list(range(8))

    @pytest.mark.parametrize("library", ["libvoxpool.so", "_C*.so"])
    def test_only_units_need_a_new_processor(library: str) -> None:
        # Not the installed ones, which have lost the names of their functions.
        found = outside_of_units(next(build_tree().glob(library)))
        assert len(found) > 1000
        instructions = list(found)
        refused = [f"{instructions[i]} in {found[instructions[i]]}" for i in too_new(instructions)]
        assert refused == []

    def test_the_kernels_of_an_instruction_set_use_it() -> None:
        # What the test above leaves out is what it means to leave out.
        used = dict.fromkeys(("4avx2", "6avx512"), 0)
        for instruction, function in instructions(build_tree() / "libvoxpool.so"):
            unit = UNITS.match(function)
            if unit:
                used[unit[1]] += ("%ymm" if unit[1] == "4avx2" else "%zmm") in instruction
        assert min(used.values()) > 1000
