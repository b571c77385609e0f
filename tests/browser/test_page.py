"""The page of a run, as whoever opens it sees and operates it."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest

Open = Opened = Any
"""Of conftest.py: the fixture `open_page`, and what it gives."""
HOSTILE = "<script>window.hacked=1</script>"
AXE = (Path(__file__).parent / "axe.min.js").read_text("utf-8")
SHOWN = "#methods tbody tr[data-key]:not(.child):visible"


def names(opened: Opened, table: str = "methods") -> list[str]:
    """Names of the methods that a table shows, in order."""
    rows = f"#{table} tbody tr[data-key]:not(.child):visible th"
    return [cell.get_attribute("data-label") for cell in opened.page.locator(rows).all()]


def rates(opened: Opened, column: str) -> list[float]:
    """Values of a column of the first table, in order; NaN where a cell is empty."""
    return opened.ask(
        """column => {
          const table = document.querySelector("#methods table");
          const heads = [...table.tHead.rows[0].cells];
          const k = heads.findIndex(head => head.dataset.column === column);
          return [...table.querySelectorAll("tr[data-key]:not(.child)")]
            .filter(row => row.checkVisibility())
            .map(row => Number(row.cells[k].dataset.value ?? NaN));
        }""",
        column,
    )


def choose(opened: Opened, name: str, value: str) -> None:
    opened.page.select_option(f"#filter-{name}", value)


@pytest.fixture
def page(open_page: Open, run: Path) -> Opened:
    return open_page(run)


def test_it_opens_with_its_first_table_within_a_second(page: Opened, run: Path) -> None:
    assert page.page.locator("h1").inner_text().startswith(f"some {HOSTILE}")
    assert page.page.locator(SHOWN).count() >= 3
    painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 9999"
    found = [page.ask(painted)]
    while found[-1] >= 1000 and len(found) < 4:  # other processes may have been in the way
        page.page.reload()
        page.requests.pop()
        page.page.wait_for_timeout(500)
        found.append(page.ask(painted))
    assert 0 < min(found) < 1000
    assert (run / "index.html").stat().st_size < 6e6


def test_names_of_strangers_are_text(page: Opened) -> None:
    page.drawn()
    assert page.ask("window.hacked") is None
    choose(page, "budget", "conventional")
    assert HOSTILE in names(page)
    assert f"it is {HOSTILE}" in page.page.locator("#failed").inner_text()


def test_numbers_are_those_of_the_csv_files(page: Opened, run: Path) -> None:
    methods = pd.read_csv(run / "methods.csv")
    for budget in methods["budget"].unique():
        choose(page, "budget", budget)
        for button in page.page.locator(".folding:visible").all():
            button.click()
        own = methods[(methods["budget"] == budget) & ~methods["targeted"]]
        for column in ("protection_rate", "transfer_rate"):
            shown = sorted(rates(page, column))
            assert shown == pytest.approx(sorted(own[column]), abs=1e-5), (budget, column)
    board = pd.read_csv(run / "leaderboard.csv")
    choose(page, "budget", "equal")
    for button in page.page.locator(".folding:visible, .toggle:visible").all():
        button.click()
    children = page.page.locator("#methods tr.child:visible")
    own = board[(board["attack"] == "pgd") & (board["budget"] == "equal")]
    own = own[own["target"] == "-"].set_index("surrogate")
    assert children.count() == len(own) > 1
    for child in children.all():
        surrogate = child.locator("th").inner_text().strip().removeprefix("looks into ")
        rate = float(child.locator("td .v").first.inner_text())
        assert rate == round(100 * own.loc[surrogate, "protection_rate"], 1)


def test_columns_sort(page: Opened) -> None:
    head = page.page.locator("#methods th[data-column=protection_rate]")
    for direction in ("descending", "ascending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == direction
        found = rates(page, "protection_rate")
        assert found == sorted(found, reverse=direction == "descending")
    page.page.locator("#methods th[data-column=attack] button").click()
    assert names(page) == sorted(names(page))
    assert page.page.locator("#methods th[aria-sort]").count() == 1


@pytest.mark.parametrize(
    "column",
    ["family", *(pytest.param(own, marks=pytest.mark.slow) for own in ("scope", "threat"))],
)
def test_filters_leave_what_they_say(page: Opened, run: Path, column: str) -> None:
    methods = pd.read_csv(run / "methods.csv")
    own = methods[(methods["budget"] == "equal") & ~methods["targeted"]]
    for value in own[column].unique():
        choose(page, column, value)
        for button in page.page.locator("#methods .folding:visible").all():
            if button.inner_text() == "show":
                button.click()
        found = {name.split(",")[0] for name in names(page)}
        assert found == set(own[own[column] == value]["attack"])


def test_a_victim_and_a_filter_give_their_own_rates(page: Opened, run: Path) -> None:
    transfer = pd.read_csv(run / "transfer.csv")
    defenses = pd.read_csv(run / "defenses.csv")
    at = {"attack": "mifgsm", "budget": "equal", "surrogate": "resnet", "target": "-"}
    for value in ("resnet", "pvt"):
        choose(page, "victim", value)
        (wanted,) = transfer.query(_is({**at, "victim": value}))["protection_rate"]
        column = "protection_rate" if value == "resnet" else "transfer_rate"
        page.page.fill("#search", "mifgsm")
        assert rates(page, column) == [pytest.approx(wanted, abs=1e-5)]
    choose(page, "victim", "")
    choose(page, "defense", "jpeg75")
    (wanted,) = defenses.query(_is({**at, "defense": "jpeg75"}))["protection_rate"]
    assert rates(page, "protection_rate") == [pytest.approx(wanted, abs=1e-5)]
    assert "under jpeg75" in page.page.locator("#methods .said").inner_text()
    page.page.click("#reset")
    assert page.page.locator("#methods .said").is_hidden()
    own = pd.read_csv(run / "methods.csv").query("budget == 'equal' and not targeted")
    assert max(rates(page, "protection_rate")) == pytest.approx(own["protection_rate"].max())


def _is(wanted: dict[str, str]) -> str:
    return " and ".join(f"{name} == {value!r}" for name, value in wanted.items())


def test_methods_without_effect_are_one_line(page: Opened) -> None:
    line = page.page.locator("#methods tr.fold:visible")
    assert line.count() == 1
    assert "noise" in line.inner_text()
    assert "noise" not in names(page)
    assert all(rate >= 0.01 for rate in map(max, zip(
        rates(page, "protection_rate"), rates(page, "transfer_rate"), strict=True)))  # fmt: skip
    page.page.click("#methods .folding >> visible=true")
    assert "noise" in names(page)
    page.page.click("#methods .folding >> visible=true")
    assert "noise" not in names(page)


def test_search_and_what_it_does_not_find(page: Opened) -> None:
    page.page.fill("#search", "NOISE")
    assert names(page) == ["noise"]
    page.page.fill("#search", "no such method")
    assert names(page) == []
    assert page.page.get_by_text("No row passes the filters above.").first.is_visible()
    assert page.page.locator("#found").inner_text().startswith("0 of ")


def test_columns_on_demand(page: Opened) -> None:
    heads = page.page.locator("#methods thead th:visible")
    assert 6 <= heads.count() <= 8
    page.page.click("#methods .columns summary")
    page.page.get_by_label("worst SSIM", exact=True).first.check()
    assert page.page.locator("#methods th[data-column=ssim_worst]").is_visible()
    page.page.locator("#methods .columns").get_by_text("all columns").click()
    assert heads.count() == page.page.locator("#methods thead th").count() > 15
    empty = page.ask(
        """() => { const table = document.querySelector("#methods table");
        const rows = [...table.querySelectorAll("tr[data-key]")];
        return [...table.tHead.rows[0].cells].filter((_, k) =>
          rows.every(row => !row.cells[k].textContent.trim())).length }"""
    )
    assert empty == 0


def test_every_heading_is_explained(page: Opened) -> None:
    from priemo_bench.judge.glossary import column

    for help in page.page.locator("#methods a.help:visible").all():
        help.hover()
        text = page.page.locator("#tip").inner_text()
        assert len(text) > 10
    page.page.locator("#methods th[data-column=protection_rate] a.help").focus()
    assert column("protection_rate").text in page.page.locator("#tip").inner_text()


def test_flags_are_explained_where_they_stand(page: Opened) -> None:
    flag = page.page.locator(".flag:visible").first
    assert flag.locator(".meaning").is_hidden()
    flag.locator("button").click()
    assert flag.locator(".meaning").is_visible()


def test_every_link_leads_somewhere(page: Opened, run: Path) -> None:
    found = page.ask("[...document.links].map(link => link.getAttribute('href'))")
    assert len(found) > 20
    for link in found:
        if link.startswith("#"):
            assert page.page.locator(f"[id='{unquote(link[1:])}']").count() == 1, link
        else:
            assert (run / unescape(unquote(link))).is_file(), link


def test_charts_answer_to_the_pointer(page: Opened) -> None:
    page.drawn()
    charts = page.page.locator(".chart:visible .plot")
    assert charts.count() >= 8
    for chart in charts.all():
        chart.scroll_into_view_if_needed()
        mark = chart.locator(".mark-symbol.role-mark path, .mark-rect.role-mark path").last
        mark.hover(force=True)
        assert page.page.locator("#tip").inner_text().strip(), chart.get_attribute("id")
    numbers = page.page.locator(".chart:visible .numbers").nth(1)
    numbers.locator("summary").click()
    assert "priemo-image" in numbers.locator("li").first.inner_text()
    names = page.page.locator("#matrix-method option").all_inner_texts()
    before = page.page.locator("#chart-matrix").inner_html()
    page.page.select_option("#matrix-method", names[-1])
    page.until("b => document.querySelector('#chart-matrix').innerHTML !== b", before)


def test_a_floor_changes_table_and_charts(page: Opened) -> None:
    page.drawn()
    before = page.page.locator("#chart-intervals").inner_html()
    choose(page, "budget", "equal-0.95")
    page.until("b => document.querySelector('#chart-intervals').innerHTML !== b", before)
    assert page.page.locator("#methods tr.group:visible").count() == 1
    assert "SSIM at least 0.95" in page.page.locator("#methods tr.group:visible").inner_text()
    choose(page, "budget", "")
    assert page.page.locator("#methods tr.group:visible").count() >= 3


def test_faces_are_shown_as_published(page: Opened, run: Path) -> None:
    import base64

    faces = page.page.locator(".face:visible")
    assert faces.count() == 2
    page.page.select_option("#face-attack", "pgd")
    assert faces.count() == 2
    first = faces.first
    source = first.locator("img").last.get_attribute("src")
    assert (
        base64.b64decode(source.partition(",")[2])
        == next(run.glob("faces/published-1-*")).read_bytes()
    )
    assert first.locator("img").first.evaluate("i => [i.clientWidth, i.clientHeight]") == [40, 32]
    first.locator("canvas").wait_for()
    assert first.locator("tbody tr").count() == 4


@pytest.mark.slow
def test_every_control_can_be_operated(page: Opened) -> None:
    page.drawn()
    for select in page.page.locator("select:visible").all():
        for value in select.evaluate("s => [...s.options].map(o => o.value)"):
            select.select_option(value)
        select.select_option(index=0)
    for summary in page.page.locator("summary:visible").all():
        summary.click()
    for box in page.page.locator("input[type=checkbox]:visible:enabled").all():
        box.click()
    page.ask("document.querySelectorAll('button').forEach(button => button.click())")
    page.page.click("#reset")
    page.drawn()


def test_the_keyboard_is_enough(page: Opened) -> None:
    page.page.keyboard.press("Tab")
    assert page.ask("document.activeElement.className") == "skip"
    page.page.locator("#methods th[data-column=attack] button").focus()
    page.page.keyboard.press("Enter")
    assert page.page.locator("#methods th[data-column=attack]").get_attribute("aria-sort")
    page.page.locator("#methods .toggle:visible").first.focus()
    page.page.keyboard.press("Space")
    assert page.page.locator("#methods tr.child:visible").count() > 0
    assert page.ask("document.activeElement.className") == "toggle"


def test_without_scripts_all_is_there(open_page: Open, run: Path) -> None:
    opened = open_page(run, java_script_enabled=False)
    methods = pd.read_csv(run / "methods.csv")
    rows = opened.page.locator("#methods tbody tr[data-key]:not(.child)")
    assert rows.count() == int((~methods["targeted"]).sum())
    assert all(row.is_visible() for row in rows.all())
    assert opened.page.locator("#methods thead th:visible").count() > 15


def test_print_shows_tables_and_no_controls(page: Opened) -> None:
    page.page.emulate_media(media="print")
    assert page.page.locator("#controls").is_hidden()
    assert page.page.locator(SHOWN).count() >= 3


def test_a_phone_scrolls_tables_only(open_page: Open, run: Path) -> None:
    opened = open_page(run, 390)
    opened.drawn()
    assert opened.ask("document.documentElement.scrollWidth") == 390
    head = opened.page.locator("#methods th[data-column=protection_rate] button")
    box = head.bounding_box()
    assert box["x"] + box["width"] <= 390


def serious(opened: Opened) -> list[str]:
    """What axe-core finds serious or critical."""
    opened.ask(AXE)
    found: Any = opened.ask("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anyone_out(open_page: Open, run: Path, scheme: str) -> None:
    opened = open_page(run, color_scheme=scheme)
    opened.drawn()
    opened.ask("document.querySelectorAll('details').forEach(own => { own.open = true })")
    opened.ask("document.querySelectorAll('.toggle, .flagged').forEach(own => own.click())")
    opened.page.wait_for_timeout(200)
    assert serious(opened) == []
