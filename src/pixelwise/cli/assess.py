"""``pixelwise assess``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click
import geopandas as gpd

from pixelwise.assessment.accuracy import estimate_accuracy
from pixelwise.assessment.design import design_sample
from pixelwise.assessment.estimates import AccuracyEstimate, Estimate
from pixelwise.cli.options import check_free
from pixelwise.display.accuracy import AccuracyDisplay
from pixelwise.display.canvas import check_matplotlib, png_bytes

__all__ = ["assess"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
#: Options that belong to one of the two things that the command does.
_OF_DESIGN = ("n", "target_se", "out")
_OF_ESTIMATE = ("column", "strata", "sizes", "drop_outside", "as_json", "csv", "figure")


class _SizeType(click.ParamType):  # type: ignore[type-arg]
    """A stratum and its pixels, such as ``north=120000``."""

    name = "STRATUM=PIXELS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name and the number."""
        stratum, _, number = value.rpartition("=")
        if not stratum or not number.isdecimal():
            self.fail(f"{value!r} is no stratum with its pixels: write it as north=120000", param, ctx)
        return stratum, int(number)


@click.command()
@click.argument("mapped", metavar="MAP")
@click.argument("reference", required=False)
@click.option("--column", help="Column of REFERENCE with what was seen at each point.")
@click.option("--strata", help="Column with the stratum of each point; without it the strata are the classes of the map.")
@click.option("--strata-size", "sizes", type=_SizeType(), multiple=True,
              help="Pixels of a stratum, for each of them; not needed for points that --design has drawn.")  # fmt: skip
@click.option("--drop-outside", is_flag=True, help="Leave out points outside the map or on its nodata, and say how many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--csv", type=_FILE, help="Write the estimates by class to a table, too.")
@click.option("--figure", type=_FILE, help="Draw them to a PNG, too.")
@click.option("--design", is_flag=True, help="Draw the sample that is to be looked at, instead.")
@click.option("--n", type=click.IntRange(1), help="With --design: samples in all.")
@click.option("--target-se", type=_SHARE,
              help="With --design: standard error of overall accuracy to aim at; 0.01 makes it good to ± 0.02.")  # fmt: skip
@click.option("--allocation", type=click.Choice(["proportional", "equal", "neyman"]), default="proportional",
              show_default=True,
              help="With --design: samples by the area of a class, the same for all, or by area times expected spread."
              )  # fmt: skip
@click.option("--expected-users", type=_SHARE, default=0.8, show_default=True,
              help="With --design: user's accuracy that you expect.")  # fmt: skip
