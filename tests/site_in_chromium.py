"""Opens each page of the built documentation in Chromium and prints what is wrong there, as JSON: `SITE [FOLDER]`.

With a folder, it also saves pictures of the pages there, narrow and wide, light and dark, for somebody to look at.
It runs in the environment of the gallery's browser.
"""

import json
import shutil
import sys
from pathlib import Path

from playwright import sync_api

NARROW, WIDE = 390, 1280
HEIGHT = 900

FAULTS = """async () => {
    await Promise.all([...document.images].map(image => image.decode().catch(() => {})));
    const faults = [...document.images].filter(image => !image.naturalWidth).map(image => "no picture: " + image.src);
    const excess = document.documentElement.scrollWidth - innerWidth;
    return excess > 0 ? [...faults, `${excess} pixels too wide for ${innerWidth}`] : faults;
}"""


def main(site: Path, folder: Path | None) -> None:
    faults: dict[str, list[str]] = {}
    pages = sorted(page for page in site.rglob("*.html") if page.name != "404.html")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width in (NARROW, WIDE):
            for scheme in ("light", "dark") if folder else ("light",):
                tab = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
                for page in pages:
                    name = str(page.relative_to(site))
                    tab.goto(page.as_uri())
                    faults.setdefault(name, []).extend(tab.evaluate(FAULTS))
                    if folder:
                        picture = f"{name.replace('/', '-')}-{width}-{scheme}.png"
                        tab.screenshot(path=folder / picture, full_page=True)
                tab.close()
        browser.close()
    print(json.dumps({name: found for name, found in faults.items() if found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
