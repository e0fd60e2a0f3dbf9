"""What clips are scored by, without TensorFlow, so that --help need not load it."""

SCORES = {
    "feature_gradient_cosine": "gradient cosine, pooled video feature",
    "video_text_similarity": "similarity of video and text",
    "video_audio_similarity": "similarity of video and audio",
    "summed_similarity": "sum of both similarities",
}
"""Names and titles; each score is lower where a clip is thought misaligned."""
