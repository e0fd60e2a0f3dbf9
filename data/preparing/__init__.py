"""From source files to records: items, units, clips."""
