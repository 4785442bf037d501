"""A report in a real browser: it opens from a file, asks for nothing, and does what a reader wants of it."""

import json
import shutil
import subprocess

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from repsim.report.page import document, gathered, printing

pytestmark = pytest.mark.browser
HOSTILE = (
    "</script><script>window.bad=1</script><img src=x onerror='window.bad=1'><svg onload=window.bad=1> \u202eevil \x00 "
    + "ü猫" * 5000
)
WIDE, NARROW = (1600, 1000), (380, 800)


@pytest.fixture
def page(driver, project):
    """The report of the toy sweep, opened anew on a wide screen, in light."""
    return opened(driver, project.results / "reports" / "stitches.html")


def opened(driver, path, size=WIDE, scheme="light"):
    driver.get_log("performance"), driver.get_log("browser")
    width, height = size
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    )
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    driver.get(path.as_uri())
    return driver


def data_of(page):
    return json.loads(page.find_element(By.ID, "data").get_property("textContent"))


def column(page, table, place):
    rows = page.find_elements(By.CSS_SELECTOR, f'table[data-table="{table}"] tbody tr')
    return [row.find_elements(By.CSS_SELECTOR, "th, td")[place].get_property("textContent") for row in rows]


def means(page, place):
    """The unrounded numbers of a column of the first table, in the order in which its rows stand."""
    table = data_of(page)["tables"][0]
    rows = page.find_elements(By.CSS_SELECTOR, 'table[data-table="penalty"] tbody tr')
    cells = [row.find_elements(By.CSS_SELECTOR, "th, td")[place] for row in rows]
    return [table["cells"][int(cell.get_attribute("data-i"))][table["fields"].index("mean")] for cell in cells]


def headers(page):
    return page.find_elements(By.CSS_SELECTOR, 'table[data-table="penalty"] thead th')


def bring(page, element):
    """Scroll to an element, and wait until the page has noticed: scrolling hides what a pointer shows."""
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def press(page, element):
    bring(page, element)
    element.click()


def test_it_opens_from_a_file_without_a_request_or_an_error(page):
    assert page.title == "stitches · repsim report"
    assert page.find_element(By.CSS_SELECTOR, "h1").text == "stitches"
    said = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in said if one["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == [] and len(asked) >= 1
    assert page.get_log("browser") == []


def test_a_column_is_sorted_by_its_numbers_up_down_and_back(page):
    before = column(page, "penalty", 0)
    for place in (0, 1):
        assert headers(page)[place].get_attribute("aria-sort") == "none"
    press(page, headers(page)[1].find_element(By.TAG_NAME, "button"))
    assert headers(page)[1].get_attribute("aria-sort") == "ascending"
    assert means(page, 1) == sorted(means(page, 1))
    headers(page)[1].find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)  # from the keyboard
    assert headers(page)[1].get_attribute("aria-sort") == "descending"
    assert means(page, 1) == sorted(means(page, 1), reverse=True)
    press(page, headers(page)[1].find_element(By.TAG_NAME, "button"))
    assert column(page, "penalty", 0) == before


def test_numbers_are_sorted_as_numbers_and_none_is_last(driver, project, tmp_path):
    data = made(project)
    table = data["tables"][0]
    place = table["fields"].index("mean")
    for cell, mean in zip(table["cells"], (9.0, 1.0, 1.0, None, 1.0, 1.0), strict=True):
        cell[place] = mean
    table["cells"][0][place], table["rows"] = 10.5, [["second"], ["first"]]
    page = opened(driver, written(tmp_path, data))
    press(page, headers(page)[1].find_element(By.TAG_NAME, "button"))
    assert means(page, 1) == [10.5, None]
    press(page, headers(page)[1].find_element(By.TAG_NAME, "button"))
    assert means(page, 1) == [10.5, None]


def test_words_of_a_comparison_are_sorted_by_the_numbers_that_they_begin_with(driver, project, tmp_path):
    data = made(project)
    rows = [["a", "−0.08 ± 0.29", "0.5274", "−0.68 (5)", "4/6"], ["b", "0.04 ± 0.25", "< 0.0001", "12.00 (5)", "0/6"]]
    rows += [["c", "−1.20 ± –", "0.0312", "9.50 (5)", "10/12"], ["d", "–", "–", "–", "–"]]
    rows += [["e", "0.01 [−0.2, 0.3]", "1.0000", "0.1 (5)", "1/6"]]
    heads = ["layer", "difference", "p", "t (df)", "below"]
    data["tables"][0]["comparison"] = {"caption": "", "heads": heads, "rows": rows, "keys": 1, "records": []}
    page = opened(driver, written(tmp_path, data))
    for place, order in enumerate(["caebd", "bcaed", "aecbd", "beacd"], 1):
        heads = page.find_elements(By.CSS_SELECTOR, 'table[data-table="penalty-compared"] thead th button')
        press(page, heads[place])
        assert "".join(column(page, "penalty-compared", 0)) == order, place


