"""Whether a page can be used by keyboard, with a screen reader and on a phone: as axe-core sees it, and by its width."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

DESKTOP, PHONE = 1200, 390
AXE = Axe()


def faults(tab: Any) -> list[str]:
    """Return what axe finds wrong with the page of a tab as a wide and as a narrow screen shows it, and what is too wide."""
    found = []
    for width in (DESKTOP, PHONE):
        tab.set_viewport_size({"width": width, "height": 900})
        for one in AXE.run(tab).response["violations"]:
            found += [f"{width} px {one['id']}: {node['html'][:160]}" for node in one["nodes"]]
        wide = tab.evaluate("document.documentElement.scrollWidth")
        found += [f"{wide} px of content on a screen of {width} px"] if wide > width else []
    return found
