"""Speak with MonInj through ARTIQ's own client: `moninj_client.py HOST PORT WORD …`; print what was told, JSON by line.

A WORD is `probe:CHANNEL:NUMBER` or `override:CHANNEL:NUMBER` (watch it, and wait for what is told first), or
`inject:CHANNEL:NUMBER:VALUE` (set it, then wait until it is told).
"""

import asyncio
import json
import sys

from artiq.coredevice.comm_moninj import CommMonInj

PATIENCE_S = 20


async def main(host: str, port: int, words: list[str]) -> None:
    told: asyncio.Queue[tuple[str, int, int, int]] = asyncio.Queue()
    client = CommMonInj(lambda *what: told.put_nowait(("probe", *what)),
                        lambda *what: told.put_nowait(("override", *what)))  # fmt: skip
    await client.connect(host, port)
    known: dict[tuple[str, int, int], int] = {}

    async def wait(kind: str, channel: int, number: int, value: int | None) -> None:
        while (kind, channel, number) not in known or value not in (None, known[kind, channel, number]):
            *place, what = await asyncio.wait_for(told.get(), PATIENCE_S)
            known[tuple(place)] = what
            print(json.dumps([*place, what]), flush=True)

    for word in words:
        kind, *given = word.split(":")
        channel, number, *value = (int(each, 0) for each in given)
        if kind == "probe":
            client.monitor_probe(True, channel, number)
            await wait(kind, channel, number, None)
            continue
        if ("override", channel, number) not in known:
            client.monitor_injection(True, channel, number)
            await wait("override", channel, number, None)
        if kind == "inject":
            client.inject(channel, number, value[0])
            await wait("override", channel, number, value[0])
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
