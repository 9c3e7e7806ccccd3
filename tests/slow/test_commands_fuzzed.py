"""A sample of the command lines of `command_lines`, over every verb."""

import pytest
import typer

import command_lines
from polyglance import cli


@pytest.mark.slow
def test_two_hundred_command_lines(tmp_path):
    assert command_lines.run(200, seed=7, folder=tmp_path) == []


def test_the_grammar_knows_every_verb():
    command = typer.main.get_command(cli.app)
    assert {verb.words[0] for verb in command_lines.VERBS} == set(command.commands)
    options = {
        (verb.words[0], option)
        for verb in command_lines.VERBS
        for option, _ in (*verb.always, *verb.perhaps)
        if option is not None
    }
    for name, option in options:
        verb = command.commands[name]
        taken = [
            opt
            for each in (verb, *getattr(verb, "commands", {}).values())
            for parameter in each.params
            for opt in parameter.opts
        ]
        assert option in taken, f"{name} {option}"


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ((0, "done", ""), None),
        ((2, "", "error: x\n  -> y\n"), None),
        ((2, "", "error: x\n"), "two lines"),
        ((70, "", "error: this is a bug\n  -> y\n"), "exit code"),
        ((2, "", "Traceback (most recent call last)\nerror: x\n  -> y"), "exit code"),
        ((0, "", ""), "empty answer"),
        ((0, '{"hits": []}', ""), "empty answer"),
        ((0, "\x1b]0;x", ""), "steer"),
        ((0, '{"a": NaN}', ""), "JSON"),
        ((None, "", "hung"), "hung"),
    ],
)
def test_what_is_a_fault_of_a_reply(reply, fault):
    found = command_lines.faults(["search", "--json"], [], reply, {}, {})
    assert found == [] if fault is None else fault in found[0]


@pytest.mark.parametrize(
    ("argv", "places", "before", "after", "fault"),
    [
        (["train"], ["new"], {}, {"new": None, "new/pack.json": b""}, None),
        (["train"], ["new/deep"], {}, {"new": None, "new/deep": None}, None),
        (["train"], ["new"], {"a": b"1"}, {}, "a was written"),
        (["train"], ["a"], {"a": b"1"}, {"a": b"2"}, "a was changed or removed"),
        (["search"], [], {"index/x": b"1"}, {}, None),
        (["train"], ["pack"], {"pack/x": b"1"}, {}, "pack/x was changed"),
        (["train", "--force"], ["pack"], {"pack/x": b"1"}, {}, None),
        (["eval"], ["results.jsonl"], {"results.jsonl": b"1"}, {"results.jsonl": b"2"}, None),
        (["search"], [], {}, {"precious/x": b"1"}, "precious/x was written"),
    ],
)
def test_what_is_a_fault_of_the_disk(argv, places, before, after, fault):
    found = command_lines.faults(argv, places, (0, "done", ""), before, after)
    assert found == [] if fault is None else fault in found[0]
