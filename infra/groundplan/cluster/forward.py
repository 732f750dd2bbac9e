"""Forwards connections: `python -I -S forward.py LISTEN_HOST LISTEN_PORT TARGET_HOST TARGET_PORT`.

The registry listens on the cluster's bridge; this makes it reachable on loopback as well. Several clusters
may listen on the same loopback port at once (SO_REUSEPORT): they serve the same stored images.
Run by path like the supervisor, therefore nothing but the standard library.
"""

import asyncio
import contextlib
import sys


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**18):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def serve(listen: tuple[str, int], target: tuple[str, int]) -> None:
    """Accept connections for ever."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A peer that hangs up ends only its own connection.
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*target)
            with contextlib.closing(far_writer):
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        writer.close()

    server = await asyncio.start_server(connect, *listen, reuse_port=True)
    await server.serve_forever()


if __name__ == "__main__":
    _, listen_host, listen_port, target_host, target_port = sys.argv
    asyncio.run(serve((listen_host, int(listen_port)), (target_host, int(target_port))))
