"""Pieces of a page. They are built as elements, never as text, so that whatever comes from data is escaped."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, tostring

__all__ = ["element", "picture", "render", "strip_chart", "table"]

Child = Element | str


def element(tag: str, *children: Child, **attributes: str) -> Element:
    """Return an element; text among the children stays text.

    Parameters
    ----------
    tag : str
        Name of the element.
    *children : Element or str
        What it holds, in order.
    **attributes : str
        Attributes; a trailing underscore is dropped (``class_``), others become hyphens (``aria_label``).

    Returns
    -------
    xml.etree.ElementTree.Element

    Examples
    --------
    >>> from pixelwise.display.html import element, render
    >>> render(element("p", "a < b, ", element("b", "<script>"), class_="note"))
    '<p class="note">a &lt; b, <b>&lt;script&gt;</b></p>'
    """
    given = {key.rstrip("_").replace("_", "-"): _clean(value) for key, value in attributes.items() if value or key != "class_"}
    made = Element(tag, given)
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            last = child
        elif last is None:
            made.text = (made.text or "") + _clean(child)
        else:
            last.tail = (last.tail or "") + _clean(child)
    return made


def _clean(text: str) -> str:
    """Return text without the control characters and half surrogates that no page may hold."""
    return "".join(
        "\ufffd" if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\t" else letter for letter in text
    )


def render(made: Element) -> str:
    """Return an element as HTML."""
    return tostring(made, encoding="unicode", method="html")


def picture(png: bytes, alt: str, caption: str = "") -> Element:
    """Return a figure that holds its image in the page.

    Parameters
    ----------
    png : bytes
        The image.
    alt : str
        What one sees, for those who do not.
    caption : str
        Under the image.

    Returns
    -------
    xml.etree.ElementTree.Element
    """
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    children: list[Child] = [element("img", src=source, alt=alt)]
    if caption:
        children.append(element("figcaption", caption))
    return element("figure", *children)


def table(
    head: Sequence[Child], rows: Iterable[Sequence[Child]], *, caption: str, class_: str = "", numbers: int = 1
) -> Element:
    """Return a table; the first cell of each row is its heading.

    Parameters
    ----------
    head : sequence of str or Element
        Headings of the columns.
    rows : iterable of sequence of str or Element
        Cells.
    caption : str
        What the table shows.
    class_ : str
        Class of the table.
    numbers : int, default=1
        First column that holds numbers, which stand on the right.

    Returns
    -------
    xml.etree.ElementTree.Element
    """
    top = element("tr", *(element("th", cell, scope="col", class_="" if at < numbers else "n") for at, cell in enumerate(head)))
    body = []
    for row in rows:
        cells = [element("th", row[0], scope="row")]
        cells += [element("td", cell, class_="" if at < numbers else "n") for at, cell in enumerate(row[1:], 1)]
        body.append(element("tr", *cells))
    made = element("table", element("caption", caption), element("thead", top), element("tbody", *body), class_=class_)
    return element("div", made, class_="scroll")


def strip_chart(values: Sequence[float], label: str) -> Element:
    """Return a line from 0 to 1 with a dot for each value and a stroke at their mean.

    Parameters
    ----------
    values : sequence of float
        Scores from 0 to 1; others are drawn at the ends.
    label : str
        What one sees, for those who do not.

    Returns
    -------
    xml.etree.ElementTree.Element
    """
    inside = [min(1.0, max(0.0, value)) for value in values]
    mean = sum(inside) / len(inside)
    parts = [element("line", x1="4", x2="204", y1="14", y2="14", class_="axis")]
    parts += [element("text", text, x=str(4 + 200 * at), y="30") for at, text in ((0, "0"), (0.5, "0.5"), (1, "1"))]
    parts += [element("circle", cx=f"{4 + 200 * value:.1f}", cy="14", r="4") for value in inside]
    parts.append(element("line", x1=f"{4 + 200 * mean:.1f}", x2=f"{4 + 200 * mean:.1f}", y1="4", y2="24", class_="mean"))
    return element("svg", *parts, viewBox="0 0 208 34", role="img", aria_label=label, class_="strip")
