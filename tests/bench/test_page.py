from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.load.page import BEGIN, END, check_page, write_page
from tests.bench.made_up import outcome, result

MADE = outcome([result("lbproxy", 9, 9), result("nginx", 10, 10)])


def test_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    for _ in range(2):
        write_page(MADE, page, tmp_path / "picture.svg")
    text = page.read_text()
    assert text.startswith(f"before\n\n{BEGIN}\n\n- plan: rounds 2\n\n| scenario |")
    assert text.endswith(f"\n\n{END}\n\nafter\n")
    assert "|small|9.0|0.90|" in text.replace(" ", "")
    assert "](../picture.svg)" in text
    assert "old" not in text


@pytest.mark.parametrize("text", ["", "nothing", BEGIN, END, f"{END} {BEGIN}"])
def test_a_page_without_the_marks_is_an_error(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(BenchError, match="has not the two lines"):
        check_page(page)


def test_a_page_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError):
        check_page(tmp_path / "page.md")
