"""A folder of two small tables in the place of the papers' own."""

import pytest

from polyglance.results import published
from polyglance.results.published import groups, reasons

TABLES = """\
table	paper	number	caption	unit	averages	source
toy-table1	toy	1	two languages and their mean	percent	{averages}	Toy, table 1
toy-table2	toy	2	by direction	fraction		Toy, table 2
"""
HEAD = "model\tlanguage\ttask\tsplit\tmetric\tdirection\tcaption_policy\tvalue\tnote\n"
ROWS = """\
A	deu_Latn	xtd10	test	hit_rate_at_1	text_to_content	first	40.1
A	fra_Latn	xtd10	test	hit_rate_at_1	text_to_content	first	50.2
A	group:average	xtd10	test	hit_rate_at_1	text_to_content	first	45.2
"""
BY_DIRECTION = """\
A	deu_Latn	xtd10	test	hit_rate_at_1	text_to_content	first	0.40
A	deu_Latn	xtd10	test	hit_rate_at_1	content_to_text	first	0.50
A	deu_Latn	xtd10	test	average_recall	both	first	0.45
"""
ERRATA = "table\tmodel\tlanguage\tmetric\tprinted\tshould_be\twhy\n"


@pytest.fixture
def write_tables(tmp_path, monkeypatch):
    """Write the small tables, with rules, rows or errata of the test's own."""

    def write(
        *,
        averages="",
        rows=ROWS,
        by_direction=BY_DIRECTION,
        errata="",
        head=HEAD,
        group="",
        reason="",
    ):
        (tmp_path / "tables.tsv").write_text(TABLES.format(averages=averages))
        (tmp_path / "errata.tsv").write_text(ERRATA + errata)
        (tmp_path / "groups.tsv").write_text("table\twhere\tlanguages\n" + group)
        (tmp_path / "reasons.tsv").write_text("table\twhere\treason\twhy\n" + reason)
        for name, lines in (("toy-table1", rows), ("toy-table2", by_direction)):
            body = lines.replace("\n", "\t\n")  # an empty note
            (tmp_path / f"{name}.tsv").write_text(head + body)
        forget()

    def forget():
        of_tables = (published.tables, published.errata, published.numbers_of)
        of_numbers = (published._numbers, published._by_place, groups._rows, groups._by_asked)
        for cached in (*of_tables, *of_numbers, reasons.reasons, reasons._by_table):
            cached.cache_clear()

    monkeypatch.setattr(published, "FOLDER", tmp_path)
    yield write
    forget()
