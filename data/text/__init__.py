"""Captions, tokenizers, vocabularies."""