def test_a_filter_hides_the_rows_that_do_not_hold_its_words(page):
    box = page.find_element(By.CSS_SELECTOR, '[data-filter="penalty"]')
    names = column(page, "penalty", 0)
    press(page, box)
    box.send_keys(names[0].upper())
    rows = page.find_elements(By.CSS_SELECTOR, 'table[data-table="penalty"] tbody tr')
    assert [row.is_displayed() for row in rows] == [name == names[0] for name in names]
    assert page.find_element(By.CSS_SELECTOR, "#table-penalty .shown").text == f"1 of {len(names)} rows"
    box.clear()
    box.send_keys(" ")
    assert all(row.is_displayed() for row in rows)


@pytest.mark.parametrize("selector", ['table[data-table="penalty"] td[data-i]', "svg.panel .pt use"])
def test_hovering_shows_the_number_unrounded_with_all_that_belongs_to_it(page, selector):
    target = page.find_elements(By.CSS_SELECTOR, selector)[0]
    bring(page, target)
    ActionChains(page).move_to_element(target).perform()
    tip, table = page.find_element(By.ID, "tip"), data_of(page)["tables"][0]
    index = page.execute_script("return Number(arguments[0].closest('[data-i]').dataset.i)", target)
    cell = dict(zip(table["fields"], table["cells"][index], strict=True))
    assert tip.is_displayed()
    said = {
        term.text: term.find_element(By.XPATH, "following-sibling::dd[1]").text for term in tip.find_elements(By.TAG_NAME, "dt")
    }
    assert float(said["mean"].split()[0]) == cell["mean"] and float(said["std"]) == cell["std"]
    assert said["95 % interval"].replace("−", "-") == f"{cell['low']!r} to {cell['high']!r}"
    assert said["n"] == f"{cell['n']} of {cell['expected']} runs" and said["pairs"] == str(cell["n_pairs"])
    assert said["interval over"] == f"{cell['n_units']} networks"
    ActionChains(page).move_to_element(page.find_element(By.TAG_NAME, "h1")).perform()
    assert not tip.is_displayed()


def test_points_are_reached_and_walked_through_from_the_keyboard(page):
    points = page.find_elements(By.CSS_SELECTOR, "svg.panel .pt")
    page.execute_script("arguments[0].focus()", points[0])
    first = page.find_element(By.ID, "tip").text
    assert first
    ActionChains(page).send_keys(Keys.ARROW_RIGHT).perform()
    assert page.switch_to.active_element == points[1] and page.find_element(By.ID, "tip").text != first
    ActionChains(page).send_keys(Keys.ESCAPE).perform()
    assert not page.find_element(By.ID, "tip").is_displayed()
    assert [point.get_attribute("tabindex") for point in points[:3]] == ["-1", "0", "-1"]


def test_dark_and_light_follow_the_system_until_somebody_chooses(page, project):
    def ground():
        return page.execute_script("return getComputedStyle(document.body).backgroundColor")

    assert ground() == "rgb(255, 255, 255)"
    press(page, page.find_element(By.ID, "theme"))
    dark = ground()
    assert dark != "rgb(255, 255, 255)" and page.find_element(By.ID, "theme").get_attribute("aria-pressed") == "true"
    opened(page, project.results / "reports" / "stitches.html", scheme="dark")
    assert ground() == dark  # remembered nowhere: this is the system's choice
    press(page, page.find_element(By.ID, "theme"))
    assert ground() == "rgb(255, 255, 255)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(driver, project, scheme):
    page = opened(driver, project.results / "reports" / "stitches.html", scheme=scheme)
    weak = page.execute_script(CONTRAST)
    assert weak == []


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_the_page_never_scrolls_sideways(driver, project, tmp_path, size):
    data = made(project)
    data["tables"][0]["cols"] = [
        ["a_column_with_a_name_that_is_much_longer_than_any_screen_is_wide_" * 3],
        *data["tables"][0]["cols"][1:],
    ]
    for path in (project.results / "reports" / "stitches.html", written(tmp_path, data)):
        page = opened(driver, path, size)
        widths = page.execute_script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1], path


def test_the_first_column_stays_where_a_table_is_scrolled(driver, project):
    page = opened(driver, project.results / "reports" / "stitches.html", NARROW)
    box = page.find_element(By.CSS_SELECTOR, "#table-penalty .scroll")
    name = box.find_element(By.CSS_SELECTOR, "tbody th")
    before = name.rect["x"]
    page.execute_script("arguments[0].scrollLeft = 80", box)
    assert page.execute_script("return arguments[0].scrollLeft", box) > 0
    assert name.rect["x"] == pytest.approx(before, abs=1)


