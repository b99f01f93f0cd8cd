"""The simulators: the definition in plain Python, the exact compiled one, and the screens."""

from .. import compiled as compiled  # before any kernel: it names the cache of all of them
