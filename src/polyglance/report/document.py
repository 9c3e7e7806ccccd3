"""One HTML document of style, data and scripts that needs no network, from a template.

The page forbids itself every request by a content security policy, and every script but its own by
their hashes; so neither a model's name nor a note can bring one in. All that a template shows is
escaped, but for the style, scripts and JSON that are handed over here.
"""

from __future__ import annotations

import base64
import re
from functools import cache
from importlib import resources

import jinja2
from jinja2.ext import Extension
from markupsafe import Markup

from polyglance.languages import registry
from polyglance.report import (
    groups,
    hard_languages,
    headline,
    published_table,
    tables,
    wording,
)
from polyglance.storage import digests, outputs

# Set before the first paint, so that a dark page never flashes white.
_THEME_SCRIPT = """try{const t=localStorage.getItem("polyglance-theme");\
if(t)document.documentElement.dataset.theme=t}catch{}"""


def document(template: str, *, data: str, script: str, charts: str, **shown: object) -> str:
    """The file: policy, style, what is read, numbers, scripts.

    Args:
        template: Name of the page's template, which extends `document.html`.
        data: JSON that may stand in a script; see `payload.as_json`.
        script: The page's own, run at the end of the body.
        charts: What draws charts (`plots.script()`), left for the page's script to run.
        shown: What the template shows; `title` is also the window's.
    """
    scripts = [_THEME_SCRIPT, _closed(script), _closed(charts)]
    return (
        environment()
        .get_template(template)
        .render(
            generator=Markup(outputs.GENERATOR),
            hashes=[_sha256(text) for text in scripts],
            style=Markup(asset("page.css")),
            scripts=[Markup(text) for text in scripts],
            data=Markup(data),
            **shown,
        )
    )


@cache
def environment() -> jinja2.Environment:
    """The templates of reports, and how they write numbers and names."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("polyglance.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        extensions=[_Indented],
    )
    functions = (wording.direction_name, wording.policy_name, wording.span, tables.view_name)
    filters = (wording.decimals, wording.number_of, wording.per_cent, wording.points)
    names = (wording.reason_name, wording.script_name, wording.split_name, wording.value_name)
    sentences = (wording.variant_name, hard_languages.left_out_sentence, hard_languages.z_text)
    found.globals.update({one.__name__: one for one in (*functions, published_table.printed_in)})
    found.globals.update(
        group_members=groups.members,
        group_of=groups.group_of,
        group_titles=groups.TITLES,
        shapes=headline.SHAPES,
    )
    found.filters.update({one.__name__: one for one in (*filters, *names, *sentences)})
    found.filters.update(
        count="{:,}".format,
        language=registry.get_language,
        share="{:.0%}".format,
        width=lambda value: f"{100 * max(0.0, min(1.0, value)):.1f}%",
    )
    return found


class _Indented(Extension):
    """A line break in a template, and its indentation, is nothing beside a tag or an expression."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return re.sub(r"(?<=[>}])\s*\n\s*(?=[<{])", "", source)


def asset(name: str) -> str:
    """A file that lies beside this one."""
    return resources.files("polyglance.report").joinpath(name).read_text(encoding="utf-8")


def _closed(script: str) -> str:
    """A script that cannot end its own element early: `</script` and `<!--` only inside strings."""
    return re.sub(r"<(?=/script|!--)", r"\\x3c", script, flags=re.IGNORECASE)


def _sha256(text: str) -> str:
    return base64.b64encode(bytes.fromhex(digests.sha256(text.encode()))).decode("ascii")
