"""Owns the facts of the data sets that are known by name, with the exact steps to get each. Light (no torch)."""

from repsim.data import subsets
from repsim.data.facts import Frame, Source

_BUNDLED = "nothing to get: it comes with scikit-learn"
_CIFAR10 = (
    "name the folder that holds it in REPSIM_DATA, or get it into data/ where there is a network: repsim data get cifar10,\n"
    "    or copy the Parquet files of the Hugging Face data set uoft-cs/cifar10 to data/cifar10/plain_text/"
)
_CELEBA = (
    "get img_align_celeba.zip, list_attr_celeba.txt and list_eval_partition.txt from the CelebA project page\n"
    "    (mmlab.ie.cuhk.edu.hk/projects/CelebA.html), unpack the pictures to data/celeba/img_align_celeba/,\n"
    "    and put the two lists beside that folder"
)
_IMAGENET = (
    "get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from image-net.org (free registration), unpack them to\n"
    "    data/imagenet/train/WNID/ and data/imagenet/val/WNID/, one folder per class, or link data/imagenet to where they are;\n"
    "    then: repsim data get imagenet (decodes 200 GB once)"
)
_CIFAR5M = (
    "get cifar5m_part0.npz … cifar5m_part5.npz, as the GitHub project preetum/cifar5m says, into data/cifar5m/;\n"
    "    then: repsim data get cifar5m (decodes 18 GB once)"
)
_IMAGES300K = (
    "get 300K_random_images.npy, as the GitHub project hendrycks/outlier-exposure says (its cleaned version of\n"
    "    80 Million Tiny Images), into data/images300k/"
)
_IMAGENET_MEAN_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CIFAR10_MEAN_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
_FROM_28 = Frame("square", 32)
_DIGITS = (132, 130, 125, 133, 121, 145, 130, 121, 131, 129), (46, 52, 52, 50, 60, 37, 51, 58, 43, 51)
_MNIST_EACH = (
    (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
)
_SVHN_EACH = (
    (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
    (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595),
)
_TENTH, _HUNDREDTH = ((6000,) * 10, (1000,) * 10), ((500,) * 100, (100,) * 100)


def _downloaded(name: str, parquet: str, folder: str) -> str:
    return (
        f"repsim data get {name} downloads it where there is a network, or copy the Parquet files of the\n"
        f"    Hugging Face data set {parquet} to data/{folder}/"
    )


_MNIST = _downloaded("mnist", "ylecun/mnist", "mnist")
_FASHION = _downloaded("fashion", "zalando-datasets/fashion_mnist", "fashion")
_CALLED_FASHION = ("fashion", "FashionMNIST", "fashion_mnist")

# mean and std: the digits' are those of their training split (upsampling blurs, so std is smaller at 32 pixels); MNIST's,
# CIFAR-10's, CIFAR-100's and ImageNet's are the rounded ones that published networks use; SVHN's and Fashion-MNIST's the usual
# published ones of their training splits; CelebA's those of its whole training pictures. CIFAR-5m and the 300K images were made
# to resemble CIFAR-10 and are normalised like it.
_KNOWN = (
    Source("digits", 10, 1, 8, (0.3056,), (0.3756,), 1297, 500, _BUNDLED, bundled=True, counts=_DIGITS),
    Source("digits32", 10, 1, 32, (0.3055,), (0.3232,), 1297, 500, _BUNDLED, bundled=True, counts=_DIGITS),
    Source("digits32_rgb", 10, 3, 32, (0.3055,) * 3, (0.3232,) * 3, 1297, 500, _BUNDLED, bundled=True, counts=_DIGITS),
    Source(
        *("mnist", 10, 1, 28, (0.1307,), (0.3081,), 60_000, 10_000, _MNIST),
        layouts=("idx", "parquet"),
        also_called=("MNIST",),
        counts=_MNIST_EACH,
    ),
    Source(
        *("mnist32", 10, 1, 32, (0.1307,), (0.3081,), 60_000, 10_000, _MNIST),
        layouts=("idx", "parquet"),
        also_called=("mnist", "MNIST"),
        frame=_FROM_28,
        counts=_MNIST_EACH,
    ),
    Source(
        *("fashion", 10, 1, 28, (0.2860,), (0.3530,), 60_000, 10_000, _FASHION),
        layouts=("idx", "parquet"),
        also_called=_CALLED_FASHION,
        counts=_TENTH,
    ),
    Source(
        *("fashion32", 10, 1, 32, (0.2860,), (0.3530,), 60_000, 10_000, _FASHION),
        layouts=("idx", "parquet"),
        also_called=_CALLED_FASHION,
        frame=_FROM_28,
        counts=_TENTH,
    ),
    Source(
        *("cifar10", 10, 3, 32, *_CIFAR10_MEAN_STD, 50_000, 10_000, _CIFAR10),
        layouts=("torchvision", "parquet"),
        counts=((5000,) * 10, (1000,) * 10),
    ),
    Source(
        *("cifar100", 100, 3, 32, (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761), 50_000, 10_000),
        _downloaded("cifar100", "uoft-cs/cifar100", "cifar100"),
        layouts=("torchvision", "parquet"),
        counts=_HUNDREDTH,
    ),
    Source(
        *("svhn", 10, 3, 32, (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970), 73_257, 26_032),
        _downloaded("svhn", "ufldl-stanford/svhn (cropped_digits)", "svhn/cropped_digits"),
        layouts=("mat", "parquet"),
        also_called=("SVHN",),
        counts=_SVHN_EACH,
    ),
    Source(
        *("celeba", 40, 3, 224, (0.5068, 0.4262, 0.3835), (0.3103, 0.2903, 0.2896), 162_770, 19_962, _CELEBA),
        layouts=("celeba",),
        also_called=("CelebA",),
        frame=Frame("square", 256),
        attributes=True,
    ),
    Source(
        *("imagenet", 1000, 3, 224, *_IMAGENET_MEAN_STD, 1_281_167, 50_000, _IMAGENET),
        layouts=("classes", "parquet"),
        also_called=("imagenet-1k", "ILSVRC2012"),
        frame=Frame("shorter", 256),
        tested_on=("val", "validation"),
    ),
    Source(
        *("cifar5m", 10, 3, 32, *_CIFAR10_MEAN_STD, 5_002_240, 1_000_448, _CIFAR5M),
        layouts=("cifar5m",),
        also_called=("cifar-5m",),
    ),
    Source(
        *("images300k", 1, 3, 32, *_CIFAR10_MEAN_STD, 300_000, 0, _IMAGES300K),
        layouts=("images300k",),
        also_called=("300K_random_images",),
        labelled=False,
    ),
)
_PARTS = {
    "cifar10_animals": ("cifar10", ((2,), (3,), (4,), (5,), (6,), (7,))),  # bird, cat, deer, dog, frog, horse
    "cifar10_vehicles": ("cifar10", ((0,), (1,), (8,), (9,))),  # airplane, automobile, ship, truck
}
SOURCES: dict[str, Source] = {source.name: source for source in _KNOWN}
SOURCES |= {name: subsets.part(SOURCES[whole], groups, name) for name, (whole, groups) in _PARTS.items()}
