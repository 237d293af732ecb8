"""What holds for all tests that need more than Python."""

from tests.system.hooks import (
    pytest_collection_modifyitems,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_sessionstart,
    pytest_terminal_summary,
    pytest_xdist_make_scheduler,
)

# Hooks are what stands in here.
__all__ = [
    "pytest_collection_modifyitems",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
    "pytest_sessionstart",
    "pytest_terminal_summary",
    "pytest_xdist_make_scheduler",
]
