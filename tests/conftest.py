"""Makes ``tests.nets`` and ``tests.reference`` importable, and keeps every test on one thread."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from hypothesis import HealthCheck, settings

ROOT = str(Path(__file__).resolve().parents[1])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

torch.set_num_threads(1)
settings.register_profile(
    "bench", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("bench")
