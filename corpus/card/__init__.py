"""The data card of a snapshot: Croissant JSON-LD for programs, a page for people.

snapshots/<id>/card/croissant.json
snapshots/<id>/card/index.html
"""

from __future__ import annotations

from corpus.store.manifest import Draft
from corpus.store.object_store import Store, WrittenFile
from corpus.store.statistics import Statistics

__all__ = ["write_card"]


def write_card(store: Store, manifest: Draft, stats: Statistics) -> list[WrittenFile]:
    """Write the card of the snapshot that `manifest` describes; the same bytes for the same input.

    What a manifest does not say is left out of the card. The gates are those of the report that
    `validate` staged, where there is one.
    """
    from corpus.card.croissant import croissant
    from corpus.card.html import page

    folder = f"snapshots/{manifest['id']}/card"
    report = f"staging/{manifest['id']}/reports/validate-all.json"
    judged = store.read_json(report) if store.exists(report) else None
    return [
        store.write_json(f"{folder}/croissant.json", croissant(manifest, stats)),
        store.write_bytes(f"{folder}/index.html", page(manifest, stats, judged).encode()),
    ]
