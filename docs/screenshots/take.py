"""Take pictures of all pages in both themes: python docs/screenshots/take.py URL TOKEN FOLDER

Needs playwright and a Chromium (LOOPLINE_CHROMIUM, else the one on the path).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

TALLEST = 1600
PAGES = (
    ("home", "/"),
    ("runs", "/runs"),
    ("pipelines", "/pipelines"),
    ("models", "/models"),
    ("gates", "/gates"),
    ("endpoints", "/endpoints"),
    ("monitors", "/monitors"),
    ("policies", "/policies"),
    ("datasets", "/datasets"),
    ("trace", "/trace"),
)
FIRSTS = (
    ("run", "/pipelines", "main tbody a[href^='/runs/']"),
    ("pipeline-run", "/pipelines", "main tbody a[href^='/pipelines/runs/']"),
    ("step", "/pipelines", "main tbody a[href^='/pipelines/runs/']"),
    ("model", "/models", "main tbody th a"),
    ("gate", "/gates", "main tbody a[href^='/gates/']"),
    ("endpoint", "/endpoints", "main tbody th a"),
    ("monitor", "/monitors", "main tbody th a"),
    ("firing", "/policies", "main tbody a[href^='/firings/']"),
    ("dataset", "/datasets", "main tbody th a"),
    ("snapshot", "/datasets", "main tbody a[href^='/snapshots/']"),
)
"""The first link of a list leads to a page of one thing."""


def addresses(page: Any, url: str) -> dict[str, str]:
    """Every page worth a picture, by its name."""
    found = dict(PAGES)
    for name, listing, selector in FIRSTS:
        page.goto(url + listing)
        link = page.locator(selector).first
        if link.count():
            found[name] = link.get_attribute("href")
    if "step" in found:
        page.goto(url + found["step"])
        found["step"] = page.locator("[id^='step-'] th a").first.get_attribute("href")
    if "endpoint" in found:
        page.goto(url + found["endpoint"])
        link = page.locator("main a[href^='/trace?']").first
        if link.count():
            found["trace"] = link.get_attribute("href")
    return found


def main(url: str, token: str, folder: Path) -> None:
    """Sign in, and take each page light and dark."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("LOOPLINE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for theme in ("light", "dark"):
            context = browser.new_context(color_scheme=theme, viewport={"width": 1280, "height": 860})
            page = context.new_page()
            page.goto(f"{url}/sign-in")
            page.screenshot(path=folder / f"sign-in.{theme}.png")
            page.fill("[name=token]", token)
            page.click("main button")
            for name, address in addresses(page, url).items():
                page.goto(url + address)
                page.wait_for_timeout(400)
                height = page.evaluate("document.documentElement.scrollHeight")
                clip = {"x": 0, "y": 0, "width": 1280, "height": 860 if name == "home" else min(height, TALLEST)}
                page.screenshot(path=folder / f"{name}.{theme}.png", full_page=True, clip=clip)
            context.close()
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1].rstrip("/"), sys.argv[2], Path(sys.argv[3]))
