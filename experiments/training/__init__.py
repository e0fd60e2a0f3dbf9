"""What every program that trains is made of: the loop, its log, its progress, its table of quantities."""
