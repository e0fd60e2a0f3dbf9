"""Media files of all kinds, in each of which it is known what is seen, heard and said when."""
