"""Hostile calls of every public entry, in processes of their own: refused as documented or right, never a crash."""

import pytest

import hostile


@pytest.mark.parametrize("table", hostile.TABLES)
def test_every_case_is_refused_as_documented_or_right(table, record_property):
    counts = hostile.run(table)
    record_property("cases", f"hostile {table}: {counts['refused']} cases refused, {counts['answered']} answered")


def test_faults_are_noticed():
    with pytest.raises(AssertionError) as raised:
        hostile.run("faults")
    verdicts = dict(line.split(": ", 2)[1:] for line in str(raised.value).splitlines() if line.startswith("faults: "))
    assert {name: verdict.split(":")[0] for name, verdict in verdicts.items()} == {
        "signal": "ends the process with -11",
        "abort": "ends the process with -6",
        "exit": "ends the process with 0",
        "SystemExit": "undocumented",
        "no end": "takes too long",
        "accepted": "accepted",
        "undocumented": "undocumented",
        "internal": "an internal assertion",
        "wrong": "wrong",
        "refused": "refused, but describes a pooling",
        "memory": "refused, but describes a pooling",
        "afterwards": "refused; pooling afterwards",
    }
