"The command `video_convs`."
from .entry import main, parser
