"""Owns the bibliography: the papers whose figures and tables sweeps repeat."""

from dataclasses import dataclass
from typing import Literal

Key = Literal["csiszarik2021", "balogh2023", "godfrey2022", "balogh2025", "kornblith2019"]


@dataclass(frozen=True)
class Paper:
    """What is needed to find a paper."""

    authors: str
    title: str
    venue: str
    year: int
    url: str

    @property
    def short(self) -> str:
        """Authors and year, as in running text."""
        names = [name.strip().rsplit(" ", 1)[-1] for name in self.authors.split(",")]
        told = " & ".join(names) if len(names) < 3 else f"{names[0]} et al."
        return f"{told} {self.year}"

    @property
    def reference(self) -> str:
        return f"{self.authors}: {self.title}. {self.venue} {self.year}. {self.url}"


PAPERS: dict[Key, Paper] = {
    "kornblith2019": Paper(
        "Simon Kornblith, Mohammad Norouzi, Honglak Lee, Geoffrey Hinton",
        "Similarity of Neural Network Representations Revisited",
        *("ICML", 2019, "https://arxiv.org/abs/1905.00414"),
    ),
    "csiszarik2021": Paper(
        "Adrián Csiszárik, Péter Kőrösi-Szabó, Ákos K. Matszangosz, Gergely Papp, Dániel Varga",
        "Similarity and Matching of Neural Network Representations",
        *("NeurIPS", 2021, "https://arxiv.org/abs/2110.14633"),
    ),
    "godfrey2022": Paper(
        "Charles Godfrey, Davis Brown, Tegan Emerson, Henry Kvinge",
        "On the Symmetries of Deep Learning Models and their Internal Representations",
        *("NeurIPS", 2022, "https://arxiv.org/abs/2205.14258"),
    ),
    "balogh2023": Paper(
        "András Balogh, Márk Jelasity",
        "On the Functional Similarity of Robust and Non-Robust Neural Representations",
        *("ICML", 2023, "https://proceedings.mlr.press/v202/balogh23a.html"),
    ),
    "balogh2025": Paper(
        "András Balogh, Márk Jelasity",
        "How not to Stitch Representations to Measure Similarity: Task Loss Matching versus Direct Matching",
        *("AAAI", 2025, "https://arxiv.org/abs/2412.11299"),
    ),
}
