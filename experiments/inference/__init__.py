"""Using a trained model: open it, embed, search, export."""