@click.option("--min-per-class", type=click.IntRange(1), default=2, show_default=True,
              help="With --design: samples of a class at least; 50 to 100 where rare classes matter.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="With --design: seed of what is drawn.")
@click.option("--out", type=_FILE, help="With --design: GeoPackage to write.")
@click.option("--overwrite/--no-overwrite", default=False, show_default=True, help="Replace existing files.")
def assess(mapped: str, reference: str | None, design: bool, overwrite: bool, **options: Any) -> None:
    """Estimate the accuracy of a map, and the areas of its classes, from a probability sample of points.

    MAP is a raster of one band with class codes, REFERENCE a file of points, in any CRS, whose --column says what was seen
    there: names of the map's classes, or their codes. The numbers are design-based: they hold for the whole map, if the points
    were drawn at random, and within the strata that you name. Training polygons are no such sample.

    Without --strata the strata are the map's classes (Olofsson et al. 2014). With it, and the pixels of each stratum, they are
    whatever the sample was drawn by (Stehman 2014). ± is half of a 95% interval.

    With --design the sample is drawn first: a stratified random sample of the map's pixels, with an empty column "reference" to
    fill in, in QGIS for example, without looking at "class".

    \b
    Examples:
        pixelwise assess map.tif --design --target-se 0.02 --min-per-class 50 --out sample.gpkg
        pixelwise assess map.tif sample.gpkg --column reference --strata stratum
        pixelwise assess map.tif points.gpkg --column class --json
    """  # noqa: D301
    _check_usage(reference, design, options)
    if design:
        _draw(mapped, overwrite, options)
        return
    for path in (options["csv"], options["figure"]):
        if path is not None:
            check_free(path, overwrite)
    if options["figure"] is not None:
        check_matplotlib()
    accuracy = estimate_accuracy(
        mapped, reference, column=options["column"], strata=options["strata"], strata_sizes=dict(options["sizes"]) or None,
        outside="drop" if options["drop_outside"] else "raise",
    )  # fmt: skip
    click.echo(json.dumps(_plain(accuracy), indent=1, ensure_ascii=False) if options["as_json"] else repr(accuracy))
    if options["csv"] is not None:
        accuracy.to_frame().assign(estimates="design-based", unit=accuracy.unit).to_csv(options["csv"])
    if options["figure"] is not None:
        options["figure"].write_bytes(png_bytes(AccuracyDisplay(accuracy).plot().figure_))


def _check_usage(reference: str | None, design: bool, options: dict[str, Any]) -> None:
    wrong = [name for name in (_OF_ESTIMATE if design else _OF_DESIGN) if options[name] not in (None, False, ())]
    if wrong:
        flag = {"sizes": "--strata-size", "as_json": "--json"}.get(wrong[0], f"--{wrong[0].replace('_', '-')}")
        raise click.UsageError(f"{flag} {'does not go' if design else 'goes'} with --design{'' if design else ' alone'}")
    if design and reference is not None:
        raise click.UsageError("--design draws the points that REFERENCE would have: leave one of them out")
    if design and (options["n"] is None) == (options["target_se"] is None):
        raise click.UsageError("--design needs one of --n, the samples in all, and --target-se, the standard error to aim at")
    if design and options["out"] is None:
        raise click.UsageError("--design needs --out, the GeoPackage to write, such as --out sample.gpkg")
    if not design and (reference is None or options["column"] is None):
        raise click.UsageError("give REFERENCE, a file of points, and its --column; or --design to draw them")


def _draw(mapped: str, overwrite: bool, options: dict[str, Any]) -> None:
    check_free(options["out"], overwrite)
    sample = design_sample(
        mapped, options["n"], options["target_se"], allocation=options["allocation"], expected_users=options["expected_users"],
        min_per_class=options["min_per_class"], random_state=options["seed"], path=options["out"], overwrite=overwrite,
    )  # fmt: skip
    _report_sample(sample, options["expected_users"])
    click.echo(
        f"wrote {options['out']}: fill in its column 'reference', then run "
        f"`pixelwise assess {mapped} {options['out']} --column reference --strata stratum`"
    )


def _report_sample(sample: gpd.GeoDataFrame, users: float) -> None:
    click.echo(f"{len(sample):,} points for a design-based estimate, stratified by the classes of the map:")
    width = max(len(str(label)) for label in sample["class"])
    for label, points in sample.groupby("class"):
        share, n = points["stratum_share"].iloc[0], len(points)
        click.echo(f"  {label!s:<{width}}  {n:>6,} {'points' if n > 1 else 'point '}  {share:6.1%} of the map")
    click.echo(
        f"expected standard error of overall accuracy (design-based): {sample.attrs['expected_se']:.4f}, "
        f"if user's accuracies are {users:g}"
    )


def _plain(accuracy: AccuracyEstimate) -> dict[str, Any]:
    """Return estimates as JSON holds them: NaN, which it does not have, is null."""
    measures = {"users": accuracy.users, "producers": accuracy.producers, "f1": accuracy.f1, "area": accuracy.areas}
    return {
        "estimates": "design-based",
        "method": accuracy.method,
        "n": accuracy.n,
        "dropped": accuracy.dropped,
        "unit": accuracy.unit,
        "overall": _numbers(accuracy.overall),
        "classes": {
            str(label): {name: _numbers(each[label]) for name, each in measures.items()} | {"map_area": float(area)}
            for label, area in zip(accuracy.users, accuracy.map_areas, strict=True)
        },
        "matrix": accuracy.matrix.tolist(),
        "proportions": accuracy.proportions.tolist(),
    }


def _numbers(estimate: Estimate) -> dict[str, float | None]:
    low, high = estimate.interval()
    numbers = {"estimate": estimate.estimate, "se": estimate.se, "low": low, "high": high}
    return {name: None if math.isnan(number) else number for name, number in numbers.items()}
