"""What data must be like before anything is learned from them: rules, and their runner on Great Expectations."""

import logging
import os
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before its first import: nothing is reported to its makers

logging.getLogger("great_expectations").setLevel(logging.WARNING)  # it tells of its own wiring at length

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it tries every engine it knows, and some complain about each other
    import great_expectations  # noqa: F401 - imported to quieten it while nobody listens
