"""What the names of media files end with."""

VIDEO_SUFFIXES = (
    *(".mp4", ".mkv", ".webm", ".avi", ".mov", ".flv"),
    *(".m4v", ".mpg", ".mpeg", ".ogv", ".wmv", ".asf", ".3gp", ".3g2", ".ts", ".mts", ".m2ts", ".vob", ".divx", ".f4v"),
)
SOUND_SUFFIXES = (
    *(".wav", ".flac", ".m4a", ".mp3", ".ogg", ".opus"),
    *(".oga", ".aac", ".aif", ".aiff", ".wma", ".mka"),
)
