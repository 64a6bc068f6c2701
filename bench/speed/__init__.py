"""What growing and training cost on this machine: ``python -m bench.speed``."""
