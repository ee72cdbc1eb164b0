"""What live events cost: `make bench-live`."""
