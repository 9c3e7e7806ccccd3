"""Charts of an analysis: Altair specifications without data, as in `plots`.

The page's script gives each chart its rows, and the colours of the theme.
"""

from __future__ import annotations

from typing import Any

import altair as alt

Spec = dict[str, Any]

HEIGHT = 420
# As many as clusters are shown, each told apart without colour; M2M draws 17.
SHAPES = (
    "circle",
    "square",
    "cross",
    "diamond",
    "triangle-up",
    "triangle-down",
    "triangle-right",
    "triangle-left",
    "M0,-1L.22,-.31L.95,-.31L.36,.12L.59,.81L0,.38L-.59,.81L-.36,.12L-.95,-.31L-.22,-.31Z",
    "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",
    "M-.5,-.87H.5L1,0L.5,.87H-.5L-1,0Z",
    "M-.8,-.9H.8L-.8,.9H.8Z",
    "M-.9,-.8V.8L.9,-.8V.8Z",
    "M-1,-.35H1V.35H-1Z",
    "M-.35,-1H.35V1H-.35Z",
    "M-1,.4A1,1,0,0,1,1,.4Z",
    "M-1,-.4A1,1,0,0,0,1,-.4Z",
)
ROWS = alt.NamedData(name="rows")


def text_map() -> Spec:
    """Texts on a plane: languages by colour, clusters of images by shape.

    Rows: `x`, `y`, `name`, `cluster`, `shape`, `text`, `image`, `opacity`.
    """
    return _plane(name="language", text="text", image="image", cluster="cluster of images")


def image_map() -> Spec:
    """Images on a plane: classes by colour and shape; rows as for `text_map`."""
    return _plane(name="class", image="image")


def _plane(**shown: str) -> Spec:
    """Points on a plane, and what is said of each: fields and their titles."""
    chart = (
        alt.Chart(ROWS)
        .mark_point(filled=True, size=38, strokeWidth=0)
        .encode(
            x=_bare("x"),
            y=_bare("y", dimension="y"),
            color=alt.Color("colour:N", scale=None),
            shape=alt.Shape("shape:N", scale=None),
            opacity=alt.Opacity("opacity:Q", scale=None),
            tooltip=[
                alt.Tooltip(f"{field}:{'O' if field == 'cluster' else 'N'}", title=title)
                for field, title in shown.items()
            ],
        )
    )
    return _spec(chart)


def cosines() -> Spec:
    """A matrix of cosines, pairs on the diagonal; rows: `row`, `column`, `value`."""
    chart = (
        alt.Chart(ROWS)
        .mark_rect()
        .encode(
            x=alt.X("column:O", axis=None, title=None),
            y=alt.Y("row:O", axis=None, title=None),
            color=alt.Color(
                "value:Q",
                title=None,
                scale=alt.Scale(domain=alt.ExprRef("[lowest, highest]")),
                legend=alt.Legend(orient="bottom", gradientLength=160, format=".1f"),
            ),
            tooltip=[
                alt.Tooltip("first:N", title="text"),
                alt.Tooltip("second:N", title="with"),
                alt.Tooltip("value:Q", title="cosine", format=".3f"),
            ],
        )
        .add_params(alt.param(name="lowest", value=0), alt.param(name="highest", value=1))
    )
    return _spec(chart)


def spectrum() -> Spec:
    """Singular values, largest first, on a logarithmic axis; rows: `place`, `value`."""
    chart = (
        alt.Chart(ROWS)
        .mark_line(strokeWidth=2, color=alt.expr("ink"))
        .encode(
            x=alt.X(
                "place:Q", title="direction, strongest first", axis=_axis(format="d", grid=False)
            ),
            y=alt.Y(
                "value:Q",
                title="singular value",
                scale=alt.Scale(type="log"),
                axis=_axis(format="~g", tickCount=5),
            ),
            tooltip=[
                alt.Tooltip("place:Q", title="direction"),
                alt.Tooltip("value:Q", title="singular value", format=".4~g"),
            ],
        )
        .add_params(_colour("ink"))
    )
    return _spec(chart, height=280)


