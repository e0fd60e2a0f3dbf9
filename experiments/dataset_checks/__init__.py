"""Looking at a prepared data set: checks, statistics, rankings."""
