"What every picture of the package must keep: all of its text is on it."
import warnings
from itertools import combinations

def texts(fig):
    "Every text that is drawn, and who draws it."
    for text in fig.texts:
        yield text
    for legend in fig.legends + [ax.get_legend() for ax in fig.axes if ax.get_legend()]:
        yield from legend.get_texts()
    for ax in fig.axes:
        yield from ax.texts
        yield ax.title
        for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
            low, high = sorted(axis.get_view_interval())
            yield axis.label
            for where, text in zip(axis.get_majorticklocs(), axis.get_majorticklabels()):
                if low <= where <= high:
                    yield text

def check_texts(fig, axes_side=1):
    "All text lies on the picture, titles stand apart, and the axes keep `axes_side` inches."
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # a layout that does not fit only warns
        fig.canvas.draw()
    width, height = fig.bbox.size
    found = [text for text in texts(fig) if text.get_visible() and text.get_text()]
    assert found
    for text in found:
        box = text.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, text
    titles = [ax.title.get_window_extent() for ax in fig.axes if ax.get_title()]
    assert not any(a.overlaps(b) for a, b in combinations(titles, 2)), 'titles run into each other'
    for ax in fig.axes:
        if ax.axison:
            assert min(ax.get_window_extent().size) >= axes_side * fig.dpi
