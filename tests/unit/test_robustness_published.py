"""PGD on a published network and real images: what each step does to the loss, and what torchattacks makes of the same network."""

import io

import pyarrow.parquet as parquet
import pytest
import torch
import torchattacks
from PIL import Image
from test_models_published import loaded, published
from torchvision.transforms.functional import pil_to_tensor

from repsim.robustness import losses
from repsim.robustness.attacks import ascend, ball, begin, pgd
from repsim.robustness.linf import Linf

SMALL = Linf(epsilon=0.5 / 255, step=0.125 / 255, steps=10)  # leaves about half of the right answers standing
PUBLISHED = Linf()


@pytest.fixture(scope="module")
def network():
    return loaded(published("Tiny10/**/*.pt")[0], "tiny10")[0]


@pytest.fixture(scope="module")
def images():
    """The first 128 test images of CIFAR-10, in [0, 1], and their classes."""
    file = parquet.ParquetFile(published("../cifar10/**/test*.parquet")[0])
    picture, label = (next(name for name in file.schema_arrow.names if name.startswith(start)) for start in ("im", "label"))
    rows = next(file.iter_batches(128, columns=[picture, label])).to_pylist()
    pixels = [pil_to_tensor(Image.open(io.BytesIO(row[picture]["bytes"])).convert("RGB")) for row in rows]
    return torch.stack(pixels) / 255, torch.tensor([row[label] for row in rows])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def right(network, x, y):
    with torch.no_grad():
        return network(x).argmax(1) == y


@pytest.mark.parametrize("attack", [SMALL, PUBLISHED], ids=["small", "published"])
def test_the_mean_loss_never_falls_from_step_to_step(network, images, attack):
    x, y = images
    at, box, means = begin(x, attack, seeded()), ball(x, attack.epsilon), []
    for _ in range(attack.steps + 1):
        at, logits = ascend(network, at, y, box, attack.step, losses.task)
        means.append(float(losses.task(logits, y).mean()))
    assert means == sorted(means) and means[-1] > 2 * means[0]


def test_real_images_stay_in_the_ball_and_in_the_unit_cube(network, images):
    x, y = images
    made = pgd(network, x, y, PUBLISHED, seeded())
    low, high = (x - PUBLISHED.epsilon).clamp(min=0), (x + PUBLISHED.epsilon).clamp(max=1)
    assert (made >= low).all() and (made <= high).all() and (x.min(), x.max()) == (0, 1)
    assert ((made == low) | (made == high)).float().mean() > 0.25  # the ball is reached, not only kept


def test_from_the_image_itself_it_goes_where_torchattacks_goes(network, images):
    x, y = images
    theirs = torchattacks.PGD(network, SMALL.epsilon, SMALL.step, SMALL.steps, random_start=False)(x, y)
    ours = pgd(network, x, y, Linf(SMALL.epsilon, SMALL.step, SMALL.steps, start="image"), seeded())
    # where a gradient is as small as its rounding, its sign may differ
    assert ((ours - theirs).abs() < 1e-6).float().mean() > 0.99
    assert (right(network, ours, y) == right(network, theirs, y)).float().mean() > 0.99


def test_it_leaves_the_accuracy_that_torchattacks_leaves(network, images):
    x, y = images
    torch.manual_seed(0)
    theirs = right(network, torchattacks.PGD(network, SMALL.epsilon, SMALL.step, SMALL.steps)(x, y), y)
    ours = right(network, pgd(network, x, y, SMALL, seeded()), y)
    clean = right(network, x, y)
    assert 0.2 < float(ours.float().mean()) < 0.8 * float(clean.float().mean())
    differ = int((ours != theirs).sum())
    assert abs(int(ours.sum()) - int(theirs.sum())) <= max(2, 3 * differ**0.5) and differ < 0.05 * len(y)
