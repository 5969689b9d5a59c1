"""The list page that every desk shares: tabs with counts, search, filters, chips, sort, pages, CSV.

The address holds the whole state. A page costs a constant number of queries, and little more with a
million rows: counts of long lists are kept for a minute, and only the keys of a page are sorted.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import messages
from django.core.cache import cache
from django.core.exceptions import EmptyResultSet
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.functional import cached_property
from django_filters import FilterSet
from django_filters.views import FilterView
from django_tables2 import SingleTableMixin, Table
from django_tables2.data import TableQuerysetData

from core import permissions
from core.csvout import rows_as_csv

STATE = ("page", "sort", "status")
LONGEST_KEY = 18  # digits of a row's key that every database can compare
LONG = 20_000  # rows; the counts of a longer list are kept
KEPT_FOR = 60  # seconds


class LongRows(TableQuerysetData):
    """A table's rows that are read a page at a time: first the keys in their order, then the rows.

    Sorting touches no column that is only shown, and a page past the middle is read from the end.
    `count` is how many rows there are, as far as the list says so.
    """

    def __init__(self, rows: QuerySet[Any], count: int) -> None:
        super().__init__(rows)
        self._count = count

    def __len__(self) -> int:
        """As counted for the tabs."""
        return self._count

    def __getitem__(self, place: slice) -> list[Any]:
        """The rows of a page, in their order."""
        keys = self._keys(place.start or 0, min(place.stop, self._count))
        found = self.data.order_by().in_bulk(keys)
        return [found[key] for key in keys if key in found]

    def _keys(self, start: int, stop: int) -> list[Any]:
        rows = _in_total_order(self.data)
        if start <= self._count // 2:
            return list(rows.values_list("pk", flat=True)[start:stop])
        from_end = rows.reverse().values_list("pk", flat=True)
        return list(from_end[self._count - stop : self._count - start])[::-1]


def _in_total_order(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Let the key decide between equals, in the direction of the rest: one index serves both."""
    wanted = rows.query.order_by or rows.model._meta.ordering
    order = [name for name in wanted if isinstance(name, str)]
    named = {name.lstrip("-") for name in order} & {"pk", rows.model._meta.pk.name}
    if named or not order or len(order) < len(wanted):
        return rows
    return rows.order_by(*order, "-pk" if order[-1].startswith("-") else "pk")


class Pages(Paginator[Any]):
    """Pages of the size that we choose, whatever the address asks for."""

    def __init__(self, rows: Any, _: Any = None, **rest: Any) -> None:
        super().__init__(rows, settings.LIST_PAGE_SIZE, **rest)