def test_no_text_of_a_sweep_runs_as_script(driver, project, tmp_path):
    data = made(project)
    failure = {"cause": HOSTILE[:60], "message": HOSTILE, "runs": 3, "example": "x", "slug": HOSTILE, "do": HOSTILE}
    data["failures"]["failed"] = [failure]
    data["sweep"] = data["question"] = data["spec"] = HOSTILE
    data["tables"][0]["rows"][0] = [HOSTILE]
    data["methods"]["latex"] = HOSTILE
    page = opened(driver, written(tmp_path, data))
    target = page.find_elements(By.CSS_SELECTOR, "td[data-i]")[0]
    bring(page, target)
    ActionChains(page).move_to_element(target).perform()
    assert page.find_element(By.ID, "tip").is_displayed()
    assert page.execute_script("return window.bad") is None
    assert page.find_elements(By.CSS_SELECTOR, "img, iframe, object") == [] and page.get_log("browser") == []
    assert "⟨U+202E⟩evil" in page.find_element(By.CSS_SELECTOR, ".failure pre").text
    widths = page.execute_script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1]


def test_a_legend_singles_out_one_line(page):
    button = page.find_elements(By.CSS_SELECTOR, ".series")[1]
    press(page, button)
    assert button.get_attribute("aria-pressed") == "true"
    drawn = page.find_element(By.CSS_SELECTOR, ".plot").find_elements(By.CSS_SELECTOR, "svg.panel [data-s]")
    assert {one.get_attribute("data-s") for one in drawn if "dim" not in one.get_attribute("class").split()} == {"1"}
    press(page, button)
    assert not page.find_elements(By.CSS_SELECTOR, ".dim")


def test_csv_holds_every_cell_unrounded(page):
    page.execute_script("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    press(page, page.find_element(By.CSS_SELECTOR, '#table-penalty [data-csv="copy"]'))
    lines = page.execute_script("return window.copied").splitlines()
    table = data_of(page)["tables"][0]
    assert lines[0].split(",")[:6] == ["layer", "case", "value", "unit", "mean", "std"] and len(lines) == len(table["cells"]) + 1
    assert [float(line.split(",")[4]) for line in lines[1:]] == [cell[2] for cell in table["cells"]]


def test_landmarks_and_names_are_there_for_those_who_listen(page):
    assert len(page.find_elements(By.CSS_SELECTOR, "main")) == len(page.find_elements(By.CSS_SELECTOR, "nav[aria-label]")) == 1
    assert all(one.find_elements(By.TAG_NAME, "caption") for one in page.find_elements(By.TAG_NAME, "table"))
    pictures = page.find_elements(By.CSS_SELECTOR, "svg.panel")
    assert pictures and all(one.get_attribute("aria-label") for one in pictures)
    assert all(one.get_attribute("aria-label") for one in page.find_elements(By.CSS_SELECTOR, ".pt"))
    ids = [one.get_attribute("id") for one in page.find_elements(By.CSS_SELECTOR, "[id]")]
    assert len(ids) == len(set(ids))


def test_printed_it_shows_every_row_of_every_table_and_no_button(project, tmp_path):
    data = made(project)
    table = data["tables"][0]
    table["cols"] = [[f"case number {i}"] for i in range(30)]
    cell = table["cells"][0]
    table["rows"] = [[f"layer number {i}"] for i in range(120)]
    table["cells"] = [[row, col, 1000 * row + col + 0.25, *cell[3:]] for row in range(120) for col in range(30)]
    data["figures"] = []
    printing.write(written(tmp_path, data), tmp_path / "page.pdf")
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not here")
    text = subprocess.run(["pdftotext", "-layout", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True).stdout
    squeezed = "".join(text.split())
    missing = [
        value for value in (f"{1000 * row + col + 0.25:.2f}" for row in range(120) for col in range(30)) if value not in squeezed
    ]
    assert missing == [] and "CopyCSV" not in squeezed and "Filterrows" not in squeezed
    size = subprocess.run(["pdfinfo", tmp_path / "page.pdf"], capture_output=True, text=True, check=True).stdout
    assert "(A4)" in size


def made(project):
    """What the report of the toy sweep says, to be changed."""
    text = (project.results / "reports" / "stitches.html").read_text()
    found = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert found["format"] == gathered.FORMAT
    return found


def written(folder, data):
    path = folder / "page.html"
    path.write_text(document.html(data))
    return path


CONTRAST = """
const seen = [], canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const rgb = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return canvas.getImageData(0, 0, 1, 1).data;
};
const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const light = (c) => 0.2126 * linear(c[0] / 255) + 0.7152 * linear(c[1] / 255) + 0.0722 * linear(c[2] / 255);
const ground = (e) => {
  for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c[3] > 250) return c;
  }
  return [255, 255, 255, 255];
};
for (const e of document.querySelectorAll("main *, nav *")) {
  if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
  const style = getComputedStyle(e);
  if (e.closest("svg") && !(e instanceof SVGTextElement)) continue;
  if (e instanceof SVGTextElement && e.classList.value.startsWith("on-")) continue;
  const [a, b] = [light(rgb(e instanceof SVGTextElement ? style.fill : style.color)), light(ground(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) seen.push([e.tagName, e.className.baseVal ?? e.className, e.textContent.slice(0, 20), ratio]);
}
return seen;
"""
