"""Decoding and encoding video and audio."""
