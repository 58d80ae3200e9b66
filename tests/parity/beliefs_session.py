"""Two runs at a time under ARTIQ's own master, in two pipelines: `python beliefs_session.py REPOSITORY`.

The first reads a belief and waits; the second sets it; then the first sets another one. Prints the persistent datasets
that the master holds in the end, as JSON.
"""

import asyncio
import json
import sys
from pathlib import Path

from master_session import Master


async def session(repository: str) -> dict[str, object]:
    """Go through the session and return the datasets."""
    master = Master()
    await master.start(repository)
    try:
        await master.client("submit", "-R", "-p", "long", "-c", "Believer", "believer.py", 'wait_for="go"')
        async with asyncio.timeout(60):
            while not Path("reading").exists():
                await asyncio.sleep(0.05)
        await master.client("submit", "-R", "-p", "short", "-c", "Believer", "believer.py", 'name="f_larmor_hz"',
                            "value=1.41e6")  # fmt: skip
        await master.until(lambda: 1 in master.states and 1 not in master.published["schedule"])
        Path("go").touch()
        await master.until(lambda: not master.published["schedule"])
    finally:
        await master.stop()
    return {key: value for key, (persist, value, _) in master.published["datasets"].items() if persist}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(session(sys.argv[1]))))
