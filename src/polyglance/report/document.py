"""One HTML document of style, data and scripts that needs no network.

The page forbids itself every request by a content security policy, and every script but its own by
their hashes; so neither a model's name nor a note can bring one in.
"""

from __future__ import annotations

import base64
import re
from html import escape
from importlib import resources

from polyglance.storage import digests, outputs

# Set before the first paint, so that a dark page never flashes white.
_THEME_SCRIPT = """try{const t=localStorage.getItem("polyglance-theme");\
if(t)document.documentElement.dataset.theme=t}catch{}"""


def document(title: str, *, body: str, data: str, script: str, charts: str) -> str:
    """The file: policy, style, what is read, numbers, scripts.

    Args:
        title: Of the window.
        body: What is read, in HTML.
        data: JSON that may stand in a script; see `payload.as_json`.
        script: The page's own, run at the end of the body.
        charts: What draws charts (`plots.script()`), left for the page's script to run.
    """
    scripts = [_THEME_SCRIPT, _closed(script), _closed(charts)]
    hashes = " ".join(f"'sha256-{_sha256(text)}'" for text in scripts)
    # unsafe-eval: Vega compiles the expressions of a chart; what they are made of is in this file.
    policy = (
        f"default-src 'none'; script-src {hashes} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"{outputs.GENERATOR}"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{asset('page.css')}</style>"
        f"<script>{scripts[0]}</script></head><body>{body}"
        f'<script type="application/json" id="data">{data}</script>'
        f"<script>{scripts[1]}</script>"
        # Last and not run as it is: the tables work before the browser reaches it, and
        # the page's script runs it when the first chart comes into sight.
        f'<script type="text/plain" id="charts">{scripts[2]}</script></body></html>\n'
    )


def asset(name: str) -> str:
    """A file that lies beside this one."""
    return resources.files("polyglance.report").joinpath(name).read_text(encoding="utf-8")


def _closed(script: str) -> str:
    """A script that cannot end its own element early: `</script` and `<!--` only inside strings."""
    return re.sub(r"<(?=/script|!--)", r"\\x3c", script, flags=re.IGNORECASE)


def _sha256(text: str) -> str:
    return base64.b64encode(bytes.fromhex(digests.sha256(text.encode()))).decode("ascii")
