"""Which claims of the papers hold here? Small experiments, three seeds, one verdict a claim.

`table` is the list of claims; the file of a paper runs what its claims compare; `verdicts` turns
an effect and its interval into a verdict; `page` writes `docs/claims.md`.
"""