class ListPage(SingleTableMixin, FilterView):
    """A desk's list. Desks name model, table, filters, words and bulk actions."""

    template_name = "core/list.html"
    strict = False
    permission: ClassVar[str]
    page_title: ClassVar[str]
    page_lead: ClassVar[str] = ""
    status_field: ClassVar[str] = "status"
    status_labels: ClassVar[Iterable[tuple[str, str]]] = ()
    bulk: ClassVar[tuple[dict[str, Any], ...]] = ()
    empty: ClassVar[dict[str, str]]
    primary_action: ClassVar[dict[str, str] | None] = None
    csv_name: ClassVar[str] = "list"
    table_class: ClassVar[type[Table]]
    filterset_class: ClassVar[type[FilterSet]]
    paginate_by = None  # the table pages its rows, which are those of the chosen tab
    paginator_class = Pages

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Check the role before anything else."""
        permissions.check(request, self.permission)
        return super().dispatch(request, *args, **kwargs)  # type: ignore[no-any-return]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Show the list, or send it as CSV."""
        if request.GET.get("as") == "csv":
            return self._csv()
        return super().get(request, *args, **kwargs)  # type: ignore[no-any-return]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Do one bulk action on the chosen rows; the whole state of the list stays."""
        named = (row for row in request.POST.getlist("row") if len(row) <= LONGEST_KEY)
        chosen = [int(row) for row in named if row.isdecimal()]
        action = self._bulk_action(request.POST.get("do", ""))
        if not chosen or action is None:
            messages.warning(request, "Nothing was done: choose rows and an action first.")
            return redirect(request.get_full_path())
        answer = action(self.get_queryset().filter(pk__in=chosen))
        return answer or redirect(request.get_full_path())

    def _bulk_action(self, name: str) -> Callable[[QuerySet[Any]], HttpResponseBase | None] | None:
        offered = any(entry["value"] == name for entry in self.offered_bulk())
        return getattr(self, f"bulk_{name}") if offered else None

    def offered_bulk(self) -> list[dict[str, Any]]:
        """The bulk actions that this person's role allows."""
        user = self.request.user
        return [e for e in self.bulk if user.has_perm(e.get("permission", self.permission))]

    def bulk_csv(self, rows: QuerySet[Any]) -> HttpResponseBase:
        """Send the chosen rows as CSV."""
        return self._csv_of(rows)

    def of_status(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Only rows of the chosen tab."""
        status = self.request.GET.get("status", "")
        return rows.filter(status=status) if status in dict(self.status_labels) else rows

    def get_table_data(self) -> LongRows:
        """The filtered rows of the chosen tab."""
        return LongRows(self.of_status(self.object_list), self._shown)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Everything that templates/core/list.html shows."""
        context = super().get_context_data(**kwargs)
        chosen = self.request.GET.get("status", "")
        return {
            **context,
            "page_title": self.page_title,
            "page_lead": self.page_lead,
            "tabs": list(self._tabs(self._counts, chosen)) if self.status_field else [],
            "chips": list(self._chips()),
            "clear_url": self._url(keep=("status", "sort")),
            "bulk": self.offered_bulk(),
            "csv_url": self._url(extra={"as": "csv"}),
            "total": sum(self._counts.values()),
            "shown": self._shown,
            "empty": self.empty,
            "primary_action": self.primary_action,
            "now": timezone.now(),
        }

    @property
    def _shown(self) -> int:
        """How many rows the chosen tab has; none stand in it when nothing was counted there."""
        chosen = self.request.GET.get("status", "")
        if chosen and chosen in dict(self.status_labels):
            return self._counts.get(chosen, 0)
        return sum(self._counts.values())

    @cached_property
    def _counts(self) -> dict[str, int]:
        """Rows by status, or all of them under ""; those of a long list as of the last minute."""
        rows = self.object_list.order_by()
        if self.status_field:
            rows = rows.values_list("status").annotate(Count("pk"))
        try:
            key = _key_of(rows)
        except EmptyResultSet:
            return {}
        counts: dict[str, int] | None = cache.get(key)
        if counts is None:
            counts = dict(rows) if self.status_field else {"": rows.count()}
            if sum(counts.values()) > LONG:
                cache.set(key, counts, KEPT_FOR)
        return counts

    def _tabs(self, counts: dict[str, int], chosen: str) -> Iterator[dict[str, Any]]:
        labels = [("", "All"), *self.status_labels]
        for value, label in labels:
            count = counts.get(value, 0) if value else sum(counts.values())
            url = self._url(drop=("status", "page"), extra={"status": value} if value else {})
            yield {
                "label": label,
                "url": url,
                "count": count,
                "current": value == chosen,
            }

    def _chips(self) -> Iterator[dict[str, str]]:
        form = self.filterset.form
        for name, value in getattr(form, "cleaned_data", {}).items():
            if value not in (None, "", []):
                label = form.fields[name].label or name
                shown = dict(getattr(form.fields[name], "choices", ())).get(value, value)
                yield {
                    "label": f"{label}: {shown}",
                    "url": self._url(drop=(name, "page")),
                }

    def _url(
        self,
        *,
        drop: Iterable[str] = (),
        keep: Iterable[str] | None = None,
        extra: dict[str, str] | None = None,
    ) -> str:
        query: QueryDict = self.request.GET.copy()
        for name in list(query):
            if name in set(drop) or name == "as" or (keep is not None and name not in set(keep)):
                del query[name]
        query.update(extra or {})
        return "?" + query.urlencode()

    def _csv(self) -> HttpResponseBase:
        filterset = self.get_filterset(self.get_filterset_class())
        return self._csv_of(self.of_status(filterset.qs))

    def _csv_of(self, rows: QuerySet[Any]) -> HttpResponseBase:
        response = StreamingHttpResponse(
            rows_as_csv(self.csv_header(), self.csv_rows(rows)),
            content_type="text/csv; charset=utf-8",
        )
        response["Content-Disposition"] = f'attachment; filename="{self.csv_name}.csv"'
        return response

    def csv_header(self) -> list[str]:
        """Column names of the CSV; no secrets."""
        raise NotImplementedError

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        """Rows of the CSV."""
        raise NotImplementedError


def _key_of(rows: QuerySet[Any]) -> str:
    """Name a query in the cache: its text and its values."""
    text = repr(rows.query.sql_with_params())
    return f"list-counts-{hashlib.sha256(text.encode()).hexdigest()}"
