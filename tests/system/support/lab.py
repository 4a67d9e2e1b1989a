"""A lab of real processes for one test module: started by the supervisor, read over HTTP, stopped by pid."""

from loadtest.aio.lab import ROOT, Lab, LabError, copy_configs, wait_for

__all__ = ["ROOT", "Lab", "LabError", "copy_configs", "wait_for"]
