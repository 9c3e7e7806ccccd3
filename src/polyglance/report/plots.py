"""Charts of a report: Altair specifications without data, and the script that draws them.

Specifications go into the page once; its own script gives them rows (the table's, in the table's
order) and the colours of the theme. Rows hold fractions.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import altair as alt

from polyglance import errors
from polyglance.storage import atomic, locations

Spec = dict[str, Any]

HEIGHT = 340
BUNDLE_FOLDER = "report"
# Where the page's script writes the names of the tasks.
ACROSS, UP = "{across}", "{up}"


def bars() -> Spec:
    """Horizontal bars by language: after (wide, with its interval) and before (narrow, on top).

    Rows: `language`, `own_name`, `before`, `after`, `low`, `high`, `gain`; their order is kept.
    The page sets the parameters `before_colour`, `after_colour`, `ink`, and the height by the
    number of rows: a height in steps of Vega-Lite's warns in the reader's console.
    """
    y = alt.Y("language:N", sort=None, title=None, scale=alt.Scale(paddingInner=0.25))
    x_axis = alt.Axis(orient="top", format=".0%", tickCount=6, grid=True, domain=False)
    after = (
        alt.Chart()
        .mark_bar(color=alt.expr("after_colour"), cornerRadiusEnd=2)
        .encode(
            x=alt.X("after:Q", title=None, axis=x_axis, stack=None), y=y, tooltip=_bar_tooltip()
        )
    )
    before = (
        alt.Chart()
        .mark_bar(color=alt.expr("before_colour"), height=4, cornerRadiusEnd=2)
        .encode(x=alt.X("before:Q", title=None, stack=None), y=y, tooltip=_bar_tooltip())
    )
    interval = (
        alt.Chart()
        .mark_rule(color=alt.expr("ink"), opacity=0.75, strokeWidth=1.25)
        .encode(x=alt.X("low:Q", title=None), x2="high:Q", y=y)
    )
    chart = alt.layer(after, interval, before, data=alt.NamedData(name="rows"))
    return _spec(
        chart.add_params(*(_colour(name) for name in ("before_colour", "after_colour", "ink")))
    )


def scatter(*, across: str, up: str) -> Spec:
    """One point a language and model: a split across, another one up.

    Rows: `language`, `own_name`, `model`, `x`, `y`, `colour`, `shape`, `opacity`.
    The page sets the parameters `ink`, `lowest` and `highest`.

    Args:
        across: What the horizontal axis is called.
        up: What the vertical axis is called.
    """
    diagonal = (
        alt.Chart(alt.Data(values=[{"a": -1}, {"a": 1}]))
        .mark_line(strokeDash=[3, 4], opacity=0.45, color=alt.expr("ink"), clip=True)
        .encode(x=alt.X("a:Q", title=across), y=alt.Y("a:Q", title=up))
    )
    # Both axes run over the same range: off the diagonal means better on one of the two.
    scale = alt.Scale(domain=alt.ExprRef("[lowest, highest]"), nice=False)
    ends = (alt.param(name="lowest", value=0), alt.param(name="highest", value=1))
    points = _points(across=across, up=up, scale=scale)
    return _spec(alt.layer(diagonal, points).add_params(_colour("ink"), *ends))


def pair() -> Spec:
    """One point a language and model: a task across, another one up, each axis by itself.

    Rows as for `scatter`. The page writes the names of the tasks where `ACROSS` and `UP` stand.
    """
    return _spec(alt.layer(_points(across=ACROSS, up=UP, scale=alt.Scale(zero=False))))


def resources() -> Spec:
    """One point a language and model: its resources across on a logarithmic axis, its score up.

    Rows as for `scatter`; `x` is a count above 0.
    """
    count = alt.Axis(format="~s", tickCount=5, domain=False, grid=False)
    points = (
        alt.Chart(alt.NamedData(name="rows"))
        .mark_point(filled=True, size=44, strokeWidth=0)
        .encode(
            x=alt.X("x:Q", title=None, scale=alt.Scale(type="log"), axis=count),
            y=alt.Y("y:Q", title=None, axis=alt.Axis(format=".1~%", tickCount=6, domain=False)),
            color=alt.Color("colour:N", scale=None),
            shape=alt.Shape("shape:N", scale=None),
            opacity=alt.Opacity("opacity:Q", scale=None),
            tooltip=[
                alt.Tooltip("language:N", title="language"),
                alt.Tooltip("own_name:N", title="own name"),
                alt.Tooltip("model:N", title="model"),
                alt.Tooltip("x:Q", title="resources", format=",~g"),
                alt.Tooltip("y:Q", title="value", format=".1%"),
            ],
        )
    )
    return _spec(alt.layer(points))


def heat() -> Spec:
    """A cell a model and language, languages across in the order of the rows.

    Rows: `language`, `own_name`, `model`, `value`. The page sets the width; the colours are the
    theme's `heatmap` range.
    """
    scale = alt.Scale(domainMin=0, nice=False, clamp=True)
    legend = alt.Legend(
        orient="top",
        title=None,
        format=".0%",
        gradientLength=160,
        gradientThickness=9,
        labelOverlap="greedy",
    )
    cells = (
        alt.Chart(alt.NamedData(name="rows"))
        .mark_rect()
        .encode(
            x=alt.X("id:N", sort=None, axis=None),
            y=alt.Y("model:N", sort=None, title=None, axis=alt.Axis(domain=False, labelLimit=110)),
            color=alt.Color("value:Q", scale=scale, legend=legend),
            tooltip=[
                alt.Tooltip("language:N", title="language"),
                alt.Tooltip("own_name:N", title="own name"),
                alt.Tooltip("model:N", title="model"),
                alt.Tooltip("value:Q", title="value", format=".1%"),
            ],
        )
    )
    return _spec(alt.layer(cells))


def _points(*, across: str, up: str, scale: alt.Scale) -> alt.Chart:
    axis = alt.Axis(format=".1~%", tickCount=6, domain=False)
    return (
        alt.Chart(alt.NamedData(name="rows"))
        .mark_point(filled=True, size=44, strokeWidth=0)
        .encode(
            x=alt.X("x:Q", title=across, scale=scale, axis=axis),
            y=alt.Y("y:Q", title=up, scale=scale, axis=axis),
            color=alt.Color("colour:N", scale=None),
            shape=alt.Shape("shape:N", scale=None),
            opacity=alt.Opacity("opacity:Q", scale=None),
            tooltip=[
                alt.Tooltip("language:N", title="language"),
                alt.Tooltip("own_name:N", title="own name"),
                alt.Tooltip("model:N", title="model"),
                alt.Tooltip("x:Q", title=across, format=".1%"),
                alt.Tooltip("y:Q", title=up, format=".1%"),
            ],
        )
    )


def script() -> str:
    """The JavaScript that draws the charts (Vega, Vega-Lite and their embedding), whole.

    It takes 5 s to put together and 0.9 MB; so it is kept in the cache folder.

    Raises:
        MissingExtraError: Where vl-convert-python is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise errors.missing_extra("reports with charts", extra="report") from error
    version = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    name = f"vega-lite-{version}-convert-{metadata.version('vl-convert-python')}.js"
    kept = locations.cache_folder() / BUNDLE_FOLDER / name
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", version)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(kept, bundle)
    except (OSError, errors.DiskFullError):
        pass  # the report does not need the copy; the next one takes 5 s more
    return bundle


def _spec(chart: alt.LayerChart) -> Spec:
    """A specification without what would name a host or repeat the theme."""
    spec: Spec = chart.properties(width="container", height=HEIGHT).to_dict(validate=True)
    for key in ("$schema", "config", "datasets"):
        spec.pop(key, None)
    return spec


def _colour(name: str) -> alt.Parameter:
    return alt.param(name=name, value="#777777")


def _bar_tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("language:N", title="language"),
        alt.Tooltip("own_name:N", title="own name"),
        alt.Tooltip("before:Q", title="before", format=".1%"),
        alt.Tooltip("after:Q", title="after", format=".1%"),
        alt.Tooltip("low:Q", title="interval from", format=".1%"),
        alt.Tooltip("high:Q", title="interval to", format=".1%"),
        alt.Tooltip("gain:Q", title="gain", format="+.1%"),
    ]
