from __future__ import annotations

from pixelwise.display.html import element, picture, render, strip_chart, table


def test_text_is_escaped_wherever_it_stands() -> None:
    made = render(element("p", "<i>", element("b", "&"), "</i>", title='"><script>'))
    # Within quotes a "<" opens nothing.
    assert made == '<p title="&quot;&gt;<script&gt;">&lt;i&gt;<b>&amp;</b>&lt;/i&gt;</p>'


def test_text_before_between_and_after_elements_keeps_its_place() -> None:
    assert render(element("p", "a", "b", element("br"), "c", "d", element("br"))) == "<p>ab<br>cd<br></p>"


def test_control_characters_are_replaced() -> None:
    assert render(element("p", "a\x00b\x1bc\nd\ud800")) == "<p>a\ufffdb\ufffdc\nd\ufffd</p>"


def test_letters_and_spaces_of_every_script_stay() -> None:
    assert render(element("p", "森林\u3000дж\u00a0±\u200d")) == "<p>森林\u3000дж\u00a0±\u200d</p>"


def test_a_picture_holds_its_image_and_says_what_it_shows() -> None:
    made = render(picture(b"png", 'a "map"', "Caption"))
    assert 'src="data:image/png;base64,cG5n"' in made
    assert 'alt="a &quot;map&quot;"' in made
    assert "<figcaption>Caption</figcaption>" in made
    assert "figcaption" not in render(picture(b"png", "a map"))


def test_a_table_tells_headings_from_cells() -> None:
    made = render(table(["class", "n"], [["forest", "3"]], caption="Counts"))
    assert "<caption>Counts</caption>" in made
    assert '<th scope="col">class</th><th scope="col" class="n">n</th>' in made
    assert '<th scope="row">forest</th><td class="n">3</td>' in made


def test_a_strip_chart_has_a_dot_for_each_value_inside_its_line() -> None:
    made = strip_chart([0.5, 0.75, -3.0, 7.0], "four folds")
    at = [float(dot.get("cx", "nan")) for dot in made.iter("circle")]
    assert at == [104.0, 154.0, 4.0, 204.0]
    assert made.get("aria-label") == "four folds"
