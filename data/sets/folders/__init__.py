"""What the data set of a user's own videos is made of: their files, captions, labels and splits."""
