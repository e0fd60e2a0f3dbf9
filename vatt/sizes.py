"""The named sizes of the Transformer."""

SIZES: dict[str, dict[str, object]] = {
    # For the demo and for tests, on two CPU cores. Ours; not in the paper.
    "tiny": dict(
        layers=2, width=96, heads=3, head_dim=32, feed_forward=384,
        word_dim=64, feature_dim=128, video_audio_dim=64, video_text_dim=32,
    ),
    # VATT (arXiv 2104.11178), Table 7.
    "small": dict(layers=6, width=512, heads=8, feed_forward=2048),
    "base": dict(layers=12, width=768, heads=12, feed_forward=3072),
    "medium": dict(layers=12, width=1024, heads=16, feed_forward=4096),
    "large": dict(layers=24, width=1024, heads=16, feed_forward=4096),
}
