"""What a prepared data set stores."""
