"""A tracker registered with accelerate that keeps what it is told, and perhaps fails."""

import json
from contextlib import contextmanager
from typing import ClassVar

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

from polyglance.results import trackers


class Told(GeneralTracker):
    """Keeps settings and values; with a folder, as JSON lines in it."""

    name = "told"
    requires_logging_directory = True
    made: ClassVar[list] = []
    fails_at: str = ""

    def __init__(self, run_name, logging_dir):
        super().__init__()
        self.run_name, self.folder = run_name, logging_dir
        self.config, self.logged, self.finished = None, [], 0
        type(self).made.append(self)

    @property
    def tracker(self):
        return self

    def start(self):
        self._fail("start")

    def store_init_configuration(self, values):
        self._fail("config")
        self.config = json.loads(json.dumps(values))

    def log(self, values, step=None, **kwargs):
        self._fail("log")
        self.logged.append((step, json.loads(json.dumps(values))))

    def finish(self):
        self.finished += 1

    def _fail(self, where):
        if self.fails_at == where:
            raise RuntimeError(f"no {where} today")


@contextmanager
def registered(fails_at=""):
    """Within the block, `told` is a tracker that accelerate knows; gives those that are made."""
    LOGGER_TYPE_TO_CLASS["told"] = Told
    Told.made, Told.fails_at = [], fails_at
    try:
        yield Told.made
    finally:
        del LOGGER_TYPE_TO_CLASS["told"]


@contextmanager
def opened():
    """A run that is tracked."""
    with registered() as made, trackers.opened(["told"], run_name="test", config={}):
        yield made[0]
