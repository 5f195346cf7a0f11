"""What machine this is, for reports of measurements. Linux keeps most of it in files; elsewhere less is known."""

import os
import platform
from pathlib import Path

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def processor() -> str:
    """The processor's name as its maker writes it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Processors this process may run on."""
    return len(os.sched_getaffinity(0))


def load() -> float:
    """Processes that wanted to run in the last minute, on average; 0 on an idle machine."""
    return os.getloadavg()[0]


def caches() -> dict[str, str]:
    """Sizes of the data caches that the first core sees, such as {"L1": "32K", "L2": "1024K"}."""
    sizes = {}
    for cache in sorted(_CACHES.glob("index*")):
        if _text(cache / "type") != "Instruction":
            sizes[f"L{_text(cache / 'level')}"] = _text(cache / "size")
    return sizes


def huge_pages() -> str:
    """The setting of transparent huge pages, of which fresh large outputs make use: always, madvise or never."""
    return _text(_HUGE_PAGES).partition("[")[2].partition("]")[0] or "unknown"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
