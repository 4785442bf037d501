"""Owns the works that a methods text cites: which of them each part of a sweep rests on, their short names, and their BibTeX."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

SHORT = {
    "lenc2015": "Lenc & Vedaldi 2015",
    "bansal2021": "Bansal et al. 2021",
    "csiszarik2021": "Csiszárik et al. 2021",
    "godfrey2022": "Godfrey et al. 2022",
    "balogh2023": "Balogh & Jelasity 2023",
    "balogh2025": "Balogh & Jelasity 2025",
    "athanasiadis2025": "Athanasiadis et al. 2025",
    "prillo2020": "Prillo & Eisenschlos 2020",
    "sinkhorn1967": "Sinkhorn & Knopp 1967",
    "kingma2015": "Kingma & Ba 2015",
    "krizhevsky2009": "Krizhevsky 2009",
    "netzer2011": "Netzer et al. 2011",
    "lecun1998": "LeCun et al. 1998",
    "pedregosa2011": "Pedregosa et al. 2011",
    "he2016": "He et al. 2016",
    "dosovitskiy2021": "Dosovitskiy et al. 2021",
    "arvesen1969": "Arvesen 1969",
    "efron1993": "Efron & Tibshirani 1993",
    "snijders1999": "Snijders & Borgatti 1999",
    "owen2012": "Owen & Eckles 2012",
    "hesterberg2015": "Hesterberg 2015",
    "holm1979": "Holm 1979",
    "hedges1981": "Hedges 1981",
    "madry2018": "Madry et al. 2018",
    "zhang2019": "Zhang et al. 2019",
    "croce2020": "Croce & Hein 2020",
    "kornblith2019": "Kornblith et al. 2019",
    "song2012": "Song et al. 2012",
    "szekely2014": "Székely & Rizzo 2014",
    "raghu2017": "Raghu et al. 2017",
    "morcos2018": "Morcos et al. 2018",
    "williams2021": "Williams et al. 2021",
    "ding2021": "Ding et al. 2021",
    "li2016": "Li et al. 2016",
    "boixadsera2022": "Boix-Adsera et al. 2022",
    "kriegeskorte2008": "Kriegeskorte et al. 2008",
    "szekely2007": "Székely et al. 2007",
    "huh2024": "Huh et al. 2024",
    "klabunde2025": "Klabunde et al. 2025",
    "smith2025": "Smith et al. 2025",
    "alain2016": "Alain & Bengio 2016",
    "guo2017": "Guo et al. 2017",
    "liu2020": "Liu et al. 2020",
    "ren2021": "Ren et al. 2021",
    "lee2018": "Lee et al. 2018",
    "hendrycks2017": "Hendrycks & Gimpel 2017",
    "paszke2019": "Paszke et al. 2019",
}
DATASETS = {"cifar*": "krizhevsky2009", "svhn*": "netzer2011", "mnist*": "lecun1998", "digits*": "pedregosa2011"}
ARCHS = {"resnet*": "he2016", "tv_resnet*": "he2016", "vit_*": "dosovitskiy2021", "tiny10*": "csiszarik2021"}
MEASURES = {
    "cka*debiased": ("kornblith2019", "song2012"),
    "cka_angular": ("kornblith2019", "williams2021"),
    "cka*": ("kornblith2019",),
    "cca*": ("kornblith2019",),
    "regression*": ("kornblith2019",),
    "svcca*": ("raghu2017",),
    "pwcca*": ("morcos2018",),
    "procrustes*": ("ding2021", "williams2021"),
    "shape": ("williams2021",),
    "permutation_*": ("williams2021",),
    "correlation_match*": ("li2016",),
    "wreath_*": ("godfrey2022",),
    "ortho_*": ("godfrey2022",),
    "gulp": ("boixadsera2022",),
    "rsa": ("kriegeskorte2008",),
    "distance_correlation_debiased": ("szekely2014",),
    "distance_correlation": ("szekely2007",),
    "mutual_knn": ("huh2024",),
    "cknna": ("huh2024",),
    "jaccard": ("klabunde2025",),
    "agreement": ("klabunde2025",),
    "jensen_shannon": ("klabunde2025",),
    "accuracy_difference": ("klabunde2025",),
}
DETECTORS = {"energy": "liu2020", "msp": "hendrycks2017", "mahalanobis": "lee2018", "relative_mahalanobis": "ren2021"}
COLLECTIONS = {"frankenstein": "csiszarik2021"}
MARK = re.compile(r"\[@([a-z0-9,]+)\]")
"""How a sentence cites before it is written out: [@bansal2021,lenc2015]."""


def cite(*keys: str | None) -> str:
    """A mark for these works, with a blank before it; nothing for none."""
    known = list(dict.fromkeys(key for key in keys if key))
    return f" [@{','.join(known)}]" if known else ""


def of(name: str, table: dict[str, str]) -> str | None:
    """The work that a name of a data set or an architecture goes back to."""
    return next((key for pattern, key in table.items() if fnmatchcase(name, pattern)), None)


def of_measure(name: str) -> tuple[str, ...]:
    """The works that a measure of similarity goes back to."""
    return next((keys for pattern, keys in MEASURES.items() if fnmatchcase(name, pattern)), ())


def cited(text: str) -> list[str]:
    """The keys that a text with marks cites, each once, in order."""
    return list(dict.fromkeys(key for found in MARK.findall(text) for key in found.split(",")))


def in_words(text: str) -> str:
    """The marks as (Bansal et al. 2021; …)."""
    return MARK.sub(lambda found: f"({'; '.join(SHORT[key] for key in found[1].split(','))})", text)


def bibtex(keys: Iterable[str]) -> str:
    """The entries of these keys, in the order of the file."""
    wanted = set(keys)
    return "\n\n".join(entry for key, entry in entries().items() if key in wanted) + "\n" if wanted else ""


@cache
def entries() -> dict[str, str]:
    """Every entry of references.bib by its key."""
    text = files("repsim.report.page").joinpath("references.bib").read_text(encoding="utf-8")
    found = re.findall(r"^(@\w+\{(\w+),\n.*?^\})", text, re.M | re.S)
    return {key: entry for entry, key in found}
