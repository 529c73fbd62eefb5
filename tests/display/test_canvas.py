from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from PIL import Image

from pixelwise.display.canvas import axes_of, new_axes, png_bytes


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_without_matplotlib_the_error_has_the_command_that_installs_it() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from pixelwise.display.canvas import new_axes\n"
        "from pixelwise.errors import DependencyMissingError\n"
        "try: new_axes(1, 1)\n"
        "except DependencyMissingError as error: print(error)"
    )
    assert run(code).strip() == "figures need matplotlib: install it with `python -m pip install 'pixelwise[plot]'`"


def test_the_displays_are_imported_without_matplotlib() -> None:
    code = "import sys; sys.modules['matplotlib'] = None; import pixelwise.display.report, pixelwise.cli; print('imported')"
    assert run(code).strip() == "imported"


def test_drawing_leaves_pyplot_alone(scene: Path) -> None:
    code = (
        "import sys\n"
        "from pixelwise.display.map import SceneDisplay\n"
        f"SceneDisplay.from_raster({str(scene)!r}, (0, 1, 2)).plot(title='x')\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    assert run(code).strip() == "False"


def test_given_axes_are_drawn_on() -> None:
    ax = new_axes(2, 2)
    assert axes_of(ax, 1.0) == (ax, ax.figure)


def test_a_figure_has_the_shape_of_what_is_drawn_within_limits() -> None:
    assert axes_of(None, 0.5, width=8)[1].get_size_inches().tolist() == [8, 4]
    assert axes_of(None, 100, width=8)[1].get_size_inches().tolist() == [8, 16]
    assert axes_of(None, 0.001, width=8)[1].get_size_inches().tolist() == [8, 1.5]


def test_a_figure_becomes_a_png_that_does_not_say_when_it_was_made() -> None:
    png = png_bytes(new_axes(2, 1).figure, dpi=50)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
    assert png == png_bytes(new_axes(2, 1).figure, dpi=50)


def test_a_script_that_the_font_lacks_is_drawn_without_a_warning() -> None:
    ax = new_axes(2, 1)
    ax.set_title("森林")
    assert png_bytes(ax.figure)
