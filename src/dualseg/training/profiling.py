"""Where the time of a few training steps goes: a table, and a trace for a browser."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from dualseg.core.files import TEMPORARY_MARK, write_text

PROFILE_FOLDER = "profile"
TABLE_FILE, TRACE_FILE = "table.txt", "trace.json"
SKIPPED_STEPS = 2  # the first ones allocate and choose algorithms
MEASURED_STEPS = 5
ROWS = 30


class StepProfiler:
    """Measures a few steps near a run's beginning; told of each step, it knows when.

    Writes `table.txt`, operations by their own time, and `trace.json`, which chrome://tracing and
    ui.perfetto.dev show.

    Args:
        folder: Where they go; made when there is something to write.
        report: Is told where they are.
    """

    def __init__(self, folder: Path, *, report: Callable[[str], None]):
        self.folder = folder
        self._report = report
        self._seen = 0
        self._profile: profile | None = None

    def __call__(self, step: int) -> None:
        """A step is done."""
        self._seen += 1
        if self._seen == SKIPPED_STEPS:
            activities = [ProfilerActivity.CPU]
            if torch.cuda.is_available():
                activities.append(ProfilerActivity.CUDA)
            self._profile = profile(activities=activities, record_shapes=True)
            self._profile.start()
        elif self._seen == SKIPPED_STEPS + MEASURED_STEPS:
            self.close()

    def close(self) -> None:
        """Writes what was measured, if the run was long enough to measure anything."""
        measured, self._profile = self._profile, None
        if measured is None:
            if self._seen < SKIPPED_STEPS:
                self._report(f"warning: nothing to profile in a run of {self._seen} steps")
            return
        measured.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        of_gpu = torch.cuda.is_available()
        key = "self_device_time_total" if of_gpu else "self_cpu_time_total"
        table = measured.key_averages().table(sort_by=key, row_limit=ROWS)
        write_text(self.folder / TABLE_FILE, f"{table}\n")
        temporary = self.folder / f"{TEMPORARY_MARK}{os.getpid()}-{TRACE_FILE}"
        measured.export_chrome_trace(str(temporary))
        os.replace(temporary, self.folder / TRACE_FILE)
        self._report(f"profile of {self._seen - SKIPPED_STEPS} steps: {self.folder / TABLE_FILE}")
