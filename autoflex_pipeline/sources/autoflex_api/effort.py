"""Few by id, or many by whole pages: whichever is fewer requests.

By id costs one request an id. Whole pages cost as many requests as the list has pages, K, which is not known at first.
A handful is asked for by id without more ado. For n ids beyond that, one request tells: does page n exist, with another
one after it? Then K > n, and by id is cheaper; otherwise whole pages are. So the worst case costs one request more than
the best choice would have (two, where answers do not say whether more follow), once for each list while the process
lives: K is remembered after a crawl, and "more than n" after a probe.
"""

from __future__ import annotations

from autoflex_pipeline.sources.autoflex_api.client import Tally
from autoflex_pipeline.sources.autoflex_api.connection import Connection
from autoflex_pipeline.sources.autoflex_api.failures import RefusedRequestError
from autoflex_pipeline.sources.autoflex_api.question import Question

HANDFUL = 5


def by_value_is_cheaper(connection: Connection, entity: str, count: int, tally: Tally) -> bool:
    """Whether ``count`` requests by id are no more than all pages of ``entity``. SourceError when the probe fails."""
    if count <= HANDFUL:
        return True
    whole = Question(entity)
    name = whole.source(1)
    pages = connection.page_count(name)
    if pages is not None:
        return count <= pages
    if count <= connection.pages_exceed(name):
        return True
    try:
        probe = connection.fetch_page(whole, count, tally)
    except RefusedRequestError:  # some servers refuse a page beyond the end
        return False
    if not probe.rows or probe.is_last:
        return False
    if probe.has_next is None and probe.keys == connection.fetch_page(whole, 1, tally).keys:
        return False  # it does not page: it gives the same rows whichever page is asked for
    connection.learn_pages_exceed(name, count)
    return True
