"""The product shown whole on private servers: synced, changed, killed, resumed, and compared.

It drives the real command line in processes of its own, because only such a process can be killed
as a machine would do it. Nothing of the product's own is believed: the comparison reads both ends
with other drivers.
"""

from .story import run_demo

__all__ = ["run_demo"]
