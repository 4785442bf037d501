"""Matrices over checkpoints become a GIF with one frame per epoch, and a page that plays by itself."""

import json
import re

import numpy as np
import pytest
from comparison_rows import LAYERS, ORDER, expected, stored
from PIL import Image

from repsim import matrices
from repsim.errors import UserError
from repsim.report import animation

EPOCHS = (None, 20, 3)


def value(run):
    """Nears the last epoch."""
    near = {3: 0.2, 20: 0.6, None: 1.0}[run["front_epoch"]]
    return near if run["front_layer"] == run["end_layer"] else near / 2


def films(of=value, epochs=EPOCHS, measures=("cka",), **more):
    runs = expected(pairs=(("a", "a"),), front_epoch=epochs, measures=measures)
    return list(matrices.frames(runs, stored(runs, of, **more), ORDER).values())


def data_of(path):
    """What the page holds."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.S).group(1))


def test_a_gif_has_a_frame_per_epoch_of_one_size_and_goes_round(tmp_path):
    path = tmp_path / "new" / "cka.gif"
    animation.draw(films(), path)
    with Image.open(path) as picture:
        frames = [
            (picture.seek(i), np.asarray(picture.convert("RGB"), dtype=float), picture.info["duration"])[1:] for i in range(3)
        ]
        assert (picture.n_frames, picture.info["loop"]) == (3, 0)
    assert [duration for _, duration in frames] == [400, 400, 2000]
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    brightness = [frame[100:200, 100:200].mean() for frame, _ in frames]
    assert brightness[0] < brightness[1] < brightness[2]  # one range of colours for all epochs


def test_the_page_holds_every_number_of_every_epoch(tmp_path):
    path = tmp_path / "cka.html"
    animation.draw(films(measures=("cka", "cca")), path)
    data = data_of(path)
    assert data["epochs"] == ["3", "20", "last"]
    assert [film["title"] for film in data["films"]] == ["cka: net:0 × net:0", "cca: net:0 × net:0"]
    film = data["films"][0]
    assert (film["front"], film["end"], film["range"]) == (list(LAYERS), list(LAYERS), [0.1, 1.0])
    assert [film["frames"][epoch]["values"][1][1] for epoch in data["epochs"]] == [0.2, 0.6, 1.0]
    assert film["frames"]["20"]["values"][0][2] == 0.3
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in film["colours"])


def test_the_page_needs_no_network_and_has_its_controls(tmp_path):
    path = tmp_path / "cka.html"
    animation.draw(films(), path)
    text = path.read_text()
    assert not re.search(r"https?:|//[a-z]|src=|href=|@import|url\(", text)
    for part in ('id="play"', 'type="range"', "setInterval", "<style>"):
        assert part in text


def test_undefined_cells_are_told_apart_from_numbers_and_text_cannot_end_the_script(tmp_path):
    path = tmp_path / "cka.html"
    bad = "constant </script> layer"
    animation.draw(films(lambda run: bad if run["front_layer"] == "bn2" else value(run)), path)
    assert path.read_text().count("</script>") == 2
    frame = data_of(path)["films"][0]["frames"]["3"]
    assert frame["values"][1] == [None, None, None] and frame["troubles"][1] == [bad] * 3
    assert f"{bad}: bn2 × all" in frame["said"]


def test_colours_of_a_distance_are_turned_round(tmp_path):
    for scale in ("similarity", "distance"):
        animation.draw(films(scale=scale), tmp_path / f"{scale}.html")
    near, far = (data_of(tmp_path / f"{scale}.html")["films"][0]["colours"] for scale in ("similarity", "distance"))
    assert near == list(reversed(far))


def test_a_checkpoint_that_is_not_compared_yet_is_an_empty_frame(tmp_path):
    path = tmp_path / "cka.html"
    animation.draw(films(lambda run: None if run["front_epoch"] == 20 else value(run)), path)
    frame = data_of(path)["films"][0]["frames"]["20"]
    assert frame["values"] == [[None] * 3] * 3 and "not computed: 9 of 9 numbers" in frame["said"]


@pytest.mark.parametrize(
    ("made", "name", "message"),
    [
        (lambda: films(), "cka.mp4", r"use one of \.gif, \.html"),
        (lambda: films(lambda run: None), "cka.gif", "no comparison has finished"),
        (lambda: films(epochs=(None,)), "cka.gif", "only one epoch is compared"),
        (lambda: films(), "file/cka.html", "cannot be written"),
    ],
)
def test_what_cannot_be_animated_is_said_and_writes_nothing(tmp_path, made, name, message):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=message):
        animation.draw(made(), tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
