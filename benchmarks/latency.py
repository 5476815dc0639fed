"""A link with latency: a TCP proxy on this machine.

Everything takes half a round trip in each direction, and a new connection a whole one more, as its
handshake would. Data keep flowing meanwhile: only the time is added, unless a capacity is given,
which all answers together share.
"""

import argparse
import asyncio
from collections.abc import Callable

EXAMPLE = "example: python benchmarks/latency.py 8080 --round-trip 30 --megabits 100"
PIECE = 64 << 10
#: Pieces on their way in one direction of one connection: at most 64 MiB.
ON_THE_WAY = 1024

#: When a piece of so many bytes that enters now comes out.
Arrival = Callable[[int], float]


class Link:
    """Joins each connection with one to the port of the server, far away."""

    def __init__(self, port: int, round_trip: float, bytes_per_second: float | None) -> None:
        self._port, self._round_trip, self._capacity = port, round_trip, bytes_per_second
        self._free = 0.0

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection until either side closes it."""
        ready = asyncio.get_running_loop().time() + self._round_trip
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(
            _carry(reader, far_writer, lambda _: max(_now(), ready) + self._round_trip / 2),
            _carry(far_reader, writer, self._answer),
            return_exceptions=True,
        )

    def _answer(self, length: int) -> float:
        if self._capacity is not None:
            self._free = max(self._free, _now()) + length / self._capacity
        return max(self._free, _now()) + self._round_trip / 2


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, arrival: Arrival
) -> None:
    """One direction of one connection."""
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(ON_THE_WAY)

    async def deliver() -> None:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(max(0.0, due - _now()))
            if not piece:
                break
            writer.write(piece)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    try:
        while not delivering.done():
            piece = await reader.read(PIECE)
            await pieces.put((arrival(len(piece)), piece))
            if not piece:
                await delivering
    except OSError:
        delivering.cancel()
    finally:
        writer.close()


async def run(port: int, round_trip: float, bytes_per_second: float | None) -> None:
    """Prints the port of the near end, then serves until the process ends."""
    link = Link(port, round_trip, bytes_per_second)
    server = await asyncio.start_server(link.join, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("port", type=int, help="of the server on this machine")
    parser.add_argument("--round-trip", type=float, default=30, help="milliseconds (default 30)")
    parser.add_argument("--megabits", type=float, help="a second, of all answers together")
    options = parser.parse_args()
    capacity = options.megabits and options.megabits * 1e6 / 8
    asyncio.run(run(options.port, options.round_trip / 1e3, capacity))


if __name__ == "__main__":
    main()
