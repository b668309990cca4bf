"""A link on which everything arrives late: a TCP proxy that prints the port of 127.0.0.1 that it listens on.

Usage: python benchmarks/slow_link.py MILLISECONDS [PORT]

Every byte arrives half a round trip later than it was sent, in either direction, and none waits for another; opening a
connection takes a whole round trip. It leads to PORT of 127.0.0.1, or where none is named to that whose number the
first two bytes of a connection are.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from contextlib import suppress

CHUNK = 65536


async def _late(source: asyncio.StreamReader, drain: asyncio.StreamWriter, delay: float) -> None:
    """Pass on what comes, each piece so much later, as many of them under way as there are."""
    clock = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def listen() -> None:
        data = b"-"
        while data:
            try:
                data = await source.read(CHUNK)
            except OSError:
                data = b""
            under_way.put_nowait((clock.time() + delay, data))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listen())
        with suppress(OSError):
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(due - clock.time())
                if not data:
                    break
                drain.write(data)
                await drain.drain()
    drain.close()


async def _lead(near: asyncio.StreamReader, back: asyncio.StreamWriter, *, delay: float, port: int | None) -> None:
    """Lead one connection to its goal, both ways, until both sides are done."""
    goal = port if port is not None else struct.unpack("!H", await near.readexactly(2))[0]
    await asyncio.sleep(2 * delay)
    try:
        far, forth = await asyncio.open_connection("127.0.0.1", goal)
    except OSError:
        back.close()
        return
    for writer in (back, forth):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await asyncio.gather(_late(near, forth, delay), _late(far, back, delay))


async def main() -> None:
    """Listen until somebody ends this process."""
    delay = float(sys.argv[1]) / 2000
    port = int(sys.argv[2]) if len(sys.argv) > 2 else None  # noqa: PLR2004 - the second argument

    async def lead(near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        await _lead(near, back, delay=delay, port=port)

    server = await asyncio.start_server(lead, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
