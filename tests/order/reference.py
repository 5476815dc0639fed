"""The order of the stream in plain Python, from its specification: what the engine must equal."""

import hashlib

BITS = 2**64 - 1


def key(tag: str, *numbers: int) -> int:
    fields = [tag.encode(), *(number.to_bytes(8, "little") for number in numbers)]
    data = b"".join(len(field).to_bytes(8, "little") + field for field in fields)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def mix(value: int, k: int, r: int) -> int:
    z = value ^ ((k << 11 * r | k >> (64 - 11 * r)) & BITS) ^ (r * 0x9E3779B97F4A7C15 & BITS)
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB & BITS
    return z ^ z >> 31


def cell(lon: float, width: float, south: float, north: float) -> int:
    x = min(int((lon + 0.5 * width + 180.0) % 360.0 / 5.625), 63)
    y = min(int((0.5 * (south + north) + 90.0) / 5.625), 31)
    return sum((x >> b & 1) << 2 * b | (y >> b & 1) << 2 * b + 1 for b in range(6))


def clusters(queries: list[tuple[int, int]], extra_days: int = 0) -> list[list[int]]:
    """Clusters of (first day, cell) queries: one block of days, one region, at most 64 a day."""
    days = 2 * extra_days + 6 if extra_days else 1
    out, last = [], None
    for block, code, i in sorted((day // days, code, i) for i, (day, code) in enumerate(queries)):
        if last != (block, code >> 8) or len(out[-1]) == 64 * days:
            out.append([])
        last = (block, code >> 8)
        out[-1].append(i)
    return out


class Order:
    """L lanes of `clusters` in windows; G rows a batch, T steps an epoch of N queries."""

    def __init__(self, clusters, n, batch, seed, tail, lanes=16, window=1024, weights=None):
        self.clusters, self.n, self.batch, self.seed, self.tail = clusters, n, batch, seed, tail
        most = 1 if seed is None else min(lanes, n, batch)
        self.lanes = next(k for k in range(most, 0, -1) if batch % k == 0)
        self.window, self.weights, self.flats = window, weights, {}

    key = staticmethod(key)

    def half(self, n: int) -> int:
        return ((n - 1).bit_length() + 1) // 2

    def permute(self, i: int, n: int, k: int) -> int:
        half, x = self.half(n), i
        while n > 1:
            left, right = x >> half, x & (1 << half) - 1
            for r in range(6):
                left, right = right, left ^ mix(right, k, r) & (1 << half) - 1
            x = left << half | right
            if x < n:
                return x
        return 0

    def start(self, lane: int) -> int:
        return lane * self.n // self.lanes

    def repeats(self, epoch: int) -> list[list[int]]:
        if self.weights is None:
            return self.clusters
        ints = [max(int(w / max(self.weights) * 2.0**32), w > 0) for w in self.weights]
        total, before, out = sum(ints), 0, []
        first = self.key("weights", self.seed, epoch) * total >> 64
        for cluster in self.clusters:
            out.append([])
            for i in cluster:
                sums = before, before + ints[i]
                begin, end = (max(0, -((first - c * self.n) // total)) for c in sums)
                out[-1] += [i] * (end - begin)
                before += ints[i]
        return out

    def flat(self, epoch: int) -> list[int]:
        """All queries of an epoch, cluster by cluster."""
        if epoch not in self.flats:
            parts, k = self.repeats(epoch), None
            if self.seed is not None:
                k = self.key("cluster", self.seed, epoch)
            turn = [j if k is None else self.permute(j, len(parts), k) for j in range(len(parts))]
            self.flats[epoch] = [i for j in turn for i in parts[j]]
        return self.flats[epoch]

    def query(self, epoch: int, lane: int, x: int) -> int:
        start, w = self.start(lane), x // self.window * self.window
        if self.seed is not None:
            size = min(self.window, self.start(lane + 1) - start - w)
            k = self.key("window", self.seed, epoch, lane, w // self.window)
            x = w + self.permute(x - w, size, k)
        return self.flat(epoch)[start + x]

    def slot(self, epoch: int, offset: int, row: int) -> tuple[int, bool] | None:
        lane, x = row // (self.batch // self.lanes), offset + row % (self.batch // self.lanes)
        if x < (size := self.start(lane + 1) - self.start(lane)):
            return self.query(epoch, lane, x), False
        if self.tail == "pad":
            return self.query(epoch, lane, x % size), True
        if self.tail != "continue":
            return None
        while x >= (size := self.start(lane + 1) - self.start(lane)):
            epoch, lane, x = epoch + 1, lane + 1, x - size
        return self.query(epoch, lane % self.lanes, x), False

    def steps(self, world_size: int = 1, rank: int = 0) -> int:
        return self.n // self.batch if self.tail == "drop" else -(-self.n // self.batch)

    def rows(self, rank: int, world_size: int) -> range:
        size = self.batch // world_size
        return range(rank * size, (rank + 1) * size)

    def step(self, epoch: int, t: int, rank: int = 0, world_size: int = 1) -> list:
        offset = t * self.batch // self.lanes
        slots = (self.slot(epoch, offset, row) for row in self.rows(rank, world_size))
        return [slot for slot in slots if slot is not None]

    def worker_steps(self, epoch, rank, world_size, worker, workers) -> list:
        steps = range(worker, self.steps(world_size, rank), workers)
        return [self.step(epoch, t, rank, world_size) for t in steps]
