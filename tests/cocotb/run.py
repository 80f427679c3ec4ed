"""Builds the bench with Verilator and runs the tests: run.py ENDPOINT.v DIRECTORY."""

import os
import sys
from pathlib import Path

from cocotb.runner import get_results, get_runner

here = Path(__file__).resolve().parent
verilog, directory = (Path(argument).resolve() for argument in sys.argv[1:])
sys.path.insert(0, str(here))
# The interpreter inside the simulation inherits these; the warnings are about the packages themselves.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
os.environ["PYTHONWARNINGS"] = "ignore"

runner = get_runner("verilator")
runner.build(
    verilog_sources=[here / "bench.v", verilog],
    hdl_toplevel="bench",
    build_dir=directory,
    build_args=["-Wno-lint", "-Wno-style", "-Wno-TIMESCALEMOD"],
    timescale=("1ns", "1ps"),
    always=True,
)
results = runner.test(hdl_toplevel="bench", test_module="test_endpoint", build_dir=directory, seed=1)
count, failed = get_results(results)
print(f"{count} tests, {failed} failed")
sys.exit(1 if failed or not count else 0)