def spread() -> Spec:
    """Distances inside clusters of paraphrases: quartiles as a bar, the middle as a stroke.

    Rows: `language`, `name` (before, after, teacher), `least`, `quarter`, `middle`, `upper`,
    `most`, `outside`, `colour`.
    """
    y = alt.Y("label:N", sort=None, title=None)
    tooltip = [
        alt.Tooltip("label:N", title="texts"),
        alt.Tooltip("middle:Q", title="middle", format=".3f"),
        alt.Tooltip("quarter:Q", title="quarter below", format=".3f"),
        alt.Tooltip("upper:Q", title="quarter above", format=".3f"),
        alt.Tooltip("outside:Q", title="mean of other texts", format=".3f"),
    ]
    base = alt.Chart().encode(y=y, tooltip=tooltip)
    whisker = base.mark_rule(strokeWidth=1.25, color=alt.expr("ink")).encode(
        x=alt.X("least:Q", title="cosine distance", axis=_axis()),
        x2="most:Q",
    )
    box = base.mark_bar(height=12).encode(
        x="quarter:Q", x2="upper:Q", color=alt.Color("colour:N", scale=None)
    )
    middle = base.mark_tick(thickness=2, size=16, color=alt.expr("ink")).encode(x="middle:Q")
    other = base.mark_point(shape="diamond", size=36, color=alt.expr("ink")).encode(x="outside:Q")
    chart = alt.layer(whisker, box, middle, other, data=ROWS).add_params(_colour("ink"))
    return _spec(chart, height=280)


def class_curve() -> Spec:
    """Accuracy against the number of classes on a logarithmic axis, and the line through it.

    Rows: `num_classes`, `accuracy`, `fitted`.
    """
    x = alt.X(
        "num_classes:Q",
        title="number of texts to choose from",
        scale=alt.Scale(type="log", nice=False),
        axis=_axis(format="~s", tickCount=4, grid=False),
    )
    tooltip = [
        alt.Tooltip("num_classes:Q", title="texts"),
        alt.Tooltip("accuracy:Q", title="right", format=".1%"),
        alt.Tooltip("fitted:Q", title="on the line", format=".1%"),
    ]
    y_axis = _axis(format=".0%", tickCount=6)
    points = (
        alt.Chart()
        .mark_point(filled=True, size=40, opacity=0.6, color=alt.expr("accent"))
        .encode(x=x, y=alt.Y("accuracy:Q", title="right", axis=y_axis), tooltip=tooltip)
    )
    line = (
        alt.Chart()
        .mark_line(strokeWidth=1.5, strokeDash=[4, 3], color=alt.expr("ink"))
        .encode(x=x, y=alt.Y("fitted:Q", title="right"))
    )
    chart = alt.layer(points, line, data=ROWS)
    return _spec(chart.add_params(_colour("ink"), _colour("accent")), height=280)


def class_curves() -> Spec:
    """Accuracy against the number of classes, by language, and the lines through them.

    Rows: `num_classes`, `accuracy`, `fitted`, `label`, `colour`, `dash`: dashed is before.
    """
    x = alt.X(
        "num_classes:Q",
        title="number of classes",
        scale=alt.Scale(type="log", nice=False),
        axis=_axis(format="~s", tickCount=4, grid=False),
    )
    tooltip = [
        alt.Tooltip("label:N", title="language"),
        alt.Tooltip("num_classes:Q", title="classes"),
        alt.Tooltip("accuracy:Q", title="accuracy", format=".1%"),
        alt.Tooltip("fitted:Q", title="on the line", format=".1%"),
    ]
    colour = alt.Color("colour:N", scale=None)
    points = (
        alt.Chart()
        .mark_point(size=40, opacity=0.7)
        .encode(
            x=x,
            y=alt.Y("accuracy:Q", title="accuracy", axis=_axis(format=".0%", tickCount=6)),
            color=colour,
            fill=alt.condition("datum.dash", alt.value("transparent"), colour),
            tooltip=tooltip,
        )
    )
    line = (
        alt.Chart()
        .mark_line(strokeWidth=1.5)
        .encode(
            x=x,
            y=alt.Y("fitted:Q", title="accuracy"),
            color=colour,
            detail="label:N",
            strokeDash=alt.condition("datum.dash", alt.value([4, 3]), alt.value([1, 0])),
        )
    )
    return _spec(alt.layer(points, line, data=ROWS))


def _bare(field: str, *, dimension: str = "x") -> Any:
    """A direction of a plane: it has no unit, so it has no axis."""
    kind = alt.X if dimension == "x" else alt.Y
    return kind(f"{field}:Q", axis=None, title=None, scale=alt.Scale(zero=False))


def _axis(*, format: str = "~g", tickCount: int = 6, grid: bool = True) -> alt.Axis:
    return alt.Axis(format=format, tickCount=tickCount, grid=grid, domain=False)


def _colour(name: str) -> alt.Parameter:
    return alt.param(name=name, value="#777777")


def _spec(chart: Any, *, height: int = HEIGHT) -> Spec:
    """A specification without what would name a host or repeat the theme."""
    spec: Spec = chart.properties(width="container", height=height).to_dict(validate=True)
    for key in ("$schema", "config", "datasets"):
        spec.pop(key, None)
    return spec
