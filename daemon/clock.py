"""The real time and the real chance."""

import secrets
import time


class SystemClock:
    def now(self) -> float:
        return time.time()

    def mono(self) -> float:
        return time.monotonic()


class SystemRandom:
    def bits(self, n: int) -> int:
        return secrets.randbits(n)
