"""Owns the methods text of a report: what was done, ready to paste, as plain text and as LaTeX, with BibTeX of what it cites."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from repsim.report.counts import number
from repsim.report.latex import ESCAPED
from repsim.report.page import citations, comparewords, controlwords, jobwords, saying, statwords, stitchwords, trainwords
from repsim.report.page.citations import cite
from repsim.report.page.saying import distinct, half_up, listed, shortly, span, whole
from repsim.sweep.expand import TRAIN, Sweep

if TYPE_CHECKING:
    import pandas as pd

Data = Mapping[str, Any]
COUNTED = ("train_images", "validation_images", "test_images", "images")
PASSED = {"front_network", "end_network", "network", "front_layer", "end_layer", "layer", "dataset"}


def of(sweep: Sweep, data: Data, found: "pd.DataFrame") -> dict[str, str]:
    """`text`, `latex` and `bibtex`; paragraphs are parted by an empty line. `data` is what was gathered of the sweep so far."""
    marked = "\n\n".join(" ".join(part) for part in _paragraphs(sweep, data, found) if part)
    keys = citations.cited(marked)
    return {"text": citations.in_words(marked), "latex": latex(marked), "bibtex": citations.bibtex(keys)}


def latex(marked: str) -> str:
    r"""Escaped, with \cite for the marks; what TeX has no letter for in text mode is written in math mode."""
    return "\n\n".join(map(_in_tex, marked.split("\n\n"))) + "\n"


def _in_tex(paragraph: str) -> str:
    """One paragraph, between whose texts the marks stand."""
    parts = citations.MARK.split(paragraph)
    texts = [part.translate(ESCAPED | SYMBOLS | HYPHEN) for part in parts[::2]]
    cites = [*(f"\\cite{{{part}}}" for part in parts[1::2]), ""]
    return "".join(text + one for text, one in zip(texts, cites, strict=True)).replace(" \\cite", "~\\cite")


def _paragraphs(sweep: Sweep, data: Data, found: "pd.DataFrame") -> Iterator[list[str]]:
    configs = [run.config.model_dump() for run in sweep.runs]
    yield [*(_networks(one) for one in data["kinds"]), *_trainings(sweep)]
    if sweep.spec.job in ("stitch", "ood") and "stitcher" in configs[0]:
        yield from _stitching(sweep, data, configs, found)
        if "detector" in configs[0]:
            yield list(jobwords.detectors(configs, [table["value"] for table in data["tables"]]))
    elif sweep.spec.job == "compare" and "measure" in configs[0]:
        yield from _comparing(data, configs, found)
    elif said := list(_experiment(sweep, data, configs, found)):
        yield said
    elif sweep.spec.job != TRAIN:
        yield list(_other(sweep, data, configs, found))
    yield [*statwords.statistics(data["tables"]), _coverage(data)]
    yield [_software(data)]


def _networks(kind: Data) -> str:
    """6 networks tiny10 for cifar10 (imported: frankenstein), seeds 4–9, which score 0.767 to 0.783 on its test images."""
    size = "".join(f", {name} {kind[name]}" for name in ("width", "depth") if kind[name] is not None)
    name = kind["made"].rpartition(": ")[2]
    sources = [citations.of(kind["arch"], citations.ARCHS), citations.COLLECTIONS.get(name)]
    data = citations.of(kind["dataset"], citations.DATASETS)
    epochs = f", {span(kind['epochs'])} epoch{'' if kind['epochs'] == [1] else 's'}" if kind["epochs"] else ""
    scored = ""
    if kind["accuracy_low"] is not None:
        scored = f"; test accuracy {listed(dict.fromkeys(half_up(kind[end]) for end in ('accuracy_low', 'accuracy_high')), 'to')}"
    what = f"{kind['networks']:,} {kind['arch']}{size} {'network' if kind['networks'] == 1 else 'networks'}{cite(*sources)}"
    dataset = saying.NAMES.get(kind["dataset"], kind["dataset"])
    return f"{what} for {dataset}{cite(data)} ({kind['made']}{epochs}), seeds {whole(kind['seeds'])}{scored}."


def _stitching(sweep: Sweep, data: Data, configs: Sequence[Data], found: "pd.DataFrame") -> Iterator[list[str]]:
    """What is stitched on what; what the stitchers are; how they are trained; what the numbers are."""
    by_case: dict[str, list[Data]] = {}
    for run, config in zip(sweep.runs, configs, strict=True):
        by_case.setdefault(str(run.label("case") or "stitch"), []).append(config)
    images = stitchwords.images(_images(configs, found), _datasets(data))
    yield [*stitchwords.stitched(configs, data["size"]["pairs"], data["size"]["layers"]), images]
    yield list(stitchwords.cases(by_case))
    yield [*stitchwords.training(by_case), *controlwords.controls(configs), *controlwords.attacks(configs)]
    yield list(stitchwords.penalty([table["value"] for table in data["tables"]]))


def _datasets(data: Data) -> str:
    return listed(saying.NAMES.get(name, name) for name in data["size"]["datasets"])


def _comparing(data: Data, configs: Sequence[Data], found: "pd.DataFrame") -> Iterator[list[str]]:
    """What is compared and by what; on which images, with which nulls, intervals and controls."""
    size = data["size"]
    yield list(comparewords.compared(configs, size["pairs"], size["layers"], _values(found, "convention")))
    images = comparewords.images(configs, _datasets(data), _images(configs, found)["images"])
    yield [images, *comparewords.chances(configs, _values(found, "null_kind")), *controlwords.controls(configs)]


def _experiment(sweep: Sweep, data: Data, configs: Sequence[Data], found: "pd.DataFrame") -> Iterator[str]:
    """Probes, lost ranks, rotations and scores of networks; nothing for other jobs, nor for others' jobs of these names."""
    size, job, fields, images = data["size"], sweep.spec.job, configs[0], _images(configs, found)
    if job == "probe" and "fit" in fields:
        yield from jobwords.probes(configs, size["networks"], size["layers"], _values(found, "used_view"))
        yield stitchwords.images(images, _datasets(data), "λ")
    elif job == "low_rank" and "rank" in fields:
        yield from jobwords.lost_ranks(configs, size["pairs"], size["layers"], _values(found, "convention"))
        yield stitchwords.images(images, _datasets(data), "epoch and λ")
    elif job == "rotate" and "matrix" in fields:
        yield from jobwords.rotations(configs, size["networks"], size["layers"])
        yield stitchwords.images(images, _datasets(data))
    elif job == "evaluate" and "attack" in fields:
        yield from trainwords.scores(configs, _datasets(data), images["test_images"])


