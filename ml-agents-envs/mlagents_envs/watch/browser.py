"""Opening a page in the user's browser, where there is one with a window."""

from __future__ import annotations

import os
import webbrowser


def open_page(address: str) -> bool:
    """Open a page and return whether that was possible. A browser that would fill the terminal is not started."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER"):
        return False
    return browser.open(address)
