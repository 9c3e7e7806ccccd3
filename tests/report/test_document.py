"""The templates of reports: escaped, indented, and the only place of HTML."""

import re
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest

import polyglance
from polyglance.report import document

SOURCE = Path(polyglance.__file__).parent
TEMPLATES = sorted((SOURCE / "report" / "templates").iterdir())


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_lets_anything_through(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe|autoescape|Markup", text)
    document.environment().get_template(path.name)


def test_what_is_shown_is_escaped_also_in_attributes():
    hostile = "\"><script>alert('x')</script>"
    parts = document.environment().get_template("parts.html").module
    shown = str(parts.options([(hostile, hostile)]))
    assert "<script" not in shown
    assert shown.count('"') == 2  # those of the value


def test_a_name_that_a_template_does_not_get_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        document.environment().get_template("dropped.html").render()


def test_indentation_leaves_nothing_between_tags():
    made = document.environment().from_string("<p>\n  {{ x }}\n  <b>two\n  words</b>\n</p>")
    assert made.render(x="one") == "<p>one<b>two\n  words</b></p>"


@pytest.mark.parametrize("package", ["report", "serve", "analysis", "compare"])
def test_html_stands_in_templates_alone(package):
    tag = re.compile(r"</?(a|b|p|div|span|td|th|tr|table|ul|li|h[1-6]|section|form|label)[ >]")
    for path in (SOURCE / package).rglob("*.py"):
        assert not tag.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("argv", [["--help"], ["search", "--help"], ["report", "--help"]])
def test_help_does_without_templates(argv):
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))\n"
        "from polyglance import cli\n"
        f"cli.leave_at_once = sys.exit; sys.argv = ['polyglance', *{argv!r}]; cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "polyglance.cli" in done.stderr
    assert "jinja2" not in done.stderr
