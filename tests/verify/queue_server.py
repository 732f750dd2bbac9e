"""A real HTTP server on loopback that behaves like a queue with one worker."""

import asyncio
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from groundplan.verify.generator import _MicrosecondSelector

MOST_LATE_SECONDS = 0.05
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class QueueServer:
    """First come, first served, one worker; each request takes the next of the given service times.

    lateness: seconds by which each answer was later than the queue's own clock wanted it.
    """

    def __init__(self, service_times: list[float], answer: bytes = ANSWER) -> None:
        self.served = 0
        self.lines: list[str] = []
        self.lateness: list[float] = []
        self.url = ""
        self._service_times = service_times
        self._answer = answer
        self._free_at = 0.0
        self._loop = asyncio.SelectorEventLoop(_MicrosecondSelector())
        self._ready = threading.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.lines.append(head.splitlines()[0])
                if length := re.search(r"content-length: (\d+)", head, re.IGNORECASE):
                    await reader.readexactly(int(length[1]))
                now = self._loop.time()
                service_time = self._service_times[self.served % len(self._service_times)]
                self.served += 1
                self._free_at = done = max(now, self._free_at) + service_time
                await asyncio.sleep(done - now)
                self.lateness.append(self._loop.time() - done)
                writer.write(self._answer)
        except (asyncio.IncompleteReadError, ConnectionResetError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    @property
    def punctual(self) -> bool:
        """Whether the machine let the queue keep to its own clock, so that exact results hold for it."""
        return max(self.lateness) < MOST_LATE_SECONDS and sum(self.lateness) / len(self.lateness) < 0.001

    def _run(self) -> None:
        with suppress(PermissionError):  # the queue's own clock must hold on a busy machine too
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -20)
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    @contextmanager
    def running(self) -> Iterator["QueueServer"]:
        thread = threading.Thread(target=self._run)
        thread.start()
        assert self._ready.wait(5)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