def _trainings(sweep: Sweep) -> Iterator[str]:
    """How the networks that the project itself trains are trained; the job's `chosen` knows what its recipes stand for."""
    chosen = getattr(sweep.jobs[TRAIN].module, "chosen", None) if TRAIN in sweep.jobs else None
    trained = [run.config for run in (*sweep.networks, *sweep.runs) if run.job == TRAIN]
    if chosen and trained:
        yield from trainwords.trainings(trained, chosen)


def _values(found: "pd.DataFrame", name: str) -> list[str]:
    """The values of a column, each once; none where nothing is stored."""
    return list(found[name].dropna().unique()) if name in found.columns else []


def _other(sweep: Sweep, data: Data, configs: Sequence[Data], found: "pd.DataFrame") -> Iterator[str]:
    """What the job file says of itself, what was fixed and what was varied."""
    job = sweep.jobs[sweep.spec.job]
    yield (job.module.__doc__ or f"Job {job.name}.").strip().split("\n\n")[0].replace("\n", " ")
    fields = {name: distinct(configs, name) for name in job.config.model_fields if name not in PASSED | job.config.labels}
    varied = [f"{name} {shortly(values, 8)}" for name, values in fields.items() if len(values) > 1]
    if varied:
        yield f"Varied: {'; '.join(varied)}."
    yield stitchwords.images(_images(configs, found), _datasets(data))


def _images(configs: Sequence[Data], found: "pd.DataFrame") -> dict[str, list[int]]:
    """How many images were used, by what for: as the rows say, else as was asked."""
    told = {name: found[name].dropna() for name in COUNTED if name in found.columns}
    said = {name: sorted({int(one) for one in values}) for name, values in told.items() if len(values)}
    asked = {name: [int(one) for one in distinct(configs, name) if one is not None] for name in COUNTED}
    return {name: said.get(name) or asked[name] for name in COUNTED}


def _coverage(data: Data) -> str:
    done = data["coverage"]["states"].get("done", 0)
    diverged = data["coverage"]["diverged"]
    noun = saying.ONE.get(data["size"]["job"], "run")
    lost = f", {diverged} of them diverged" if diverged else ""
    return f"{done:,} of {number(data['size']['runs'], noun)} are finished{lost}."


def _software(data: Data) -> str:
    """Versions and machines, of all rows that count."""
    columns = data["provenance"]["columns"]
    said = {name: [value for value, _ in columns.get(name, ()) if value != "none"] for name in ("repsim", "torch", "cuda", "gpu")}
    parts = [f"repsim {listed(said['repsim'] or [data['repsim']])}"]
    parts += [f"PyTorch {listed(said['torch'])}{cite('paszke2019')}"] if said["torch"] else []
    parts += [f"CUDA {listed(said['cuda'])}"] if said["gpu"] and said["cuda"] else []
    devices = [value for value, _ in columns.get("device", ())]
    where = f" on {listed(said['gpu'] or [f'{one} devices' for one in devices])}" if devices else ""
    return f"Software: {', '.join(parts)}{where}."


SYMBOLS = str.maketrans(
    {"∘": r"$\circ$", "Σ": r"$\Sigma$", "‖": r"$\|$", "²": r"$^2$", "₁": r"$_1$", "ḡ": r"$\bar g$", "λ": r"$\lambda$"}
    | {"σ": r"$\sigma$", "β": r"$\beta$", "√": r"$\surd$", "ρ": r"$\rho$", "ν": r"$\nu$", "→": r"$\to$", "₀": r"$_0$"}
    | {"α": r"$\alpha$", "×": r"$\times$", "≤": r"$\le$", "∞": r"$\infty$", "ε": r"$\varepsilon$", "“": "``", "”": "''"}
)
HYPHEN = str.maketrans({"-": "-"})  # in a text it joins words; in a cell of a table it must not become a dash
