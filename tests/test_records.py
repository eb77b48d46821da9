"""Records: tables for people, escaped; plain data for machines."""


def comparison(*texts: str, names=("baseline", "steered"), prompt="p"):
    from steering.interventions import Sampling
    from steering.records import Comparison, Row, Timing

    rows = tuple(
        Row(name, prompt, "text", (1,), 0, text, (2, 3), (-1.0, -2.0), "length")
        for name, text in zip(names, texts, strict=True)
    )
    return Comparison({"name": "m"}, {}, Sampling(), Timing(2.0, 0.5, 10), rows)


def test_markdown_is_one_table_whatever_the_texts_hold():
    table = comparison("a | b\nc", "<b>d</b>").to_markdown().splitlines()
    assert table == [
        "| prompt | baseline | steered |",
        "| --- | --- | --- |",
        "| p | a \\| b<br>c | &lt;b&gt;d&lt;/b&gt; |",
    ]


def test_the_notebook_table_escapes_every_text():
    attack = "<img src=x onerror=alert(1)>"
    shown = comparison(attack, attack, names=("baseline", attack), prompt=attack)._repr_html_()
    assert "<img" not in shown
    assert shown.count("&lt;img src=x onerror=alert(1)&gt;") == 4


def test_baseline_and_steered_are_the_first_of_their_kind():
    made = comparison("a", "b", "c", names=("baseline", "2x", "10x"))
    assert (made.baseline.text, made.steered.name) == ("a", "2x")


def test_timing_counts_all_rows():
    assert comparison("a", "b").to_dict()["timing"]["tokens_per_second"] == 5.0
